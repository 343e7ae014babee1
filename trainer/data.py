"""Examples for training: read, proved by execution, rewritten, multiplied, rendered, kept.

The outcome is an artefact, a folder that is never changed again:

    train/, heldout/   `datasets` in Arrow: one row an example, prompt halves included
    data.json          what it was made from and by, and its statistics
    rejected.jsonl     every example that was left out, and why

Its name is a hash of everything that went in, so equal settings find it made already.
"""

from __future__ import annotations

import hashlib
import json
import random
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.datasets import DataError, Dataset
from t2sql_tui.core.errors import ModelError
from t2sql_tui.core.types import Example, Limits, Question, Schema, Table, ValueMatch
from trainer.base import Base, cache_folder, load_tokenizer, token_ids
from trainer.config import Config
from trainer.files import whole_folder, write_json
from trainer.sqlform import STYLES, tables_of, transpile

if TYPE_CHECKING:
    from datasets import DatasetDict

# A gold query of Spider that needs longer says nothing that training needs to wait for.
PROOF = Limits(rows=1_000_000, seconds=10.0)


@dataclass(frozen=True, slots=True)
class Row:
    """One example of the artefact. `gold` is as published, `sql` what is trained on (in the
    config's dialect). `variant` says which schema it shows. Token counts are of the base model's
    tokenizer; `tokens` is of prefix, suffix, SQL and end marker."""

    id: str
    database: str
    file: str
    question: str
    evidence: str
    gold: str
    sql: str
    source: str
    hardness: str
    variant: str
    repeat: int
    tables: int
    columns: int
    prefix: str
    suffix: str
    prefix_tokens: int
    sql_tokens: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Rejected:
    id: str
    database: str
    reason: str
    sql: str = ""


@dataclass(frozen=True, slots=True)
class Artefact:
    """A finished artefact: its folder, what data.json says, and the data, loaded when asked."""

    folder: Path
    about: dict[str, Any]

    def load(self) -> DatasetDict:
        from datasets import DatasetDict

        try:
            return DatasetDict.load_from_disk(str(self.folder))
        except (OSError, ValueError) as error:
            raise DataError(
                f"{self.folder} is damaged: {error}.", "Delete that folder; it is made again."
            ) from error


# --- sources ------------------------------------------------------------------------


def read_source(name: str, config: Config, *, quiet: bool = True) -> Dataset:
    """A suite of the benchmarks, or one of the training sets that no benchmark uses. What has to
    be generated first shows its progress unless `quiet`.

    Raises: DataError.
    """
    from benchmarks.datasets import read_gretel, read_spider_syn
    from benchmarks.suites import SPIDER_SYN, data_folder, load_suite, suite_role
    from benchmarks.suites import cache_folder as benchmark_cache

    if suite_role(name) == "measure":
        raise DataError(
            f"{name} is for measuring finished models: a run must neither train nor choose by it.",
            "Measure while training on spider-train-holdout, and at the end with `trainer eval`.",
        )
    root = Path(config.data_root).expanduser() if config.data_root else None
    if name == "gretel-train":
        return read_gretel(
            data_folder(root) / "gretel",
            "synthetic_text_to_sql_train.snappy.parquet",
            benchmark_cache() / "gretel",
        )
    if name.startswith("gretel-format:"):
        file = Path(name.partition(":")[2]).expanduser()
        return read_gretel(file.parent, file.name, benchmark_cache() / "gretel")
    if name == "bird-text":
        return _bird_text(data_folder(root) / "bird")
    if name == "spider-syn":
        return read_spider_syn(read_source("spider-train", config), data_folder(root) / SPIDER_SYN)
    if name == "synthetic":
        from trainer.synthesis import read_synthetic

        spider = read_source("spider-train", config)
        return read_synthetic(spider, config.synthetic, config.data_seed, quiet=quiet)
    return load_suite(name, root)


def _bird_text(root: Path) -> Dataset:
    """BIRD's training questions without its databases (33 GB): tables.json gives empty ones,
    against which the SQL can be prepared, though not judged."""
    from benchmarks.datasets import read_list

    files, entries = {}, {}
    for entry in read_list(root / "tables.json"):
        target = cache_folder() / "bird" / f"{entry['db_id']}.sqlite"
        if not target.exists():
            _build_empty(entry, target)
        files[entry["db_id"]], entries[entry["db_id"]] = (target,), entry
    examples = tuple(
        Example(
            f"bird-{place:04d}",
            row["db_id"],
            row["question"],
            row["SQL"],
            "bird",
            "train",
            row.get("evidence") or "",
        )
        for place, row in enumerate(read_list(root / "train.json"))
        if row["db_id"] in files
    )
    return Dataset(examples, files, entries)


