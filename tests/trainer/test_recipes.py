"""Every recipe, from data to a saved adapter, on a tiny random model of its architecture."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from t2sql_tui.core.errors import ModelError
from tests.trainer.conftest import make_base
from trainer.config import load_config, load_grid, recipes

KINDS = {
    "spider-qwen2.5-coder-0.5b": "qwen2",
    "spider-qwen2.5-coder-1.5b": "qwen2",
    "spider-qwen2.5-coder-7b": "qwen2",
    "spider-phi-3-mini": "phi3",
    "spider-postgres-mistral-7b": "mistral",
    "gretel-gemma-3-1b": "gemma3",
    "spider-smollm2-135m": "llama",
}


def test_every_recipe_is_tested_and_begins_with_its_command():
    assert {path.stem for path in recipes()} == set(KINDS)
    for path in recipes():
        first = path.read_text().splitlines()[0]
        command, _, place = first.removeprefix("# trainer ").partition(" ")
        assert command in ("fit", "sweep") and place == f"recipes/{path.name}"
        table = tomllib.loads(path.read_text())
        assert bool(load_grid(path)) == (command == "sweep") == ("sweep" in table)


@pytest.fixture(scope="session")
def gretel(tmp_path_factory) -> Path:
    """A file in gretel's layout: every row has a database of its own."""
    rows = [
        {
            "id": n,
            "sql_prompt": f"How many in room {n}?",
            "sql_task_type": "data retrieval",
            "sql_context": "CREATE TABLE guest (id INT, room INT); "
            f"INSERT INTO guest VALUES ({n}, {n});",
            "sql": f"SELECT COUNT(*) FROM guest WHERE room = {n}",
            "sql_complexity": "aggregation",
        }
        for n in range(12)
    ]
    path = tmp_path_factory.mktemp("gretel") / "train.json"
    path.write_text(json.dumps(rows))
    return path


@pytest.mark.parametrize("recipe", recipes(), ids=lambda path: path.stem)
def test_a_recipe_trains_and_saves(recipe, settings, gretel, tmp_path_factory):
    from safetensors import safe_open

    from trainer.fit import fit

    kind = KINDS[recipe.stem]
    folder = make_base(tmp_path_factory.getbasetemp() / f"base-{kind}", kind)
    small = {
        "base": str(folder),
        "max_steps": 2,
        "rows_per_step": 1,
        "eval_questions": 2,
        "eval_tokens": 4,
        "eval_first": False,
        "out": settings["out"],
        "threads": 1,
    }
    recipe_config = load_config(recipe)
    if "gretel" in recipe.stem:
        small |= {"data": (f"gretel-format:{gretel}",), "heldout_share": 0.3}
    else:
        small |= {"data": settings["data"], "heldout": settings["heldout"]}
    if kind == "llama":
        small["chat_format"] = "chatml"  # as the catalog says of SmolLM2
    if recipe_config.method == "qlora":
        config = load_config(recipe, small)
        with pytest.raises(ModelError, match="needs a CUDA GPU"):
            fit(config, say=lambda text: None, quiet=True)
        small["method"] = "lora"
    config = load_config(recipe, small)
    fitted = fit(config, say=lambda text: None, quiet=True)
    with safe_open(fitted.adapter / "adapter_model.safetensors", "np") as file:
        names = list(file.keys())
        moved = max(abs(file.get_tensor(n)).max() for n in names if "lora_B" in n)
    assert moved > 0, "lora_B starts at zero: it was not trained"
    assert all(".self_attn." in n for n in names) == (recipe_config.targets == ("attention",))
    info = json.loads((fitted.adapter / "t2sql.json").read_text())
    assert info["prompt_version"] == recipe_config.prompt_version
    if recipe_config.dialect == "postgres":
        from trainer.data import open_artefact

        run = json.loads((fitted.folder / "run.json").read_text())
        suffixes = open_artefact(Path(run["data"])).load()["train"]["suffix"]
        assert all("Write postgres." in suffix for suffix in suffixes)
