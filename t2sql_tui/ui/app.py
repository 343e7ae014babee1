"""The app: which file is open, which model is loaded, and what outlives a screen."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

from textual import on, work
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.scrollbar import ScrollBar
from textual.theme import Theme
from textual.widget import AwaitMount

from t2sql_tui.core.database.database import open_database
from t2sql_tui.core.errors import T2SQLError
from t2sql_tui.core.paths import demo_folder, history_folder
from t2sql_tui.core.types import APP_OPTIONS, AskOptions, Backend, Limits, ModelSpec
from t2sql_tui.ui import jobs
from t2sql_tui.ui.cells import byte_size, one_line
from t2sql_tui.ui.commands import command_title, key_name
from t2sql_tui.ui.files import current_folder
from t2sql_tui.ui.history import History, HistoryError, Recall
from t2sql_tui.ui.messages import (
    DatabaseOpened,
    DatabaseReloaded,
    FileChosen,
    FileListRequested,
    HistoryRequested,
    ModelLoaded,
    ModelProgressed,
    ModelRequested,
    ModelWarmed,
    QuestionAnswered,
    TextCopied,
    WorkFailed,
)
from t2sql_tui.ui.reporting import reporting
from t2sql_tui.ui.screens.workbench import Workbench
from t2sql_tui.ui.state import AppState, ModelStatus
from t2sql_tui.ui.widgets.scrollbar import ThinScrollBar

#: Loads the model. It is given `on_progress(done, total)`, in bytes.
BackendFactory = Callable[[Callable[[int, int], None]], Backend]

_CLIPBOARD_BYTES = 1_000_000  # terminals drop more than this, or hang on it
#: Seconds that leaving may take: then the process ends, whatever still runs in it.
_QUIT_AT_MOST = 0.5
_QUIT_SECONDS = 2.0  # between two presses of ctrl+c


ScrollBar.renderer = ThinScrollBar


class T2SQLApp(App[None]):
    """Shows `database_path`, or asks which file to open.

    `backend_factory` loads the model; it is called in a thread. `model` is what to call the
    model meanwhile. `demo` is the name of the demo that `database_path` holds. `compare` says
    whether candidates are run before approval; None: as the person last chose. `history_path`
    is for tests.
    """

    TITLE = "t2sql"
    CSS_PATH = "app.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q", "quit", "Quit", priority=True, show=False),
        Binding("ctrl+c", "interrupt", "Copy, stop or quit", priority=True, show=False),
    ]

    def __init__(
        self,
        database_path: Path | None = None,
        *,
        model: ModelSpec | str | None = None,
        backend_factory: BackendFactory,
        demo: str | None = None,
        options: AskOptions = APP_OPTIONS,
        compare: bool | None = None,
        limits: Limits | None = None,
        history_path: Path | None = None,
    ) -> None:
        super().__init__()
        name = model.name if isinstance(model, ModelSpec) else model or "model"
        options = replace(options, compare=compare is not False)
        self.state = AppState(name, options, limits or Limits())
        self.database_path = database_path
        self.demo = demo
        self._compare_asked = compare
        self._backend_factory = backend_factory
        self._loading = False
        folder = history_folder()
        self.history = History(history_path or folder / "history.sqlite")
        self._history_warned = False
        self._interrupt_pressed = 0.0  # when ctrl+c was last pressed in vain

    # --- starting -----------------------------------------------------------------

    def on_mount(self) -> None:
        """Show the first screen; begin to open the file, and soon after to load the model."""
        self._apply_preferences()
        self.theme_changed_signal.subscribe(self, self._keep_theme)
        self._watch_signals()
        if self.database_path is None:
            self.show_picker()
        else:
            title = self._title_of(self.database_path, self.demo)
            self.push_screen(Workbench(title, self.state))
            self.open_file(self.database_path, self.demo)
        # The window is painted first: loading keeps a core busy for a second or more.
        self.set_timer(0.05, self.load_model)

    def _apply_preferences(self) -> None:
        with contextlib.suppress(HistoryError):  # said when the history is next needed
            theme = self.history.preference("theme")
            if theme in self.available_themes:
                self.theme = theme
            if self._compare_asked is None:
                self._set_compare(self.history.preference("compare") != "off")

    def _set_compare(self, compare: bool) -> None:
        self.state.options = replace(self.state.options, compare=compare)

    def _keep_theme(self, theme: Theme) -> None:
        self._in_history(lambda: self.history.set_preference("theme", theme.name))

    def action_toggle_compare(self) -> None:
        """Run candidates before approval, or no longer; kept for the next time."""
        compare = not self.state.options.compare
        self._set_compare(compare)
        value = "on" if compare else "off"
        self._in_history(lambda: self.history.set_preference("compare", value))
        self.notify(
            "From the next question on, candidates are run, read-only, to compare their rows."
            if compare
            else "From the next question on, nothing runs before you approve it."
        )

    def _watch_signals(self) -> None:
        """A closed terminal or a `kill` ends the app as ctrl+q does."""
        loop = asyncio.get_running_loop()
        for name in ("SIGTERM", "SIGHUP"):
            with contextlib.suppress(AttributeError, NotImplementedError, RuntimeError, ValueError):
                loop.add_signal_handler(getattr(signal, name), self.exit)

    # --- the file -----------------------------------------------------------------

    @staticmethod
    def _title_of(path: Path, demo: str | None) -> str:
        return f"{demo} (demo)" if demo else one_line(path.name)

    @property
    def workbench(self) -> Workbench | None:
        """The screen of the open file, whatever dialog is over it."""
        return next((s for s in reversed(self.screen_stack) if isinstance(s, Workbench)), None)

    @on(FileChosen)
    def _open_chosen(self, event: FileChosen) -> None:
        self.open_file(event.path, event.demo)

    def open_file(
        self, path: Path | None, demo: str | None = None, recall: Recall | None = None
    ) -> None:
        """Open a file, or build and open a demo, then show it; `recall` a history entry."""

        def open_it() -> None:
            with reporting(self, "open"):
                database = open_database(path if path is not None else self._build_demo(demo or ""))
                schema = database.schema  # read here, in the thread
                assert schema is not None
                key = f"demo:{demo}" if demo else str(database.path)
                earlier: list[str] = []
                with reporting(self, "history"):
                    earlier = self.history.questions(key)
                    if not demo:
                        self.history.note_opened(str(database.path))
                self.post_message(DatabaseOpened(database, key, demo, earlier, recall))

        self.run_worker(open_it, group="open", exclusive=True, thread=True)

    @staticmethod
    def _build_demo(name: str) -> Path:
        from t2sql_tui import demo  # for demos only

        return demo.build(name, demo_folder())

    @on(DatabaseOpened)
    async def _show_file(self, event: DatabaseOpened) -> None:
        for note in event.database.schema.notes:
            self.notify(one_line(note), severity="warning", timeout=10, markup=False)
        examples: list[str] = []
        if event.demo:
            from t2sql_tui.demo import questions  # for demos only

            examples = [example.question for example in questions(event.demo)]
        name = self._title_of(event.database.path, event.demo)
        bench = self.workbench
        if bench is None or bench.session.database or bench.session.file_name != name:
            old, bench = bench, Workbench(name, self.state)
            while len(self.screen_stack) > 1:  # the picker, and the workbench before
                await self.pop_screen()
            await self.push_screen(bench)
            if old:
                old.leave()
        bench.attach(event.database, event.key, examples, event.earlier)
        self.warm()
        if event.recall:
            bench.recall(event.recall)

    # --- the model ----------------------------------------------------------------

    @on(ModelRequested)
    def load_model(self) -> None:
        """Load the model unless it is there or on its way."""
        if self._loading or self.state.backend:
            return
        self._loading, self.state.model_error = True, None

        def on_progress(done: int, total: int) -> None:
            if self.state.quitting:
                raise T2SQLError("Stopped.", "The download goes on where it stopped.")
            self.post_message(ModelProgressed(done, total))

        def load() -> None:
            with reporting(self, "load"):
                self.post_message(ModelLoaded(self._backend_factory(on_progress)))

        self._set_model_status("loading", "loading")
        self.run_worker(load, group="load", thread=True)

    @on(ModelProgressed)
    def _show_download(self, event: ModelProgressed) -> None:
        share = f"{100 * event.done // event.total} % of " if event.total else ""
        size = byte_size(event.total or event.done)
        self._set_model_status("loading", f"fetching {share}{size}")

    @on(ModelLoaded)
    def _use_model(self, event: ModelLoaded) -> None:
        self._loading = False
        self.state.backend = event.backend
        self.state.model_name = event.backend.spec.name
        self._set_model_status("ready")
        self.warm()
        if self.workbench:
            self.workbench.take_queued()

    @on(DatabaseReloaded)
    def warm(self) -> None:
        """Let the model read the schema before the first question needs it."""
        bench, backend = self.workbench, self.state.backend
        if bench is None or bench.session.database is None or backend is None:
            return
        database, options = bench.session.database, self.state.options

        def should_stop() -> bool:
            return self.state.quitting or self.workbench is not bench

        def warm_model() -> None:
            with reporting(self, "load"):
                jobs.warm(database, backend, options, self.post_message, should_stop)

        self._set_model_status("loading", "reading the schema")
        self.run_worker(warm_model, group="warm", thread=True)

    @on(ModelWarmed)
    def _show_ready(self) -> None:
        self._set_model_status("ready")

    def _set_model_status(self, status: ModelStatus, detail: str = "") -> None:
        self.state.model_status, self.state.model_detail = status, detail
        if self.workbench and self.workbench.is_mounted:
            self.workbench.show_model()

    # --- failures -----------------------------------------------------------------

    @on(WorkFailed)
    async def _show_failure(self, event: WorkFailed) -> None:
        match event.work:
            case "load":
                self._show_model_failure(event.error)
            case "open":
                await self._show_open_failure(event.error)
            case "history" if not self._history_warned:
                self._history_warned = True
                self._notify_of(event.error, "warning")

    def _show_model_failure(self, error: T2SQLError) -> None:
        self._loading = False
        failed = self.state.backend is None
        self.state.model_error = error if failed else None
        self._set_model_status("failed" if failed else "ready")
        if self.workbench:
            self.workbench.model_failed(error)

    async def _show_open_failure(self, error: T2SQLError) -> None:
        from t2sql_tui.ui.screens.open import OpenScreen  # not needed for the first paint

        if not isinstance(self.screen, OpenScreen):
            bench = self.workbench
            if bench and bench.session.database:
                self._notify_of(error, "error")
                return
            if bench:
                await self.pop_screen()
            await self.show_picker()
        picker = self.screen_stack[-1]
        assert isinstance(picker, OpenScreen)
        picker.show_error(error)

    def _notify_of(self, error: T2SQLError, severity: Literal["warning", "error"]) -> None:
        title = one_line(error.message)
        self.notify(one_line(error.hint), title=title, severity=severity, markup=False)

    # --- history ------------------------------------------------------------------

    @on(QuestionAnswered)
    def _remember(self, event: QuestionAnswered) -> None:
        self._in_history(
            lambda: self.history.add(event.database, event.question, event.sql, event.row_count)
        )

    def _in_history(self, write: Callable[[], None]) -> None:
        def in_thread() -> None:
            with reporting(self, "history"):
                write()

        self.run_worker(in_thread, group="history", thread=True)

    @on(HistoryRequested)
    @work
    async def show_history(self) -> None:
        """Let the person choose an entry, and bring it back."""
        from t2sql_tui.ui.screens.history import HistoryScreen  # not needed for the first paint

        bench = self.workbench
        current = bench.session.history_key if bench else ""
        recall = await self.push_screen_wait(HistoryScreen(self.history, current))
        if recall is None or bench is None:
            return
        database = recall.entry.database
        if database == bench.session.history_key:
            bench.recall(recall)
        elif database.startswith("demo:"):
            self.open_file(None, database.removeprefix("demo:"), recall)
        else:
            self.open_file(Path(database), None, recall)

    # --- choosing a file ----------------------------------------------------------

    @on(FileListRequested)
    def show_picker(self) -> AwaitMount:
        """Let the person choose a file."""
        from t2sql_tui.ui.screens.open import OpenScreen  # not needed for the first paint

        session = self.workbench.session if self.workbench else None
        database = session.database if session else None
        is_demo = session is not None and session.history_key.startswith("demo:")
        folder = database.path.parent if database and not is_demo else current_folder()
        return self.push_screen(OpenScreen(self.history, folder, can_close=database is not None))

    # --- copying and leaving ------------------------------------------------------

    @on(TextCopied)
    def _copy_from_widget(self, event: TextCopied) -> None:
        self._copy(event.text, event.name)

    def _copy(self, text: str, name: str) -> None:
        size = len(text.encode("utf-8", "replace"))
        if size > _CLIPBOARD_BYTES:
            text = f"That is {byte_size(size)}, more than terminals pass on."
            self.notify(f"{text} ctrl+e saves it to a file.", severity="warning")
            return
        self.copy_to_clipboard(text)
        self.notify(f"Copied {name} ({byte_size(size)}).", timeout=2)

    def action_interrupt(self) -> None:
        """ctrl+c copies what is selected; else stops what runs; else, pressed twice, quits."""
        selected = getattr(self.focused, "selected_text", "") or self.screen.get_selected_text()
        if selected:
            self._copy(selected, "the selection")
        elif self.workbench and self.workbench.session.busy:
            self.workbench.action_cancel()
        elif time.monotonic() - self._interrupt_pressed < _QUIT_SECONDS:
            self.exit()
        else:
            self._interrupt_pressed = time.monotonic()
            self.notify("Press ctrl+c again to quit.", timeout=_QUIT_SECONDS)

    async def action_quit(self) -> None:
        """Leave at once."""
        self.exit()

    def exit(self, *args: Any, **options: Any) -> None:
        """Leave at once: whatever runs is told to stop."""
        self.state.quitting = True
        if self.workbench and self.workbench.session.database:
            self.workbench.session.database.interrupt()
        if not self.is_headless:
            threading.Thread(target=self._end_anyway, daemon=True).start()
        super().exit(*args, **options)

    def _end_anyway(self) -> None:
        """End the process where it does not end by itself: a model that is being loaded, and
        some steps of llama.cpp, cannot be stopped."""
        time.sleep(_QUIT_AT_MOST)
        threading.Timer(0.1, os._exit, [self.return_code or 0]).start()
        with contextlib.suppress(Exception):  # the terminal as it was, if that can still be done
            if self._driver is not None:
                self._driver.stop_application_mode()
        os._exit(self.return_code or 0)

    async def on_unmount(self) -> None:
        """Close the file and the model, in a thread: they wait for what still runs."""
        self.state.quitting = True
        bench, backend = self.workbench, self.state.backend

        def close() -> None:
            if bench and bench.session.database:
                bench.session.database.close()
            if backend:
                backend.close()

        await asyncio.to_thread(close)

    # --- keys and commands ----------------------------------------------------------

    def get_key_display(self, binding: Binding) -> str:
        """The key as the key bar shows it."""
        return key_name(binding)

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """What the command palette lists: what the keys of the workbench do now, and more."""
        if isinstance(screen, Workbench):
            for binding in Workbench.BINDINGS:
                assert isinstance(binding, Binding)
                if screen.check_action(binding.action, ()):
                    yield SystemCommand(
                        command_title(binding),
                        f"Key: {key_name(binding)}",
                        partial(screen.run_action, binding.action),
                    )
        compare = self.state.options.compare
        yield SystemCommand(
            "Run nothing before approval" if compare else "Compare candidates by running them",
            f"Now {'on' if compare else 'off'}: candidates are run, read-only and briefly,"
            " to compare their rows",
            self.action_toggle_compare,
        )
        yield SystemCommand("Theme", "Change the colours", self.action_change_theme)
        yield SystemCommand("Quit", "Key: ctrl+q", self.action_quit)
