"""The provenance of a number: command, commit, machine, versions, hashes, date."""

from __future__ import annotations

import hashlib
import os
import platform
import shlex
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from t2sql_tui.core.types import ModelSpec

REPOSITORY = Path(__file__).resolve().parent.parent
_PACKAGES = ("t2sql-tui", "llama-cpp-python", "sqlglot", "torch", "transformers", "peft")


def provenance() -> dict[str, Any]:
    """The provenance of this process, as far as it is known before a model is loaded."""
    return {
        "command": command_line(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "git": _git(),
        "machine": machine(),
        "versions": {
            "python": platform.python_version(),
            "sqlite": sqlite3.sqlite_version,
            **{name: found for name in _PACKAGES if (found := _version(name))},
        },
    }


def command_line() -> str:
    """The command of this process, with folders named so that no machine's own are published."""
    module = getattr(sys.modules["__main__"], "__spec__", None)
    # `python -m trainer` has trainer/__main__.py as its argv[0].
    program = module.parent if module and module.parent else Path(sys.argv[0]).name
    return shlex.join([program, *map(_portable_argument, sys.argv[1:])])


def portable(path: str | Path) -> str:
    """A path as a committed file may name it.

    Inside the working folder or the repository it is relative to that; elsewhere only its name
    is kept, as `.../NAME`. A relative path stays as it is.
    """
    if not os.path.isabs(path):
        return str(path)
    for folder in (Path.cwd(), REPOSITORY):
        if Path(path).is_relative_to(folder):
            return str(Path(path).relative_to(folder))
    return f".../{Path(path).name}"


def _portable_argument(argument: str) -> str:
    option, equals, value = argument.partition("=")
    if equals and option.startswith("-"):
        return f"{option}={portable(value)}"
    return portable(argument)


def machine() -> dict[str, Any]:
    """Processor, usable cores, memory in GiB, system, and the CUDA devices if there are any."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS or Windows
        cores = os.cpu_count() or 1
    found = {
        "processor": _processor(),
        "cores": cores,
        "memory_gib": _memory_gib(),
        "system": f"{platform.system()} {platform.machine()}",
    }
    gpus = _gpus()
    return {**found, "gpus": gpus} if gpus else found


def model_sha256(spec: ModelSpec) -> str:
    """Hex digest of the bytes that answer: the weights' file, and the adapter's if any.

    Read from disk, not from the catalog, so that it is true of this very run. "" for a
    model without files.
    """
    paths = [spec.path] if spec.path else []
    if spec.adapter:
        paths += sorted(p for p in Path(spec.adapter).rglob("*") if p.is_file())
    digests = []
    for path in paths:
        with Path(path).open("rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").hexdigest())
    if len(digests) <= 1:
        return "".join(digests)
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def _git() -> dict[str, Any]:
    """The commit of this checkout and whether its files differ from it; {} outside one."""

    def git(*args: str) -> str:
        return subprocess.run(
            ["git", "-C", str(Path(__file__).parent), *args],
            capture_output=True,
            text=True,
            check=True,
            timeout=20,
        ).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return {"commit": git("rev-parse", "HEAD"), "changed_files": len(changed.splitlines())}
    except (OSError, subprocess.SubprocessError):
        return {}


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _memory_gib() -> float | None:
    try:
        pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None
    return round(pages / 2**30, 1)


def _gpus() -> list[str]:
    """Names as nvidia-smi prints them; asking torch would import it."""
    try:
        done = subprocess.run(
            ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in done.stdout.splitlines() if line.strip()]
