"""The simulated GPU's arrays: what CuPy refuses is refused, what waits is counted, and what is recorded can be replayed."""

import importlib
import inspect
import re

import numpy as np
import pytest

pytest.importorskip("numba.cuda", reason="kernels are written for Numba's CUDA target: pip install numba-cuda")

from minigen_kernels.cuda.production import conv2d, updates
from minigen_kernels.cuda.simulator import array_module as xp
from minigen_kernels.cuda.simulator.arrays import METHODS, Array, renewed
from minigen_kernels.cuda.simulator.tape import CaptureError, recording, transfers


def on_gpu(values, **options):
    return xp.asarray(np.asarray(values, np.float32), **options)


X = on_gpu([[1, 2, 3], [4, 5, 6]])
HERE = re.escape("test_arrays.py:")


@pytest.mark.parametrize(
    "mistake",
    [
        lambda: np.asarray(X),
        lambda: np.array([X, X]),
        lambda: X + np.ones(3),
        lambda: np.ones(3) * X,
        lambda: np.add(np.ones(3), X),
        lambda: X.__iadd__(np.ones(3)),
        lambda: xp.where(np.ones(3, bool), X, X),
        lambda: X.__setitem__(0, np.ones(3)),
        lambda: np.linalg.svd(X),
        lambda: np.where(np.ones(3, bool), X, X),
        lambda: xp.clip(X, 0, 1, casting="same_kind"),
        lambda: X.flags.writeable or xp.add(X, 1, where=X > 0),
        lambda: hash(X),
        lambda: iter(X.sum()),
    ],
)
def test_what_cupy_refuses_is_refused(mistake):
    with pytest.raises((TypeError, AttributeError)):
        mistake()


def test_reductions_and_elements_are_arrays_without_axes_on_the_gpu():
    for found in (X.sum(), X.max(), X.argmax(), X.any(), X[0, 1], xp.sqrt(X.mean()), X.sum() * 2, np.sqrt(X.sum())):
        assert isinstance(found, Array)
        assert found.shape == ()
    assert [float(row.sum()) for row in X] == [6, 15]


@pytest.mark.parametrize(
    ("kind", "what", "read"),
    [
        ("to_host", r"\.item\(\)", lambda: X.sum().item()),
        ("to_host", r"float\(\)", lambda: float(X.sum())),
        ("to_host", r"int\(\)", lambda: int(X.argmax())),
        ("to_host", r"bool\(\)", lambda: bool(X.any())),
        ("to_host", "as an index", lambda: [1, 2][X.argmin()]),
        ("to_host", r"tolist\(\)", lambda: X.tolist()),
        ("to_host", "printed", lambda: f"{X}"),
        ("to_host", "printed", lambda: repr(X)),
        ("to_host", "a copy to the host", lambda: X.get()),
        ("to_host", "a copy to the host", lambda: xp.asnumpy(X)),
        ("to_host", r"bool\(\)", lambda: 3 in X),
        ("to_gpu", "a copy from the host", lambda: on_gpu([1])),
        ("to_gpu", "a copy from the host", lambda: xp.asarray(1.5)),
        ("to_gpu", "a copy from the host", lambda: xp.empty(2).set(np.ones(2))),
        ("to_gpu", "an index", lambda: X[:, [0, 2]]),
        ("to_gpu", "an index", lambda: X[np.array([True, False])].shape),
        ("synchronizations", "a pick by a mask", lambda: X[X > 2]),
        ("synchronizations", "several values set by a mask", lambda: X.copy().__setitem__(X > 2, xp.ones(4))),
        ("synchronizations", "nonzero", lambda: xp.where(X > 2)),
    ],
)
def test_what_waits_is_counted_with_its_line_and_refused_in_a_recording(kind, what, read):
    with transfers() as found:
        read()
    (first, *_) = getattr(found, kind)
    assert re.search(f"{what}.* at {HERE}", first)
    assert f"{kind}: {first}" in repr(found)
    with recording(), pytest.raises(CaptureError, match=rf"A graph cannot hold .*: a graph .*{HERE}"):
        read()


def test_what_only_computes_is_not_counted():
    with transfers() as found:
        y = X.copy()
        y[y > 2] = 0
        y[:, 1:] += xp.full((2, 2), 3, np.float32)
        y.T.reshape(-1)[::2].fill(1)
        np.broadcast_to(xp.exp(y).sum(axis=0), (2, 3)).max()
        xp.add.at(y, (xp.arange(2), xp.zeros(2, np.int64)), 1)
    assert found.to_host == found.to_gpu == found.synchronizations == found.constants == []


def test_memory_that_nobody_wrote_holds_no_number():
    assert np.isnan(xp.empty((2, 2), np.float32).get()).all()
    assert np.isnan(np.empty_like(X, shape=(3,)).get()).all()
    assert (xp.empty(3, np.int32).get() == 1234567891).all()


