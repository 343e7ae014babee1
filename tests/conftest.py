"""Fixtures that every folder of tests shares."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(Path(__file__).parent))  # for helpers such as tiny_gguf


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The data sets: $T2SQL_DATA, else ../shared/data. Skips where there are none."""
    for folder in (os.environ.get("T2SQL_DATA"), ROOT.parent / "shared" / "data"):
        if folder and (Path(folder) / "spider" / "tables.json").is_file():
            return Path(folder)
    pytest.skip("no data sets: set T2SQL_DATA (see `benchmarks fetch --help`)")


@pytest.fixture(scope="session")
def tiny_gguf(tmp_path_factory) -> Path:
    """A random qwen2 model in a GGUF file; see tiny_gguf.py for what is in it."""
    from tiny_gguf import write_tiny_gguf

    return write_tiny_gguf(tmp_path_factory.mktemp("tiny") / "tiny-qwen2.gguf")
