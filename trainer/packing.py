"""Prefix packing: many questions behind one schema prefix, each without sight of the others.

A row holds groups; a group is one prefix and the segments (question, SQL, end marker) that
follow it. Each segment sees its group's prefix and itself, and its positions continue where the
prefix ended, so every token gets exactly the states that it would get alone (the tests compare
losses and gradients). The prefix is computed once for all of its segments.

The block mask is never built as a square: queries are taken a few segments at a time, with the
keys that they can see. That is a third of the work of a masked square, and exact.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

ATTENTION = "t2sql_packed"

# Queries that are computed at once. With fewer, less of a block is masked; with more, there are
# fewer calls. On a CPU 50 to 200 are equally fast (two thirds of the time of 400).
BLOCK = 128


@dataclass(frozen=True, slots=True)
class Item:
    """One example as token ids.

    `labels_from` is the index in `segment` at which the SQL starts: the loss is taken on the
    tokens from there on. At least one token precedes it.
    """

    prefix: tuple[int, ...]
    segment: tuple[int, ...]
    labels_from: int

    def __len__(self) -> int:
        return len(self.prefix) + len(self.segment)


Group = tuple[int, ...]  # indices of items that share a prefix
Row = tuple[Group, ...]


# --- which examples share a row -----------------------------------------------------


def rows_of_epoch(
    items: Sequence[Item],
    repeats: Sequence[int],
    *,
    row_tokens: int,
    group_questions: int,
    rng: random.Random,
) -> list[Row]:
    """Rows that hold every item as often as `repeats` says, of at most `row_tokens` tokens.

    Behind a prefix that takes more than half of that, a group still gets half of it for its
    segments. Items of one prefix are shuffled and cut into groups, and the groups are shuffled
    over the rows, so the groups of a row belong to different databases unless one fills it.
    """
    by_prefix: dict[tuple[int, ...], list[int]] = {}
    for index, (item, times) in enumerate(zip(items, repeats, strict=True)):
        by_prefix.setdefault(item.prefix, []).extend([index] * times)
    groups: list[Group] = []
    for prefix, indices in by_prefix.items():
        rng.shuffle(indices)
        # As few groups as the limits allow, and of equal size: a group of one question
        # pays for a whole prefix.
        room = max(row_tokens - len(prefix), row_tokens // 2, 1)
        tokens = sum(len(items[i].segment) for i in indices)
        parts = max(-(-len(indices) // group_questions), -(-tokens // room))
        size = -(-len(indices) // parts)
        groups += _cut(indices, items, size, room)
    rng.shuffle(groups)
    rows: list[list[Group]] = []
    used = row_tokens + 1
    for group in groups:
        cost = group_tokens(items, group)
        if used + cost > row_tokens:
            rows.append([])
            used = 0
        rows[-1].append(group)
        used += cost
    return [tuple(row) for row in rows]


def _cut(indices: Sequence[int], items: Sequence[Item], size: int, room: int) -> Iterator[Group]:
    """Groups of at most `size` items and `room` tokens of segments."""
    group: list[int] = []
    used = 0
    for index in indices:
        cost = len(items[index].segment)
        if group and (len(group) == size or used + cost > room):
            yield tuple(group)
            group, used = [], 0
        group.append(index)
        used += cost
    if group:
        yield tuple(group)


def group_tokens(items: Sequence[Item], group: Group) -> int:
    """The tokens of a group: its prefix once, and every segment."""
    return len(items[group[0]].prefix) + sum(len(items[index].segment) for index in group)


def plan(
    items: Sequence[Item],
    repeats: Sequence[int],
    *,
    row_tokens: int,
    group_questions: int,
    rows_per_step: int,
    epochs: float,
    max_steps: int,
    seed: int,
) -> list[Row]:
    """The rows of a whole run, `rows_per_step` to a step, each epoch shuffled anew.

    Depends on the arguments alone, so a resumed run, and a run over several processes, go
    through the same rows. A `max_steps` other than 0 overrides `epochs`. The last step is filled
    up from the epoch that would come next.
    """
    rows: list[Row] = []
    wanted, epoch = 0, 0
    while True:
        more = rows_of_epoch(
            items,
            repeats,
            row_tokens=row_tokens,
            group_questions=group_questions,
            rng=random.Random(f"{seed}/{epoch}"),
        )
        if not epoch:
            steps = -(-round(len(more) * epochs) // rows_per_step)
            wanted = max(max_steps or steps, 1) * rows_per_step
        rows += more
        epoch += 1
        if len(rows) >= wanted:
            return rows[:wanted]


# --- a row as tensors ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Block:
    """Whole segments next to each other: position and number of the segment of each token."""

    positions: torch.Tensor
    segment: torch.Tensor


@dataclass(slots=True)
class Layout:
    """Where the groups of a row lie: the length of each prefix, and the blocks behind it.

    Masks are made once a row and shared by the layers.
    """

    groups: list[tuple[int, list[Block]]]
    _masks: dict[tuple, Any] = field(default_factory=dict)

    @property
    def sizes(self) -> list[int]:
        """The lengths of the pieces of the row: prefix, its blocks, next prefix, ..."""
        return [n for prefix, blocks in self.groups for n in (prefix, *map(_length, blocks))]

    def block_mask(
        self, group: int, block: int, window: int | None, device: torch.device
    ) -> torch.Tensor:
        """What a block of a group may see: bool [queries, prefix + queries]."""
        import torch

        key = (group, block, window, device)
        if key not in self._masks:
            prefix, blocks = self.groups[group]
            positions, segment = blocks[block].positions, blocks[block].segment
            query = positions[:, None]
            keys = torch.cat([torch.arange(prefix), positions])[None, :]
            own = segment[:, None] == segment[None, :]
            sees = torch.cat([torch.ones(len(query), prefix, dtype=torch.bool), own], 1)
            sees &= keys <= query
            if window is not None:
                sees &= query - keys < window
            self._masks[key] = sees.to(device)
        return self._masks[key]

    def prefix_mask(self, length: int, window: int, device: torch.device) -> torch.Tensor:
        """What a prefix may see through a sliding window: bool [length, length]."""
        import torch

        key = (length, window, device)
        if key not in self._masks:
            position = torch.arange(length)
            gap = position[:, None] - position[None, :]
            self._masks[key] = ((gap >= 0) & (gap < window)).to(device)
        return self._masks[key]


def _length(block: Block) -> int:
    return len(block.positions)


def collate(items: Sequence[Item], row: Row) -> dict[str, Any]:
    """A row as a model takes it: `input_ids` and `position_ids` [1, T], `layout`,
    `logits_to_keep` [N] (indices of the tokens whose next token has a label) and `labels` [N]."""
    import torch

    ids: list[int] = []
    positions: list[int] = []
    keep: list[int] = []
    labels: list[int] = []
    for group in row:
        prefix = items[group[0]].prefix
        ids += prefix
        positions += range(len(prefix))
        for index in group:
            segment, start = items[index].segment, items[index].labels_from
            keep += range(len(ids) + start - 1, len(ids) + len(segment) - 1)
            labels += segment[start:]
            ids += segment
            positions += range(len(prefix), len(prefix) + len(segment))
    return {
        "input_ids": torch.tensor([ids]),
        "position_ids": torch.tensor([positions]),
        "layout": Layout([(len(items[g[0]].prefix), _blocks(items, g)) for g in row]),
        "logits_to_keep": torch.tensor(keep),
        "labels": torch.tensor(labels),
    }


def _blocks(items: Sequence[Item], group: Group) -> list[Block]:
    """The segments of a group in blocks of at most BLOCK tokens, or of one longer segment."""
    import torch

    blocks: list[tuple[list[int], list[int]]] = []
    first = len(items[group[0]].prefix)
    for number, index in enumerate(group):
        length = len(items[index].segment)
        if not blocks or len(blocks[-1][0]) + length > BLOCK:
            blocks.append(([], []))
        positions, segment = blocks[-1]
        positions += range(first, first + length)
        segment += [number] * length
    return [Block(torch.tensor(p), torch.tensor(s)) for p, s in blocks]


# --- attention ----------------------------------------------------------------------


def register() -> None:
    """Makes the attention known to transformers under the name ATTENTION; may be repeated."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    AttentionInterface.register(ATTENTION, packed_attention)
    AttentionMaskInterface.register(ATTENTION, sdpa_mask)


