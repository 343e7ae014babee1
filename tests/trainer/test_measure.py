from __future__ import annotations

import random
import re

import pytest

from tests.trainer.test_packing import KINDS, SLIDING, random_model
from trainer import generation, packing


class Numbers:
    """A tokenizer whose tokens are written as their ids."""

    pad_token_id, eos_token_id = 0, 2

    def encode(self, text: str, add_special_tokens: bool = False) -> list[int]:
        return [int(number) for number in re.findall(r"\d+", text)]

    def decode(self, ids, skip_special_tokens: bool = False) -> str:
        return "".join(f"<{int(i)}>" for i in ids)


@pytest.mark.parametrize(
    ("kind", "window"), [*((kind, None) for kind in KINDS), *((kind, 13) for kind in SLIDING)]
)
def test_batched_answers_are_those_of_each_question_alone(kind, window):
    """Prompts of different databases and lengths, in one batch."""
    import torch

    packing.register()
    model = random_model(kind, window).eval()
    rng = random.Random(0)
    ids = lambda n: " ".join(str(rng.randrange(3, 199)) for _ in range(n))  # noqa: E731
    prefixes = [ids(50), ids(30)]
    prompts = [(prefixes[n % 2], ids(rng.randrange(3, 20))) for n in range(9)]
    tokenizer = Numbers()
    with torch.inference_mode():
        model.set_attn_implementation("sdpa")
        expected = []
        for prefix, suffix in prompts:
            whole = torch.tensor([tokenizer.encode(f"{prefix} {suffix}")])
            out = model.generate(
                input_ids=whole,
                attention_mask=torch.ones_like(whole),
                max_new_tokens=12,
                do_sample=False,
                eos_token_id=[2],
                pad_token_id=0,
            )
            answer = tokenizer.decode(out[0, whole.shape[1] :])
            expected.append(answer.partition("<2>")[0])
        model.set_attn_implementation(packing.ATTENTION)
        answers = generation.generate(
            model, tokenizer, prompts, "<2>", max_tokens=12, batch=5, row_tokens=128
        )
    assert answers == expected
    assert len(set(answers)) > 4  # a model that repeats itself would prove nothing
