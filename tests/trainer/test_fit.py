from __future__ import annotations

import json
from pathlib import Path

import pytest

from t2sql_tui.core.errors import ModelError
from trainer.config import load_config
from trainer.outputs import TrainingError


def run(settings, *, resume=False, **more):
    from trainer.fit import fit

    messages: list[str] = []
    config = load_config(None, settings | more)
    return fit(config, resume=resume, say=messages.append, quiet=True), messages


def losses(folder: Path) -> dict[int, float]:
    from trainer.run_log import read_log

    return {r["step"]: r["loss"] for r in read_log(folder / "metrics.jsonl") if "loss" in r}


def test_a_run_leaves_an_adapter_a_log_curves_and_the_answers(settings):
    result, messages = run(settings, max_steps=12)
    curve = losses(result.folder)
    assert list(curve) == list(range(1, 13))
    assert curve[12] < curve[1] - 0.3
    assert (result.adapter / "adapter_model.safetensors").is_file()
    info = json.loads((result.adapter / "t2sql.json").read_text())
    assert info["chat_format"] == "chatml" and len(info["base_sha256"]) == 64
    about = json.loads((result.folder / "run.json").read_text())
    assert about["best"]["step"] == 12 and about["memory_gib"]["process"] > 0
    assert {p.name for p in (result.folder / "plots").iterdir()} == {
        "loss.png",
        "learning_rate.png",
        "accuracy.png",
    }
    assert list((result.folder / "tensorboard").iterdir())
    answers = (result.folder / "predictions" / "step-12.jsonl").read_text().splitlines()
    assert len(answers) == 3
    assert any("examples were left out" in line for line in messages)  # the broken gold


def test_training_goes_on_from_an_adapter(settings, tmp_path):
    first, _ = run(settings, max_steps=12)
    more, _ = run(settings, max_steps=2, start=str(first.folder), out=str(tmp_path / "more"))
    assert losses(more.folder)[1] < losses(first.folder)[1] - 0.3
    with pytest.raises(ModelError, match="does not fit"):
        run(settings, rank=8, start=str(first.folder), out=str(tmp_path / "other"))
    with pytest.raises(ModelError, match="no adapter"):
        run(settings, start=str(tmp_path / "nowhere"), out=str(tmp_path / "none"))


def test_ctrl_c_ends_the_step_and_keeps_it(settings, tmp_path):
    """And meanwhile no second process writes into the run's folder."""
    import os
    import signal
    import subprocess
    import sys
    import time

    from trainer.outputs import find_trained

    broken = tmp_path / "broken"
    recipe = {"max_steps": 400, "epochs": 0, "eval_first": False, "out": str(broken)}
    command = [sys.executable, "-m", "trainer", *flags(settings | recipe)]
    process = subprocess.Popen(
        command,
        cwd=Path(__file__).resolve().parents[2],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if (broken / "metrics.jsonl").exists() and len(losses(broken)) >= 3:
            break
        time.sleep(0.005)
    with pytest.raises(TrainingError, match="Another process"):
        run(settings, **recipe, resume=True)
    process.send_signal(signal.SIGINT)
    _, messages = process.communicate(timeout=60)
    assert process.returncode == 130 and "again to stop at once" in messages
    assert "`--resume` continues" in messages
    (kept,) = (broken / "checkpoints").glob("checkpoint-*")
    done = losses(broken)
    assert kept.name == f"checkpoint-{max(done)}" and 3 <= max(done) < 400
    # what it has learnt so far can be used, though nothing was measured
    assert find_trained(broken).folder == broken / "adapter"


def test_the_mean_of_two_adapters_lies_between_them(settings, tmp_path):
    from click.testing import CliRunner
    from safetensors.torch import load_file

    from trainer.average import average
    from trainer.cli import main

    one, _ = run(settings, max_steps=2)
    two, _ = run(settings, max_steps=2, start=str(one.folder), out=str(tmp_path / "two"))
    mean = tmp_path / "mean"
    done = CliRunner().invoke(
        main, ["average", str(one.folder), str(two.folder), "--weights", "3,1", "--out", str(mean)]
    )
    assert done.exit_code == 0, done.output
    weights = [
        load_file(folder / "adapter_model.safetensors")
        for folder in (one.adapter, two.adapter, mean)
    ]
    for name, tensor in weights[2].items():
        expected = (3 * weights[0][name].float() + weights[1][name].float()) / 4
        assert tensor.dtype == weights[0][name].dtype
        assert (tensor.float() - expected).abs().max() < 1e-3
    more, _ = run(settings, max_steps=1, start=str(mean), out=str(tmp_path / "more"))
    assert losses(more.folder)

    with pytest.raises(ModelError, match="exists already"):
        average([one.folder, two.folder], [1, 1], mean)
    with pytest.raises(ModelError, match="3 weights for 2"):
        average([one.folder, two.folder], [1, 1, 1], tmp_path / "no")
    other, _ = run(settings, rank=8, out=str(tmp_path / "other"))
    with pytest.raises(ModelError, match="another kind"):
        average([one.folder, other.folder], [1, 1], tmp_path / "no")
    assert not (tmp_path / "no").exists()


def test_a_killed_run_resumes_with_the_losses_of_an_unbroken_one(settings, tmp_path):
    """kill -9 in the middle of a run that uses dropout, warm-up, decay and measurements."""
    import os
    import signal
    import subprocess
    import sys
    import time

    recipe = {"max_steps": 20, "save_every": 2, "eval_every": 6, "dropout": 0.1, "epochs": 0}
    whole, _ = run(settings, **recipe, out=str(tmp_path / "whole"))

    broken = tmp_path / "broken"
    command = [sys.executable, "-m", "trainer", *flags(settings | recipe | {"out": str(broken)})]
    root = Path(__file__).resolve().parents[2]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, cwd=root, env=environment)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if (broken / "metrics.jsonl").exists() and len(losses(broken)) >= 5:
            break
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = losses(broken)
    assert 5 <= len(done) < 20, "the run was to be killed in the middle"

    run(settings, **recipe, out=str(broken), resume=True)
    assert losses(broken) == losses(whole.folder)
    measured = [
        [(r["step"], r["eval_loss"]) for r in read(folder) if "eval_loss" in r]
        for folder in (whole.folder, broken)
    ]
    assert measured[0] == measured[1] and [step for step, _ in measured[0]] == [0, 6, 12, 18, 20]
    told = json.loads((broken / "run.json").read_text())  # of both processes together
    assert told["minutes_with_measuring"] >= told["minutes"] > 0


