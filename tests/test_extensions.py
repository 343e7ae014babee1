"""Each way of adding something (CONTRIBUTING.md, "How to add things"), done in a copy of the tree.

Every test edits the copy as a contributor would, in as many places as CONTRIBUTING.md says, and
runs the programs there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from mini_spider import write_spider

from t2sql_tui.core.answers.rewrites.table import REWRITES
from t2sql_tui.core.answers.warnings.table import WARNINGS

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = {
    "t2sql-tui": "from t2sql_tui.cli import main; main()",
    "benchmarks": "from benchmarks.cli import main; main()",
    "trainer": "from trainer.cli import main; main()",
}


class Copy:
    """A copy of the packages, without weights and results, to be edited and run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        ignore = shutil.ignore_patterns("__pycache__", "*.safetensors", "results")
        for name in ("t2sql_tui", "benchmarks", "trainer", "models"):
            shutil.copytree(ROOT / name, folder / name, ignore=ignore)

    def insert(self, file: str, before: str, text: str) -> None:
        """Inserts text before the only occurrence of `before`."""
        path = self.folder / file
        old = path.read_text("utf-8")
        assert old.count(before) == 1, f"{before!r} occurs {old.count(before)} times in {file}"
        path.write_text(old.replace(before, text + before), "utf-8")

    def write(self, file: str, text: str) -> None:
        path = self.folder / file
        assert not path.exists()
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")

    def python(self, code: str, *args: object, code_expected: int = 0) -> str:
        """Runs code with the copy's packages; returns stdout and stderr."""
        home = self.folder / "home"
        done = subprocess.run(
            [sys.executable, "-c", code, *map(str, args)],
            cwd=self.folder,
            env={
                **os.environ,
                "PYTHONPATH": str(self.folder),
                "HOME": str(home),
                "XDG_CACHE_HOME": str(home / "cache"),
                "COLUMNS": "200",
            },
            capture_output=True,
            text=True,
        )
        assert done.returncode == code_expected, done.stdout + done.stderr
        return done.stdout + done.stderr

    def run(self, program: str, *args: object, code: int = 0) -> str:
        return self.python(PROGRAMS[program], *args, code_expected=code)


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path / "copy")


def test_the_copy_is_what_runs(copy: Copy) -> None:
    code = "import t2sql_tui, benchmarks, trainer as t; print(t.__file__, t2sql_tui.__file__)"
    assert copy.python(code).count(str(copy.folder)) == 2


def test_a_benchmark_suite_is_one_literal(copy: Copy, tmp_path: Path) -> None:
    copy.insert(
        "benchmarks/suites.py",
        '        Suite(\n            "demo",',
        '        Suite("mini", "Two small databases", "measure", "mini", read_spider),\n',
    )
    write_spider(tmp_path / "data" / "mini")
    data = ("--data", tmp_path / "data")
    assert "Two small databases" in copy.run("benchmarks", "list", *data)
    options = ("--backend", "scripted", "--model", "smollm2-135m")
    said = copy.run("benchmarks", "run", "mini", *options, "--name", "r", *data)
    assert "mini, smollm2-135m: 6 questions" in said
    # its role is obeyed
    copy.run("benchmarks", "report", "runs/r")
    assert "measure" in copy.run("benchmarks", "calibrate", "runs/r", code=5)
    code = (
        "from trainer.config import Config; from trainer.data import read_source\n"
        "read_source('mini', Config())"
    )
    assert "measur" in copy.python(code, code_expected=1)


def test_a_base_model_is_one_folder(copy: Copy) -> None:
    copy.write(
        "models/tiny-new/model.toml",
        'title = "A new model"\nfile = "tiny-new.gguf"\nbytes = 7\n'
        f'sha256 = "{"0" * 64}"\nlicence = "MIT"\nbase = "someone/tiny-new"\n'
        'chat_format = "new-form"\nprompt_version = "v2"\ncontext = 2048\n\n'
        '[[sources]]\nkind = "hub"\nrepo = "someone/tiny-new-gguf"\nfile = "tiny-new.gguf"\n',
    )
    copy.insert(
        "t2sql_tui/core/prompting/chat.py",
        '        ChatFormat(name="mistral"',
        '        ChatFormat(name="new-form", before="[S]{system}[U]", after="[A]", end="[E]"),\n',
    )
    assert "tiny-new" in copy.run("t2sql-tui", "models", "list")
    options = ("--backend", "scripted", "--model", "tiny-new", "--demo", "retail")
    assert "SELECT" in copy.run("t2sql-tui", "ask", *options, "How many stores?")
    code = (
        "from t2sql_tui.core.models.catalog import find_model\n"
        "from t2sql_tui.core.prompting.prompt import build_prompt\n"
        "from t2sql_tui.core.types import Question, Schema\n"
        "spec = find_model('tiny-new')\n"
        "prompt = build_prompt(Schema(()), Question('Who?'), version=spec.prompt_version,\n"
        "                      chat_format=spec.chat_format)\n"
        "print(prompt.prefix, prompt.suffix)"
    )
    said = copy.python(code)
    assert said.startswith("[S]") and "[U]" in said and said.endswith("[A]\n")


