"""Prefix packing: many questions behind one schema prefix, each blind to its neighbours.

A row holds groups; a group is one prefix and the segments (question, SQL, end marker) that
follow it. Each segment sees its group's prefix and itself, and its positions go on where the
prefix ended, so that every token gets the very states that it would get alone (the tests
compare losses and gradients). The prefix is computed once for all of them.

The block mask is never laid out as a square: queries are taken a few segments at a time,
with the keys that they can see. That is a third of the work of a masked square and is exact.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

ATTENTION = "t2sql_packed"

# Queries that are attended at once. Fewer leave less of a block masked, more cost fewer
# calls. On a CPU 50 to 200 are equally fast (two thirds of the time at 400).
BLOCK = 128


@dataclass(frozen=True, slots=True)
class Item:
    """One example as token ids. `labels_from` is where, in `segment`, the SQL starts: there
    and after it are the tokens that the loss is taken on. At least one token precedes it."""

    prefix: tuple[int, ...]
    segment: tuple[int, ...]
    labels_from: int

    def __len__(self) -> int:
        return len(self.prefix) + len(self.segment)


Group = tuple[int, ...]  # places of items that share a prefix
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
    """Every item as often as `repeats` says, in rows of at most `row_tokens` tokens, or
    half as many behind a prefix that leaves less than that.

    Questions of one prefix are shuffled and cut into groups, the groups are shuffled over
    the rows: neighbours in a row are of different databases unless one fills it.
    """
    by_prefix: dict[tuple[int, ...], list[int]] = {}
    for place, (item, times) in enumerate(zip(items, repeats, strict=True)):
        by_prefix.setdefault(item.prefix, []).extend([place] * times)
    groups: list[Group] = []
    for prefix, places in by_prefix.items():
        rng.shuffle(places)
        # As few groups as the limits allow, and of equal size: a group of one question
        # pays for a whole prefix.
        room = max(row_tokens - len(prefix), row_tokens // 2, 1)
        tokens = sum(len(items[p].segment) for p in places)
        parts = max(-(-len(places) // group_questions), -(-tokens // room))
        size = -(-len(places) // parts)
        groups += _cut(places, items, size, room)
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


def _cut(places: Sequence[int], items: Sequence[Item], size: int, room: int) -> Iterator[Group]:
    group: list[int] = []
    used = 0
    for place in places:
        cost = len(items[place].segment)
        if group and (len(group) == size or used + cost > room):
            yield tuple(group)
            group, used = [], 0
        group.append(place)
        used += cost
    if group:
        yield tuple(group)


def group_tokens(items: Sequence[Item], group: Group) -> int:
    """Tokens of a group: its prefix once, and every segment."""
    return len(items[group[0]].prefix) + sum(len(items[place].segment) for place in group)


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

    A function of its arguments alone: a resumed run, and a run over several processes, go
    through the same rows. `max_steps` other than 0 counts, `epochs` does not. The last step is filled up from the epoch that would come next.
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
    """Whole segments, next to each other: `positions` and the `segment` of each token."""

    positions: torch.Tensor
    segment: torch.Tensor


@dataclass(slots=True)
class Layout:
    """Where the groups of a row lie. `groups` holds each prefix's length and the blocks
    behind it; masks are made once a row and shared by the layers."""

    groups: list[tuple[int, list[Block]]]
    _masks: dict[tuple, Any] = field(default_factory=dict)

    @property
    def sizes(self) -> list[int]:
        return [n for prefix, blocks in self.groups for n in (prefix, *map(_length, blocks))]

    def block_mask(self, place: tuple[int, int], window: int | None, device) -> torch.Tensor:
        """What block `place` (group, block) may see: bool [queries, prefix + queries]."""
        key = (place, window, device)
        if key not in self._masks:
            import torch

            prefix, blocks = self.groups[place[0]]
            block = blocks[place[1]]
            query = block.positions[:, None]
            keys = torch.cat([torch.arange(prefix), block.positions])[None, :]
            own = block.segment[:, None] == block.segment[None, :]
            sees = torch.cat([torch.ones(len(query), prefix, dtype=torch.bool), own], 1)
            sees &= keys <= query
            if window is not None:
                sees &= query - keys < window
            self._masks[key] = sees.to(device)
        return self._masks[key]

    def prefix_mask(self, length: int, window: int, device) -> torch.Tensor:
        key = (length, window, device)
        if key not in self._masks:
            import torch

            place = torch.arange(length)
            gap = place[:, None] - place[None, :]
            self._masks[key] = ((gap >= 0) & (gap < window)).to(device)
        return self._masks[key]


def _length(block: Block) -> int:
    return len(block.positions)


def collate(items: Sequence[Item], row: Row) -> dict[str, Any]:
    """A row as a model takes it: `input_ids` and `position_ids` [1, T], `layout`,
    `logits_to_keep` [N] (the places whose next token has a label) and `labels` [N]."""
    import torch

    ids: list[int] = []
    positions: list[int] = []
    keep: list[int] = []
    labels: list[int] = []
    groups = []
    for group in row:
        prefix = items[group[0]].prefix
        ids += prefix
        positions += range(len(prefix))
        blocks: list[Block] = []
        where: list[int] = []
        which: list[int] = []

        def close() -> None:
            if where:
                blocks.append(Block(torch.tensor(where), torch.tensor(which)))
                where.clear()
                which.clear()

        for number, place in enumerate(group):
            segment, start = items[place].segment, items[place].labels_from
            if len(where) + len(segment) > BLOCK:
                close()
            keep += range(len(ids) + start - 1, len(ids) + len(segment) - 1)
            labels += segment[start:]
            ids += segment
            own = range(len(prefix), len(prefix) + len(segment))
            positions += own
            where += own
            which += [number] * len(segment)
        close()
        groups.append((len(prefix), blocks))
    return {
        "input_ids": torch.tensor([ids]),
        "position_ids": torch.tensor([positions]),
        "layout": Layout(groups),
        "logits_to_keep": torch.tensor(keep),
        "labels": torch.tensor(labels),
    }


# --- attention ----------------------------------------------------------------------


def register() -> None:
    """Makes the attention known to transformers under the name ATTENTION. Harmless to
    repeat. Without a layout it is the ordinary SDPA, so that the same model generates."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    AttentionInterface.register(ATTENTION, packed_attention)
    AttentionMaskInterface.register(ATTENTION, sdpa_mask)


