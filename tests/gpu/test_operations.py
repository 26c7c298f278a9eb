"""Every registered operation: the GPU's values and derivatives are the CPU's, and gradcheck holds on the GPU itself."""

from functools import partial
from zlib import crc32

import numpy as np
import pytest

import minigen as mg
from minigen.functional.registry import OPERATIONS, from_generator

CLOSE = {"float64": 1e-9, "float32": 2e-3}  # of the largest number, to the second order
EXAMPLES = 3


def floats(result):
    results = result if isinstance(result, (tuple, list)) else [result]
    return [y for y in results if isinstance(y, mg.Tensor) and y.dtype.kind == "f"]


def weighted(ys, seed):
    """Σ v·y with v from a seed, as a tensor without axes."""
    noise = mg.Generator(seed)
    terms = [(y * mg.tensor(noise.normal(y.shape, dtype=y.dtype), device=y.device)).sum() for y in ys]
    return sum(terms[1:], terms[0])


def derivatives(y, xs):
    """∂y/∂x for every x, zero where y does not depend on it."""
    if not y.requires_grad:
        return [mg.zeros_like(x) for x in xs]
    found = mg.grad(y, xs, create_graph=True, allow_unused=True)
    return [mg.zeros_like(x) if g is None else g for x, g in zip(xs, found)]


def computed(operation, arrays, options, device, dtype):
    """Values, first and second derivatives, as NumPy's arrays."""
    xs = [mg.tensor(x.astype(dtype), device=device).requires_grad_() for x in arrays]
    ys = floats(operation.function(*xs, **options))
    first = derivatives(weighted(ys, 1), xs)
    second = derivatives(weighted(first, 2), xs)
    if operation.name != "to_device":  # which goes to the CPU and back
        assert {t.device.name for t in (*ys, *first, *second)} == {device.name}
    return {order: [t.numpy() for t in ts] for order, ts in (("values", ys), ("first", first), ("second", second))}


def example(name, seed):
    """Arguments of an operation, the same in every run."""
    operation = OPERATIONS[name]
    return operation, *operation.recipe(from_generator(mg.Generator(crc32(name.encode()) + seed)))


@pytest.mark.parametrize("dtype", CLOSE)
@pytest.mark.parametrize("name", OPERATIONS)
def test_values_and_derivatives_to_the_second_order_are_the_cpu_s(gpu, name, dtype):
    for seed in range(EXAMPLES):
        operation, arrays, options = example(name, seed)
        expected = computed(operation, arrays, options, mg.device("cpu"), dtype)
        found = computed(operation, arrays, options, gpu, dtype)
        for order, arrays_of_order in expected.items():
            for ours, theirs in zip(found[order], arrays_of_order, strict=True):
                scale = max(1.0, np.abs(theirs[np.isfinite(theirs)]).max(initial=0.0))
                np.testing.assert_allclose(ours, theirs, rtol=CLOSE[dtype], atol=CLOSE[dtype] * scale, err_msg=order)


@pytest.mark.parametrize("name", OPERATIONS)
def test_gradcheck_holds_in_double_precision_on_the_gpu(gpu, name):
    operation, arrays, options = example(name, 0)
    report = mg.gradcheck(
        lambda *xs: [y.cpu() for y in floats(operation.function(*(x.to(gpu) for x in xs), **options))],
        [mg.Tensor(x, requires_grad=True) for x in arrays],
        generator=mg.Generator(0),
        raise_exception=False,
    )
    assert report, report.failure


def test_the_same_mask_is_drawn_on_the_cpu_and_on_the_gpu(gpu):
    layer = partial(mg.functional.dropout, p=0.4)
    for shape in ((7,), (3, 5, 9), (2, 3, 8, 8), (33, 1001) if gpu.name != "cudasim" else (3, 101)):
        x = mg.Generator(3).normal(shape)
        here, there = (layer(mg.tensor(x, device=d), generator=mg.Generator(5)).numpy() for d in ("cpu", gpu))
        np.testing.assert_array_equal(here, there)
        assert shape == (7,) or 0.2 < np.mean(here == 0) < 0.6
