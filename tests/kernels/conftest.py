"""What several tests of the kernels need."""

import os
import platform
import subprocess
import sys

import pytest
from minigen_kernels.cpu.tile import LANES

PROCESSORS = {  # LLVM's name, its features, and how many numbers a vector has
    "sse2": ("x86-64", "+sse2", 4),
    "avx2": ("haswell", "+avx,+avx2,+fma", 8),
    # AVX2's instructions, two for each vector: what minigen would do on a processor with AVX-512.
    "avx512": ("haswell", "+avx,+avx2,+fma", 16),
}


@pytest.fixture(params=[name for name, (*_, lanes) in PROCESSORS.items() if lanes != LANES])  # all tests have ours
def on_another_processor(request, tmp_path):
    """Runs a program compiled for another x86 processor, which this one can stand in for, in a process of its own."""
    if platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip("instruction sets of x86 processors")
    name, features, lanes = PROCESSORS[request.param]
    # Numba has read what it is to compile for before minigen asks.
    before = """
import os, numba
os.environ["NUMBA_CPU_FEATURES"] += ",+avx512f"
"""
    after = """
from minigen_kernels.cpu import tile
print(tile.LANES)
"""
    kept = {"NUMBA_CACHE_DIR": str(tmp_path)} if lanes == 16 else {}  # or else what AVX2 is given would be found there

    def run(program):
        environment = {**os.environ, "NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": features, **kept}
        whole = (before if lanes == 16 else "") + program + after
        done = subprocess.run(
            [sys.executable, "-c", whole], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.split() == [str(lanes)]

    return run
