"""What the registry of backends says is what the command line offers."""

from __future__ import annotations

import inspect
from importlib import import_module

import click
import pytest
from click.testing import CliRunner

from t2sql_tui.backends import BACKENDS, BackendEntry, BackendOption, load_backend
from t2sql_tui.cli import main
from t2sql_tui.cli.backend_options import BackendChoice, backend_options
from t2sql_tui.core.errors import ModelError
from t2sql_tui.core.types import ModelSpec


def run(*args: str) -> tuple[BackendChoice | None, click.testing.Result]:
    """The choice that a command gets."""
    got: list[BackendChoice] = []

    @click.command()
    @backend_options
    def command(backend: BackendChoice) -> None:
        got.append(backend)

    result = CliRunner().invoke(command, args)
    return (got[0] if got else None), result


def test_the_default_backend_has_no_options_given() -> None:
    assert run()[0] == BackendChoice("gguf", {})


def test_options_reach_the_backend_under_the_names_of_its_constructor() -> None:
    choice, _ = run("--threads", "3", "--context", "512", "--gpu-layers", "0")
    assert choice == BackendChoice("gguf", {"n_threads": 3, "n_ctx": 512, "n_gpu_layers": 0})
    choice, _ = run("--backend", "peft", "--four-bit", "--context", "512")
    assert choice == BackendChoice("peft", {"four_bit": True, "n_ctx": 512})


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--backend", "peft", "--threads", "3"), "no option --threads; it has: --base"),
        (("--backend", "gpt"), ", ".join(f"'{name}'" for name in BACKENDS)),
        (("--threads", "0"), "--threads"),
        (("--backend", "scripted", "--delay", "-1"), "--delay"),
    ],
)
def test_a_wrong_option_is_a_usage_error(args: tuple[str, ...], said: str) -> None:
    choice, result = run(*args)
    assert choice is None and result.exit_code == 2 and said in result.stderr


@pytest.mark.parametrize("name", BACKENDS)
def test_every_option_is_a_keyword_of_the_constructor(name: str) -> None:
    module, _, attribute = BACKENDS[name].target.partition(":")
    keywords = inspect.signature(getattr(import_module(module), attribute)).parameters
    assert {option.name for option in BACKENDS[name].options} <= keywords.keys()
    assert "on_progress" in keywords


def test_a_new_entry_is_a_choice_with_its_options(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = BackendEntry(
        "nowhere:Remote", "a server", (BackendOption("base_url", "Address.", metavar="URL"),)
    )
    monkeypatch.setattr("t2sql_tui.cli.backend_options.BACKENDS", {**BACKENDS, "remote": entry})
    choice, _ = run("--backend", "remote", "--base-url", "http://x")
    assert choice == BackendChoice("remote", {"base_url": "http://x"})
    assert "remote: a server" in " ".join(run("--help")[1].output.split())


@pytest.mark.parametrize("name", main.commands)
def test_no_command_has_two_options_of_one_name(name: str) -> None:
    command = main.commands[name]
    names = [parameter.name for parameter in command.params]
    flags = [flag for parameter in command.params for flag in parameter.opts]
    assert len(names) == len(set(names)) and len(flags) == len(set(flags))


@pytest.mark.parametrize("command", [["ask", "--demo", "retail", "How many?"]])
def test_offline_and_a_server_exclude_each_other(command: list[str]) -> None:
    result = CliRunner().invoke(
        main, [*command, "--offline", "--backend", "remote", "--url", "http://127.0.0.1:9/v1"]
    )
    assert result.exit_code == 4
    assert "--offline forbids" in result.output and "gguf" in result.output


@pytest.mark.parametrize("name", BACKENDS)
def test_offline_reaches_every_backend_that_may_fetch(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    got: list[dict[str, object]] = []
    module, _, target = BACKENDS[name].target.partition(":")
    monkeypatch.setattr(
        import_module(module), target, lambda spec, **options: got.append(options) or "loaded"
    )
    if BACKENDS[name].network == "asks":
        with pytest.raises(ModelError, match="--offline"):
            load_backend(ModelSpec("x"), backend=name, offline=True)
        return
    load_backend(ModelSpec("x"), backend=name, offline=True)
    assert got[0].get("offline") is (True if BACKENDS[name].network == "fetches" else None)


def test_the_peft_backend_asks_no_hub_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    transformers = pytest.importorskip("transformers")
    asked: list[object] = []

    def missing(source: str, **options: object) -> None:
        asked.append(options["local_files_only"])
        raise OSError("not on this machine")

    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", missing)
    with pytest.raises(ModelError, match="not on this machine"):
        load_backend(
            ModelSpec("x", base="someone/model"), backend="peft", offline=True, device="cpu"
        )
    assert asked == [True]
