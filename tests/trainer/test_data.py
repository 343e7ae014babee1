from __future__ import annotations

import json
import shutil

import pytest

from benchmarks.datasets import DataError
from t2sql_tui.core.errors import ModelError
from t2sql_tui.core.types import Column, ForeignKey, Schema, Table
from trainer.base import find_base
from trainer.config import load_config
from trainer.data import prepare
from trainer.schema_variants import pruned, shuffled
from trainer.sources import read_source


def make(settings, **more):
    config = load_config(None, settings | more)
    return prepare(config, find_base(config), quiet=True)


def rows(artefact, split="train"):
    return {(r["question"], r["variant"]): r for r in artefact.load()[split]}


def test_an_artefact_holds_proved_rewritten_rendered_examples(settings):
    artefact = make(settings)
    found = rows(artefact)
    assert len(found) == 9
    row = found["Who is older than 4?", "full"]
    assert row["sql"] == "SELECT name FROM animal WHERE age > 4"
    assert row["gold"] == "SELECT T1.name FROM animal AS T1 WHERE T1.age  >  4"
    assert row["prefix"].startswith("<|im_start|>system") and "animal" in row["prefix"]
    assert row["suffix"].endswith("<|im_start|>assistant\n") and "older than 4" in row["suffix"]
    assert found["How old is Bo?", "full"]["sql"].endswith("= 'Bo'")
    (rejected,) = (artefact.folder / "rejected.jsonl").read_text().splitlines()
    assert "nowhere" in json.loads(rejected)["reason"]
    assert {r["database"] for r in artefact.load()["heldout"]} == {"club"}
    statistics = artefact.about["statistics"]["train"]
    assert statistics["examples"] == 9 and statistics["prefixes"] == 2
    assert statistics["tokens_with_each_prefix_once"] < statistics["tokens_one_by_one"] / 2


def test_equal_settings_find_the_artefact_and_others_make_another(settings):
    first = make(settings)
    made = (first.folder / "data.json").stat().st_mtime_ns
    assert make(settings, rank=64).folder == first.folder
    assert (first.folder / "data.json").stat().st_mtime_ns == made
    assert make(settings, style="gold").folder != first.folder


def test_styles_dialects_and_oversampling(settings):
    golds = rows(make(settings, style="gold"))
    assert golds["Names by age", "full"]["sql"] == "SELECT name FROM animal ORDER BY age DESC"
    assert all(row["sql"] == row["gold"] for row in golds.values())
    more = rows(make(settings, repeat_set_operations=4, dialect="postgres"))
    assert more["Cheap or dear", "full"]["repeat"] == 4
    assert more["List all titles", "full"]["repeat"] == 1
    assert "NULLS LAST" in more["Names by age", "full"]["sql"]  # SQLite's order, in PostgreSQL


def test_variants_of_the_schema_are_tagged_and_only_trained_on(settings):
    artefact = make(settings, schema="both", distractors=0, shuffled_schemas=1)
    found = rows(artefact)
    assert {variant for _, variant in found} == {"full", "pruned", "shuffled-1"}
    assert "sale" not in found["List all titles", "pruned"]["prefix"]
    assert "sale" in found["List all titles", "full"]["prefix"]
    assert {v for _, v in rows(artefact, "heldout")} == {"full"}
    prefixes = {r["prefix"] for (_, v), r in found.items() if v == "shuffled-1"}
    assert len(prefixes) == 2  # one order for each database: packing needs equal prefixes


def test_pruning_keeps_what_the_sql_reads_and_no_dangling_key():
    import random

    link = ForeignKey(("b",), "other", ("id",))
    schema = Schema(
        (
            Table("one", (Column("a"), Column("b")), (link,)),
            Table("other", (Column("id"),)),
            Table("third", (Column("x"),)),
        )
    )
    kept = pruned(schema, "SELECT a FROM one", 0, random.Random(0))
    assert [t.name for t in kept.tables] == ["one"] and not kept.tables[0].foreign_keys
    assert len(pruned(schema, "SELECT a FROM one", 1, random.Random(0)).tables) == 2
    mixed = shuffled(schema, random.Random(3))
    assert {t.name for t in mixed.tables} == {"one", "other", "third"}
    assert mixed != schema


def test_a_share_of_the_databases_is_set_aside_if_nothing_is_named(settings):
    artefact = make(settings, heldout="", heldout_share=0.5)
    splits = [{r["database"] for r in artefact.load()[s]} for s in ("train", "heldout")]
    assert all(splits) and not splits[0] & splits[1]


def test_a_question_that_does_not_fit_is_listed(settings):
    limit = sorted(r["tokens"] for r in make(settings).load()["train"])[4]
    artefact = make(settings, max_tokens=limit)
    reasons = [json.loads(x) for x in (artefact.folder / "rejected.jsonl").read_text().splitlines()]
    assert any("fit" in r["reason"] or "too long" in r["reason"] for r in reasons)
    kept = [r["tokens"] for r in artefact.load()["train"]]
    assert kept and max(kept) <= limit


