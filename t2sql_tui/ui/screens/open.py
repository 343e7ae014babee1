"""Choosing a file: typed, browsed, opened before, or one of the demos."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from t2sql_tui.core.errors import T2SQLError
from t2sql_tui.demo import DEMOS
from t2sql_tui.ui.cells import byte_size, one_line
from t2sql_tui.ui.files import is_sqlite, with_tilde
from t2sql_tui.ui.history import History, HistoryError
from t2sql_tui.ui.messages import FileChosen
from t2sql_tui.ui.widgets.listfield import ListField

_MAX_ENTRIES = 500  # listed of one folder


@dataclass(frozen=True)
class Choice:
    """A line of the list: exactly one of a folder to enter, a file or a demo to open."""

    title: str
    note: str = ""
    folder: Path | None = None
    file: Path | None = None
    demo: str = ""

    @property
    def selectable(self) -> bool:
        """False for headings and remarks."""
        return bool(self.file or self.demo or self.folder)


class OpenScreen(ModalScreen[None]):
    """The first screen when no file is named, and ctrl+o later.

    One field and one list. The field holds a path: its folder is listed, its last part
    narrows the list. The screen stays, with the error, when a file cannot be opened.
    `folder` is listed first; `can_close` says whether Esc has somewhere to go.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Close"),
        Binding("tab", "complete", "Complete", priority=True),
    ]

    def __init__(self, history: History, folder: Path, can_close: bool) -> None:
        super().__init__()
        self.history, self.folder, self.can_close = history, folder, can_close
        self.choices: list[Choice] = []
        self._recent: list[str] = []

    def compose(self) -> ComposeResult:
        """A field over a list, and under it the error of the last attempt."""
        with Vertical(classes="dialog -tall") as dialog:
            dialog.border_title = "Open a SQLite file"
            dialog.border_subtitle = "Enter opens · Tab completes" + (
                " · Esc closes" if self.can_close else " · ctrl+q quits"
            )
            if not self.can_close:
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
        """List what there is to open."""
        # The list is a convenience; the app says so where the history matters.
        with contextlib.suppress(HistoryError):
            self._recent = self.history.recent_files()
        self._fill_list()
        self.query_one(Input).focus()

    def show_error(self, error: T2SQLError) -> None:
        """Say why a file could not be opened."""
        message, hint = one_line(error.message), one_line(error.hint)
        self.query_one("#open-error", Static).update(
            Content.assemble((f"✗ {message}", "$text-error"), f"\n{hint}" if hint else "")
        )

    # --- the list -----------------------------------------------------------------

    @on(Input.Changed)
    def _typed(self) -> None:
        self.query_one("#open-error", Static).update("")
        self._fill_list()

    def _folder_and_start(self) -> tuple[Path, str]:
        """The folder that the field names, and the part of a name typed after it."""
        text = self.query_one(Input).value
        if not text:
            return self.folder, ""
        head, tail = os.path.split(os.path.expanduser(text))
        return Path(head or "."), tail

    def _fill_list(self) -> None:
        folder, start = self._folder_and_start()
        typed = bool(self.query_one(Input).value)
        options = self.query_one(OptionList)
        options.clear_options()
        self.choices = []
        if not typed:
            self._add_section(
                "Opened before", [self._file_choice(Path(path)) for path in self._recent]
            )
            self._add_section("Demo databases", _demo_choices())
        self._add_section(with_tilde(folder), _folder_choices(folder, start))
        first = next((i for i, choice in enumerate(self.choices) if choice.selectable), None)
        options.highlighted = first

    def _add_section(self, title: str, choices: list[Choice]) -> None:
        options = self.query_one(OptionList)
        if not choices:
            return
        if self.choices:
            self._add_heading(Choice(""), Content(""))
        self._add_heading(Choice(title), Content.styled(title, "bold $text-accent"))
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

    def _add_heading(self, choice: Choice, prompt: Content) -> None:
        self.query_one(OptionList).add_option(Option(prompt, disabled=True))
        self.choices.append(choice)

    @staticmethod
    def _file_choice(path: Path) -> Choice:
        return Choice(one_line(path.name), one_line(with_tilde(path.parent)), file=path)

    # --- choosing -----------------------------------------------------------------

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        self._take(self.choices[event.option_index])

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        """What was typed wins if it exists; else the highlighted line."""
        path = Path(event.value.strip()).expanduser()
        index = self.query_one(OptionList).highlighted
        if event.value.strip() and path.is_dir():
            self._enter_folder(path)
        elif event.value.strip() and (path.exists() or index is None):
            self.post_message(FileChosen(path))
        elif index is not None:
            self._take(self.choices[index])

    def _take(self, choice: Choice) -> None:
        if choice.folder:
            self._enter_folder(choice.folder)
        elif choice.demo:
            self.post_message(FileChosen(None, choice.demo))
        elif choice.file:
            self.post_message(FileChosen(choice.file))

    def _enter_folder(self, folder: Path) -> None:
        field = self.query_one(Input)
        field.value = f"{with_tilde(folder.resolve())}{os.sep}".replace("//", "/")
        field.cursor_position = len(field.value)
        field.focus()

    def action_complete(self) -> None:
        """Tab: write the highlighted name into the field."""
        index = self.query_one(OptionList).highlighted
        choice = self.choices[index] if index is not None else Choice("")
        if choice.folder:
            self._enter_folder(choice.folder)
        elif choice.file:
            field = self.query_one(Input)
            field.value = with_tilde(choice.file)
            field.cursor_position = len(field.value)

    def action_leave(self) -> None:
        """Clear the field; close the screen where it is clear."""
        if self.query_one(Input).value:
            self.query_one(Input).clear()
        elif self.can_close:
            self.dismiss()


def _demo_choices() -> list[Choice]:
    return [Choice(demo.title, demo.description, demo=demo.name) for demo in DEMOS]


def _folder_choices(folder: Path, start: str) -> list[Choice]:
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
    choices = files + up + folders
    if more := len(choices[_MAX_ENTRIES:]):
        choices = [*choices[:_MAX_ENTRIES], Choice(f"and {more:,} more: type to narrow")]
    return choices
