"""The reference against independent implementations: SciPy's correlation, the definition of an adjoint, PyTorch."""

import doctest
from typing import Any

import numpy as np
import pytest
from minigen_kernels import reference
from minigen_kernels.cpu import layout
from scipy import signal

# x's (C, H, W), w's (O, C/G, KH, KW), stride, padding (top, bottom, left, right), dilation, groups
CASES: dict[str, tuple[Any, ...]] = {
    "plain": ((2, 6, 7), (3, 2, 3, 2), (1, 1), (0, 0, 0, 0), (1, 1), 1),
    "strided with a remainder": ((2, 8, 9), (3, 2, 3, 3), (3, 2), (0, 0, 0, 0), (1, 1), 1),
    "padded on four sides": ((2, 5, 4), (3, 2, 3, 3), (1, 2), (3, 0, 1, 2), (1, 1), 1),
    "dilated": ((2, 9, 9), (3, 2, 3, 3), (2, 1), (1, 1, 2, 2), (3, 2), 1),
    "grouped": ((4, 6, 6), (6, 2, 3, 3), (1, 1), (1, 1, 1, 1), (1, 1), 2),
    "depthwise": ((3, 6, 6), (6, 1, 3, 3), (2, 2), (1, 2, 1, 2), (1, 1), 3),
    "of size one": ((1, 1, 1), (1, 1, 1, 1), (2, 2), (0, 0, 0, 0), (1, 1), 1),
    "more padding than kernel": ((1, 3, 3), (2, 1, 2, 2), (2, 2), (3, 3, 3, 3), (1, 1), 1),
}


@pytest.fixture(params=CASES)
def case(request):
    """x, w, y and the options of a convolution of three images."""
    size, kernel, *options = CASES[request.param]
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((3, *size)), rng.standard_normal(kernel)
    y = rng.standard_normal(reference.conv2d(x, w, *options).shape)
    return x, w, y, options


def test_conv2d_is_scipys_correlation_of_padded_images_with_spread_kernels(case):
    x, w, _, (stride, (top, bottom, left, right), (dh, dw), groups) = case
    padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    spread = np.zeros((*w.shape[:2], dh * (w.shape[2] - 1) + 1, dw * (w.shape[3] - 1) + 1))
    spread[:, :, ::dh, ::dw] = w
    actual = reference.conv2d(x, w, *case[3])
    for n, o, *_ in np.ndindex(actual.shape[:2]):
        first = o // (w.shape[0] // groups) * w.shape[1]  # the first input channel of o's group
        planes = [signal.correlate2d(padded[n, first + c], spread[o, c], "valid") for c in range(w.shape[1])]
        np.testing.assert_allclose(actual[n, o], sum(planes)[:: stride[0], :: stride[1]], rtol=1e-12, atol=1e-12)


def test_conv_transpose2d_is_the_transpose_of_conv2d_as_a_matrix(case):
    x, w, y, options = case
    images = np.eye(x[0].size).reshape(-1, *x.shape[1:])  # one for each entry of x: the rows of the matrix
    matrix = reference.conv2d(images, w, *options).reshape(x[0].size, -1)
    expected = (y.reshape(len(y), -1) @ matrix.T).reshape(x.shape)
    actual = reference.conv_transpose2d(y, w, *(*options, x.shape[2:]))
    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-12)


def test_conv2d_weight_grad_is_the_transpose_of_conv2d_as_a_matrix(case):
    x, w, y, options = case
    actual = reference.conv2d_weight_grad(x, y, *(*options, w.shape[2:]))
    for index in np.ndindex(w.shape):
        unit = np.zeros(w.shape)
        unit[index] = 1
        expected = np.vdot(reference.conv2d(x, unit, *options), y)
        np.testing.assert_allclose(actual[index], expected, rtol=1e-12, atol=1e-12, err_msg=f"at {index}")


def test_the_three_convolutions_agree_with_pytorch(case):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: the check against it is extra")
    x, w, y, (stride, (top, bottom, left, right), dilation, groups) = case
    options = case[3]
    tx, tw = torch.tensor(x, requires_grad=True), torch.tensor(w, requires_grad=True)
    padded = torch.nn.functional.pad(tx, (left, right, top, bottom))
    ty = torch.nn.functional.conv2d(padded, tw, None, stride, 0, dilation, groups)
    gx, gw = torch.autograd.grad(ty, (tx, tw), torch.tensor(y))
    np.testing.assert_allclose(reference.conv2d(x, w, *options), ty.detach(), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(reference.conv_transpose2d(y, w, *(*options, x.shape[2:])), gx, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(reference.conv2d_weight_grad(x, y, *(*options, w.shape[2:])), gw, rtol=1e-10, atol=1e-12)


def test_conv_transpose2d_takes_the_weight_of_pytorchs_transposed_convolution_as_it_is():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: the check against it is extra")
    rng = np.random.default_rng(0)
    y, w = rng.standard_normal((2, 4, 5, 5)), rng.standard_normal((4, 3, 3, 3))  # (in, out, KH, KW) to PyTorch
    expected = torch.nn.functional.conv_transpose2d(torch.tensor(y), torch.tensor(w), None, 2, 1, output_padding=1)
    actual = reference.conv_transpose2d(y, w, (2, 2), (1, 1, 1, 1), (1, 1), 1, (10, 10))
    np.testing.assert_allclose(actual, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("module", [reference, layout])
def test_examples_in_docstrings_are_true(module):
    failed, tried = doctest.testmod(module)
    assert tried > 0
    assert failed == 0
