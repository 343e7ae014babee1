"""Files that end the process in which llama.cpp loads them become messages."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from t2sql_tui.backends import trial
from t2sql_tui.backends.gguf import GGUFBackend
from t2sql_tui.backends.merging.gguf_file import GGUFFile, encode, write_gguf
from t2sql_tui.core.errors import ModelError
from t2sql_tui.core.models.catalog import find_model


@pytest.fixture(autouse=True)
def tried(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "tried"
    monkeypatch.setattr(trial, "tried_folder", lambda: folder)
    return folder


def changed(source: Path, target: Path, **values: object) -> Path:
    """A copy with other values in the header; None leaves a key out. `_` stands for a dot."""
    file = GGUFFile(source)
    stored = dict(file.values)
    for key, value in values.items():
        key = key.replace("__", ".")
        if value is None:
            del stored[key]
        else:
            stored[key] = value if isinstance(value, bytes) else encode(value)
    write_gguf(target, stored, list(file.tensors.values()))
    return target


BAD = {
    "no blocks": {"qwen2__block_count": 0},
    "many blocks": {"qwen2__block_count": 4_000_000},
    "no heads": {"qwen2__attention__head_count": 0},
    "odd heads": {"qwen2__attention__head_count": 7},
    "no key heads": {"qwen2__attention__head_count_kv": 0},
    "no width": {"qwen2__embedding_length": 0},
    "width of another model": {"qwen2__embedding_length": 96},
    "no context": {"qwen2__context_length": 0},
    "text for a number": {"qwen2__block_count": "two"},
    "rope beyond the head": {"qwen2__rope__dimension_count": 4096},
    "another tokenizer": {"tokenizer__ggml__model": "llama"},
    "no tokens": {"tokenizer__ggml__tokens": None},
    "an end beyond the vocabulary": {"tokenizer__ggml__eos_token_id": 2_000_000_000},
    "no architecture": {"general__architecture": None},
    "architecture of an encoder": {"general__architecture": "bert"},
    "no such architecture": {"general__architecture": "nothing"},
    "merges of nothing": {"tokenizer__ggml__merges": ["a b", "\xff", " "]},
}


@pytest.mark.parametrize("values", BAD.values(), ids=BAD.keys())
def test_a_bad_header_is_a_message_or_loads(tiny_gguf, tmp_path, values, tried):
    path = changed(tiny_gguf, tmp_path / "bad.gguf", **values)
    try:
        spec = find_model(path)
        backend = GGUFBackend(spec, n_threads=1, cache_folder=None)
    except ModelError as error:
        assert "bad.gguf" in error.message and error.hint
        assert not tried.exists()
    else:
        assert backend.count_tokens("SELECT") >= 1
        backend.close()


def test_a_crash_of_the_child_is_told_with_what_it_said(tiny_gguf, tmp_path):
    path = changed(tiny_gguf, tmp_path / "bad.gguf", qwen2__block_count=0)
    with pytest.raises(ModelError, match=r"ended \(SIG\w+\) on .*bad\.gguf: \S") as caught:
        trial.try_file(path)
    assert "download it again" in caught.value.hint


def test_a_file_is_tried_once(tiny_gguf, tried, monkeypatch):
    trial.try_file(tiny_gguf)
    assert len(list(tried.iterdir())) == 1
    monkeypatch.setattr(trial, "_try_in_child", lambda *_: pytest.fail("tried again"))
    trial.try_file(tiny_gguf)
    with pytest.raises(pytest.fail.Exception):
        trial.try_file(tiny_gguf, 512)


def test_a_child_that_hangs_is_killed(tiny_gguf, monkeypatch):
    monkeypatch.setattr(trial, "BASE_SECONDS", 0.01)
    with pytest.raises(ModelError, match="did not load"):
        trial.try_file(tiny_gguf)


def test_a_command_with_a_bad_file_ends_with_its_exit_code(tiny_gguf, tmp_path):
    path = changed(tiny_gguf, tmp_path / "bad.gguf", qwen2__block_count=0)
    command = [sys.executable, "-m", "t2sql_tui", "ask", "--demo", "retail", "How many?"]
    ended = subprocess.run([*command, "--model", str(path)], capture_output=True, text=True)
    assert ended.returncode == 4 and "Traceback" not in ended.stderr
    assert "bad.gguf" in ended.stderr and "download it again" in ended.stderr
