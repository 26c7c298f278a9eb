"""Choosing TF32 or float32, and what the engine then computes on a simulated GPU, to the second order."""

import numpy as np
import pytest

import minigen as mg
from minigen.device import why_unavailable
from minigen.errors import UserError


@pytest.fixture(autouse=True)
def ieee_afterwards():
    yield
    mg.set_float32_precision("ieee")


def test_the_choice_is_kept_and_begins_as_ieee():
    assert mg.get_float32_precision() == "ieee"
    mg.set_float32_precision("tf32")
    assert mg.get_float32_precision() == "tf32"


def test_another_word_is_refused_and_changes_nothing():
    with pytest.raises(
        UserError, match=r"Unknown float32 precision 'tf23': did you mean 'tf32'\? There are ieee, tf32\."
    ):
        mg.set_float32_precision("tf23")
    assert mg.get_float32_precision() == "ieee"


def penalty(device):
    """The gradients by x and w of |d(sum of y^2)/dx|^2, for y = conv2d(x, w): they go twice through each kernel."""
    noise = mg.Generator(0)
    arrays = [noise.normal(shape) for shape in ((2, 16, 4, 4), (16, 16, 3, 3))]
    x, w = (mg.tensor(array, device=device).requires_grad_() for array in arrays)
    y = mg.conv2d(x, w, padding=1)
    (slope,) = mg.grad((y * y).sum(), [x], create_graph=True)
    (slope * slope).sum().backward()
    return x.grad.numpy(), w.grad.numpy()


@pytest.mark.skipif(why_unavailable("cudasim") is not None, reason=str(why_unavailable("cudasim")))
def test_second_derivatives_on_tf32_are_those_of_the_cpu_to_its_precision(monkeypatch):
    from minigen_kernels.cuda import convolution

    ran, run = [], convolution.run
    monkeypatch.setattr(convolution, "run", lambda kernel, *rest: ran.append(kernel.name) or run(kernel, *rest))
    expected = penalty("cpu")
    mg.set_float32_precision("tf32")
    for ours, cpu in zip(penalty("cpu"), expected):
        np.testing.assert_array_equal(ours, cpu)
    assert not ran
    for ours, cpu in zip(penalty("cudasim"), expected):
        error = np.abs(ours - cpu).max() / np.abs(cpu).max()
        assert 1e-5 < error < 4e-3
    assert set(ran) == {"correlate_tf32", "add_share_tf32", "add_up"}
