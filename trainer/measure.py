"""What a model in training can do: greedy answers to a fixed held-out sample, executed."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from t2sql_tui.core.types import Limits
from trainer.base import token_ids
from trainer.config import Config
from trainer.devices import autocast, to_device
from trainer.packing import Item, collate, loss_sum, rows_of_epoch

if TYPE_CHECKING:
    import torch
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


def _loss(model, items: Sequence[Item], config: Config) -> tuple[float, int]:
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


def generate(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[tuple[str, str]],
    end: str,
    *,
    max_tokens: int,
    batch: int,
    row_tokens: int = 2048,
) -> list[str]:
    """Greedy answers to (prefix, suffix) pairs, in their order, `end` and what follows cut
    off. Prompts are read as training rows are, each prefix once for all its questions, and
    `batch` answers are written at a time, whatever their databases."""
    known: dict[str, tuple[int, ...]] = {}
    items = []
    for prefix, suffix in prompts:
        head = known.setdefault(prefix, ()) or token_ids(tokenizer, prefix)
        known[prefix] = head
        items.append(Item(head, token_ids(tokenizer, suffix), 1))
    order = sorted(range(len(items)), key=lambda place: (len(items[place].prefix), place))
    stops = sorted({tokenizer.eos_token_id, *_single(token_ids(tokenizer, end))} - {None})
    cut = [end, *(tokenizer.decode([stop]) for stop in stops)]
    answers = [""] * len(items)
    for start in range(0, len(order), batch):
        places = order[start : start + batch]
        new = _answer(model, tokenizer, [items[p] for p in places], stops, max_tokens, row_tokens)
        for place, ids in zip(places, new, strict=True):
            answers[place] = _until(tokenizer.decode(ids, skip_special_tokens=False), cut)
    return answers


def _answer(
    model, tokenizer, items: Sequence[Item], stops: list[int], max_tokens: int, row_tokens: int
) -> list[list[int]]:
    """New token ids for each prompt (an item's prefix and segment)."""
    import torch

    states = _prompt_states(model, items, row_tokens)
    longest = max(map(len, items))
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
    whole = [[*item.prefix, *item.segment] for item in items]
    ids = torch.tensor([[pad] * (longest - len(w)) + w for w in whole], device=model.device)
    mask = torch.tensor([[0] * (longest - len(w)) + [1] * len(w) for w in whole])
    out = model.generate(
        input_ids=ids,
        attention_mask=mask.to(model.device),
        past_key_values=_batch_cache(states, longest - 1),
        max_new_tokens=max_tokens,
        do_sample=False,
        eos_token_id=stops,
        pad_token_id=pad,
    )
    return out[:, longest:].tolist()


State = list[tuple["torch.Tensor", "torch.Tensor"]]  # a layer's keys and values [heads, n, d]


def _prompt_states(model, items: Sequence[Item], row_tokens: int) -> list[State]:
    """The keys and values of each prompt but for its last token, which generate() reads."""
    from transformers import DynamicCache

    short = [Item(item.prefix, item.segment[:-1], 1) for item in items]
    states: list[State] = [[] for _ in items]
    for row in rows_of_epoch(
        short,
        [1] * len(short),
        row_tokens=row_tokens,
        group_questions=len(short),
        rng=random.Random(0),
    ):
        cache = DynamicCache()  # without a config, so that sliding layers keep everything
        inputs = collate(short, row)
        model(
            input_ids=inputs["input_ids"].to(model.device),
            position_ids=inputs["position_ids"].to(model.device),
            layout=inputs["layout"],
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        at = 0
        for group in row:
            head = slice(at, at + len(short[group[0]].prefix))
            at = head.stop
            for place in group:
                own = slice(at, at + len(short[place].segment))
                at = own.stop
                states[place] = [
                    (_joined(layer.keys, head, own), _joined(layer.values, head, own))
                    for layer in cache.layers
                ]
    return states


def _joined(state: torch.Tensor, head: slice, own: slice) -> torch.Tensor:
    import torch

    return torch.cat([state[0, :, head], state[0, :, own]], 1)


def _batch_cache(states: Sequence[State], length: int):
    """One cache for all, each state padded on its left to `length` tokens."""
    import torch
    from torch.nn.functional import pad
    from transformers import DynamicCache

    cache = DynamicCache()
    for layer in range(len(states[0])):
        keys, values = (
            torch.stack(
                [pad(s[layer][k], (0, 0, length - s[layer][k].shape[1], 0)) for s in states]
            )
            for k in (0, 1)
        )
        cache.update(keys, values, layer)
    return cache


def _single(ids: tuple[int, ...]) -> tuple[int, ...]:
    return ids if len(ids) == 1 else ()


def _until(text: str, ends: Sequence[str]) -> str:
    for end in ends:
        text = text.partition(end)[0]
    return text


def judge(row: dict[str, Any], text: str, dialect: str = "sqlite") -> Prediction:
    """One answer, executed on the row's database by the official rules."""
    from benchmarks.metrics.execution import verdict
    from t2sql_tui.core.sql.extract import extract_sql
    from trainer.sql_style import transpile

    sql, error = extract_sql(text), ""
    correct = valid = False
    try:
        sql = transpile(sql, dialect, "sqlite") if sql else ""
        outcome = verdict(row["gold"], sql, [Path(row["file"])], limits=LIMITS)
        correct, valid, error = outcome.correct, outcome.predicted_runs, outcome.error
    except ValueError as problem:  # it is no SQL of that dialect
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
