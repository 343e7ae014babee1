"""The configuration of a run. A field's name is its flag and its TOML key, its docstring its help
text."""

from __future__ import annotations

import hashlib
import json
import tomllib
import typing
from collections.abc import Sequence
from dataclasses import Field, asdict, dataclass, field, fields, replace
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, Literal

from benchmarks.options import field_docs
from t2sql_tui.core.errors import T2SQLError


class ConfigError(T2SQLError):
    """A recipe or an option with an unknown name or an impossible value."""

    exit_code = 2


def _of(group: str, default: Any) -> Any:
    """A field of a group: `data` (decides the examples), `model` (decides losses and weights) or
    `run` (decides neither)."""
    return field(default=default, metadata={"group": group})


@dataclass(frozen=True)
class Config:
    """The options of a training run. `field_docs` reads the help texts below the fields."""

    base: str = _of("model", "qwen2.5-coder-0.5b")
    """Base model: a name in `t2sql-tui models list`, a .gguf file (dequantised once), or a
    transformers folder or hub id."""

    chat_format: str = _of("data", "")
    """Chat format of the prompts; empty takes that of the base model."""

    prompt_version: str = _of("data", "v1")
    """Prompt version, one of those in t2sql_tui.core.prompting.prompt."""

    data: tuple[str, ...] = _of("data", ("spider-train",))
    """Training data: names of `benchmarks list`, gretel-train, spider-syn (paraphrases of
    spider-train), synthetic (generated over spider-train's schemas), bird-text, or
    spider-format:DIR[/FILE], bird-format:DIR, gretel-format:FILE."""

    synthetic: int = _of("data", 1500)
    """Number of questions that the source synthetic generates, drawn by --data-seed."""

    heldout: str = _of("data", "spider-train-holdout")
    """Held-out data to measure on during training, named as in --data; empty sets aside a
    share of the training databases."""

    heldout_share: float = _of("data", 0.1)
    """Share of the training databases to set aside where --heldout is empty."""

    data_root: str = _of("run", "")
    """Folder of the data sets; empty means T2SQL_DATA or ../shared/data."""

    style: Literal["names", "aliases", "gold"] = _of("data", "names")
    """How to rewrite gold SQL where execution shows that the result stays the same: names drops
    aliases that are not needed; aliases names tables T1, T2, ... as Spider does; gold keeps it as
    published."""

    dialect: str = _of("data", "sqlite")
    """SQL dialect of the answers; a dialect other than sqlite is transpiled with sqlglot, and
    back to be measured."""

    keep_failing: bool = _of("data", False)
    """Also train on gold SQL that fails on its database."""

    repeat_hard: int = _of("data", 1)
    """Number of times that a question of hardness hard is in an epoch."""

    repeat_extra: int = _of("data", 1)
    """Number of times that a question of hardness extra is in an epoch."""

    repeat_set_operations: int = _of("data", 1)
    """Number of times that a question whose SQL has UNION, INTERSECT or EXCEPT is in an epoch."""

    schema: Literal["full", "pruned", "both"] = _of("data", "full")
    """Tables in the prompt: all (full), those of the gold SQL and a few distractors (pruned), or
    one variant of each (both)."""

    distractors: int = _of("data", 2)
    """Number of tables in a pruned schema beyond those of the gold SQL."""

    shuffled_schemas: int = _of("data", 0)
    """Number of further copies of the data with tables and columns in random order."""

    values: bool = _of("data", True)
    """Put the stored values that a question seems to mention into the prompt, as the app does."""

    max_tokens: int = _of("data", 4096)
    """Maximum length of an example (prefix, question and SQL) in tokens. A longer one loses
    tables; if it still does not fit it is dropped and listed."""

    max_examples: int = _of("data", 0)
    """Maximum number of training examples, drawn by --data-seed; 0 means all."""

    max_heldout: int = _of("data", 0)
    """Maximum number of held-out examples, drawn by --data-seed; 0 means all."""

    data_seed: int = _of("data", 0)
    """Seed of holding out, sampling, pruning and shuffling."""

    method: Literal["lora", "qlora", "full"] = _of("model", "lora")
    """Weights to train: low-rank adapters (lora), adapters over 4-bit weights (qlora, needs a
    GPU) or all weights (full)."""

    rank: int = _of("model", 32)
    """Rank of the adapters."""

    alpha: int = _of("model", 64)
    """Scale of the adapters: their output is multiplied by alpha / rank, or alpha / sqrt(rank) with
    --rslora."""

    dropout: float = _of("model", 0.0)
    """Dropout probability of the input of the adapters."""

    start: str = _of("model", "")
    """Adapter or run whose weights training starts from, with a new schedule; rank, alpha and
    targets must be the same. Empty starts with a new adapter."""

    targets: tuple[str, ...] = _of("model", ("all-linear",))
    """Layers with an adapter: all-linear, attention, or names such as q_proj."""

    rslora: bool = _of("model", False)
    """Scale by alpha / sqrt(rank) (Kalajdzievski 2023)."""

    dora: bool = _of("model", False)
    """Split weights into magnitude and direction (Liu et al. 2024); slower."""

    epochs: float = _of("model", 1.0)
    """Number of passes over the training examples."""

    max_steps: int = _of("model", 0)
    """Number of optimiser steps, which overrides --epochs; 0 trains for --epochs."""

    learning_rate: float = _of("model", 4e-4)
    """Peak learning rate."""

    schedule: Literal["cosine", "linear", "constant"] = _of("model", "cosine")
    """Schedule of the learning rate after the warm-up."""

    warmup: float = _of("model", 0.03)
    """Share of the steps in which the learning rate rises to its peak."""

    weight_decay: float = _of("model", 0.0)
    """Decoupled weight decay of AdamW."""

    clip: float = _of("model", 1.0)
    """Maximum norm of the gradients, which are scaled down to it; 0 does not clip."""

    packing: bool = _of("model", True)
    """Pack many questions behind one schema prefix; without it, one example follows the other."""

    row_tokens: int = _of("model", 2048)
    """Number of tokens in a row, which is one forward and backward pass; memory grows with
    it. A prefix longer than half a row still gets half a row of questions."""

    group_questions: int = _of("model", 24)
    """Maximum number of questions of one database in a row: more train faster, fewer are mixed
    better."""

    rows_per_step: int = _of("model", 4)
    """Number of rows in one optimiser step, over all processes together."""

    bf16: bool = _of("model", True)
    """Compute in bfloat16: frozen weights are stored in it, trained ones in float32."""

    gradient_checkpointing: bool = _of("model", False)
    """Recompute activations in the backward pass: a third slower, much less memory."""

    fused: bool = _of("model", True)
    """Use this program's LoRA kernel, which does not cast activations or keep them twice."""

    seed: int = _of("model", 0)
    """Seed of the order of the data, the initial adapter and the dropout."""

    eval_every: int = _of("model", 50)
    """Number of steps between measurements; the end is always measured; 0 measures only the
    end."""

    eval_questions: int = _of("model", 100)
    """Number of questions in the fixed held-out sample."""

    eval_tokens: int = _of("model", 128)
    """Maximum length of a generated answer, in tokens."""

    eval_batch: int = _of("model", 32)
    """Number of questions answered at once."""

    eval_first: bool = _of("model", True)
    """Also measure before the first step, which gives the accuracy of the untuned model."""

    patience: int = _of("model", 0)
    """Number of measurements in a row without a new best execution accuracy after which training
    stops; 0 never stops early."""

    out: str = _of("run", "")
    """Folder of the run; empty means runs/NAME, with the name of the recipe."""

    save_every: int = _of("run", 25)
    """Number of steps between checkpoints."""

    keep: int = _of("run", 2)
    """Number of checkpoints to keep."""

    threads: int = _of("run", 0)
    """Number of CPU threads; 0 means one for each core this process may use."""

    def data_key(self, chat_format: str) -> str:
        """16 hex digits over the fields of the group `data`, which identify a data artefact."""
        chosen = {f.name: getattr(self, f.name) for f in fields(self) if _group(f) == "data"}
        chosen |= {"chat_format": chat_format}
        return hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()[:16]

    def differences(self, other: dict[str, Any]) -> list[str]:
        """Names of the fields in which a config saved as a dictionary differs from this one.

        Fields of the group `run` do not count: without a difference, losses are the same.
        """
        own = json.loads(json.dumps(asdict(self)))
        return [
            f.name
            for f in fields(self)
            if _group(f) != "run" and own[f.name] != other.get(f.name, own[f.name])
        ]


