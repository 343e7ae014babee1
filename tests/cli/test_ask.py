"""The command line: data on stdout, narration on stderr, documented exit codes."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from t2sql_tui.backends import scripted
from t2sql_tui.cli import main
from t2sql_tui.core.export import FORMATS


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    path = tmp_path / "my shop.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT)")
        connection.execute("INSERT INTO customer VALUES (1, 'Ada'), (2, 'B\x1b[31mo')")
    connection.close()
    return path


@pytest.fixture
def model_says(monkeypatch: pytest.MonkeyPatch):
    """Sets what the scripted backend replies."""

    def say(*replies) -> None:
        real = scripted.ScriptedBackend.__init__
        monkeypatch.setattr(
            scripted.ScriptedBackend,
            "__init__",
            lambda self, spec=None, **options: real(self, spec, replies, **options),
        )

    return say


def run(*args: str, stdin: str | None = None):
    return CliRunner().invoke(main, list(args), input=stdin)


def ask(*args: str, stdin: str | None = None):
    return run("ask", *args, "--backend", "scripted", stdin=stdin)


def test_ask_prints_the_sql_alone_on_stdout(shop: Path, model_says) -> None:
    model_says("SELECT name FROM customer;")
    result = ask(str(shop), "names?")
    assert (result.exit_code, result.stdout) == (0, "SELECT name FROM customer\n")
    assert "reads the question" in result.stderr


def test_sql_only_is_silent_on_stderr(shop: Path, model_says) -> None:
    model_says("SELECT name FROM customer")
    result = ask(str(shop), "names?", "--sql-only")
    assert (result.stdout, result.stderr) == ("SELECT name FROM customer\n", "")


def test_run_prints_rows_in_the_asked_format(shop: Path, model_says) -> None:
    model_says("SELECT id, name FROM customer WHERE id = 1")
    assert ask(str(shop), "q", "--run", "--format", "csv").stdout == "id,name\n1,Ada\n"
    assert json.loads(ask(str(shop), "q", "--run", "--format", "json").stdout) == [
        {"id": 1, "name": "Ada"}
    ]
    table = ask(str(shop), "q", "--run")
    assert "Ada" in table.stdout and "1 row" in table.stderr
    assert "SELECT id" in table.stderr and "SELECT id" not in table.stdout


def test_a_cut_result_says_so(shop: Path, model_says) -> None:
    model_says("SELECT id FROM customer")
    said = ask(str(shop), "q", "--run", "--limit", "1").stderr
    assert "1 row, and there are more: set --limit" in said


def test_formats_for_files_have_all_rows(shop: Path, model_says) -> None:
    model_says(
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 2000) SELECT x FROM n"
    )
    table = ask(str(shop), "q", "--run")
    assert "500 rows, and there are more" in table.stderr
    csv = ask(str(shop), "q", "--run", "--format", "csv")
    assert len(csv.stdout.splitlines()) == 2001
    assert "2,000 rows" in csv.stderr
    assert len(ask(str(shop), "q", "--run", "--format", "csv", "--limit", "7").stdout.split()) == 8


@pytest.mark.parametrize("limit", ["0", "-1", "many"])
def test_a_limit_is_a_number_of_rows(shop: Path, limit: str) -> None:
    assert ask(str(shop), "q", "--run", "--limit", limit).exit_code == 2


def test_an_unknown_demo_is_a_usage_error() -> None:
    assert run("ask", "--demo", "nosuch", "q").exit_code == 2


def test_a_file_without_tables_says_so(tmp_path: Path, model_says) -> None:
    (tmp_path / "empty.db").touch()
    result = ask(str(tmp_path / "empty.db"), "q")
    assert result.exit_code == 3
    assert "has no tables" in result.stderr


_ESCAPES = "SELECT name AS \"a\x1b]0;x\x07b\x9b31m\" FROM customer WHERE name <> '\x1b[2J\u202e'"


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo terminals")
@pytest.mark.parametrize(
    "options",
    [[], ["--sql-only"], ["--json"], ["--run"], ["--run", "--json"], ["--run", "--format", "csv"]]
    + [["--run", "--format", name] for name in ("tsv", "json", "jsonl", "markdown", "sql")],
    ids=" ".join,
)
def test_no_escape_sequence_reaches_a_terminal(shop: Path, options: list[str]) -> None:
    seen = _on_a_terminal(_ESCAPES, [str(shop), "q", *options])
    assert "customer" in seen or "a" in seen
    assert not set(seen) & {"\x07", "\x9b", "\u202e"}
    # What is left are click's own colours.
    assert not re.sub("\x1b\\[[0-9]*m", "", seen).count("\x1b")


def test_the_error_of_a_rejected_sql_has_no_escape_sequence(shop: Path) -> None:
    seen = _on_a_terminal('SELECT "x\x1b[31my" .z\x9b FROM nosuch', [str(shop), "q"])
    assert "\x9b" not in seen and "\x1b[31my" not in seen


def _on_a_terminal(reply: str, arguments: list[str]) -> str:
    """What `ask` writes to a pseudo terminal when the model says `reply`."""
    code = (
        "import sys; from t2sql_tui.backends import scripted; from t2sql_tui.cli import main\n"
        "backend = scripted.ScriptedBackend; real = backend.__init__\n"
        f"says = ({reply!r},)\n"
        "backend.__init__ = lambda self, spec=None, **o: real(self, spec, says, **o)\n"
        "main(['ask', *sys.argv[1:], '--backend', 'scripted'])"
    )
    ours, theirs = os.openpty()
    child = subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    seen = b""
    with contextlib.suppress(OSError):  # EIO: the other end was closed
        while chunk := os.read(ours, 65536):
            seen += chunk
    child.wait()
    os.close(ours)
    return seen.decode("utf-8", "surrogateescape")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_full_disk_is_said_without_a_traceback(shop: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "t2sql_tui", "ask", str(shop), "q", "--backend", "scripted"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 1
    assert "Cannot write the output" in done.stderr and "Traceback" not in done.stderr


def test_a_reader_that_has_seen_enough_is_no_error(shop: Path) -> None:
    program = [sys.executable, "-m", "t2sql_tui", "ask", str(shop), "q", "--backend", "scripted"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout and child.stderr
        child.stdout.close()
        said = child.stderr.read()
        assert child.wait() == 0
    assert b"Traceback" not in said


def test_stored_control_characters_do_not_reach_the_terminal(shop: Path, model_says) -> None:
    model_says("SELECT name FROM customer")
    assert "\x1b" not in ask(str(shop), "q", "--run").stdout


def test_the_question_may_come_from_stdin(shop: Path, model_says) -> None:
    model_says("SELECT 1")
    assert ask(str(shop), "-", stdin="how many?\n").exit_code == 0


@pytest.mark.parametrize(
    "reply", ["DROP TABLE customer", "I cannot help.", "", "SELECT nme FROM customer"]
)
def test_exit_code_5_when_there_is_no_usable_sql(shop: Path, model_says, reply: str) -> None:
    model_says(reply)
    before = hashlib.sha256(shop.read_bytes()).digest()
    result = ask(str(shop), "q", "--run")
    assert result.exit_code == 5 and result.stdout == ""
    assert "Ask in other words" in result.stderr
    assert hashlib.sha256(shop.read_bytes()).digest() == before


def test_exit_code_3_for_a_database_that_does_not_open(tmp_path: Path) -> None:
    result = ask(str(tmp_path / "none.sqlite"), "q")
    assert result.exit_code == 3 and "none.sqlite" in result.stderr
    (tmp_path / "text.txt").write_text("hello " * 1000)
    assert ask(str(tmp_path / "text.txt"), "q").exit_code == 3


def test_exit_code_4_for_a_model_that_is_not_there(shop: Path) -> None:
    result = run("ask", str(shop), "q", "--model", "gpt-17")
    assert (result.exit_code == 4 and "models" in result.stderr.lower()) or "Known" in result.stderr


def test_exit_code_2_for_a_wrong_command_line(shop: Path) -> None:
    assert ask(str(shop)).exit_code == 2
    assert ask(str(shop), "  ").exit_code == 2
    assert ask(str(shop), "q", "--run", "--sql-only").exit_code == 2
    assert ask(str(shop), "q", "--run", "--format", "xlsx").exit_code == 2


def test_a_demo_needs_no_file(model_says) -> None:
    model_says("SELECT count(*) FROM customers")
    answered = ask("--demo", "ecommerce", "how many?", "--run", "--format", "csv")
    assert answered.stdout.endswith("640\n")
    assert ask("--demo", "ecomerce", "how many?").exit_code == 2


def test_a_demo_has_a_question_of_its_own(model_says) -> None:
    model_says("SELECT count(*) FROM customers")
    result = run("ask", "--backend", "scripted", "--demo")
    assert result.exit_code == 0 and "640" in result.stdout and "How many" in result.stderr


def test_a_file_name_opens_the_app_which_needs_a_terminal(shop: Path) -> None:
    result = run(str(shop))
    assert result.exit_code == 1 and "terminal" in result.stderr


def test_help_names_the_formats_that_a_terminal_takes() -> None:
    text = " ".join(run("ask", "--help").output.split())
    names = ["table", *(name for name, format_ in FORMATS.items() if format_.text)]
    assert f"{', '.join(names[:-1])} or {names[-1]}." in text


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom t2sql_tui.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "heavy = {'textual', 'torch', 'llama_cpp', 'sqlglot', 'numpy', 'sqlite3'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "doctor" in out.stdout and out.stdout.endswith("[]\n")


NAMES, UPPER = "SELECT name FROM customer", "SELECT upper(name) FROM customer"


def test_it_says_how_far_the_candidates_agree(shop: Path, model_says) -> None:
    model_says((NAMES, f"{NAMES} ORDER BY 1", UPPER))
    assert "2 of 3 agree; 1 gives other rows." in ask(str(shop), "names?").stderr
    alone = ask(str(shop), "names?", "--no-compare")
    assert (alone.stdout, "agree" in alone.stderr) == (f"{NAMES}\n", False)


def test_json_carries_the_readings_and_with_run_the_rows(shop: Path, model_says) -> None:
    model_says((NAMES, UPPER, NAMES))
    found = json.loads(ask(str(shop), "names?", "--json").stdout)
    # Of the default model a confidence was fitted.
    assert found["sql"] == NAMES and 0 < found["confidence"] < 1
    first, second = found["readings"]
    assert (first["votes"], first["row_count"], first["warnings"]) == (2, 2, [])
    assert second["sql"] == UPPER and "rows" not in found
    found = json.loads(ask(str(shop), "names?", "--json", "--run", "--limit", "1").stdout)
    assert (found["rows"], found["truncated"]) == ([{"name": "Ada"}], True)
    found = json.loads(ask(str(shop), "names?", "--json", "--no-compare").stdout)
    assert (found["readings"], found["confidence"]) == ([], None)
    assert ask(str(shop), "names?", "--json", "--format", "csv").exit_code == 2
