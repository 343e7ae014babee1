"""The commands, from the command line to the files they leave."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import zipfile

import pytest
from click.testing import CliRunner
from mini_spider import QUESTIONS, write_spider

from benchmarks import fetch
from benchmarks.cli import main
from benchmarks.config import RunConfig
from t2sql_tui.backends.scripted import ScriptedBackend
from t2sql_tui.core.types import ModelSpec

GOLDS = {question: gold for _, question, gold in QUESTIONS}


@pytest.fixture
def model(monkeypatch):
    """Replaces the model by a scripted one; `model.replies` may be changed."""

    class Model:
        replies: object = GOLDS
        spec = ModelSpec("scripted")
        loaded = 0

    def load(spec, *, backend="gguf", **options):
        Model.loaded += 1
        return ScriptedBackend(spec, Model.replies)

    monkeypatch.setattr("benchmarks.runner.load_backend", load)
    monkeypatch.setattr("benchmarks.runner.find_model", lambda name: Model.spec)
    return Model


@pytest.fixture
def here(spider, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(*arguments, code=0):
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


def run(*options, code=0):
    return call("run", "spider-format:mini", "-m", "x", "--name", "r", *options, code=code)


def test_replay_asks_no_model_and_says_so(here, model):
    run("--decoding", "full")
    assert model.loaded == 1
    replay = ("run", "spider-format:mini", "-m", "x", "--replay", "runs/r")
    call(*replay, "--decoding", "full", "--name", "again")
    info = json.loads((here / "runs" / "again" / "run.json").read_text())
    assert model.loaded == 1 and len(info["identity"]["replay_of"]) == 64
    assert "full, replayed" in call("report", "runs/again").stdout
    refused = call(*replay, "--decoding", "beam4", code=5)
    assert "is of another run (" in refused.stderr and "beam4" in refused.stderr
    missing = call("run", "spider-format:mini", "-m", "x", "--replay", "runs/x", code=5)
    assert "There is no" in missing.stderr


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from benchmarks.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'llama_cpp', 'textual', 'numpy', 'sqlglot', 'rich'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for command in (
        "list",
        "fetch",
        "run",
        "score",
        "report",
        "compare",
        "ablation",
        "calibrate",
        "profile",
    ):
        assert f"\n  {command} " in done.stdout


def test_list_says_what_is_here_and_what_is_not(here):
    (here / "data").mkdir()
    (here / "mini").rename(here / "data" / "spider")
    output = call("list", "--data", here / "data").stdout
    assert "6 questions, 2 databases" in output
    assert "benchmarks fetch" in output and "bird-format:DIR" in output


def test_run_prints_a_summary_and_leaves_three_files(here, model):
    output = run().stdout
    assert "spider-format:mini, scripted: 6 questions" in output
    assert "Execution accuracy" in output and "100.0" in output and "6 of 6" in output
    info = json.loads((here / "runs/r/run.json").read_text())
    assert info["identity"]["prompt_version"] == "v1"
    assert {"command", "date", "git", "machine", "versions"} <= info["provenance"].keys()
    results = json.loads((here / "runs/r/results.json").read_text())
    assert results["measures"]["execution"]["value"] == 1.0
    assert len((here / "runs/r/predictions.jsonl").read_text().splitlines()) == 6


def test_results_hold_no_text_of_the_data(here, model):
    run()
    published = (here / "runs/r/results.json").read_text()
    assert not any(question in published or gold in published for gold, question in GOLDS.items())


def test_the_same_command_asks_nothing_twice(here, model):
    model.replies = asked = []
    asked.append(lambda prompt: asked.append("SELECT 1") or "SELECT 1")
    run()
    count = len(asked)
    result = run()
    assert len(asked) == count
    assert "6 of 6 are done already" in result.stderr


def test_another_prompt_version_is_refused_until_restart(here, model):
    run()
    result = run("--max-tokens", "7", code=5)
    assert "max_tokens: there 300, now 7" in result.stderr and "--restart" in result.stderr
    run("--max-tokens", "7", "--restart")
    assert len(list((here / "runs").glob("r.*"))) == 1  # the old run is kept


def test_backend_options_that_change_answers_are_recorded() -> None:
    options = {"n_threads": 2, "n_ctx": 512}
    config = RunConfig("demo", "some-model", backend_options=options)
    assert config.identity()["backend_options"] == {"n_ctx": 512}
    assert config.run_name("some-model") == "demo--some-model--n_ctx-512"
    plain = RunConfig("demo", "some-model", backend_options={"n_threads": 2})
    assert "backend_options" not in plain.identity()
    assert plain.run_name("some-model") == "demo--some-model"


def test_another_decoding_is_another_run(here, model):
    run()
    result = run("--decoding", "beam4", code=5)
    assert "candidates: there 1, now 4" in result.stderr
    assert "decoding: there None, now 'beam4'" in result.stderr
    run("--decoding", "beam4", "--restart")
    identity = json.loads((here / "runs/r/run.json").read_text())["identity"]
    assert identity["decoding"] == "beam4" and identity["search"] and identity["constrained"]
    assert not identity["compare"] and identity["repairs"] == 0
    line = json.loads((here / "runs/r/predictions.jsonl").read_text().splitlines()[0])
    assert line["features"]["accepted"] == 1.0 and line["confidence"] is None
    assert "right" not in line["candidates"][0]
    # What was chosen beside the decoding counts as well.
    result = run("--decoding", "beam4", "--repairs", "1", code=5)
    assert "repairs: there 0, now 1" in result.stderr


def test_the_apps_own_decoding_compares_rows(here, model):
    gold = QUESTIONS[0][2]
    model.replies = {"How many customers": ("SELECT 2 WHERE 0", gold, "SELECT 3"), **GOLDS}
    assert "100.0" in run("--decoding", "full").stdout
    identity = json.loads((here / "runs/r/run.json").read_text())["identity"]
    assert identity["compare"] and identity["repairs"] == 2 and identity["candidates"] > 1
    lines = (here / "runs/r/predictions.jsonl").read_text().splitlines()
    line = next(line for line in map(json.loads, lines) if line["id"] == "dev-0000")
    assert len(line["readings"]) == 2 and line["features"]["readings"] == 2


def test_a_run_is_named_after_its_options(here, model):
    def named(*options):
        call("run", "spider-format:mini", "-m", "x", *options)
        return {path.name for path in (here / "runs").iterdir()}

    assert named() == {"spider-format-mini--scripted"}
    assert "spider-format-mini--scripted--beam4--r1" in named("--decoding", "beam4", "--repairs", 1)
    greedy = named("--candidates", "2", "--temperature", "0.5")
    assert "spider-format-mini--scripted--k2--t0.5" in greedy


def test_a_greedy_run_of_an_older_version_goes_on(here, model):
    run()
    path = here / "runs/r/run.json"
    info = json.loads(path.read_text())
    assert not info["identity"].keys() & {"decoding", "search", "constrained", "compare"}
    assert "6 of 6 are done already" in run().stderr


def test_a_limit_is_a_sample_with_its_interval(here, model):
    output = run("--limit", "4", "--seed", "3").stdout
    assert "4 questions of 6" in output and "(100.0 to 100.0)" in output
    identity = json.loads((here / "runs/r/run.json").read_text())["identity"]
    assert identity["questions"] == 4 and identity["of"] == 6 and identity["sample_seed"] == 3


def test_ctrl_c_keeps_every_answer_and_the_next_run_goes_on(here, model):
    def answer(prompt):
        answer.asked += 1
        if answer.asked == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return next(gold for q, gold in GOLDS.items() if q in prompt.suffix)

    answer.asked = 0
    model.replies = {"": answer}
    before = signal.getsignal(signal.SIGINT)
    result = run(code=130)
    assert signal.getsignal(signal.SIGINT) is before
    assert "Stopped after 2 of 6 questions" in result.stderr
    assert len((here / "runs/r/predictions.jsonl").read_text().splitlines()) == 2
    assert "100.0" in run().stdout
    assert answer.asked == 3 + 4


def test_failing_gold_is_listed(here, model):
    write_spider(here / "broken", (("shop", "Refunds?", "SELECT * FROM refund"), *QUESTIONS))
    output = call("run", "spider-format:broken", "-m", "x").stdout
    assert "The gold SQL of 1 questions fails; they count as wrong: dev-0000" in output
    assert "6 of 7" in output


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["run", "spider-dve", "-m", "x"], 5, "Did you mean 'spider-dev'"),
        (["run", "spider-format:nowhere", "-m", "x"], 5, "There is no folder nowhere"),
        (["compare", "nowhere", "nowhere"], 5, "There is no nowhere/run.json"),
        (["report"], 2, "Name one run or more"),
        (["fetch", "spidr"], 5, "Did you mean 'spider'"),
    ],
)
def test_mistakes_are_explained_without_a_traceback(here, model, arguments, code, message):
    result = call(*arguments, code=code)
    assert message in result.stderr and "Traceback" not in result.stderr


# --- score --------------------------------------------------------------------------


def predict_txt(here, change=lambda lines: lines):
    lines = [f"{gold}\t{database}" for database, _, gold in QUESTIONS]
    path = here / "predict.txt"
    path.write_text("\n".join(change(lines)) + "\n")
    return path


def score(path, *options, code=0):
    return call("score", path, "--suite", "spider-format:mini", "--name", "s", *options, code=code)


def test_gold_as_predict_txt_is_all_right(here):
    output = score(predict_txt(here)).stdout
    for measure in ("Execution accuracy", "Execution, strict", "Exact set match", "SQL that runs"):
        assert f"{measure}  " in output
    assert output.count("6 of 6") == 5  # exact string match is the fifth


def test_predict_txt_needs_no_database_and_may_leave_a_line_blank(here):
    def change(lines):
        return [line.split("\t")[0] for line in lines[:3]] + ["", *lines[4:]]

    output = score(predict_txt(here, change)).stdout
    assert "5 of 6" in output


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: lines[:-1], "has 5 lines, the suite 6 questions"),
        (lambda lines: [*lines, "SELECT 1"], "has 7 lines"),
        (lambda lines: [lines[1], lines[0], *lines[2:]], "Line 1 .* is for 'zoo', but question 1"),
    ],
)
def test_a_wrong_predict_txt_is_refused(here, change, message):
    import re

    assert re.search(message, score(predict_txt(here, change), code=5).stderr)


def jsonl(here, rows):
    path = here / "theirs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_jsonl_by_anyone(here):
    rows = [
        {"id": f"dev-{n:04d}", "text": f"Here you are:\n```sql\n{gold};\n```"}
        for n, (_, _, gold) in enumerate(QUESTIONS)
    ]
    output = score(jsonl(here, rows)).stdout
    assert "Execution accuracy" in output and "6 of 6" in output
    (line,) = [row for row in output.splitlines() if row.startswith("Text outside the SQL")]
    assert "100.0" in line


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ([{"id": "dev-0000", "sql": "SELECT 1"}], (), "answers 1 of the suite's 6 questions"),
        ([{"id": "dev-0099", "sql": "SELECT 1"}], ("--partial",), "ids that the suite does not"),
        ([{"id": "dev-0000"}], ("--partial",), "neither 'sql' nor 'text'"),
        ([{"id": "dev-0000", "sql": "x"}] * 2, ("--partial",), "repeats the id"),
    ],
)
def test_a_wrong_jsonl_is_refused(here, rows, options, message):
    assert message in score(jsonl(here, rows), *options, code=5).stderr


def test_a_part_can_be_scored(here):
    path = jsonl(here, [{"id": "dev-0000", "sql": QUESTIONS[0][2]}])
    assert "1 questions of 6" in score(path, "--partial").stdout


def test_a_run_can_be_scored_again_and_keeps_its_provenance(here, model):
    run("--candidates", "2")
    score("runs/r")
    identity = json.loads((here / "runs/s/run.json").read_text())["identity"]
    assert identity["model"] == "scripted" and identity["candidates"] == 2


def test_candidates_can_be_judged_afterwards(here, model):
    gold = QUESTIONS[0][2]
    model.replies = {"How many customers": ("SELECT 2", gold), **GOLDS}
    run("--candidates", "2")
    score("runs/r", "--score-candidates")
    lines = (here / "runs/s/predictions.jsonl").read_text().splitlines()
    line = next(line for line in map(json.loads, lines) if line["id"] == "dev-0000")
    assert [c["right"] for c in line["candidates"]] == [False, True]
    assert json.loads((here / "runs/s/run.json").read_text())["identity"]["score_candidates"]


# --- compare and report -------------------------------------------------------------


@pytest.fixture
def two_runs(here, model):
    worse = {"lives in Rome": "SELECT id FROM customer", "lion": "SELECT x", **GOLDS}
    call("run", "spider-format:mini", "-m", "x", "--name", "good")
    model.replies, model.spec = worse, ModelSpec("worse")
    call("run", "spider-format:mini", "-m", "x", "--name", "bad")


def test_compare_shows_what_changed(two_runs):
    output = call("compare", "runs/bad", "runs/good").stdout
    assert "Right in B alone: 2" in output and "Who lives in Rome?" in output
    assert "Right in A alone" not in output
    found = json.loads(call("compare", "runs/bad", "runs/good", "--json").stdout)
    execution = found["measures"]["correct"]
    assert (execution["only_a"], execution["only_b"], execution["both"]) == (0, 2, 4)
    assert execution["difference"] == pytest.approx(1 / 3)
    assert execution["mcnemar_p"] == 0.5
    assert execution["low"] <= execution["difference"] <= execution["high"]


def test_compare_refuses_other_data(two_runs, here):
    path = here / "runs/good/predictions.jsonl"
    path.write_text(path.read_text().replace("count(*)", "count(id)"))
    assert "another gold SQL" in call("compare", "runs/bad", "runs/good", code=5).stderr


def test_ablation_is_a_row_a_run_against_the_first(two_runs, here):
    output = call("ablation", "runs/bad", "runs/good", "runs/bad", "--out", "docs/a.md").stdout
    assert output.startswith("spider-format:mini, 6 questions:")
    rows = [line for line in output.splitlines() if line.startswith("| ")][1:]
    assert [row.split("|")[1].strip() for row in rows] == ["bad", "good", "bad"]
    assert "greedy" in rows[0] and "66.7" in rows[0] and "+33.3" in rows[1] and "p 0.500" in rows[1]
    assert "+0.0" in rows[2] and rows[2].rstrip(" |").endswith("1.00")
    assert (here / "docs/a.md").read_text() == output
    found = json.loads((here / "docs/a.json").read_text())
    first, second, _ = found["rows"]
    assert first["against_first"] is None and first["p50"] > 0 and first["p50_ratio"] == 1
    assert second["against_first"]["only_b"] == 2
    assert first["unexecutable"]["right"] == 1 and second["execution"]["value"] == 1


def test_ablation_refuses_other_questions(two_runs, here):
    path = here / "runs/good/predictions.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))
    result = call("ablation", "runs/bad", "runs/good", code=5)
    assert "good does not answer the questions of bad" in result.stderr
    call("ablation", code=2)


def test_report_prints_a_table_and_writes_a_page(two_runs, here):
    call("report", "runs/bad")
    assert (here / "runs/bad/report.html").stat().st_size > 10_000
    output = call("report", "runs/good", "runs/bad", "-o", "page.html").stdout
    assert output.startswith("| suite")
    assert "| worse" in output and "66.7" in output
    assert (here / "page.html").stat().st_size > 10_000


# --- fetch --------------------------------------------------------------------------


def archive(here, monkeypatch):
    """A little Spider archive, and its source registered under the name "spider"."""
    from dataclasses import replace

    path = here / "spider_data.zip"
    with zipfile.ZipFile(path, "w") as zipped:
        for file in sorted((here / "mini").rglob("*")):
            if file.is_file():
                zipped.write(file, f"spider_data/{file.relative_to(here / 'mini')}")
        zipped.writestr("__MACOSX/junk", "junk")
        zipped.writestr("spider_data/../../escaped.txt", "out")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    source = replace(fetch.SOURCES["spider"], sha256=digest)
    monkeypatch.setitem(fetch.SOURCES, "spider", source)
    return path


def test_a_file_fetched_by_hand_is_verified_and_unpacked(here, monkeypatch):
    path = archive(here, monkeypatch)
    (here / "data").mkdir()
    output = call("fetch", "spider", "--data", here / "data", "--from", path).stdout
    assert "NOT the official ones" in output  # it is our little one
    assert (here / "data/spider/database/zoo/zoo.sqlite").exists()
    assert not list(here.rglob("junk")) and not (here / "escaped.txt").exists()
    assert path.exists()


def test_a_file_with_another_hash_is_refused(here, monkeypatch):
    path = archive(here, monkeypatch)
    path.write_bytes(path.read_bytes() + b"x")
    (here / "data").mkdir()
    result = call("fetch", "spider", "--data", here / "data", "--from", path, code=5)
    assert "is not the file that was expected" in result.stderr
    assert not (here / "data/spider").exists()


def test_an_unreachable_source_says_what_to_do(here, monkeypatch):
    import urllib.error

    def refuse(*args, **kwargs):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    (here / "data").mkdir()
    result = call("fetch", "spider", "--data", here / "data", code=5)
    assert "cannot be reached: no route to host" in result.stderr
    assert "--from FILE" in result.stderr and "--data DIR" in result.stderr
    assert "https://yale-lily.github.io/spider" in result.stderr


def test_fetch_alone_lists_the_sources(here):
    output = call("fetch").stdout
    assert "spider-suites" in output and "CC BY-SA 4.0" in output


# --- profile ------------------------------------------------------------------------


def test_profile_measures_three_ways(here, tiny_gguf):
    """On a model of random weights: the times mean nothing, the counts must agree."""
    output = call(
        "profile",
        "-m",
        tiny_gguf,
        "--suite",
        "spider-format:mini",
        "--limit",
        "3",
        "--threads",
        "1",
        "--json",
    ).stdout
    found = json.loads(output[output.index("{") :])
    assert found["questions"] == 3
    assert found["cold"]["prompt_tokens"] == found["raw"]["prompt_tokens"]
    assert found["cold"]["written_tokens"] == found["raw"]["written_tokens"]
    # Warm, only the questions are evaluated.
    assert 0 < found["warm"]["prompt_tokens"] < found["cold"]["prompt_tokens"] / 2
    assert found["cold_start"]["peak_memory_mib"] > 10
    assert all(ratio > 0 for ratio in found["ratios"].values())


def test_spiders_own_gold_is_all_right(here, data_dir):
    """Every tenth question of dev, from the file to the summary, on the real databases."""
    rows = json.loads((data_dir / "spider" / "dev.json").read_text())
    golds = [{"id": f"dev-{n:04d}", "sql": row["query"]} for n, row in enumerate(rows)][::10]
    path = jsonl(here, golds)
    call("score", path, "--suite", "spider-dev", "--partial", "--data", data_dir, "--name", "gold")
    results = json.loads((here / "runs/gold/results.json").read_text())
    for measure in ("execution", "strict", "exact", "string", "runs"):
        found = results["measures"][measure]
        assert (found["right"], found["n"]) == (104, 104), measure
    assert results["errors"] == {} and results["gold_fails"] == []
