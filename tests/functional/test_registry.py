"""Walks the registry: every differentiable operation, first and second order, on examples that Hypothesis draws.

A few examples of each by default, the same in every run. With MINIGEN_HYPOTHESIS_PROFILE=thorough 200 of each, never
twice the same, and one that fails is made small.
"""

import os
from functools import partial

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import minigen as mg
from minigen.functional.registry import OPERATIONS, Draw, from_generator

settings.register_profile(
    "quick",
    max_examples=6,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
settings.register_profile(
    "thorough",
    settings.get_profile("quick"),
    max_examples=200,
    derandomize=False,
    phases=[Phase.generate, Phase.shrink],
)
PROFILE = settings.get_profile(os.environ.get("MINIGEN_HYPOTHESIS_PROFILE", "quick"))

LINEAR = [(name, position) for name, operation in OPERATIONS.items() for position in operation.linear]


def draw_from(data):
    """A source of examples that Hypothesis can make smaller."""
    return Draw(lambda low, high: data.draw(st.integers(low, high)))


@pytest.mark.parametrize("name", OPERATIONS)
@PROFILE
@given(data=st.data())
def test_gradients_of_first_and_second_order_agree_with_finite_differences(name, data):
    report = OPERATIONS[name].check(draw_from(data))
    assert report, report.failure
    assert report.worst(1) <= 1e-7
    assert report.worst(2) <= 1e-7


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize(("name", "position"), LINEAR)
def test_the_gradient_of_a_linear_operation_is_its_adjoint(name, position, seed):
    """⟨A(x) - A(0), y⟩ = ⟨x, Aᵀy⟩, to rounding."""
    operation, generator = OPERATIONS[name], mg.Generator(seed)
    arrays, options = operation.recipe(from_generator(generator))
    call = partial(operation.function, **options)
    x = mg.Tensor(arrays[position], requires_grad=True)
    others = [mg.Tensor(a) for a in arrays]
    outputs = flat_outputs(call(*others[:position], x, *others[position + 1 :]))
    at_zero = flat_outputs(call(*others[:position], mg.zeros_like(x), *others[position + 1 :]))
    ys = [mg.Tensor(generator.normal(out.shape, dtype=np.float64)) for out in outputs]
    adjoint = np.zeros(x.shape)
    if any(out.requires_grad for out in outputs):
        pairs = [(out, y) for out, y in zip(outputs, ys) if out.requires_grad]
        (g,) = mg.grad([out for out, _ in pairs], x, [y for _, y in pairs])
        adjoint = g.numpy()
    left = [((out.numpy() - zero.numpy()) * y.numpy()) for out, zero, y in zip(outputs, at_zero, ys)]
    right = x.numpy() * adjoint
    scale = sum(np.abs(part).sum() for part in left) + np.abs(right).sum()
    constant = sum(np.abs(zero.numpy() * y.numpy()).sum() for zero, y in zip(at_zero, ys))
    assert abs(sum(part.sum() for part in left) - right.sum()) <= 1e-13 * (scale + constant)


def flat_outputs(result):
    results = [result] if isinstance(result, mg.Tensor) else result
    return [out for out in results if out.dtype.kind == "f"]


@pytest.mark.parametrize("name", OPERATIONS)
def test_gradients_computed_on_arrays_have_the_bits_of_those_computed_on_tensors(name):
    """A trace is shown every operation, so in a trace all gradients are tensors."""
    operation = OPERATIONS[name]
    arrays, options = operation.recipe(from_generator(mg.Generator(3)))

    def gradients():
        inputs = [mg.Tensor(x.astype(np.float32), requires_grad=True) for x in arrays]
        result = partial(operation.function, **options)(*inputs)
        outputs = [y for y in ([result] if isinstance(result, mg.Tensor) else result) if y.requires_grad]
        vs = [mg.randn(*y.shape, generator=mg.Generator(4)) for y in outputs]
        return mg.grad(outputs, inputs, vs, allow_unused=True) if outputs else []

    with mg.trace():
        expected = gradients()
    for one, other in zip(gradients(), expected, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one.numpy(), other.numpy())