def read(folder: Path) -> list[dict]:
    from trainer.run_log import read_log

    return read_log(folder / "metrics.jsonl")


def test_two_processes_learn_what_one_does(settings, tmp_path):
    """torchrun with two gloo processes: the same rows, the same losses, the same adapter."""
    import os
    import subprocess
    import sys

    import torch
    from safetensors.torch import load_file

    recipe = {"max_steps": 3, "rows_per_step": 4, "eval_first": False}
    one, _ = run(settings, **recipe, out=str(tmp_path / "one"))
    two = tmp_path / "two"
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--standalone",
            "--nproc-per-node",
            "2",
            "-m",
            "trainer",
            *flags(settings | recipe | {"out": str(two)}),
        ],
        cwd=root,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    expected, found = losses(one.folder), losses(two)
    assert list(found) == [1, 2, 3]
    assert found == pytest.approx(expected, rel=1e-4)
    # each measures its half, both know all of it
    scores = [next(r for r in read(f) if "eval_loss" in r) for f in (one.folder, two)]
    assert scores[0]["eval_loss"] == pytest.approx(scores[1]["eval_loss"], rel=1e-3)
    adapters = [load_file(f / "adapter" / "adapter_model.safetensors") for f in (one.folder, two)]
    for name, weight in adapters[0].items():
        torch.testing.assert_close(weight, adapters[1][name], rtol=1e-2, atol=1e-3)


def flags(settings: dict) -> list[str]:
    from trainer.sweep import as_flags

    return ["fit", "--quiet", *as_flags(load_config(None, settings))]


def test_a_step_must_be_shared_evenly(settings, monkeypatch):
    from trainer.config import ConfigError
    from trainer.fit import plan_rows
    from trainer.packing import Item

    with pytest.raises(ConfigError, match="2 rows a step cannot be shared by 3 processes"):
        plan_rows([Item((1,), (2, 3), 1)], [1], load_config(None, settings), 3)


# --- what goes wrong ----------------------------------------------------------------


def test_a_folder_that_holds_a_run_is_not_overwritten(settings):
    from trainer.outputs import TrainingError

    run(settings, eval_first=False)
    with pytest.raises(TrainingError, match="already holds a run") as caught:
        run(settings)
    assert "--resume" in caught.value.hint


def test_a_checkpoint_of_another_config_is_refused_by_name_of_what_differs(settings):
    from trainer.outputs import TrainingError

    run(settings, eval_first=False)
    with pytest.raises(TrainingError, match=r"learning_rate \(was 0.01, is 0.02\)"):
        run(settings, eval_first=False, learning_rate=0.02, resume=True)
    # where it is kept and how often changes no loss
    run(settings, eval_first=False, save_every=7, resume=True)


