"""Measures the app on this machine: `python scripts/measure_app.py --write`.

Start-up time, a warm question and memory, with the retail demo and the default model, in a
process of its own. --write stores the figures in benchmarks/results/app.json and rewrites the
table in the README; a test compares the two.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textual.pilot import Pilot

    from t2sql_tui.ui.screens.workbench import Workbench

ROOT = Path(__file__).resolve().parent.parent
RESULT = ROOT / "benchmarks" / "results" / "app.json"
BEGIN, END = "<!-- app: made by `python scripts/measure_app.py --write` -->", "<!-- /app -->"
BIG = (  # 100,000 rows with text, out of tables of a few hundred
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) "
    "SELECT i, 'customer number ' || i AS name, i * 1.5 AS amount, date('2020-01-01', "
    "(i % 1000) || ' days') AS day FROM n"
)


def resident_mb() -> float:
    """Resident memory of this process in MB (Linux)."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


async def session(started: float) -> dict[str, float]:
    """Seconds and MB of one session of the app, run without a terminal, by name of the figure.

    `started` is the time at which this process was started, as of `time.time()`.
    """
    from t2sql_tui import demo
    from t2sql_tui.backends import load_backend
    from t2sql_tui.core.models.catalog import find_model
    from t2sql_tui.core.types import Limits
    from t2sql_tui.ui.app import T2SQLApp

    folder = Path(tempfile.mkdtemp())
    spec = find_model()
    app = T2SQLApp(
        demo.build("retail", folder),
        model=spec,
        backend_factory=lambda on_progress: load_backend(spec, cache_folder=folder / "kv"),
        demo="retail",
        limits=Limits(rows=100_000),
        history_path=folder / "history.sqlite",
    )
    seen = {}
    async with app.run_test(size=(160, 50)) as pilot:
        await pilot.pause()
        seen["first paint, s"] = time.time() - started
        bench = app.workbench
        assert bench is not None, "the app was opened on a file"
        state = bench.session
        await _until(pilot, lambda: state.database and app.state.model_status == "ready")
        seen["ready for the first question, s"] = time.time() - started
        await _ask(pilot, bench, "How many stores are there?")
        seen["warm question, s"] = await _ask(pilot, bench, "How many products are there?")
        seen["memory after two questions, MB"] = resident_mb()
        await pilot.press("e")
        bench.sql.editor.text = BIG
        await pilot.press("f5")
        await _until(pilot, lambda: state.phase == "done")
        assert len(bench.results.grid.order) == 100_000
        await pilot.press("ctrl+end")
        seen["memory after a 100,000-row result, MB"] = resident_mb()
    return seen


async def _until(pilot: Pilot[None], condition: Callable[[], object]) -> None:
    """Waits until `condition` is true. Raises: TimeoutError after five minutes."""
    begun = time.monotonic()
    while not condition():
        if time.monotonic() - begun > 300:
            raise TimeoutError
        await pilot.pause(0.01)


async def _ask(pilot: Pilot[None], bench: Workbench, question: str) -> float:
    """Seconds from pressing enter to the proposed SQL."""
    job = bench.session.job
    bench.question_box.focus()
    bench.question_box.show(question)
    await pilot.pause()
    begun = time.monotonic()
    await pilot.press("enter")
    await _until(
        pilot,
        lambda: bench.session.job > job and bench.session.phase in ("proposed", "rejected"),
    )
    return time.monotonic() - begun


def measure() -> dict[str, float]:
    """Seconds of `--help` (the best of five) and the figures of one session, by name."""
    seen = {}
    times = []
    for _ in range(5):
        begun = time.monotonic()
        subprocess.run(
            [sys.executable, "-m", "t2sql_tui", "--help"], check=True, stdout=subprocess.DEVNULL
        )
        times.append(time.monotonic() - begun)
    seen["`--help`, s"] = min(times)
    child = subprocess.run(
        [sys.executable, __file__, "--child", str(time.time())],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return seen | json.loads(child.stdout.splitlines()[-1])


def table(result: dict[str, Any]) -> str:
    """The README's block of figures, with the comments that mark where it begins and ends."""
    rows = [f"| {name} | {value:,.2f} |" for name, value in result["figures"].items()]
    text = "\n".join(["| the app with the default model | |", "|---|---:|", *rows])
    return (
        f"{BEGIN}\n{text.replace('.00 |', ' |')}\n\n{result['machine']}, {result['date']}.\n{END}"
    )


def main() -> None:
    """Prints the figures; with --write also keeps them in the results and the README."""
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(asyncio.run(session(float(sys.argv[2])))))
        return
    figures = {k: round(v, 0 if "MB" in k else 2) for k, v in measure().items()}
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    result = {
        "command": "python scripts/measure_app.py --write",
        "date": date.today().isoformat(),
        "machine": f"{model.group(1) if model else 'unknown'}, {os.cpu_count()} cores",
        "figures": figures,
    }
    print(table(result))
    if "--write" in sys.argv:
        RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        readme = ROOT / "README.md"
        text = readme.read_text("utf-8")
        text = re.sub(f"{re.escape(BEGIN)}.*?{END}", lambda _: table(result), text, flags=re.S)
        readme.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
