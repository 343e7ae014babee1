"""The models that the program knows: `models/NAME/model.toml` -> ModelSpec.

A GGUF file that is in no catalog is described by its own metadata instead.
"""

from __future__ import annotations

import difflib
import functools
import mmap
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import Any

from t2sql_tui.core.errors import ModelError
from t2sql_tui.core.models import store
from t2sql_tui.core.models.adapter_info import ADAPTER_INFO, read_adapter_info
from t2sql_tui.core.models.gguf_header import decode, read_values, texts
from t2sql_tui.core.prompting.chat import CHAT_FORMATS, ChatFormat, add_format
from t2sql_tui.core.prompting.chat_template import TemplateError, format_of_template, with_bos
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

# Chat formats by tokens that only their models have, for files without a template.
_MARKS = {
    "chatml": {"<|im_start|>", "<|im_end|>"},
    "gemma": {"<start_of_turn>", "<end_of_turn>"},
    "phi3": {"<|user|>", "<|assistant|>", "<|end|>"},
    "mistral": {"[INST]", "[/INST]"},
}
# Byte-level tokenizers that put a BOS first where the header does not say (llama-vocab.cpp,
# llama_vocab::impl::load, the pre-tokenizers that set add_bos).
_PRE_WITH_BOS = set("llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral midm-2.0 lfm2".split())


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
        spec = ModelSpec(file.parent.name, **values)
        _check_types(spec)
        for source in spec.sources:
            _check_types(source)
        return spec
    except (OSError, TypeError, ValueError, RecursionError) as error:
        raise ModelError(f"{file} is damaged: {error}", "Install t2sql-tui again.") from error


def _check_types(record: ModelSpec | Source) -> None:
    """Raises: TypeError when a field holds another type than its default has."""
    for field in fields(record):
        value = getattr(record, field.name)
        default = field.default_factory() if callable(field.default_factory) else field.default
        known = {int: "a whole number", str: "a text", tuple: "a list", dict: "a table"}
        wanted = str if default is MISSING else type(default)
        if wanted in known and type(value) is not wanted:
            raise TypeError(f"{field.name} is not {known[wanted]}")


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
    stored = _metadata(path)
    texts_of = {key: value for key, value in map(_decoded, stored.items()) if type(value) is str}
    prompt_version = texts_of.get(PROMPT_VERSION_KEY, _PLAIN_PROMPT)
    if prompt_version not in PROMPTS:
        raise _unknown(path, "prompt version", prompt_version, PROMPTS)
    context = _number(stored, f"{texts_of.get('general.architecture', '')}.context_length")
    return ModelSpec(
        name=path.stem,
        title=texts_of.get("general.name", path.stem),
        file=path.name,
        licence=texts_of.get("general.license", ""),
        chat_format=_chat_format(path, stored, texts_of),
        prompt_version=prompt_version,
        context=min(_CONTEXT, context or _CONTEXT),
        path=path.resolve(),
    )


def _unknown(path: Path, kind: str, wanted: str, known: Iterable[str]) -> ModelError:
    return ModelError(
        f'{path.name} was made for {kind} "{wanted}", which this t2sql-tui does not have.',
        f"It has: {', '.join(known)}. A newer version may: pip install -U t2sql-tui",
    )


# --- the chat format of a file ----------------------------------------------------------


def _chat_format(path: Path, stored: Mapping[str, bytes], texts_of: Mapping[str, str]) -> str:
    """The name of the chat format that a file asks for: by our export, its template or its tokens.

    Raises: ModelError where none of these says how to talk to the model.
    """
    wanted = texts_of.get(CHAT_FORMAT_KEY, "")
    if wanted in CHAT_FORMATS:
        return wanted
    try:
        form = _own_format(stored, texts_of)
    except TemplateError as error:
        raise ModelError(
            f"The chat template in {path.name} cannot be used: {error}.",
            f"Name a file of another family. Known without a template: {', '.join(CHAT_FORMATS)}.",
        ) from error
    if wanted and (form is None or form.name != wanted):
        raise _unknown(path, "chat format", wanted, CHAT_FORMATS)
    if form is None:
        raise ModelError(
            f"{path.name} does not say how to talk to it: there is no chat template in it.",
            "Name an instruct model (base models cannot answer), or a newer conversion of it. "
            f"Known without a template: {', '.join(CHAT_FORMATS)}.",
        )
    return add_format(form)


def _own_format(stored: Mapping[str, bytes], texts_of: Mapping[str, str]) -> ChatFormat | None:
    """The format of the file's template; without one, that of its tokens. Raises: TemplateError."""
    tokens = texts(stored.get("tokenizer.ggml.tokens", b""))
    eos = _token(tokens, _number(stored, "tokenizer.ggml.eos_token_id", -1))
    bos = _token(tokens, _number(stored, "tokenizer.ggml.bos_token_id", -1))
    asked = _asks_for_bos(stored, texts_of)
    if template := texts_of.get("tokenizer.chat_template", ""):
        return format_of_template(template, bos, eos, add_bos=asked)
    known = set(tokens)
    name = next((name for name, marks in _MARKS.items() if marks <= known), "")
    if not name:
        return None
    form = CHAT_FORMATS[name]
    return with_bos(form, bos) if asked else form


def _asks_for_bos(stored: Mapping[str, bytes], texts_of: Mapping[str, str]) -> bool:
    """Whether the header, or llama.cpp's default for its tokenizer, puts a BOS first."""
    key = "tokenizer.ggml.add_bos_token"
    if key in stored:
        return decode(stored[key]) is True
    model, pre = (texts_of.get(f"tokenizer.ggml.{name}", "") for name in ("model", "pre"))
    return model == "llama" or (model == "gpt2" and pre in _PRE_WITH_BOS)


def _token(tokens: Sequence[str], index: int) -> str:
    return tokens[index] if 0 <= index < len(tokens) else ""


def _number(stored: Mapping[str, bytes], key: str, default: int = 0) -> int:
    """A whole number in the header; `default` where there is none."""
    value = decode(stored[key]) if key in stored else None
    return value if type(value) is int else default


def _decoded(item: tuple[str, bytes]) -> tuple[str, Any]:
    return item[0], decode(item[1])


def _metadata(path: Path) -> dict[str, bytes]:
    """The values in a GGUF's header, as stored. Raises: ModelError."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return read_values(data)[0]
    except OSError as error:
        raise ModelError(f"Cannot read {path}: {error.strerror}.", "Check the path.") from error
    except ValueError as error:
        raise ModelError(
            f"{path} is not a GGUF file, or is damaged: {error}.", "Download it again."
        ) from error
