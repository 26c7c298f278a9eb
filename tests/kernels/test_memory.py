"""Asking the C library to keep freed memory changes no number."""

import subprocess
import sys

from minigen_kernels.cpu.memory import keep_freed_memory

PROGRAM = """
import numpy as np
from minigen_kernels.cpu import matmul
from minigen_kernels.cpu.memory import keep_freed_memory
if {keep}:
    keep_freed_memory()
rng = np.random.default_rng(0)
x, total = rng.standard_normal((300, 300)), 0.0
for _ in range(20):
    total += float(matmul(x, x).sum())
print(repr(total))
"""


def test_it_says_whether_it_did_and_changes_no_number():
    kept, plain = (
        subprocess.run([sys.executable, "-c", PROGRAM.format(keep=keep)], capture_output=True, text=True, check=True)
        for keep in (True, False)
    )
    assert kept.stdout == plain.stdout != ""


def test_another_system_or_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert keep_freed_memory() is False
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr("ctypes.CDLL", lambda name: object())
    assert keep_freed_memory() is False
