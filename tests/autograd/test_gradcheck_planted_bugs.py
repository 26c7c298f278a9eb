"""gradcheck is proven by planted bugs: each must be caught, and named."""

import re

import numpy as np
import pytest

import minigen as mg
from minigen import functional as F
from minigen.autograd.gradcheck import gradcheck
from minigen.errors import GradcheckError


def leaf(*shape, scale=1.0, seed=0):
    values = np.random.default_rng(seed).standard_normal(shape) * scale
    return mg.Tensor(values, requires_grad=True)


def leaf_of(*values):
    return mg.Tensor(np.array(values, np.float64), requires_grad=True)


def function(forward, backward):
    """An operation of one input with the given formulas; `backward(g, x)`."""

    class Planted(mg.Function):
        def forward(self, x):
            self.save_for_backward(x)
            return forward(x)

        def backward(self, g):
            (x,) = self.saved_tensors
            return backward(g, x)

    return Planted.apply


def square(backward):
    return function(np.square, backward)


class BroadcastBug(mg.Function):
    """x + y, right unless y was broadcast: then its gradient keeps only the first row instead of the sum."""

    def forward(self, x, y):
        self.shapes = x.shape, y.shape
        return x + y

    def backward(self, g):
        gx, gy = self.shapes
        return g, g if gx == gy else g[:1]


class StridesBug(mg.Function):
    """x², with a gradient that reads the memory of a non-contiguous array as if it were contiguous."""

    def forward(self, x):
        self.save_for_backward(x)
        self.contiguous = x.flags.c_contiguous
        return x * x

    def backward(self, g):
        (x,) = self.saved_tensors
        return g * x * 2 if self.contiguous else g * F.flip(x, (0,)) * 2


class SecondOrderBug(mg.Function):
    """x³, whose backward hides the input from the graph: the first derivative is right, the second is zero."""

    def forward(self, x):
        self.hidden = x
        return x**3

    def backward(self, g):
        return g * mg.Tensor(3 * self.hidden**2)


class RepeatedIndexBug(mg.Function):
    """x[index], whose gradient is assigned, not added: right as long as no position occurs twice."""

    def forward(self, x, index):
        self.index, self.x_shape = index, x.shape
        return x[index]

    def backward(self, g):
        scattered = np.zeros(self.x_shape)
        scattered[self.index] = 1
        order = np.zeros(self.x_shape, int)
        order[self.index] = np.arange(len(self.index))
        return g[order] * mg.Tensor(scattered)


def one_wrong_element(g, x):
    right = g * x * 2
    factor = np.ones(x.shape)
    factor.flat[12345] = 1.5
    return right * mg.Tensor(factor)


PLANTED = {
    "a constant factor": (square(lambda g, x: g * x * 3), [leaf(3, 4)]),
    "a factor of 1.000001": (square(lambda g, x: g * x * 2.000002), [leaf(3, 4)]),
    "a sign": (square(lambda g, x: g * x * -2), [leaf(3)]),
    "zero": (square(lambda g, x: g * x * 0), [leaf(3)]),
    "nan": (square(lambda g, x: g * x * np.nan), [leaf(3)]),
    "only broadcast axes": (BroadcastBug.apply, [leaf(3, 4), leaf(1, 4)]),
    "only non-contiguous inputs": (StridesBug.apply, [leaf(3, 4)]),
    "only in second order": (SecondOrderBug.apply, [leaf(4)]),
    "only repeated indices": (lambda x: RepeatedIndexBug.apply(x, index=np.array([2, 0, 2])), [leaf(4)]),
    "one element of a large tensor": (square(one_wrong_element), [leaf(200, 200)]),
    "a sign in a large tensor": (square(lambda g, x: g * x * -2), [leaf(50, 60)]),
    "gradients of size 1e-7": (function(lambda x: 1e-7 * x * x, lambda g, x: g * x * 3e-7), [leaf(3)]),
    "inputs of size 1e-7": (square(lambda g, x: g * x * 2.001), [leaf(5, scale=1e-7)]),
    "one part of size 1e-7": (
        function(lambda x: x + 1e-7 * x * x, lambda g, x: g * (1 + 1e-7 * x)),
        [leaf(3, scale=9)],
    ),
    "one small entry among large ones": (
        function(lambda x: x * [1, 1e-7], lambda g, x: g * np.array([1, 3e-7])),
        [leaf(3, 2)],
    ),
    "an absolute floor in the gradient": (function(np.log, lambda g, x: g / F.clip(x, 1e-6)), [leaf_of(1e-7, 2, 3e-8)]),
    "averaging the cotangent": (square(lambda g, x: (g * 0 + g.mean()) * x * 2), [leaf(3)]),
    "clipping the cotangent": (square(lambda g, x: F.clip(g, -1.0, 1.0) * x * 2), [leaf(6)]),
    "the last output only": (lambda x: (x * 2, square(lambda g, x: g * x)(x)), [leaf(3)]),
}


@pytest.mark.parametrize("bug", PLANTED)
def test_a_planted_bug_is_caught(bug):
    func, inputs = PLANTED[bug]
    with pytest.raises(GradcheckError, match="is wrong at index"):
        gradcheck(func, inputs)


@pytest.mark.parametrize("seed", range(20))
def test_one_wrong_element_of_a_large_tensor_is_caught_and_named_whatever_the_seed(seed):
    with pytest.raises(GradcheckError, match=re.escape("input 0 is wrong at index (61, 145)")):
        gradcheck(square(one_wrong_element), [leaf(200, 200, seed=seed)], generator=mg.Generator(seed))


def test_what_is_right_about_the_planted_bugs_passes():
    assert gradcheck(BroadcastBug.apply, [leaf(3, 4), leaf(3, 4)])
    assert gradcheck(SecondOrderBug.apply, [leaf(4)], order=1)
    assert gradcheck(lambda x: RepeatedIndexBug.apply(x, index=np.array([2, 0])), [leaf(4)])


def test_a_bug_of_second_order_is_reported_with_its_order():
    with pytest.raises(GradcheckError, match="order 2: the gradient with respect to input 0 is wrong"):
        gradcheck(SecondOrderBug.apply, [leaf(4)])


def test_a_bug_of_third_order_needs_order_3():
    func = function(lambda x: x**4, lambda g, x: g * 4 * SecondOrderBug.apply(x))
    assert gradcheck(func, [leaf(4)])
    with pytest.raises(GradcheckError, match="order 3"):
        gradcheck(func, [leaf(4)], order=3)


def test_the_error_names_input_index_output_numeric_and_analytic_value():
    def wrong(g, x):
        return g * np.array([[2.0, 2.0], [2.0, 7.0]])

    func = function(lambda x: 2 * x, wrong)
    with pytest.raises(GradcheckError) as caught:
        gradcheck(lambda a, b: a + func(b), [leaf(2, 2), leaf(2, 2)])
    message = str(caught.value)
    assert "order 1: the gradient with respect to input 1 is wrong at index (1, 1): analytic 7, numeric 2" in message
    assert "for output element 3" in message


def test_the_error_says_when_only_strides_matter():
    with pytest.raises(
        GradcheckError, match=r"for a random combination of the outputs, inputs (in Fortran|not contig)"
    ):
        gradcheck(StridesBug.apply, [leaf(3, 4)])


def test_without_raising_the_report_holds_the_sentence_and_the_error():
    report = gradcheck(square(lambda g, x: g * x * 3), leaf(3), raise_exception=False)
    assert not report
    assert "is wrong at index" in report.failure
    assert report.worst(1) == pytest.approx(1 / 3, rel=1e-3)
    assert report.worst(2) is None