def test_a_prompt_version_is_one_entry_and_its_golden_file(copy: Copy) -> None:
    shutil.copytree(ROOT / "tests/core/prompting", copy.folder / "tests/core/prompting")
    copy.insert(
        "t2sql_tui/core/prompting/prompt.py",
        "    )\n}\n",
        "        PromptVersion(\n"
        '            "v99",\n'
        '            "Answer in SQL.",\n'
        '            table=lambda table: f"{table.name}\\n",\n'
        '            links=lambda tables: "",\n'
        "            suffix=lambda question, values: question.text,\n"
        "        ),\n",
    )
    tests = ("-q", "-p", "no:cacheprovider", "-k", "v99", "tests/core/prompting/test_prompt.py")
    pytest_main = "import sys, pytest; sys.exit(pytest.main(sys.argv[1:]))"
    said = copy.python(pytest_main, *tests, code_expected=1)
    assert "prompt-v99.txt" in said  # its golden file is asked for
    copy.python(
        "import sys; sys.path.insert(0, 'tests/core/prompting')\n"
        "from test_prompt import GOLDEN, QUESTION, SHOP, VALUES\n"
        "from t2sql_tui.core.prompting.prompt import build_prompt\n"
        "p = build_prompt(SHOP, QUESTION, VALUES, version='v99')\n"
        "text = p.prefix + '=== suffix\\n' + p.suffix\n"
        "(GOLDEN / 'prompt-v99.txt').write_text(text, 'utf-8')"
    )
    assert "passed" in copy.python(pytest_main, *tests)


def test_a_backend_is_one_file_and_one_entry(copy: Copy) -> None:
    copy.write(
        "t2sql_tui/backends/shouting.py",
        '"""A backend for a test."""\n'
        "from t2sql_tui.backends.scripted import ScriptedBackend\n\n\n"
        "class ShoutingBackend(ScriptedBackend):\n"
        "    def __init__(self, spec=None, *, loudness=1, on_progress=None):\n"
        '        super().__init__(spec, ["SELECT " + repr("A" * loudness)])\n',
    )
    copy.insert(
        "t2sql_tui/backends/__init__.py",
        '    "scripted": BackendEntry(',
        '    "shouting": BackendEntry(\n'
        '        "t2sql_tui.backends.shouting:ShoutingBackend",\n'
        '        "answers aloud",\n'
        '        (BackendOption("loudness", "Number of letters (default: 1).", int, "N", 1),),\n'
        "    ),\n",
    )
    said = copy.run("t2sql-tui", "ask", "--help")
    assert "shouting" in said and "--loudness" in said and "Number of letters" in said
    options = ("--backend", "shouting", "--loudness", 5, "--demo", "retail")
    assert "AAAAA" in copy.run("t2sql-tui", "ask", *options, "What do you say?")
    options = ("--backend", "shouting", "--model", "smollm2-135m", "--limit", 1)
    assert "1 question" in copy.run("benchmarks", "run", "demo", *options, "--name", "r")


def test_a_warning_is_one_function_and_one_entry(copy: Copy) -> None:
    copy.insert(
        "t2sql_tui/core/answers/warnings/rows.py",
        "def times_out(",
        "def is_one_row(execution: Execution, context: AnswerContext) -> str:\n"
        "    rows = execution.result.rows if execution.result else ()\n"
        "    return f'It finds {rows[0]} alone.' if len(rows) == 1 else ''\n\n\n",
    )
    copy.insert(
        "t2sql_tui/core/answers/warnings/table.py",
        '        WarningRule("timeout"',
        '        WarningRule("one-row", 0.1, rows.is_one_row),\n',
    )
    ask = ("ask", "--backend", "scripted", "--demo", "retail", "--json", "How many stores?")
    assert " alone." in copy.run("t2sql-tui", *ask)


def test_a_rewrite_is_one_function_and_one_entry(copy: Copy) -> None:
    copy.write(
        "t2sql_tui/core/answers/rewrites/upper_case.py",
        '"""A rewrite for a test."""\n'
        "from t2sql_tui.core.answers.rewrites.types import Rewrite\n\n\n"
        "def rewrite_scripted(candidate, context):\n"
        "    if \"'scripted'\" not in candidate.sql:\n"
        "        return None\n"
        "    sql = candidate.sql.replace(\"'scripted'\", \"'SCRIPTED'\")\n"
        '    return Rewrite(sql, ("Its text was written in capitals.",))\n',
    )
    table = "t2sql_tui/core/answers/rewrites/table.py"
    copy.insert(
        table,
        "from t2sql_tui.core.answers.rewrites.types import",
        "from t2sql_tui.core.answers.rewrites.upper_case import rewrite_scripted\n",
    )
    copy.insert(
        table,
        '    RewriteRule("dates"',
        '    RewriteRule("upper case", "every candidate", rewrite_scripted),\n',
    )
    ask = ("ask", "--backend", "scripted", "--demo", "retail", "How many stores?")
    said = copy.run("t2sql-tui", *ask)
    assert "SELECT 'SCRIPTED' AS answer" in said and "written in capitals" in said


def test_every_warning_and_rewrite_has_a_row_in_the_table_of_what_it_is_worth() -> None:
    log = (ROOT / "benchmarks/results/EXPERIMENTS.md").read_text("utf-8")
    table = log.partition("## What each warning and rewrite is worth")[2].partition("\n## ")[0]
    rows = [line.split("|")[1].strip() for line in table.splitlines() if line.startswith("|")]
    names = [*WARNINGS, *(rule.name for rule in REWRITES)]
    assert names and set(names) <= set(rows)
    costs = {rule.name: rule.cost for rule in WARNINGS.values()}
    for line in table.splitlines():
        name, _, rest = line.removeprefix("| ").partition(" | ")
        if name in costs:
            assert float(rest.partition(" | ")[0]) == costs[name], name
