from __future__ import annotations

import pytest
from click.testing import CliRunner

from t2sql_tui.cli.models import models
from t2sql_tui.core.errors import ModelError
from t2sql_tui.core.models import store
from t2sql_tui.core.models.catalog import load_catalog


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("T2SQL_MODELS", str(tmp_path))
    return lambda *args: CliRunner().invoke(models, args)


def test_list_tells_what_is_here_what_is_damaged_and_what_is_not(run, tmp_path):
    specs = list(load_catalog().values())
    with (tmp_path / specs[0].file).open("wb") as file:
        file.truncate(specs[0].bytes)
    (tmp_path / specs[1].file).touch()
    said = run("list")
    lines = {line.split()[0]: line for line in said.stdout.splitlines() if line.strip()}
    assert lines[specs[0].name].endswith("yes") and "491 MB" in lines[specs[0].name]
    assert lines[specs[1].name].endswith("damaged") and "Apache-2.0" in lines[specs[1].name]
    assert lines[specs[2].name].endswith("-")
    assert str(tmp_path) in said.stderr and str(tmp_path) not in said.stdout


def test_path_prints_one_path_and_its_exit_code_says_whether_it_exists(run, tmp_path):
    spec = load_catalog()["smollm2-135m"]
    said = run("path", "smollm2-135m")
    assert (said.stdout, said.exit_code) == (f"{tmp_path / spec.file}\n", 1)
    (tmp_path / spec.file).touch()
    assert run("path", "smollm2-135m").exit_code == 0
    assert run("rm", "smollm2-135m").stdout == said.stdout
    assert run("rm", "smollm2-135m").stdout == ""


def test_pull_prints_the_path_alone_on_stdout(run, tmp_path, monkeypatch):
    def pull(spec, progress, offline, *, force, on_note):
        assert (spec.name, offline, force) == ("smollm2-135m", False, True)
        on_note("a note")
        progress(10, 20)
        return tmp_path / "x.gguf"

    monkeypatch.setattr(store, "pull", pull)
    said = run("pull", "smollm2-135m", "--force")
    assert said.stdout == f"{tmp_path / 'x.gguf'}\n" and said.stderr == "a note\n"


def test_errors_come_out_with_their_hints(run):
    for args in (("pull", "--offline"), ("verify",)):
        said = run(*args)
        assert said.exit_code == ModelError.exit_code and "models pull" in said.stderr
    assert run("pull", "nonsense").exit_code == ModelError.exit_code
    assert "known model" in run("rm", "elsewhere/my.gguf").output
