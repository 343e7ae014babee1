"""The options of `benchmarks run` and `benchmarks score`.

The flags, their help texts, the identity of a run and its default name all derive from the
fields here (see options.py). `benchmarks --help` imports this: no module that takes time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from benchmarks.decodings import DECODINGS, DEFAULT, ask_options, decoding_identity
from benchmarks.options import option
from benchmarks.schema_subset import SCHEMA_SUBSETS
from t2sql_tui.backends import BACKENDS, DEFAULT_BACKEND
from t2sql_tui.core.types import AskOptions, ModelSpec

# How a field gets into the identity of a run (metadata `recorded`): under its own name, or so
# only where it is not the default, for options that are younger than the oldest runs, which
# could not go on otherwise. Fields of the decoding are recorded by `decoding_identity`.
ALWAYS, IF_SET = "always", "if set"


@dataclass(frozen=True)
class ScoringConfig:
    """How answers are scored, by `run` and `score` alike."""

    suite_databases: Path | None = option(None, metavar="DIR", recorded=ALWAYS)
    """Folder of further databases, DIR/ID/*.sqlite, on which an answer must be right as well (the
    official test suites)."""

    neighbours: int = option(0, least=0, recorded=ALWAYS)
    """Number of databases to generate beside each database, on which an answer must be right as
    well."""

    keep_distinct: bool = option(False, recorded=ALWAYS)
    """Let DISTINCT count, as --keep_distinct of the official script does."""

    score_candidates: bool = option(False, recorded=IF_SET)
    """Score every candidate, so that other ways of choosing among them can be measured from the
    recorded run."""

    def identity(self) -> dict[str, Any]:
        """What two runs must have in common for their scores to be of one kind."""
        return dict(_recorded(self))


@dataclass(frozen=True)
class FolderConfig:
    """Where a run is written, and where its data lies. None of it changes an answer."""

    name: str | None = option(None)
    """Name of the run (default: made of the options)."""

    runs: Path = option(Path("runs"), metavar="DIR")
    """Folder of the runs."""

    data: Path | None = option(None, metavar="DIR")
    """Folder of the data sets (default: T2SQL_DATA, or ../shared/data)."""


@dataclass(frozen=True)
class RunConfig:
    """What `benchmarks run` asks, whom, and how."""

    suite: str = option(argument=True, recorded=ALWAYS)
    """Name of a suite, or spider-format:DIR or bird-format:DIR."""

    model: str = option(short="-m")
    """Name of a model (see `t2sql-tui models`), or path of a .gguf file."""

    backend: str = option(
        DEFAULT_BACKEND,
        choices={name: entry.summary for name, entry in BACKENDS.items()},
        recorded=ALWAYS,
    )
    """Backend that runs the model."""

    limit: int | None = option(None, least=1)
    """Number of questions, drawn at random (default: all)."""

    seed: int = option(0)
    """Seed of the random draw of questions and of sampled answers."""

    decoding: str = option(DEFAULT, choices={name: d.note for name, d in DECODINGS.items()})
    """Decoding method."""

    schema: str = option("full", choices=SCHEMA_SUBSETS, recorded=IF_SET)
    """Tables of the schema that the model sees."""

    candidates: int | None = option(None, least=1, most=16)
    """Number of candidate answers to a question (default: as --decoding says)."""

    temperature: float | None = option(None, least=0.0)
    """Sampling temperature, 0 for greedy (default: as --decoding says). The first of several
    answers is greedy at any temperature."""

    max_tokens: int | None = option(None, least=1)
    """Maximum number of tokens in an answer (default: as --decoding says)."""

    repairs: int | None = option(None, least=0)
    """Maximum number of further attempts that show the model its error (default: as --decoding
    says)."""

    prompt_version: str | None = option(None)
    """Prompt version (default: the model's own)."""

    backend_options: Mapping[str, Any] = field(default_factory=dict, metadata={"given": False})
    """Options of the backend's constructor. Their flags are declared with the backend."""

    scoring: ScoringConfig = field(default_factory=ScoringConfig)

    replay: Path | None = option(None, metavar="RUN")
    """Folder of an earlier run whose candidates are chosen among again, in the same way, instead
    of asking the model. Its decoding times count."""

    restart: bool = option(False)
    """Start over where there is a run of that name."""

    folder: FolderConfig = field(default_factory=FolderConfig)

    def ask_options(self) -> AskOptions:
        """The options of the decoding, with those that override it."""
        return ask_options(
            self.decoding,
            max_tokens=self.max_tokens,
            temperature=self.temperature,
            candidates=self.candidates,
            seed=self.seed,
            repairs=self.repairs,
        )

    def model_identity(self, spec: ModelSpec, model_sha256: str) -> dict[str, Any]:
        """What two runs must have in common for the model to give the same candidates to the
        same questions. A replay must have it in common with the run that it replays."""
        return {
            "model_sha256": model_sha256,
            "backend": self.backend,
            "backend_options": self._recorded_backend_options() or None,
            "prompt_version": spec.prompt_version,
            "chat_format": spec.chat_format,
            **decoding_identity(self.decoding, self.ask_options()),
            "schema": self.schema if self.schema != "full" else None,
        }

    def identity(self) -> dict[str, Any]:
        """What of the options makes two answers belong to one run. The runner adds what it
        learns from the data and the model."""
        decoding = decoding_identity(self.decoding, self.ask_options())
        recorded = dict(_recorded(self))
        if options := self._recorded_backend_options():
            recorded["backend_options"] = options
        return {**recorded, **decoding, **self.scoring.identity()}

    def _recorded_backend_options(self) -> dict[str, Any]:
        """The given options of the backend that change answers."""
        recorded = {o.name for o in BACKENDS[self.backend].options if o.changes_answers}
        return {name: value for name, value in self.backend_options.items() if name in recorded}

    def run_name(self, model: str) -> str:
        """The name given with --name, else one made of the options that change answers.
        `model` is the model's name."""
        name = self.folder.name or "--".join(self._name_parts(model))
        return name + "--replayed" if self.replay and not self.folder.name else name

    def _name_parts(self, model: str) -> Iterator[str]:
        yield slug(self.suite)
        yield Path(model).name.removesuffix(".gguf")
        if self.limit:
            yield f"n{self.limit}-s{self.seed}"
        if self.decoding != DEFAULT:
            yield self.decoding
        if self.schema != "full":
            yield f"{self.schema}-schema"
        for name, value in self._recorded_backend_options().items():
            yield f"{name}-{slug(str(value))}"
        chosen, usual = self.ask_options(), ask_options(self.decoding)
        for letter, value, default in (
            ("k", chosen.settings.candidates, usual.settings.candidates),
            ("t", chosen.settings.temperature, usual.settings.temperature),
            ("r", chosen.repairs, usual.repairs),
        ):
            if value != default:
                yield f"{letter}{value:g}"


@dataclass(frozen=True)
class ScoreConfig:
    """What `benchmarks score` scores, and how."""

    predictions: Path = option(argument=True)
    """A predict.txt, a JSONL file, or the folder of a run."""

    suite: str = option()
    """Suite that the predictions answer."""

    partial: bool = option(False)
    """Score the questions that the file answers, where it does not answer all of the suite."""

    scoring: ScoringConfig = field(default_factory=ScoringConfig)

    folder: FolderConfig = field(default_factory=FolderConfig)


def slug(text: str) -> str:
    """`text` as a part of a folder's name."""
    return re.sub(r"[^\w.]+", "-", text).strip("-")


def _recorded(config: Any) -> Iterator[tuple[str, Any]]:
    """(field, value) of those fields of a configuration that its identity records."""
    for f in fields(config):
        value, how = getattr(config, f.name), f.metadata.get("recorded")
        if how == ALWAYS or (how == IF_SET and value != f.default):
            yield f.name, str(value) if isinstance(value, Path) else value
