"""Choosing a file: typed, browsed, opened before, or one of the demos."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from t2sql_tui.core.errors import T2SQLError
from t2sql_tui.ui.cells import byte_size, one_line
from t2sql_tui.ui.history import History, HistoryError
from t2sql_tui.ui.widgets.listfield import ListField

_SUFFIXES = (".db", ".db3", ".sqlite", ".sqlite3", ".s3db", ".sl3", ".gpkg")
_MOST = 500  # entries listed of one folder


@dataclass(frozen=True)
class Choice:
    """A line of the list: exactly one of a folder to enter, a file or a demo to open."""

    title: str
    note: str = ""
    folder: Path | None = None
    file: Path | None = None
    demo: str = ""


class OpenScreen(ModalScreen[None]):
    """The first screen when no file is named, and ctrl+o later.

    One field and one list. The field holds a path: its folder is listed, its last part
    narrows the list. The screen stays, with the error, when a file cannot be opened.
    """

    BINDINGS = [
        Binding("escape", "leave", "Close"),
        Binding("tab", "complete", "Complete", priority=True),
    ]

    def __init__(self, history: History, folder: Path, may_leave: bool) -> None:
        """`folder` is listed first; `may_leave` says whether Esc has somewhere to go."""
        super().__init__()
        self.history, self.folder, self.may_leave = history, folder, may_leave
        self.choices: list[Choice] = []
        self._recent: list[str] = []

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -tall") as dialog:
            dialog.border_title = "Open a SQLite file"
            dialog.border_subtitle = "Enter opens · Tab completes" + (
                " · Esc closes" if self.may_leave else " · ctrl+q quits"
            )
            if not self.may_leave:
                yield Static(
                    Content.assemble(
                        ("t2sql", "bold $text-primary"),
                        (
                            "  ask a database in plain words; it can only be read",
                            "$foreground-muted",
                        ),
                    ),
                    classes="lead",
                )
            yield ListField(
                id="path", compact=True, placeholder="Path of a file, or pick one below"
            )
            yield OptionList(id="files", compact=True)
            yield Static(id="open-error")

    def on_mount(self) -> None:
        try:
            self._recent = self.history.recent_files()
        except HistoryError:
            pass  # the list is a convenience; the app says so where history matters
        self._list()
        self.query_one(Input).focus()

    def show_error(self, error: T2SQLError) -> None:
        message, hint = one_line(error.message), one_line(error.hint)
        self.query_one("#open-error", Static).update(
            Content.assemble((f"✗ {message}", "$text-error"), f"\n{hint}" if hint else "")
        )

    # --- the list -----------------------------------------------------------------

    @on(Input.Changed)
    def _typed(self) -> None:
        self.query_one("#open-error", Static).update("")
        self._list()

    def _folder(self) -> tuple[Path, str]:
        """The folder that the field names, and the part of a name typed after it."""
        text = self.query_one(Input).value
        if not text:
            return self.folder, ""
        head, tail = os.path.split(os.path.expanduser(text))
        return Path(head or "."), tail

    def _list(self) -> None:
        folder, start = self._folder()
        typed = bool(self.query_one(Input).value)
        options = self.query_one(OptionList)
        options.clear_options()
        self.choices = []
        if not typed:
            self._section("Opened before", [self._of_file(Path(path)) for path in self._recent])
            self._section("Demo databases", _demos())
        self._section(_short(folder), _in_folder(folder, start))
        first = next((i for i, choice in enumerate(self.choices) if _opens(choice)), None)
        options.highlighted = first

    def _section(self, title: str, choices: list[Choice]) -> None:
        options = self.query_one(OptionList)
        if not choices:
            return
        if self.choices:
            self._add(Choice(""), Content(""))
        self._add(Choice(title), Content.styled(title, "bold $text-accent"))
        width = max(min(len(choice.title), 32) for choice in choices)
        for choice in choices:
            options.add_option(
                Option(
                    Content.assemble(
                        f"  {choice.title:<{width}}", ("  " + choice.note, "$foreground-muted")
                    )
                )
            )
            self.choices.append(choice)

    def _add(self, choice: Choice, prompt: Content) -> None:
        self.query_one(OptionList).add_option(Option(prompt, disabled=True))
        self.choices.append(choice)

    @staticmethod
    def _of_file(path: Path) -> Choice:
        return Choice(one_line(path.name), one_line(_short(path.parent)), file=path)

    # --- choosing -----------------------------------------------------------------

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        self._take(self.choices[event.option_index])

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        """What was typed wins if it exists; else the highlighted line."""
        path = Path(event.value.strip()).expanduser()
        place = self.query_one(OptionList).highlighted
        if event.value.strip() and path.is_dir():
            self._enter(path)
        elif event.value.strip() and (path.exists() or place is None):
            self.app.open_file(path)
        elif place is not None:
            self._take(self.choices[place])

    def _take(self, choice: Choice) -> None:
        if choice.folder:
            self._enter(choice.folder)
        elif choice.demo:
            self.app.open_file(None, choice.demo)
        elif choice.file:
            self.app.open_file(choice.file)

    def _enter(self, folder: Path) -> None:
        field = self.query_one(Input)
        field.value = f"{_short(folder.resolve())}{os.sep}".replace("//", "/")
        field.cursor_position = len(field.value)
        field.focus()

    def action_complete(self) -> None:
        """Tab: write the highlighted name into the field."""
        place = self.query_one(OptionList).highlighted
        choice = self.choices[place] if place is not None else Choice("")
        if choice.folder:
            self._enter(choice.folder)
        elif choice.file:
            field = self.query_one(Input)
            field.value = _short(choice.file)
            field.cursor_position = len(field.value)

    def action_leave(self) -> None:
        if self.query_one(Input).value:
            self.query_one(Input).clear()
        elif self.may_leave:
            self.dismiss()


def _opens(choice: Choice) -> bool:
    return bool(choice.file or choice.demo or choice.folder)


def _demos() -> list[Choice]:
    from t2sql_tui.demo import DEMOS

    return [Choice(demo.title, demo.description, demo=demo.name) for demo in DEMOS]


def _in_folder(folder: Path, start: str) -> list[Choice]:
    """The folders and SQLite files in a folder whose names begin with `start`."""
    folders: list[Choice] = []
    files: list[Choice] = []
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name.lower())
    except OSError as error:
        return [Choice(f"cannot be listed: {error.strerror}")]
    for entry in entries:
        name = entry.name
        if one_line(name) != name:
            continue  # a name that can be neither shown nor typed
        if not name.lower().startswith(start.lower()) or (name[0] == "." and not start):
            continue
        path = folder / name
        if entry.is_dir():
            folders.append(Choice(f"{name}/", folder=path))
        elif is_sqlite(path):
            files.append(Choice(name, byte_size(path.stat().st_size), file=path))
    up = (
        []
        if start or folder.resolve() == folder.resolve().parent
        else [Choice("../", folder=folder / "..")]
    )
    found = files + up + folders
    if len(found) > _MOST:
        found = [*found[:_MOST], Choice(f"and {len(found) - _MOST:,} more: type to narrow")]
    return found


def is_sqlite(path: Path) -> bool:
    """By its name, or by its first bytes. Only regular files are opened: a pipe would hang."""
    if path.suffix.lower() in _SUFFIXES:
        return path.is_file()
    try:
        if not path.is_file() or path.stat().st_size < 512:
            return False
        with path.open("rb") as file:
            return file.read(16) == b"SQLite format 3\0"
    except OSError:
        return False


def current_folder() -> Path:
    """The working directory, or home where it has been deleted."""
    try:
        return Path.cwd()
    except OSError:
        return Path.home()


def _short(path: Path) -> str:
    """The path with ~ for the home folder."""
    text, home = str(path), str(Path.home())
    if text == home or text.startswith(home + os.sep):
        return "~" + text[len(home) :]
    return text