@dataclass(frozen=True)
class Margins:
    """How much an exported file may differ from the adapter.

    `drop` is in points of execution accuracy, `different` the share of questions whose greedy
    SQL is another.
    """

    drop: float = 1.0
    different: float = 0.2


def _group(f: Field[Any]) -> str:
    return f.metadata["group"]


@dataclass(frozen=True)
class Option:
    """A field as a command line needs it: `kind` is the type of its value, or of its values."""

    name: str
    group: str
    help: str
    default: Any
    kind: type
    many: bool
    choices: tuple[str, ...]

    @property
    def flag(self) -> str:
        """The field's name as a flag."""
        return "--" + self.name.replace("_", "-")


@cache
def options() -> dict[str, Option]:
    """The options by name, one for each field."""
    docs, hints = field_docs(Config), typing.get_type_hints(Config)
    found = {}
    for f in fields(Config):
        hint, many = hints[f.name], False
        choices: tuple[str, ...] = ()
        if typing.get_origin(hint) is tuple:
            hint, many = typing.get_args(hint)[0], True
        elif typing.get_origin(hint) is Literal:
            hint, choices = str, typing.get_args(hint)
        found[f.name] = Option(f.name, _group(f), docs[f.name], f.default, hint, many, choices)
    return found


def coerce(name: str, value: Any, where: str) -> Any:
    """`value` in the type of field `name`; a string is read as on a command line.

    Raises: ConfigError for an unknown field, with the nearest known one, or a wrong value.
    """
    known = options()
    if name not in known:
        near = get_close_matches(name, known, 1, 0.5)
        hint = f"Did you mean '{near[0]}'?" if near else "`trainer fit --help` lists the options."
        raise ConfigError(f"{where} sets '{name}', which is not an option.", hint)
    option = known[name]
    if option.many:
        if isinstance(value, str):
            value = [part.strip() for part in value.split(",") if part.strip()]
        if not isinstance(value, (list, tuple)) or not all(isinstance(v, str) for v in value):
            raise ConfigError(f"{where}: '{name}' must be a list of strings.", option.help)
        return tuple(value)
    try:
        value = _scalar(option, value)
    except ValueError:
        raise ConfigError(
            f"{where}: '{name}' cannot be {value!r}, it must be of type {option.kind.__name__}.",
            option.help,
        ) from None
    if option.choices and value not in option.choices:
        near = get_close_matches(value, option.choices, 1, 0.5)
        hint = f"Did you mean '{near[0]}'? " if near else ""
        raise ConfigError(
            f"{where}: '{name}' cannot be '{value}'.", f"{hint}Known: {', '.join(option.choices)}."
        )
    if option.kind in (int, float) and value < 0:
        raise ConfigError(f"{where}: '{name}' cannot be negative ({value}).", option.help)
    return value


