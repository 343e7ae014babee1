"""What an adapter was trained on and for: `t2sql.json` in its folder."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from t2sql_tui.core.errors import ModelError

#: In an adapter's folder, beside PEFT's files.
ADAPTER_INFO = "t2sql.json"


@dataclass(frozen=True, slots=True)
class AdapterInfo:
    """What an adapter was trained on and for: `t2sql.json` in its folder.

    The trainer writes it; merging, exporting and loading refuse what does not fit.
    `base` is a name in the catalog, a file, a folder or a hub id; `base_sha256` is
    `backends.merging.safetensors.weights_sha256` of it. An empty field is not known, and not checked.
    """

    base: str = ""
    base_sha256: str = ""
    prompt_version: str = ""
    chat_format: str = ""
    licence: str = ""


def write_adapter_info(folder: Path, info: AdapterInfo) -> None:
    text = json.dumps(asdict(info), indent=2) + "\n"
    (folder / ADAPTER_INFO).write_text(text, encoding="utf-8")


def read_adapter_info(folder: Path) -> AdapterInfo:
    """An adapter without the file gives an empty `AdapterInfo`. Raises: ModelError."""
    path = folder / ADAPTER_INFO
    if not path.exists():
        return AdapterInfo()
    known = {field.name for field in fields(AdapterInfo)}
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        return AdapterInfo(**{key: str(stored[key]) for key in stored.keys() & known})
    except (OSError, ValueError, AttributeError) as error:
        raise ModelError(f"{path} cannot be read: {error}", "Copy or train it again.") from error
