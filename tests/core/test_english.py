"""The rules of English: words, plurals, acronyms, phrases."""

from __future__ import annotations

import pytest

from t2sql_tui.core.english import (
    PHRASES,
    acronym,
    name_words,
    plural_noun,
    possible_singulars,
    singular_noun,
    split_camel_case,
    split_words,
    stem,
    with_article,
    without_plural_s,
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("custAddrs", ["customer", "address"]),
        ("HTTPPort", ["http", "port"]),
        ("dept_no", ["department", "number"]),
        ("line2", ["line", "2"]),
        ("Café Größe", ["cafe", "grosse"]),
        ('a "b" [c]', ["a", "b", "c"]),
        ("名前", ["名", "前"]),
        ("", []),
        ("___", []),
    ],
)
def test_words_of_names(text: str, words: list[str]) -> None:
    assert name_words(text) == words


def test_a_word_knows_where_it_stands() -> None:
    first, second = split_words("São Paulos!")
    assert (first.start, first.end, first.plain) == (0, 3, "sao")
    assert (second.start, second.end, second.plain) == (4, 10, "paulo")


@pytest.mark.parametrize(
    ("word", "found"),
    [("cities", "city"), ("boxes", "box"), ("buses", "buse"), ("status", "status"), ("gas", "gas")],
)
def test_stems(word: str, found: str) -> None:
    assert stem(word) == found


def test_the_rules_for_singulars_differ_on_purpose() -> None:
    assert possible_singulars("categories") == {"categories", "category", "categori", "categorie"}
    assert without_plural_s("categories") == "categorie"
    assert singular_noun("school buses") == "school buse" and stem("gas") == "gas"
    assert singular_noun("gas") == "ga"  # as the generated questions have always had it


@pytest.mark.parametrize(
    ("one", "many"),
    [("person", "people"), ("staff member", "staff members"), ("city", "cities"), ("box", "boxes")],
)
def test_nouns_go_both_ways(one: str, many: str) -> None:
    assert plural_noun(one) == many
    assert plural_noun(f"new {one}") == f"new {many}"


def test_articles() -> None:
    assert [with_article(w) for w in ("order", "unit", "points", "status")] == [
        "an order",
        "a unit",
        "points",
        "a status",
    ]


def test_acronyms() -> None:
    assert acronym(split_words("United States of America")) == "usa"
    assert acronym(split_words("London")) == ""
    assert split_camel_case("orderDate") == "order Date"


def test_a_phrase_and_the_sql_that_answers_to_it() -> None:
    (phrase,) = (p for p in PHRASES if p.question.search("at most 2 orders"))
    assert phrase.sql.search("HAVING count(*) <= 2") and not phrase.sql.search("HAVING n > 1")
