"""What a published file says of where it was made."""

from __future__ import annotations

import sys

from benchmarks.provenance import REPOSITORY, command_line, portable


def test_a_path_in_the_working_folder_or_the_repository_is_relative_to_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert portable(tmp_path / "runs" / "a") == "runs/a"
    assert portable(REPOSITORY / "models" / "b") == "models/b"
    assert portable("runs/a") == "runs/a"


def test_a_path_elsewhere_keeps_its_name_alone(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert portable(tmp_path / "there" / "my.gguf") == ".../my.gguf"


def test_the_command_names_no_folder_of_the_machine(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    argv = ["/opt/bin/benchmarks", "run", "demo", "--runs", f"{tmp_path}/runs"]
    monkeypatch.setattr(sys, "argv", [*argv, "--model=/opt/models/my.gguf", "--data=x", "a b"])
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None)
    assert command_line() == ("benchmarks run demo --runs runs --model=.../my.gguf --data=x 'a b'")
