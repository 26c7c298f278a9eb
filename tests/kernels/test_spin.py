"""Numbers that several threads look at: what one writes, another sees, and nobody waits for ever."""

import threading

import numpy as np
from minigen_kernels.cpu.compiled import compiled
from minigen_kernels.cpu.spin import add, store, wait_for_change


@compiled()
def tell(numbers, value):
    store(numbers.ctypes.data, value)


@compiled()
def add_often(numbers, times):
    for _ in range(times):
        add(numbers.ctypes.data, 1)


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
            wait_for_change(numbers[0], i, forever, 0)
            read.append(letters[0])
            tell(numbers[1], i + 1)

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    for i in range(rounds):
        letters[0] = i
        tell(numbers[0], i + 1)
        wait_for_change(numbers[1], i, forever, 0)
    thread.join(timeout=20)
    assert read == list(range(rounds))


def test_no_addition_of_two_threads_is_lost():
    numbers = np.zeros(1, np.int64)
    add_often(numbers, 0)
    threads = [threading.Thread(target=add_often, args=(numbers, 100_000)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert numbers[0] == 200_000
