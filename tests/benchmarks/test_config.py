"""The options of a run: declared once, and what derives from them."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from benchmarks.cli import main
from benchmarks.config import FolderConfig, RunConfig, ScoreConfig, ScoringConfig
from benchmarks.options import field_docs, from_options, options_of
from t2sql_tui.core.types import ModelSpec

# What run.json said of runs before there was a RunConfig; they must go on.
RECORDED = {
    "suite": "spider-train-holdout",
    "backend": "gguf",
    "max_tokens": 300,
    "temperature": 0.0,
    "candidates": 4,
    "seed": 0,
    "repairs": 2,
    "decoding": "full",
    "search": True,
    "constrained": True,
    "compare": True,
    "keep_distinct": False,
    "neighbours": 0,
    "suite_databases": None,
    "score_candidates": True,
}


@pytest.mark.parametrize(
    ("command", "config"), [("run", RunConfig), ("score", ScoreConfig)], ids=["run", "score"]
)
def test_every_field_is_an_option_with_its_docstring_as_help(command, config):
    parameters = {parameter.name: parameter for parameter in main.commands[command].params}
    options = options_of(config)
    of_backends = {name for name in parameters if name.startswith("backend_")}
    assert {option.name for option in options} == set(parameters) - of_backends - {"help"}
    for option in options:
        if not option.metadata.get("argument"):
            assert parameters[option.name].help == option.help
            assert option.flag in parameters[option.name].opts
    for nested in (config, ScoringConfig, FolderConfig):
        assert field_docs(nested).keys() <= {f.name for f in fields(nested)}


def test_choices_are_explained_in_the_help():
    (decoding,) = (o for o in options_of(RunConfig) if o.name == "decoding")
    assert "beam4: the likeliest of 4 candidates" in decoding.help
    assert next(iter(decoding.choices)) == decoding.default == "greedy"


def test_options_fill_the_configuration_and_its_parts():
    values = {"suite": "demo", "model": "m", "neighbours": 3, "name": "x", "limit": 7}
    config = from_options(RunConfig, values)
    assert (config.suite, config.limit, config.seed) == ("demo", 7, 0)
    assert config.scoring.neighbours == 3 and config.folder.name == "x"


def test_a_recorded_run_is_of_the_same_identity():
    config = RunConfig(
        "spider-train-holdout",
        "qwen2.5-coder-0.5b",
        decoding="full",
        scoring=ScoringConfig(score_candidates=True),
    )
    assert config.identity() == RECORDED
    # Options that are younger than the oldest runs are recorded only where they are set.
    plain = RunConfig("demo", "m").identity()
    assert not plain.keys() & {"decoding", "schema", "score_candidates"}
    assert RunConfig("demo", "m", schema="gold").identity()["schema"] == "gold"


def test_what_a_replay_must_share_is_of_the_model_alone():
    spec = ModelSpec("m", prompt_version="v2")
    one = RunConfig("demo", "m", scoring=ScoringConfig(neighbours=2)).model_identity(spec, "abc")
    other = RunConfig("spider-dev", "m", limit=5).model_identity(spec, "abc")
    assert one == other
    assert one != RunConfig("demo", "m", decoding="beam4").model_identity(spec, "abc")


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({}, "demo--m"),
        ({"limit": 9, "seed": 3}, "demo--m--n9-s3"),
        ({"decoding": "full", "schema": "gold"}, "demo--m--full--gold-schema"),
        ({"decoding": "beam4", "candidates": 4}, "demo--m--beam4"),
        ({"candidates": 2, "temperature": 0.5, "repairs": 1}, "demo--m--k2--t0.5--r1"),
        ({"replay": Path("runs/x")}, "demo--m--replayed"),
        ({"replay": Path("runs/x"), "folder": FolderConfig(name="mine")}, "mine"),
    ],
)
def test_the_default_name_is_made_of_the_options(options, name):
    assert RunConfig("demo", "folder/m.gguf", **options).run_name("m.gguf") == name
