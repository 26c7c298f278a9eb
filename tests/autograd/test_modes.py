"""Switches of the engine, and what is said about wrong calls of it."""

import numpy as np
import pytest

import minigen as mg
from minigen.errors import AnomalyError, AutogradError, MinigenError, UserError


def leaf(*values):
    return mg.tensor(list(values), dtype=np.float64, requires_grad=True)


def test_switches_nest_and_are_restored_after_an_exception():
    assert mg.is_grad_enabled()
    with mg.no_grad():
        with pytest.raises(KeyError), mg.enable_grad():  # noqa: PT012
            assert mg.is_grad_enabled()
            raise KeyError
        assert not mg.is_grad_enabled()
        with mg.no_grad():
            pass
        assert not mg.is_grad_enabled()
    assert mg.is_grad_enabled()


def test_one_switch_object_may_be_entered_again():
    switch = mg.no_grad()
    with switch:
        assert not mg.is_grad_enabled()
    with switch, switch:
        assert not mg.is_grad_enabled()
    assert mg.is_grad_enabled()


def test_a_switch_decorates_functions_and_keeps_their_names_arguments_and_results():
    @mg.no_grad()
    def double(x, *, times=2):
        """Twice."""
        if times < 0:
            raise ValueError
        return x * times, mg.is_grad_enabled()

    y, enabled = double(leaf(1.0), times=3)
    assert (y.tolist(), y.requires_grad, enabled, double.__name__, double.__doc__) == (
        [3.0],
        False,
        False,
        "double",
        "Twice.",
    )
    with pytest.raises(ValueError):  # noqa: PT011
        double(leaf(1.0), times=-1)
    assert mg.is_grad_enabled()
    assert mg.enable_grad()(mg.is_grad_enabled)()


def test_what_was_computed_without_recording_is_a_constant_to_what_comes_later():
    x = leaf(3.0)
    with mg.no_grad():
        y = x * x
    assert y.is_leaf
    z = x * y
    z.backward()
    assert x.grad.tolist() == [9.0]


def test_gradients_are_computed_inside_no_grad_too_and_recorded_only_with_create_graph():
    x = leaf(2.0)
    y = x**3
    with mg.no_grad():
        (plain,) = mg.grad(y, x, retain_graph=True)
        (recorded,) = mg.grad(y, x, create_graph=True)
    assert (plain.item(), plain.requires_grad, recorded.requires_grad) == (12.0, False, True)
    assert mg.grad(recorded, x)[0].item() == 12.0


def test_derivatives_are_available_inside_no_grad():
    with mg.no_grad():
        assert mg.jacobian(lambda x: x**2, mg.tensor([1.0, 2.0])).tolist() == [[2.0, 0.0], [0.0, 4.0]]
        assert mg.hessian(lambda x: (x**3).sum(), mg.tensor([2.0])).tolist() == [[12.0]]


def test_anomaly_mode_lets_finite_values_pass_and_is_off_outside():
    x = leaf(0.0, 1.0)
    with mg.detect_anomaly():
        mg.exp(x).sum().backward()
        with pytest.raises(AnomalyError, match=r"Div made the first infinity, in its result"):
            mg.div(1, x)
    assert (1 / x).tolist()[0] == np.inf
    assert x.grad.tolist() == [1.0, np.e]


def test_anomaly_mode_in_a_decorated_function_names_the_line():
    @mg.detect_anomaly()
    def f(x):
        return mg.log(x)  # here

    with pytest.raises(AnomalyError, match=r"Log.*NaN.*test_modes\.py:\d+: .*# here"):
        f(leaf(-1.0))


X = mg.tensor([1.0, 2.0], requires_grad=True)


@pytest.mark.parametrize(
    "mistake",
    [
        lambda: mg.grad(1.0, X),
        lambda: mg.grad(X.sum(), None),
        lambda: mg.grad(X.sum(), 3),
        lambda: mg.grad(X.sum(), [X, "x"]),
        lambda: mg.grad([X.sum(), None], X),
        lambda: mg.grad(X.sum().item(), X),
        lambda: mg.grad(X * 2, X),
        lambda: mg.grad(X * 2, X, [mg.ones(2), mg.ones(2)]),
        lambda: mg.grad(X * 2, X, mg.ones(3)),
        lambda: mg.grad(X * 2, X, "a"),
        lambda: mg.grad([], X),
        lambda: X.sum().backward("a"),
        lambda: X.backward(),
        lambda: X.detach().backward(),
        lambda: mg.vjp(lambda x: x * x, np.ones(2)),
        lambda: mg.vjp(lambda x: (x, x), X),
        lambda: mg.vjp(lambda x: x.numpy(), X),
        lambda: mg.vjp(lambda x: x * x, X),
        lambda: mg.jvp(lambda x: x * x, X, np.ones(2)),
        lambda: mg.jvp(lambda x: x * x, X, mg.ones(3)),
        lambda: mg.hvp(lambda x: x * x, X, mg.ones(2)),
        lambda: mg.hessian(lambda x: x * x, X),
        lambda: mg.jacobian(lambda x: x * x, mg.tensor([1, 2])),
        lambda: X.register_hook(None),
        lambda: mg.Function.apply(),
    ],
)
def test_a_wrong_call_of_the_engine_is_answered_in_words(mistake):
    with pytest.raises((MinigenError, TypeError), match=r"\w+ \w+ \w+ \w+") as raised:
        mistake()
    if not isinstance(raised.value, MinigenError):
        assert "needs at least one Tensor" in str(raised.value)


def test_grad_takes_generators_of_inputs_and_arrays_as_cotangents():
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    gx, gy = mg.grad(x * y, (t for t in (x, y)), np.array([1.0, 10.0]))
    assert (gx.tolist(), gy.tolist()) == ([3.0, 40.0], [1.0, 20.0])
    with pytest.raises(UserError, match=r"grad: inputs must be a tensor or several tensors, not ndarray"):
        mg.grad(x.sum(), np.ones(2))


def test_a_hook_that_changes_the_shape_is_refused():
    x = leaf(1.0, 2.0)
    x.register_hook(lambda g: g.sum())
    with pytest.raises(MinigenError, match=r"hook returned shape \(\).*\(2,\)"):
        x.sum().backward()


def test_a_graph_used_up_says_what_to_pass():
    x = leaf(1.0)
    y = mg.exp(x)
    y.backward()
    for again in (y.backward, lambda: mg.grad(y, x), lambda: (y * 2).backward()):
        with pytest.raises(AutogradError, match=r"retain_graph=True"):
            again()


@pytest.mark.filterwarnings("ignore:overflow")
def test_finite_gradients_whose_sum_overflows_are_found():
    x = mg.tensor(np.float32(1e-3), requires_grad=True)
    with mg.detect_anomaly():
        y = x * 3e38 + x * 3e38
        with pytest.raises(AnomalyError, match="Add made the first infinity"):
            y.backward()
