"""gradcheck accuses no right gradient, and notices what else may be wrong with a function."""

import numpy as np
import pytest

import minigen as mg
from minigen import functional as F
from minigen.autograd.gradcheck import gradcheck
from minigen.errors import DoubleBackwardError, DtypeError, GradcheckError, UserError


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


RIGHT = {
    "exp": (F.exp, [leaf(3, 4)]),
    "a scalar": (F.exp, [leaf()]),
    "broadcasting": (F.mul, [leaf(3, 1), leaf(1, 4)]),
    "a division of small by smaller": (F.div, [leaf(3, scale=1e-7), leaf(3, scale=1e-9, seed=1)]),
    "inputs of 1e-200": (F.mul, [leaf(3, scale=1e-200), leaf(3)]),
    "inputs of 1e200": (lambda x: x * 2, [leaf(3, scale=1e200)]),
    "sines of millions": (F.sin, [leaf(3, scale=1e6)]),
    "logarithms beside a pole": (F.log, [leaf_of(1e-7, 1.0, 3e-8)]),
    "exp of tiny numbers": (F.exp, [leaf(3, scale=1e-8)]),
    "a large offset": (lambda x: x * x + 1e6, [leaf(3)]),
    "a fast oscillation": (lambda x: F.sin(x * 300), [leaf(3)]),
    "constant rows of softmax": (lambda x: F.softmax(x, 1).sum(1), [leaf(3, 4)]),
    "a sum of deviations": (lambda x: (x - x.mean()).sum(), [leaf(7)]),
    "logsumexp of large numbers": (lambda x: F.logsumexp(x, 0), [leaf(5, scale=1e4)]),
    "layer norm of pairs": (lambda x: F.layer_norm(x, 2), [leaf(3, 2)]),
    "relu at 0": (F.relu, [leaf_of(0, 0, 1)]),
    "relu near 0": (F.relu, [leaf_of(1e-12, -1e-12, 1e-5, -1e-3)]),
    "abs at 0": (F.abs, [leaf_of(0, -1)]),
    "many relus": (F.relu, [leaf(100, 100)]),
    "ties of a maximum": (lambda x: F.amax(x, 1), [leaf_of([1, 1, 0], [2, 2, 2])]),
    "ties of two tensors": (F.maximum, [leaf_of(1, 2), leaf_of(1, 2)]),
    "max and its indices": (lambda x: F.max(x, 1), [leaf(3, 4)]),
    "a root at 0": (F.sqrt, [leaf_of(0, 1)]),
    "an even function at 0": (F.square, [leaf_of(0, 0)]),
    "a rounding at integers": (lambda x: mg.Tensor(np.floor(x.numpy())) + x, [leaf_of(1, 2)]),
    "a domain that refuses": (lambda p: F.binary_cross_entropy(p, mg.Tensor(np.ones(2))), [leaf_of(1e-4, 0.999)]),
    "a large product": (F.matmul, [leaf(60, 50), leaf(50, 40)]),
    "nothing at all": (F.exp, [leaf(0, 3)]),
    "the input itself": (lambda x: x, [leaf(3)]),
    "an unused input": (lambda x, y: x * x, [leaf(3), leaf(2)]),
    "a constant": (lambda x: mg.Tensor(np.ones(3)), [leaf(3)]),
    "several outputs": (lambda x: (x * x, F.exp(x).sum(), mg.tensor([1])), [leaf(3)]),
    "several outputs of very different size": (lambda x: (x * x, 1e-12 * F.exp(x)), [leaf(3)]),
}


@pytest.mark.parametrize("case", RIGHT)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_right_gradient_is_not_accused(case, seed):
    func, inputs = RIGHT[case]
    report = gradcheck(func, inputs, generator=mg.Generator(seed))
    assert report
    assert report.worst(1) <= 1e-7
    assert report.worst(2) <= 1e-7


def test_smooth_functions_are_measured_to_a_relative_1e_9():
    for func in (F.exp, F.tanh, F.sin, lambda x: F.softmax(x, 1)):
        report = gradcheck(func, leaf(3, 4))
        assert report.worst(1) < 1e-9
        assert report.worst(2) < 1e-9


