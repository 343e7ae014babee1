from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from t2sql_tui.core.database.database import Database, open_database
from tests.database_files import make


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """`t (a, b)` with 1,000 rows."""
    with open_database(make(tmp_path / "t.sqlite", rows=1000)) as opened:
        yield opened
