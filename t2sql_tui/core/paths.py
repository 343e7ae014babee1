"""The folders in which the program keeps its files. Nothing here makes a folder.

They are the system's own (XDG on Linux), by platformdirs. Environment variables name others:
T2SQL_MODELS, T2SQL_CACHE (for benchmarks and trainer) and T2SQL_DATA (see benchmarks/suites.py).
"""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

_APP = "t2sql-tui"


def models_folder() -> Path:
    """Where weights are kept. T2SQL_MODELS names another folder."""
    if folder := os.environ.get("T2SQL_MODELS"):
        return Path(folder).expanduser()
    return platformdirs.user_cache_path(_APP) / "models"


def kv_folder() -> Path:
    """Where the KV states of evaluated prompt prefixes are cached."""
    return platformdirs.user_cache_path(_APP) / "kv"


def tried_folder() -> Path:
    """Where it is kept which GGUF files from elsewhere were tried and can be loaded."""
    return platformdirs.user_cache_path(_APP) / "tried"


def value_index_folder() -> Path:
    """Where the indexes of stored values are cached."""
    return platformdirs.user_cache_path(_APP) / "values"


def demo_folder() -> Path:
    """Where the demo databases are built."""
    return platformdirs.user_cache_path(_APP) / "demo"


def history_folder() -> Path:
    """Where the history of questions and the app's preferences are kept."""
    return platformdirs.user_data_path(_APP, appauthor=False)


def log_folder() -> Path:
    """Where the app logs errors that are bugs."""
    return platformdirs.user_log_path(_APP, appauthor=False)


def tools_cache_folder() -> Path:
    """Where benchmarks and trainer keep what they can make again. T2SQL_CACHE names another
    folder."""
    named = os.environ.get("T2SQL_CACHE")
    return Path(named) if named else platformdirs.user_cache_path(_APP)


def datasets_folder() -> Path:
    """Where `benchmarks fetch` keeps data sets."""
    return platformdirs.user_data_path(_APP) / "data"
