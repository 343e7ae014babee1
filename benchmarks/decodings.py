"""The ways of making an answer that are measured against each other.

`benchmarks --help` imports this: no module that takes time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from t2sql_tui.core.types import GenerationSettings

DEFAULT = "greedy"


@dataclass(frozen=True, slots=True)
class Decoding:
    """`settings` and the keywords of `ask()`. `settings` None is the app's own
    (APP_SETTINGS of core/ask.py, whose import takes a while)."""

    note: str
    settings: GenerationSettings | None = GenerationSettings()
    compare: bool = False
    repairs: int = 0


DECODINGS: dict[str, Decoding] = {
    "greedy": Decoding("one answer, the likeliest token each time"),
    "constrained": Decoding(
        "greedy, of names that the database has", GenerationSettings(constrained=True)
    ),
    "beam4": Decoding(
        "the likeliest of the 4 likeliest that passes the check, none of them run",
        GenerationSettings(candidates=4, search=True, constrained=True),
    ),
    "vote8": Decoding(
        "8 samples, of which the rows that most of them give",
        GenerationSettings(candidates=8, constrained=True),
        compare=True,
    ),
    "full": Decoding(
        "as the app: the 4 likeliest, compared by their rows, repaired", None, True, 2
    ),
}


def decoding_named(name: str, **overrides: Any) -> Decoding:
    """The decoding of that name, its settings filled in. `overrides` are fields of
    GenerationSettings, or `repairs`; None leaves a field as it is."""
    found = DECODINGS[name]
    settings = found.settings
    if settings is None:
        from t2sql_tui.core.ask import APP_SETTINGS as settings
    changed = {key: value for key, value in overrides.items() if value is not None}
    repairs = changed.pop("repairs", found.repairs)
    return replace(found, settings=replace(settings, **changed), repairs=repairs)


def decoding_identity(name: str, decoding: Decoding) -> dict[str, Any]:
    """What a run's identity says of it. Greedy runs say no more than they did before there
    were other decodings, so that an old one can be gone on with."""
    settings = decoding.settings
    identity = {
        "max_tokens": settings.max_tokens,
        "temperature": settings.temperature,
        "candidates": settings.candidates,
        "seed": settings.seed,
        "repairs": decoding.repairs,
    }
    if name != DEFAULT:
        identity |= {
            "decoding": name,
            "search": settings.search,
            "constrained": settings.constrained,
            "compare": decoding.compare,
        }
    return identity


def described(identity: Mapping[str, Any]) -> str:
    """The decoding of a run in a few words: its name, what was overridden, and what the model saw
    where that was not all. "" for predictions that someone else made."""
    if "candidates" not in identity:
        return ""
    name = identity.get("decoding", DEFAULT)
    plain = decoding_identity(name, decoding_named(name))
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
