"""Downloads of data sets from their makers, accepted only if their SHA-256 is the expected one."""

from __future__ import annotations

import hashlib
import json
import shutil
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from benchmarks.datasets import DataError, read_spider

OnBytes = Callable[[int, int | None], None]


@dataclass(frozen=True, slots=True)
class DataSource:
    """One file to download. `folder` is where it goes under the data folder: of an archive the
    members under `inside` are unpacked there, a single file is copied. `page` is where a
    person finds it."""

    name: str
    title: str
    url: str
    sha256: str
    folder: str
    file: str
    licence: str
    page: str
    inside: str = ""


# The makers publish no checksums. These are of the files they serve, as several people who
# downloaded them have recorded; a file that differs is refused, never used.
SOURCES: dict[str, DataSource] = {
    source.name: source
    for source in (
        DataSource(
            "spider",
            "Spider 1.0 (train, dev, test, 206 databases), 206 MB",
            "https://drive.usercontent.google.com/download"
            "?id=1403EGqzIDoHMdQF4c9Bkyl7dZLZ5Wt6J&export=download&confirm=t",
            "00636695dabed6b5f4b8328a16b13e069a2f16591d5efcce57660669c85b121b",
            "spider",
            "spider_data.zip",
            "CC BY-SA 4.0",
            "https://yale-lily.github.io/spider",
            "spider_data/",
        ),
        DataSource(
            "spider-suites",
            "Distilled test suites of Zhong et al. 2020, 1.3 GB",
            "https://drive.usercontent.google.com/download"
            "?id=1mkCx2GOFIqNesD4y8TDAO1yX1QZORP5w&export=download&confirm=t",
            "9ec24ea8debc6bd04abfe137b5f1a739b5a8836f32c0464e4dfc94eb7f41da96",
            "spider-suites",
            "testsuitedatabases.zip",
            "CC BY-SA 4.0",
            "https://github.com/taoyds/test-suite-sql-eval",
        ),
        DataSource(
            "spider-syn",
            "Spider-Syn: 7,000 training questions of Spider in other words, 2.5 MB",
            "https://raw.githubusercontent.com/ygan/Spider-Syn/"
            "0b996a57b7e329c14c300a8fb13661da128a9ddc/Spider-Syn/train_spider.json",
            "f045467b2ec33df51362dddfcb9a9424470e3c0c5bacc2e2469805627300964a",
            "spider-syn",
            "train_spider.json",
            "MIT",
            "https://github.com/ygan/Spider-Syn",
        ),
        DataSource(
            "bird-minidev",
            "BIRD Mini-Dev (500 questions, 11 databases), about 800 MB",
            "https://bird-bench.oss-cn-beijing.aliyuncs.com/minidev.zip",
            "cc48ba16838204e4e214512030cb572eeb5f7bcdd999bae4b9b6ff12ec13b92f",
            "bird-minidev",
            "minidev.zip",
            "CC BY-SA 4.0",
            "https://bird-bench.github.io",
            "minidev/MINIDEV/",
        ),
        DataSource(
            "gretel",
            "gretelai/synthetic_text_to_sql, test split",
            "https://huggingface.co/datasets/gretelai/synthetic_text_to_sql/resolve/"
            "740ab236e64503fba51be1101df7a1be83bf455d/synthetic_text_to_sql_test.snappy.parquet",
            "f2056edcd897db59c89d12bde149a36d4e242ac0d2c6d4d42b1f2bc764318993",
            "gretel",
            "synthetic_text_to_sql_test.snappy.parquet",
            "Apache-2.0",
            "https://huggingface.co/datasets/gretelai/synthetic_text_to_sql",
        ),
    )
}

# Of the official dev.json (June 2020 corrections): the digest of its content, because copies
# in circulation differ in white space only. The other is of the file's bytes.
DEV_CONTENT = "80c98f651511030c1966d1f0b63ba177ee5206f27281fb6aec1af328cdbb15d9"
TABLES = "61bb20aa401f03164e2d7f3b16509b7b5f79cc9c943ca7bd159046df1159e2ed"


def find_source(name: str) -> DataSource:
    """The source of that name.

    Raises: DataError, with the nearest name.
    """
    if name not in SOURCES:
        near = get_close_matches(name, SOURCES, 1, 0.4)
        raise DataError(
            f"There is no source '{name}'.",
            (f"Did you mean '{near[0]}'? " if near else "") + f"Known: {', '.join(SOURCES)}.",
        )
    return SOURCES[name]