def packed_attention(
    module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask,
    dropout: float = 0.0,
    scaling: float | None = None,
    sliding_window: int | None = None,
    layout: Layout | None = None,
    **kwargs,
):
    """Attention over a packed row, as transformers calls it.

    `query` is [1, heads, T, d], `key` and `value` [1, key heads, T, d]; returns
    [1, T, heads, d] and None.
    """
    import torch
    from torch.nn.functional import scaled_dot_product_attention as attend

    if layout is None:
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        return sdpa_attention_forward(
            module,
            query,
            key,
            value,
            attention_mask,
            dropout=dropout,
            scaling=scaling,
            sliding_window=sliding_window,
            **kwargs,
        )
    _, heads, _, width = query.shape
    shared = key.shape[1]
    device = query.device
    sizes = layout.sizes
    # split, not slices: its backward pass writes each gradient once
    pieces = iter(zip(query.split(sizes, 2), key.split(sizes, 2), value.split(sizes, 2)))
    out = []
    options: dict[str, Any] = {"scale": scaling, "dropout_p": dropout}
    for place, (length, blocks) in enumerate(layout.groups):
        q, prefix_keys, prefix_values = next(pieces)
        if sliding_window is None or length <= sliding_window:
            seen: dict[str, Any] = {"is_causal": True}
        else:
            seen = {"attn_mask": layout.prefix_mask(length, sliding_window, device)}
        out.append(
            attend(q, prefix_keys, prefix_values, enable_gqa=shared != heads, **seen, **options)
        )
        for number in range(len(blocks)):
            q, k, v = next(pieces)
            k, v = torch.cat([prefix_keys, k], 2), torch.cat([prefix_values, v], 2)
            mask = layout.block_mask((place, number), sliding_window, device)
            # Heads that share a key head become further queries of it: the keys are then
            # read once and not copied (a quarter faster than repeating them).
            folded = q.reshape(1, shared, -1, width)
            mask = mask.repeat(heads // shared, 1)
            out.append(attend(folded, k, v, attn_mask=mask[None, None], **options).reshape(q.shape))
    return torch.cat(out, 2).transpose(1, 2).contiguous(), None


# --- the loss -----------------------------------------------------------------------


def loss_sum(model, batch: dict[str, Any]) -> torch.Tensor:
    """Sum of the cross entropies, in nats, of every labelled token of a collated row."""
    from torch.nn.functional import cross_entropy

    inputs = {name: value for name, value in batch.items() if name != "labels"}
    logits = model(**inputs, use_cache=False).logits[0]
    return cross_entropy(logits.float(), batch["labels"], reduction="sum")
