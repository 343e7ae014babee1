"""The decoding methods that are measured against each other.

`benchmarks --help` imports this: no module that takes time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from t2sql_tui.core.types import APP_OPTIONS, AskOptions, GenerationSettings

DEFAULT = "greedy"


@dataclass(frozen=True, slots=True)
class Decoding:
    """A decoding method: what it does, in a few words for `--help`, and how to ask for it."""

    note: str
    options: AskOptions


DECODINGS: dict[str, Decoding] = {
    "greedy": Decoding("one answer, the likeliest token each time", AskOptions(repairs=0)),
    "constrained": Decoding(
        "greedy, restricted to names that the database has",
        AskOptions(GenerationSettings(constrained=True), repairs=0),
    ),
    "beam4": Decoding(
        "the likeliest of 4 candidates that passes the check; none is run",
        AskOptions(GenerationSettings(candidates=4, search=True, constrained=True), repairs=0),
    ),
    "vote8": Decoding(
        "8 samples, of which the rows that most of them give",
        AskOptions(GenerationSettings(candidates=8, constrained=True), compare=True, repairs=0),
    ),
    "full": Decoding("as the app: the 4 likeliest, compared by their rows, repaired", APP_OPTIONS),
}


def ask_options(name: str, **overrides: Any) -> AskOptions:
    """The options of the decoding of that name. `overrides` are fields of
    GenerationSettings, or `repairs`; None leaves a field as it is."""
    options = DECODINGS[name].options
    changed = {key: value for key, value in overrides.items() if value is not None}
    repairs = changed.pop("repairs", options.repairs)
    return replace(options, settings=replace(options.settings, **changed), repairs=repairs)


def decoding_identity(name: str, options: AskOptions) -> dict[str, Any]:
    """What a run's identity says of its decoding. Greedy runs say no more than they did before
    there were other decodings, so that an old run can be resumed."""
    settings = options.settings
    identity: dict[str, Any] = {
        "max_tokens": settings.max_tokens,
        "temperature": settings.temperature,
        "candidates": settings.candidates,
        "seed": settings.seed,
        "repairs": options.repairs,
    }
    if name != DEFAULT:
        identity |= {
            "decoding": name,
            "search": settings.search,
            "constrained": settings.constrained,
            "compare": options.compare,
        }
    return identity


def described(identity: Mapping[str, Any]) -> str:
    """The decoding of a run in a few words: its name, what was overridden, and what the model saw
    where that was not all. "" for predictions that someone else made."""
    if "candidates" not in identity:
        return ""
    name = identity.get("decoding", DEFAULT)
    plain = decoding_identity(name, ask_options(name))
    parts = [name]
    if identity["candidates"] != plain["candidates"]:
        parts.append(f"{identity['candidates']} candidates")
    if identity["temperature"] != plain["temperature"]:
        parts.append(f"temperature {identity['temperature']:g}")
    if identity["repairs"] != plain["repairs"]:
        parts.append(f"{identity['repairs']} repairs")
    if "schema" in identity:
        parts.append(f"{identity['schema']} schema")
    if "replay_of" in identity:
        parts.append("replayed")
    return ", ".join(parts)