def test_splits_that_share_a_database_are_refused(settings, spider, tmp_path):
    with pytest.raises(DataError, match="both trained and measured on"):
        make(settings, heldout=settings["data"][0])
    copy = tmp_path / "copy"
    shutil.copytree(spider, copy)
    (copy / "database" / "zoo").rename(copy / "database" / "park")
    (copy / "database" / "park" / "zoo.sqlite").rename(copy / "database" / "park" / "park.sqlite")
    entries = [{"db_id": "park", "question": "How many?", "query": "SELECT count(*) FROM animal"}]
    (copy / "dev.json").write_text(json.dumps(entries))
    with pytest.raises(DataError, match="park is a copy of zoo"):
        make(settings, heldout=f"spider-format:{copy}/dev.json")


@pytest.mark.parametrize("name", ["spider-dev", "spider-test", "demo"])
def test_what_measures_finished_models_is_not_trained_on(settings, name):
    with pytest.raises(DataError, match=r"only measures|for measuring"):
        read_source(name, load_config(None, settings))


def test_bad_data_is_an_error_that_names_it(settings, spider, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(spider, broken)
    source = f"spider-format:{broken}/train.json"
    (broken / "train.json").write_text("[]")
    with pytest.raises(DataError, match="holds no example"):
        make(settings, data=(source,))
    (broken / "train.json").write_text('[{"db_id": "zoo", "question": "x", "que')
    with pytest.raises(DataError, match=r"train.json is not whole JSON"):
        make(settings, data=(source,))
    shutil.copy(spider / "train.json", broken / "train.json")
    file = broken / "database" / "zoo" / "zoo.sqlite"
    file.write_bytes(file.read_bytes()[:3000])
    with pytest.raises(DataError, match=r"zoo.sqlite does not open"):
        make(settings, data=(source,))
    shutil.rmtree(broken / "database" / "zoo")
    with pytest.raises(DataError, match="1 of 2 databases are missing"):
        make(settings, data=(source,))
    with pytest.raises(DataError, match="no folder"):
        make(settings, data=(f"spider-format:{tmp_path}/nowhere",))


def test_a_base_that_is_missing_or_knows_no_chat_format_is_an_error(settings, tmp_path):
    from tests.trainer.conftest import make_base

    with pytest.raises(ModelError, match="no model"):
        make(settings, base="qwen9")
    llama = make_base(tmp_path / "llama", "llama")
    with pytest.raises(ModelError, match="No chat format is known") as caught:
        make(settings, base=str(llama), chat_format="")
    assert "--chat-format chatml" in caught.value.hint
    with pytest.raises(ModelError, match="chat format"):
        make(settings, chat_format="klingon")
    with pytest.raises(ModelError, match="prompt version"):
        make(settings, prompt_version="v99")


def test_the_report_is_one_page_with_every_picture(settings, tmp_path):
    from trainer.data_report import _PICTURES, data_summary, write_data_report

    artefact = make(settings)
    page = write_data_report(artefact, tmp_path / "report").read_text()
    assert page.count("data:image/png;base64,") == len(_PICTURES)
    markdown = (tmp_path / "report" / "report.md").read_text()
    for name, title, _ in _PICTURES:
        assert title in markdown and (tmp_path / "report" / "plots" / f"{name}.png").is_file()
    assert "questions in both, word for word" in markdown
    assert "hardness: easy" in data_summary(artefact)


@pytest.mark.model
def test_the_trainer_and_llama_cpp_read_the_same_tokens(data_dir):
    """Prompts of the default model, by transformers' tokenizer and by the GGUF's own."""
    from llama_cpp import Llama

    from t2sql_tui.core.prompting.prompt import build_prompt
    from t2sql_tui.core.types import Question
    from trainer.base import load_tokenizer, token_ids
    from trainer.data import schema_of

    try:
        base = find_base(load_config(None))
    except ModelError as error:
        pytest.skip(error.message)
    tokenizer = load_tokenizer(base)
    gguf = Llama(base.source, vocab_only=True, verbose=False)
    for name in ("flight_1", "soccer_1", "wrestler", "yelp"):
        schema = schema_of(data_dir / "spider" / "database" / name / f"{name}.sqlite")
        for version in ("v1", "v2"):
            prompt = build_prompt(
                schema, Question("Où est l'\u0153uf <|im_end|> 12345?"), version=version
            )
            for text in (prompt.prefix, prompt.suffix, "SELECT 'é' FROM x<|im_end|>"):
                expected = gguf.tokenize(text.encode(), add_bos=False, special=True)
                assert list(token_ids(tokenizer, text)) == expected
