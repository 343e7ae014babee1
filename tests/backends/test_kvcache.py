from __future__ import annotations

import os

import pytest

from t2sql_tui.backends.kvcache import PrefixCache, overlap


def tokens(n: int, length: int = 50) -> list[int]:
    return [n] * length


@pytest.mark.parametrize(
    "a, b, shared",
    [
        ([], [], 0),
        ([1], [], 0),
        ([1, 2], [1, 2], 2),
        ([1, 2, 3], [1, 2, 4], 2),
        ([1], [2], 0),
        ((1, 2), [1, 2, 3], 2),
    ],
)
def test_overlap(a, b, shared):
    assert overlap(a, b) == overlap(b, a) == shared


def test_the_longest_overlap_is_found(tmp_path):
    for folder in (None, tmp_path):
        cache = PrefixCache("m", folder)
        cache.put([1, 2, 3], b"short")
        cache.put([1, 2, 3, 4, 5, 6], b"long")
        again = PrefixCache("m", folder) if folder else cache
        assert again.best([1, 2, 3, 4, 5, 9], at_least=2) == ((1, 2, 3, 4, 5, 6), b"long")
        assert again.best([1, 2, 3, 4, 5, 9], at_least=6) is None
        assert again.best([7, 8], at_least=1) is None


def test_memory_is_bounded(tmp_path):
    cache = PrefixCache("m", None, memory_bytes=300)
    for n in range(5):
        cache.put(tokens(n), bytes(100))
        cache.best(tokens(0), at_least=1)  # in use, so it stays
    assert [n for n in range(5) if cache.best(tokens(n), at_least=1)] == [0, 3, 4]


def test_the_disk_is_bounded_over_all_models(tmp_path):
    (tmp_path / "old").mkdir()
    left_by_a_killed_process = tmp_path / "old" / "half.tmp"
    left_by_a_killed_process.write_bytes(bytes(500))
    os.utime(left_by_a_killed_process, (0, 0))
    for n in range(6):
        cache = PrefixCache(f"model {n % 2}", tmp_path, memory_bytes=0, disk_bytes=3000)
        cache.put(tokens(n), bytes(600))
        for place, path in enumerate(sorted(tmp_path.glob("*/*.kv"), key=os.path.getmtime)):
            os.utime(path, (1000 + place, 1000 + place))
    assert not left_by_a_killed_process.exists()
    assert sum(path.stat().st_size for path in tmp_path.glob("*/*")) <= 3000
    found = [
        n for n in range(6) if PrefixCache(f"model {n % 2}", tmp_path).best(tokens(n), at_least=1)
    ]
    assert found == [3, 4, 5]  # 24 + 200 + 600 bytes each


def test_what_was_used_lately_stays(tmp_path):
    cache = PrefixCache("m", tmp_path, memory_bytes=0, disk_bytes=2000)
    for n in (0, 1):
        cache.put(tokens(n), bytes(600))
    for path in tmp_path.glob("*/*.kv"):
        os.utime(path, (1000, 1000))
    cache.best(tokens(0), at_least=1)
    cache.put(tokens(2), bytes(600))
    assert [n for n in range(3) if cache.best(tokens(n), at_least=1)] == [0, 2]


def test_a_state_larger_than_the_bound_is_not_written(tmp_path):
    cache = PrefixCache("m", tmp_path, memory_bytes=10_000, disk_bytes=1000)
    cache.put(tokens(1), bytes(2000))
    assert not list(tmp_path.glob("*/*"))
    assert cache.best(tokens(1), at_least=1)


def test_a_full_disk_leaves_no_half_file(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    cache = PrefixCache("m", tmp_path)
    cache.put(tokens(1), bytes(100))
    assert not list(tmp_path.glob("*/*"))
    assert cache.best(tokens(1), at_least=1)
