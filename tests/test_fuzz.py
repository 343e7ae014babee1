"""Readers of files from elsewhere, on damaged ones: an error with a hint or a value, no traceback.

The seeds are fixed. T2SQL_FUZZ_SECONDS is the time for each reader (default: 0.5); with more, `-s`
prints how many inputs were read and how long the slowest took.
"""

from __future__ import annotations

import json
import os
import random
import re
import sqlite3
import time
import tomllib
from array import array
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from t2sql_tui.backends.kvcache import PrefixCache
from t2sql_tui.backends.merging.adapter import read_adapter
from t2sql_tui.backends.merging.gguf_file import GGUFFile
from t2sql_tui.backends.merging.layout import Layout, open_base
from t2sql_tui.core.answers import confidence
from t2sql_tui.core.database.database import open_database
from t2sql_tui.core.errors import T2SQLError
from t2sql_tui.core.files import is_whole, record_digest
from t2sql_tui.core.models import catalog
from t2sql_tui.core.models.adapter_info import read_adapter_info
from t2sql_tui.core.prompting.chat import CHAT_FORMATS
from t2sql_tui.core.prompting.value_matching import find_values
from t2sql_tui.ui.history import History

SECONDS = float(os.environ.get("T2SQL_FUZZ_SECONDS", "0.5"))
SLOWEST = 5.0  # seconds for one input, on a busy machine
ADAPTER = "qwen2.5-coder-0.5b/adapter"
ODD = (None, True, -1, 0, 10**30, 1e308, "", "x", "\0", "(", [], {}, [[]], {"a": 1}, "9" * 5000)