def test_third_order_is_checked_when_asked_for():
    report = gradcheck(F.tanh, leaf(3), order=3)
    assert set(report.errors) == {1, 2, 3}
    assert list(report.errors[2]) == ["input 0", "cotangent 0 of order 1"]


# ---- what else it notices -----------------------------------------------------------------------------------------


def test_float32_is_refused_with_a_sentence():
    with pytest.raises(DtypeError, match="input 1 is float32; differences need float64"):
        gradcheck(F.add, [leaf(2), mg.tensor([1.0, 2.0], requires_grad=True)])
    with pytest.raises(DtypeError, match="must return float64 tensors, not float32"):
        gradcheck(lambda x: x.float(), leaf(2))


def test_something_must_require_a_gradient():
    with pytest.raises(UserError, match="requires_grad=True"):
        gradcheck(F.exp, leaf(2).detach())


def test_inputs_without_requires_grad_are_handed_over_and_not_checked():
    report = gradcheck(lambda x, n, k: x * n * k, [leaf(2), mg.tensor([1.0, 2.0]), 3])
    assert list(report.errors[1]) == ["input 0"]


def test_a_function_with_kinks_everywhere_is_reported_as_such():
    def takagi(x):  # Σ 2⁻ᵏ·(distance of 2ᵏx to an integer), which is continuous and nowhere differentiable
        return mg.Tensor(sum(np.abs(2.0**k * x.numpy() - np.round(2.0**k * x.numpy())) / 2**k for k in range(50))) + x

    with pytest.raises(GradcheckError, match=r"not smooth at the inputs, nor at 5 points beside them: .*Choose inputs"):
        gradcheck(takagi, leaf(2))


def test_a_function_that_is_not_deterministic_is_reported():
    generator = mg.Generator(0)
    with pytest.raises(GradcheckError, match="called twice"):
        gradcheck(lambda x: F.dropout(x, 0.5, generator=generator), leaf(50))


def test_a_function_that_changes_its_inputs_is_reported():
    def greedy(x):
        y = x * 2
        x.data[...] = 0
        return y

    with pytest.raises(GradcheckError, match="changed its inputs"):
        gradcheck(greedy, leaf(3))


def test_a_backward_that_changes_its_cotangent_is_reported():
    def spoil(g, x):
        product = g * x * 2
        g.data[...] = 7
        return product

    with pytest.raises(GradcheckError, match="changed the cotangent"):
        gradcheck(function(np.square, spoil), leaf(3))


def test_a_function_whose_values_depend_on_the_strides_is_reported():
    def forward(x):
        return x * 2 if x.flags.c_contiguous else x * 3

    with pytest.raises(
        GradcheckError, match=r"inputs (in Fortran order|not contiguous), the function gives other values"
    ):
        gradcheck(function(forward, lambda g, x: g * 2), leaf(3, 4))


def test_an_infinite_value_is_reported():
    with pytest.raises(GradcheckError, match="not finite at these inputs"):
        gradcheck(F.log, leaf_of(0.0, 1.0))


def test_an_operation_that_refuses_second_order_passes_first_order_and_says_so_at_second():
    class Once(mg.Function):
        def forward(self, x):
            self.save_for_backward(x)
            return x * x

        @mg.once_differentiable
        def backward(self, g):
            (x,) = self.saved_tensors
            return g * x * 2

    assert gradcheck(Once.apply, leaf(3), order=1)
    with pytest.raises(DoubleBackwardError, match="Once can be differentiated only once"):
        gradcheck(Once.apply, leaf(3))


def test_the_inputs_are_left_alone():
    x = leaf(3)
    before = x.numpy().copy()
    gradcheck(F.exp, x)
    assert x.grad is None
    np.testing.assert_array_equal(x.numpy(), before)


def test_one_seed_gives_one_report():
    first, second = (gradcheck(F.exp, leaf(3, 4), generator=mg.Generator(5)) for _ in range(2))
    assert first.errors == second.errors
    assert gradcheck(F.exp, leaf(3, 4), generator=mg.Generator(6)).errors != first.errors
