"""Writes the list of files in docs/architecture.md: `python scripts/architecture.py --write`.

Every module of the three packages is listed with the first sentence of its docstring. Without
--write the script checks that the document is up to date; a test does the same.
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "architecture.md"
BEGIN = "<!-- files: made by `python scripts/architecture.py --write` -->"
END = "<!-- /files -->"
PACKAGES = ("t2sql_tui", "benchmarks", "trainer")
SENTENCE = re.compile(r"(.+?[.?!])(?:\s|$)")


def summary(path: Path) -> str:
    """The first sentence of a module's docstring, on one line; "" where there is none."""
    text = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    paragraph = " ".join(text.partition("\n\n")[0].split())
    sentence = SENTENCE.match(paragraph)
    return (sentence.group(1) if sentence else paragraph).rstrip(".").replace("|", "\\|")


def listing() -> str:
    """The tables, one for each package folder, with the comments that mark where they begin."""
    parts = [BEGIN]
    folders = sorted({path.parent for name in PACKAGES for path in (ROOT / name).rglob("*.py")})
    for folder in sorted(folders, key=lambda f: PACKAGES.index(f.relative_to(ROOT).parts[0])):
        parts += [f"### {folder.relative_to(ROOT)}/", ""]
        if about := summary(folder / "__init__.py"):
            parts += [about if about.endswith("?") else f"{about}.", ""]
        files = sorted(path for path in folder.glob("*.py") if path.name != "__init__.py")
        if files:
            parts += ["| file | what it does |", "|---|---|"]
            parts += [f"| `{path.name}` | {summary(path)} |" for path in files]
            parts += [""]
    return "\n".join([*parts, END])


def with_listing(text: str) -> str:
    """The document's text with the list as it is now."""
    before, _, rest = text.partition(BEGIN)
    return before + listing() + rest.partition(END)[2]


def main() -> None:
    """Checks the document, or with --write brings it up to date."""
    text = DOCUMENT.read_text("utf-8")
    new = with_listing(text)
    if "--write" in sys.argv:
        DOCUMENT.write_text(new, encoding="utf-8")
    elif new != text:
        sys.exit("docs/architecture.md is out of date: python scripts/architecture.py --write")


if __name__ == "__main__":
    main()
