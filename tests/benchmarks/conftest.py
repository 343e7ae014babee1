from __future__ import annotations

from pathlib import Path

import pytest
from mini_spider import write_spider


@pytest.fixture
def spider(tmp_path) -> Path:
    """The folder of a data set with six questions on two databases."""
    return write_spider(tmp_path / "mini")
