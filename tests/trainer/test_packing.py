from __future__ import annotations

import random

import pytest

from tests.tiny_models import tiny_model
from trainer import packing
from trainer.packing import Item

KINDS = ("qwen2", "llama", "mistral", "phi3", "gemma3")
SLIDING = ("mistral", "phi3", "gemma3")


def random_model(kind: str, window: int | None):
    options = {"sliding_window": window} if window or kind != "gemma3" else {"sliding_window": 512}
    return tiny_model(kind, **options if kind in SLIDING else {}).train()


def make_items(seed: int = 0, prefixes: int = 3, each: int = 7) -> list[Item]:
    rng = random.Random(seed)
    ids = lambda n: tuple(rng.randrange(3, 199) for _ in range(n))  # noqa: E731
    items = []
    for _ in range(prefixes):
        prefix = ids(rng.randrange(20, 60))
        for _ in range(each):
            segment = ids(rng.randrange(8, 70))
            items.append(Item(prefix, segment, rng.randrange(1, len(segment) - 1)))
    return items


def alone(model, items: list[Item]):
    """Loss of each example by itself, through the model's own attention and mask."""
    import torch

    total = 0
    for item in items:
        ids = torch.tensor([item.prefix + item.segment])
        logits = model(input_ids=ids, use_cache=False).logits[0, :-1]
        start = len(item.prefix) + item.labels_from
        total = total + torch.nn.functional.cross_entropy(
            logits[start - 1 :], ids[0, start:], reduction="sum"
        )
    return total


@pytest.mark.parametrize(
    ("kind", "window"),
    [*((kind, None) for kind in KINDS), *((kind, 37) for kind in SLIDING)],
)
def test_a_packed_row_has_the_loss_and_the_gradients_of_its_examples_alone(kind, window):
    import torch

    model = random_model(kind, window)
    items = make_items()
    expected = alone(model, items)
    expected.backward()
    gradients = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()

    packing.register()
    model.set_attn_implementation(packing.ATTENTION)
    (row,) = packing.rows_of_epoch(
        items, [1] * len(items), row_tokens=10_000, group_questions=5, rng=random.Random(0)
    )
    assert len(row) == 6  # seven questions of each prefix, in groups of four and three
    loss = packing.loss_sum(model, packing.collate(items, row))
    loss.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    for name, parameter in model.named_parameters():
        if name in gradients:
            torch.testing.assert_close(parameter.grad, gradients[name], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_layout_the_attention_is_the_ordinary_one(kind):
    import torch

    packing.register()
    model = random_model(kind, None)
    ids = torch.arange(3, 40)[None]
    expected = model(input_ids=ids).logits
    model.set_attn_implementation(packing.ATTENTION)
    torch.testing.assert_close(model(input_ids=ids).logits, expected)


def test_an_epoch_shows_every_example_as_often_as_told():
    items = make_items()
    repeats = [1 + place % 3 for place in range(len(items))]
    rows = packing.rows_of_epoch(
        items, repeats, row_tokens=256, group_questions=4, rng=random.Random(1)
    )
    shown = [place for row in rows for group in row for place in group]
    assert {p: shown.count(p) for p in set(shown)} == dict(enumerate(repeats))
    for row in rows:
        tokens = 0
        for group in row:
            assert len({items[p].prefix for p in group}) == 1 and len(group) <= 4
            tokens += len(items[group[0]].prefix) + sum(len(items[p].segment) for p in group)
        assert tokens <= 256


def test_a_plan_is_reproducible_shuffled_and_fills_its_last_step():
    items = make_items()
    settings = dict(row_tokens=200, group_questions=4, rows_per_step=4, max_steps=0)
    once = packing.plan(items, [1] * 21, epochs=2, seed=3, **settings)
    assert once == packing.plan(items, [1] * 21, epochs=2, seed=3, **settings)
    assert once != packing.plan(items, [1] * 21, epochs=2, seed=4, **settings)
    assert len(once) % 4 == 0
    shown = [p for row in once for g in row for p in g]
    assert all(shown.count(p) >= 2 for p in range(21))
    capped = packing.plan(items, [1] * 21, epochs=2, seed=3, **settings | {"max_steps": 1})
    assert capped == once[:4]