def _build_empty(entry: dict[str, Any], target: Path) -> None:
    """An empty database with the tables, types and keys of one entry of tables.json."""
    from t2sql_tui.core.identifiers import quoted

    names = entry["table_names_original"]
    columns = entry["column_names_original"]
    keys = [k if isinstance(k, list) else [k] for k in entry["primary_keys"]]
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(".part")
    part.unlink(missing_ok=True)
    with closing(sqlite3.connect(part)) as connection:
        for number, name in enumerate(names):
            lines = [
                f"{quoted(column)} {kind.upper()}"
                for (owner, column), kind in zip(columns, entry["column_types"], strict=True)
                if owner == number
            ]
            for key in keys:
                if columns[key[0]][0] == number:
                    lines.append(f"PRIMARY KEY ({', '.join(quoted(columns[k][1]) for k in key)})")
            for source, to in entry["foreign_keys"]:
                if columns[source][0] == number:
                    lines.append(
                        f"FOREIGN KEY ({quoted(columns[source][1])}) REFERENCES "
                        f"{quoted(names[columns[to][0]])} ({quoted(columns[to][1])})"
                    )
            connection.execute(f"CREATE TABLE {quoted(name)} ({', '.join(lines)})")
        connection.commit()
    part.rename(target)


# --- the artefact -------------------------------------------------------------------

# Raised whenever this module makes other rows of the same input.
VERSION = 1
# The code elsewhere that decides what an artefact holds.
_CODE = (
    "t2sql_tui/core/prompting/prompt.py",
    "t2sql_tui/core/prompting/chat.py",
    "t2sql_tui/core/english.py",
    "t2sql_tui/core/prompting/value_index.py",
    "t2sql_tui/core/prompting/value_matching.py",
    "t2sql_tui/core/database/schema.py",
    "t2sql_tui/core/prompting/schema_linking.py",
    "trainer/sqlform.py",
)


def _code_hash() -> str:
    root = Path(__file__).resolve().parent.parent
    digest = hashlib.sha256(str(VERSION).encode())
    for name in _CODE:
        digest.update((root / name).read_bytes())
    return digest.hexdigest()


def prepare(config: Config, base: Base, *, quiet: bool = False) -> Artefact:
    """The artefact of a config, made now (under a progress bar unless `quiet`) if it is not
    there yet.

    Raises: DataError for a source that is missing, empty or damaged, or splits that share
    a database; ModelError for an unknown prompt version or chat format.
    """
    train = [read_source(name, config, quiet=quiet) for name in config.data]
    heldout = read_source(config.heldout, config) if config.heldout else None
    if heldout is None:
        train, heldout = _set_aside(train, config)
    _refuse_overlap(train, heldout)
    sources = {
        "train": [dataset.sha256() for dataset in train],
        "heldout": heldout.sha256(),
        "code": _code_hash(),
        "tokenizer": base.sha256 or base.source,
    }
    text = json.dumps([config.data_key(base.chat_format), sources])
    key = hashlib.sha256(text.encode()).hexdigest()[:16]
    folder = cache_folder() / "data" / key
    if not (folder / "data.json").exists():
        _make(folder, config, base, train, heldout, sources, quiet)
    return open_artefact(folder)


