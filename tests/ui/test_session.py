"""The state machine of one open file, without a screen."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from t2sql_tui.backends.scripted import ScriptedBackend
from t2sql_tui.core.ask import ask
from t2sql_tui.core.database.database import open_database
from t2sql_tui.core.sql.check import check
from t2sql_tui.core.types import (
    APP_OPTIONS,
    CheckedQuery,
    Limits,
    Problem,
    Rejection,
    Turn,
)
from t2sql_tui.ui.jobs import propose
from t2sql_tui.ui.session import Request, Session
from t2sql_tui.ui.state import AppState
from t2sql_tui.ui.versions import Proposal

NAMES = "SELECT name FROM customers"
CITIES = "SELECT city FROM customers"


@pytest.fixture
def session(shop: Path) -> Iterator[Session]:
    """A session of the shop, with a model."""
    state = AppState("scripted", APP_OPTIONS, Limits())
    session = Session("shop.sqlite", state)
    state.backend = ScriptedBackend(replies=[NAMES])
    database = open_database(shop)
    session.attach(database, str(shop), [])
    yield session
    database.close()


def answer(request: Request | None, *replies: str) -> Proposal:
    """What the worker makes of a request where the model writes these candidates."""
    assert request is not None
    backend = ScriptedBackend(replies=[replies])
    options = replace(request.options, repairs=0)
    return propose(ask(request.question, request.database, backend, options), request.database)


def propose_sql(session: Session, question: str, *replies: str) -> None:
    """Ask, and put the first version of the answer into the editor."""
    session.ask(question)
    request = session.request()
    assert request
    assert session.take(request.job, answer(request, *replies)) == "proposed"
    session.choose(session.versions.current.sql)


def checked(session: Session, sql: str) -> CheckedQuery:
    assert session.database
    query = check(sql, session.database)
    assert isinstance(query, CheckedQuery)
    return query


def allowed(session: Session) -> set[str]:
    actions = "approve edit regenerate explain more readings cancel leave_editor check_and_run"
    return {action for action in actions.split() if session.can(action)}


def test_it_needs_no_textual_and_the_app_is_there_before_the_parser() -> None:
    for module, heavy in (("session", ["sqlglot", "textual"]), ("app", ["sqlglot"])):
        code = f"import sys, t2sql_tui.ui.{module}; print([m for m in {heavy} if m in sys.modules])"
        done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True)
        assert done.stdout == b"[]\n", module


def test_the_course_of_a_question(session: Session) -> None:
    phases: list[str] = []
    session.on_phase_changed = lambda: phases.append(session.phase)
    assert session.phase == "idle" and allowed(session) == {"edit"}
    propose_sql(session, "Who?", NAMES)
    assert allowed(session) == {"approve", "edit", "regenerate", "explain"}
    assert session.turn == Turn("Who?", NAMES)
    query = session.approved(session.shown_sql)
    assert query and query.sql == NAMES and session.reads == {"customers": ("name",)}
    job = session.begin_run()
    assert allowed(session) == {"cancel"} and session.is_current(job)
    session.finish_run(query)
    assert allowed(session) == {"approve", "edit", "regenerate", "explain", "more"}
    assert phases == ["generating", "proposed", "running", "done"]


def test_a_question_waits_for_the_model(session: Session) -> None:
    backend, session.state.backend = session.state.backend, None
    session.ask("Who?")
    assert session.request() is None and session.phase == "queued"
    assert allowed(session) == {"cancel"}
    assert not session.take_queued(), "the model is not there yet"
    session.state.backend = backend
    assert session.take_queued()
    request = session.request()
    assert request and request.question.text == "Who?" and session.phase == "generating"


def test_a_question_waits_for_the_file(shop: Path) -> None:
    state = AppState("scripted", APP_OPTIONS, Limits(), backend=ScriptedBackend())
    session = Session("shop.sqlite", state)
    assert allowed(session) == set()
    session.ask("Who?")
    assert session.request() is None and session.phase == "queued"
    session.attach(open_database(shop), "key", [])
    assert session.take_queued()


def test_a_question_that_is_taken_back_is_not_asked(session: Session) -> None:
    session.state.backend = None
    session.ask("Who?")
    session.request()
    session.stop()
    session.state.backend = ScriptedBackend()
    assert session.phase == "idle" and not session.take_queued()


def test_what_a_stopped_worker_brings_back_is_stale(session: Session) -> None:
    session.ask("Who?")
    request = session.request()
    assert request
    stopped = session.stopper(request.job)
    assert not stopped()
    session.stop()
    assert stopped() and session.phase == "idle"
    assert session.take(request.job, answer(request, NAMES)) == "stale"
    assert session.answer is None and not session.fail("generate", request.job)


def test_every_worker_stops_when_the_app_closes(session: Session) -> None:
    stopped = session.stopper(session.begin_check())
    assert not stopped()
    session.state.quitting = True
    assert stopped()


def test_work_ends_in_what_was_there_before(session: Session) -> None:
    propose_sql(session, "Who?", NAMES)
    session.begin_run()
    session.stop()
    assert session.phase == "proposed", "approved SQL can be approved again"
    job = session.begin_run()
    assert session.fail("run", job) and session.phase == "proposed"
    job = session.begin_check()
    assert session.fail("check", job) and session.phase == "idle"


def test_a_follow_up_carries_the_turn_before_it(session: Session) -> None:
    propose_sql(session, "Who?", NAMES)
    session.ask("And where?")
    request = session.request()
    assert request and request.question.history == (Turn("Who?", NAMES),)
    session.new_conversation()
    session.ask("Something else?")
    request = session.request()
    assert request and request.question.history == ()


def test_another_answer_is_one_sample_with_the_context_of_the_first(session: Session) -> None:
    propose_sql(session, "Who?", NAMES)
    propose_sql(session, "And where?", CITIES)
    session.ask_again()
    request = session.request()
    assert request and request.options.settings.candidates == 1
    assert request.question.history == (Turn("Who?", NAMES),), "not its own first answer"


def test_it_asks_until_the_sql_differs_and_gives_up(session: Session) -> None:
    propose_sql(session, "Who?", NAMES)
    session.ask_again()
    outcomes = []
    while not outcomes or outcomes[-1] == "ask again":
        request = session.request()
        assert request
        outcomes.append(session.take(request.job, answer(request, NAMES)))
    assert outcomes == ["ask again", "ask again", "proposed"] and session.repeats
    session.ask_again()
    request = session.request()
    assert request
    assert session.take(request.job, answer(request, CITIES)) == "proposed"
    assert not session.repeats


def test_an_answer_that_cannot_run_is_rejected(session: Session) -> None:
    session.ask("Who?")
    request = session.request()
    assert request
    assert session.take(request.job, answer(request, "SELECT nme FROM customers")) == "rejected"
    session.reject()
    assert allowed(session) == {"edit", "regenerate"}
    assert session.turn is None and len(session.versions) == 0


def test_an_edit_has_to_be_checked(session: Session) -> None:
    propose_sql(session, "Who?", NAMES)
    session.edit()
    assert allowed(session) == {"approve", "leave_editor", "check_and_run"}
    assert session.approved(CITIES) is None
    assert not session.leave_editor(CITIES) and session.phase == "edited"
    assert session.begin_check() == session.job
    session.accept(checked(session, CITIES), {"customers": ("city",)}, CITIES)
    assert session.phase == "proposed" and session.approved(CITIES)
    assert session.turn == Turn("Who?", CITIES), "the next question follows the edit"


def test_an_editor_that_is_left_unchanged_holds_what_was_proposed(session: Session) -> None:
    propose_sql(session, "Who?", NAMES)
    session.edit()
    assert session.leave_editor(session.shown_sql) and session.phase == "proposed"


def test_going_through_the_versions(session: Session) -> None:
    propose_sql(session, "Who?", NAMES, CITIES)
    versions = session.versions
    assert session.can("readings") and len(versions) == 2
    versions.go_to(versions.next_index)
    session.choose(versions.current.sql)
    assert session.query and session.query.sql == CITIES
    assert session.turn == Turn("Who?", CITIES)
    assert versions.keep("SELECT 7") and len(versions) == 3
    session.choose("SELECT 7")
    assert session.phase == "edited" and session.query is None
    assert versions.keep("SELECT 8") and versions.items[2].sql == "SELECT 8"
    assert not versions.keep("SELECT 8") and not versions.keep("")
    assert versions.keep(versions.items[0].sql) and versions.index == 0


def test_more_rows_are_fetched_only_of_the_sql_on_screen(session: Session) -> None:
    propose_sql(session, "Who?", NAMES, CITIES)
    assert session.query
    session.finish_run(session.query)
    assert session.can("more")
    session.versions.go_to(1)
    session.choose(session.versions.current.sql)
    assert not session.can("more")


def test_a_preview_answers_no_question_and_keeps_the_conversation(session: Session) -> None:
    propose_sql(session, "Who?", NAMES)
    session.preview()
    session.accept(checked(session, CITIES), {}, CITIES)
    assert session.turn == Turn("Who?", NAMES) and session.answer is None
    assert "regenerate" not in allowed(session)


def test_an_entry_of_the_history_begins_a_conversation(session: Session) -> None:
    propose_sql(session, "Who?", NAMES)
    session.recall("Where?")
    assert session.turn is None
    session.accept(checked(session, CITIES), {}, CITIES)
    assert session.turn == Turn("Where?", CITIES)


def test_it_says_what_runs_and_for_how_long(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr("t2sql_tui.ui.session.time.monotonic", lambda: now)
    assert session.progress_text() is None
    session.ask("Who?")
    session.request()
    text = "Writing SQL, running candidates to compare…"
    assert session.progress_text() == (text, "Esc stops", "busy")
    now = 102.6
    assert session.progress_text() == (text, "3 s · Esc stops", "busy")
    session.repair(1, Rejection("x", (Problem("other", "no such\ncolumn"),)))
    progress = session.progress_text()
    assert progress and progress.text == "Repairing (1 of 2): no such↵column"
    session.state.options = replace(session.state.options, compare=False)
    session.ask("Who?")
    session.request()
    progress = session.progress_text()
    assert progress and progress.text == "Writing SQL…"


def test_a_change_of_the_file_is_noticed_once(session: Session, shop: Path) -> None:
    assert not session.file_changed()
    shop.write_bytes(shop.read_bytes() + b"\0" * 4096)
    session.begin_check()
    assert not session.file_changed(), "not while it works"
    session.stop()
    assert session.file_changed() and not session.file_changed()


@pytest.mark.parametrize(
    ("confidence", "text", "hint", "tone", "asks"),
    [
        (None, "1 of 2 candidates gives these rows; 1 gives other rows.", "o compares", "", 0),
        (0.95, "Sure (95 %) · 1 of 2 candidates gives these", "o compares", "good", 0),
        (0.3, "Unsure (30 %) · 1 of 2 candidates gives these", "", "warning", 1),
    ],
)
def test_what_is_said_of_the_versions(
    session: Session, confidence: Any, text: str, hint: str, tone: str, asks: int
) -> None:
    session.ask("Who?")
    request = session.request()
    assert request
    candidates = answer(request, NAMES, "SELECT note FROM orders").answer
    session.take(request.job, propose(replace(candidates, confidence=confidence), request.database))
    line = session.versions.describe(session.versions.current.sql)
    assert line.text.startswith(text) and (line.hint, line.tone) == (hint, tone)
    assert session.versions.undecided == bool(asks) == line.text.endswith("Which do you mean?")
    session.versions.go_to(1)
    line = session.versions.describe(session.versions.current.sql)
    assert line.text.startswith("Reading 2 of 2 (1 of 2 candidates).")
    session.versions.go_to(0)
    session.versions.settle()
    line = session.versions.describe(session.versions.current.sql)
    assert line.text.startswith("Reading 1 of 2" if asks else text)
    session.versions.keep("SELECT 7")
    assert session.versions.describe(session.versions.current.sql) == (
        "Your own SQL.",
        "o goes back to the model's",
        "",
    )
