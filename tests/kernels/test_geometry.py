"""Output sizes, and the sentence that each wrong argument of a convolution is answered with."""

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from minigen_kernels import cpu, reference
from minigen_kernels.geometry import conv_output_size, conv_transpose_output_size

PAIRS = st.tuples(st.integers(1, 5), st.integers(1, 5))
SIDES = st.tuples(*[st.integers(0, 4)] * 4)


@settings(deadline=None)
@given(st.tuples(st.integers(1, 30), st.integers(1, 30)), PAIRS, PAIRS, SIDES, PAIRS)
def test_output_padding_recovers_the_size_that_a_stride_leaves_open(size, kernel, stride, padding, dilation):
    out = conv_output_size(size, kernel, stride, padding, dilation)
    assume(min(out) >= 1)
    smallest = conv_transpose_output_size(out, kernel, stride, padding, dilation)
    rest = (size[0] - smallest[0], size[1] - smallest[1])
    assert 0 <= rest[0] < stride[0]
    assert 0 <= rest[1] < stride[1]
    assert conv_transpose_output_size(out, kernel, stride, padding, dilation, rest) == size


def arguments(**changes):
    """Arguments that conv2d accepts, with changes: x (2, 4, 8, 9), w (6, 2, 3, 3) in two groups, y (2, 6, 4, 5)."""
    defaults: dict[str, Any] = {
        "x": (2, 4, 8, 9),
        "w": (6, 2, 3, 3),
        "y": (2, 6, 4, 5),
        "size": (8, 9),
        "kernel_size": (3, 3),
    }
    defaults |= {"stride": (2, 2), "padding": (1, 1, 1, 1), "dilation": (1, 1), "groups": 2, "dtype": "float32"}
    a = defaults | changes
    for name in "xwy":
        a[name] = np.ones(a[name], a["dtype"])
    return a


OPTIONS = ("stride", "padding", "dilation", "groups")
OPERATIONS = {
    "conv2d": ("x", "w", *OPTIONS),
    "conv_transpose2d": ("y", "w", *OPTIONS, "size"),
    "conv2d_weight_grad": ("x", "y", *OPTIONS, "kernel_size"),
}


def call(kernels, op, **changes):
    a = arguments(**changes)
    return getattr(kernels, op)(*[a[name] for name in OPERATIONS[op]])


ERRORS = [
    (
        "conv2d",
        {"x": (2, 5, 8, 9)},
        r"x must have w.shape\[1\] \* groups = 2 \* 2 = 4 channels, but has 5; give w another",
    ),
    ("conv2d", {"groups": 4, "x": (2, 8, 8, 9)}, r"6 output channels do not divide into 4 groups \(6 mod 4 = 2\)"),
    ("conv2d", {"x": (4, 8, 9)}, r"x must be \(N, C, H, W\), with 4 axes, not 3; add or drop axes with reshape"),
    ("conv2d", {"w": (6, 2, 3)}, r"w must be \(O, C/groups, KH, KW\), with 4 axes, not 3"),
    ("conv2d", {"x": (2, 4, 0, 9)}, r"x has an axis of size 0; only the batch N may be empty"),
    ("conv2d", {"w": (0, 2, 3, 3)}, r"w has an axis of size 0"),
    ("conv2d", {"stride": (0, 1)}, r"stride must be \(sh, sw\), integers of at least 1"),
    ("conv2d", {"stride": 2}, r"stride must be \(sh, sw\), integers of at least 1"),
    ("conv2d", {"padding": (1, 1)}, r"padding must be \(top, bottom, left, right\), integers of at least 0"),
    ("conv2d", {"padding": (1, 1, 1, -1)}, r"padding must be"),
    ("conv2d", {"dilation": (1.0, 1.0)}, r"dilation must be \(dh, dw\)"),
    ("conv2d", {"groups": 0}, r"groups must be one number, integers of at least 1"),
    (
        "conv2d",
        {"dilation": (6, 1)},
        r"height, dh \* \(KH - 1\) \+ 1 = 6 \* \(3 - 1\) \+ 1 = 13, is larger than the padded input's, H \+ top \+ bottom "
        r"= 8 \+ 1 \+ 1 = 10; use a smaller kernel or dilation, or more padding",
    ),
    (
        "conv2d",
        {"x": (2, 4, 8, 1), "padding": (1, 1, 0, 1)},
        r"the kernel's width, .* W \+ left \+ right = 1 \+ 0 \+ 1 = 2",
    ),
    ("conv_transpose2d", {"y": (2, 5, 4, 5)}, r"y must have w.shape\[0\] = 6 channels, but has 5; w is laid out"),
    ("conv_transpose2d", {"size": (9, 9)}, r"but y has \(4, 5\); to these belong H from 7 to 8 and W from 9 to 10"),
    ("conv_transpose2d", {"size": None}, r"size must be \(H, W\), integers of at least 1"),
    ("conv2d_weight_grad", {"y": (3, 6, 4, 5)}, r"x and y must have the same batch N, but have 2 and 3"),
    (
        "conv2d_weight_grad",
        {"y": (2, 6, 4, 4)},
        r"maps \(H, W\) = \(8, 9\) to \(OH, OW\) = \(4, 5\) by OH = .* y has \(4, 4\)",
    ),
    ("conv2d_weight_grad", {"groups": 3}, r"4 input channels do not divide into 3 groups \(4 mod 3 = 1\)"),
    ("conv2d_weight_grad", {"kernel_size": 3}, r"kernel_size must be \(KH, KW\)"),
]


@pytest.mark.parametrize("kernels", [cpu, reference])
@pytest.mark.parametrize(("op", "changes", "sentence"), ERRORS)
def test_a_wrong_argument_is_answered_with_a_sentence_that_says_what_to_do(kernels, op, changes, sentence):
    call(kernels, op)  # without the change it is right
    with pytest.raises(ValueError, match=sentence):
        call(kernels, op, **changes)


@pytest.mark.parametrize("op", OPERATIONS)
def test_every_error_lists_all_shapes_and_parameters(op):
    with pytest.raises(ValueError, match="stride") as caught:
        call(cpu, op, stride=(0, 0))
    a = arguments(stride=(0, 0))
    assert str(caught.value).startswith(f"{op}({OPERATIONS[op][0]} {a[OPERATIONS[op][0]].shape}, ")
    for name in OPERATIONS[op][2:]:
        assert f"{name}={a[name]}" in str(caught.value)
    for name in OPERATIONS[op][:2]:
        assert f"{name} {a[name].shape}" in str(caught.value)


@pytest.mark.parametrize("kernels", [cpu, reference])
@pytest.mark.parametrize("op", OPERATIONS)
def test_other_types_of_numbers_are_refused(kernels, op):
    with pytest.raises(TypeError, match=f"{op}: all arrays must be float32, or all float64, not .* int64"):
        call(kernels, op, dtype="int64")


@pytest.mark.parametrize("kernels", [cpu, reference])
def test_a_bias_that_does_not_fit_is_refused(kernels):
    a = arguments()
    options = [a[name] for name in OPTIONS]
    for bias in (np.ones(5, np.float32), np.ones((6, 1), np.float32)):
        with pytest.raises(ValueError, match=r"bias has shape .* there are 6 output channels"):
            kernels.conv2d(a["x"], a["w"], *options, bias=bias)
        with pytest.raises(ValueError, match=r"bias has shape .* there are 4 output channels"):
            kernels.conv_transpose2d(a["y"], a["w"], *options, (8, 9), bias=bias)
    with pytest.raises(TypeError, match="bias float64"):
        kernels.conv2d(a["x"], a["w"], *options, bias=np.ones(6))
