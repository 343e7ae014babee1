"""The card says what the run's files say, and no more; push sends what was proven."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from t2sql_tui.core.errors import ModelError
from t2sql_tui.core.models.adapter_info import AdapterInfo, write_adapter_info
from trainer.card import card, read_facts, write_card
from trainer.cli import main
from trainer.push import push_files


@pytest.fixture
def run(tmp_path) -> Path:
    folder = tmp_path / "mine"
    (folder / "adapter").mkdir(parents=True)
    (folder / "plots").mkdir()
    (folder / "plots" / "loss.png").write_bytes(b"png")
    (folder / "adapter" / "adapter_config.json").write_text("{}")
    (folder / "adapter" / "adapter_model.safetensors").write_bytes(b"x" * 1000)
    write_adapter_info(
        folder / "adapter",
        AdapterInfo(
            "qwen2.5-coder-0.5b",
            "1d96" * 16,
            "v2",
            "chatml",
            "Apache-2.0",
        ),
    )
    data = tmp_path / "data"
    data.mkdir()
    (data / "data.json").write_text(json.dumps({"statistics": {"train": {"examples": 7777}}}))
    write = {
        "config.json": {
            "data": ["spider-train", "gretel-train"],
            "rank": 32,
            "dora": False,
            "targets": ["all-linear"],
            "eval_questions": 100,
            "max_tokens": 2048,
            "heldout": "spider-train-holdout",
        },
        "run.json": {
            "data": str(data),
            "steps": 120,
            "minutes": 61.6,
            "parameters": 500_000,
            "trainable_parameters": 17_000,
            "provenance": {"machine": {"cores": 2, "processor": "EPYC"}},
        },
        "mine-q8_0.parity.json": {
            "file": "mine-q8_0.gguf",
            "bytes": 675_000_000,
            "exported_accuracy": 0.61,
            "adapter_accuracy": 0.62,
            "different": 0.04,
            "questions": 100,
            "passed": True,
        },
    }
    for name, content in write.items():
        (folder / name).write_text(json.dumps(content))
    log = [
        {"step": 0, "execution_accuracy": 0.15, "valid_sql": 0.21, "eval_loss": 0.91},
        {"step": 1, "loss": 0.7},
        {"step": 60, "execution_accuracy": 0.613, "valid_sql": 0.8, "eval_loss": 0.15},
    ]
    text = "".join(json.dumps(line) + "\n" for line in log)
    (folder / "metrics.jsonl").write_text(text + '{"step": 61, "lo')  # cut by a kill
    return folder


def test_the_card_says_what_the_files_say(run):
    text = card(read_facts(run))
    for said in (
        "license: apache-2.0",
        "base_model: Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF",
        "tags: [text-to-sql, sqlite, gguf]",
        "# mine",
        "prompt version `v2`",
        "7,777",
        "17,000 (3.40 %)",
        "| 60     | 61.3",
        "| 0      | 15.0",
        "plots/loss.png",
        "2 cores, EPYC",
        "| `mine-q8_0.gguf` | 675",
        "39 of 100 answers were wrong",
        "Spider 1.0](https://yale-lily.github.io/spider) is under CC BY-SA 4.0",
        "Not measured on a benchmark yet",
    ):
        assert said in text, said


def test_a_card_of_a_bare_adapter_claims_nothing(run):
    text = card(read_facts(run / "adapter"))
    assert "## Training" not in text and "## GGUF files" not in text
    assert "answers were wrong" not in text and "Not measured" in text


def test_scores_come_from_the_results_of_benchmarks(run, tmp_path):
    from benchmarks.results import share

    results = {
        "identity": {
            "suite": "spider-dev",
            "model": "mine-q8_0",
            "of": 1034,
            "candidates": 1,
            "temperature": 0,
            "repairs": 0,
            "prompt_version": "v2",
            "backend": "gguf",
            "max_tokens": 300,
            "seed": 0,
        },
        "answered": 1034,
        "speed": None,
        "measures": {
            name: share([True] * 3 + [False] * 5, range(8)) for name in ("execution", "runs")
        },
    }
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "results.json").write_text(json.dumps(results))
    text = card(read_facts(run, [tmp_path / "dev"]))
    assert "spider-dev" in text and "37.5" in text and "Not measured" not in text
    with pytest.raises(ModelError, match="There is no"):
        read_facts(run, [tmp_path / "nowhere"])


def test_rewriting_keeps_what_was_added_and_no_foreign_file(run):
    runner = CliRunner()
    assert runner.invoke(main, ["card", str(run)]).exit_code == 0
    path = run / "README.md"
    path.write_text(path.read_text() + "\nMy own words.\n")
    assert runner.invoke(main, ["card", str(run)]).exit_code == 0
    assert path.read_text().endswith("My own words.\n")
    assert path.read_text().count("# mine\n") == 1
    path.write_text("Not ours.")
    with pytest.raises(ModelError, match="was not written by this command"):
        write_card(run)
    assert path.read_text() == "Not ours."


def test_push_without_a_token_says_what_it_would_do(run, monkeypatch):
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    monkeypatch.setattr("huggingface_hub.HfApi", lambda **_: pytest.fail("the hub was called"))
    write_card(run)
    result = CliRunner().invoke(main, ["push", str(run), "me/mine"])
    assert result.exit_code == 0
    assert "Would upload to https://huggingface.co/me/mine" in result.output
    assert "adapter_model.safetensors" in result.output and "hf auth login" in result.output


def test_push_uploads_all_in_one_commit(run, monkeypatch):
    calls = []

    class Hub:
        def __init__(self, token):
            assert token == "secret"

        def create_repo(self, name, **options):
            calls.append((name, options))

        def create_commit(self, name, operations, commit_message):
            calls.append(sorted(operation.path_in_repo for operation in operations))

    monkeypatch.setattr("huggingface_hub.get_token", lambda: "secret")
    monkeypatch.setattr("huggingface_hub.HfApi", Hub)
    write_card(run)
    (run / "mine-q8_0.gguf").write_bytes(b"GGUF")
    result = CliRunner().invoke(main, ["push", str(run), "me/mine", "--private"])
    assert result.exit_code == 0, result.output
    assert "secret" not in result.output
    assert calls == [
        ("me/mine", {"private": True, "exist_ok": True}),
        [
            "README.md",
            "adapter_config.json",
            "adapter_model.safetensors",
            "mine-q8_0.gguf",
            "mine-q8_0.parity.json",
            "plots/loss.png",
            "t2sql.json",
        ],
    ]


def test_what_was_not_proven_is_not_pushed(run):
    with pytest.raises(ModelError, match="no model card"):
        push_files(run)
    write_card(run)
    (run / "mine-lora.gguf").write_bytes(b"GGUF")
    assert "mine-lora.gguf" in push_files(run)
    (run / "mine-q4_0.gguf").write_bytes(b"GGUF")
    with pytest.raises(ModelError, match=r"mine-q4_0.gguf was never compared"):
        push_files(run)
