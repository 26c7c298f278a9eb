"""Random bits on CUDA: the known answers, the CPU's stream in any order of the threads, and mutants."""

from functools import partial

import numpy as np
import pytest

pytest.importorskip("numba.cuda", reason="simulating kernels needs Numba's CUDA target: pip install numba-cuda")

import contextlib

from minigen_kernels import philox as plain
from minigen_kernels.cuda import philox, running
from minigen_kernels.cuda.simulator import KernelFault, simulate
from minigen_kernels.cuda.simulator.rewriting import simulated

KEYS = [0, 2**64 - 1, 0x299F31D0A4093822]


@pytest.mark.parametrize(
    ("counter", "key", "answer"),  # of Random123, the authors' library
    [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((2**32 - 1,) * 4, (2**32 - 1,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_ten_rounds_give_the_known_answers_without_an_overflow(counter, key, answer):
    with np.errstate(all="raise"):
        words = simulated(philox.ten_rounds)(*map(np.uint32, (*counter, *key)))
    assert tuple(map(int, words)) == answer


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("order", ["forward", "reverse", 7])
def test_the_stream_is_the_cpu_s(key, order, monkeypatch):
    monkeypatch.setattr(running, "simulate", partial(simulate, order=order))
    for count in (0, 1, 16, 63, 64, 65, 700):
        bits = philox.random_bits(philox.words(key), count)
        assert bits.dtype == np.uint32
        np.testing.assert_array_equal(bits, plain.random_bits(key, count))


def test_an_index_moved_is_told_apart(mutants):
    expected = plain.random_bits(7, 200)
    broken = list(mutants(philox))
    assert len(broken) == 6
    for what, mutant in broken:
        with contextlib.suppress(KernelFault):
            assert not np.array_equal(mutant.random_bits(philox.words(7), 200), expected), what


def test_more_words_than_indices_reach_are_refused():
    with pytest.raises(ValueError, match="as many as CUDA kernels index"):
        philox.random_bits(philox.words(0), 1 << 31)
