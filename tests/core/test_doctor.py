"""The doctor tells a machine where the locks hold from one where they do not."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
from pathlib import Path

import pytest

from t2sql_tui.core import doctor
from t2sql_tui.core.database import connection, database
from t2sql_tui.core.doctor import run_doctor
from t2sql_tui.core.errors import DatabaseError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "it's mine.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute('CREATE TABLE "odd\'name" (a)')
    return path


def test_everything_holds_here(path: Path) -> None:
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    checks = run_doctor(path)
    assert len(checks) == 11
    assert [check for check in checks if not check.ok] == []
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("journal", ["WAL", "DELETE"])
def test_a_file_in_use(path: Path, journal: str) -> None:
    with contextlib.closing(sqlite3.connect(path)) as writer:
        writer.execute(f"PRAGMA journal_mode = {journal}")
        writer.execute('INSERT INTO "odd\'name" VALUES (2)')
        writer.commit()
        assert all(check.ok for check in run_doctor(path))


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    assert all(check.ok for check in run_doctor(tmp_path / "empty.db"))
    assert (tmp_path / "empty.db").stat().st_size == 0


def test_a_large_file_has_a_stand_in(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "COPY_BYTES", 10)
    checks = run_doctor(path)
    assert all(check.ok for check in checks)
    assert "stand-in" in checks[-2].detail


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError):
        run_doctor(tmp_path / "none.db")


def test_an_authorizer_that_allows_all_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (connection, doctor):
        monkeypatch.setattr(module, "is_allowed", lambda *told: True)
    failed = {check.name for check in run_doctor(path) if not check.ok}
    assert {"Authorizer, alone", "Nothing written"} <= failed
    assert "Your file" not in failed


def test_a_connection_that_may_write_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(uri: str) -> sqlite3.Connection:
        return sqlite3.connect(uri.replace("mode=ro", "mode=rw"), uri=True, isolation_level=None)

    monkeypatch.setattr(doctor, "connect", connect)
    failed = {check.name: check.detail for check in run_doctor(path) if not check.ok}
    assert "got through" in failed["Read-only connection, alone"]


def test_a_machine_that_cannot_stop_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = database.Database._run

    def slow(self, sql, *told):
        return run(self, "SELECT 1" if "RECURSIVE" in sql else sql)

    monkeypatch.setattr(database.Database, "_run", slow)
    failed = {check.name for check in run_doctor(path) if not check.ok}
    assert failed == {"Time limit", "Cancel", "Memory bounds", "Row limit"}
