"""The hash of the code that a result depends on, found by following imports.

Kept files (data artefacts, generated questions) are made again when that code changes. A list
of files in code would be wrong after the next move; imports cannot be forgotten.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent


def code_hash(module: str, followed: Iterable[str]) -> str:
    """SHA-256 of the sources of `module` and of all that it imports, directly or through
    others, inside the packages or modules of `followed`. Imports inside functions count."""
    digest = hashlib.sha256()
    for name in sorted(imported_modules(module, tuple(followed))):
        digest.update(f"{name}\n".encode())
        digest.update(_file(name).read_bytes())
    return digest.hexdigest()


@cache
def imported_modules(module: str, followed: tuple[str, ...]) -> frozenset[str]:
    """Names of `module` and of the modules that it imports, inside `followed`."""
    found = {module}
    waiting = [module]
    while waiting:
        for name in _imports(_file(waiting.pop())):
            inside = any(name == root or name.startswith(f"{root}.") for root in followed)
            if inside and name not in found:
                found.add(name)
                waiting.append(name)
    return frozenset(found)


def _imports(file: Path) -> Iterator[str]:
    """Names of our own modules that a file imports."""
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            # `from package import name`: the name may be a module of the package
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        yield from (name for name in names if _file(name).exists())


def _file(module: str) -> Path:
    path = _ROOT.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
