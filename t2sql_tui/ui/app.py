"""The app: which file is open, which model is loaded, and what outlives a screen."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import platformdirs
from textual import on, work
from textual.app import App, SystemCommand
from textual.binding import Binding
from textual.dom import DOMNode
from textual.screen import Screen
from textual.scrollbar import ScrollBar
from textual.theme import Theme
from textual.widget import AwaitMount

from t2sql_tui.core.ask import prompt_for
from t2sql_tui.core.database.database import open_database
from t2sql_tui.core.errors import T2SQLError
from t2sql_tui.core.types import APP_OPTIONS, AskOptions, Backend, Limits, ModelSpec, Question
from t2sql_tui.ui.cells import byte_size, one_line
from t2sql_tui.ui.history import Entry, History, HistoryError
from t2sql_tui.ui.messages import (
    DatabaseOpened,
    ModelLoaded,
    ModelProgressed,
    ModelWarmed,
    Work,
    WorkFailed,
)
from t2sql_tui.ui.screens.workbench import Workbench
from t2sql_tui.ui.widgets.scrollbar import ThinBar

BackendFactory = Callable[[Callable[[int, int], None]], Backend]
_CLIPBOARD_BYTES = 1_000_000  # terminals drop more than this, or hang on it
_QUIT_SECONDS = 2.0  # between two presses of ctrl+c


ScrollBar.renderer = ThinBar


class T2SQLApp(App[None]):
    """Shows `database_path`, or asks which file to open.

    `backend_factory(on_progress)` loads the model; it is called in a thread and reports
    downloaded and total bytes. `model` is what to call it meanwhile. `demo` is the name of
    the demo that `database_path` holds. `compare` says whether candidates are run before
    approval; None: as the person last chose. `history_path` is for tests.
    """

    TITLE = "t2sql"
    CSS_PATH = "app.tcss"
    BINDINGS = [
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
        limits: Limits = Limits(),
        history_path: Path | None = None,
    ) -> None:
        super().__init__()
        self.database_path = database_path
        self.demo = demo
        self.model_name = model.name if isinstance(model, ModelSpec) else model or "model"
        self.options = options
        self._compare_asked = compare
        self.compare = compare is not False
        self.limits = limits
        self.backend: Backend | None = None
        self.quitting = False
        self._factory = backend_factory
        self._loading = False
        self._model_state = ("loading", "")
        self.model_error: T2SQLError | None = None  # why the last try to load it failed
        folder = Path(platformdirs.user_data_dir("t2sql-tui", appauthor=False))
        self.history = History(history_path or folder / "history.sqlite")
        self._history_warned = False
        self._pressed = 0.0

    # --- starting -----------------------------------------------------------------

    def on_mount(self) -> None:
        self._apply_preferences()
        self.theme_changed_signal.subscribe(self, self._prefer_theme)
        self._watch_signals()
        if self.database_path is None:
            self.show_picker()
        else:
            self.push_screen(Workbench(self._title_of(self.database_path, self.demo)))
            self.open_file(self.database_path, self.demo)
        # The window is painted first: loading keeps a core busy for a second or more.
        self.set_timer(0.05, self.load_model)

    def _apply_preferences(self) -> None:
        with contextlib.suppress(HistoryError):  # said when the history is next needed
            theme = self.history.preference("theme")
            if theme in self.available_themes:
                self.theme = theme
            if self._compare_asked is None:
                self.compare = self.history.preference("compare") != "off"

    def _prefer_theme(self, theme: Theme) -> None:
        self._in_history(lambda: self.history.prefer("theme", theme.name))

    def action_toggle_compare(self) -> None:
        """Whether candidates are run before approval; kept for the next time."""
        self.compare = not self.compare
        chosen = "on" if self.compare else "off"
        self._in_history(lambda: self.history.prefer("compare", chosen))
        self.notify(
            "From the next question on, candidates are run, read-only, to compare their rows."
            if self.compare
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
        return next((s for s in reversed(self.screen_stack) if isinstance(s, Workbench)), None)

    def open_file(
        self, path: Path | None, demo: str | None = None, recall: tuple[Entry, bool] | None = None
    ) -> None:
        """Open a file, or build and open a demo, then show it; `recall` a history entry."""

        def open_it() -> None:
            with self.reporting(self, "open"):
                where = path if path is not None else self._build_demo(demo or "")
                database = open_database(where)
                schema = database.schema  # read here, in the thread
                assert schema is not None
                key = f"demo:{demo}" if demo else str(database.path)
                earlier: list[str] = []
                try:
                    earlier = self.history.questions(key)
                    if not demo:
                        self.history.opened(str(database.path))
                except HistoryError as error:
                    self.post_message(WorkFailed("history", error))
                self.post_message(DatabaseOpened(database, key, demo, earlier, recall))

        self.run_worker(open_it, group="open", exclusive=True, thread=True)

    @staticmethod
    def _build_demo(name: str) -> Path:
        from t2sql_tui import demo

        return demo.build(name, platformdirs.user_cache_path("t2sql-tui") / "demo")

    @on(DatabaseOpened)
    async def _show_file(self, event: DatabaseOpened) -> None:
        examples: list[str] = []
        if event.demo:
            from t2sql_tui.demo import questions

            examples = [example.question for example in questions(event.demo)]
        name = self._title_of(event.database.path, event.demo)
        bench = self.workbench
        if bench is None or bench.database is not None or bench.file_name != name:
            old, bench = bench, Workbench(name)
            while len(self.screen_stack) > 1:  # the picker, and the workbench before
                await self.pop_screen()
            await self.push_screen(bench)
            if old:
                old.leave()
        bench.attach(event.database, event.key, examples, event.earlier)
        self.warm()
        if event.recall:
            bench.recall(*event.recall)

    # --- the model ----------------------------------------------------------------

    def load_model(self) -> None:
        """Load the model unless it is there or on its way."""
        if self._loading or self.backend:
            return
        self._loading, self.model_error = True, None

        def on_progress(done: int, total: int) -> None:
            if self.quitting:
                raise T2SQLError("Stopped.", "The download goes on where it stopped.")
            self.post_message(ModelProgressed(done, total))

        def load() -> None:
            with self.reporting(self, "load"):
                self.post_message(ModelLoaded(self._factory(on_progress)))

        self._show_model_as("loading", "loading")
        self.run_worker(load, group="load", thread=True)

    @on(ModelProgressed)
    def _show_progress(self, event: ModelProgressed) -> None:
        share = f"{100 * event.done // event.total} % of " if event.total else ""
        self._show_model_as("loading", f"fetching {share}{byte_size(event.total or event.done)}")

    @on(ModelLoaded)
    def _keep_model(self, event: ModelLoaded) -> None:
        self.backend = event.backend
        self._loading = False
        self.model_name = event.backend.spec.name
        self._show_model_as("ready")
        self.warm()
        if self.workbench:
            self.workbench.take_queued()

    def warm(self) -> None:
        """Let the model read the schema before the first question needs it."""
        bench, backend = self.workbench, self.backend
        if bench is None or bench.database is None or backend is None:
            return
        database = bench.database

        def stopped() -> bool:
            return self.quitting or self.workbench is not bench

        def warm() -> None:
            with self.reporting(self, "load"):
                prompt = prompt_for(Question(""), database, backend, settings=self.options.settings)
                # What of a large schema fits depends on the question: nothing to prepare.
                if not prompt.left_out:
                    backend.warm(prompt.prefix, stopped)
                self.post_message(ModelWarmed())

        self._show_model_as("loading", "reading the schema")
        self.run_worker(warm, group="warm", thread=True)

    @on(ModelWarmed)
    def _say_ready(self) -> None:
        self._show_model_as("ready")

    def _show_model_as(self, state: str, detail: str = "") -> None:
        self._model_state = (state, detail)
        self.show_model()

    def show_model(self) -> None:
        bench = self.workbench
        if bench and bench.is_mounted:
            bench.top.show_model(self.model_name, *self._model_state)

    # --- failures -----------------------------------------------------------------

    @contextlib.contextmanager
    def reporting(self, target: DOMNode, work: Work, job: int = 0) -> Iterator[None]:
        """Post whatever the body raises to `target` as WorkFailed. For worker threads.

        An error that is none of ours is a bug: the app stays usable, and the traceback
        goes to a file that the message names.
        """
        try:
            yield
        except T2SQLError as error:
            target.post_message(WorkFailed(work, error, job))
        except Exception as error:
            log = self._log_bug()
            failure = T2SQLError(
                f"Something unexpected went wrong: {type(error).__name__}: {error}",
                f"You can go on. The details are in {log}." if log else "You can go on.",
            )
            target.post_message(WorkFailed(work, failure, job))

    @staticmethod
    def _log_bug() -> Path | None:
        path = Path(platformdirs.user_log_dir("t2sql-tui", appauthor=False)) / "errors.log"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="utf-8") as file:
                file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')}\n{traceback.format_exc()}\n")
        except OSError:
            return None
        return path

    @on(WorkFailed)
    async def _failed(self, event: WorkFailed) -> None:
        from t2sql_tui.ui.screens.open import OpenScreen

        if event.work == "load":
            self._loading = False
            self._show_model_as("failed" if self.backend is None else "ready", "")
            self.model_error = event.error if self.backend is None else None
            if self.workbench:
                self.workbench.model_failed(event.error)
        elif event.work == "open":
            if not isinstance(self.screen, OpenScreen):
                bench = self.workbench
                if bench and bench.database:
                    self._notify_of(event.error, "error")
                    return
                if bench:
                    await self.pop_screen()
                await self.show_picker()
            picker = self.screen_stack[-1]
            assert isinstance(picker, OpenScreen)
            picker.show_error(event.error)
        elif event.work == "history" and not self._history_warned:
            self._history_warned = True
            self._notify_of(event.error, "warning")

    def _notify_of(self, error: T2SQLError, severity: Literal["warning", "error"]) -> None:
        title = one_line(error.message)
        self.notify(one_line(error.hint), title=title, severity=severity, markup=False)

    # --- history ------------------------------------------------------------------

    def remember(self, database: str, question: str, sql: str, row_count: int | None) -> None:
        self._in_history(lambda: self.history.add(database, question, sql, row_count))

    def _in_history(self, write: Callable[[], None]) -> None:
        def in_thread() -> None:
            with self.reporting(self, "history"):
                write()

        self.run_worker(in_thread, group="history", thread=True)

    @work
    async def show_history(self) -> None:
        from t2sql_tui.ui.screens.history import HistoryScreen

        bench = self.workbench
        chosen = await self.push_screen_wait(
            HistoryScreen(self.history, bench.history_key if bench else "")
        )
        if chosen is None or bench is None:
            return
        entry, _ = chosen
        if entry.database == bench.history_key:
            bench.recall(*chosen)
        elif entry.database.startswith("demo:"):
            self.open_file(None, entry.database.removeprefix("demo:"), chosen)
        else:
            self.open_file(Path(entry.database), None, chosen)

    # --- choosing a file ----------------------------------------------------------

    def show_picker(self) -> AwaitMount:
        from t2sql_tui.ui.screens.open import OpenScreen, current_folder

        bench = self.workbench
        database = bench.database if bench else None
        is_demo = bench is not None and bench.history_key.startswith("demo:")
        folder = database.path.parent if database and not is_demo else current_folder()
        return self.push_screen(OpenScreen(self.history, folder, may_leave=database is not None))

    # --- copying and leaving ------------------------------------------------------

    def copy(self, text: str, what: str) -> None:
        size = len(text.encode("utf-8", "replace"))
        if size > _CLIPBOARD_BYTES:
            self.notify(
                f"That is {byte_size(size)}, more than terminals pass on. ctrl+e saves it to a file.",
                severity="warning",
            )
            return
        self.copy_to_clipboard(text)
        self.notify(f"Copied {what} ({byte_size(size)}).", timeout=2)

    def action_interrupt(self) -> None:
        """ctrl+c copies what is selected; else stops what runs; else, pressed twice, quits."""
        selected = getattr(self.focused, "selected_text", "") or self.screen.get_selected_text()
        if selected:
            self.copy(selected, "the selection")
        elif self.workbench and self.workbench.busy:
            self.workbench.action_cancel()
        elif time.monotonic() - self._pressed < _QUIT_SECONDS:
            self.exit()
        else:
            self._pressed = time.monotonic()
            self.notify("Press ctrl+c again to quit.", timeout=_QUIT_SECONDS)

    async def action_quit(self) -> None:
        self.exit()

    def exit(self, *args: Any, **options: Any) -> None:
        """Leave at once: whatever runs is told to stop."""
        self.quitting = True
        if self.workbench and self.workbench.database:
            self.workbench.database.interrupt()
        super().exit(*args, **options)

    async def on_unmount(self) -> None:
        self.quitting = True
        bench, backend = self.workbench, self.backend

        def close() -> None:
            if bench and bench.database:
                bench.database.close()
            if backend:
                backend.close()

        await asyncio.to_thread(close)

    def get_key_display(self, binding: Binding) -> str:
        key = binding.key
        if key.startswith("ctrl+"):
            return "^" + key.removeprefix("ctrl+")
        return _KEY_NAMES.get(key, key.upper() if key[:1] == "f" and key[1:].isdigit() else key)

    # --- the command palette ------------------------------------------------------

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        if isinstance(screen, Workbench):
            for binding in Workbench.BINDINGS:
                assert isinstance(binding, Binding)
                if screen.check_action(binding.action, ()):
                    keys = self.get_key_display(binding)
                    action = binding.action
                    yield SystemCommand(
                        _COMMANDS.get(action, binding.description),
                        f"Key: {keys}",
                        lambda action=action: screen.run_action(action),
                    )
        yield SystemCommand(
            "Run nothing before approval" if self.compare else "Compare candidates by running them",
            f"Now {'on' if self.compare else 'off'}: candidates are run, read-only and briefly,"
            " to compare their rows",
            self.action_toggle_compare,
        )
        yield SystemCommand("Theme", "Change the colours", self.action_change_theme)
        yield SystemCommand("Quit", "Key: ctrl+q", self.action_quit)


_KEY_NAMES = {"enter": "Enter", "escape": "Esc", "slash": "/", "enter,space": "Enter"}

# What an action is called where there is room for more than the footer has.
_COMMANDS = {
    "approve": "Run the SQL",
    "edit": "Edit the SQL",
    "readings": "Compare with the next reading of the question",
    "regenerate": "Ask the model for another SQL",
    "explain": "Explain the SQL",
    "cancel": "Stop",
    "check_and_run": "Check and run the edited SQL",
    "new_question": "New question (forget the conversation)",
    "export": "Export the rows",
    "help": "Help",
    "question": "Go to the question",
    "results": "Go to the rows",
    "schema": "Show or hide the schema",
    "history": "History of questions",
    "open": "Open another file",
    "reload": "Read the file again",
}
