"""What a model in training can do: greedy answers to a fixed held-out sample, executed."""

from __future__ import annotations

import copy
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from t2sql_tui.core.types import Limits
from trainer.base import token_ids
from trainer.config import Config
from trainer.packing import Item, collate, loss_sum, rows_of_epoch

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

# Predictions of a half-trained model may join everything with everything.
LIMITS = Limits(rows=1_000_000, seconds=10.0)


@dataclass(frozen=True, slots=True)
class Prediction:
    """One answer and its verdict. `text` is what the model said, `sql` what was run."""

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


def tokenize(rows: Sequence[dict[str, Any]], tokenizer, end: str) -> list[Item]:
    """Rows of an artefact as items: prefix and suffix apart, then SQL and end marker."""
    known: dict[str, tuple[int, ...]] = {}
    items = []
    for row in rows:
        prefix = known.get(row["prefix"])
        if prefix is None:
            prefix = known[row["prefix"]] = token_ids(tokenizer, row["prefix"])
        suffix = token_ids(tokenizer, row["suffix"])
        answer = token_ids(tokenizer, row["sql"] + end)
        items.append(Item(prefix, suffix + answer, len(suffix)))
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
    """Execution accuracy, valid-SQL rate and loss per SQL token on `rows`, all in [0, 1]
    but the loss, and the predictions. Of `world` processes each takes its share; all get
    the same answer."""
    import torch

    started = time.monotonic()
    was_training = model.training
    model.eval()
    own = list(rows[rank::world])
    with torch.inference_mode(), autocast(model, config):
        texts = generate(
            model, tokenizer, [(row["prefix"], row["suffix"]) for row in own], end,
            max_tokens=config.eval_tokens, batch=config.eval_batch,
        )  # fmt: skip
        loss, labels = _loss(model, tokenize(own, tokenizer, end), config)
    model.train(was_training)
    predictions = [judge(row, text, config.dialect) for row, text in zip(own, texts, strict=True)]
    if world > 1:
        from accelerate.utils import gather_object

        shares = gather_object([(loss, labels, predictions)])
        loss, labels = sum(s[0] for s in shares), sum(s[1] for s in shares)
        predictions = sorted((p for s in shares for p in s[2]), key=lambda p: p.id)
    count = max(1, len(predictions))
    return {
        "execution_accuracy": sum(p.correct for p in predictions) / count,
        "valid_sql": sum(p.valid for p in predictions) / count,
        "eval_loss": loss / max(1, labels),
        "eval_seconds": round(time.monotonic() - started, 1),
    }, predictions


def autocast(model, config: Config):
    import torch

    return torch.autocast(model.device.type, dtype=torch.bfloat16, enabled=config.bf16)


def _loss(model, items: Sequence[Item], config: Config) -> tuple[float, int]:
    total, labels = 0.0, 0
    for row in rows_of_epoch(
        items, [1] * len(items), row_tokens=config.row_tokens,
        group_questions=config.group_questions, rng=random.Random(0),
    ):  # fmt: skip
        batch = {
            name: value.to(model.device) if hasattr(value, "to") else value
            for name, value in collate(items, row).items()
        }
        total += float(loss_sum(model, batch))
        labels += len(batch["labels"])
    return total, labels


def generate(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[tuple[str, str]],
    end: str,
    *,
    max_tokens: int,
    batch: int,
) -> list[str]:
    """Greedy answers to (prefix, suffix) pairs, in their order, `end` and what follows cut
    off. Neighbours that share a prefix share its key-value state."""
    answers: dict[int, str] = {}
    # a sliding window counts padding too, so there questions of one length go together
    window = getattr(model.config, "sliding_window", None)
    numbered = sorted(enumerate(prompts), key=lambda pair: pair[1][0])
    for prefix, same in groupby(numbered, key=lambda pair: pair[1][0]):
        head = token_ids(tokenizer, prefix)
        questions = [(place, token_ids(tokenizer, suffix)) for place, (_, suffix) in same]
        questions.sort(key=lambda pair: len(pair[1]))  # little padding in a batch
        cache = _prefix_state(model, head)
        for part in _batches(questions, batch, padded=not window):
            texts = _greedy(model, tokenizer, head, [q for _, q in part], cache, end, max_tokens)
            answers.update(zip((place for place, _ in part), texts, strict=True))
    return [answers[place] for place in range(len(prompts))]


def _batches(questions: list, size: int, *, padded: bool) -> Iterator[list]:
    for _, alike in groupby(questions, key=lambda pair: 0 if padded else len(pair[1])):
        same = list(alike)
        for start in range(0, len(same), size):
            yield same[start : start + size]


def _prefix_state(model, head: tuple[int, ...]):
    import torch
    from transformers import DynamicCache

    cache = DynamicCache(config=model.config)
    ids = torch.tensor([head], device=model.device)
    model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
    return cache


def _greedy(model, tokenizer, head, questions, cache, end, max_tokens) -> list[str]:
    import torch

    longest = max(map(len, questions))
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
    # padding stands between prefix and question and is masked; positions skip it
    ids = [[*head, *[pad] * (longest - len(q)), *q] for q in questions]
    mask = [[1] * len(head) + [0] * (longest - len(q)) + [1] * len(q) for q in questions]
    cache = copy.deepcopy(cache)
    cache.batch_repeat_interleave(len(questions))
    stops = {tokenizer.eos_token_id, *_single(token_ids(tokenizer, end))} - {None}
    out = model.generate(
        input_ids=torch.tensor(ids, device=model.device),
        attention_mask=torch.tensor(mask, device=model.device),
        past_key_values=cache, max_new_tokens=max_tokens, do_sample=False,
        eos_token_id=sorted(stops), pad_token_id=pad,
    )  # fmt: skip
    texts = tokenizer.batch_decode(out[:, len(ids[0]) :], skip_special_tokens=False)
    cut = [end, *(tokenizer.decode([stop]) for stop in stops)]
    return [_until(text, cut) for text in texts]


def _single(ids: tuple[int, ...]) -> tuple[int, ...]:
    return ids if len(ids) == 1 else ()


def _until(text: str, ends: Sequence[str]) -> str:
    for end in ends:
        text = text.partition(end)[0]
    return text


def judge(row: dict[str, Any], text: str, dialect: str = "sqlite") -> Prediction:
    """One answer, executed on the row's database by the official rules."""
    from benchmarks.metrics.execution import verdict
    from t2sql_tui.core.prompt import extract_sql
    from trainer.sqlform import transpile

    sql, error = extract_sql(text), ""
    correct = valid = False
    try:
        sql = transpile(sql, dialect, "sqlite") if sql else ""
        outcome = verdict(row["gold"], sql, [Path(row["file"])], limits=LIMITS)
        correct, valid, error = outcome.correct, outcome.predicted_runs, outcome.error
    except ValueError as problem:  # it is no SQL of that dialect
        error = str(problem)
    return Prediction(
        row["id"], row["database"], row["file"], row["question"], row["gold"], text, sql, correct,
        valid, error,
    )  # fmt: skip


