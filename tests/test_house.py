"""The limits that scripts/house.py counts are kept, and it counts right."""

from __future__ import annotations

import ast
import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def house():
    spec = importlib.util.spec_from_file_location("house", ROOT / "scripts/house.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["house"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules["house"]


def test_no_module_is_in_an_import_cycle(house) -> None:
    graph = house.import_graph(ROOT)
    assert len(graph) > 100
    assert house.cycles(graph) == []


def test_no_function_has_too_many_parameters(house) -> None:
    assert [place for place, node in house.functions(ROOT) if house.parameter_count(node) > 8] == []


def test_the_formatter_is_nowhere_switched_off(house) -> None:
    assert house.fmt_skips(ROOT) == []


def test_cycles_are_found(house) -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set(), "e": {"f"}, "f": {"e", "a"}}
    assert sorted(house.cycles(graph)) == ["b <-> c", "e <-> f"]
    assert house.cycles({"a": {"b", "c"}, "b": {"d"}, "c": {"d"}, "d": set()}) == []


def test_imports_inside_functions_count_and_those_for_types_do_not(house, tmp_path) -> None:
    for package in house.PACKAGES:
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("")
    (tmp_path / "trainer/one.py").write_text("def f():\n    from trainer import two\n")
    (tmp_path / "trainer/two.py").write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from trainer import one\n"
    )
    figures = house.measured_in_its_own_process(tmp_path, with_mypy=False)
    assert figures.cycles == [] and figures.modules == {"trainer": 2}
    (tmp_path / "trainer/two.py").write_text("from trainer import one\n")
    figures = house.measured_in_its_own_process(tmp_path, with_mypy=False)
    assert figures.cycles == ["trainer.one <-> trainer.two"]


def test_lines_and_parameters_are_counted(house) -> None:
    (function,) = ast.parse(
        'def f(self, a, *rest, b=1, **more):\n    """One\n    two."""\n    return (\n        a)\n'
    ).body
    assert house.parameter_count(function) == 2
    assert house.line_count(function) == 3
