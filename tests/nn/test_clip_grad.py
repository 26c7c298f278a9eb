import math

import numpy as np
import pytest

import minigen
from minigen import nn
from minigen.errors import TrainingError, UserError


def with_gradients(*gradients, dtype=np.float64):
    tensors = []
    for gradient in gradients:
        tensor = minigen.zeros(np.shape(gradient), dtype=dtype, requires_grad=True)
        tensor.grad = minigen.tensor(np.array(gradient, dtype))
        tensors.append(tensor)
    return tensors


def test_gradients_are_scaled_together_to_the_norm():
    a, b = with_gradients([3.0, 0.0], [[4.0]])
    gradient = a.grad
    norm = nn.utils.clip_grad_norm_([a, minigen.zeros(1, requires_grad=True), b], 1.0)
    assert norm.item() == pytest.approx(5)
    assert a.grad is gradient
    assert a.grad.numpy() == pytest.approx([0.6, 0], abs=1e-6)
    assert b.grad.item() == pytest.approx(0.8, abs=1e-6)


def test_small_gradients_are_left_alone():
    (a,) = with_gradients([0.3, 0.4])
    assert nn.utils.clip_grad_norm_(a, 1.0).item() == pytest.approx(0.5)
    assert a.grad.tolist() == [0.3, 0.4]


def test_large_and_small_float32_gradients_neither_overflow_nor_vanish():
    (a,) = with_gradients([3e30, 4e30], dtype=np.float32)
    assert nn.utils.clip_grad_norm_(a, 1.0).item() == pytest.approx(5e30)
    assert a.grad.numpy() == pytest.approx([0.6, 0.8])
    (b,) = with_gradients([3e-30, 4e-30], dtype=np.float32)
    assert nn.utils.clip_grad_norm_(b, 1.0).item() == pytest.approx(5e-30)


def test_values_are_clipped_and_nan_stays():
    (a,) = with_gradients([-3.0, 0.5, math.nan])
    nn.utils.clip_grad_value_([a], 1.0)
    assert a.grad.tolist()[:2] == [-1, 0.5]
    assert math.isnan(a.grad.tolist()[2])


def test_no_gradients_have_norm_zero():
    assert nn.utils.clip_grad_norm_([minigen.zeros(2, requires_grad=True)], 1.0).item() == 0


def test_a_norm_that_is_not_finite_raises_when_asked_to():
    for bad in (math.nan, math.inf):
        (a,) = with_gradients([1.0, bad])
        with pytest.raises(TrainingError, match=f"the norm of the gradients is {bad}"):
            nn.utils.clip_grad_norm_(a, 1.0, error_if_nonfinite=True)
        assert a.grad.tolist()[0] == 1


def test_mistakes_are_told():
    with pytest.raises(UserError, match="max_norm ≥ 0"):
        nn.utils.clip_grad_norm_([], -1.0)
    with pytest.raises(UserError, match="clip_value=-1"):
        nn.utils.clip_grad_value_([], -1.0)


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, math.inf])
@pytest.mark.parametrize("bad", [None, math.nan, math.inf])
def test_it_agrees_with_pytorch(p, bad):
    torch = pytest.importorskip("torch", reason="PyTorch is what this is compared with")
    gradients = [np.random.default_rng(0).standard_normal((3, 2)), np.array([0.5, -7.0])]
    if bad is not None:
        gradients[0][1, 1] = bad
    ours = with_gradients(*gradients)
    theirs = [torch.zeros(g.shape, dtype=torch.float64, requires_grad=True) for g in gradients]
    for tensor, gradient in zip(theirs, gradients):
        tensor.grad = torch.tensor(gradient)
    norm = nn.utils.clip_grad_norm_(ours, 2.0, p)
    expected = torch.nn.utils.clip_grad_norm_(theirs, 2.0, p)
    np.testing.assert_allclose(norm.item(), expected.item(), rtol=1e-12)
    for a, b in zip(ours, theirs):
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-12)
