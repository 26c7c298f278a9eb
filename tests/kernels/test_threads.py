"""The thread pool, and what importing the kernels does to a process."""

import contextvars
import multiprocessing
import subprocess
import sys
import threading
import time
import warnings
import weakref
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

import numpy as np
import pytest
from minigen_kernels import cpu
from minigen_kernels.cpu import share, threads
from minigen_kernels.cpu.threads import num_threads, parallel_for, set_num_threads
from minigen_kernels.environment import WrongSetting


@pytest.fixture(autouse=True)
def _four_threads():
    before = num_threads()
    set_num_threads(4)
    yield
    set_num_threads(before)


def count_calls(n: int) -> list[int]:
    """How often parallel_for calls its task with each of 0, ..., n - 1."""
    calls = [0] * n

    def task(i: int) -> None:
        calls[i] += 1

    parallel_for(task, n)
    return calls


@pytest.mark.parametrize("n", [0, 1, 2, 1000])
def test_every_task_runs_once(n):
    assert count_calls(n) == [1] * n


def test_tasks_run_side_by_side():
    barrier = threading.Barrier(4)  # lets nobody through until four have come
    parallel_for(lambda i: barrier.wait(timeout=20), 4)


def test_with_one_thread_tasks_run_in_order_on_the_calling_thread():
    set_num_threads(1)
    seen: list[tuple[int, int]] = []
    parallel_for(lambda i: seen.append((i, threading.get_ident())), 5)
    assert seen == [(i, threading.get_ident()) for i in range(5)]


def test_a_task_may_start_tasks_of_its_own():
    results = [[0]] * 50

    def task(i: int) -> None:
        results[i] = count_calls(7)

    parallel_for(task, 50)
    assert results == [[1] * 7] * 50


def test_several_threads_may_call_at_once():
    with ThreadPoolExecutor(8) as callers:
        results = list(callers.map(lambda _: count_calls(200), range(40)))
    assert results == [[1] * 200] * 40


def test_the_number_of_threads_may_change_while_others_work():
    with ThreadPoolExecutor(4) as callers:
        futures = [callers.submit(count_calls, 200) for _ in range(40)]
        for n in range(1, 20):
            set_num_threads(n % 5 + 1)
        assert all(future.result() == [1] * 200 for future in futures)


def test_a_helper_that_finds_a_call_and_the_order_to_leave_does_both():
    helper = threads._Helper(threads.new_board(2), 1)
    time.sleep(0.1)
    calls = []
    helper.inbox.extend([threads._Call(lambda: calls.append(1), contextvars.copy_context(), SimpleQueue(), 0), None])
    helper.called[0] += 2
    helper.wake()
    helper.thread.join(timeout=20)
    assert not helper.thread.is_alive()
    assert calls == [1]


def test_helpers_that_could_not_be_started_are_asked_for_again(monkeypatch):
    set_num_threads(4)
    count_calls(5)
    set_num_threads(3)
    start, begun = threading.Thread.start, []

    def fail_at_the_second(thread):
        begun.append(thread)
        if len(begun) == 2:
            raise RuntimeError("can't start new thread")
        start(thread)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail_at_the_second)
        with pytest.raises(RuntimeError, match="new thread"):
            count_calls(5)
    assert threads._board is None
    assert count_calls(5) == [1] * 5
    assert len(threads._helpers) == 2


def test_an_exception_reaches_the_caller_and_stops_the_rest():
    calls = []

    def task(i: int) -> None:
        calls.append(i)
        if i == 3:
            raise KeyError("three")

    with pytest.raises(KeyError, match="three"):
        parallel_for(task, 100_000)
    assert len(calls) < 100_000
    assert count_calls(10) == [1] * 10  # the pool goes on working


def test_tasks_see_the_callers_floating_point_settings():
    barrier = threading.Barrier(4)

    def task(i: int) -> None:
        barrier.wait(timeout=20)
        np.float64(1) / np.float64(0)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with np.errstate(divide="ignore"):
            parallel_for(task, 4)
        with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
            parallel_for(task, 4)


