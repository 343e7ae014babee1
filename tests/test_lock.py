"""requirements/*.txt are complete, hashed, and of the versions in constraints.txt."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def locked(part: str) -> dict[str, str]:
    text = (ROOT / "requirements" / f"{part}.txt").read_text()
    return {normal(name): version for name, version in re.findall(r"(?m)^([\w.-]+)==(\S+)", text)}


@pytest.mark.parametrize("part", ["app", "build"])
def test_every_package_has_hashes_and_the_version_that_was_tested(part: str) -> None:
    text = (ROOT / "requirements" / f"{part}.txt").read_text()
    for entry in re.split(r"\n(?=[\w])", text.partition("\n")[2]):
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry.splitlines()[0]
    lines = re.findall(r"(?m)^([\w.-]+)==(\S+)", (ROOT / "constraints.txt").read_text())
    tested = {normal(name): version for name, version in lines}
    for name, version in locked(part).items():
        assert tested.get(name, version) == version, name


def test_everything_that_the_app_needs_is_locked() -> None:
    """Run `make lock` where this fails."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {normal(re.match(r"[\w.-]+", line)[0]) for line in project["dependencies"]}  # type: ignore[index]
    assert needed <= locked("app").keys()
    assert {"cmake", "ninja", "scikit-build-core", "setuptools"} <= locked("build").keys()