def mutated(data: bytes, rng: random.Random, reach: int = 0) -> bytes:
    """`data` with one to four changes, in its first `reach` bytes where that is given."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(max(1, min(len(changed), reach or len(changed))))
        match rng.randrange(7):
            case 0:
                changed[at : at + 1] = bytes([rng.randrange(256)])
            case 1:
                size = rng.choice((4, 8))
                number = rng.choice((0, 1, 2**31 - 1, 2**32 - 1, 2**63 - 1, 2**64 - 1, 255))
                changed[at : at + size] = number.to_bytes(8, "little")[:size]
            case 2:
                del changed[at : at + rng.randrange(1, 64)]
            case 3:
                changed[at:at] = rng.randbytes(rng.randrange(1, 64))
            case 4:
                del changed[at:]
            case 5:
                start = rng.randrange(max(1, len(changed)))
                changed[at:at] = changed[start : start + rng.randrange(1, 200)]
            case 6:
                changed[at : at + 8] = bytes(8)
    return bytes(changed)


def odd(value: object, rng: random.Random) -> object:
    """`value` with one part of it replaced, left out, or added."""
    if isinstance(value, dict) and value and rng.random() < 0.8:
        key = rng.choice(sorted(value))
        changed = dict(value)
        match rng.randrange(5):
            case 0:
                del changed[key]
            case 1:
                changed[rng.choice(("", "extra", "layer_replication"))] = rng.choice(ODD)
            case _:
                changed[key] = odd(value[key], rng)
        return changed
    if isinstance(value, list) and value and rng.random() < 0.8:
        at = rng.randrange(len(value))
        return [*value[:at], odd(value[at], rng), *value[at + 1 :]]
    return rng.choice(ODD)


def odd_json(value: object, rng: random.Random) -> bytes:
    kind = rng.random()
    if kind < 0.02:
        return b"[" * 100_000
    text = json.dumps(odd(value, rng)).encode()
    return mutated(text, rng) if kind < 0.3 else text


def void(_: object) -> None:
    """For functions that return what nobody wants."""


def fuzz(name: str, change: Callable[[random.Random], None], read: Callable[[], object]) -> None:
    """Changes and reads until the time is over. Anything but a T2SQLError fails the test."""
    began, count, refused, slowest = time.monotonic(), 0, 0, 0.0
    while time.monotonic() - began < SECONDS or count < 20:
        change(random.Random(f"{name} {count}"))
        started = time.monotonic()
        try:
            read()
        except T2SQLError as error:
            assert error.message and "\n" not in error.hint
            refused += 1
        except BaseException as error:
            error.add_note(f"{name}, input {count}")
            raise
        slowest = max(slowest, time.monotonic() - started)
        count += 1
    print(f"\n{name}: {count:,} inputs, {refused:,} refused, slowest {slowest:.2f} s")
    assert slowest < SLOWEST


def test_gguf_headers(tiny_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, whole = tmp_path / "x.gguf", tiny_gguf.read_bytes()
    monkeypatch.setattr(catalog, "format_of_template", lambda *_, **__: CHAT_FORMATS["chatml"])

    def read() -> None:
        with suppress(T2SQLError):
            catalog.find_model(path)
        layout = Layout.of(open_base(path))
        layout.name("model.layers.0.self_attn.q_proj.weight")
        for tensor in GGUFFile(path).tensors.values():
            tensor.load()

    fuzz("GGUF", lambda rng: void(path.write_bytes(mutated(whole, rng, 14_000))), read)


def test_adapters(tmp_path: Path) -> None:
    config = json.loads((catalog.models_source() / ADAPTER / "adapter_config.json").read_text())
    info = json.loads((catalog.models_source() / ADAPTER / "t2sql.json").read_text())
    names = "base_model.model.model.layers.0.self_attn.q_proj.lora_{}.weight"
    weights = tmp_path / "adapter_model.safetensors"
    save_file(
        {names.format(part): np.ones((2, 8) if part == "A" else (8, 2), "f4") for part in "AB"},
        weights,
    )
    whole = weights.read_bytes()

    def change(rng: random.Random) -> None:
        weights.write_bytes(mutated(whole, rng, 250) if rng.random() < 0.5 else whole)
        (tmp_path / "adapter_config.json").write_bytes(odd_json(config, rng))
        (tmp_path / "t2sql.json").write_bytes(odd_json(info, rng))

    def read() -> None:
        with suppress(T2SQLError):
            read_adapter_info(tmp_path)
        read_adapter(tmp_path)

    fuzz("adapter", change, read)


def test_model_toml(tmp_path: Path) -> None:
    text = (catalog.models_source() / "qwen2.5-coder-0.5b" / "model.toml").read_text()
    values = sorted(tomllib.loads(text))
    file = tmp_path / "some" / "model.toml"
    file.parent.mkdir()

    def change(rng: random.Random) -> None:
        kind = rng.random()
        if kind < 0.5:
            file.write_bytes(mutated(text.encode(), rng))
        elif kind < 0.52:
            file.write_text("a = " + "[" * 50_000)
        else:
            value = json.dumps(
                rng.choice([v for v in ODD if v is not None and type(v) is not dict])
            )
            file.write_text(
                re.sub(
                    rf"(?m)^{rng.choice(values)} = .*$",
                    lambda m: m.group().partition("=")[0] + "= " + value,
                    text,
                )
            )

    fuzz("model.toml", change, lambda: catalog._read_spec(file))


def test_confidence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = catalog.load_catalog()[catalog.DEFAULT_MODEL]
    fitted = json.loads(confidence.confidence_file(spec.name).read_text())
    file = tmp_path / "confidence.json"
    monkeypatch.setattr(confidence, "confidence_file", lambda _: file)

    def read() -> None:
        found = confidence.load_confidence(spec)
        values = dict.fromkeys(found["features"], 1.0) if found else {}
        assert 0 <= confidence.probability(values, found or fitted) <= 1

    fuzz("confidence", lambda rng: void(file.write_bytes(odd_json(fitted, rng))), read)


def test_kv_states(tmp_path: Path) -> None:
    PrefixCache("x", tmp_path).put(range(100), bytes(range(256)) * 10)
    (file,) = tmp_path.glob("*/*.kv")
    whole = file.read_bytes()

    def read() -> None:
        found = PrefixCache("x", tmp_path).best(range(100), 1)
        assert found is None or found == (tuple(range(100)), bytes(range(256)) * 10)

    fuzz("KV states", lambda rng: void(file.write_bytes(mutated(whole, rng))), read)
    assert array("i").itemsize == 4  # as the files assume


def test_history(tmp_path: Path) -> None:
    history = History(tmp_path / "history.sqlite")
    for n in range(30):
        history.add("/a.db", f"question {n} {'x' * 300}", "SELECT 1", n)
    whole = history.path.read_bytes()

    def change(rng: random.Random) -> None:
        for path in tmp_path.iterdir():
            path.unlink()
        history.path.write_bytes(mutated(whole, rng))

    def read() -> None:
        for call in (
            lambda: history.search("question"),
            lambda: history.recent_files(),
            lambda: history.preference("x"),
            lambda: history.questions("/a.db"),
        ):
            with suppress(T2SQLError):
                call()
        history.add("/a.db", "new", "SELECT 1", 1)

    fuzz("history", change, read)


def test_indexes_of_values(tmp_path: Path, shop_file: Path) -> None:
    cache = tmp_path / "cache"
    with open_database(shop_file) as database:
        find_values(database, "alpha", folder=cache)
    (file,) = cache.glob("*.sqlite")
    whole = file.read_bytes()

    def change(rng: random.Random) -> None:
        file.write_bytes(mutated(whole, rng))
        record_digest(file)  # as if it had been made so

    def read() -> None:
        with open_database(shop_file) as database:
            find_values(database, "alpha beta", folder=cache)

    fuzz("values", change, read)


@pytest.fixture
def shop_file(tmp_path: Path) -> Path:
    path = tmp_path / "t.db"
    connection = sqlite3.connect(path)
    connection.executescript("CREATE TABLE t (a TEXT); INSERT INTO t VALUES ('Alpha'), ('Beta x');")
    connection.close()
    return path


def test_records_of_digests(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(b"content")
    record_digest(path)
    record = tmp_path / "x.bin.digest"
    known = json.loads(record.read_text())
    fuzz(
        "digests",
        lambda rng: void(record.write_bytes(odd_json(known, rng))),
        lambda: is_whole(path),
    )
