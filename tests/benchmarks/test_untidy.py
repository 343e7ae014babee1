"""Untidy files: the gold of both halves is proved, and the proof notices what is wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from importlib import resources
from random import Random

import pytest

from benchmarks.untidy import forms, prove
from benchmarks.untidy.files import Column, File, build, days, number, one_of, spelled, table
from benchmarks.untidy.halves import make
from benchmarks.untidy.questions import read_block
from t2sql_tui.core.database.database import open_database


@pytest.mark.parametrize("seed", [1, 2])
def test_every_gold_is_right_and_told_from_plausible_wrong_sql(seed, tmp_path):
    assert list(prove.problems(seed, tmp_path)) == []


@pytest.mark.parametrize("seed", [1, 2])
def test_a_half_is_large_and_a_quarter_of_it_plain_at_most(seed):
    made = make(seed)
    asked = [question for _, questions in made for question in questions]
    assert len(made) >= 8
    assert len(asked) >= 150
    assert len({question.id for question in asked}) == len(asked)
    assert sum(question.fault == "plain" for question in asked) <= len(asked) / 4
    assert max(len(part.stored) for file, _ in made for part in file.tables) <= 5000


def test_the_same_seed_gives_the_same_rows_and_questions_and_another_seed_others(tmp_path):
    assert _content(1) == _content(1)
    assert _content(1) != _content(3)
    paths = [build(file, tmp_path / name).name for name in "ab" for file, _ in make(1)]
    assert paths[: len(paths) // 2] == paths[len(paths) // 2 :]


def _content(seed: int) -> list[object]:
    return [([part.stored for part in file.tables], asked) for file, asked in make(seed)]


def test_the_halves_share_kinds_and_neither_files_nor_tables_nor_questions():
    first, second = make(1), make(2)
    assert [file.kind for file, _ in first] == [file.kind for file, _ in second]
    for names in (
        lambda made: {file.name for file, _ in made},
        lambda made: {question.question.lower() for _, asked in made for question in asked},
        lambda made: {part.name for file, _ in made for part in file.tables} - {"orders"},
    ):
        assert not names(first) & names(second)


def test_no_question_is_one_of_the_demos():
    demos = {
        entry["question"].lower()
        for path in resources.files("t2sql_tui.demo").iterdir()
        if path.name.endswith(".json")
        for entry in json.loads(path.read_text("utf-8"))
    }
    for seed in (1, 2):
        asked = {question.question.lower() for _, questions in make(seed) for question in questions}
        assert len(demos) == 50 and not demos & asked


# --- the notation -------------------------------------------------------------------


@pytest.fixture
def shop() -> File:
    dice = Random(1)
    lands = {"Spain": ("Spain", "ES", "spain "), "Italy": ("Italy", "IT", "italy")}
    rows = table(
        dice,
        "sales",
        60,
        id=number(),
        land=spelled(lands),
        amount=Column(one_of([5.5, 1200.0, 90.25, None]), forms.DOLLARS, ("", "N/A")),
        sold__on=Column(days("2024-01-01", datetime(2025, 1, 1)), forms.DMY_LOOSE),
    )
    return File("shop", "csv", [rows])


def asked(block: str, shop: File):
    return read_block(block, "shop-01", shop, Random(1))


def test_braces_name_columns_as_they_are_meant(shop):
    found = asked(
        "spelling: how much in <c:spain=Spain|espana=Spain>\n"
        "SELECT SUM({amount}) FROM sales AS s WHERE {s.land~<c>} AND NOT {amount?}",
        shop,
    )
    assert found.question in ("how much in spain", "how much in espana")
    (gold,) = found.golds
    assert "s.land IN ('Spain', 'ES', 'spain ')" in gold
    assert "CASE WHEN amount NOT IN ('', 'N/A') THEN CAST(" in gold
    assert found.wrong == (
        "SELECT SUM(amount) FROM sales AS s WHERE s.land = 'Spain' AND NOT amount IS NULL",
    )


def test_brackets_accept_several_answers(shop):
    found = asked("plain: which\nSELECT id[ // , land] FROM sales LIMIT [round 2]", shop)
    assert found.golds[0] == "SELECT id FROM sales LIMIT 2"
    assert found.golds[4] == "SELECT id , land FROM sales LIMIT 2"
    assert len(found.golds) == 8
    share = asked("share: s\nSELECT [percent SUM(id = 1) ; COUNT(*)] FROM sales", shop).golds
    assert "SELECT 100.0 * SUM(id = 1) / COUNT(*) FROM sales" in share
    assert "SELECT ROUND(1.0 * SUM(id = 1) / COUNT(*), 2) FROM sales" in share


@pytest.mark.parametrize(
    ("block", "problem"),
    [
        ("plain: none\nSELECT id FROM sales WHERE id > 99", "gives nothing"),
        ("plain: bad\nSELECT price FROM sales", "price"),
        ("unit: u\nSELECT COUNT(*) FROM sales", "no wrong SQL to tell it from"),
        ("unit: u\nSELECT COUNT(*) FROM sales\n! SELECT COUNT(id) FROM sales", "rows of the gold"),
        ("plain: p\nSELECT COUNT(*) FROM sales\n= SELECT 3", "is not"),
        ("plain: t\nSELECT id FROM sales ORDER BY LENGTH(land) LIMIT 1", "ties at the cut"),
    ],
)
def test_the_proof_notices(block, problem, shop, tmp_path):
    with open_database(build(shop, tmp_path)) as database:
        found = list(prove._unproved(database, asked(block, shop)))
    assert problem in " ".join(found)


def test_the_proof_notices_a_form_that_does_not_read_back(shop, tmp_path):
    (part,) = shop.tables
    column = part.columns["sold on"]
    assert not list(_unread(shop, column, tmp_path))
    spoilt = replace(column, form=replace(column.form, read=forms.MDY_LOOSE.read))
    (found,) = _unread(shop, spoilt, tmp_path)
    assert "sales.sold on means" in found


def _unread(shop: File, column: Column, folder):
    with open_database(build(shop, folder)) as database:
        return list(prove._unread(database, shop, "sales", "sold on", column))
