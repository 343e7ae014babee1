"""The data of a run: sources are read, made into training examples, and kept as an artefact.

An artefact is a folder that is never changed again:

    train/, heldout/   `datasets` in Arrow: one row an example, prompt halves included
    data.json          what it was made from and by, and its statistics
    rejected.jsonl     every example that was left out, and why

Its name is a hash of everything that went in, so equal settings find the artefact made before.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from benchmarks.datasets import DataError, Dataset
from benchmarks.provenance import provenance
from t2sql_tui.core.database.database import open_database
from t2sql_tui.core.types import Schema
from trainer.base import Base
from trainer.code_hash import code_hash
from trainer.config import Config
from trainer.examples import ExampleMaker, TrainingExample
from trainer.files import cache_folder, whole_folder, write_json
from trainer.sources import read_source

if TYPE_CHECKING:
    from datasets import DatasetDict

Splits = dict[str, list[TrainingExample]]

# Changed whenever this module makes other artefacts of the same input.
VERSION = 1
# Where the code lies that decides how an example is rendered.
_DECIDING = (
    "t2sql_tui.core",
    "benchmarks.metrics",
    "trainer.schema_variants",
    "trainer.sql_style",
)


@dataclass(frozen=True, slots=True)
class Artefact:
    """A finished artefact: its folder, the content of its data.json, and the data on request."""

    folder: Path
    about: dict[str, Any]

    def load(self) -> DatasetDict:
        """The splits, from the disk. Raises: DataError if a file is damaged."""
        from datasets import DatasetDict  # takes 2 s to import

        try:
            return DatasetDict.load_from_disk(str(self.folder))
        except (OSError, ValueError) as error:
            raise DataError(
                f"{self.folder} is damaged: {error}.", "Delete that folder; it is made again."
            ) from error


def prepare(config: Config, base: Base, *, quiet: bool = False) -> Artefact:
    """The artefact of a config; made now, under a progress bar unless `quiet`, if it is new.

    Raises: DataError for a source that is missing, empty or damaged, or splits that share
    a database; ModelError for an unknown prompt version or chat format.
    """
    train = [read_source(name, config, quiet=quiet) for name in config.data]
    heldout = read_source(config.heldout, config) if config.heldout else None
    if heldout is None:
        train, heldout = _set_aside(train, config)
    _refuse_overlap(train, heldout)
    code = code_hash("trainer.examples", _DECIDING)
    sources = {
        "train": [dataset.sha256() for dataset in train],
        "heldout": heldout.sha256(),
        "code": hashlib.sha256(f"{VERSION} {code}".encode()).hexdigest(),
        "tokenizer": base.sha256 or base.source,
    }
    text = json.dumps([config.data_key(base.chat_format), sources])
    key = hashlib.sha256(text.encode()).hexdigest()[:16]
    folder = cache_folder() / "data" / key
    if not (folder / "data.json").exists():
        _make(folder, config, base, train, heldout, sources, quiet)
    return open_artefact(folder)


def open_artefact(folder: Path) -> Artefact:
    """The artefact in `folder`. Raises: DataError if there is none."""
    try:
        return Artefact(folder, json.loads((folder / "data.json").read_text(encoding="utf-8")))
    except (OSError, ValueError):
        raise DataError(
            f"There is no data artefact in {folder}.", "Make it with `trainer data`."
        ) from None


# --- the splits ---------------------------------------------------------------------


def _set_aside(train: list[Dataset], config: Config) -> tuple[list[Dataset], Dataset]:
    """A share of the first source's databases (of its questions, if it has one database)."""
    first, rest = train[0], train[1:]
    names = sorted({e.database for e in first.examples})
    rng = random.Random(config.data_seed)
    if len(names) > 1:
        count = min(max(1, round(len(names) * config.heldout_share)), len(names) - 1)
        chosen = set(rng.sample(names, count))
        rest = [d.only(e for e in d.examples if e.database not in chosen) for d in rest]
        held = [e for e in first.examples if e.database in chosen]
    else:
        count = max(1, round(len(first.examples) * config.heldout_share))
        held = rng.sample(first.examples, min(count, len(first.examples) - 1))
    ids = {e.id for e in held}
    kept = [e for e in first.examples if e.id not in ids]
    if not held or not kept:
        raise DataError(
            f"{config.data[0]} has too few examples to set some aside.",
            "Name what to measure on with --heldout.",
        )
    return [first.only(kept), *rest], first.only(held)


