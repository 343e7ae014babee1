from __future__ import annotations

import sys

from t2sql_tui.backends.diagnosis import _findings_of, diagnose


def test_a_working_machine(tiny_gguf):
    findings = {name: (ok, detail) for name, ok, detail in diagnose(tiny_gguf)}
    assert all(ok for ok, _ in findings.values()), findings
    assert "llama-cpp-python" in findings["llama.cpp"][1]
    assert "tokens a second" in findings["decoding"][1]
    assert "decoding" not in {name for name, *_ in diagnose(None)}


def test_bad_weights_are_a_finding(tmp_path):
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(b"nothing")
    _, ok, detail = diagnose(bad)[-1]
    assert not ok and "bad.gguf" in detail


def test_a_crash_is_a_finding_and_what_came_before_is_kept():
    crash = 'print(\'["llama.cpp", true, "fine"]\', flush=True); os.kill(os.getpid(), 11)'
    found = _findings_of([sys.executable, "-c", f"import os; {crash}"])
    assert found[0] == ("llama.cpp", True, "fine")
    assert found[1][:2] == ("decoding", False) and "SIGSEGV" in found[1][2]


def test_other_ends_are_findings_too():
    (found,) = _findings_of([sys.executable, "-c", "raise ImportError('no such library')"])
    assert found == ("llama.cpp", False, "ImportError: no such library")
    (found,) = _findings_of([sys.executable, "-c", "import time; time.sleep(9)"], timeout=0.2)
    assert not found[1] and "within" in found[2]
