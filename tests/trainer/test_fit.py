from __future__ import annotations

import json
from pathlib import Path

import pytest

from trainer.config import load_config


def run(settings, *, resume=False, **more):
    from trainer.fit import fit

    said: list[str] = []
    config = load_config(None, settings | more)
    return fit(config, resume=resume, say=said.append, quiet=True), said


def losses(folder: Path) -> dict[int, float]:
    from trainer.fit import read_log

    return {r["step"]: r["loss"] for r in read_log(folder / "metrics.jsonl") if "loss" in r}


def test_a_run_leaves_an_adapter_a_log_curves_and_the_answers(settings):
    result, said = run(settings, max_steps=12)
    curve = losses(result.folder)
    assert list(curve) == list(range(1, 13))
    assert curve[12] < curve[1] - 0.3
    assert (result.adapter / "adapter_model.safetensors").is_file()
    info = json.loads((result.adapter / "t2sql.json").read_text())
    assert info["chat_format"] == "chatml" and len(info["base_sha256"]) == 64
    about = json.loads((result.folder / "run.json").read_text())
    assert about["best"]["step"] == 12 and about["memory_gib"]["process"] > 0
    assert {p.name for p in (result.folder / "plots").iterdir()} == {
        "loss.png", "learning_rate.png", "accuracy.png",
    }  # fmt: skip
    assert list((result.folder / "tensorboard").iterdir())
    answers = (result.folder / "predictions" / "step-12.jsonl").read_text().splitlines()
    assert len(answers) == 3
    assert any("examples were left out" in line for line in said)  # the broken gold


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
    command = [sys.executable, "-m", "trainer", "fit", "--quiet"]
    for name, value in (settings | recipe | {"out": str(broken)}).items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            command.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            command += [f"--{flag}", ",".join(value) if isinstance(value, tuple) else str(value)]
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


def read(folder: Path) -> list[dict]:
    from trainer.fit import read_log

    return read_log(folder / "metrics.jsonl")
