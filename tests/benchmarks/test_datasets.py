"""Readers: what they read, and that nothing broken passes in silence."""

from __future__ import annotations

import json
from typing import get_args

import pytest
from mini_spider import QUESTIONS, SHOP, build_database, write_spider

from benchmarks.datasets import (
    DataError,
    read_bird,
    read_demo,
    read_gretel,
    read_spider,
    read_spider_syn,
    sample,
)
from benchmarks.suites import (
    HOLDOUT_DATABASES,
    SUITES,
    Role,
    load_suite,
    suite_role,
    suites_for,
)


def test_spider_layout(spider):
    dataset = read_spider(spider)
    assert [e.id for e in dataset.examples] == [f"dev-{n:04d}" for n in range(6)]
    first = dataset.examples[0]
    assert (first.database, first.question, first.gold) == QUESTIONS[0]
    assert first.split == "dev"
    assert [path.name for path in dataset.files["shop"]] == ["shop.sqlite"]


def test_only_and_without_choose_databases_and_keep_ids(spider):
    assert {e.database for e in read_spider(spider, only={"zoo"}).examples} == {"zoo"}
    rest = read_spider(spider, without={"zoo"})
    assert [e.id for e in rest.examples] == ["dev-0000", "dev-0002", "dev-0004"]
    assert set(rest.files) == {"shop"}


def test_every_sqlite_file_of_a_folder_is_a_test_and_the_named_one_comes_first(spider):
    build_database(spider / "database/shop/a_variant.sqlite", SHOP)
    names = [path.name for path in read_spider(spider).files["shop"]]
    assert names == ["shop.sqlite", "a_variant.sqlite"]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda root: (root / "dev.json").unlink(), "There is no"),
        (lambda root: (root / "dev.json").write_text('[{"db_id": "sh'), "not whole JSON"),
        (lambda root: (root / "dev.json").write_text("{}"), "does not hold a list"),
        (lambda root: (root / "dev.json").write_text("[]"), "no example"),
        (
            lambda root: (root / "dev.json").write_text(
                json.dumps([{"db_id": "shop", "question": "Q", "query": " "}])
            ),
            "Entry 0 of .* has no 'query'",
        ),
        (
            lambda root: (root / "database/zoo/zoo.sqlite").unlink(),
            "1 of 2 databases are missing .*zoo",
        ),
        (
            lambda root: (root / "database/zoo/zoo.sqlite").write_bytes(b"not a database"),
            "does not open",
        ),
        (lambda root: (root / "database/zoo/zoo.sqlite").write_bytes(b""), "holds no table"),
    ],
)
def test_what_is_broken_is_named(spider, damage, message):
    damage(spider)
    with pytest.raises(DataError, match=message):
        read_spider(spider)


def test_a_half_downloaded_database_is_noticed(spider):
    path = spider / "database/shop/shop.sqlite"
    content = path.read_bytes()
    path.write_bytes(content[: len(content) - 4096])
    with pytest.raises(DataError, match=r"shop\.sqlite does not open"):
        read_spider(spider)


def test_the_hash_covers_questions_and_databases(spider, tmp_path):
    whole = read_spider(spider)
    same = write_spider(tmp_path / "again")
    assert read_spider(same).sha256() == whole.sha256()
    assert whole.only(whole.examples[:3]).sha256() != whole.sha256()
    build_database(same / "database/zoo/zoo.sqlite", "DELETE FROM animal WHERE id = 3")
    assert read_spider(same).sha256() != whole.sha256()


def bird(tmp_path, ids=(0, 1)):
    rows = [
        {
            "question_id": n,
            "db_id": "shop",
            "question": f"Q{n}",
            "evidence": "Rome is a city",
            "SQL": "SELECT 1",
            "difficulty": "simple",
        }
        for n in ids
    ]
    (tmp_path / "dev.json").write_text(json.dumps(rows))
    build_database(tmp_path / "dev_databases/shop/shop.sqlite", SHOP)
    return tmp_path


def test_bird_layout_brings_its_evidence(tmp_path):
    dataset = read_bird(bird(tmp_path, ids=(3, 7)))
    assert [e.id for e in dataset.examples] == ["dev-0003", "dev-0007"]
    assert dataset.examples[0].evidence == "Rome is a city"


def test_an_id_that_comes_twice_is_refused(tmp_path):
    with pytest.raises(DataError, match="1 ids occur more than once, the first is 'dev-0003'"):
        read_bird(bird(tmp_path, ids=(3, 3)))


GRETEL = [
    {
        "id": 5,
        "sql_task_type": "data retrieval",
        "sql_prompt": "Which names?",
        "sql_context": "CREATE TABLE t (name TEXT); INSERT INTO t VALUES ('a; b'), ('c');",
        "sql": "SELECT name FROM t",
    },
    {
        "id": 6,
        "sql_task_type": "data manipulation",
        "sql_prompt": "Delete all.",
        "sql_context": "CREATE TABLE t (name TEXT);",
        "sql": "DELETE FROM t",
    },
    {
        "id": 7,
        "sql_task_type": "analytics and reporting",
        "sql_prompt": "How many?",
        "sql_context": "CREATE TABLE u (n INT); CREATE TABLE v (n INT) ENGINE=InnoDB;",
        "sql": "SELECT count(*) FROM u",
    },
]


