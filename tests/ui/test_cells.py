"""How single values look."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from t2sql_tui.ui.cells import byte_size, cell_text, copy_text, fit, one_line, view_text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "NULL"),
        ("NULL", "NULL"),
        ("", ""),
        (7, "7"),
        (-0.1, "-0.1"),
        (1e300, "1e+300"),
        ("a\tb\nc", "a⇥b↵c"),
        ("bell\x07 esc\x1b[31m nul\x00", "bell␇ esc␛[31m nul␀"),
        ("abc\u202edef", "abc�def"),
        (b"", "x'' 0 bytes"),
        (b"\x89PNG", "x'89504e47' 4 bytes"),
        (b"\xff" * 2000, "x'ffffffffffffffffffffffff…' 2.0 kB"),
    ],
)
def test_cell_text(value: object, shown: str) -> None:
    assert cell_text(value) == shown


def test_a_huge_cell_is_cut_before_it_is_looked_at() -> None:
    class Huge(str):
        def __iter__(self):
            raise AssertionError("looked at every character")

    assert cell_text(Huge("ab" * 1_000_000), limit=5) == "ababa…"


@pytest.mark.parametrize(
    ("text", "width", "right", "shown"),
    [
        ("abc", 5, False, "abc  "),
        ("abc", 5, True, "  abc"),
        ("abcdef", 4, False, "abc…"),
        ("日本語", 6, False, "日本語"),
        ("日本語", 5, False, "日本…"),
        ("日本語", 4, False, "日 …"),
        ("e\u0301e\u0301", 3, False, "e\u0301e\u0301 "),
        ("abc", 1, False, "…"),
    ],
)
def test_fit_counts_terminal_cells(text: str, width: int, right: bool, shown: str) -> None:
    assert fit(text, width, right) == shown
    assert cell_len(fit(text, width, right)) == width


def test_copying_gives_what_is_stored() -> None:
    assert copy_text("a\tb\n") == "a\tb\n"
    assert copy_text(None) == ""
    assert copy_text(b"\x00\xff") == "00ff"
    assert copy_text(1.5) == "1.5"


def test_the_viewer_indents_json_and_keeps_text_that_is_none() -> None:
    text, what = view_text('{"b": [1, "ü"]}')
    assert text == '{\n  "b": [\n    1,\n    "ü"\n  ]\n}'
    assert what.startswith("JSON")
    assert view_text("{not json") == ("{not json", "text, 9 characters")
    assert view_text("[" * 100_000)[0].startswith("[[[")  # too deep for the parser


def test_the_viewer_shows_lines_but_no_control_characters() -> None:
    assert view_text("one\r\ntwo\x1b[2J\tthree")[0] == "one\ntwo␛[2J    three"


def test_the_viewer_dumps_blobs() -> None:
    text, what = view_text(b"SQLite format 3\x00\xff")
    assert text.splitlines()[0].endswith("SQLite format 3·")
    assert text.splitlines()[1].startswith("00000010  ff")
    assert what == "blob, 17 bytes"


def test_the_viewer_says_when_it_shows_only_the_start() -> None:
    text, what = view_text("x" * 30, limit=10)
    assert text == "x" * 10
    assert what == "text, 30 characters, first 10 shown"


@pytest.mark.parametrize(
    ("count", "text"), [(1, "1 byte"), (999, "999 bytes"), (1200, "1.2 kB"), (2_500_000, "2.5 MB")]
)
def test_byte_size(count: int, text: str) -> None:
    assert byte_size(count) == text


def test_one_line_loses_no_character() -> None:
    for code in range(0x3000):
        assert len(one_line(chr(code))) == 1