def packed_attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    sliding_window: int | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Attention over a packed row, with the signature that transformers calls.

    `query` is [1, heads, T, d], `key` and `value` [1, key heads, T, d]; returns
    [1, T, heads, d] and None. Without a `layout` among the arguments it is the ordinary SDPA, so
    the same model generates.
    """
    import torch

    layout: Layout | None = kwargs.pop("layout", None)
    if layout is None:
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        kwargs |= {"dropout": dropout, "scaling": scaling, "sliding_window": sliding_window}
        return sdpa_attention_forward(module, query, key, value, attention_mask, **kwargs)
    # split, not slices: its backward pass writes each gradient once
    parts = (tensor.split(layout.sizes, 2) for tensor in (query, key, value))
    pieces = zip(*parts, strict=True)
    options: dict[str, Any] = {"scale": scaling, "dropout_p": dropout}
    out: list[torch.Tensor] = []
    for group, (_, blocks) in enumerate(layout.groups):
        prefix = next(pieces)
        out.append(_attend_prefix(prefix, layout, sliding_window, options))
        for block in range(len(blocks)):
            q, k, v = next(pieces)
            k, v = torch.cat([prefix[1], k], 2), torch.cat([prefix[2], v], 2)
            mask = layout.block_mask(group, block, sliding_window, query.device)
            out.append(_attend_block(q, k, v, mask, options))
    return torch.cat(out, 2).transpose(1, 2).contiguous(), None


Piece = tuple["torch.Tensor", "torch.Tensor", "torch.Tensor"]  # queries, keys, values


def _attend_prefix(
    piece: Piece, layout: Layout, window: int | None, options: dict[str, Any]
) -> torch.Tensor:
    """Causal attention within a prefix, through a sliding window if it is longer than that."""
    from torch.nn.functional import scaled_dot_product_attention

    query, key, value = piece
    length = query.shape[2]
    grouped = key.shape[1] != query.shape[1]
    if window is None or length <= window:
        return scaled_dot_product_attention(
            query, key, value, is_causal=True, enable_gqa=grouped, **options
        )
    mask = layout.prefix_mask(length, window, query.device)
    return scaled_dot_product_attention(
        query, key, value, attn_mask=mask, enable_gqa=grouped, **options
    )


def _attend_block(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor,
    options: dict[str, Any],
) -> torch.Tensor:
    """Attention of a block over its prefix and itself.

    Heads that share a key head are folded into further queries of it: the keys are then read
    once and not copied (a quarter faster than repeating them).
    """
    from torch.nn.functional import scaled_dot_product_attention

    _, heads, _, width = query.shape
    shared = key.shape[1]
    folded = query.reshape(1, shared, -1, width)
    mask = mask.repeat(heads // shared, 1)[None, None]
    return scaled_dot_product_attention(folded, key, value, attn_mask=mask, **options).reshape(
        query.shape
    )


# --- the loss -----------------------------------------------------------------------


def loss_sum(model: Any, batch: dict[str, Any]) -> torch.Tensor:
    """The sum of the cross entropies, in nats, of the labelled tokens of a collated row."""
    from torch.nn.functional import cross_entropy

    inputs = {name: value for name, value in batch.items() if name != "labels"}
    logits = model(**inputs, use_cache=False).logits[0]
    return cross_entropy(logits.float(), batch["labels"], reduction="sum")
