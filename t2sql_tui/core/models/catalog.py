"""The models that the program knows: `models/NAME/model.toml` -> ModelSpec.

A GGUF file that is in no catalog is described by its own metadata instead.
"""

from __future__ import annotations

import difflib
import functools
import mmap
import struct
import tomllib
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from t2sql_tui.core.errors import ModelError
from t2sql_tui.core.models import store
from t2sql_tui.core.models.adapter_info import ADAPTER_INFO, read_adapter_info
from t2sql_tui.core.models.gguf_header import decode, read_values
from t2sql_tui.core.prompting.chat import CHAT_FORMATS
from t2sql_tui.core.prompting.prompt import PROMPTS
from t2sql_tui.core.types import ModelSpec, Source

DEFAULT_MODEL = "qwen2.5-coder-0.5b"
#: NAME-base is the model NAME as published, without our adapter.
BASE_SUFFIX = "-base"

#: What our exporter writes into a GGUF, and what a foreign file is taken to want.
PROMPT_VERSION_KEY = "t2sql.prompt_version"
CHAT_FORMAT_KEY = "t2sql.chat_format"
_PLAIN_PROMPT = "v1"
_CONTEXT = 8192

_MARKS = {  # in a chat template -> chat format
    "<|im_start|>": "chatml",
    "<start_of_turn>": "gemma",
    "[INST]": "mistral",
    "<|end|>": "phi3",
}


def models_source() -> Path:
    """The folder of model.toml files: beside the package in a checkout, inside it in a wheel."""
    package = Path(__file__).resolve().parents[2]
    checkout = package.parent / "models"
    return checkout if (checkout / DEFAULT_MODEL).is_dir() else package / "models"


@functools.cache
def load_catalog() -> dict[str, ModelSpec]:
    """Every known model by name, the default first. `path` is not set; see `find_model`.

    Raises: ModelError when a model.toml is damaged or has a key that nothing reads.
    """
    files = sorted(models_source().glob("*/model.toml"))
    specs = {file.parent.name: _read_spec(file) for file in files}
    return dict(sorted(specs.items(), key=lambda item: item[0] != DEFAULT_MODEL))


def find_model(name_or_path: str | Path = DEFAULT_MODEL) -> ModelSpec:
    """The spec of a known model, of one without its adapter (NAME-base), of any GGUF file, or
    of the folder of an adapter or a run; `path` is set if weights are here.

    Raises: ModelError when there is no such model or file, or the file wants a prompt
    version or chat format that this version of the program does not have.
    """
    name = str(name_or_path)
    catalog = load_catalog()
    if name in catalog:
        return replace(catalog[name], path=store.find(catalog[name]))
    if (plain := name.removesuffix(BASE_SUFFIX)) in catalog:
        spec = _read_published(models_source() / plain / "model.toml")
        return replace(spec, name=name, path=store.find(spec))
    path = Path(name_or_path).expanduser()
    for folder in (path, path / "adapter"):
        if (folder / "adapter_config.json").is_file():
            return _spec_of_adapter(folder)
    if path.suffix == ".gguf" or path.is_file():
        return _spec_of_file(path)
    near = difflib.get_close_matches(name, catalog, 1, 0.4)
    raise ModelError(
        f'There is no model "{name}".',
        (f'Did you mean "{near[0]}"? ' if near else "")
        + f"Known: {', '.join(catalog)}; or give the path of a .gguf file or an adapter.",
    )


def _read_spec(file: Path) -> ModelSpec:
    """A model.toml, with the adapter beside it and the prompt version that it was trained on."""
    spec, folder = _read_published(file), file.parent / "adapter"
    if not (folder / "adapter_config.json").is_file():
        return spec
    info = read_adapter_info(folder)
    return replace(spec, adapter=folder, prompt_version=info.prompt_version or spec.prompt_version)


def _read_published(file: Path) -> ModelSpec:
    known = {field.name for field in fields(ModelSpec)} - {"name", "path", "adapter"}
    try:
        values: dict[str, Any] = tomllib.loads(file.read_text("utf-8"))
        for key in values.keys() - known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f', did you mean "{near[0]}"?' if near else ""
            raise ValueError(f'unknown key "{key}"{hint}')
        values["sources"] = tuple(Source(**source) for source in values.get("sources", ()))
    except (OSError, TypeError, ValueError) as error:
        raise ModelError(f"{file} is damaged: {error}", "Install t2sql-tui again.") from error
    return ModelSpec(file.parent.name, **values)


def _spec_of_adapter(folder: Path) -> ModelSpec:
    info = read_adapter_info(folder)
    if not info.base:
        raise ModelError(
            f"{folder} does not say which base model it belongs to: {ADAPTER_INFO} is missing.",
            "Export it to a .gguf file: trainer export --help",
        )
    named = Path(info.base).expanduser()
    if info.base in load_catalog() or named.suffix == ".gguf":
        base = find_model(info.base)
    else:  # transformers' own: a folder or a hub id, for the peft backend
        base = ModelSpec(info.base, base=info.base)
    folder = folder.resolve()
    return replace(
        base,
        name=folder.parent.name if folder.name == "adapter" else folder.name,
        adapter=folder,
        prompt_version=info.prompt_version or base.prompt_version,
        chat_format=info.chat_format or base.chat_format,
        sha256=base.sha256 or info.base_sha256,
        licence=info.licence or base.licence,
    )


def _spec_of_file(path: Path) -> ModelSpec:
    metadata = _metadata(path)
    architecture = metadata.get("general.architecture", "")
    template = metadata.get("tokenizer.chat_template", "")
    chat_format = metadata.get(CHAT_FORMAT_KEY) or next(
        (known for mark, known in _MARKS.items() if mark in template), "chatml"
    )
    prompt_version = metadata.get(PROMPT_VERSION_KEY, _PLAIN_PROMPT)
    for kind, wanted, known in (
        ("prompt version", prompt_version, PROMPTS),
        ("chat format", chat_format, CHAT_FORMATS),
    ):
        if wanted not in known:
            raise ModelError(
                f'{path.name} was made for {kind} "{wanted}", which this t2sql-tui does not have.',
                f"It has: {', '.join(known)}. A newer version may: pip install -U t2sql-tui",
            )
    return ModelSpec(
        name=path.stem,
        title=metadata.get("general.name", path.stem),
        file=path.name,
        licence=metadata.get("general.license", ""),
        chat_format=chat_format,
        prompt_version=prompt_version,
        context=min(_CONTEXT, metadata.get(f"{architecture}.context_length", _CONTEXT)),
        path=path.resolve(),
    )


def _metadata(path: Path) -> dict[str, Any]:
    """The values in a GGUF's header. Raises: ModelError."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            values, _, _ = read_values(data)
    except OSError as error:
        raise ModelError(f"Cannot read {path}: {error.strerror}.", "Check the path.") from error
    except (ValueError, KeyError, struct.error) as error:
        raise ModelError(
            f"{path} is not a GGUF file, or is damaged: {error}.", "Download it again."
        ) from error
    return {key: decode(stored) for key, stored in values.items()}
