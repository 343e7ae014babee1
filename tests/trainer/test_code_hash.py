"""Kept files are made again when the code that decides them changes, and only then."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainer import code_hash, data
from trainer.synthesis import generate


def test_an_artefact_depends_on_the_whole_prompt_path():
    modules = code_hash.imported_modules("trainer.examples", data._DECIDING)
    assert modules >= {
        "trainer.examples",
        "trainer.schema_variants",
        "trainer.sql_style",
        "t2sql_tui.core.english",
        "t2sql_tui.core.database.schema",
        "t2sql_tui.core.prompting.chat",
        "t2sql_tui.core.prompting.prompt",
        "t2sql_tui.core.prompting.schema_linking",
        "t2sql_tui.core.prompting.value_index",
        "t2sql_tui.core.prompting.value_matching",
        "benchmarks.metrics.execution",
        "benchmarks.metrics.hardness",
    }
    assert not modules & {"trainer.base", "trainer.fit", "trainer.cli", "t2sql_tui.core.ask"}


def test_generated_questions_depend_on_every_module_that_writes_them():
    modules = code_hash.imported_modules("trainer.synthesis.generate", generate._DECIDING)
    folder = Path(generate.__file__).parent
    assert {path.stem for path in folder.glob("[a-z]*.py")} == {
        name.rpartition(".")[2] for name in modules if name.startswith("trainer.synthesis.")
    }
    assert {"trainer.sql_style", "t2sql_tui.core.sql.check"} <= modules


@pytest.fixture
def tree(tmp_path, monkeypatch) -> Path:
    """app.one -> app.two (inside a function) -> other.three."""
    for package in ("app", "other"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("")
    (tmp_path / "app" / "one.py").write_text("def f():\n    from app import two\n")
    (tmp_path / "app" / "two.py").write_text("import os\nimport other.three\n")
    (tmp_path / "other" / "three.py").write_text("")
    monkeypatch.setattr(code_hash, "_ROOT", tmp_path)
    code_hash.imported_modules.cache_clear()
    yield tmp_path
    code_hash.imported_modules.cache_clear()


@pytest.mark.parametrize(
    ("followed", "changed", "same"),
    [
        (("app",), "app/two.py", False),
        (("app",), "other/three.py", True),
        (("app", "other"), "other/three.py", False),
        (("app.nothing",), "app/two.py", True),
    ],
)
def test_the_hash_changes_with_the_followed_imports_alone(tree, followed, changed, same):
    before = code_hash.code_hash("app.one", followed)
    with (tree / changed).open("a") as file:
        file.write("# changed\n")
    assert (code_hash.code_hash("app.one", followed) == before) == same