def open_artefact(folder: Path) -> Artefact:
    """Raises: DataError if there is none."""
    try:
        return Artefact(folder, json.loads((folder / "data.json").read_text(encoding="utf-8")))
    except (OSError, ValueError):
        raise DataError(
            f"There is no data artefact in {folder}.", "Make it with `trainer data`."
        ) from None


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
    """No held-out database may be trained on, under its own name or another. Two questions
    sets of one database are told apart by their ids (a person's own single database)."""
    held_ids = {e.id for e in heldout.examples}
    trained = {e.database: d for d in train for e in d.examples}
    shared = sorted({e.database for e in heldout.examples} & set(trained))
    one_database = len(set(trained)) == 1
    again = held_ids & {e.id for d in train for e in d.examples}
    if (shared and not one_database) or again:
        raise DataError(
            f"{len(shared)} databases are both trained and measured on: {', '.join(shared[:5])}.",
            "Their scores would say nothing of new databases. Choose another --heldout or --data.",
        )
    prints = {schema_of(d.files[name][0]).fingerprint: name for name, d in trained.items()}
    for name in {e.database for e in heldout.examples} - set(shared):
        twin = prints.get(schema_of(heldout.files[name][0]).fingerprint)
        if twin:
            raise DataError(
                f"The held-out database {name} is a copy of {twin}, which is trained on.",
                "Choose another --heldout or --data.",
            )


@cache
def schema_of(path: Path) -> Schema:
    from t2sql_tui.core.database.database import open_database

    with open_database(path) as database:
        return database.schema


def _make(
    folder: Path,
    config: Config,
    base: Base,
    train: Sequence[Dataset],
    heldout: Dataset,
    sources: dict[str, Any],
    quiet: bool,
) -> None:
    from datasets import Dataset as Table_
    from datasets import DatasetDict
    from datasets.utils.logging import disable_progress_bar
    from tqdm import tqdm

    from benchmarks.provenance import provenance

    disable_progress_bar()
    maker = _Maker(config, base)
    examples = [(e, d) for d in train for e in d.examples]
    held = [(e, heldout) for e in heldout.examples]
    examples = _at_most(config.max_examples, examples, config.data_seed)
    held = _at_most(config.max_heldout, held, config.data_seed)
    rows: dict[str, list[Row]] = {}
    for split, chosen in (("train", examples), ("heldout", held)):
        chosen = sorted(chosen, key=lambda pair: (pair[0].database, pair[0].id))
        rows[split] = [
            row
            for example, dataset in tqdm(chosen, split, unit=" examples", disable=quiet or None)
            for row in maker.rows(example, dataset, measured=split == "heldout")
        ]
    for split in rows:
        if not rows[split]:
            raise DataError(
                f"No {split} example is left: {maker.why()}.",
                "Look at --max-tokens and at the databases.",
            )
    with whole_folder(folder) as part:
        splits = {name: Table_.from_list([asdict(r) for r in rows[name]]) for name in rows}
        DatasetDict(splits).save_to_disk(str(part))
        with (part / "rejected.jsonl").open("w", encoding="utf-8") as file:
            for rejected in maker.rejected:
                file.write(json.dumps(asdict(rejected), ensure_ascii=False) + "\n")
        about = {
            "config": {k: v for k, v in asdict(config).items()},
            "chat_format": base.chat_format,
            "prompt_version": config.prompt_version,
            "sources": sources,
            "provenance": provenance(),
            "rejected": len(maker.rejected),
            "notes": [note for d in (*train, heldout) for note in d.notes],
            "statistics": {name: statistics(rows[name]) for name in rows},
        }
        write_json(part / "data.json", about)


def _at_most(limit: int, examples: list, seed: int) -> list:
    return random.Random(seed).sample(examples, limit) if 0 < limit < len(examples) else examples