def test_what_is_computed_lies_in_c_order_and_copies_to_the_host_do_too():
    turned = xp.asarray(np.ones((2, 3, 4, 5), np.float32)).transpose(0, 3, 1, 2)
    for computed in (turned + 1, xp.exp(turned), turned * turned, turned > 0, xp.where(turned > 0, turned, 0)):
        assert computed.flags.c_contiguous
        assert computed.base is None
    assert turned.get().flags.c_contiguous
    assert xp.asarray(np.ones((2, 3, 4)).transpose(0, 2, 1)).flags.c_contiguous
    assert xp.empty_like(turned).strides == turned.strides == turned.astype(np.float64).astype(np.float32).strides
    assert turned.base is not None
    assert turned.base.shape == (2, 3, 4, 5)
    assert (turned[0].flags.owndata, turned.copy().flags.owndata) == (False, True)


def test_a_replay_computes_everything_again_into_the_same_memory():
    x, kernel = on_gpu(np.arange(18).reshape(1, 2, 3, 3)), on_gpu(np.ones((2, 2, 2, 2)))
    running = on_gpu([0, 0])
    seen, again = [], iter(range(5, 99))
    with recording() as tape:
        noise = renewed(np.array([next(again)]), lambda: np.array([next(again)]))
        y = conv2d(x, kernel, (1, 1), (0, 0, 0, 0), (1, 1), 1)
        corner = (y * 2).transpose(0, 2, 3, 1)[:, 0, 0]
        corner[0, 1] = 7
        largest = corner.max()
        running += corner[0]
        xp.add.at(running, xp.zeros(3, np.int64), largest * noise)
    assert float(running[0]) == float(corner[0, 0]) + 3 * 5 * float(largest)
    running.fill(0)
    for scale in (1, 3, -1):
        x.set(scale * np.arange(18, dtype=np.float32).reshape(1, 2, 3, 3))
        before = running.get()
        tape.replay()
        expected = 2 * scale * (0 + 1 + 3 + 4 + 9 + 10 + 12 + 13)
        assert corner.tolist() == [[expected, 7]]
        seen.append(noise.item())
        assert running.tolist() == [before[0] + expected + 3 * seen[-1] * max(expected, 7), before[1] + 7]
    assert seen == [6, 7, 8]
    assert len(tape) > 8


def test_a_view_is_not_computed_and_a_recording_ends_with_its_block():
    with recording() as tape:
        _ = X.T.reshape(6)[1:].view().reshape(5, 1).T
        steps = len(tape)
    assert steps == 1  # the reshape of a transposed array has to copy
    assert X.T.base is X
    X.sum()
    assert len(tape) == 1
    with pytest.raises(CaptureError, match="only one at a time"), recording(), recording():
        pass
    with transfers() as outer, transfers() as inner:
        float(X.sum())
    assert len(outer.to_host) == len(inner.to_host) == 1


def test_tables_for_kernels_are_sent_once_and_a_graph_may_hold_them():
    assert updates.vectors(X)[0].shape == (6,)
    with transfers() as first, recording():
        updates.in_one_pass(updates.sgd, [((X.copy().reshape(-1), X.reshape(-1), None), lambda: (0.1, 0, 0, 1, 0))])
    assert first.constants
    assert not first.to_host + first.synchronizations


def signature(function):
    try:
        return list(inspect.signature(function).parameters)
    except ValueError:  # of compiled code without one
        return None


def test_names_and_arguments_are_cupys():
    cupy = pytest.importorskip("cupy", reason="names are compared with CuPy's, which is not installed")
    for name, ours in vars(xp).items():
        if (
            name.startswith("_")
            or inspect.ismodule(ours)
            or name in ("Any", "SimpleNamespace", "Ufunc", "Array", "UFUNCS")
        ):
            continue
        if getattr(ours, "__module__", "").endswith(("arrays", "tape")) and name != "ndarray":
            continue
        theirs = getattr(cupy, name)
        if isinstance(ours, xp.Ufunc):
            assert isinstance(theirs, cupy.ufunc), name
        elif inspect.isfunction(ours) and "kwargs" not in (given := signature(theirs) or ["kwargs"]):
            assert signature(ours) == [n for n in given if n in signature(ours)], name
    assert signature(xp.linalg.norm) == signature(cupy.linalg.norm)
    assert importlib.import_module("cupyx.scipy.special").erf
    for name in (*METHODS.split(), *(n for n in vars(Array) if not n.startswith("_") and n != "base"), "base"):
        assert hasattr(cupy.ndarray, name), name
    flags = dir(cupy._core.flags.Flags)
    assert {"c_contiguous", "f_contiguous", "owndata"} <= set(flags)
    assert "writeable" not in flags
