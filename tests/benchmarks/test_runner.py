"""Runs: complete lines, exact resuming, nothing lost, nothing mixed up."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from mini_spider import QUESTIONS, SHOP, ZOO, build_database, write_spider

from benchmarks.datasets import DataError, read_spider, sample
from benchmarks.replay import Replay
from benchmarks.results import summarise
from benchmarks.run_folder import PREDICTIONS, RunFolder, read_lines
from benchmarks.runner import ask_all
from benchmarks.scoring import Scorer, distilled_suite, neighbour_suite
from benchmarks.tables import summary_tables
from t2sql_tui.backends.scripted import ScriptedBackend
from t2sql_tui.core.errors import ModelError
from t2sql_tui.core.types import AskOptions, GenerationSettings

GOLDS = {question: gold for _, question, gold in QUESTIONS}
IDENTITY = {"suite": "mini", "model": "scripted", "prompt_version": "v1"}


def go(spider, tmp_path, backend=None, identity=IDENTITY, every_candidate=False, **options):
    """One (further) run; the backend and the lines by id."""
    dataset = sample(read_spider(spider), None, 0)
    backend = backend or ScriptedBackend(replies=GOLDS)
    asked = AskOptions(
        options.pop("settings", GenerationSettings()),
        options.pop("compare", False),
        options.pop("repairs", 0),
    )
    scorer = Scorer(dataset, every_candidate=every_candidate)
    with RunFolder(tmp_path / "run", identity, {"command": "test"}) as folder:
        ask_all(dataset, backend, folder, scorer, asked, **options)
        return backend, dict(folder.lines)


def test_lines_hold_all_that_the_issue_asks_for(spider, tmp_path):
    _, lines = go(spider, tmp_path)
    written = list(read_lines(tmp_path / "run" / PREDICTIONS))
    assert {line["id"] for line in written} == {f"dev-{n:04d}" for n in range(6)}
    line = lines["dev-0000"]
    assert written[0] == json.loads(json.dumps(line))
    assert line["text"] == line["sql"] == "SELECT count(*) FROM customer"
    assert len(line["prompt_digest"]) == 16 and line["accepted"] is True
    for number in ("seconds", "first_token_seconds", "prompt_tokens", "completion_tokens"):
        assert isinstance(line[number], int | float)
    score = line["score"]
    assert score["correct"] and score["strict"] and score["runs"] and score["string"]
    assert score["exact"] and score["hardness"] == "easy" and not score["chatty"]
    assert all(line["score"]["correct"] for line in lines.values())


def test_questions_on_one_database_follow_each_other(spider, tmp_path):
    backend, _ = go(spider, tmp_path)
    prefixes = [prompt.prefix for prompt in backend.prompts]
    assert len(set(prefixes)) == 2
    assert prefixes == sorted(prefixes, key=prefixes.index)


def test_a_wrong_answer_gets_its_kind_and_its_error(spider, tmp_path):
    replies = {
        "lives in Rome": "SELECT nme FROM customer",
        "lion weigh": "SELECT weight FROM animal WHERE species = 'cat'",
        **GOLDS,
    }
    _, lines = go(spider, tmp_path, ScriptedBackend(replies=replies))
    unknown, value = lines["dev-0002"]["score"], lines["dev-0003"]["score"]
    assert not unknown["correct"] and not unknown["runs"]
    assert unknown["kind"] == "unknown column" and "nme" in unknown["error"]
    assert value["runs"] and value["kind"] == "wrong filter value"
    assert "kind" not in lines["dev-0000"]["score"]


def test_a_run_goes_on_where_it_stopped(spider, tmp_path):
    backend = ScriptedBackend(replies=GOLDS)
    # Stopped while the third is written: by count, for scoring runs beside and may lag.
    _, lines = go(spider, tmp_path, backend, should_stop=lambda: len(backend.prompts) >= 3)
    assert len(lines) == 2
    first = len(backend.prompts)
    again, lines = go(spider, tmp_path)
    assert len(lines) == 6
    # The question that was under way is asked again, no other is.
    assert len(again.prompts) <= 6 - first + 1
    assert [line["id"] for line in read_lines(tmp_path / "run" / PREDICTIONS)] == list(lines)


def test_what_was_answered_before_an_error_is_kept(spider, tmp_path):
    replies = ["SELECT 1", "SELECT 2", ModelError("the model broke down")]
    with pytest.raises(ModelError, match="broke down"):
        go(spider, tmp_path, ScriptedBackend(replies=replies))
    lines = list(read_lines(tmp_path / "run" / PREDICTIONS))
    assert [line["sql"] for line in lines] == ["SELECT 1", "SELECT 2"]
    assert all("score" in line for line in lines)


def test_a_torn_last_line_is_cut_off_and_its_question_asked_again(spider, tmp_path):
    go(spider, tmp_path)
    path = tmp_path / "run" / PREDICTIONS
    path.write_bytes(path.read_bytes()[:-40])
    with RunFolder(tmp_path / "run", IDENTITY, {}) as folder:
        assert folder.repaired and len(folder.lines) == 5
    backend, lines = go(spider, tmp_path)
    assert len(backend.prompts) == 1 and len(lines) == 6
    assert len(list(read_lines(path))) == 6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: [lines[0], '{"id": "dev-', *lines[2:]], "Line 2 of .* is damaged"),
        (lambda lines: [lines[0], "[]", *lines[2:]], "Line 2 of .* is damaged"),
        (lambda lines: [*lines, lines[0]], "Line 7 of .* repeats the id 'dev-0000'"),
    ],
)
def test_a_damaged_run_file_is_refused(spider, tmp_path, change, message):
    go(spider, tmp_path)
    path = tmp_path / "run" / PREDICTIONS
    path.write_text("\n".join(change(path.read_text().splitlines())) + "\n")
    with pytest.raises(DataError, match=message):
        RunFolder(tmp_path / "run", IDENTITY, {})


def test_a_run_that_never_answered_claims_nothing(spider, tmp_path):
    with pytest.raises(ModelError):
        go(spider, tmp_path, ScriptedBackend(replies=[ModelError("no weights")]))
    # With weights, the model's hash is another; the name is still free.
    assert len(go(spider, tmp_path, identity={**IDENTITY, "model_sha256": "abc"})[1]) == 6


def test_another_identity_is_refused_and_named(spider, tmp_path):
    go(spider, tmp_path)
    with pytest.raises(DataError, match="prompt_version: there 'v1', now 'v2'"):
        RunFolder(tmp_path / "run", {**IDENTITY, "prompt_version": "v2"}, {})
    with pytest.raises(DataError, match="data_sha256: there None, now 'abc'"):
        RunFolder(tmp_path / "run", {**IDENTITY, "data_sha256": "abc"}, {})
    # A refusal leaves the run as it was.
    assert len(go(spider, tmp_path)[1]) == 6


def test_a_prompt_that_changed_under_the_same_version_is_refused(spider, tmp_path):
    asked = []
    go(spider, tmp_path, on_line=asked.append, should_stop=lambda: len(asked) >= 1)
    build_database(spider / "database/shop/shop.sqlite", "CREATE TABLE refund (id INTEGER)")
    with pytest.raises(DataError, match="prompt for dev-0000 is no longer the one"):
        go(spider, tmp_path)


def test_two_processes_cannot_write_one_run(tmp_path):
    with (
        RunFolder(tmp_path / "run", IDENTITY, {}),
        pytest.raises(DataError, match="Another process is writing"),
    ):
        RunFolder(tmp_path / "run", IDENTITY, {})
    RunFolder(tmp_path / "run", IDENTITY, {}).__exit__()


def test_predictions_without_a_run_json_are_not_adopted(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / PREDICTIONS).write_text("{}\n")
    with pytest.raises(DataError, match=r"no run\.json"):
        RunFolder(tmp_path / "run", IDENTITY, {})


def test_gold_that_fails_is_marked_and_never_right(tmp_path):
    broken = (("shop", "How many refunds?", "SELECT count(*) FROM refund"), *QUESTIONS)
    root = write_spider(tmp_path / "broken", broken)
    replies = {"refunds": "SELECT count(*) FROM refund", **GOLDS}
    _, lines = go(root, tmp_path, ScriptedBackend(replies=replies))
    score = lines["dev-0000"]["score"]
    assert score["gold_fails"] and not score["correct"] and not score["strict"]
    assert "refund" in score["error"] and "kind" not in score


def test_candidates_are_kept_and_any_of_them_may_be_right(spider, tmp_path):
    rome = ("SELECT id FROM customer", "SELECT name FROM customer WHERE city = 'Rome'")
    backend = ScriptedBackend(replies={"Rome": rome, "": "SELECT 1"})
    settings = GenerationSettings(candidates=2)
    _, lines = go(spider, tmp_path, backend, settings=settings)
    line = lines["dev-0002"]
    assert [c["sql"] for c in line["candidates"]] == list(rome)
    assert not line["score"]["correct"] and line["score"]["any"]


def test_every_candidate_is_judged_where_asked_for(spider, tmp_path):
    rome = (
        "SELECT id FROM customer",
        "SELECT nme FROM customer",
        "SELECT name FROM customer WHERE city = 'Rome'",
    )
    backend = ScriptedBackend(replies={"Rome": rome, "": "SELECT 1"})
    settings = GenerationSettings(candidates=3)
    _, lines = go(spider, tmp_path, backend, settings=settings, every_candidate=True)
    candidates = lines["dev-0002"]["candidates"]
    assert [c["right"] for c in candidates] == [False, False, True]
    assert [c["accepted"] for c in candidates] == [True, False, True]
    assert [c["tokens"] for c in candidates] == [4, 4, 8]
    assert all(isinstance(c["logprob"], float) for c in candidates)
    assert json.loads((tmp_path / "run" / PREDICTIONS).read_text().splitlines()[0])["candidates"]


def test_a_line_holds_what_a_confidence_is_fitted_on(spider, tmp_path, monkeypatch):
    from benchmarks import runner
    from t2sql_tui.core.answers.confidence import features

    plain, answers = runner.ask, []

    def ask(*arguments, **options):
        answers.append(replace(plain(*arguments, **options), confidence=0.75))
        return answers[-1]

    monkeypatch.setattr(runner, "ask", ask)
    gold = GOLDS["How many customers are there?"]
    replies = {"How many": ("SELECT 2 WHERE 0", gold, gold.upper()), "": "SELECT 1"}
    _, lines = go(
        spider,
        tmp_path,
        ScriptedBackend(replies=replies),
        compare=True,
        every_candidate=True,
        settings=GenerationSettings(candidates=3),
    )
    line = lines["dev-0000"]
    assert line["sql"] == gold and line["confidence"] == 0.75 and line["tokens"] == 4
    assert line["features"] == features(answers[0])
    assert line["features"]["votes"] == pytest.approx(2 / 3)
    best, other = line["readings"]
    assert (best["sql"], best["votes"], best["warnings"], best["right"]) == (gold, 2, [], True)
    assert (other["votes"], other["warnings"], other["right"]) == (1, ["empty"], False)
    assert best["share"] + other["share"] == pytest.approx(1)
    assert [c["right"] for c in line["candidates"]] == [False, True, True]


def test_repairs_are_counted(spider, tmp_path):
    backend = ScriptedBackend(replies=["SELECT nothing", "SELECT name FROM customer"])
    _, lines = go(spider, tmp_path, backend, repairs=2)
    assert lines["dev-0000"]["repairs"] == 1
    assert lines["dev-0000"]["sql"] == "SELECT name FROM customer"
    assert lines["dev-0002"]["repairs"] == 0


def test_a_replay_chooses_among_the_same_candidates(spider, tmp_path):
    gold = GOLDS["How many customers are there?"]
    replies = {
        "How many": ("SELECT 2 WHERE 0", gold, gold.upper()),
        "Rome": ("SELECT nothing",),
        "": "SELECT 1",
    }
    options = {
        "settings": GenerationSettings(candidates=3),
        "compare": True,
        "repairs": 1,
        "every_candidate": True,
    }
    backend, asked = go(spider, tmp_path, ScriptedBackend(replies=replies), **options)
    assert asked["dev-0002"]["repairs"] == 1
    asked["dev-0000"]["generation_seconds"] = 7.0
    replayed = Replay(backend.spec, asked.values())
    _, again = go(spider, tmp_path / "again", replayed, **options)
    times = {"seconds", "first_token_seconds", "generation_seconds", "finish"}
    for id_, line in asked.items():
        assert {k: v for k, v in line.items() if k not in times} == {
            k: v for k, v in again[id_].items() if k not in times
        }
    assert 7 < again["dev-0000"]["seconds"] < 8 and again["dev-0000"]["generation_seconds"] == 7


def test_a_replay_of_other_prompts_is_refused(spider, tmp_path):
    backend, asked = go(spider, tmp_path)
    spec = replace(backend.spec, prompt_version="v2")
    with pytest.raises(DataError, match="without --replay"):
        go(spider, tmp_path / "again", Replay(spec, asked.values()))


def test_evidence_reaches_the_prompt(spider, tmp_path):
    dataset = read_spider(spider)
    hinted = dataset.only(replace(e, evidence="Rome is in Italy") for e in dataset.examples[:1])
    backend = ScriptedBackend()
    with RunFolder(tmp_path / "hinted", IDENTITY, {}) as folder:
        ask_all(hinted, backend, folder, Scorer(hinted), AskOptions())
        assert folder.lines["dev-0000"]["evidence"] == "Rome is in Italy"
    assert "Rome is in Italy" in backend.prompts[0].suffix


@pytest.mark.parametrize(("schema", "tables"), [("gold", 1), ("linked", 1), ("full", 2)])
def test_the_model_may_be_shown_less_of_the_schema(spider, tmp_path, monkeypatch, schema, tables):
    monkeypatch.setattr("benchmarks.schema_subset.LINKED_TABLES", 1)
    backend, lines = go(spider, tmp_path, schema=schema)
    prompt = next(p for p in backend.prompts if "How many customers" in p.suffix)
    assert prompt.prefix.count("CREATE TABLE") == tables and "customer" in prompt.prefix
    assert lines["dev-0000"]["score"]["correct"]  # the SQL is checked against all of the file
    if schema == "gold":  # two tables are read, two are shown
        joined = next(p for p in backend.prompts if "total of each" in p.suffix)
        assert joined.prefix.count("CREATE TABLE") == 2
    go(spider, tmp_path, schema=schema)  # the same prompts: the run goes on


# --- test suites --------------------------------------------------------------------


def test_a_query_right_by_luck_fails_on_the_suite(spider, tmp_path):
    for name, city in (("one", "Oslo"), ("two", "Rome")):
        script = SHOP + f"INSERT INTO customer VALUES (4, 'Dan', '{city}');"
        build_database(tmp_path / "suite/shop" / f"{name}.sqlite", script)
    build_database(tmp_path / "suite/zoo/zoo.sqlite", ZOO)
    dataset = read_spider(spider)
    tests = distilled_suite(dataset, tmp_path / "suite")
    assert tests.facts == {"kind": "distilled", "databases": 3}
    scorer = Scorer(dataset, suite=tests)
    example = dataset.examples[0]
    honest = scorer.score(example, {"sql": example.gold, "text": example.gold})
    lucky = scorer.score(example, {"sql": "SELECT 3", "text": "SELECT 3"})
    assert honest["correct"] and honest["suite"]
    assert lucky["correct"] and not lucky["suite"]
    with pytest.raises(DataError, match="no databases for 'shop'"):
        distilled_suite(dataset, tmp_path)


def test_generated_neighbours_catch_luck_too(spider, tmp_path, monkeypatch):
    monkeypatch.setenv("T2SQL_CACHE", str(tmp_path / "cache"))
    dataset = read_spider(spider)
    built = []
    tests = neighbour_suite(dataset, 4, built.append)
    assert built == ["shop", "zoo"]
    assert tests.facts["killed"] >= tests.facts["killed_by_original"]
    scorer = Scorer(dataset, suite=tests)
    for example in dataset.examples:
        assert scorer.score(example, {"sql": example.gold, "text": ""})["suite"]
    lucky = scorer.score(dataset.examples[0], {"sql": "SELECT 3", "text": ""})
    assert lucky["correct"] and not lucky["suite"]


def test_bird_examples_are_judged_by_birds_rule_too(spider):
    dataset = read_spider(spider)
    (example,) = (e for e in dataset.examples if "cats" in e.question)
    dataset = dataset.only([replace(example, source="bird")])
    doubled = f"{example.gold} UNION ALL {example.gold}"
    score = Scorer(dataset).score(dataset.examples[0], {"sql": doubled, "text": doubled})
    assert score["bird"] and not score["correct"]


def test_any_accepted_gold_is_right_and_the_group_is_kept(spider, tmp_path):
    dataset = read_spider(spider)
    example = replace(dataset.examples[0], accepted=("SELECT 'three'",), group="counts")
    dataset = dataset.only([example])
    assert dataset.sha256() != read_spider(spider).only([read_spider(spider).examples[0]]).sha256()
    with RunFolder(tmp_path / "run", IDENTITY, {"command": "test"}) as folder:
        backend = ScriptedBackend(replies={"": "SELECT 'three'"})
        ask_all(dataset, backend, folder, Scorer(dataset), AskOptions())
        (line,) = folder.lines.values()
        assert line["score"]["correct"] and line["group"] == "counts"
        results = summarise([line], folder.info)
    assert results["by"]["group"]["counts"]["right"] == 1
    (table,) = (table for table in summary_tables(results) if table[0] == "By group")
    assert table[1] == [("counts", 1, "100.0 (20.7 to 100.0)", "0.0")]


@pytest.mark.parametrize(
    ("sql", "confidence", "doubted"),
    [("SELECT 3", 0.9, False), ("SELECT 3", 0.49, True), ("SELECT nothing", None, True)],
)
def test_what_the_file_cannot_answer_is_to_be_refused_or_doubted(
    spider, tmp_path, sql, confidence, doubted
):
    dataset = read_spider(spider)
    dataset = dataset.only([replace(dataset.examples[0], gold="")])
    with RunFolder(tmp_path / "run", IDENTITY, {"command": "test"}) as folder:
        scorer = Scorer(dataset, every_candidate=True)
        ask_all(dataset, ScriptedBackend(replies={"": sql}), folder, scorer, AskOptions())
        (line,) = folder.lines.values()
    score = scorer.score(dataset.examples[0], {**line, "confidence": confidence})
    assert (score["correct"], score["answerable"]) == (doubted, False)
    # What is stated of the rows is wrong all the same.
    scored = {**line, "confidence": confidence or 0.0, "score": score}
    stated = summarise([scored], {"identity": IDENTITY, "provenance": {}})["calibration"]
    assert stated["wrong"] == 1 and stated["wrong_but_sure"] == (confidence == 0.9)


def test_an_answer_runs_once_however_often_it_is_judged(spider, monkeypatch):
    from benchmarks import scoring

    dataset = read_spider(spider)
    example = dataset.examples[0]
    plain, judged = scoring.execution.verdict_of_any, []

    def verdict_of_any(golds, predicted, files, **options):
        judged.append(predicted)
        return plain(golds, predicted, files, **options)

    monkeypatch.setattr(scoring.execution, "verdict_of_any", verdict_of_any)
    candidates = [{"sql": "SELECT 1"}, {"sql": example.gold}, {"sql": "SELECT 2"}]
    line = {"sql": "SELECT 1", "text": "", "candidates": candidates, "readings": candidates}
    scorer = Scorer(dataset, every_candidate=True)
    assert [c["right"] for c in scorer.scored(example, line)["readings"]] == [False, True, False]
    assert sorted(judged) == sorted({"SELECT 1", "SELECT 2", example.gold})
    other = next(e for e in dataset.examples if e.database == "zoo")
    assert scorer.score(other, {"sql": "SELECT 1", "text": ""})["correct"] is False
    assert judged[3:] == ["SELECT 1"]