def _scalar(option: Option, value: Any) -> Any:
    """`value` in the type of the option. Raises: ValueError."""
    if option.kind is bool:
        if isinstance(value, str) and value.lower() in ("true", "false"):
            return value.lower() == "true"
        if not isinstance(value, bool):
            raise ValueError
        return value
    if option.kind is str:
        if not isinstance(value, str):
            raise ValueError
        return value
    if isinstance(value, bool):
        raise ValueError
    if option.kind is int and isinstance(value, float) and not value.is_integer():
        raise ValueError
    return option.kind(value)


def load_config(recipe: Path | None, overrides: dict[str, Any] | None = None) -> Config:
    """The config of a recipe (TOML, keys are field names), with `overrides`.

    Raises: ConfigError for a file that is missing or not TOML, an unknown key or a value of
    the wrong type.
    """
    values: dict[str, Any] = {}
    if recipe is not None:
        try:
            table = tomllib.loads(recipe.read_text(encoding="utf-8"))
        except FileNotFoundError:
            near = get_close_matches(recipe.name, [p.name for p in recipes()], 1, 0.4)
            hint = f"Did you mean {recipes()[0].parent / near[0]}?" if near else ""
            raise ConfigError(f"There is no recipe {recipe}.", hint) from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{recipe} is not TOML: {error}.") from None
        # [sweep] is a grid over the fields, for `trainer sweep`.
        table.pop("sweep", None)
        values = {name: coerce(name, value, str(recipe)) for name, value in table.items()}
    for name, value in (overrides or {}).items():
        values[name] = coerce(name, value, "The command line")
    config = replace(Config(), **values)
    if not config.out and recipe is not None:
        config = replace(config, out=f"runs/{recipe.stem}")
    return _checked(config)


def load_grid(recipe: Path) -> dict[str, list[Any]]:
    """The recipe's [sweep] table: the values to try for each field. Raises: ConfigError."""
    table = tomllib.loads(recipe.read_text(encoding="utf-8")).get("sweep", {})
    return {name: _grid_values(name, values, f"{recipe} [sweep]") for name, values in table.items()}


def read_grid(texts: Sequence[str]) -> dict[str, list[Any]]:
    """The grid of several --grid: "rank=4,8" gives {"rank": [4, 8]}.

    A value that is itself a list is written with +: "targets=q_proj+v_proj,all-linear".
    Raises: ConfigError.
    """
    grid = {}
    for text in texts:
        name, equals, values = text.partition("=")
        if not equals or not values:
            raise ConfigError(f"--grid {text} names no values.", "Write --grid rank=4,8,16.")
        name = name.strip().replace("-", "_")
        parts = [part.replace("+", ",") for part in values.split(",")]
        grid[name] = _grid_values(name, parts, "--grid")
    return grid


def _grid_values(name: str, values: Any, where: str) -> list[Any]:
    if not isinstance(values, list) or not values:
        raise ConfigError(f"{where}: '{name}' must be a list of values to try.")
    return [coerce(name, value, where) for value in values]


def recipes() -> list[Path]:
    """The recipes that are included in the program."""
    return sorted((Path(__file__).parent / "recipes").glob("*.toml"))


_AT_LEAST_ONE = (
    "rank",
    "alpha",
    "row_tokens",
    "group_questions",
    "rows_per_step",
    "max_tokens",
    "repeat_hard",
    "repeat_extra",
    "repeat_set_operations",
    "eval_questions",
    "eval_tokens",
    "eval_batch",
    "save_every",
    "keep",
)


def _checked(config: Config) -> Config:
    for name in _AT_LEAST_ONE:
        if getattr(config, name) < 1:
            raise ConfigError(f"'{name}' must be at least 1.", options()[name].help)
    if not config.epochs and not config.max_steps:
        raise ConfigError("There is nothing to train: both epochs and max_steps are 0.")
    return config
