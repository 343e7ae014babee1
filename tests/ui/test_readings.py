"""Several readings of a question: shown, compared, picked; and what a person wrote is kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Static

from t2sql_tui.core.ask import ask
from t2sql_tui.core.sql.check import check
from t2sql_tui.core.types import Candidate, CheckedQuery, Limits, QueryResult, Reading
from t2sql_tui.ui.messages import QueryApproved, RowsFetched
from t2sql_tui.ui.widgets.readings import AgreementLine

from .conftest import Driver, run_app
from .test_screens import compare, screen_text, shop_demo  # noqa: F401

ALL = "SELECT city, count(*) AS n FROM customers GROUP BY city"
NAMED = "SELECT city, count(*) AS n FROM customers WHERE city <> '' GROUP BY city"
NAMES = "SELECT name FROM customers"
LAID_OUT = "SELECT city, count(*) AS n\nFROM customers\nGROUP BY city"


_SENTENCES = {
    "error": "It fails when it runs.",
    "timeout": "It takes long.",
    "empty": "It finds no rows.",
    "unused-join": "It joins a table that it then makes no use of.",
    "cross-product": "It joins tables without a condition.",
}


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch):
    """Sets what the model is made to find: (SQL, votes) pairs or whole readings."""

    def find(*found: Any, confidence: float | None = None, rows: int = 20) -> None:
        def fake(question, database, backend, options, **callbacks):
            answer = ask(question, database, backend, options, **callbacks)
            readings = []
            for sql, votes, *warnings in found:
                query = check(sql, database)
                assert isinstance(query, CheckedQuery), query.message
                result: QueryResult | None = None
                if not {"error", "timeout"} & set(warnings):
                    result = database.run(query, Limits(rows=rows))
                candidate = Candidate(sql, sql, verdict=query)
                said = tuple(_SENTENCES[name] for name in warnings)
                readings.append(
                    Reading(
                        candidate,
                        votes,
                        votes / 4,
                        tuple(warnings),
                        result,
                        warning_sentences=said,
                    )
                )
            return replace(
                answer,
                candidate=readings[0].candidate,
                readings=tuple(readings),
                confidence=confidence if options.states_confidence else None,
            )

        monkeypatch.setattr("t2sql_tui.core.ask.ask", fake)

    return find


def line(d: Driver) -> str:
    agreement = d.bench.query_one(AgreementLine)
    return agreement.text if agreement.display else ""


async def test_candidates_are_run_and_grouped_by_their_rows(shop: Path) -> None:
    async with run_app(shop, [(ALL, f"{ALL} ORDER BY 1", NAMED)]) as d:
        await d.ask("Cities?")
        assert line(d) == "2 of 3 agree; 1 gives other rows."
        await d.press("o")
        assert "WHERE" in d.bench.sql.text
    async with run_app(shop, [(ALL, NAMED)], compare=False) as d:
        await d.ask("Cities?")
        assert line(d) == "" and len(d.session.versions.items) == 1


async def test_agreement_alone_is_one_line(shop: Path, model) -> None:
    model((ALL, 4), confidence=0.96)
    async with run_app(shop) as d:
        assert line(d) == ""
        await d.ask("Cities?")
        assert line(d) == "Sure (96 %) · 4 of 4 candidates agree."
        await d.press("o")
        assert d.bench.sql.text == LAID_OUT and not d.bench.readings.display
        d.bench.action_new_question()
        await d.press("f6", "down", "p")  # another SQL: what was said of the first is gone
        await d.until(lambda: d.session.phase == "done")
        assert line(d) == ""


async def test_one_key_goes_through_the_readings_and_runs_nothing(shop: Path, model) -> None:
    model((ALL, 3), (NAMED, 1), confidence=0.87)
    async with run_app(shop, size=(80, 24)) as d:
        await d.ask("Cities?")
        assert line(d) == "Sure (87 %) · 3 of 4 agree; 1 gives other rows."
        assert d.bench.results.display and "o Readings" in screen_text(d.app)
        await d.press("o")
        assert "WHERE city <> ''" in d.bench.sql.text and d.session.phase == "proposed"
        assert "Reading 2 of 2 (1 of 4 candidates)" in line(d)
        assert "Reads customers (city)" in d.status
        for words in ("1 row in both", "0 only in 2", "2 only in 1", "− NULL │ 1"):
            assert words in screen_text(d.app)
        await d.press("o")
        assert d.bench.sql.text == LAID_OUT
        assert d.names(QueryApproved, RowsFetched) == []
        await d.press("o", "a")
        await d.until(lambda: d.session.phase == "done")
        assert d.bench.results.grid.result.rows == (("Oslo", 2),)
        assert d.bench.results.display and not d.bench.readings.display
        assert d.session.turn and "WHERE" in d.session.turn.sql, (
            "the next question follows this one"
        )
        await d.press("o")
        assert d.bench.readings.display
        assert d.bench.results.border_title == "Results of the query before"
        await d.press("escape")
        assert d.bench.results.display and not d.bench.readings.display


async def test_a_reading_made_from_the_first_says_what_was_changed(shop: Path) -> None:
    total = "SELECT sum(customers.id) FROM customers JOIN orders ON customer_id = customers.id"
    async with run_app(shop, [total]) as d:
        await d.ask("The sum of the ids of customers with orders?")
        assert "adds up some rows more than once" in line(d)
        await d.press("o")
        assert "IN (" in d.bench.sql.text
        words = " ".join(screen_text(d.app).split())
        assert "2 1 row Each row of customers counts once" in words, screen_text(d.app)


async def test_rows_of_another_reading_are_neither_continued_nor_exported(
    shop: Path, model
) -> None:
    model(("SELECT id FROM orders", 3), ("SELECT note FROM orders", 1))
    async with run_app(shop) as d:
        await d.ask("Orders?")
        await d.press("a")
        await d.until(lambda: d.session.phase == "done")
        assert d.bench.check_action("more", ())
        await d.press("o")
        assert not d.bench.check_action("more", ()), "it would run what nobody approved"
        await d.press("ctrl+e")
        assert d.app.screen.checked.sql == "SELECT id FROM orders"


async def test_a_hand_edited_sql_is_never_lost(shop: Path, model) -> None:
    model((ALL, 3), (NAMED, 1))
    async with run_app(shop) as d:
        await d.ask("Cities?")
        await d.press("e")
        d.bench.sql.editor.text = "SELECT 7 AS seven"
        await d.pilot.pause()
        await d.press("o")  # goes into the text
        assert d.bench.sql.text == "oSELECT 7 AS seven"
        d.bench.sql.editor.text = "SELECT 7 AS seven"
        await d.press("escape")
        assert line(d) == "Your own SQL."
        await d.press("o")
        assert d.bench.sql.text == LAID_OUT
        await d.press("o", "o")
        assert d.bench.sql.text == "SELECT 7 AS seven" and d.session.phase == "edited"
        await d.press("a")
        await d.until(lambda: d.session.phase == "done")
        assert d.bench.results.grid.result.rows == ((7,),)
        # Going on from there; and a click on the list while the editor is open.
        await d.press("o", "o", "o", "e")
        d.bench.sql.editor.text = "SELECT 8 AS eight"
        await d.pilot.pause()
        await d.pilot.click("#versions", offset=(5, 1))
        await d.until(lambda: "WHERE" in d.bench.sql.text)
        assert [v.sql for v in d.session.versions.items[2:]] == ["SELECT 8 AS eight"]


async def test_an_edit_of_a_lone_answer_is_kept_beside_it(shop: Path) -> None:
    async with run_app(shop, [NAMES]) as d:
        await d.ask("Names?")
        await d.press("e")
        d.bench.sql.editor.text = "SELECT 7 AS seven"
        await d.press("f5")
        await d.until(lambda: d.session.phase == "done")
        await d.press("o")
        assert d.bench.sql.text == "SELECT name\nFROM customers"
        await d.press("o")
        assert d.bench.sql.text == "SELECT 7 AS seven"


@pytest.mark.parametrize("way", ["keys", "number", "mouse"])
async def test_unsure_it_asks_which_is_meant(shop: Path, model, way: str) -> None:
    model((ALL, 2), (NAMED, 1), (NAMES, 1), confidence=0.34)
    async with run_app(shop, size=(80, 24)) as d:
        await d.ask("Cities?")
        assert line(d).endswith("2 give other rows. Which do you mean?")
        assert "Which do you mean?" in d.bench.readings.border_title
        assert "3 rows · 2 of 4" in screen_text(d.app) and "Shows name." in screen_text(d.app)
        assert d.bench.query_one("#versions").has_focus
        if way == "keys":
            await d.press("down", "down", "enter")
        elif way == "number":
            await d.press("3", "enter")
        else:
            await d.pilot.click("#versions", offset=(5, 2))
        await d.until(lambda: not d.session.versions.undecided)
        assert d.bench.sql.text == "SELECT name\nFROM customers"
        assert "Reading 3 of 3" in line(d) and d.bench.sql.editor.has_focus
        assert d.names(QueryApproved) == []
        await d.press("enter")
        await d.until(lambda: d.session.phase == "done")
        assert len(d.bench.results.grid.result.rows) == 4


async def test_unsure_of_a_single_reading_it_says_so(shop: Path, model) -> None:
    model(("SELECT name FROM customers WHERE city = 'Rome'", 4, "empty"), confidence=0.2)
    async with run_app(shop, size=(80, 24)) as d:
        await d.ask("Romans?")
        assert "It finds no rows. This database may not be able to answer" in line(d)
        assert d.bench.sql.editor.has_focus


async def test_readings_without_rows_and_with_strange_rows(shop: Path, model) -> None:
    odd = (
        "SELECT '[b]\x1b' || char(10, 8238) || '顧客 🤷' AS \"a[/]\", x'00ff', NULL, id"
        " FROM customers"
    )
    model(
        (odd, 9),
        (NAMES, 4, "error"),
        (ALL, 2, "unused-join", "cross-product"),
        ("SELECT id FROM orders", 1),
        rows=3,
    )
    async with run_app(shop, size=(80, 24)) as d:
        await d.ask("Odd?")
        assert "9 of 16 agree; 3 give other rows, 4 could not be run to the end." in line(d)
        await d.press("o")
        assert "It fails when it runs." in line(d) and "rows unknown" in screen_text(d.app)
        await d.press("o")
        assert "It joins a table that it then makes no use of." in line(d)
        await d.press("o")
        assert "Compared: the first 3 rows." in screen_text(d.app)
        await d.press("o")
        assert "+ [b]␛↵�顧客 🤷 │ x'00ff'" in str(d.bench.query_one("#only-here", Static).content)
        for width, height in ((40, 16), (20, 8), (250, 70), (80, 24)):
            await d.pilot.resize_terminal(width, height)
            await d.press("o")


async def test_sixteen_long_readings(shop: Path, model) -> None:
    long = " AND ".join(f"name <> 'somebody else {i}'" for i in range(40))
    model(*((f"SELECT name FROM customers WHERE id > {i} AND {long}", 1) for i in range(16)))
    async with run_app(shop, size=(80, 24)) as d:
        await d.ask("Many?")
        assert "1 of 16 candidates gives these rows; 15 give other rows" in line(d)
        for _ in range(16):
            await d.press("o")
        assert d.session.versions.index == 0


async def test_the_line_can_be_clicked(shop: Path, model) -> None:
    model((ALL, 3), (NAMED, 1))
    async with run_app(shop, size=(80, 24)) as d:
        await d.ask("Cities?")
        lines = screen_text(d.app).splitlines()
        y = next(y for y, text in enumerate(lines) if "o compares" in text)
        await d.pilot.click(offset=(lines[y].index("o compares") + 1, y))
        await d.until(lambda: d.session.versions.index == 1)


async def test_running_candidates_can_be_switched_off_for_good(shop: Path) -> None:
    async with run_app(shop) as d:
        assert d.app.state.options.compare and "Candidates run briefly" in d.status
        commands = {c.title: c.callback for c in d.app.get_system_commands(d.bench)}
        commands["Run nothing before approval"]()
        await d.until(lambda: d.app.history.preference("compare") == "off")
    async with run_app(shop) as d:
        assert not d.app.state.options.compare and "You see the SQL before it runs" in d.status
    async with run_app(shop, compare=True) as d:
        assert d.app.state.options.compare


@pytest.mark.parametrize("size", [(80, 24), (160, 50)], ids=lambda size: f"{size[0]}x{size[1]}")
async def test_how_it_looks(shop_demo: Path, size: tuple[int, int], model) -> None:  # noqa: F811
    by_country = "SELECT country_code, count(*) AS customers FROM customers GROUP BY country_code"
    opted_in = by_country.replace("GROUP", "WHERE newsletter = 1 GROUP")
    model((by_country, 3), (opted_in, 1), confidence=0.87)
    async with run_app(shop_demo, size=size) as d:
        await d.ask("How many customers are there in each country?")
        await compare(d, "agreement")
        await d.press("o")
        await compare(d, "compared")
        model((by_country, 2), (opted_in, 2), confidence=0.34)
        await d.ask("How many customers are there in each country?")
        await compare(d, "unsure")


async def test_another_answer_is_one_sample_of_which_nobody_knows_how_sure_it_is(
    shop: Path, model
) -> None:
    model((ALL, 1), confidence=0.96)
    async with run_app(shop) as d:
        await d.ask("Cities?")
        assert line(d) == "Sure (96 %)."
        await d.press("r")
        await d.until(lambda: "stays with" in d.status)
        assert line(d) == ""
