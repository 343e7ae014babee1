"""Fixtures that every folder of tests shares."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(Path(__file__).parent))  # for helpers such as tiny_gguf


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests on real weights take minutes and need 500 MB: they run where they are asked for."""
    if not os.environ.get("T2SQL_TEST_MODEL"):
        skip = pytest.mark.skip(reason="asks a real model; set T2SQL_TEST_MODEL=1 to run it")
        for item in items:
            if item.get_closest_marker("model"):
                item.add_marker(skip)


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
