"""The report: self-contained, escaped, true to the lines; and the README's score table."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from conftest import ROOT
from mini_spider import QUESTIONS

from benchmarks import tables
from benchmarks.datasets import read_spider
from benchmarks.report import figures
from benchmarks.report.cases import choose_cases
from benchmarks.report.html import sql_html
from benchmarks.report.page import write_report
from benchmarks.results import percentile, publish, published, summarise
from benchmarks.run_folder import Run
from benchmarks.scoring import Scorer
from benchmarks.tables import with_score_table

REPLIES = {
    "dev-0001": "SELECT species FROM animal WHERE species = 'cat'",
    "dev-0002": "SELECT <b>nme</b> FROM customer",
    "dev-0003": "SELECT weight FROM animal WHERE species = 'cat'",
}


def make_run(spider, name="r", model="tiny & co", replies=REPLIES, confidence=None):
    dataset = read_spider(spider)
    scorer, lines = Scorer(dataset), []
    for place, example in enumerate(dataset.examples):
        sql = replies.get(example.id, example.gold)
        line = {
            "id": example.id,
            "database": example.database,
            "question": example.question,
            "gold": example.gold,
            "text": sql,
            "sql": sql,
            "logprob": -float(place),
            "seconds": 0.5 + place,
            "first_token_seconds": 0.25,
            "generation_seconds": 0.45 + place,
            "prompt_tokens": 100,
            "cached_tokens": 80,
            "completion_tokens": 11,
            "repairs": 0,
            "confidence": confidence and confidence[place],
        }
        lines.append({**line, "score": scorer.score(example, line)})
    info = {
        "identity": {
            "suite": f"spider-format:{spider}",
            "model": model,
            "of": 6,
            "model_sha256": "abc123",
            "prompt_version": "v1",
        },
        "provenance": {
            "command": "benchmarks run",
            "date": "2026-11-21T10:00:00+00:00",
            "git": {"commit": "f" * 40, "changed_files": 0},
            "machine": {"processor": "P", "cores": 2, "memory_gib": 8.0},
            "versions": {"python": "3.11"},
        },
    }
    return Run(Path(name), name, info, lines)


def results_of(run):
    return summarise(run.lines, run.info)


def page_of(*runs, folder):
    """The page about the runs, as text."""
    write_report(runs, [results_of(run) for run in runs], folder / "page.html", None)
    return (folder / "page.html").read_text()


@pytest.fixture(name="page")
def plain_page(spider, tmp_path):
    return page_of(make_run(spider), folder=tmp_path)


def test_the_page_needs_nothing_from_elsewhere(page):
    assert "<script" not in page and "<img" not in page and "<link" not in page
    addresses = set(re.findall(r"https?://[^\s\"'<)]+", page))
    assert addresses <= {"http://www.w3.org/2000/svg"}


def test_the_page_is_well_formed(page):
    class Parser(HTMLParser):
        VOID = frozenset({"meta"})

        def __init__(self):
            super().__init__()
            self.open = []

        def handle_starttag(self, tag, attributes):
            if tag not in self.VOID:
                self.open.append(tag)

        def handle_startendtag(self, tag, attributes):
            pass

        def handle_endtag(self, tag):
            assert self.open.pop() == tag, tag

    parser = Parser()
    parser.feed(page)
    assert parser.open == []


def test_the_page_tells_everything(page):
    assert "<b>50.0<small> %</small></b><span>execution accuracy" in page
    for title in ("Scores", "Databases, the worst first", "Case studies", "Provenance"):
        assert f"<h2>{title}" in page
    assert "By number of tables" in page and "Seconds a question" in page
    assert "abc123" in page and "f" * 40 in page


def test_text_of_models_and_questions_is_escaped(page):
    assert "tiny &amp; co" in page and "tiny & co" not in page
    assert "<b>nme</b>" not in page and "&lt;b&gt;nme&lt;" in page


def test_a_case_shows_schema_and_both_results(page):
    case = page[page.index("What does the lion weigh?", page.index("Case studies")) :]
    case = case[: case.index("</article>")]
    assert "<b>animal</b>(<u>id</u>, name" in case
    assert "<td>190.0</td>" in case and "<td>4.0</td>" in case and "2 rows" in case


def test_without_data_the_cases_keep_their_sql(spider, tmp_path):
    run = make_run(spider)
    run.identity["suite"] = "spider-format:/nowhere"
    page = page_of(run, folder=tmp_path)
    assert "Without results: There is no folder /nowhere" in page
    assert "What does the lion weigh?" in page


def test_several_runs_share_a_page(spider, tmp_path):
    runs = [make_run(spider), make_run(spider, "s", "other", {})]
    page = page_of(*runs, folder=tmp_path)
    assert "<ul class=key>" in page and page.count('class="s1"') > 10
    assert "100.0 (100.0 to 100.0)" in page


def test_a_run_without_mistakes_or_times_has_a_page_too(spider, tmp_path):
    run = make_run(spider, replies={})
    for line in run.lines:
        for key in ("seconds", "completion_tokens", "logprob"):
            del line[key]
    page = page_of(run, folder=tmp_path)
    assert "Case studies" not in page and "Seconds a question" not in page


def test_cases_are_of_different_kinds_and_databases(spider):
    chosen = choose_cases(make_run(spider).lines)
    kinds = [line["score"]["kind"] for line in chosen]
    assert len(kinds) == len(set(kinds)) == 3


@pytest.mark.parametrize(
    ("sql", "text"),
    [
        ("SELECT a FROM t WHERE b = 'x FROM y'", "SELECT a\nFROM t\nWHERE b = 'x FROM y'"),
        ("SELECT a FROM (SELECT b FROM t) LIMIT 1", "SELECT a\nFROM (SELECT b FROM t)\nLIMIT 1"),
        ("SELECT a  ,  b FROM t LEFT JOIN u ON 1", "SELECT a, b\nFROM t\nLEFT JOIN u ON 1"),
        ("a < b", "a &lt; b"),
    ],
)
def test_sql_gets_a_line_a_clause(sql, text):
    assert re.sub(r"</?(?:pre|b|q)>", "", sql_html(sql)).replace("&#x27;", "'") == text


# --- figures ------------------------------------------------------------------------

SHARE = {"value": 0.5, "low": 0.4, "high": 0.6, "n": 10}


@pytest.mark.parametrize(
    "svg",
    [
        figures.shares([("a & b", [SHARE]), ("c", [None])]),
        figures.shares([("a", [SHARE, SHARE])]),
        figures.bars([("a", [3, 0]), ("b", [0, 0])]),
        figures.bars([("nothing", [0])]),
        figures.unit_square([[(0.2, 0.5), (1.0, 1.0)]], ("a & b", "c"), [[SHARE, SHARE]], True),
        figures.unit_square([[], [(0.02, 0.0), (1.0, 1.0)]], ("a", "b")),
        figures.histogram([[0.5, 1.0, 2.0]], [[("p50", 1.0)]]),
        figures.histogram([[1.0], [0.0]], [[], []]),
    ],
)
def test_figures_are_xml_inside_their_box(svg):
    root = ElementTree.fromstring(svg)
    width, height = map(float, root.attrib["viewBox"].split()[2:])
    for element in root.iter():
        for name in ("x", "x1", "x2", "cx"):
            assert -1 <= float(element.attrib.get(name, 0)) <= width
        for name in ("y", "y1", "y2", "cy"):
            assert -1 <= float(element.attrib.get(name, 0)) <= height


STATED = (0.9, 0.3, 0.4, 0.2, 0.9, 0.8)  # the second, third and fourth answers are wrong


def test_a_stated_confidence_is_measured_and_drawn(spider, tmp_path):
    run = make_run(spider, confidence=STATED)
    results = results_of(run)
    found = results["calibration"]
    assert found["n"] == 6 and found["auc"] == 1
    assert found["brier"] == pytest.approx((0.01 + 0.09 + 0.16 + 0.04 + 0.01 + 0.04) / 6)
    assert [c["value"] for c in found["coverage"]] == [0.5, 0.6, 0.6, 0.75, 1.0]
    page = page_of(run, make_run(spider, "s", "without"), folder=tmp_path)
    assert "<h2>Confidence" in page and "Reliability" in page and "Risk and coverage" in page
    assert "Calibration error, 10 bins of equal mass" in page
    table = tables.markdown_calibration([results], ["r"])
    assert "Brier score" in table and "surest 80 %" in table
    assert "Confidence" in [title for title, *_ in tables.summary_tables(results)]


def test_without_a_confidence_nothing_is_said_of_it(page, spider):
    assert "<h2>Confidence" not in page
    assert tables.markdown_calibration([results_of(make_run(spider))], ["r"]) == ""


# --- numbers ------------------------------------------------------------------------


def test_percentiles_interpolate():
    assert percentile([4, 1, 3, 2], 50) == 2.5
    assert percentile([1], 99) == 1
    assert percentile(range(101), 95) == 95


def test_results_are_the_lines_counted(spider):
    run = make_run(spider)
    found = results_of(run)
    execution = found["measures"]["execution"]
    assert (execution["right"], execution["n"], execution["value"]) == (3, 6, 0.5)
    assert execution["low"] < 0.5 < execution["high"]
    assert found["measures"]["runs"]["right"] == 5
    assert found["measures"]["unexecutable"]["right"] == 1 and found["calibration"] == {}
    assert found["by"]["tables"]["1"]["n"] == 5 and found["by"]["tables"]["2"]["n"] == 1
    assert found["by"]["database"]["shop"]["right"] == 2
    assert sum(found["errors"].values()) == 3
    assert found["by"]["confidence"]["least sure quarter"]["n"] == 2
    speed = found["speed"]
    assert speed["seconds"]["p50"] == 3.0 and speed["cached_share"] == 0.8
    assert speed["prompt_tokens_per_second"] == pytest.approx(20 / 0.25)
    assert speed["decode_tokens_per_second"] == pytest.approx(60 / (6 * 0.45 + 15 - 6 * 0.25))


def test_no_text_of_the_data_is_published(spider):
    text = json.dumps(results_of(make_run(spider)))
    assert not any(question in text or gold in text for _, question, gold in QUESTIONS)


def test_published_results_name_no_folder_of_this_machine(spider, tmp_path):
    run = make_run(spider)
    run.identity["suite_databases"] = "/far/away/suites"
    path = publish(run, results_of(run), tmp_path / "results")
    assert path.name == "r.json" and "/far/away" not in path.read_text()
    assert str(spider.parent) not in path.read_text()
    (found,) = published(tmp_path / "results")
    assert found["identity"]["suite"] == "spider-format:.../mini"
    assert run.identity["suite"] == f"spider-format:{spider}"


def test_the_score_table_stands_between_its_markers(spider):
    readme = f"before\n{tables._BEGIN}\nold\n{tables._END}\nafter\n"
    changed = with_score_table(readme, [results_of(make_run(spider))])
    assert changed.startswith("before\n") and changed.endswith("\nafter\n")
    assert "tiny & co" in changed and "old" not in changed
    assert with_score_table(changed, [results_of(make_run(spider))]) == changed


def test_the_readmes_scores_are_those_of_the_results_folder():
    readme = (ROOT / "README.md").read_text()
    markers = f"the README's score table belongs between {tables._BEGIN} and {tables._END}"
    assert tables._BEGIN in readme and tables._END in readme, markers
    scores = published(ROOT / "benchmarks" / "results")
    assert with_score_table(readme, scores) == readme, "run: benchmarks report --readme"
