"""Checks that everything a recipe needs works on this machine: a small run, inspected."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from trainer import packing
from trainer.adapter import add_adapter
from trainer.base import Base, find_base, load_model, load_tokenizer
from trainer.config import Config
from trainer.data import prepare
from trainer.devices import autocast, peak_memory_gib, set_threads, to_device
from trainer.fit import fit
from trainer.measure import tokenize
from trainer.outputs import checkpoints
from trainer.run_log import FILE, read_log, steps

STEPS = 20
EXAMPLES = 20


class Checks:
    """Runs checks one after the other and reports each in a line."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say
        self.passed = True

    @contextmanager
    def check(self, name: str) -> Iterator[Callable[[bool, str], None]]:
        """Times a check; call the yielded function once with its outcome and the details."""
        started = time.monotonic()

        def report(ok: bool, details: str) -> None:
            self.passed = self.passed and ok
            seconds = time.monotonic() - started
            self.say(f"{'ok  ' if ok else 'FAIL'}  {name}: {details} ({seconds:.0f} s)")

        yield report


def doctor(config: Config, say: Callable[[str], None]) -> bool:
    """Checks base, data, memory, learning, resuming and answers; whether all passed.

    Each check is reported in one line. An error that a person can act on (T2SQLError) ends the
    checks.
    """
    set_threads(config)
    small = _small(config)
    checks = Checks(say)
    with checks.check("base") as report:
        base = find_base(small)
        tokenizer = load_tokenizer(base)
        report(True, f"{base.name}, chat format {base.chat_format}")
    with checks.check("data") as report:
        artefact = prepare(small, base, quiet=True)
        rows = list(artefact.load()["train"])
        report(True, f"{len(rows)} examples, {artefact.about['rejected']} left out")
    with checks.check("memory") as report:
        tokens, memory = _longest_row(config, base, tokenize(rows, tokenizer, base.end_marker))
        report(True, f"a row of {tokens} tokens fits, the peak was {memory}")
    with tempfile.TemporaryDirectory(prefix="trainer-doctor-") as folder:
        _check_training(replace(small, out=f"{folder}/run"), checks)
    return checks.passed


def _small(config: Config) -> Config:
    """The recipe, cut down to a run of a few minutes."""
    return replace(
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


def _check_training(config: Config, checks: Checks) -> None:
    """Trains, resumes from the middle, and looks at losses and answers."""
    with checks.check("learning") as report:
        fitted = fit(config, say=_ignore, quiet=True)
        losses = _losses(fitted.folder)
        first, last = (sum(part) / 5 for part in (losses[:5], losses[-5:]))
        report(last < first, f"loss {first:.3f} at first, {last:.3f} at last")
    with checks.check("checkpoint") as report:
        shutil.rmtree(checkpoints(fitted.folder)[-1])
        resumed = fit(config, resume=True, say=_ignore, quiet=True)
        same = _losses(resumed.folder) == losses
        report(same, "resumed half-way with " + ("the same losses" if same else "other losses"))
    with checks.check("answers") as report:
        answers = _answers(resumed.folder)
        valid = sum(answer["valid"] for answer in answers)
        sql = answers[0]["sql"][:70]
        report(valid > 0, f"{valid} of {len(answers)} are SQL that runs, such as {sql!r}")


def _ignore(text: str) -> None:
    """Takes the messages of the runs."""


def _longest_row(config: Config, base: Base, items: list[packing.Item]) -> tuple[int, str]:
    """Forward and backward pass over a row as large as the recipe's; tokens and peak memory."""
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
    return [line["loss"] for line in steps(read_log(folder / FILE))]


def _answers(folder: Path) -> list[dict[str, Any]]:
    path = folder / "predictions" / f"step-{STEPS}.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
