"""Prints CMAKE_ARGS that build llama.cpp for this processor, without AMX.

llama.cpp's own choice (GGML_NATIVE) takes AMX where the processor has it, and its AMX
kernels crash (`ldtilecfg` in ggml_backend_amx_mul_mat, GCC 12). So on x86 the options are
chosen here, by the processor's flags; on other processors llama.cpp chooses.
"""

from __future__ import annotations

import platform
from pathlib import Path

# llama.cpp's options and the flags in /proc/cpuinfo that each needs (ggml/CMakeLists.txt).
OPTIONS = {
    "SSE42": {"sse4_2"},
    "AVX": {"avx"},
    "AVX2": {"avx2"},
    "FMA": {"fma"},
    "F16C": {"f16c"},
    "BMI2": {"bmi2"},
    "AVX_VNNI": {"avx_vnni"},
    "AVX512": {"avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"},
    "AVX512_VBMI": {"avx512vbmi"},
    "AVX512_VNNI": {"avx512_vnni"},
    "AVX512_BF16": {"avx512_bf16"},
}


def cmake_args(machine: str, cpuinfo: str) -> str:
    """`machine` as from platform.machine(); `cpuinfo` the text of /proc/cpuinfo, or ""."""
    if machine.lower() not in ("x86_64", "amd64"):
        return ""
    if not cpuinfo:  # not Linux: AVX2 is llama.cpp's default then
        return "-DGGML_NATIVE=OFF"
    flags = next(line for line in cpuinfo.splitlines() if line.startswith("flags"))
    has = set(flags.split())
    chosen = [f"-DGGML_{name}={'ON' if needs <= has else 'OFF'}" for name, needs in OPTIONS.items()]
    return " ".join(["-DGGML_NATIVE=OFF", *chosen])


if __name__ == "__main__":
    file = Path("/proc/cpuinfo")
    print(cmake_args(platform.machine(), file.read_text() if file.exists() else ""))
