"""What outlives a screen: the model, how it is asked, and whether the app is closing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from t2sql_tui.core.errors import T2SQLError
from t2sql_tui.core.types import AskOptions, Backend, Limits

ModelStatus = Literal["loading", "ready", "failed"]
#: What a worker does, so that its failure is told where it belongs.
Work = Literal["open", "load", "generate", "check", "run", "export", "history"]


@dataclass
class AppState:
    """Written by the app, read by its screens and their workers.

    `model_detail` says how far loading is. `model_error` is why the last attempt to load the
    model failed. `quitting` tells every worker to stop.
    """

    model_name: str
    options: AskOptions
    limits: Limits
    backend: Backend | None = None
    model_status: ModelStatus = "loading"
    model_detail: str = ""
    model_error: T2SQLError | None = None
    quitting: bool = False
