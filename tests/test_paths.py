"""No committed file names a folder of the machine it was made on."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

MACHINE_FOLDER = re.compile(
    rb"(?<![\w.~}*)/-])(?:/(?:work|root|home|Users|tmp|private|mnt|scratch|workspace|opt|srv)"
    rb"(?:/[\w.-]+)+|[A-Z]:\\+Users)",
)

# (file, what it may say): a made-up home in the export dialog's golden screens; a folder that
# pytest's own cannot stand in for, being closed to other users.
ALLOWED = {
    ("tests/ui/golden/160x50/export.txt", "/home/ada"),
    ("tests/ui/golden/80x24/export.txt", "/home/ada"),
    ("tests/ui/test_screens.py", "/home/ada"),
    ("tests/core/database/test_connection.py", "/tmp/t2sql-test-"),
    ("tests/benchmarks/test_provenance.py", "/opt/bin/benchmarks"),
    ("tests/benchmarks/test_provenance.py", "/opt/models/my.gguf"),
}


def committed_files() -> list[Path]:
    try:
        listed = subprocess.run(
            ["git", "-C", ROOT, "ls-files", "-z"], check=True, capture_output=True, text=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout: which files are committed is not known")
    return [ROOT / name for name in listed.split("\0") if name and name != "tests/test_paths.py"]


def _start(path: Path) -> bytes:
    """The first MiB, which is the whole of every text file; of weights it is their header."""
    with path.open("rb") as file:
        return file.read(2**20)


def test_no_file_names_a_folder_of_one_machine() -> None:
    named = {
        (str(path.relative_to(ROOT)), match.decode())
        for path in committed_files()
        if path.is_file()
        for match in MACHINE_FOLDER.findall(_start(path))
    }
    assert {
        (file, text)
        for file, text in named
        if not any(file == allowed and text.startswith(said) for allowed, said in ALLOWED)
    } == set()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b'"--runs /work/runs --name x"', [b"/work/runs"]),
        (b"out=/root/x.gguf", [b"/root/x.gguf"]),
        (b'"/home/ada/runs"', [b"/home/ada/runs"]),
        (b"see (/tmp/x)", [b"/tmp/x"]),
        (b"C:\\Users\\ada", [b"C:\\Users"]),
        (b"xl/worksheets/sheet1.xml and runs/home/work", []),
        (b'("SQLITE_TMPDIR", "/var/tmp", "/tmp")', []),
        (b"https://example.org/work/1", []),
    ],
)
def test_what_counts_as_such_a_folder(text: bytes, found: list[bytes]) -> None:
    assert MACHINE_FOLDER.findall(text) == found
