"""How much faster packed training is than a plain loop: both run here, on the same examples.

The plain loop is the default of transformers' Trainer and TRL: one example a row, rows padded to
the longest of their batch, logits at every position, PEFT's own LoRA layers, SDPA. Then each
part of packing is taken away alone, to show what it is worth.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from tabulate import tabulate

from benchmarks.provenance import provenance
from trainer import packing
from trainer.adapter import add_adapter
from trainer.base import Base, find_base, load_model, load_tokenizer
from trainer.config import Config
from trainer.data import prepare
from trainer.devices import autocast, seed_all, set_threads, to_device
from trainer.measure import tokenize

if TYPE_CHECKING:
    import torch

Batch = dict[str, Any]
Step = Callable[[Any, Batch, Config], Any]  # the loss of a model on a batch

# Examples in a batch of the plain loop: about as many tokens as one of our rows.
_PLAIN_BATCH = 4


@dataclass(frozen=True, slots=True)
class Speed:
    """The time of one way of training.

    `cpu_seconds` is of this process, over all its threads: on a shared machine it is the fairer
    clock. `tokens` counts what went through the model, `useful` the labelled ones.
    """

    name: str
    examples: int
    tokens: int
    useful: int
    seconds: float
    cpu_seconds: float
    loss: float

    def row(self, plain: Speed) -> list[Any]:
        """The row of the table, compared with the plain loop."""
        rate, plain_rate = self.examples / self.seconds, plain.examples / plain.seconds
        cpu_rate = self.examples / self.cpu_seconds
        return [
            self.name,
            self.examples,
            self.tokens,
            round(self.tokens / self.seconds, 1),
            round(rate, 3),
            round(rate / plain_rate, 2),
            round(cpu_rate / (plain.examples / plain.cpu_seconds), 2),
            round(self.loss, 4),
        ]


HEADERS = (
    "",
    "examples",
    "tokens",
    "tokens/s",
    "examples/s",
    "x plain",
    "x plain (CPU time)",
    "loss",
)


def bench(
    config: Config, examples: int, say: Callable[[str], None], ablate: bool = True
) -> dict[str, Any]:
    """Times the ways of training on `examples` examples of a few random databases.

    Returns {"rows": [Speed as dict, ...], "table": text, "config": ..., "provenance": ...}.
    """
    set_threads(config)
    base = find_base(config)
    artefact = prepare(config, base)
    tokenizer = load_tokenizer(base)
    chosen = _whole_databases(artefact.load()["train"], examples)
    items = tokenize(chosen, tokenizer, base.end_marker)
    speeds = []
    for name, settings, step in _ways(config, ablate):
        speeds.append(_time(name, settings, base, items, step))
        say(f"{name}: {speeds[-1].examples / speeds[-1].seconds:.3f} examples/s")
    return {
        "rows": [asdict(speed) for speed in speeds],
        "table": tabulate([speed.row(speeds[0]) for speed in speeds], HEADERS, intfmt=","),
        "config": asdict(config),
        "provenance": provenance(),
    }


def _ways(config: Config, ablate: bool) -> list[tuple[str, Config, Step]]:
    unfused = replace(config, fused=False)
    ways: list[tuple[str, Config, Step]] = [("plain loop", unfused, _plain)]
    if ablate:
        ways += [
            ("packed, all logits", config, _all_logits),
            ("packed, square mask", config, _square_mask),
            ("packed, PEFT's LoRA", unfused, _packed),
        ]
    return [*ways, ("packed", config, _packed)]


def _whole_databases(rows: Sequence[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """`count` rows of random databases, each as whole as fits: like a piece of an epoch."""
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
    """Trains on all items once, after a pass that sets things up."""
    import torch

    seed_all(config.seed)
    attention = "sdpa" if step in (_plain, _square_mask) else ""
    model = add_adapter(load_model(base, config, attention=attention), config).train()
    optimizer = torch.optim.AdamW(
        [p for p in model.parameters() if p.requires_grad], lr=config.learning_rate
    )
    batches = _plain_batches(items) if step is _plain else _packed_rows(items, config)
    step(model, batches[0], config).backward()
    optimizer.zero_grad()
    total = 0.0
    _finish_kernels(model)
    wall, cpu = time.perf_counter(), time.process_time()
    for number, batch in enumerate(batches, start=1):
        loss = step(model, batch, config)
        loss.backward()
        total += float(loss.detach())
        if number % config.rows_per_step == 0 or number == len(batches):
            torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip or 1e9)
            optimizer.step()
            optimizer.zero_grad()
    _finish_kernels(model)
    seconds, cpu_seconds = time.perf_counter() - wall, time.process_time() - cpu
    tokens = sum(batch["input_ids"].numel() for batch in batches)
    useful = sum(int((batch["labels"] != -100).sum()) for batch in batches)
    return Speed(
        name,
        len(items),
        tokens,
        useful,
        round(seconds, 3),
        round(cpu_seconds, 3),
        total / max(1, useful),
    )


def _finish_kernels(model: Any) -> None:
    """Waits for a GPU, which computes while Python goes on."""
    import torch

    if model.device.type == "cuda":
        torch.cuda.synchronize()


# --- ways to train ------------------------------------------------------------------


def _packed_rows(items: Sequence[packing.Item], config: Config) -> list[Batch]:
    rows = packing.rows_of_epoch(
        items,
        [1] * len(items),
        row_tokens=config.row_tokens,
        group_questions=config.group_questions,
        rng=random.Random(config.seed),
    )
    return [packing.collate(items, row) for row in rows]


def _packed(model: Any, batch: Batch, config: Config) -> torch.Tensor:
    with autocast(model, config):
        return packing.loss_sum(model, to_device(batch, model))


def _all_logits(model: Any, batch: Batch, config: Config) -> torch.Tensor:
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


def _square_mask(model: Any, batch: Batch, config: Config) -> torch.Tensor:
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


def square_mask(layout: packing.Layout) -> torch.Tensor:
    """The block mask of a whole row as a square: bool [1, 1, T, T]."""
    import torch

    cpu = torch.device("cpu")
    total = sum(layout.sizes)
    mask = torch.zeros(total, total, dtype=torch.bool)
    start = 0
    for group, (prefix, blocks) in enumerate(layout.groups):
        first = slice(start, start + prefix)
        mask[first, first] = layout.prefix_mask(prefix, prefix, cpu)
        start += prefix
        for number, block in enumerate(blocks):
            own = slice(start, start + len(block.positions))
            sees = layout.block_mask(group, number, None, cpu)
            mask[own, first] = sees[:, :prefix]
            mask[own, own] = sees[:, prefix:]
            start = own.stop
    return mask[None, None]


def _plain_batches(items: Sequence[packing.Item]) -> list[Batch]:
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


def _plain(model: Any, batch: Batch, config: Config) -> torch.Tensor:
    import torch

    batch = to_device(batch, model)
    labels = int((batch["labels"] != -100).sum())
    with autocast(model, config):
        loss = model(**batch, use_cache=False).loss
    return loss * torch.tensor(labels, device=loss.device)
