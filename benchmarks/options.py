"""Options from the fields of a configuration.

A configuration is a frozen dataclass. The name of a field is its flag and its key in JSON, the
docstring behind it its help text; so an option is declared once. `--help` imports this: no
module that takes time.
"""

from __future__ import annotations

import ast
import inspect
import sys
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from functools import cache
from typing import Any, TypeVar

C = TypeVar("C")


def option(default: Any = MISSING, **metadata: Any) -> Any:
    """A field of a configuration. `metadata` may hold `short` (a one-letter flag), `metavar`,
    `least` and `most` (bounds of a number), `choices` (a mapping of the values to what each
    means), `argument` (given by position, without a flag), `given` (False: the command line sets
    the field by other means), and what a configuration itself wants to know of its fields."""
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True)
class Option:
    """A field as a command line needs it. `kind` is its type without None; `choices` maps the
    values that are allowed to what each means, {} where all are."""

    name: str
    kind: type
    default: Any
    help: str
    metadata: Mapping[str, Any]

    @property
    def flag(self) -> str:
        """The field's name as a flag."""
        return "--" + self.name.replace("_", "-")

    @property
    def choices(self) -> Mapping[str, str]:
        """The values that are allowed and what each means; {} where all of the type are."""
        return self.metadata.get("choices", {})

    @property
    def required(self) -> bool:
        """Whether there is no default."""
        return self.default is MISSING


def options_of(config: type) -> list[Option]:
    """The options of a configuration class, in the order of its fields. A field that is a
    configuration itself stands for the options of that one."""
    docs, hints = field_docs(config), typing.get_type_hints(config)
    found = []
    for f in fields(config):
        if f.metadata.get("given") is False:
            continue
        kind = _without_none(hints[f.name])
        if is_dataclass(kind):
            found += options_of(typing.cast(type, kind))
        else:
            found.append(Option(f.name, kind, f.default, _help(f, docs[f.name]), f.metadata))
    return found


def from_options(config: type[C], values: Mapping[str, Any]) -> C:
    """The configuration that `values` (by option name) describe."""
    hints = typing.get_type_hints(config)
    own = {}
    for f in fields(typing.cast(Any, config)):
        if is_dataclass(hints[f.name]):
            own[f.name] = from_options(hints[f.name], values)
        elif f.name in values:
            own[f.name] = values[f.name]
    return config(**own)


def field_docs(config: type) -> dict[str, str]:
    """The docstrings of the fields of a dataclass at the top level of its module, by name. Python
    drops them, so they are read from the source."""
    return dict(_documented(_classes(config.__module__)[config.__name__]))


@cache
def _classes(module: str) -> dict[str, ast.ClassDef]:
    """The classes of a module as trees. Parsed once: `inspect.getsource` of a class would parse
    the module for each, at 5 ms and more."""
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    return {item.name: item for item in tree.body if isinstance(item, ast.ClassDef)}


def _documented(tree: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for item, after in zip(tree.body, tree.body[1:], strict=False):
        match item, after:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(doc))),
            ):
                yield name, " ".join(doc.split())


def _help(f: Field[Any], doc: str) -> str:
    """The docstring, and behind it what each choice means."""
    choices = f.metadata.get("choices")
    if not choices:
        return doc
    return f"{doc} " + "; ".join(f"{name}: {note}" for name, note in choices.items()) + "."


def _without_none(hint: Any) -> Any:
    """`int` for `int | None`."""
    if isinstance(hint, types.UnionType):
        (hint,) = (part for part in typing.get_args(hint) if part is not type(None))
    return hint
