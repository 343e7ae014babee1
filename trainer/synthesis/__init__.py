"""Questions that Spider hardly asks, generated over its training schemas, proved by execution.

Spider's questions nearly never use dates, NULLs, percentages, windows or untidy text, which
is what people ask of their own files. So each of its training databases is copied, and the copy
gets what real files have: a table of things that happen (bookings, claims, ...) to something
that the schema knows, its lines, and dates, contacts and flags on the thing itself. Formats,
names and their style are drawn anew for every copy, so that the answer is found in the schema
and its samples and not by heart.

A question is kept only if its SQL runs, gives rows that say something, and gives others as soon
as any one of its conditions is dropped. Equal seeds give equal bytes.

    vocabulary.py   the words
    dates.py        how dates are stored, and read again
    databases.py    the copies, and what is added to them
    writer.py       the parts of questions and their SQL
    rows.py         families of questions about the rows of one table,
    groups.py       about groups and totals,
    joins.py        and about several tables
    families.py     all of them, in the order in which they are drawn
    proof.py        which drafts are kept
"""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter
from dataclasses import asdict
from pathlib import Path

from benchmarks.datasets import DataError, Dataset
from t2sql_tui.core.database.database import open_database
from t2sql_tui.core.types import Example
from trainer.code_hash import code_hash
from trainer.files import cache_folder, whole_folder, write_json
from trainer.synthesis.databases import copy_with_world
from trainer.synthesis.families import FAMILIES
from trainer.synthesis.proof import Prover, Unproved
from trainer.synthesis.writer import Writer

PER_DATABASE = 20  # questions that share a prefix: packing lives on it
FILE_BYTES = 2_000_000  # of a database that is copied
TRIES = 12  # of one family in one database
# Where the code lies that decides which questions come out.
_DECIDING = (__name__, "trainer.sql_style", "t2sql_tui.core")


def read_synthetic(spider: Dataset, count: int, seed: int, *, quiet: bool = True) -> Dataset:
    """`count` generated examples over copies of the databases of `spider`, made once for the
    same code, databases, count and seed (under a progress bar unless `quiet`: some 30 a second),
    and kept in the trainer's cache. `notes` count what was rejected; rejected.jsonl beside the
    databases lists it.

    Raises: DataError if `spider` has no database with something to ask about.
    """
    text = json.dumps([count, seed, spider.sha256(), code_hash(__name__, _DECIDING)])
    key = hashlib.sha256(text.encode()).hexdigest()[:16]
    folder = cache_folder() / "synthetic" / key
    if not (folder / "synthetic.json").exists():
        with whole_folder(folder) as part:
            _generate(spider, count, seed, part, quiet)
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


def _generate(spider: Dataset, count: int, seed: int, folder: Path, quiet: bool) -> None:
    from tqdm import tqdm

    names = [n for n in sorted(spider.files) if spider.files[n][0].stat().st_size < FILE_BYTES]
    random.Random(seed).shuffle(names)
    families: Counter[str] = Counter(dict.fromkeys(FAMILIES, 0))
    examples: list[Example] = []
    rejected: list[dict[str, str]] = []
    place = poor = 0
    bar = tqdm(desc="synthetic", total=count, unit=" questions", disable=quiet or None)
    while len(examples) < count:
        if poor == len(names):
            raise DataError(
                "No database has a table with a key and a name to ask about.",
                "Is --data-root the folder of Spider's training databases?",
            )
        name = names[place % len(names)]
        database = f"synthetic-{name}-{place // len(names) + 1}"
        place += 1
        file = folder / f"{database}.sqlite"
        rng = random.Random(f"{seed}/{database}")
        world = copy_with_world(spider.files[name][0], spider.tables[name], file, rng)
        if world is None:
            poor += 1
            continue
        poor = 0
        wanted = min(PER_DATABASE, count - len(examples))
        examples += _ask(database, file, Writer(world, rng), wanted, families, rejected)
        bar.update(len(examples) - bar.n)
    bar.close()
    write_json(
        folder / "synthetic.json",
        {
            "examples": [asdict(e) for e in examples],
            "families": dict(sorted(families.items())),
            "rejected": dict(Counter(r["reason"].split(":")[0] for r in rejected).most_common()),
        },
    )
    with (folder / "rejected.jsonl").open("w", encoding="utf-8") as out:
        for row in rejected:
            out.write(json.dumps(row, ensure_ascii=False) + "\n")


def _ask(
    database: str,
    file: Path,
    writer: Writer,
    wanted: int,
    families: Counter[str],
    rejected: list[dict[str, str]],
) -> list[Example]:
    """Proved questions on one database, of the families that have the fewest so far."""
    examples: list[Example] = []
    seen: set[str] = set()
    with open_database(file) as opened:
        prover = Prover(opened)
        order = sorted(FAMILIES, key=lambda name: (families[name], writer.rng.random()))
        for family in order:
            for _ in range(TRIES):
                draft = FAMILIES[family](writer)
                if draft is None or draft.question in seen:
                    continue
                try:
                    sql = prover.prove(draft)
                except Unproved as why:
                    rejected.append(
                        {
                            "database": database,
                            "family": family,
                            "reason": str(why),
                            "question": draft.question,
                            "sql": draft.sql,
                        }
                    )
                    continue
                seen.add(draft.question)
                families[family] += 1
                id_ = f"{database}-{len(examples):02d}-{family}"
                examples.append(Example(id_, database, draft.question, sql, "synthetic", "train"))
                break
            if len(examples) == wanted:
                break
    return examples
