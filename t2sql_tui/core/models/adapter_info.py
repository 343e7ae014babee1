"""What an adapter was trained on and for: `t2sql.json` in its folder."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from t2sql_tui.core.errors import ModelError
from t2sql_tui.core.files import read_object

#: The file's name in an adapter's folder, where PEFT's own files are.
ADAPTER_INFO = "t2sql.json"


@dataclass(frozen=True, slots=True)
class AdapterInfo:
    """What an adapter was trained on and for: `t2sql.json` in its folder.

    The trainer writes it; merging, exporting and loading refuse what does not fit.
    `base` is a name in the catalog, a file, a folder or a hub id; `base_sha256` is its
    `backends.merging.safetensors.weights_sha256`. An empty field is unknown and not checked.
    """

    base: str = ""
    base_sha256: str = ""
    prompt_version: str = ""
    chat_format: str = ""
    licence: str = ""


def write_adapter_info(folder: Path, info: AdapterInfo) -> None:
    """Writes `info` into the folder of an adapter."""
    text = json.dumps(asdict(info), indent=2) + "\n"
    (folder / ADAPTER_INFO).write_text(text, encoding="utf-8")


def read_adapter_info(folder: Path) -> AdapterInfo:
    """What the folder of an adapter says of it; without the file an empty `AdapterInfo`.

    Raises: ModelError when the file is damaged.
    """
    path = folder / ADAPTER_INFO
    if not path.exists():
        return AdapterInfo()
    known = {field.name for field in fields(AdapterInfo)}
    try:
        stored = read_object(path)
        return AdapterInfo(**{key: str(stored[key]) for key in stored.keys() & known})
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: {error}", "Copy or train it again.") from error