def _refuse_overlap(train: Sequence[Dataset], heldout: Dataset) -> None:
    """Raises: DataError if a held-out database is trained on, under its own name or another.

    Two sets of questions on one database, a person's own, may share it, but no question.
    """
    held_ids = {e.id for e in heldout.examples}
    trained = {e.database: d for d in train for e in d.examples}
    shared = sorted({e.database for e in heldout.examples} & set(trained))
    one_database = len(set(trained)) == 1
    same_questions = held_ids & {e.id for d in train for e in d.examples}
    if (shared and not one_database) or same_questions:
        raise DataError(
            f"{len(shared)} databases are both trained and measured on: {', '.join(shared[:5])}.",
            "Their scores would say nothing about new databases. Choose another --heldout or "
            "--data.",
        )
    names = {schema_of(d.files[name][0]).fingerprint: name for name, d in trained.items()}
    for name in {e.database for e in heldout.examples} - set(shared):
        twin = names.get(schema_of(heldout.files[name][0]).fingerprint)
        if twin:
            raise DataError(
                f"The held-out database {name} is a copy of {twin}, which is trained on.",
                "Choose another --heldout or --data.",
            )


@cache
def schema_of(path: Path) -> Schema:
    """The schema of a database file."""
    with open_database(path) as database:
        return database.schema


# --- making one ---------------------------------------------------------------------


def _make(
    folder: Path,
    config: Config,
    base: Base,
    train: Sequence[Dataset],
    heldout: Dataset,
    sources: dict[str, Any],
    quiet: bool,
) -> None:
    """Writes the artefact to `folder`. Raises: DataError if a split is empty."""
    maker = ExampleMaker(config, base)
    splits = {
        "train": _examples(train, config.max_examples, maker, measured=False, quiet=quiet),
        "heldout": _examples([heldout], config.max_heldout, maker, measured=True, quiet=quiet),
    }
    for name, examples in splits.items():
        if not examples:
            raise DataError(
                f"No {name} example is left: {maker.most_common_reasons()}.",
                "Look at --max-tokens and at the databases.",
            )
    about = {
        "config": asdict(config),
        "chat_format": base.chat_format,
        "prompt_version": config.prompt_version,
        "sources": sources,
        "provenance": provenance(),
        "rejected": len(maker.rejected),
        "notes": [note for d in (*train, heldout) for note in d.notes],
        "statistics": {name: statistics(examples) for name, examples in splits.items()},
    }
    with whole_folder(folder) as part:
        _write_splits(splits, part)
        with (part / "rejected.jsonl").open("w", encoding="utf-8") as file:
            for rejected in maker.rejected:
                file.write(json.dumps(asdict(rejected), ensure_ascii=False) + "\n")
        write_json(part / "data.json", about)


def _examples(
    datasets: Sequence[Dataset], limit: int, maker: ExampleMaker, *, measured: bool, quiet: bool
) -> list[TrainingExample]:
    """The training examples of one split, of at most `limit` examples (0: all), by database."""
    pairs = [(e, d) for d in datasets for e in d.examples]
    if 0 < limit < len(pairs):
        pairs = random.Random(maker.config.data_seed).sample(pairs, limit)
    pairs.sort(key=lambda pair: (pair[0].database, pair[0].id))
    title = "heldout" if measured else "train"
    return [
        made
        for example, dataset in tqdm(pairs, title, unit=" examples", disable=quiet or None)
        for made in maker.make(example, dataset, measured=measured)
    ]


def _write_splits(splits: Splits, folder: Path) -> None:
    from datasets import Dataset as Table  # takes 2 s to import
    from datasets import DatasetDict
    from datasets.utils.logging import disable_progress_bar

    disable_progress_bar()
    tables = {name: Table.from_list([asdict(e) for e in part]) for name, part in splits.items()}
    DatasetDict(tables).save_to_disk(str(folder))


# --- statistics ---------------------------------------------------------------------


def statistics(examples: Sequence[TrainingExample]) -> dict[str, Any]:
    """Counts and quantiles for data.json and the report."""
    prefixes = {e.prefix: e.prefix_tokens for e in examples}
    own = sum(e.tokens - e.prefix_tokens for e in examples)
    return {
        "examples": len(examples),
        "shown_in_an_epoch": sum(e.repeat for e in examples),
        "databases": len({e.database for e in examples}),
        "prefixes": len(prefixes),
        "hardness": dict(Counter(e.hardness or "outside Spider's grammar" for e in examples)),
        "variants": dict(Counter(e.variant for e in examples)),
        "sources": dict(Counter(e.source for e in examples)),
        "rewritten": sum(e.sql != e.gold for e in examples),
        "tokens": _quantiles([e.tokens for e in examples]),
        "prefix_tokens": _quantiles([e.prefix_tokens for e in examples]),
        "sql_tokens": _quantiles([e.sql_tokens for e in examples]),
        "tables": _quantiles([e.tables for e in examples]),
        "tokens_one_by_one": sum(e.tokens for e in examples),
        "tokens_with_each_prefix_once": own + sum(prefixes.values()),
    }


def _quantiles(values: Sequence[int]) -> dict[str, float]:
    ordered = sorted(values)

    def quantile(share: float) -> int:
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    return {
        "min": ordered[0],
        "median": quantile(0.5),
        "p95": quantile(0.95),
        "max": ordered[-1],
        "mean": round(sum(ordered) / len(ordered), 1),
    }
