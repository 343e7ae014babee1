"""Does everything that a recipe needs work on this machine? A small run, looked at closely."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from trainer import packing
from trainer.adapter import add_adapter
from trainer.base import find_base, load_model, load_tokenizer
from trainer.config import Config
from trainer.data import prepare
from trainer.devices import autocast, peak_memory_gib, set_threads, to_device
from trainer.fit import fit
from trainer.measure import tokenize
from trainer.outputs import checkpoints
from trainer.run_log import read_log

STEPS = 20
EXAMPLES = 20


def doctor(config: Config, say: Callable[[str], None]) -> bool:
    """Checks data, base, memory, learning, resuming and answers, one line each. True if all
    is well. An error that a person can act on (T2SQLError) ends it."""
    set_threads(config)
    small = replace(
        config,
        max_examples=EXAMPLES,
        max_heldout=5,
        eval_questions=5,
        max_steps=STEPS,
        rows_per_step=1,
        row_tokens=min(config.row_tokens, 1024),
        eval_every=0,
        eval_first=False,
        save_every=STEPS // 2,
        keep=2,
        patience=0,
        warmup=0.1,
    )
    healthy = True

    def check(name: str, ok: bool, detail: str, since: float) -> None:
        nonlocal healthy
        healthy = healthy and ok
        say(f"{'ok  ' if ok else 'FAIL'}  {name}: {detail} ({time.monotonic() - since:.0f} s)")

    began = time.monotonic()
    base = find_base(small)
    tokenizer = load_tokenizer(base)
    check("base", True, f"{base.name}, chat format {base.chat_format}", began)

    began = time.monotonic()
    artefact = prepare(small, base, quiet=True)
    rows = list(artefact.load()["train"])
    check("data", True, f"{len(rows)} examples, {artefact.about['rejected']} left out", began)

    began = time.monotonic()
    tokens, memory = _longest_row(config, base, tokenize(rows, tokenizer, base.end_marker))
    check("memory", True, f"a row of {tokens} tokens fits, the peak was {memory}", began)

    with tempfile.TemporaryDirectory(prefix="trainer-doctor-") as folder:
        small = replace(small, out=f"{folder}/run")
        began = time.monotonic()
        fitted = fit(small, say=_nothing, quiet=True)
        losses = _losses(fitted.folder)
        first, last = (sum(part) / 5 for part in (losses[:5], losses[-5:]))
        check("learning", last < first, f"loss {first:.3f} at first, {last:.3f} at last", began)

        began = time.monotonic()
        shutil.rmtree(checkpoints(fitted.folder)[-1])
        resumed = fit(small, resume=True, say=_nothing, quiet=True)
        same = _losses(resumed.folder) == losses
        check(
            "checkpoint",
            same,
            "resumed half-way with the same losses" if same else "resumed, but the losses differ",
            began,
        )

        answers = _answers(resumed.folder)
        valid = sum(answer["valid"] for answer in answers)
        check(
            "answers",
            valid > 0,
            f"{valid} of {len(answers)} are SQL that runs, such as {answers[0]['sql'][:70]!r}",
            began,
        )
    return healthy


def _nothing(text: str) -> None:
    """The runs inside are not to talk."""


def _longest_row(config: Config, base, items: list[packing.Item]) -> tuple[int, str]:
    """Forward and backward over a row as large as the recipe's; tokens and peak memory."""
    item = max(items, key=len)
    room = max(config.row_tokens - len(item.prefix), config.row_tokens // 2)
    count = max(1, min(config.group_questions, room // len(item.segment)))
    model = add_adapter(load_model(base, config), config).train()
    row = packing.collate([item] * count, (tuple(range(count)),))
    batch = to_device(row, model)
    with autocast(model, config):
        loss = packing.loss_sum(model, batch)
    loss.backward()
    peak = ", ".join(f"{gib} GiB ({name})" for name, gib in peak_memory_gib().items())
    return batch["input_ids"].shape[1], peak


def _losses(folder: Path) -> list[float]:
    return [row["loss"] for row in read_log(folder / "metrics.jsonl") if "loss" in row]


def _answers(folder: Path) -> list[dict[str, Any]]:
    path = folder / "predictions" / f"step-{STEPS}.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
