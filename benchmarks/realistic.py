"""Questions that people ask of their own files: several collections, alone and as one.

`realistic/` of the data folder holds them in the layouts of Spider and of BIRD; its README says
where each comes from and how it counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.datasets import (
    DataError,
    Dataset,
    check_opens,
    read_bird,
    read_list,
    read_spider,
)
from t2sql_tui.core.types import Example

#: The parts, in Spider's layout but for those in BIRD's.
PARTS = ("defog", "defog-basic", "defog-advanced", "superhero", "geonuclear")
_IN_BIRDS_LAYOUT = ("superhero",)

#: Where more columns than asked for are no fault (defog's own rule). Such an answer is right, and
#: counted as one of these apart.
MORE_COLUMNS = ("defog", "defog-basic", "defog-advanced")

#: Databases of defog that Spider's train_others has as well, so that models may know them.
TWINS = frozenset({"academic", "geography", "restaurants", "scholar", "yelp"})


def read_realistic(root: Path, parts: Sequence[str] = PARTS) -> Dataset:
    """The questions of `parts`, which are folders of `root`. An id begins with its part.

    Raises: DataError.
    """
    examples: list[Example] = []
    files: dict[str, tuple[Path, ...]] = {}
    for part in parts:
        read = read_bird if part in _IN_BIRDS_LAYOUT else read_spider
        dataset = read(root / part)
        # Parts have copies of the same file: the first is asked.
        files = {**dataset.files, **files}
        examples += (_of_part(part, example) for example in dataset.examples)
    return Dataset(tuple(examples), files)


def _of_part(part: str, example: Example) -> Example:
    number = example.id.rpartition("-")[2]
    twin = ", with a twin in Spider" if example.database in TWINS else ""
    source = example.source if part in _IN_BIRDS_LAYOUT else part
    return replace(example, id=f"{part}-{number}", source=source, group=part + twin)


def read_unanswerable(root: Path) -> Dataset:
    """Questions that their files cannot answer; the files are those of the part defog.

    Raises: DataError.
    """
    path = root / "unanswerable" / "questions.json"
    examples, files = [], {}
    for index, row in enumerate(read_list(path)):
        database, question = row.get("db_id"), row.get("question")
        if not (database and question):
            raise DataError(f"Entry {index} of {path} lacks db_id or question.", "Fetch it again.")
        if database not in files:
            file = root / "defog" / "database" / database / f"{database}.sqlite"
            check_opens(file)
            files[database] = (file,)
        examples.append(Example(f"unanswerable-{index:04d}", database, question, "", "defog"))
    return Dataset(tuple(examples), files)