def convolve_in_a_child(expected: np.ndarray) -> None:
    assert count_calls(100) == [1] * 100
    barrier = threading.Barrier(4)
    parallel_for(lambda i: barrier.wait(timeout=20), 4)
    np.testing.assert_array_equal(cpu.conv2d(*convolution()), expected)


def convolution() -> tuple:
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((16, 8, 32, 32)), rng.standard_normal((16, 8, 3, 3))
    return x, w, (1, 1), (1, 1, 1, 1), (1, 1), 1


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_gets_a_pool_of_its_own():
    expected = cpu.conv2d(*convolution())  # starts the parent's pool
    child = multiprocessing.get_context("fork").Process(target=convolve_in_a_child, args=(expected,))
    child.start()
    child.join(timeout=60)
    assert child.exitcode == 0


def test_kernels_may_be_called_from_several_threads_at_once():
    expected = cpu.conv2d(*convolution())
    with ThreadPoolExecutor(4) as callers:
        for result in callers.map(lambda _: cpu.conv2d(*convolution()), range(12)):
            np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("n", [0, -1])
def test_fewer_threads_than_one_are_refused(n):
    with pytest.raises(ValueError, match=rf"set_num_threads\({n}\): the number of threads must be at least 1"):
        set_num_threads(n)


def test_the_environment_sets_the_number_of_threads(monkeypatch):
    monkeypatch.setenv("MINIGEN_NUM_THREADS", "3")
    monkeypatch.setattr(threads, "_threads", None)
    assert num_threads() == 3


@pytest.mark.parametrize("text", ["0", "-2", "two", "1.5", "1025", "9" * 20])
def test_a_wrong_number_in_the_environment_is_answered_with_a_sentence(monkeypatch, text):
    monkeypatch.setenv("MINIGEN_NUM_THREADS", text)
    monkeypatch.setattr(threads, "_threads", None)
    with pytest.raises(WrongSetting, match=f"MINIGEN_NUM_THREADS='{text}': it must be a whole number of threads"):
        num_threads()


def test_an_empty_setting_is_none(monkeypatch):
    monkeypatch.setattr(threads, "_threads", None)
    monkeypatch.delenv("MINIGEN_NUM_THREADS", raising=False)
    expected = num_threads()
    monkeypatch.setattr(threads, "_threads", None)
    monkeypatch.setenv("MINIGEN_NUM_THREADS", "")
    assert num_threads() == expected


def in_a_new_process(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_the_reference_is_cheap():
    code = "import sys, minigen_kernels.reference; print({'numba', 'scipy', 'minigen'} & set(sys.modules))"
    assert in_a_new_process(code) == "set()"


def test_importing_the_cpu_kernels_compiles_nothing_and_needs_no_minigen():
    code = """if True:
        import sys
        from minigen_kernels.cpu import depthwise, depthwise_vectors, patches
        assert "minigen" not in sys.modules
        modules = depthwise, depthwise_vectors, patches
        compiled = [getattr(value, "signatures", []) for m in modules for value in vars(m).values()]
        print(sum(map(len, compiled)))
    """
    assert in_a_new_process(code) == "0"


def test_importing_the_cpu_kernels_leaves_blas_one_thread():
    code = """if True:
        import minigen_kernels.cpu, threadpoolctl
        print({pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"})
    """
    assert in_a_new_process(code) in ("{1}", "set()")  # the second where threadpoolctl does not know the BLAS


def test_the_board_of_a_kernel_that_runs_alone_is_kept_while_it_runs(monkeypatch):
    """Threads that begin at once each make one, and only the last is kept for later."""
    made, kept = [], []

    def nobody():
        board = share.nobody.__wrapped__()
        made.append(weakref.ref(board.numbers))
        return board

    monkeypatch.setattr(threads, "nobody", nobody)
    threads.run_shared(lambda *arguments: kept.append(made[-1]() is not None), 1)
    assert kept == [True]
