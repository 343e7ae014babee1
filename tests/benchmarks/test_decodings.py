from __future__ import annotations

import pytest

from benchmarks.decodings import DECODINGS, ask_options, decoding_identity, described

NAMED = sorted(DECODINGS)


@pytest.mark.parametrize("name", NAMED)
def test_every_decoding_has_settings_and_says_what_it_is(name):
    found = ask_options(name)
    assert found.settings.candidates >= 1 and DECODINGS[name].note
    assert described(decoding_identity(name, found)) == name


def test_an_explicit_option_wins_and_is_told():
    found = ask_options("beam4", candidates=2, repairs=1, temperature=None, seed=7)
    assert (found.settings.candidates, found.settings.seed, found.repairs) == (2, 7, 1)
    assert found.settings.search and found.settings.constrained and not found.compare
    identity = decoding_identity("beam4", found)
    assert described(identity) == "beam4, 2 candidates, 1 repairs"


def test_decodings_differ_in_their_identity():
    identities = [str(decoding_identity("x", ask_options(name))) for name in NAMED]
    assert len(set(identities)) == len(NAMED)


def test_greedy_runs_are_those_from_before_there_were_others():
    identity = decoding_identity("greedy", ask_options("greedy"))
    assert identity == {
        "max_tokens": 300,
        "temperature": 0.0,
        "candidates": 1,
        "seed": 0,
        "repairs": 0,
    }
    assert described(identity) == "greedy"
    assert described(identity | {"schema": "gold"}) == "greedy, gold schema"
    assert described({"suite": "demo", "model": "predictions of theirs.txt"}) == ""
