"""Fixtures that every folder of tests shares."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The data sets: $T2SQL_DATA, else ../shared/data. Skips where there are none."""
    for folder in (os.environ.get("T2SQL_DATA"), ROOT.parent / "shared" / "data"):
        if folder and (Path(folder) / "spider" / "tables.json").is_file():
            return Path(folder)
    pytest.skip("no data sets: set T2SQL_DATA (see `benchmarks fetch --help`)")
