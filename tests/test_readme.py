"""The README says what was measured, and names only what is there."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text("utf-8")


def test_figures_of_the_app_are_those_of_the_results_file() -> None:
    spec = importlib.util.spec_from_file_location("measure_app", ROOT / "scripts/measure_app.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert script.table(json.loads(script.RESULT.read_text("utf-8"))) in README


def test_linked_files_exist() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target


def test_the_number_of_attacks_is_counted() -> None:
    said = int(re.search(r"against (\d+)\s+hostile statements", README).group(1))
    attacks = (ROOT / "tests/core/database/attacks.sql").read_text("utf-8")
    assert said == len(re.findall(r"^--! ", attacks, re.M))
