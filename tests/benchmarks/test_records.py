"""Recorded lines: what older versions wrote is read under the names of today."""

from __future__ import annotations

import json

from benchmarks.records import read_record
from benchmarks.replay import Replay
from benchmarks.run_folder import PREDICTIONS, read_lines
from t2sql_tui.core.types import ModelSpec


def test_features_of_old_lines_have_todays_names(tmp_path):
    old = {"share": 1.0, "sign fan-out": 1.0, "ignored_share": 0.5, "unsaid": 2.0, "mended": 0.0}
    (tmp_path / PREDICTIONS).write_text(json.dumps({"id": "a", "features": old}) + "\n")
    (line,) = read_lines(tmp_path / PREDICTIONS)
    assert line["features"] == {
        "share": 1.0,
        "warning fan-out": 1.0,
        "unused_share": 0.5,
        "unmet_phrases": 2.0,
        "rewritten": 0.0,
    }


def test_readings_and_prompts_of_old_lines_have_todays_names():
    reading = {"sql": "SELECT 1", "votes": 1, "signs": ["empty"], "ignored": ["a"], "unsaid": []}
    line = read_record({"id": "a", "prompt": "abc", "readings": [reading]})
    assert line["readings"] == [
        {
            "sql": "SELECT 1",
            "votes": 1,
            "warnings": ["empty"],
            "unused_words": ["a"],
            "unmet_phrases": [],
        }
    ]
    assert line["prompt_digest"] == "abc" and "prompt" not in line
    assert read_record(line) == line
    assert Replay(ModelSpec("m"), [line])._lines == {"abc": line}
