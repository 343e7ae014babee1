"""The generated data set: made once for the same code, databases, count and seed, then kept."""

from __future__ import annotations

import hashlib
import itertools
import json
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from tqdm import tqdm

from benchmarks.datasets import DataError, Dataset
from t2sql_tui.core.database.database import open_database
from t2sql_tui.core.types import Example
from trainer.code_hash import code_hash
from trainer.files import cache_folder, whole_folder, write_json
from trainer.synthesis.databases import copy_with_scenario
from trainer.synthesis.families import FAMILIES
from trainer.synthesis.proof import Prover, Unproved
from trainer.synthesis.writer import Draft, Writer

PER_DATABASE = 20  # questions on one copy, which share a prompt prefix
FILE_BYTES = 2_000_000  # maximum size of a database that is copied
TRIES = 12  # drafts of one family in one database
# Where the code lies that decides which questions come out.
_DECIDING = ("trainer.synthesis", "trainer.sql_style", "t2sql_tui.core")


def read_synthetic(spider: Dataset, count: int, seed: int, *, quiet: bool = True) -> Dataset:
    """`count` generated examples over copies of the databases of `spider`.

    Generating makes some 30 a second, under a progress bar unless `quiet`; the result is kept in
    the trainer's cache. `notes` count the rejected drafts; rejected.jsonl beside the databases
    lists them.

    Raises: DataError if `spider` has no database with a suitable table.
    """
    text = json.dumps([count, seed, spider.sha256(), code_hash(__name__, _DECIDING)])
    key = hashlib.sha256(text.encode()).hexdigest()[:16]
    folder = cache_folder() / "synthetic" / key
    if not (folder / "synthetic.json").exists():
        with whole_folder(folder) as part:
            _Generator(spider, seed, part).run(count, quiet)
    made = json.loads((folder / "synthetic.json").read_text(encoding="utf-8"))
    examples = tuple(Example(**row) for row in made["examples"])
    files = {e.database: (folder / f"{e.database}.sqlite",) for e in examples}
    reasons = ", ".join(f"{n} x {why}" for why, n in made["rejected"].items())
    return Dataset(
        examples,
        files,
        notes=(
            f"synthetic: {len(examples)} questions; by family: "
            + ", ".join(f"{n} {family}" for family, n in made["families"].items()),
            f"synthetic: drafts rejected: {reasons} ({folder / 'rejected.jsonl'})",
        ),
    )


class _Generator:
    """Generates examples, and writes them with their databases into a folder."""

    def __init__(self, spider: Dataset, seed: int, folder: Path) -> None:
        self.spider, self.seed, self.folder = spider, seed, folder
        self.families: Counter[str] = Counter(dict.fromkeys(FAMILIES, 0))
        self.rejected: list[dict[str, str]] = []

    def run(self, count: int, quiet: bool) -> None:
        """Writes the databases, synthetic.json and rejected.jsonl."""
        examples: list[Example] = []
        with tqdm(desc="synthetic", total=count, unit=" questions", disable=quiet or None) as bar:
            for database, writer in self._copies():
                examples += self._ask(database, writer, min(PER_DATABASE, count - len(examples)))
                bar.update(len(examples) - bar.n)
                if len(examples) >= count:
                    break
        reasons = Counter(row["reason"].split(":")[0] for row in self.rejected)
        write_json(
            self.folder / "synthetic.json",
            {
                "examples": [asdict(e) for e in examples],
                "families": dict(sorted(self.families.items())),
                "rejected": dict(reasons.most_common()),
            },
        )
        with (self.folder / "rejected.jsonl").open("w", encoding="utf-8") as file:
            for row in self.rejected:
                file.write(json.dumps(row, ensure_ascii=False) + "\n")

    def _copies(self) -> Iterator[tuple[str, Writer]]:
        """Copies without end: every database in random order, then all of them again."""
        files = self.spider.files
        names = [n for n in sorted(files) if files[n][0].stat().st_size < FILE_BYTES]
        random.Random(self.seed).shuffle(names)
        unsuitable = 0  # in a row
        for number in itertools.count():
            if unsuitable == len(names):
                raise DataError(
                    "No database has a table with a key and a name to ask about.",
                    "Is --data-root the folder of Spider's training databases?",
                )
            name = names[number % len(names)]
            database = f"synthetic-{name}-{number // len(names) + 1}"
            rng = random.Random(f"{self.seed}/{database}")
            entry, copy = self.spider.tables[name], self._file(database)
            scenario = copy_with_scenario(files[name][0], entry, copy, rng)
            unsuitable = 0 if scenario else unsuitable + 1
            if scenario:
                yield database, Writer(scenario, rng)

    def _file(self, database: str) -> Path:
        return self.folder / f"{database}.sqlite"

    def _ask(self, database: str, writer: Writer, wanted: int) -> list[Example]:
        """At most `wanted` proved questions, of the families that have the fewest so far."""
        examples: list[Example] = []
        seen: set[str] = set()
        with open_database(self._file(database)) as opened:
            prover = Prover(opened)
            order = sorted(FAMILIES, key=lambda name: (self.families[name], writer.rng.random()))
            for family in order:
                proved = self._proved(family, writer, prover, database, seen)
                if proved is None:
                    continue
                question, sql = proved
                seen.add(question)
                self.families[family] += 1
                id_ = f"{database}-{len(examples):02d}-{family}"
                examples.append(Example(id_, database, question, sql, "synthetic", "train"))
                if len(examples) == wanted:
                    break
        return examples

    def _proved(
        self, family: str, writer: Writer, prover: Prover, database: str, seen: set[str]
    ) -> tuple[str, str] | None:
        """The first draft of a family that is proved: question and SQL. None after TRIES drafts."""
        for _ in range(TRIES):
            draft = FAMILIES[family](writer)
            if draft is None or draft.question in seen:
                continue
            try:
                return draft.question, prover.prove(draft)
            except Unproved as reason:
                self._reject(draft, database, family, str(reason))
        return None

    def _reject(self, draft: Draft, database: str, family: str, reason: str) -> None:
        row = {"database": database, "family": family, "reason": reason}
        self.rejected.append(row | {"question": draft.question, "sql": draft.sql})
