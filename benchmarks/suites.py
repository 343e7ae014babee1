"""The suites: each is one literal with its data and its role."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Literal

from benchmarks.datasets import (
    DataError,
    Dataset,
    read_bird,
    read_demo,
    read_gretel,
    read_spider,
    read_spider_syn,
)
from benchmarks.realistic import PARTS, read_realistic, read_unanswerable
from benchmarks.untidy.halves import read_untidy
from t2sql_tui.core.paths import datasets_folder, tools_cache_folder

# Train databases set aside for choosing prompts and hyperparameters; no recipe trains on
# them unless told to. Chosen once, from the 140 databases of train_spider.json: those with
# no failing gold query, under 10 % empty results, 15 questions or more, and no other
# database of Spider that shares a fifth of their columns (Jaccard over table.column, so that
# a near copy cannot be trained on); five drawn from each stratum of 2-3, 4-5, 6-8 and 9 or
# more tables by the first seed (2) that gave 980 to 1,020 questions: 999.
HOLDOUT_DATABASES: frozenset[str] = frozenset(
    {
        "apartment_rentals",
        "chinook_1",
        "cinema",
        "company_office",
        "cre_Docs_and_Epenses",
        "cre_Theme_park",
        "department_management",
        "e_government",
        "icfp_1",
        "insurance_fnol",
        "insurance_policies",
        "loan_1",
        "local_govt_and_lot",
        "products_for_hire",
        "school_player",
        "sports_competition",
        "store_product",
        "student_assessment",
        "tracking_share_transactions",
        "wrestler",
    }
)

# Spider-Syn's wordings of Spider's training questions, under the data folder.
SPIDER_SYN = Path("spider-syn", "train_spider.json")


# What a suite may be used for; the trainer and `benchmarks calibrate` obey it.
# measure: finished models are measured on it; nothing is trained, chosen or fitted on it.
# choose:  prompts, hyperparameters and the confidence are chosen and fitted on it.
# train:   models are trained on it.
Role = Literal["measure", "choose", "train"]


@dataclass(frozen=True, slots=True)
class Suite:
    """A named data set and what it may be used for.

    `folder` is the data set's folder under the data folder ("" where it needs none),
    `read(folder)` reads the data set from there. `note` is what a reader of its numbers must
    know, `fetch` the name that `benchmarks fetch` has for its data."""

    name: str
    title: str
    role: Role
    folder: str
    read: Callable[[Path], Dataset]
    note: str = ""
    fetch: str = ""


SUITES: dict[str, Suite] = {
    suite.name: suite
    for suite in (
        Suite(
            "spider-dev",
            "Spider 1.0 dev",
            "measure",
            "spider",
            read_spider,
            "For measuring only: nothing may be tuned on it.",
            fetch="spider",
        ),
        Suite(
            "spider-test",
            "Spider 1.0 test (released 2024)",
            "measure",
            "spider",
            lambda d: read_spider(
                d, ("test.json",), tables="test_tables.json", databases="test_database"
            ),
            "For measuring only. In the archive of 2024, not in older copies.",
            fetch="spider",
        ),
        Suite(
            "spider-train-holdout",
            "20 of Spider's train databases, set aside",
            "choose",
            "spider",
            lambda d: read_spider(d, ("train_spider.json",), only=HOLDOUT_DATABASES),
            "For choosing prompts and hyperparameters.",
            fetch="spider",
        ),
        Suite(
            "spider-syn-holdout",
            "Those of their questions that Spider-Syn words anew",
            "choose",
            "spider",
            lambda d: read_spider_syn(
                read_spider(d, ("train_spider.json",), only=HOLDOUT_DATABASES),
                d.parent / SPIDER_SYN,
            ),
            "Synonyms for the schema's names: as people ask who do not know them. For choosing.",
            fetch="spider",
        ),
        Suite(
            "spider-train",
            "The rest of Spider's train questions",
            "train",
            "spider",
            lambda d: read_spider(
                d, ("train_spider.json", "train_others.json"), without=HOLDOUT_DATABASES
            ),
            "What recipes train on; a score here says nothing of new databases.",
            fetch="spider",
        ),
        Suite(
            "demo",
            "The app's five sample databases",
            "measure",
            "",
            lambda d: read_demo(cache_folder() / "demo"),
            "Small; a smoke test and a first impression.",
        ),
        Suite(
            "gretel-test",
            "gretelai/synthetic_text_to_sql test, SELECTs",
            "measure",
            "gretel",
            lambda d: read_gretel(
                d, "synthetic_text_to_sql_test.snappy.parquet", cache_folder() / "gretel"
            ),
            "Synthetic; most tables hold a handful of rows, so text metrics say more.",
            fetch="gretel",
        ),
        Suite(
            "realistic",
            "Questions that people ask of their own files, five collections",
            "choose",
            "realistic",
            read_realistic,
            "For choosing rules and the fit of the confidence; no recipe trains on it.",
        ),
        *(
            Suite(
                part,
                f"The part {part} of realistic",
                "choose",
                "realistic",
                partial(read_realistic, parts=(part,)),
                "Ids as in realistic, so that a run of that can be replayed.",
            )
            for part in PARTS
        ),
        Suite(
            "unanswerable",
            "Questions that their file cannot answer",
            "choose",
            "realistic",
            read_unanswerable,
            "Right is what is refused, or stated at less than 50 %.",
        ),
        Suite(
            "untidy",
            "Files as people have them, generated, the first half",
            "choose",
            "",
            lambda d: read_untidy(1, cache_folder() / "untidy"),
            "Dates, numbers and flags as text, look-up tables, two roles, relative dates.",
        ),
        Suite(
            "untidy-unseen",
            "The same kinds of files in other domains, names and words",
            "measure",
            "",
            lambda d: read_untidy(2, cache_folder() / "untidy"),
            "For measuring only: its questions are not to be read to choose a rule.",
        ),
    )
}

# Suites that name a folder (or a question file in it): "spider-format:DIR".
FORMATS: dict[str, Callable[[Path, str | None], Dataset]] = {
    "spider-format": lambda d, file: read_spider(d, (file or "dev.json",)),
    "bird-format": read_bird,
}


def cache_folder() -> Path:
    """The folder in which built databases are kept between runs; T2SQL_CACHE overrides the
    system's."""
    return tools_cache_folder() / "benchmarks"


