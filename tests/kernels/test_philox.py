"""Random bits from counters: the authors' known answers, the compiled twin, and places that never move."""

import numpy as np
import pytest
from minigen_kernels import cpu, philox
from scipy import stats

# kat_vectors of Random123, the authors' library: counter, key, result.
KNOWN = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((2**32 - 1,) * 4, (2**32 - 1,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]
KEYS = [0, 1, 2**64 - 1, 0x299F31D0A4093822]


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN)
def test_both_twins_give_the_known_answers(counter, key, answer):
    assert tuple(int(word) for word in philox.blocks(np.array(counter, np.uint64), key)) == answer
    assert tuple(map(int, cpu.philox.ten_rounds(*np.array([*counter, *key], np.uint32)))) == answer


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 5_000, 200_000])
def test_the_compiled_twin_draws_the_same_bits_whatever_the_number_of_threads(key, count):
    expected = philox.random_bits(key, count)
    assert expected.shape == (count,)
    before = cpu.num_threads()
    try:
        for threads in (1, 3):
            cpu.set_num_threads(threads)
            bits = cpu.philox.random_bits(key, count)
            assert bits.dtype == np.uint32
            np.testing.assert_array_equal(bits, expected)
    finally:
        cpu.set_num_threads(before)


def test_a_word_can_be_computed_alone_from_its_place():
    key, bits = KEYS[3], cpu.philox.random_bits(KEYS[3], 1000)
    for i in (0, 15, 16, 63, 64, 100, 999):
        block = np.array([16 * (i // 64) + i % 16, 0, 0, 0], np.uint64)
        assert philox.blocks(block, (key % 2**32, key >> 32))[i % 64 // 16] == bits[i]


def test_counters_go_on_past_32_bits():
    tile = 2**28  # its first counter is 2³²
    bits = np.empty(64, np.uint32)
    cpu.philox.draw_tiles(np.uint64(7), tile, bits)
    words = philox.blocks(np.array([[0, 3], [1, 1], [0, 0], [0, 0]], np.uint64), (7, 0))
    assert [int(bits[0]), int(bits[3])] == [int(word) for word in words[0]]


def test_words_are_uniform_and_keys_are_unlike_each_other():
    a, b = (cpu.philox.random_bits(key, 100_000) for key in (1, 2))
    assert stats.kstest(a / 2**32, "uniform").pvalue > 0.01
    assert abs(stats.pearsonr(a, b)[0]) < 0.01
    assert abs(stats.pearsonr(a[1:], a[:-1])[0]) < 0.01


@pytest.mark.parametrize(
    ("p", "least"),
    [(0.0, 0), (0.5, 2**31), (0.3, 1288490189), (2.0**-40, 1), (1.0, 2**32 - 1), (1 - 2**-50, 2**32 - 1)],
)
def test_an_element_is_kept_from_p_times_two_to_the_32_on(p, least):
    assert philox.dropout_threshold(p) == least
