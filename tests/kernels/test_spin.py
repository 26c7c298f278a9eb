"""Waiting awake: what one thread writes, another sees, and nobody waits for ever."""

import threading

import numpy as np
from minigen_kernels.cpu.spin import tell_and_wait, wait_for_change


def test_a_number_that_is_already_another_is_not_waited_for():
    assert wait_for_change(np.array([3]), 2, 1, 5)


def test_who_waits_in_vain_gives_up():
    assert not wait_for_change(np.array([2]), 2, 1000, 0)


def test_two_threads_answer_each_other_and_see_what_was_written_before():
    numbers, letters = np.zeros((2, 16), np.int64), np.zeros(1)
    rounds, read = 200, []
    forever = 2**60

    def answer() -> None:
        for i in range(rounds):
            tell_and_wait(numbers[1], i, numbers[0], i, forever, 0)
            read.append(letters[0])
        tell_and_wait(numbers[1], rounds, numbers[0], 0, 1, 0)

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    for i in range(rounds):
        letters[0] = i
        tell_and_wait(numbers[0], i + 1, numbers[1], i, forever, 0)
    thread.join(timeout=20)
    assert read == list(range(rounds))