def test_a_checkpoint_of_another_base_is_refused(settings, tmp_path):
    from tests.trainer.conftest import make_base
    from trainer.outputs import TrainingError

    base = make_base(tmp_path / "base")
    run(settings, base=str(base), eval_first=False)
    import shutil

    shutil.rmtree(base)
    make_base(base, vocabulary=328)
    with pytest.raises(TrainingError, match="other weights"):
        run(settings, base=str(base), eval_first=False, resume=True)


def test_a_run_that_diverges_stops_and_says_so(settings, monkeypatch):
    from trainer import packing
    from trainer.outputs import TrainingError

    real, count = packing.loss_sum, iter(range(100))
    monkeypatch.setattr(
        packing, "loss_sum", lambda m, b: real(m, b) * (float("nan") if next(count) >= 4 else 1)
    )
    with pytest.raises(TrainingError, match="diverged at step 3: the loss is nan") as caught:
        run(settings, max_steps=5, save_every=1, eval_first=False)
    assert "--learning-rate" in caught.value.hint
    kept = Path(settings["out"]) / "checkpoints"
    assert sorted(p.name for p in kept.iterdir()) == ["checkpoint-1", "checkpoint-2"]


def test_a_jump_of_the_loss_is_noticed(settings, monkeypatch):
    from trainer import packing

    real, count = packing.loss_sum, iter(range(1000))
    monkeypatch.setattr(
        packing, "loss_sum", lambda m, b: real(m, b) * (9 if next(count) == 2 * 22 else 1)
    )
    result, messages = run(settings, max_steps=24, eval_first=False, learning_rate=1e-5)
    assert [r["step"] for r in read(result.folder) if r.get("spike")] == [23]
    assert any("step 23: the loss jumped" in line for line in messages)


def test_too_little_memory_says_what_to_lower(settings, monkeypatch):
    from trainer import packing
    from trainer.outputs import TrainingError

    def too_large(model, batch):
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried")

    monkeypatch.setattr(packing, "loss_sum", too_large)
    with pytest.raises(TrainingError, match="not enough memory") as caught:
        run(settings, eval_first=False)
    assert "--row-tokens" in caught.value.hint and "--gradient-checkpointing" in caught.value.hint


def test_a_full_disk_leaves_the_last_good_checkpoint(settings, monkeypatch):
    """The second save fails half-way; the run is gone on with once there is room again."""
    import torch

    from t2sql_tui.core.errors import T2SQLError

    recipe = {"max_steps": 4, "save_every": 1, "eval_first": False}
    real = torch.save

    def save(value, path, *args, **kwargs):
        if "checkpoint-2" in str(path):
            raise OSError(28, "No space left on device")
        return real(value, path, *args, **kwargs)

    monkeypatch.setattr(torch, "save", save)
    with pytest.raises(
        T2SQLError, match="checkpoint-2 could not be written: No space left"
    ) as caught:
        run(settings, **recipe)
    assert "--resume" in caught.value.hint
    kept = Path(settings["out"]) / "checkpoints"
    assert [p.name for p in kept.iterdir()] == ["checkpoint-1"]
    monkeypatch.setattr(torch, "save", real)
    result, _ = run(settings, **recipe, resume=True)
    assert list(losses(result.folder)) == [1, 2, 3, 4]


def test_training_stops_early_and_keeps_the_first_best(settings):
    result, messages = run(settings, max_steps=12, eval_every=1, patience=3, learning_rate=1e-9)
    assert list(losses(result.folder)) == [1, 2, 3, 4]  # nothing is gained after the first
    assert any("no gain in 3 measurements" in line for line in messages)
    assert result.best["step"] == 1


def test_every_way_to_train_saves_what_it_trained(settings, tmp_path):
    """Full fine-tuning, DoRA, rsLoRA, checkpointing, no packing, and bfloat16."""
    for name, fields in {
        "full": {"method": "full", "learning_rate": 1e-3},
        "dora": {"dora": True},
        "rslora": {"rslora": True},
        "checkpointed": {"gradient_checkpointing": True},
        "unpacked": {"packing": False, "rows_per_step": 6},
        "bf16": {"bf16": True},
        "unfused": {"fused": False, "dropout": 0.1},
    }.items():
        result, _ = run(
            settings, **fields, max_steps=10, eval_first=False, out=str(tmp_path / name)
        )
        curve = losses(result.folder)
        assert curve[10] < curve[1], name
        assert (result.folder / ("model" if name == "full" else "adapter")).is_dir()
