"""Questions that people ask of their own files: how they are read, and that their gold runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from mini_spider import SHOP, build_database

from benchmarks.datasets import DataError
from benchmarks.metrics.execution import verdict
from benchmarks.realistic import PARTS, TWINS, read_realistic, read_unanswerable
from benchmarks.scoring import Scorer
from benchmarks.suites import load_suite


@pytest.fixture
def realistic(data_dir) -> Path:
    if not (data_dir / "realistic" / "defog" / "dev.json").is_file():
        pytest.skip("no data of realistic: set T2SQL_DATA to a data folder that has it")
    return data_dir / "realistic"


@pytest.fixture
def small(tmp_path) -> Path:
    """A folder laid out as realistic, with one question a part."""
    for part in PARTS:
        birds = part == "superhero"
        database = "shop" if part.startswith("defog") else part
        folder = tmp_path / part / ("dev_databases" if birds else "database") / database
        build_database(folder / f"{database}.sqlite", SHOP)
        row = {"db_id": database, "question": f"Names in {part}?"}
        row |= {"question_id": 7, "SQL" if birds else "query": "SELECT name FROM customer"}
        row |= {"evidence": "a hint", "golds": ["SELECT name FROM customer", "SELECT 1"]}
        (tmp_path / part / "dev.json").write_text(json.dumps([row]))
    (tmp_path / "unanswerable").mkdir()
    rows = [{"db_id": "shop", "question": "Why is the sky blue?"}]
    (tmp_path / "unanswerable" / "questions.json").write_text(json.dumps(rows))
    return tmp_path


def test_the_parts_are_one_data_set_and_each_a_data_set_of_its_own(small):
    whole = read_realistic(small)
    assert [e.id for e in whole.examples] == [
        "defog-0000",
        "defog-basic-0000",
        "defog-advanced-0000",
        "superhero-0007",
        "geonuclear-0000",
    ]
    assert [e.group for e in whole.examples] == list(PARTS)
    assert whole.files["shop"] == (small / "defog" / "database" / "shop" / "shop.sqlite",)
    for part, example in zip(PARTS, whole.examples, strict=True):
        assert read_realistic(small, (part,)).examples == (example,)
        assert example.evidence == "a hint"
        assert example.accepted == (() if part == "superhero" else ("SELECT 1",))


def test_more_columns_are_no_fault_where_the_collection_says_so(small):
    whole = read_realistic(small)
    scorer = Scorer(whole)
    wide = {"sql": "SELECT id, name FROM customer", "text": ""}
    scores = {e.group: scorer.score(e, wide) for e in whole.examples}
    assert {part: score["correct"] for part, score in scores.items()} == {
        "defog": True,
        "defog-basic": True,
        "defog-advanced": True,
        "superhero": False,
        "geonuclear": False,
    }
    assert scores["defog"]["more_columns"] and "more_columns" not in scores["geonuclear"]
    assert "bird" in scores["superhero"]
    plain = scorer.score(whole.examples[0], {"sql": "SELECT name FROM customer", "text": ""})
    assert plain["correct"] and plain["more_columns"] is False


def test_what_cannot_be_answered_has_no_gold(small):
    (example,) = read_unanswerable(small).examples
    assert (example.id, example.database, example.gold) == ("unanswerable-0000", "shop", "")
    (small / "unanswerable" / "questions.json").write_text('[{"db_id": "shop"}]')
    with pytest.raises(DataError, match=r"Entry 0 of .* lacks"):
        read_unanswerable(small)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(DataError, match="The data of defog is not here") as raised:
        load_suite("defog", tmp_path)
    assert "fetch" not in (raised.value.hint or "")


def test_the_collections_are_whole(realistic):
    sizes = [len(read_realistic(realistic, (part,)).examples) for part in PARTS]
    assert sizes == [210, 40, 64, 129, 32]
    whole = read_realistic(realistic)
    assert len(whole.examples) == 475 and set(whole.files) >= TWINS
    twins = [e for e in whole.examples if e.group.endswith("Spider")]
    assert len(twins) == 130 and {e.database for e in twins} == TWINS
    assert len(read_unanswerable(realistic).examples) == 105


def test_every_accepted_gold_runs(realistic):
    whole = read_realistic(realistic)
    failing = [
        f"{e.id}: {found.error}"
        for e in whole.examples
        for gold in (e.gold, *e.accepted)
        if not (found := verdict(gold, gold, whole.files[e.database])).correct
    ]
    assert not failing
