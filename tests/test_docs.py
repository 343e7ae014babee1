"""The documents that a script writes are up to date, and name only what exists."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/architecture.md")


def test_the_list_of_files_is_up_to_date() -> None:
    spec = importlib.util.spec_from_file_location("architecture", ROOT / "scripts/architecture.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    text = script.DOCUMENT.read_text("utf-8")
    assert script.with_listing(text) == text, "run: make docs"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_linked_files_exist(name: str) -> None:
    document = ROOT / name
    for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text("utf-8")):
        assert (document.parent / target).exists(), target


@pytest.mark.parametrize("name", DOCUMENTS)
def test_files_named_in_text_exist(name: str) -> None:
    """`core/ask.py` and its like, by their path from some folder of the tree."""
    files = [
        path.relative_to(ROOT).as_posix()
        for pattern in ("*", "[!.]*/**/*")
        for path in ROOT.glob(pattern)
        if path.is_file()
    ]
    text = re.sub(r"<!-- files.*?/files -->", "", (ROOT / name).read_text("utf-8"), flags=re.S)
    for named in re.findall(r"[\w./-]+/[\w-]+\.(?:py|toml|sql|md|yml)\b", text):
        if "NAME" not in named and "//" not in named:
            end = "/" + named.removeprefix("../")
            assert any(f"/{file}".endswith(end) for file in files), named