def fetch_unless_there(
    source: DataSource, data: Path, downloaded: Path | None, note: Callable[[str], None]
) -> Path:
    """The data set's folder under `data`; the source is fetched, with a progress bar on stderr,
    where it is not there yet. `note` is called with what a person should know.

    Raises: DataError.
    """
    from rich.console import Console  # 0.1 s that other users of this module do not need
    from rich.progress import Progress

    if not (data / source.folder).exists():
        with Progress(console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(source.file, total=None)
            fetch(
                source,
                data,
                downloaded=downloaded,
                on_bytes=lambda done, total: bar.update(task, completed=done, total=total),
            )
        note(f"{source.title}: verified and unpacked.")
    return data / source.folder


def fetch(
    source: DataSource,
    data: Path,
    *,
    downloaded: Path | None = None,
    on_bytes: OnBytes = lambda done, total: None,
) -> Path:
    """Downloads, verifies and unpacks `source` under `data`; `downloaded` names a file that
    a person has downloaded already. Returns the data set's folder.

    Raises: DataError.
    """
    target = data / source.folder
    if target.exists():
        raise DataError(f"{target} is already there.", "Delete it to fetch it again.")
    data.mkdir(parents=True, exist_ok=True)
    archive = downloaded or data / f"{source.file}.part"
    if downloaded is None:
        _download(source, archive, on_bytes)
    elif not archive.is_file():
        raise DataError(f"There is no file {archive}.", "--from names a downloaded file.")
    _verify(source, archive, ours=downloaded is None)
    staging = data / f".{source.folder}.part"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir()
    if source.file.endswith(".zip"):
        _unpack(archive, source.inside, staging)
    else:
        shutil.copyfile(archive, staging / source.file)
    staging.rename(target)
    if downloaded is None:
        archive.unlink()
    return target


def check_spider(root: Path) -> list[tuple[str, str]]:
    """Whether a copy of Spider is the official one: (part, finding) pairs.

    Raises: DataError where a part is missing or damaged.
    """
    dataset = read_spider(root, ("dev.json",))
    rows = json.loads((root / "dev.json").read_text(encoding="utf-8"))
    content = json.dumps([[r["db_id"], r["question"], r["query"]] for r in rows])
    official = hashlib.sha256(content.encode()).hexdigest() == DEV_CONTENT
    tables = root / "tables.json"
    same = tables.exists() and hashlib.sha256(tables.read_bytes()).hexdigest() == TABLES
    return [
        (
            "dev.json",
            f"{len(rows):,} questions, "
            + ("the official ones (June 2020)" if official else "NOT the official ones"),
        ),
        ("tables.json", "the official file" if same else "NOT the official file"),
        ("database/", f"all {len(dataset.files)} databases of dev open"),
    ]


def _download(source: DataSource, target: Path, on_bytes: OnBytes) -> None:
    by_hand = (
        f"Download {source.file} by hand from {source.page} and run "
        f"`benchmarks fetch {source.name} --from FILE`; or, where a copy is already unpacked, "
        "name its folder with --data DIR or T2SQL_DATA."
    )
    request = urllib.request.Request(source.url, headers={"User-Agent": "t2sql-tui"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer, target.open("wb") as file:
            if answer.headers.get_content_type() == "text/html":
                raise DataError(
                    f"{source.url} answered with a web page instead of {source.file} "
                    "(Google Drive does so when too many people download a file).",
                    by_hand,
                )
            total = answer.headers.get("Content-Length")
            done = 0
            while block := answer.read(1 << 20):
                file.write(block)
                done += len(block)
                on_bytes(done, int(total) if total else None)
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", error)
        raise DataError(f"{source.url} cannot be reached: {reason}.", by_hand) from None


def _verify(source: DataSource, archive: Path, ours: bool) -> None:
    with archive.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != source.sha256:
        if ours:
            archive.unlink()
        raise DataError(
            f"{archive.name} is not the file that was expected: its SHA-256 is {found}, "
            f"it should be {source.sha256}.",
            f"Try again; if it stays so, see whether {source.page} announces a new version.",
        )


def _unpack(archive: Path, inside: str, target: Path) -> None:
    """Members under `inside`, named from there. ZipFile itself keeps them in `target`."""
    try:
        with zipfile.ZipFile(archive) as zipped:
            for member in zipped.infolist():
                name = member.filename
                if name.startswith(inside) and name != inside and not name.startswith("__MACOSX"):
                    member.filename = name.removeprefix(inside)
                    zipped.extract(member, target)
    except zipfile.BadZipFile as error:
        raise DataError(f"{archive} is not a whole archive: {error}.", "Fetch it again.") from None