def data_folder(named: Path | None = None) -> Path:
    """The data folder: `named`, else T2SQL_DATA, else ../shared/data beside a checkout, else
    where `benchmarks fetch` puts things."""
    if named is None and os.environ.get("T2SQL_DATA"):
        named = Path(os.environ["T2SQL_DATA"])
    if named is not None:
        if not named.is_dir():
            raise DataError(f"There is no folder {named}.", "--data names a data folder.")
        return named
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    if beside.is_dir():
        return beside
    return datasets_folder()


def load_suite(name: str, data: Path | None = None) -> Dataset:
    """The data set of suite `name`, which may be "spider-format:DIR" or "bird-format:DIR".

    Raises: DataError.
    """
    kind, colon, folder_name = name.partition(":")
    if colon and kind in FORMATS:
        path = Path(folder_name).expanduser()
        if path.is_file():
            return FORMATS[kind](path.parent, path.name)
        if not path.is_dir():
            raise DataError(f"There is no folder {path}.", f"Write {kind}:DIR or {kind}:DIR/FILE.")
        return FORMATS[kind](path, None)
    suite = find_suite(name)
    if not suite.folder:
        return suite.read(Path())
    folder = data_folder(data)
    root = folder / suite.folder
    # --data may also name the data set's own folder.
    if not root.is_dir() and any([*folder.glob("*.json"), *folder.glob("*.parquet")]):
        root = folder
    if not root.is_dir():
        fetch = f"Run `benchmarks fetch {suite.fetch}`, or name" if suite.fetch else "Name"
        raise DataError(
            f"The data of {name} is not here: there is no {root}.",
            f"{fetch} a copy with --data DIR or T2SQL_DATA.",
        )
    return suite.read(root)


def suite_role(name: str) -> Role | None:
    """The role of suite `name`; None for a folder of a person's own ("spider-format:DIR") and
    for a name that is no suite."""
    suite = SUITES.get(name)
    return suite.role if suite else None


def suites_for(role: Role) -> list[str]:
    """The names of the suites with that role."""
    return [suite.name for suite in SUITES.values() if suite.role == role]


def find_suite(name: str) -> Suite:
    """The suite of that name.

    Raises: DataError, with the nearest name.
    """
    if name in SUITES:
        return SUITES[name]
    near = get_close_matches(name, SUITES, 1, 0.5)
    known = ", ".join([*SUITES, *(f"{kind}:DIR" for kind in FORMATS)])
    hint = f"Did you mean '{near[0]}'? " if near else ""
    raise DataError(f"There is no suite '{name}'.", f"{hint}Known: {known}.")
