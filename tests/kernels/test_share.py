"""Pieces of compiled work: each runs once, on several threads where there are some, and nobody waits for ever."""

import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from minigen_kernels.cpu import threads
from minigen_kernels.cpu.compiled import compiled
from minigen_kernels.cpu.share import ALL, hand_out, new_board
from minigen_kernels.cpu.spin import add, load, pause
from minigen_kernels.cpu.threads import num_threads, parallel_for, run_shared, set_num_threads


@pytest.fixture(autouse=True)
def _four_threads():
    before = num_threads()
    set_num_threads(4)
    yield
    set_num_threads(before)


@compiled()
def _count(board, n, piece, worker, calls, scale):
    if piece == ALL:
        hand_out(board, n, (calls, scale))
        return
    add(calls[piece:].ctypes.data, scale)


def count_calls(n: int) -> list[int]:
    """How often each of n pieces is run."""
    calls = np.zeros(n + 1, np.int64)
    run_shared(_count, n, calls, 1)
    return calls[:n].tolist()


@compiled()
def _note_and_wait(piece, worker, workers, met, looks):
    """Notes the worker, and waits until all pieces have begun, or for a long time."""
    workers[piece] = worker
    add(met.ctypes.data, 1)
    for _ in range(looks):
        if load(met.ctypes.data) >= workers.size:
            return
        pause()


@compiled()
def _meet(board, n, piece, worker, workers, met, looks):
    """Pieces each of which waits for the others."""
    if piece == ALL:
        hand_out(board, n, (workers, met, looks))
    else:
        _note_and_wait(piece, worker, workers, met, looks)


def workers_that_meet(n: int) -> set[int]:
    """The workers of n pieces each of which waits for the others to begin.

    Nobody waits for a helper that comes too late, as on a machine with much else to do; so there are several trials.
    """
    for _ in range(20):
        workers = np.full(n, -1)
        run_shared(_meet, n, workers, np.zeros(1, np.int64), 10**7)
        if len(set(workers.tolist())) == n:
            break
    return set(workers.tolist())


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("n", [0, 1, 2, 3, 1000])
def test_every_piece_runs_once(n, threads):
    set_num_threads(threads)
    assert count_calls(n) == [1] * n


@compiled()
def _record(board, n, piece, worker, step, seen, number, factor, pair, flag):
    """Two steps of two numbers of pieces, and arguments of all kinds."""
    if piece == ALL:
        hand_out(board, n, (1, seen, number, factor, pair, flag))
        hand_out(board, n + 1, (2, seen, number + 1, factor, pair, flag))
    elif flag:
        seen[step - 1, piece] = number + factor * pair[0] + pair[1]


@pytest.mark.parametrize("threads", [1, 3])
def test_a_kernel_may_hand_out_several_times_and_pieces_see_the_arguments_of_their_time(threads):
    set_num_threads(threads)
    for flag in (True, False):
        seen = np.zeros((2, 8))
        run_shared(_record, 7, 0, seen, 5, np.float32(0.5), (4, 0.25), flag)
        np.testing.assert_array_equal(seen[0], [7.25 * flag] * 7 + [0])
        np.testing.assert_array_equal(seen[1], [8.25 * flag] * 8)


@pytest.mark.parametrize("rooms", [1, 3, 4])
def test_only_as_many_workers_take_part_as_there_are_rooms(rooms):
    workers = np.full(4, -1)
    run_shared(_meet, 4, workers, np.zeros(1, np.int64), 10**5, rooms=rooms)
    assert workers.max() < rooms


@pytest.mark.parametrize("n", [2, 3, 4])
def test_pieces_run_side_by_side_each_on_a_worker_of_its_own(n):
    workers = workers_that_meet(n)
    assert len(workers) == n
    assert workers <= {0, 1, 2, 3}


def test_sleeping_helpers_are_woken():
    workers_that_meet(4)
    time.sleep(0.2)  # they fall asleep after a few milliseconds
    assert workers_that_meet(4) == {0, 1, 2, 3}


def wait_until(condition: Callable[[], bool]) -> bool:
    """Whether it has come true within ten seconds."""
    for _ in range(10_000):
        if condition():
            return True
        time.sleep(0.001)
    return False


def test_a_helper_does_not_sleep_while_a_job_may_open(monkeypatch):
    """Or it would sleep through that job, as nobody rang for it: it was awake when the caller came."""
    looks: list[object] = []

    def look(*numbers: object) -> bool:
        looks.append(numbers)
        return False  # there is nothing to do

    monkeypatch.setattr(threads, "wait_and_help", look)
    monkeypatch.setattr(threads, "_announced", True)
    helper = threads._Helper(new_board(2), 1)
    assert wait_until(lambda: len(looks) > 10)
    for _ in range(100):  # callers that find it napping ring
        helper.wake()
        time.sleep(0.0001)
    monkeypatch.setattr(threads, "_announced", False)  # the last job is over
    assert wait_until(lambda: helper.asleep and helper.bell.empty())
    time.sleep(0.1)  # a last nap
    seen = len(looks)
    time.sleep(0.1)
    assert len(looks) == seen
    helper.leave()
    helper.thread.join(timeout=10)
    assert not helper.thread.is_alive()


@compiled()
def _two_steps(board, n, piece, worker, step, workers, met, looks):
    """A step of which the caller's piece takes long, and one of pieces each of which waits for the other."""
    if piece == ALL:
        hand_out(board, 2, (1, workers, met, looks))
        hand_out(board, 2, (2, workers, met, looks))
    elif step == 1:
        for _ in range(looks // 100 if worker == 0 else 0):
            pause()
    else:
        _note_and_wait(piece, worker, workers, met, looks)


def test_helpers_take_part_in_every_step_though_one_takes_long():
    set_num_threads(2)
    taken = set()
    for _ in range(20):  # trials, as in `workers_that_meet`
        workers = np.full(2, -1)
        run_shared(_two_steps, 2, 0, workers, np.zeros(1, np.int64), 10**7)
        taken = set(workers.tolist())
        if taken == {0, 1}:
            break
    assert taken == {0, 1}


def test_work_in_python_and_compiled_work_take_turns():
    for _ in range(50):
        results = [0] * 20
        parallel_for(lambda i, results=results: results.__setitem__(i, 1), 20)
        assert results == [1] * 20
        assert count_calls(20) == [1] * 20


def test_a_task_in_python_may_share_out_pieces():
    results: list[list[int]] = [[]] * 30

    def task(i: int) -> None:
        results[i] = count_calls(9)

    parallel_for(task, 30)
    assert results == [[1] * 9] * 30


def test_several_threads_may_call_at_once_while_the_number_of_threads_changes():
    with ThreadPoolExecutor(6) as callers:
        futures = [callers.submit(count_calls, 200) for _ in range(200)]
        for n in range(1, 20):
            set_num_threads(n % 5 + 1)
        assert all(future.result() == [1] * 200 for future in futures)


def test_a_job_that_helpers_come_late_to_is_closed_to_them():
    """Thousands of tiny jobs: often a helper arrives when the pieces, or the whole job, are over."""
    calls = np.zeros(3, np.int64)
    for _ in range(20_000):
        run_shared(_count, 2, calls, 1)
    assert calls.tolist() == [20_000, 20_000, 0]


def count_in_a_child() -> None:
    assert count_calls(100) == [1] * 100
    assert workers_that_meet(4) == {0, 1, 2, 3}


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_gets_helpers_of_its_own():
    workers_that_meet(4)
    child = multiprocessing.get_context("fork").Process(target=count_in_a_child)
    child.start()
    child.join(timeout=60)
    assert child.exitcode == 0
