from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

_SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "llama_cmake_args.py"


@pytest.fixture(scope="module")
def cmake_args():
    spec = importlib.util.spec_from_file_location("llama_cmake_args", _SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.cmake_args


def test_amx_is_never_built_whatever_the_processor_has(cmake_args):
    sapphire_rapids = (
        "sse4_2 avx avx2 fma f16c bmi2 avx_vnni avx512f avx512cd avx512bw avx512dq avx512vl "
        "avx512vbmi avx512_vnni avx512_bf16 amx_bf16 amx_tile amx_int8"
    )
    args = cmake_args("x86_64", f"processor\t: 0\nflags\t\t: fpu {sapphire_rapids}\n")
    assert "AMX" not in args and "-DGGML_NATIVE=OFF" in args
    assert "=OFF" not in args.replace("-DGGML_NATIVE=OFF", "")


def test_what_an_old_processor_lacks_is_left_out(cmake_args):
    args = cmake_args("x86_64", "flags\t: sse4_2 avx f16c avx512f\n").split()
    assert {"-DGGML_AVX=ON", "-DGGML_AVX2=OFF", "-DGGML_FMA=OFF", "-DGGML_AVX512=OFF"} <= set(args)


def test_elsewhere_llama_cpp_chooses(cmake_args):
    assert cmake_args("arm64", "") == cmake_args("aarch64", "Features : fp asimd") == ""
    assert cmake_args("AMD64", "") == "-DGGML_NATIVE=OFF"
