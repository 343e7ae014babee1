"""Which tables and columns of a large schema does a question need?"""

from __future__ import annotations

import random
import time

import pytest

from t2sql_tui.core.prompting.prompt import LARGE, SHOWN, build_prompt
from t2sql_tui.core.prompting.schema_linking import rank_columns, rank_tables
from t2sql_tui.core.types import Column, ForeignKey, Question, Schema, Table, ValueMatch


def table(name: str, *columns: str, to: tuple[str, ...] = ()) -> Table:
    """A table with an id, these columns, and a key to each of `to`."""
    keys = tuple(ForeignKey((f"{other}_id",), other, ("id",)) for other in to)
    names = ("id", *columns, *(f"{other}_id" for other in to))
    return Table(name, tuple(Column(n, "TEXT", int(n == "id")) for n in names), keys)


SCHOOL = (
    table("student", "name", "dorm"),
    table("course", "title", "credits"),
    table("enrolment", "grade", to=("student", "course")),
)
BANK = (table("customer", "name", "city"), table("account", "balance", to=("customer",)))


def filler(count: int) -> tuple[Table, ...]:
    rng = random.Random(0)

    def word() -> str:
        return "".join(rng.choices("bdfgklmnprstvz", k=3)) + "".join(rng.choices("aeiou", k=2))

    return tuple(table(f"{word()}_{word()}", *(word() for _ in range(6))) for _ in range(count))


def ranked(tables: tuple[Table, ...], text: str, *values: ValueMatch) -> list[str]:
    return [t.name for t in rank_tables(Schema(tables), Question(text), values)]


def test_every_table_is_ranked_once() -> None:
    tables = (*filler(50), *SCHOOL, *BANK)
    for text in ("How many students are there?", "zzz", "", "?"):
        assert sorted(ranked(tables, text)) == sorted(t.name for t in tables)


def test_a_question_with_no_known_word_keeps_the_schemas_order() -> None:
    assert ranked((*SCHOOL, *BANK), "xyzzy") == [t.name for t in (*SCHOOL, *BANK)]


def test_words_match_through_plurals_cases_and_abbreviations() -> None:
    tables = (*filler(30), table("EMP", "salary"), table("tblDept", "BudgetYr"))
    assert ranked(tables, "Which employees earn most?")[0] == "EMP"
    assert ranked(tables, "departments by budget year")[0] == "tblDept"
    assert ranked(tables, "emp")[0] == "EMP"


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("who registered for it?", "registrations"),
        ("who is enrolled?", "enrolment"),
        ("how many people are there?", "persons"),
        ("the acc bal", "account_balances"),
    ],
)
def test_words_of_one_family_are_alike(asked: str, name: str) -> None:
    assert ranked((*filler(30), table(name, "x"), table("regional", "y")), asked)[0] == name


def test_a_stored_value_names_its_table() -> None:
    values = (ValueMatch("customer", "city", "Oslo", 1.0),)
    assert ranked((*filler(30), *BANK), "Who lives in Oslo?", *values)[0] == "customer"


def test_quoted_text_is_no_name() -> None:
    tables = (table("oslo", "x"), table("city", "name"), *filler(5))
    assert ranked(tables, "the city called 'oslo'")[0] == "city"


def test_the_table_between_two_that_are_asked_for_comes_with_them() -> None:
    order = ranked((*filler(200), *SCHOOL, *BANK), "the title of each student's courses")
    assert set(order[:3]) == {"student", "course", "enrolment"}


def test_tables_that_explain_the_question_together_come_before_stray_words() -> None:
    """`city` and `account` are also tables of their own elsewhere."""
    tables = (table("city", "mayor"), table("accounts_of_war", "author"), *filler(100), *BANK)
    order = ranked(tables, "customers' account balance by city")
    assert set(order[:2]) == {"customer", "account"}


def test_of_tables_with_one_name_those_beside_the_right_one_come_first() -> None:
    shops = [
        (table(f"shop{i}_orders", "total", to=(f"shop{i}_buyer",)), table(f"shop{i}_buyer", name))
        for i, name in enumerate([*["name"] * 12, "loyalty_card"])
    ]
    order = ranked(tuple(t for shop in shops for t in shop), "orders of buyers by loyalty card")
    assert set(order[:2]) == {"shop12_buyer", "shop12_orders"}


