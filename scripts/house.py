"""Measures the state of the code: `python scripts/house.py [--before OTHER_CHECKOUT] [--no-mypy]`.

Prints modules per folder, import cycles, long functions, functions with many parameters,
`fmt: skip` comments and mypy errors, as Markdown. With `--before` the other checkout's figures
stand in a column of their own. `--list` also names the functions, cycles and places counted.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("t2sql_tui", "benchmarks", "trainer")
MAX_LINES = 40
MAX_PARAMETERS = 8
SKIP_COMMENT = re.compile(r"#\s*fmt:\s*(skip|off)")


@dataclass
class Figures:
    """What was counted in one checkout. Each list entry names one finding."""

    modules: dict[str, int]
    cycles: list[str]
    functions: int
    long_functions: list[str]
    many_parameters: list[str]
    fmt_skips: list[str]
    mypy_errors: list[str] = field(default_factory=list)


def python_files(root: Path, *folders: str) -> Iterator[Path]:
    """Python files under the folders of a checkout, sorted by path."""
    for folder in folders:
        yield from sorted((root / folder).rglob("*.py"))


def modules_per_folder(root: Path) -> dict[str, int]:
    """Number of modules in each folder of the three packages; `__init__.py` is not counted."""
    counts: Counter[str] = Counter()
    for path in python_files(root, *PACKAGES):
        if path.name != "__init__.py":
            counts[str(path.parent.relative_to(root))] += 1
    return dict(sorted(counts.items()))


def import_graph(root: Path) -> dict[str, set[str]]:
    """What each module of the three packages imports from them.

    Imports inside functions count, imports under TYPE_CHECKING do not. grimp reads the
    packages it finds on sys.path, so this is only right in a process started for `root`.
    """
    import grimp  # from the extra "dev"; the tests import this module without it

    sys.path.insert(0, str(root))
    graph = grimp.build_graph(*PACKAGES, exclude_type_checking_imports=True, cache_dir=None)
    return {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}


def cycles(graph: Mapping[str, set[str]]) -> list[str]:
    """Groups of modules that import one another: strongly connected components of two or more.

    Tarjan's algorithm (SIAM Journal on Computing 1(2), 1972).
    """
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    groups: list[str] = []

    def visit(module: str) -> None:
        index[module] = low[module] = len(index)
        stack.append(module)
        for other in sorted(graph[module]):
            if other not in index:
                visit(other)
                low[module] = min(low[module], low[other])
            elif other in stack:
                low[module] = min(low[module], index[other])
        if low[module] == index[module]:
            start = stack.index(module)
            group, stack[start:] = stack[start:], []
            if len(group) > 1 or module in graph[module]:
                groups.append(" <-> ".join(sorted(group)))

    for module in sorted(graph):
        if module not in index:
            visit(module)
    return groups


def functions(root: Path) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Every function and method of the packages and scripts, with its place as `file:line name`."""
    for path in python_files(root, *PACKAGES, "scripts"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{path.relative_to(root)}:{node.lineno} {node.name}", node


def line_count(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from `def` to the last statement, without the docstring."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function) is not None:
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def parameter_count(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Number of parameters; `self`, `cls`, `*args` and `**kwargs` are not counted."""
    args = function.args
    names = [arg.arg for arg in (*args.posonlyargs, *args.args, *args.kwonlyargs)]
    return len(names) - (names[:1] in (["self"], ["cls"]))


def fmt_skips(root: Path) -> list[str]:
    """Places where the formatter is told to leave the code alone."""
    return [
        f"{path.relative_to(root)}:{number}"
        for path in python_files(root, *PACKAGES, "scripts", "tests")
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if SKIP_COMMENT.search(line) and path != Path(__file__).resolve()
    ]


def mypy_errors(root: Path) -> list[str]:
    """What mypy says about a checkout by the settings of this one."""
    options = ["--config-file", str(ROOT / "pyproject.toml"), "--no-error-summary"]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *options, "--cache-dir", os.devnull],
        cwd=root,
        capture_output=True,
        text=True,
    )
    if done.returncode > 1:
        raise RuntimeError(f"mypy failed:\n{done.stdout}{done.stderr}")
    return [line for line in done.stdout.splitlines() if ": error:" in line]


def measure(root: Path, with_mypy: bool = True) -> Figures:
    """The figures of the checkout at `root`."""
    found = list(functions(root))
    return Figures(
        modules=modules_per_folder(root),
        cycles=cycles(import_graph(root)),
        functions=len(found),
        long_functions=[
            f"{place} ({line_count(node)} lines)"
            for place, node in found
            if line_count(node) > MAX_LINES
        ],
        many_parameters=[
            f"{place} ({parameter_count(node)} parameters)"
            for place, node in found
            if parameter_count(node) > MAX_PARAMETERS
        ],
        fmt_skips=fmt_skips(root),
        mypy_errors=mypy_errors(root) if with_mypy else [],
    )


def measured_in_its_own_process(root: Path, with_mypy: bool = True) -> Figures:
    """`measure(root)`, for any checkout: grimp finds packages by the sys.path of its process."""
    command = [sys.executable, __file__, "--measure", str(root.resolve())]
    command += ["--no-mypy"] * (not with_mypy)
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return Figures(**json.loads(done.stdout))


def table(columns: Mapping[str, Figures], with_mypy: bool) -> str:
    """A Markdown table with one column a checkout."""
    counts: list[tuple[str, Callable[[Figures], object]]] = [
        ("import cycles", lambda f: len(f.cycles)),
        ("functions", lambda f: f.functions),
        (f"functions over {MAX_LINES} lines", lambda f: len(f.long_functions)),
        (
            f"functions with more than {MAX_PARAMETERS} parameters",
            lambda f: len(f.many_parameters),
        ),
        ("`fmt: skip`, `fmt: off`", lambda f: len(f.fmt_skips)),
    ]
    if with_mypy:
        counts.append(("mypy errors", lambda f: len(f.mypy_errors)))
    rows = [["", *columns], ["---", *["---:"] * len(columns)]]
    for name, count in counts:
        rows.append([name, *(str(count(f)) for f in columns.values())])
    for folder in sorted({folder for f in columns.values() for folder in f.modules}):
        cells = [str(f.modules.get(folder, "-")) for f in columns.values()]
        rows.append([f"modules in {folder}", *cells])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main() -> None:
    """Prints the figures of this checkout, or of two checkouts side by side."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", type=Path, help="Another checkout to compare with.")
    parser.add_argument("--no-mypy", action="store_true", help="Leave out mypy, which is slow.")
    parser.add_argument("--list", action="store_true", help="Name what was counted.")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(asdict(measure(options.measure.resolve(), not options.no_mypy))))
        return
    checkouts = {"before": options.before, "now": ROOT} if options.before else {"now": ROOT}
    columns = {}
    for name, root in checkouts.items():
        columns[name] = measured_in_its_own_process(root, not options.no_mypy)
    print(table(columns, not options.no_mypy))
    if options.list:
        now = columns["now"]
        for title, found in asdict(now).items():
            if isinstance(found, list) and found:
                print(f"\n{title}:", *found, sep="\n  ")


if __name__ == "__main__":
    main()
