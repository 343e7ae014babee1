from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from click.testing import CliRunner

from trainer.cli import find_recipe, main
from trainer.config import Config, ConfigError, load_config, options, read_grid
from trainer.sweep import as_flags, combinations, run_name


def recipe(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return path


def test_every_field_has_a_docstring_which_is_its_help():
    assert set(options()) == {f.name for f in fields(Config)}
    assert all(len(option.help) > 15 for option in options().values())
    # without white space, for help is wrapped, at hyphens too
    shown = "".join(CliRunner().invoke(main, ["fit", "--help"]).output.split())
    for option in options().values():
        assert "".join(option.help.split()) in shown and option.flag in shown


def test_flags_override_a_recipe(tmp_path):
    path = recipe(tmp_path, 'rank = 8\nbase = "x"\ntargets = ["q_proj"]\n')
    config = load_config(path, {"rank": "16", "dora": "true", "targets": "q_proj, v_proj"})
    assert (config.rank, config.base, config.dora) == (16, "x", True)
    assert config.targets == ("q_proj", "v_proj")
    assert config.out == "runs/mine"


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("rnak = 3", "sets 'rnak', which is not an option", "Did you mean 'rank'?"),
        ("rank = 'many'", "'rank' cannot be 'many', it must be of type int", "Rank of"),
        ("rank = 2.5", "'rank' cannot be 2.5", ""),
        ("rank = true", "'rank' cannot be True", ""),
        ("rank = 0", "'rank' must be at least 1", ""),
        ("epochs = -1", "'epochs' cannot be negative", ""),
        ("epochs = 0", "nothing to train", ""),
        ("method = 'lorra'", "'method' cannot be 'lorra'", "Did you mean 'lora'?"),
        ("bf16 = 1", "'bf16' cannot be 1", ""),
        ("targets = 'x'\ndata = 3", "'data' must be a list", ""),
        ("rank 3", "is not TOML", ""),
    ],
)
def test_a_wrong_recipe_is_an_error_that_says_what_to_write(tmp_path, text, message, hint):
    with pytest.raises(ConfigError) as caught:
        load_config(recipe(tmp_path, text))
    assert message in caught.value.message and hint in caught.value.hint


def test_a_missing_recipe_suggests_one_that_comes_with_the_program():
    with pytest.raises(ConfigError) as caught:
        load_config(Path("recipes/spider-qwen2.5-coder-0.5.toml"))
    assert "spider-qwen2.5-coder-0.5b.toml" in caught.value.hint
    assert find_recipe(Path("recipes/spider-smollm2-135m.toml")).is_file()


def test_help_needs_neither_torch_nor_transformers():
    code = (
        "import sys; from click.testing import CliRunner; from trainer.cli import main\n"
        "commands = main.list_commands(None)\n"
        "assert {'fit', 'average', 'export', 'push'} <= set(commands)\n"
        "for command in commands:\n"
        "    result = CliRunner().invoke(main, [command, '--help'])\n"
        "    assert result.exit_code == 0 and 'Usage' in result.output, (command, result)\n"
        "assert CliRunner().invoke(main, ['--help']).exit_code == 0\n"
        "heavy = {'torch', 'transformers', 'peft', 'datasets', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    root = Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)


def test_the_command_line_suggests_commands_and_flags():
    result = CliRunner().invoke(main, ["fitt"])
    assert result.exit_code == 2 and "Did you mean 'fit'?" in result.output
    result = CliRunner().invoke(main, ["fit", "--rnk", "3"])
    assert result.exit_code == 2 and "--rank" in result.output
    result = CliRunner().invoke(main, ["fit", "--rank", "x"])
    assert result.exit_code == 2 and "must be of type int" in result.output


def test_a_config_survives_the_way_over_the_command_line(tmp_path):
    config = load_config(None, {"rank": 5, "bf16": False, "data": "a,b", "epochs": 2.5})
    flags = as_flags(config)
    given = {}
    while flags:
        flag = flags.pop(0).removeprefix("--")
        if flag.startswith("no-"):
            given[flag[3:].replace("-", "_")] = False
        else:
            given[flag.replace("-", "_")] = flags.pop(0)
    assert load_config(None, given) == config


def test_a_grid_has_every_combination_and_knows_its_fields():
    grid = read_grid(["rank=4,8", "targets=q_proj+v_proj,all-linear"])
    chosen = combinations(grid)
    assert len(chosen) == 4
    assert chosen[0] == {"rank": 4, "targets": ("q_proj", "v_proj")}
    assert run_name(chosen[0]) == "rank-4_targets-q_proj+v_proj"
    with pytest.raises(ConfigError, match="which is not an option"):
        read_grid(["rnak=4"])
    with pytest.raises(ConfigError, match="names no values"):
        read_grid(["rank"])
