"""NumPy's warnings, kept quiet for one call."""

import threading
import warnings

import numpy as np
import pytest
from minigen_kernels.silence import quietly

ZERO = np.zeros(3)


@pytest.fixture(autouse=True)
def every_warning_is_an_error():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def test_nothing_is_said_of_what_is_not_finite_within_and_all_of_it_outside():
    assert np.isnan(quietly(np.divide, ZERO, ZERO)).all()
    assert np.isinf(quietly(np.exp, np.full(3, 1e4))).all()
    with pytest.raises(RuntimeWarning, match="invalid value"):
        np.divide(ZERO, ZERO)


def test_who_wants_an_exception_outside_still_gets_one():
    with np.errstate(all="raise"):
        quietly(np.log, ZERO)
        with pytest.raises(FloatingPointError):
            np.log(ZERO)


def test_within_itself_it_is_quiet_too_and_hands_on_errors():
    assert np.isnan(quietly(lambda: quietly(np.divide, ZERO, ZERO))).all()
    calls = []

    def fail():
        calls.append(1)
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        quietly(fail)
    assert len(calls) == 1
    assert np.isnan(quietly(np.divide, ZERO, ZERO)).all()


def test_several_threads_are_quiet_at_once():
    together, found = threading.Barrier(3), []

    def divide():
        quietly(lambda: (together.wait(10), found.append(np.divide(ZERO, ZERO))))

    threads = [threading.Thread(target=divide) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert np.isnan(found).all()
    assert len(found) == 3
