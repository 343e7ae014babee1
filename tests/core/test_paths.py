"""The folders of the program's files."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

import benchmarks
import t2sql_tui
import trainer
from t2sql_tui.core import paths


def test_the_folders_are_the_systems_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("XDG folders are Linux's")
    monkeypatch.delenv("T2SQL_MODELS", raising=False)
    monkeypatch.delenv("T2SQL_CACHE", raising=False)
    for name in ("CACHE", "DATA", "STATE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
    cache, data = tmp_path / "cache/t2sql-tui", tmp_path / "data/t2sql-tui"
    assert paths.models_folder() == cache / "models"
    assert paths.kv_folder() == cache / "kv"
    assert paths.value_index_folder() == cache / "values"
    assert paths.demo_folder() == cache / "demo"
    assert paths.tools_cache_folder() == cache
    assert paths.history_folder() == data
    assert paths.datasets_folder() == data / "data"
    assert paths.log_folder() == tmp_path / "state/t2sql-tui/log"
    assert list(tmp_path.iterdir()) == []


def test_environment_variables_override_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("T2SQL_MODELS", "~/weights")
    monkeypatch.setenv("T2SQL_CACHE", "cache")
    assert paths.models_folder() == Path.home() / "weights"
    assert paths.tools_cache_folder() == Path("cache")


def test_nobody_else_asks_platformdirs() -> None:
    asking = {
        path.name
        for package in (t2sql_tui, benchmarks, trainer)
        for path in Path(package.__path__[0]).rglob("*.py")
        if re.search(r"^\s*(import|from) platformdirs", path.read_text("utf-8"), re.M)
    }
    assert asking == {"paths.py"}