def test_odd_schemas_are_ranked() -> None:
    assert rank_tables(Schema(()), Question("anything"), ()) == []
    odd = (
        Table("empty", ()),
        table("select", "group", "order"),
        table('a"b', "x'y", "z z"),
        table("größe", "straße"),
        table("1", "2"),
        Table("lost", (Column("x"),), (ForeignKey(("x",), "nowhere", ("id",)),)),
        Table("self", (Column("x"),), (ForeignKey(("x",), "self", ("x",)),)),
    )
    assert ranked(odd, "select the group")[0] == "select"
    assert ranked(odd, "Welche Straße?")[0] == "größe"
    elsewhere = ValueMatch("no such table", "x", "y", 1.0)
    assert len(ranked(odd, "y", elsewhere)) == len(odd)


def test_of_columns_with_one_prefix_the_rest_of_the_name_tells() -> None:
    names = [f"patient_{word}" for word in ("weight", "birth_date", "ward")]
    wide = Table(
        "t", tuple(Column(f"patient_field_{i}") for i in range(60)) + tuple(map(Column, names))
    )
    order = [c.name for c in rank_columns(wide, Question("patient's date of birth"), ())]
    assert order[0] == "patient_birth_date"
    assert len(order) == 63
    assert rank_columns(Table("t", ()), Question("x"), ()) == []
    assert len(rank_columns(wide, Question(""), ())) == 63


def test_ranking_many_tables_is_fast() -> None:
    schema = Schema((*filler(800), *SCHOOL, *BANK))
    question = Question("What is the name of each student and the title of the courses?")
    rank_tables(schema, question, ())  # builds the index
    start = time.process_time()
    for _ in range(5):
        rank_tables(schema, question, ())
    assert (time.process_time() - start) / 5 < 0.1


# --- what of a large schema the prompt shows ------------------------------------------


def count(text: str) -> int:
    return len(text.encode()) // 3


def prompt_of(tables: tuple[Table, ...], text: str, *values: ValueMatch):
    return build_prompt(
        Schema(tables), Question(text), values, version="v2", budget=8000, count_tokens=count
    )


def test_a_large_schema_is_cut_though_it_would_fit() -> None:
    tables = (*filler(90), *SCHOOL)
    whole = build_prompt(Schema(tables), Question("x"), version="v2").prefix
    assert LARGE < len(whole.encode()) < 3 * 8000
    prompt = prompt_of(tables, "the title of each student's courses")
    assert count(prompt.prefix) < SHOWN + 100
    assert not {"student", "course", "enrolment"} & set(prompt.left_out)
    assert "join enrolment.student_id = student.id" in prompt.prefix
    shown = [t.name for t in tables if f"table {t.name}\n" in prompt.prefix]
    assert sorted([*shown, *prompt.left_out]) == sorted(t.name for t in tables)


def test_a_smaller_schema_is_whole_whatever_is_asked() -> None:
    one, two = (prompt_of((*filler(40), *SCHOOL), text) for text in ("students", "xyzzy"))
    assert one.prefix == two.prefix and one.left_out == two.left_out == ()


def test_values_of_what_is_left_out_are_not_shown() -> None:
    tables = filler(200)
    values = [ValueMatch(t.name, t.columns[1].name, "Ada", 1.0) for t in tables]
    prompt = prompt_of(tables, "Ada", *values)
    for t in tables:
        assert (f"{t.name}.{t.columns[1].name} = 'Ada'" in prompt.suffix) == (
            t.name not in prompt.left_out
        )


def test_a_lone_giant_table_fills_the_room_with_columns() -> None:
    giant = table("giant", *(f"column_number_{i}" for i in range(900)), "birthday")
    prompt = prompt_of((giant,), "earliest birthday")
    assert prompt.left_out == ()
    assert "giant.birthday" in prompt.prefix
    assert SHOWN * 0.7 < count(prompt.prefix) < SHOWN + 100
