from __future__ import annotations

import json

import pytest

from trainer.config import load_config


def test_a_sweep_compares_its_runs_with_the_untuned_model_and_goes_on_where_it_stopped(
    settings, tmp_path
):
    from t2sql_tui.core.errors import T2SQLError
    from trainer.sweep import sweep

    messages: list[str] = []
    config = load_config(None, settings | {"out": str(tmp_path / "sweep")})
    # the second run cannot start: no layer has that name
    with pytest.raises(T2SQLError, match="failed"):
        sweep(config, {"targets": [("q_proj",), ("no_such_layer",)]}, messages.append)
    root = sweep(config, {"targets": [("q_proj",), ("q_proj", "v_proj")]}, messages.append)
    assert "[1/2] targets-q_proj: finished before" in messages
    rows = json.loads((root / "sweep.json").read_text())["rows"]
    assert [row["run"] for row in rows] == ["untuned", "targets-q_proj", "targets-q_proj+v_proj"]
    assert 0 < rows[1]["parameters"] < rows[2]["parameters"]
    # float16, and a few kilobytes of names
    assert all(2 * r["parameters"] / 1e6 == pytest.approx(r["mb"], abs=0.1) for r in rows)
    assert all({"execution", "exact", "bleu", "rougeL", "minutes", "gib"} <= set(r) for r in rows)
    assert "| untuned" in (root / "table.md").read_text()
    assert len(list(root.glob("accuracy-by-*.png"))) == 3


def test_doctor_trains_resumes_and_reports(settings):
    from trainer.doctor import doctor

    messages: list[str] = []
    healthy = doctor(load_config(None, settings), messages.append)
    assert [line.split(":")[0] for line in messages] == [
        "ok    base",
        "ok    data",
        "ok    memory",
        "ok    learning",
        "ok    checkpoint",
        "FAIL  answers",  # of a random model
    ]
    assert not healthy


def test_doctor_sees_a_model_that_does_not_learn(settings):
    from trainer.doctor import doctor

    messages: list[str] = []
    doctor(load_config(None, settings | {"learning_rate": 0.0, "dropout": 0.5}), messages.append)
    assert any(line.startswith("FAIL  learning") for line in messages)


def test_every_way_that_is_timed_computes_the_same_loss(settings):
    """Else their speeds could not be compared. One step each, so the weights are the same."""
    from trainer.bench import bench

    config = load_config(None, settings | {"row_tokens": 8192, "learning_rate": 0.0})
    result = bench(config, 9, lambda text: None)
    losses = [row["loss"] for row in result["rows"]]
    assert [row["name"] for row in result["rows"]] == [
        "plain loop",
        "packed, all logits",
        "packed, square mask",
        "packed, PEFT's LoRA",
        "packed",
    ]
    assert losses == pytest.approx([losses[0]] * 5, rel=1e-4)
    assert len({row["useful"] for row in result["rows"]}) == 1
    assert result["rows"][0]["tokens"] > 2 * result["rows"][-1]["tokens"]


def test_the_fused_layers_give_pefts_outputs_and_gradients():
    import torch

    from tests.tiny_models import tiny_model, with_adapter
    from trainer.fused_lora import fuse

    ids = torch.arange(3, 40)[None]
    results = []
    for fused in (False, True):
        model = with_adapter(tiny_model("qwen2"))
        if fused:
            assert fuse(model) == 14
        logits = model(input_ids=ids).logits
        logits.square().mean().backward()
        grads = {n: p.grad for n, p in model.named_parameters() if p.requires_grad}
        results.append((logits, grads))
    torch.testing.assert_close(results[0][0], results[1][0], rtol=1e-4, atol=1e-5)
    assert len(results[0][1]) == 28
    for name, grad in results[0][1].items():
        torch.testing.assert_close(grad, results[1][1][name], rtol=1e-3, atol=1e-6)
    model.disable_adapter_layers()
    plain = model(input_ids=ids).logits
    assert not torch.allclose(plain, results[0][0])
