from __future__ import annotations

import pytest

from t2sql_tui.core.errors import ModelError
from t2sql_tui.core.models import catalog
from t2sql_tui.core.models.catalog import DEFAULT_MODEL, find_model, load_catalog
from t2sql_tui.core.prompting.chat import CHAT_FORMATS
from t2sql_tui.core.prompting.prompt import PROMPTS


@pytest.mark.parametrize("spec", load_catalog().values(), ids=str)
def test_every_model_can_be_fetched_verified_and_prompted(spec):
    assert spec.bytes > 50e6 and len(bytes.fromhex(spec.sha256)) == 32
    assert spec.title and spec.licence and spec.base and spec.file.endswith(".gguf")
    assert spec.chat_format in CHAT_FORMATS and spec.prompt_version in PROMPTS
    assert [source.kind for source in spec.sources] == ["hub", "wheels"]
    for source in spec.sources:
        if source.kind == "hub":
            assert len(bytes.fromhex(source.revision)) == 20  # a commit, not a branch
            assert source.file and "/" in source.repo
        else:
            assert source.parts == 1 or source.package.format(n=1) != source.package
            assert source.version and source.member.format(n=source.parts)
    card = (catalog.models_source() / spec.name / "README.md").read_text()
    assert spec.sha256 in card and spec.licence in card and f"{spec.bytes:,}" in card


def test_the_default_comes_first():
    assert next(iter(load_catalog())) == DEFAULT_MODEL == find_model().name


def test_weights_are_found_where_the_store_keeps_them(tmp_path, monkeypatch):
    monkeypatch.setenv("T2SQL_MODELS", str(tmp_path))
    spec = find_model(DEFAULT_MODEL)
    assert spec.path is None
    (tmp_path / spec.file).touch()
    assert find_model(DEFAULT_MODEL).path == tmp_path / spec.file


def test_a_typing_error_gets_the_nearest_name():
    with pytest.raises(ModelError, match="no model") as caught:
        find_model("qwen-coder-0.5b")
    assert 'Did you mean "qwen2.5-coder-0.5b"?' in caught.value.hint


def test_the_published_weights_can_be_had_without_our_adapter():
    for name, spec in load_catalog().items():
        plain = find_model(f"{name}-base")
        assert plain.adapter is None and plain.name == f"{name}-base"
        assert (plain.file, plain.sha256) == (spec.file, spec.sha256)


@pytest.fixture
def write(tmp_path):
    from tiny_gguf import write_tiny_gguf

    return lambda **options: write_tiny_gguf(tmp_path / "my model.gguf", **options)


def test_any_gguf_describes_itself(write):
    spec = find_model(write(metadata={"general.license": "mit"}))
    assert (spec.name, spec.title, spec.licence) == ("my model", "tiny random qwen2", "mit")
    assert (spec.chat_format, spec.prompt_version, spec.context) == ("chatml+bos", "v1", 2048)
    assert spec.path.name == "my model.gguf"


def test_our_exports_say_what_they_were_trained_for(write):
    version = sorted(PROMPTS)[-1]
    spec = find_model(
        write(metadata={"t2sql.prompt_version": version, "t2sql.chat_format": "gemma"})
    )
    assert (spec.prompt_version, spec.chat_format) == (version, "gemma")


@pytest.mark.parametrize("key", ["prompt_version", "chat_format"])
def test_what_this_program_does_not_have_is_refused(write, key):
    with pytest.raises(ModelError, match=f'{key.replace("_", " ")} "v99"') as caught:
        find_model(write(metadata={f"t2sql.{key}": "v99"}))
    assert "It has:" in caught.value.hint


@pytest.mark.parametrize("content", [b"", b"GGUF", b"GGUF" + bytes(20), b"hello" * 100])
def test_other_files_are_a_message(tmp_path, content):
    path = tmp_path / "x.gguf"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"x\.gguf"):
        find_model(path)


def test_a_header_cut_short_or_a_missing_file_is_a_message(write):
    path = write()
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(ModelError, match="damaged"):
        find_model(path)
    with pytest.raises(ModelError, match="Cannot read"):
        find_model(path.parent / "gone.gguf")


def test_an_unknown_key_in_a_model_toml_is_an_error(tmp_path):
    file = tmp_path / "some" / "model.toml"
    file.parent.mkdir()
    file.write_text('license = "MIT"')
    with pytest.raises(ModelError, match='did you mean "licence"'):
        catalog._read_spec(file)
