"""Uploading a run to a hub: adapter, exported files, their reports and the model card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import huggingface_hub
from huggingface_hub import CommitOperationAdd
from huggingface_hub.errors import HfHubHTTPError

from t2sql_tui.core.errors import ModelError
from trainer.export import report_path
from trainer.files import read_json
from trainer.outputs import find_trained, run_folder, run_name


@dataclass(frozen=True, slots=True)
class Upload:
    """What is uploaded where: names in the repository to files."""

    repository: str
    files: Mapping[str, Path]
    commit_message: str

    @property
    def url(self) -> str:
        """The address of the repository."""
        return f"https://huggingface.co/{self.repository}"

    def size(self, name: str = "") -> float:
        """The size of a file, or of all of them, in MB."""
        files = [self.files[name]] if name else self.files.values()
        return sum(path.stat().st_size for path in files) / 1e6


def plan_upload(trained: Path, repository: str) -> Upload:
    """The upload of the run in `trained`. Raises: ModelError if a file is not ready."""
    return Upload(repository, push_files(trained), f"Upload {run_name(trained)}")


def has_token() -> bool:
    """Whether `hf auth login` or HF_TOKEN has left a token."""
    return huggingface_hub.get_token() is not None


def push(upload: Upload, *, private: bool) -> None:
    """Creates the repository if needed and uploads everything in one commit.

    Raises: ModelError if the hub refuses.
    """
    api = huggingface_hub.HfApi(token=huggingface_hub.get_token())
    try:
        api.create_repo(upload.repository, private=private, exist_ok=True)
        api.create_commit(
            upload.repository,
            commit_message=upload.commit_message,
            operations=[CommitOperationAdd(name, path) for name, path in upload.files.items()],
        )
    except (HfHubHTTPError, OSError) as error:
        raise ModelError(
            f"The hub refused: {error}", "Check the name and the token's rights."
        ) from error


def push_files(trained: Path) -> dict[str, Path]:
    """Names in the repository to files: the card, the adapter or model, the GGUF files that
    passed their gate, and the reports.

    Raises: ModelError if there is no card, or a file without a passed gate.
    """
    folder = run_folder(trained)
    card = folder / "README.md"
    if not card.exists():
        raise ModelError(f"{folder} has no model card", f"Write it: trainer card {folder}")
    files = {"README.md": card}
    files |= {f"plots/{path.name}": path for path in sorted(folder.glob("plots/*.png"))}
    for path in sorted(find_trained(folder).folder.iterdir()):
        if path.suffix in (".json", ".safetensors", ".jinja"):
            files[path.name] = path
    for path in sorted(folder.glob("*.gguf")):
        report = report_path(path)
        is_adapter = path.stem.endswith("-lora")
        if not is_adapter and not read_json(report).get("passed"):
            raise ModelError(
                f"{path.name} was never compared with the adapter",
                f"Export it again, with its gate: trainer export {folder}",
            )
        files[path.name] = path
        if report.exists():
            files[report.name] = report
    return files
