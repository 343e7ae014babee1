"""What a model in training can do: greedy answers to a fixed held-out sample, executed."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.metrics.execution import verdict
from t2sql_tui.core.sql.extract import extract_sql
from t2sql_tui.core.types import Limits
from trainer.base import token_ids
from trainer.config import Config
from trainer.devices import autocast, to_device
from trainer.generation import generate
from trainer.packing import Item, collate, loss_sum, rows_of_epoch
from trainer.sql_style import transpile

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

# The SQL of a half-trained model may join every table with every other.
LIMITS = Limits(rows=1_000_000, seconds=10.0)


@dataclass(frozen=True, slots=True)
class Prediction:
    """One answer and its verdict; `text` is what the model wrote, `sql` what was run."""

    id: str
    database: str
    file: str
    question: str
    gold: str
    text: str
    sql: str
    correct: bool
    valid: bool
    error: str = ""


def tokenize(
    rows: Sequence[dict[str, Any]], tokenizer: PreTrainedTokenizerBase, end: str
) -> list[Item]:
    """Rows of an artefact as token ids: prefix and suffix apart, then SQL and end marker."""
    prefixes = {prefix: token_ids(tokenizer, prefix) for prefix in {row["prefix"] for row in rows}}
    items = []
    for row in rows:
        suffix = token_ids(tokenizer, row["suffix"])
        answer = token_ids(tokenizer, row["sql"] + end)
        items.append(Item(prefixes[row["prefix"]], suffix + answer, len(suffix)))
    return items


def heldout_sample(rows: Sequence[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """The same `count` rows in every run on this data, sorted by prefix."""
    rows = list(rows)
    if count < len(rows):
        rows = random.Random(0).sample(rows, count)
    return sorted(rows, key=lambda row: (row["prefix"], row["id"]))


def measure(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[dict[str, Any]],
    config: Config,
    end: str,
    *,
    rank: int = 0,
    world: int = 1,
) -> tuple[dict[str, float], list[Prediction]]:
    """Scores on `rows`, and the predictions.

    Execution accuracy and valid SQL are shares, `eval_loss` is in nats per SQL token. Each of
    `world` processes takes its part of the rows; all get the same scores.
    """
    import torch

    started = time.monotonic()
    was_training = model.training
    model.eval()
    own = list(rows[rank::world])
    with torch.inference_mode(), autocast(model, config):
        texts = generate(
            model,
            tokenizer,
            [(row["prefix"], row["suffix"]) for row in own],
            end,
            max_tokens=config.eval_tokens,
            batch=config.eval_batch,
            row_tokens=config.row_tokens,
        )
        loss, labels = _loss(model, tokenize(own, tokenizer, end), config)
    model.train(was_training)
    predictions = [judge(*pair, config.dialect) for pair in zip(own, texts, strict=True)]
    if world > 1:
        loss, labels, predictions = _gathered(loss, labels, predictions)
    return _shares(predictions) | {
        "eval_loss": loss / max(1, labels),
        "eval_seconds": round(time.monotonic() - started, 1),
    }, predictions


def _shares(predictions: Sequence[Prediction]) -> dict[str, float]:
    count = max(1, len(predictions))
    return {
        "execution_accuracy": sum(p.correct for p in predictions) / count,
        "valid_sql": sum(p.valid for p in predictions) / count,
    }


def _gathered(
    loss: float, labels: int, predictions: list[Prediction]
) -> tuple[float, int, list[Prediction]]:
    """Loss, labels and predictions of all processes together."""
    from accelerate.utils import gather_object

    parts = gather_object([(loss, labels, predictions)])
    everything = sorted((p for part in parts for p in part[2]), key=lambda p: p.id)
    return sum(part[0] for part in parts), sum(part[1] for part in parts), everything


def _loss(model: Any, items: Sequence[Item], config: Config) -> tuple[float, int]:
    """The sum of the loss over the labelled tokens, and their number."""
    total, labels = 0.0, 0
    for row in rows_of_epoch(
        items,
        [1] * len(items),
        row_tokens=config.row_tokens,
        group_questions=config.group_questions,
        rng=random.Random(0),
    ):
        batch = to_device(collate(items, row), model)
        total += float(loss_sum(model, batch))
        labels += len(batch["labels"])
    return total, labels


def judge(row: dict[str, Any], text: str, dialect: str = "sqlite") -> Prediction:
    """One answer, executed on the row's database by the official rules."""
    sql, error = extract_sql(text), ""
    correct = valid = False
    try:
        sql = transpile(sql, dialect, "sqlite") if sql else ""
        outcome = verdict(row["gold"], sql, [Path(row["file"])], limits=LIMITS)
        correct, valid, error = outcome.correct, outcome.predicted_runs, outcome.error
    except ValueError as problem:  # not SQL of that dialect
        error = str(problem)
    return Prediction(
        row["id"],
        row["database"],
        row["file"],
        row["question"],
        row["gold"],
        text,
        sql,
        correct,
        valid,
        error,
    )
