"""The errors a person may see: what happened, and what to type next."""


class T2SQLError(Exception):
    """Something a person can act on.

    `message` says what happened, `hint` what to do next. Commands catch this class
    and nothing wider, so that a real bug keeps its traceback.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(f"{message}\n{hint}" if hint else message)
        self.message = message
        self.hint = hint


class DatabaseError(T2SQLError):
    """The file cannot be opened or read, or a query failed while it ran."""

    exit_code = 3


class QueryStopped(DatabaseError):
    """A query hit its time limit or was cancelled. `reason` is "time" or "cancelled"."""

    def __init__(self, message: str, hint: str = "", reason: str = "time") -> None:
        super().__init__(message, hint)
        self.reason = reason


class ModelError(T2SQLError):
    """Weights are missing, damaged, of the wrong kind, or the model broke down."""

    exit_code = 4
