"""Greedy answers of a model in training, many at a time.

Prompts are read as training rows are, each prefix once for all its questions; then the answers
are generated in batches, whatever their databases.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from trainer.base import token_ids
from trainer.packing import Item, collate, rows_of_epoch

if TYPE_CHECKING:
    import torch
    from transformers import DynamicCache, PreTrainedModel, PreTrainedTokenizerBase

# Keys and values of a prompt, a pair of [heads, tokens, d] for each layer.
State = list[tuple["torch.Tensor", "torch.Tensor"]]


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
    """Greedy answers to (prefix, suffix) pairs, in their order, up to the marker `end`.

    `batch` answers of at most `max_tokens` tokens are generated at a time; prompts are read in
    rows of `row_tokens` tokens.
    """
    items = _items(prompts, tokenizer)
    stops = sorted({tokenizer.eos_token_id, *_single(token_ids(tokenizer, end))} - {None})
    ends = [end, *(str(tokenizer.decode([stop])) for stop in stops)]
    order = sorted(range(len(items)), key=lambda index: (len(items[index].prefix), index))
    answers = [""] * len(items)
    for start in range(0, len(order), batch):
        chosen = order[start : start + batch]
        new = _answer(model, tokenizer, [items[i] for i in chosen], stops, max_tokens, row_tokens)
        for index, ids in zip(chosen, new, strict=True):
            text = str(tokenizer.decode(ids, skip_special_tokens=False))
            answers[index] = _until(text, ends)
    return answers


def _items(prompts: Sequence[tuple[str, str]], tokenizer: PreTrainedTokenizerBase) -> list[Item]:
    prefixes = {prefix: token_ids(tokenizer, prefix) for prefix in {p for p, _ in prompts}}
    return [Item(prefixes[prefix], token_ids(tokenizer, suffix), 1) for prefix, suffix in prompts]


def _single(ids: tuple[int, ...]) -> tuple[int, ...]:
    return ids if len(ids) == 1 else ()


def _until(text: str, ends: Sequence[str]) -> str:
    for end in ends:
        text = text.partition(end)[0]
    return text


def _answer(
    model: Any,
    tokenizer: PreTrainedTokenizerBase,
    items: Sequence[Item],
    stops: list[int],
    max_tokens: int,
    row_tokens: int,
) -> list[list[int]]:
    """The new token ids for each prompt (prefix and segment of an item)."""
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


def _prompt_states(model: Any, items: Sequence[Item], row_tokens: int) -> list[State]:
    """The keys and values of each prompt but for its last token, which generate() reads."""
    from transformers import DynamicCache

    shortened = [Item(item.prefix, item.segment[:-1], 1) for item in items]
    states: list[State] = [[] for _ in items]
    for row in rows_of_epoch(
        shortened,
        [1] * len(shortened),
        row_tokens=row_tokens,
        group_questions=len(shortened),
        rng=random.Random(0),
    ):
        cache = DynamicCache()  # without a config, so that sliding layers keep everything
        inputs = collate(shortened, row)
        model(
            input_ids=inputs["input_ids"].to(model.device),
            position_ids=inputs["position_ids"].to(model.device),
            layout=inputs["layout"],
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        start = 0
        for group in row:
            prefix = slice(start, start + len(shortened[group[0]].prefix))
            start = prefix.stop
            for index in group:
                segment = slice(start, start + len(shortened[index].segment))
                start = segment.stop
                states[index] = _state(cache, prefix, segment)
    return states


def _state(cache: Any, prefix: slice, segment: slice) -> State:
    """The keys and values of one prompt, cut from those of its row."""
    import torch

    def cut(tensor: torch.Tensor) -> torch.Tensor:
        return torch.cat([tensor[0, :, prefix], tensor[0, :, segment]], 1)

    return [(cut(layer.keys), cut(layer.values)) for layer in cache.layers]


def _batch_cache(states: Sequence[State], length: int) -> DynamicCache:
    """One cache for all, each state padded on its left to `length` tokens."""
    import torch
    from torch.nn.functional import pad
    from transformers import DynamicCache

    def stacked(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
        return torch.stack([pad(t, (0, 0, length - t.shape[1], 0)) for t in tensors])

    cache = DynamicCache()
    for layer in range(len(states[0])):
        keys = stacked([state[layer][0] for state in states])
        values = stacked([state[layer][1] for state in states])
        cache.update(keys, values, layer)
    return cache
