"""Compiles what a backward pass needs, in a second process, while this one compiles what the forward pass needs.

Numba compiles one function at a time. A first training step with convolutions needs some twenty large ones, and comes to
them one by one; the second process compiles those of the backward pass, and this one then finds them on the disk. On two
cores of a Zen 3, the first step of a DCGAN on a fresh install is over after 16 s, and not after 24. What both happen to
compile at once is compiled twice and kept once: whoever saves it last has saved the same. Where one core alone is free, the
second process saves nothing.

`python -m minigen_kernels.cpu.ahead` is that process.
"""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import sys

import numpy as np

from . import tile
from .threads import num_threads

COMMAND = (sys.executable, "-m", "minigen_kernels.cpu.ahead")


def compile_ahead() -> subprocess.Popen[bytes] | None:
    """Starts the second process, and does not wait for it; it ends when it is done, or with this one.

    Not with one thread, which is all that this process is to use; nor where what is compiled cannot be kept, or no process
    can be begun.
    """
    if num_threads() == 1 or tile.run_tiles.stats.cache_path is None:
        return None
    if "python" not in os.path.basename(sys.executable or "").lower():
        return None  # a program that has Python in it: begun anew, it would not do what is asked here
    nowhere = subprocess.DEVNULL
    environment = {**os.environ, "MINIGEN_NUM_THREADS": "1"}
    try:
        process = subprocess.Popen(COMMAND, env=environment, stdin=nowhere, stdout=nowhere, stderr=nowhere)
    except OSError:  # no more processes may be had
        return None
    atexit.register(_end, process)
    return process


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait()


def backward_pass() -> None:
    """Calls what the gradients of convolutional networks and their optimizer call, with the same types."""
    from . import activation, conv2d_weight_grad, matmul, normalization, softplus_grad, sums, updates

    def zeros(*shape: int) -> np.ndarray:
        return np.zeros(shape, np.float32)

    def images(n: int, c: int, size: int) -> np.ndarray:
        return zeros(n, size, size, c).transpose(0, 3, 1, 2)

    rows, vector, statistics = zeros(4096, 64), zeros(64), np.ones(64)
    states = np.zeros(rows.shape, np.uint8)
    around = (2, 2), (2, 2, 2, 2), (1, 1), 1, (5, 5)
    conv2d_weight_grad(images(64, 64, 14), images(64, 128, 7), *around)
    conv2d_weight_grad(images(64, 1, 28), images(64, 64, 14), *around)
    conv2d_weight_grad(images(64, 32, 14), images(64, 64, 7), (2, 2), (1, 1, 1, 1), (1, 1), 1, (4, 4))
    updates.adam(vector, vector.copy(), vector.copy(), vector.copy(), 0.9, 0.999, 1e-3, 1.0, 1e-8, 0.0, 1.0)
    sums.column_sums(rows)
    activation.scale_by_state(rows, states, 0.3, 0.0)
    activation.scale_by_sign_and_add(rows, rows, 0.3)
    normalization.normalize_grad(rows, rows, states, statistics, statistics, np.ones(64, np.float32), 0.3, 0.0, True)
    matmul(zeros(256, 1), zeros(1, 512))
    softplus_grad(vector, vector, 20.0)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the training: it goes on until its batch is done
    backward_pass()
