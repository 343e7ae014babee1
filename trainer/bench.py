"""How much faster is packed training than a plain loop? Both run here, one after the other,
on the same model, the same examples and the same machine.

The plain loop is what transformers' Trainer and TRL do by default: one example a row, rows
padded to the longest of their batch, logits at every position, PEFT's own LoRA layers, SDPA.
Then each of our changes is taken away alone, to show what it is worth.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from trainer import packing
from trainer.adapter import add_adapter
from trainer.base import Base, find_base, load_model, load_tokenizer
from trainer.config import Config
from trainer.data import prepare
from trainer.devices import autocast, seed_all, set_threads, to_device
from trainer.measure import tokenize

Step = Callable[[Any], Any]

# What a plain loop puts into one batch: as many rows as our own steps have tokens for.
_PLAIN_BATCH = 4


@dataclass(frozen=True, slots=True)
class Speed:
    """One way of training, timed. `cpu_seconds` is of this process, over all its threads:
    on a shared machine it is the fairer clock. `tokens` counts what went through the model,
    `useful` those that carry a label."""

    name: str
    examples: int
    tokens: int
    useful: int
    seconds: float
    cpu_seconds: float
    loss: float

    def row(self, plain: Speed) -> list[Any]:
        wall = lambda s: s.examples / s.seconds  # noqa: E731
        cpu = lambda s: s.examples / s.cpu_seconds  # noqa: E731
        return [
            self.name,
            self.examples,
            self.tokens,
            round(self.tokens / self.seconds, 1),
            round(wall(self), 3),
            round(wall(self) / wall(plain), 2),
            round(cpu(self) / cpu(plain), 2),
            round(self.loss, 4),
        ]


HEADERS = [
    "",
    "examples",
    "tokens",
    "tokens/s",
    "examples/s",
    "x plain",
    "x plain (CPU time)",
    "loss",
]


def bench(config: Config, examples: int, say: Callable[[str], None], ablate: bool = True) -> dict:
    """Times the ways of training on `examples` examples of a few random databases.

    Returns {"rows": [Speed as dict, ...], "table": text, "provenance": ...}.
    """
    from tabulate import tabulate

    from benchmarks.provenance import provenance

    set_threads(config)
    base = find_base(config)
    artefact = prepare(config, base)
    tokenizer = load_tokenizer(base)
    items = tokenize(_some(artefact.load()["train"], examples), tokenizer, base.end_marker)
    ways: list[tuple[str, Config, Step]] = [("plain loop", replace(config, fused=False), _plain)]
    if ablate:
        ways += [
            ("packed, all logits", config, _all_logits),
            ("packed, square mask", config, _square_mask),
            ("packed, PEFT's LoRA", replace(config, fused=False), _packed),
        ]
    ways.append(("packed", config, _packed))
    speeds = []
    for name, settings, step in ways:
        speeds.append(_time(name, settings, base, items, step))
        say(f"{name}: {speeds[-1].examples / speeds[-1].seconds:.3f} examples/s")
    rows = [speed.row(speeds[0]) for speed in speeds]
    return {
        "rows": [asdict(speed) for speed in speeds],
        "table": tabulate(rows, HEADERS, intfmt=","),
        "config": asdict(config),
        "provenance": provenance(),
    }


def _some(rows, count: int) -> list[dict[str, Any]]:
    """Whole databases at random until there are `count` examples: what an epoch looks like."""
    by_database: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_database.setdefault(row["database"], []).append(row)
    names = sorted(by_database)
    random.Random(0).shuffle(names)
    chosen: list[dict[str, Any]] = []
    for name in names:
        if len(chosen) >= count:
            break
        chosen += by_database[name]
    return chosen[:count]


def _time(
    name: str, config: Config, base: Base, items: Sequence[packing.Item], step: Step
) -> Speed:
    import torch

    seed_all(config.seed)
    attention = "sdpa" if step in (_plain, _square_mask) else ""
    model = add_adapter(load_model(base, config, attention=attention), config).train()
    optimizer = torch.optim.AdamW(
        [p for p in model.parameters() if p.requires_grad], lr=config.learning_rate
    )
    batches = _plain_batches(items) if step is _plain else _packed_rows(items, config)
    on_gpu = model.device.type == "cuda"
    step(model, batches[0], config).backward()  # the first pass sets things up
    optimizer.zero_grad()
    tokens = useful = 0
    total = 0.0
    if on_gpu:
        torch.cuda.synchronize()
    wall, cpu = time.perf_counter(), time.process_time()
    for number, batch in enumerate(batches, start=1):
        loss = step(model, batch, config)
        loss.backward()
        total += float(loss.detach())
        tokens += batch["input_ids"].numel()
        useful += int((batch["labels"] != -100).sum())
        if number % config.rows_per_step == 0 or number == len(batches):
            torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip or 1e9)
            optimizer.step()
            optimizer.zero_grad()
    if on_gpu:
        torch.cuda.synchronize()
    return Speed(
        name,
        len(items),
        tokens,
        useful,
        round(time.perf_counter() - wall, 3),
        round(time.process_time() - cpu, 3),
        total / max(1, useful),
    )


# --- ways to train ------------------------------------------------------------------


def _packed_rows(items: Sequence[packing.Item], config: Config) -> list[dict[str, Any]]:
    rows = packing.rows_of_epoch(
        items,
        [1] * len(items),
        row_tokens=config.row_tokens,
        group_questions=config.group_questions,
        rng=random.Random(config.seed),
    )
    return [packing.collate(items, row) for row in rows]


def _packed(model, batch: dict[str, Any], config: Config):
    with autocast(model, config):
        return packing.loss_sum(model, to_device(batch, model))


def _all_logits(model, batch: dict[str, Any], config: Config):
    from torch.nn.functional import cross_entropy

    batch = to_device(batch, model)
    with autocast(model, config):
        logits = (
            model(
                input_ids=batch["input_ids"],
                position_ids=batch["position_ids"],
                layout=batch["layout"],
                use_cache=False,
            )
            .logits[0]
            .float()
        )
    return cross_entropy(logits[batch["logits_to_keep"]], batch["labels"], reduction="sum")


def _square_mask(model, batch: dict[str, Any], config: Config):
    from torch.nn.functional import cross_entropy

    batch = to_device(batch, model)
    with autocast(model, config):
        logits = (
            model(
                input_ids=batch["input_ids"],
                position_ids=batch["position_ids"],
                attention_mask=square_mask(batch["layout"]).to(model.device),
                logits_to_keep=batch["logits_to_keep"],
                use_cache=False,
            )
            .logits[0]
            .float()
        )
    return cross_entropy(logits, batch["labels"], reduction="sum")


def square_mask(layout: packing.Layout):
    """The whole block mask of a row, bool [1, 1, T, T]: what a layout stands for."""
    import torch

    total = sum(layout.sizes)
    mask = torch.zeros(total, total, dtype=torch.bool)
    start = 0
    for place, (prefix, blocks) in enumerate(layout.groups):
        mask[start : start + prefix, start : start + prefix] = layout.prefix_mask(
            prefix, prefix, torch.device("cpu")
        )
        at = start + prefix
        for number, block in enumerate(blocks):
            end = at + len(block.positions)
            sees = layout.block_mask((place, number), None, torch.device("cpu"))
            mask[at:end, start : start + prefix] = sees[:, :prefix]
            mask[at:end, at:end] = sees[:, prefix:]
            at = end
        start = at
    return mask[None, None]


def _plain_batches(items: Sequence[packing.Item]) -> list[dict[str, Any]]:
    """Batches of whole examples in random order, padded to the longest of each."""
    import torch

    order = list(items)
    random.Random(0).shuffle(order)
    batches = []
    for start in range(0, len(order), _PLAIN_BATCH):
        part = order[start : start + _PLAIN_BATCH]
        longest = max(map(len, part))
        ids = torch.zeros(len(part), longest, dtype=torch.long)
        labels = torch.full_like(ids, -100)
        mask = torch.zeros_like(ids)
        for number, item in enumerate(part):
            whole = torch.tensor(item.prefix + item.segment)
            ids[number, : len(item)] = whole
            mask[number, : len(item)] = 1
            first = len(item.prefix) + item.labels_from
            labels[number, first : len(item)] = whole[first:]
        batches.append({"input_ids": ids, "attention_mask": mask, "labels": labels})
    return batches


def _plain(model, batch: dict[str, Any], config: Config):
    import torch

    batch = to_device(batch, model)
    labels = int((batch["labels"] != -100).sum())
    with autocast(model, config):
        loss = model(**batch, use_cache=False).loss
    return loss * torch.tensor(labels, device=loss.device)