class _Maker:
    """Turns examples into rows, one database after the other."""

    def __init__(self, config: Config, base: Base) -> None:
        from t2sql_tui.core.prompting.chat import CHAT_FORMATS

        self.config = config
        self.chat_format = base.chat_format
        if base.chat_format not in CHAT_FORMATS:
            raise ModelError(
                f"The base model has no chat format that is known ('{base.chat_format}').",
                f"Name one with --chat-format: {', '.join(CHAT_FORMATS)}.",
            )
        self.end = CHAT_FORMATS[base.chat_format].end
        self.tokenizer = load_tokenizer(base)
        self.count = lru_cache(maxsize=4096)(lambda text: len(token_ids(self.tokenizer, text)))
        self.rejected: list[Rejected] = []
        self._open: tuple[Path, Any] | None = None

    def why(self) -> str:
        counts = Counter(r.reason.partition(":")[0] for r in self.rejected)
        return "; ".join(f"{n} x {reason}" for reason, n in counts.most_common(3)) or "none read"

    def rows(self, example: Example, dataset: Dataset, *, measured: bool) -> Iterator[Row]:
        """The rows of one example: the plain one, and for training its variants."""
        path = dataset.files[example.database][0]
        database = self._database(path)
        schema = database.schema
        sql, outcome = self._proved(example.gold, schema, path)
        if outcome.gold_fails and not self.config.keep_failing:
            self._reject(example, f"the gold does not run: {outcome.error}")
            return
        target = sql
        if self.config.dialect != "sqlite":
            try:
                target = transpile(sql, "sqlite", self.config.dialect)
            except ValueError as error:
                self._reject(example, f"no {self.config.dialect}: {error}")
                return
        question = Question(example.question, self._hint(example))
        values = self._values(database, example)
        level = _hardness(example.gold, schema, dataset.tables.get(example.database))
        for variant, shown in self._variants(example, schema, sql, measured):
            row = self._render(example, path, shown, question, values, target, level)
            if row:
                repeat = 1 if measured else self._repeat(level, sql)
                yield replace(row, variant=variant, repeat=repeat)

    def _hint(self, example: Example) -> str:
        """The evidence, and the dialect where it is not the one that the prompt names."""
        if self.config.dialect == "sqlite":
            return example.evidence
        return f"Write {self.config.dialect}. {example.evidence}".strip()

    def _database(self, path: Path):
        from t2sql_tui.core.database.database import open_database

        if self._open is None or self._open[0] != path:
            if self._open is not None:
                self._open[1].close()
            self._open = (path, open_database(path))
        return self._open[1]

    def _reject(self, example: Example, reason: str) -> None:
        self.rejected.append(Rejected(example.id, example.database, reason, example.gold))

    def _proved(self, gold: str, schema: Schema, path: Path):
        """The gold in one style where that gives exactly the same rows, else as it is; and
        the verdict, which also tells whether the gold runs."""
        from benchmarks.metrics.execution import verdict

        sql = gold
        if self.config.style in STYLES:
            try:
                sql = STYLES[self.config.style](gold, schema)
            except ValueError:
                pass  # SQL that sqlglot cannot read stays as it was written
        outcome = verdict(gold, sql, [path], limits=PROOF)
        return (sql if outcome.strict else gold), outcome

    def _values(self, database, example: Example) -> tuple[ValueMatch, ...]:
        if not self.config.values:
            return ()
        from t2sql_tui.core.prompting.value_matching import find_values

        text = " ".join(filter(None, (example.question, example.evidence)))
        return tuple(find_values(database, text))

    def _variants(
        self, example: Example, schema: Schema, sql: str, measured: bool
    ) -> Iterator[tuple[str, Schema]]:
        """Held-out rows show what the app would show: the full schema, in its own order."""
        if measured or self.config.schema in ("full", "both"):
            yield "full", schema
        if measured:
            return
        if self.config.schema in ("pruned", "both"):
            rng = random.Random(f"{self.config.data_seed}/{example.id}")
            yield "pruned", pruned(schema, sql, self.config.distractors, rng)
        for number in range(1, self.config.shuffled_schemas + 1):
            # by database, not by question: equal prefixes are what packing lives on
            rng = random.Random(f"{self.config.data_seed}/{example.database}/{number}")
            yield f"shuffled-{number}", shuffled(schema, rng)

    def _repeat(self, level: str, sql: str) -> int:
        times = {"hard": self.config.repeat_hard, "extra": self.config.repeat_extra}.get(level, 1)
        words = set(sql.upper().split())
        if words & {"UNION", "INTERSECT", "EXCEPT"}:
            times = max(times, self.config.repeat_set_operations)
        return times

    def _render(
        self,
        example: Example,
        path: Path,
        schema: Schema,
        question: Question,
        values: Sequence[ValueMatch],
        sql: str,
        level: str,
    ) -> Row | None:
        from t2sql_tui.core.prompting.prompt import build_prompt

        answer = self.count(sql + self.end)
        try:
            prompt = build_prompt(
                schema,
                question,
                _shown(values, schema),
                version=self.config.prompt_version,
                chat_format=self.chat_format,
                budget=self.config.max_tokens - answer,
                count_tokens=self.count,
            )
        except ModelError as error:
            if "prompt version" in error.message or "chat format" in error.message:
                raise
            self._reject(example, f"too long: {error.message}")
            return None
        lost = {name.lower() for name in prompt.left_out} & tables_of(example.gold, schema)
        if lost:
            self._reject(example, f"does not fit: without {', '.join(sorted(lost))}")
            return None
        prefix = self.count(prompt.prefix)
        tokens = prefix + self.count(prompt.suffix) + answer
        if tokens > self.config.max_tokens:
            self._reject(example, f"does not fit: {tokens} tokens")
            return None
        return Row(
            id=example.id,
            database=example.database,
            file=str(path),
            question=example.question,
            evidence=example.evidence,
            gold=example.gold,
            sql=sql,
            source=example.source,
            hardness=level,
            variant="",
            repeat=1,
            tables=len(schema.tables),
            columns=sum(len(t.columns) for t in schema.tables),
            prefix=prompt.prefix,
            suffix=prompt.suffix,
            prefix_tokens=prefix,
            sql_tokens=answer,
            tokens=tokens,
        )