@pytest.mark.parametrize("form", ["json", "parquet"])
def test_gretel_builds_a_database_for_every_question(tmp_path, form):
    if form == "json":
        (tmp_path / "test.json").write_text(json.dumps(GRETEL))
    else:
        pyarrow = pytest.importorskip("pyarrow")
        parquet = pytest.importorskip("pyarrow.parquet")
        parquet.write_table(pyarrow.Table.from_pylist(GRETEL), tmp_path / "test.parquet")
    dataset = read_gretel(tmp_path, f"test.{form}", tmp_path / "cache")
    assert [e.id for e in dataset.examples] == ["gretel-5", "gretel-7"]  # 6 is no SELECT
    import sqlite3

    (path,) = dataset.files[dataset.examples[0].database]
    names = sqlite3.connect(path).execute("SELECT name FROM t").fetchall()
    assert names == [("a; b",), ("c",)]
    assert dataset.notes == ("1 databases had statements that SQLite refuses",)
    # From the cache, it says the same.
    assert read_gretel(tmp_path, f"test.{form}", tmp_path / "cache").notes == dataset.notes


def test_the_demo_has_fifty_questions(tmp_path):
    dataset = read_demo(tmp_path)
    assert len(dataset.examples) == 50
    assert {e.database for e in dataset.examples} == set(dataset.files)


def test_a_sample_is_random_by_seed_and_grouped_by_database(spider):
    dataset = read_spider(spider)
    everything = sample(dataset, None, 0).examples
    assert [e.database for e in everything] == ["shop"] * 3 + ["zoo"] * 3
    drawn = {tuple(e.id for e in sample(dataset, 3, seed).examples) for seed in range(8)}
    assert len(drawn) > 1
    assert sample(dataset, 3, 5) == sample(dataset, 3, 5)
    assert all(len(ids) == 3 for ids in drawn)


# --- suites -------------------------------------------------------------------------


def test_suites_by_folder_and_by_file(spider):
    assert len(load_suite(f"spider-format:{spider}").examples) == 6
    (spider / "mine.json").write_text((spider / "dev.json").read_text())
    found = load_suite(f"spider-format:{spider / 'mine.json'}")
    assert found.examples[0].id == "mine-0000"


def test_data_names_the_folder_above_or_the_data_set_itself(spider, monkeypatch):
    above = spider.parent
    spider.rename(above / "spider")
    assert len(load_suite("spider-dev", above).examples) == 6
    assert len(load_suite("spider-dev", above / "spider").examples) == 6
    monkeypatch.setenv("T2SQL_DATA", str(above))
    assert len(load_suite("spider-dev").examples) == 6


def test_an_unknown_suite_gets_a_suggestion():
    with pytest.raises(DataError, match="Did you mean 'spider-dev'"):
        load_suite("spider-def")


def test_missing_data_says_what_to_do(tmp_path):
    with pytest.raises(DataError, match=r"benchmarks fetch gretel.*--data DIR"):
        load_suite("gretel-test", tmp_path)


def test_the_holdout_is_of_train_alone(data_dir):
    holdout = load_suite("spider-train-holdout", data_dir)
    dev, rest = load_suite("spider-dev", data_dir), load_suite("spider-train", data_dir)
    assert len(HOLDOUT_DATABASES) == 20 and set(holdout.files) == HOLDOUT_DATABASES
    assert len(holdout.examples) == 999
    assert not HOLDOUT_DATABASES & (set(dev.files) | set(rest.files))
    assert not set(dev.files) & set(rest.files)
    assert len(holdout.examples) + len(rest.examples) == 8659


def test_spider_syn_words_the_held_out_questions_anew(data_dir):
    plain = {e.id: e for e in load_suite("spider-train-holdout", data_dir).examples}
    syn = load_suite("spider-syn-holdout", data_dir)
    assert len(syn.examples) == 669 and set(syn.files) == HOLDOUT_DATABASES
    for e in syn.examples:
        original = plain[e.id.removeprefix("syn-")]
        assert e.question != original.question
        assert (e.database, e.gold) == (original.database, original.gold)


def test_spider_syn_that_is_missing_or_malformed(spider):
    dataset, path = read_spider(spider), spider / "syn.json"
    with pytest.raises(DataError, match="benchmarks fetch spider-syn"):
        read_spider_syn(dataset, path)
    path.write_text('[{"db_id": "concert"}]')
    with pytest.raises(DataError, match=r"syn\.json"):
        read_spider_syn(dataset, path)


def test_dev_is_the_official_one(data_dir):
    from benchmarks.fetch import check_spider

    findings = dict(check_spider(data_dir / "spider"))
    assert findings["dev.json"] == "1,034 questions, the official ones (June 2020)"
    assert findings["tables.json"] == "the official file"


def test_every_suite_has_a_title_and_a_role():
    assert all(suite.title and suite.name == name for name, suite in SUITES.items())
    assert suites_for("choose")[:2] == ["spider-train-holdout", "spider-syn-holdout"]
    assert {suite_role(name) for name in ("realistic", "defog", "unanswerable", "untidy")} == {
        "choose"
    }
    assert suite_role("untidy-unseen") == "measure"
    assert suites_for("train") == ["spider-train"]
    assert {suite_role(name) for name in SUITES} == set(get_args(Role))
    assert suite_role("spider-format:mine") is None
