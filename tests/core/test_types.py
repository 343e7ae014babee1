"""CheckedQuery: who can make one, and the tree that it carries."""

from __future__ import annotations

from pathlib import Path

import pytest

import t2sql_tui
from t2sql_tui.core.types import CHECK_KEY, CheckedQuery

PACKAGE = Path(t2sql_tui.__file__).parent


def test_only_the_check_holds_the_key() -> None:
    holders = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if "CHECK_KEY" in path.read_text(encoding="utf-8")
    }
    assert holders == {"core/types.py", "core/sql/check.py"}
    with pytest.raises(TypeError, match="made by"):
        CheckedQuery("DELETE FROM t", (), (), key=object())


def test_the_tree_counts_neither_for_equality_nor_in_the_repr() -> None:
    from t2sql_tui.core.sql.tree import parse

    with_tree = CheckedQuery("SELECT 1", ("1",), (), CHECK_KEY, parse("SELECT 1"))
    without = CheckedQuery("SELECT 1", ("1",), (), CHECK_KEY)
    assert with_tree == without and hash(with_tree) == hash(without)
    assert "tree" not in repr(with_tree)
