"""What `pip install` puts on a machine is what the checkout has."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    # From a copy: what an earlier build left in build/ would be packed again. Without
    # isolation: no network is needed.
    for name in ("t2sql_tui", "benchmarks", "trainer", "models"):
        shutil.copytree(
            ROOT / name, folder / "copy" / name, ignore=shutil.ignore_patterns("__pycache__")
        )
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / "copy")
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--quiet",
            "--no-deps",
            "--no-build-isolation",
            "--no-index",
            "--wheel-dir",
            folder,
            folder / "copy",
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    (built,) = folder.glob("*.whl")
    return zipfile.ZipFile(built)


def test_every_module_is_in_the_wheel(wheel):
    for top in ("t2sql_tui", "benchmarks", "trainer"):
        modules = {str(path.relative_to(ROOT)) for path in (ROOT / top).rglob("*.py")}
        assert modules <= set(wheel.namelist())


def test_every_data_file_is_in_the_wheel(wheel):
    data = [
        ROOT / "t2sql_tui/py.typed",
        *ROOT.glob("t2sql_tui/ui/*.tcss"),
        ROOT / "benchmarks/report/style.css",
        *ROOT.glob("t2sql_tui/demo/*.sql"),
        *ROOT.glob("t2sql_tui/demo/*.json"),
        *ROOT.glob("trainer/recipes/*.toml"),
        *ROOT.glob("benchmarks/untidy/*/*.txt"),
    ]
    names = {str(path.relative_to(ROOT)) for path in data}
    names |= {
        f"t2sql_tui/models/{path.parent.name}/{path.name}" for path in ROOT.glob("models/*/*.*")
    }
    assert names and names <= set(wheel.namelist())


def test_the_installed_program_finds_its_models(wheel, tmp_path):
    wheel.extractall(tmp_path)
    code = (
        "from t2sql_tui.core.models import catalog\n"
        "print(catalog.__file__, *catalog.load_catalog())"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True, text=True
    ).stdout.split()
    assert Path(said[0]).is_relative_to(tmp_path)
    assert said[1:] == ["qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b", "smollm2-135m"]
