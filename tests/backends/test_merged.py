"""The merged model that a first start makes: once, whole, and anew where it was damaged."""

from __future__ import annotations

import concurrent.futures
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from t2sql_tui.backends.gguf import GGUFBackend
from t2sql_tui.core.errors import ModelError
from t2sql_tui.core.files import digest_path, sha256_of
from t2sql_tui.core.models import store
from t2sql_tui.core.types import ModelSpec

Q_PROJ = "base_model.model.model.layers.0.self_attn.q_proj.lora_{}.weight"

START = """
import sys, time
from dataclasses import replace
from pathlib import Path
from t2sql_tui.backends import gguf
from t2sql_tui.backends.merging import merge, writing
from t2sql_tui.core.types import ModelSpec

def slow(*args, real=writing.quantise, **options):
    print("merging", flush=True)
    time.sleep(float(sys.argv[4]))
    return real(*args, **options)

writing.quantise = slow
path, adapter, sha256 = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
spec = ModelSpec("tiny", file=path.name, bytes=path.stat().st_size, sha256=sha256,
                 adapter=adapter, path=path, extra={"quantisation": "q8_0"})
backend = gguf.GGUFBackend(spec, n_threads=1, cache_folder=None)
print("tokens", backend.count_tokens("SELECT"))
"""


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("T2SQL_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


@pytest.fixture
def spec(tiny_gguf, tmp_path, folder) -> ModelSpec:
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    config = {"peft_type": "LORA", "r": 2, "lora_alpha": 4}
    (adapter / "adapter_config.json").write_text(json.dumps(config))
    pair = {"A": np.ones((2, 64), "f4"), "B": np.ones((64, 2), "f4")}
    save_file(
        {Q_PROJ.format(part): array for part, array in pair.items()},
        adapter / "adapter_model.safetensors",
    )
    return ModelSpec(
        "tiny",
        file=tiny_gguf.name,
        bytes=tiny_gguf.stat().st_size,
        sha256=sha256_of(tiny_gguf),
        adapter=adapter,
        path=tiny_gguf,
        extra={"quantisation": "q8_0"},
    )


def start(spec: ModelSpec, seconds: float) -> subprocess.Popen[str]:
    arguments = [str(spec.path), str(spec.adapter), spec.sha256, str(seconds)]
    return subprocess.Popen(
        [sys.executable, "-c", START, *arguments], stdout=subprocess.PIPE, text=True
    )


def load(spec: ModelSpec) -> None:
    GGUFBackend(spec, n_threads=1, cache_folder=None).close()


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


def test_two_first_starts_at_once_make_one_whole_file(spec, folder):
    starts = [start(spec, 1.0) for _ in range(2)]
    outputs = [process.communicate(timeout=120)[0] for process in starts]
    assert [process.returncode for process in starts] == [0, 0]
    assert "".join(outputs).count("merging") == 1  # the other waited for it
    merged = store.merged_path(spec)
    assert listing(folder) == sorted([merged.name, digest_path(merged).name])
    assert store.verify_merged(spec) == merged


def test_two_threads_make_one_whole_file(spec, folder):
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(load, [spec, spec]))
    assert store.verify_merged(spec)


@pytest.mark.parametrize("damage", ["short", "empty", "other bytes", "no record", "bad record"])
def test_a_damaged_merged_file_is_made_anew(spec, damage):
    load(spec)
    merged = store.merged_path(spec)
    whole = merged.read_bytes()
    if damage == "no record":  # as an older version left it, perhaps cut short
        digest_path(merged).unlink()
        merged.write_bytes(whole[:-1000])
    elif damage == "bad record":
        digest_path(merged).write_text('["x"]')
    else:
        merged.write_bytes({"short": whole[:-1], "empty": b""}.get(damage, b"x" * len(whole)))
    load(spec)
    assert merged.read_bytes() == whole and store.verify_merged(spec) == merged


def test_damage_that_keeps_size_and_time_is_found_by_verify(spec):
    load(spec)
    merged = store.merged_path(spec)
    time_before = merged.stat().st_mtime_ns
    with merged.open("r+b") as file:
        file.seek(-100, os.SEEK_END)
        file.write(bytes(100))
    os.utime(merged, ns=(time_before, time_before))
    with pytest.raises(ModelError, match="damaged") as caught:
        store.verify_merged(spec)
    assert "made again" in caught.value.hint and not merged.exists()
    load(spec)
    assert store.verify_merged(spec) == merged


def test_a_killed_merge_leaves_nothing_for_long(spec, folder):
    process = start(spec, 60)
    assert process.stdout.readline() == "merging\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert any(".partial" in name for name in listing(folder))
    load(spec)
    merged = store.merged_path(spec)
    assert listing(folder) == sorted([merged.name, digest_path(merged).name])


def test_weights_other_than_the_catalogs_are_refused(spec, folder):
    folder.mkdir()
    path = folder / spec.file
    data = bytearray(spec.path.read_bytes())
    data[-5] ^= 255
    path.write_bytes(data)
    with pytest.raises(ModelError, match="SHA-256") as caught:
        load(replace(spec, path=path))
    assert "--force" in caught.value.hint


def test_rm_deletes_what_a_killed_merge_left(spec, folder):
    process = start(spec, 60)
    assert process.stdout.readline() == "merging\n"
    with pytest.raises(ModelError, match="Another process is writing"):
        store.remove(spec)
    process.kill()
    process.wait()
    time.sleep(0.1)
    assert store.remove(spec) and listing(folder) == []