# --- variants of a schema -----------------------------------------------------------


def pruned(schema: Schema, sql: str, distractors: int, rng: random.Random) -> Schema:
    """The tables that `sql` reads and a few others, in the schema's own order."""
    needed = tables_of(sql, schema)
    others = [t.name.lower() for t in schema.tables if t.name.lower() not in needed]
    needed |= set(rng.sample(others, min(distractors, len(others))))
    return _only(schema, [t for t in schema.tables if t.name.lower() in needed])


def shuffled(schema: Schema, rng: random.Random) -> Schema:
    """The same tables and columns in another order."""
    tables = [
        replace(t, columns=tuple(rng.sample(t.columns, len(t.columns)))) for t in schema.tables
    ]
    return _only(schema, rng.sample(tables, len(tables)))


def _only(schema: Schema, tables: Iterable[Table]) -> Schema:
    """Without keys that point at tables that are gone."""
    tables = list(tables)
    names = {t.name.lower() for t in tables}
    return replace(
        schema,
        tables=tuple(
            replace(t, foreign_keys=tuple(k for k in t.foreign_keys if k.table.lower() in names))
            for t in tables
        ),
    )


def _shown(values: Sequence[ValueMatch], schema: Schema) -> list[ValueMatch]:
    return [match for match in values if schema.table(match.table)]


def _hardness(gold: str, schema: Schema, entry: dict[str, Any] | None) -> str:
    """Spider's level, "" for SQL outside Spider's grammar."""
    from benchmarks.metrics.hardness import hardness
    from benchmarks.metrics.spider_grammar import OutsideGrammar, SpiderSchema

    known = SpiderSchema.from_tables_json(entry) if entry else SpiderSchema.from_database(schema)
    try:
        return hardness(gold, known)
    except OutsideGrammar:
        return ""


# --- statistics ---------------------------------------------------------------------


def statistics(rows: Sequence[Row]) -> dict[str, Any]:
    """Counts and quantiles for data.json and the report."""
    groups = {row.prefix: row.prefix_tokens for row in rows}
    apart = sum(row.tokens for row in rows)
    own = sum(row.tokens - row.prefix_tokens for row in rows)
    return {
        "examples": len(rows),
        "shown_in_an_epoch": sum(row.repeat for row in rows),
        "databases": len({row.database for row in rows}),
        "prefixes": len(groups),
        "hardness": dict(Counter(row.hardness or "outside Spider's grammar" for row in rows)),
        "variants": dict(Counter(row.variant for row in rows)),
        "sources": dict(Counter(row.source for row in rows)),
        "rewritten": sum(row.sql != row.gold for row in rows),
        "tokens": _quantiles([row.tokens for row in rows]),
        "prefix_tokens": _quantiles([row.prefix_tokens for row in rows]),
        "sql_tokens": _quantiles([row.sql_tokens for row in rows]),
        "tables": _quantiles([row.tables for row in rows]),
        "tokens_one_by_one": apart,
        "tokens_with_each_prefix_once": own + sum(groups.values()),
    }


def _quantiles(values: Sequence[int]) -> dict[str, float]:
    ordered = sorted(values)
    at = lambda share: ordered[min(len(ordered) - 1, int(share * len(ordered)))]  # noqa: E731
    return {
        "min": ordered[0],
        "median": at(0.5),
        "p95": at(0.95),
        "max": ordered[-1],
        "mean": round(sum(ordered) / len(ordered), 1),
    }
