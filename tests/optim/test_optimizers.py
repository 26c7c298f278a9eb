import copy
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigen
from minigen import nn
from minigen.errors import InPlaceError, UserError
from minigen.optim import SGD, Adam, AdamW, RMSprop

CONFIGURATIONS = [
    (SGD, {}),
    (SGD, {"lr": 0.1}),
    (SGD, {"lr": 0.1, "weight_decay": 0.2}),
    (SGD, {"lr": 0.1, "momentum": 0.9}),
    (SGD, {"lr": 0.1, "momentum": 0.9, "dampening": 0.5, "weight_decay": 0.2}),
    (SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.2}),
    (Adam, {}),
    (Adam, {"lr": 0.1, "betas": (0.5, 0.9), "eps": 1e-3, "weight_decay": 0.2}),
    (Adam, {"lr": 0.1, "betas": (0.0, 0.9)}),
    (AdamW, {}),
    (AdamW, {"lr": 0.1, "betas": (0.5, 0.9), "weight_decay": 0.2}),
    (RMSprop, {}),
    (RMSprop, {"lr": 0.1, "alpha": 0.9, "eps": 1e-3, "weight_decay": 0.2}),
    (RMSprop, {"lr": 0.1, "momentum": 0.9}),
    (RMSprop, {"lr": 0.1, "centered": True}),
    (RMSprop, {"lr": 0.1, "alpha": 0.5, "momentum": 0.9, "centered": True, "weight_decay": 0.2}),
]
EACH = pytest.mark.parametrize(("kind", "options"), CONFIGURATIONS, ids=lambda v: getattr(v, "__name__", str(v)))
SHAPES = [(3, 2), (4,), ()]


def parameters(seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    return [nn.Parameter(np.asarray(rng.standard_normal(shape), dtype)) for shape in SHAPES]


def gradients(step, dtype=np.float64):
    rng = np.random.default_rng(100 + step)
    return [np.asarray(rng.standard_normal(shape), dtype) for shape in SHAPES]


def run(optimizer, params, steps, dtype=np.float64):
    for step in steps:
        for i, (parameter, gradient) in enumerate(zip(params, gradients(step, dtype))):
            parameter.grad = None if (i + step) % 4 == 3 else minigen.tensor(gradient)  # some get none
        optimizer.step()


@EACH
def test_steps_are_pytorchs(kind, options):
    torch = pytest.importorskip("torch", reason="PyTorch is what these optimizers are compared with")
    ours = parameters()
    theirs = [torch.tensor(np.array(p), requires_grad=True) for p in ours]
    optimizer = kind(ours, **options)
    reference = getattr(torch.optim, kind.__name__)(theirs, **options)
    for step in range(30):
        run(optimizer, ours, [step])
        for i, (parameter, gradient) in enumerate(zip(theirs, gradients(step))):
            parameter.grad = None if (i + step) % 4 == 3 else torch.tensor(gradient)
        reference.step()
        for a, b in zip(ours, theirs):
            np.testing.assert_allclose(a.numpy(), b.detach().numpy(), rtol=1e-9, atol=1e-12, err_msg=f"step {step}")
    optimizer.load_state_dict(reference.state_dict())  # and PyTorch's state is understood
    run(optimizer, ours, [30])
    for parameter, gradient in zip(theirs, gradients(30)):
        parameter.grad = torch.tensor(gradient)
    theirs[1].grad = None
    reference.step()
    for a, b in zip(ours, theirs):
        np.testing.assert_allclose(a.numpy(), b.detach().numpy(), rtol=1e-9, atol=1e-12)


def one_by_one(kind, o, w, gs):
    """The formulas of the docstrings on Python numbers."""
    m = v = a = 0.0
    b = None
    for t, g in enumerate(gs, 1):
        if kind is AdamW:
            w -= o["lr"] * o["weight_decay"] * w
        else:
            g = g + o["weight_decay"] * w
        if kind is SGD:
            b = g if b is None else o["momentum"] * b + (1 - o["dampening"]) * g
            w -= o["lr"] * (g + o["momentum"] * b if o["nesterov"] else (b if o["momentum"] else g))
        elif kind is RMSprop:
            v = o["alpha"] * v + (1 - o["alpha"]) * g * g
            a = o["alpha"] * a + (1 - o["alpha"]) * g
            d = g / (math.sqrt(v - a * a if o["centered"] else v) + o["eps"])
            b = d if b is None else o["momentum"] * b + d
            w -= o["lr"] * (b if o["momentum"] else d)
        else:
            beta1, beta2 = o["betas"]
            m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
            w -= o["lr"] * (m / (1 - beta1**t)) / (math.sqrt(v / (1 - beta2**t)) + o["eps"])
    return w


@EACH
def test_steps_follow_the_formulas(kind, options):
    w = minigen.tensor(np.array([0.7]), requires_grad=True)
    optimizer = kind([w], **options)
    gs = [0.3, -1.2, 0.5, 2.0, 0.01]
    for g in gs:
        w.grad = minigen.tensor(np.array([g]))
        optimizer.step()
    assert w.item() == pytest.approx(one_by_one(kind, optimizer.param_groups[0], 0.7, gs), rel=1e-12)


@EACH
def test_a_restored_optimizer_goes_on_bit_for_bit(kind, options):
    whole, halves = parameters(dtype=np.float32), parameters(dtype=np.float32)
    run(kind(whole, **options), whole, range(10), np.float32)
    first = kind(halves, **options)
    run(first, halves, range(5), np.float32)
    arrays, numbers = first.state_arrays(), json.loads(json.dumps(first.state_numbers()))
    frozen = {name: array.copy() for name, array in arrays.items()}
    resumed = [nn.Parameter(p.numpy().copy()) for p in halves]
    second = kind(resumed, lr=123.0)
    second.load_state(arrays, numbers)
    run(second, resumed, range(5, 10), np.float32)
    for a, b in zip(whole, resumed):
        assert a.numpy().tobytes() == b.numpy().tobytes()
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, frozen[name], err_msg=f"{name} was not a copy")


def test_the_state_has_flat_names_and_numbers_fit_for_json():
    w = parameters()
    optimizer = Adam([{"params": w[:1], "lr": 0.5}, {"params": w[1:]}])
    run(optimizer, w, [0])
    assert sorted(optimizer.state_arrays()) == [f"{i}.{n}" for i in range(3) for n in ("exp_avg", "exp_avg_sq")]
    numbers = optimizer.state_numbers()
    assert numbers["steps"] == {"0": 1, "1": 1, "2": 1}
    assert [group["lr"] for group in numbers["param_groups"]] == [0.5, 1e-3]
    assert [group["params"] for group in numbers["param_groups"]] == [[0], [1, 2]]


def step_plainly(optimizer):
    """A step by array operations alone."""
    with minigen.no_grad():
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    state = optimizer.state.setdefault(parameter, {})
                    optimizer.update(parameter, parameter.grad.data, state, group)


@EACH
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_compiled_loop_gives_the_bits_of_the_array_operations(kind, options, dtype):
    rng = np.random.default_rng(0)
    shapes = [(3, 2), (), (300, 301), (1, 4, 5, 5), (0, 2)]  # one is cut into several tasks
    start = [np.asarray(rng.standard_normal(shape), dtype) for shape in shapes]
    ours, plain = ([nn.Parameter(values.copy()) for values in start] for _ in range(2))
    loop, twin = (kind([{"params": w[:2]}, {"params": w[2:], "lr": 0.03}], **options) for w in (ours, plain))
    for step in range(6):
        for i, (a, b) in enumerate(zip(ours, plain)):
            a.grad = None if (i + step) % 4 == 3 else minigen.tensor(np.asarray(rng.standard_normal(a.shape), dtype))
            b.grad = a.grad
        loop.param_groups[0]["lr"] = twin.param_groups[0]["lr"] = 0.1 / (1 + step)
        loop.step()
        step_plainly(twin)
        for a, b in zip(ours, plain):
            np.testing.assert_array_equal(a.numpy(), b.numpy(), err_msg=f"step {step}")
    assert loop.state_numbers() == twin.state_numbers()
    theirs = twin.state_arrays()
    assert loop.state_arrays().keys() == theirs.keys()
    for name, array in loop.state_arrays().items():
        np.testing.assert_array_equal(array, theirs[name], err_msg=name)


@pytest.fixture
def one_pass(monkeypatch):
    """The numbers of parameters in every one pass."""
    from minigen_kernels.cpu import updates

    counts = []
    run = updates.in_one_pass
    monkeypatch.setattr(updates, "in_one_pass", lambda loop, work: counts.append(len(work)) or run(loop, work))
    return counts


@EACH
def test_all_parameters_of_all_groups_are_in_one_pass(kind, options, one_pass):
    w = parameters()
    optimizer = kind([{"params": w[:1]}, {"params": w[1:], "lr": 0.5}], **options)
    run(optimizer, w, [0])
    run(optimizer, w, [1])
    assert one_pass == [3, 2]


def test_a_schedule_compiles_nothing_anew():
    from minigen_kernels.cpu import updates

    w = parameters()
    optimizer = Adam(w, lr=1)
    run(optimizer, w, [0])
    before = len(updates.adam.signatures)
    for lr, decay in ((0.5, 0), (np.float32(0.25), 1), (0, 0.5)):
        optimizer.param_groups[0].update(lr=lr, weight_decay=decay)
        run(optimizer, w, [0])
    assert len(updates.adam.signatures) == before


@EACH
@pytest.mark.parametrize("case", ["order", "stride", "type", "read-only", "state", "half"])
def test_memory_that_the_loop_cannot_take_goes_by_array_operations(kind, options, case, one_pass):
    rng = np.random.default_rng(1)
    values, gradients = rng.standard_normal((4, 3)), rng.standard_normal((4, 4, 3))
    dtype = np.float16 if case == "half" else np.float64
    expected = nn.Parameter(values.astype(dtype))
    odd = nn.Parameter(np.asfortranarray(expected.data) if case == "order" else expected.data.copy())
    optimizer, twin = kind([odd], **options), kind([expected], **options)
    for gradient in gradients.astype(dtype):
        expected.grad = minigen.tensor(gradient)
        odd.grad = minigen.Tensor(
            {"stride": np.repeat(gradient, 2, axis=1)[:, ::2], "type": gradient.astype(np.float32)}.get(case, gradient)
        )
        if case == "type":
            expected.grad = minigen.tensor(gradient.astype(np.float32).astype(np.float64))
        if case == "read-only":
            odd.grad.data.flags.writeable = False
        if case == "state":
            state = optimizer.state.get(odd, {})
            state.update({n: np.asfortranarray(array) for n, array in state.items() if n != "step"})
        version = odd._version[0]
        optimizer.step()
        assert odd._version[0] > version
        step_plainly(twin)
        rtol = 1e-6 if case == "type" else 0
        np.testing.assert_allclose(odd.numpy(), expected.numpy(), rtol=rtol)
    if case != "state":
        assert one_pass == []


def test_a_loaded_state_is_laid_out_for_the_loop(one_pass):
    w = [nn.Parameter(np.ones((3, 2)))]
    optimizer = Adam(w)
    w[0].grad = minigen.tensor(np.ones((3, 2)))
    state = {"step": 3, "exp_avg": np.ones((3, 2), order="F"), "exp_avg_sq": np.ones((2, 3)).T}
    optimizer.load_state_dict({"state": {0: state}, "param_groups": optimizer.state_dict()["param_groups"]})
    optimizer.step()
    assert one_pass == [1]


def test_a_formula_of_ones_own_is_the_one_that_is_used():
    class Signed(Adam):
        """Adam's step for the sign of the gradient."""

        def update(self, parameter, gradient, state, group):
            super().update(parameter, np.sign(gradient), state, group)

    w, x = (minigen.tensor(np.zeros(3), requires_grad=True) for _ in range(2))
    w.grad, x.grad = minigen.tensor([3.0, -0.1, 7.0]).double(), minigen.tensor([1.0, -1.0, 1.0]).double()
    Signed([w]).step()
    Adam([x]).step()
    np.testing.assert_array_equal(w.numpy(), x.numpy())


def test_groups_have_options_of_their_own():
    a, b = (minigen.tensor([1.0], requires_grad=True) for _ in range(2))
    optimizer = SGD([{"params": a, "lr": 0.5}], lr=0.1)
    optimizer.add_param_group({"params": [b]})
    a.grad, b.grad = minigen.ones(1), minigen.ones(1)
    optimizer.step()
    assert (a.item(), round(b.item(), 6)) == (0.5, 0.9)


@EACH
def test_a_step_writes_into_the_same_array_and_counts_as_a_change(kind, options):
    w = parameters()
    optimizer = kind(w, **options)
    arrays, versions = [p.data for p in w], [p._version[0] for p in w]
    run(optimizer, w, [0])
    for parameter, array, version in zip(w, arrays, versions):
        assert parameter.data is array
        assert parameter._version[0] > version


def test_a_step_between_forward_and_backward_is_noticed():
    layer = nn.Linear(2, 2)
    x = minigen.ones(1, 2, requires_grad=True)
    loss = layer(x).sum()
    layer.weight.grad = minigen.ones(2, 2)
    SGD(layer.parameters(), lr=0.1).step()
    with pytest.raises(InPlaceError):
        loss.backward()


@EACH
def test_parameters_without_gradient_are_left_alone(kind, options):
    w = parameters()
    before = [p.numpy().copy() for p in w]
    optimizer = kind(w, **options)
    optimizer.step()
    for parameter, old in zip(w, before):
        np.testing.assert_array_equal(parameter.numpy(), old)
    assert optimizer.state_arrays() == {}


def test_zero_grad_forgets_or_zeroes():
    w = parameters()
    optimizer = SGD(w, lr=0.1)
    run(optimizer, w, [0])
    gradient = w[0].grad
    optimizer.zero_grad(set_to_none=False)
    assert w[0].grad is gradient
    assert not gradient.numpy().any()
    optimizer.zero_grad()
    assert all(p.grad is None for p in w)


def test_a_gradient_is_not_changed_by_the_step_nor_kept():
    w = minigen.tensor([1.0], requires_grad=True)
    optimizer = SGD([w], lr=0.1, momentum=0.9)
    w.grad = minigen.ones(1)
    optimizer.step()
    optimizer.step()
    assert w.grad.item() == 1
    assert not np.shares_memory(optimizer.state[w]["momentum_buffer"], w.grad.data)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1000), st.sampled_from([SGD, Adam, AdamW, RMSprop]))
def test_memory_order_does_not_matter(seed, kind):
    values, gradient = (np.random.default_rng(seed + i).standard_normal((4, 3)) for i in range(2))
    a, b = minigen.tensor(values, requires_grad=True), minigen.Tensor(np.asfortranarray(values), requires_grad=True)
    for w in (a, b):
        optimizer = kind([w], lr=0.1, weight_decay=0.1)
        for _ in range(3):
            w.grad = minigen.tensor(gradient)
            optimizer.step()
    np.testing.assert_array_equal(a.numpy(), b.numpy())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda w: SGD([]), "SGD: there are no parameters to optimize"),
        (lambda w: SGD([{"params": []}]), "there are no parameters"),
        (lambda w: Adam(w), "needs several parameters, not a Tensor; give a list of it"),
        (lambda w: Adam(nn.Linear(1, 1)), r"not a Linear; give its .parameters\(\)"),
        (lambda w: Adam([np.ones(3)]), "parameter 0 is a ndarray, not a Tensor"),
        (lambda w: Adam([w, w]), r"parameter 1, of shape \(1,\), is given twice"),
        (lambda w: Adam([{"params": [w]}, {"params": [w]}]), "is given twice"),
        (lambda w: Adam([{"lr": 1.0}]), "a parameter group is a dictionary with 'params'"),
        (lambda w: Adam([w * 2]), "is the result of <Mul>; only leaves learn"),
        (lambda w: SGD([w], lr=-1.0), "SGD: lr=-1.0 must be at least 0"),
        (lambda w: SGD([w], lr=math.nan), "lr=nan must be at least 0"),
        (lambda w: SGD([w], momentum=-0.1), "momentum=-0.1"),
        (lambda w: SGD([w], nesterov=True), "nesterov=True needs a momentum above 0"),
        (lambda w: SGD([w], momentum=0.9, dampening=0.1, nesterov=True), "no dampening"),
        (lambda w: Adam([w], betas=(0.9, 1.0)), r"Adam: betas=\(0.9, 1.0\) must be at least 0 and less than 1"),
        (lambda w: Adam([w], eps=-1e-8), "eps=-1e-08"),
        (lambda w: AdamW([w], weight_decay=-1), "AdamW: weight_decay=-1"),
        (lambda w: RMSprop([w], alpha=1.0), "alpha=1.0"),
        (lambda w: Adam([{"params": [w], "lr": -2.0}]), "lr=-2.0"),
    ],
)
def test_mistakes_are_told_in_one_sentence(make, message):
    with pytest.raises(UserError, match=message) as caught:
        make(minigen.zeros(1, requires_grad=True))
    assert "\n" not in str(caught.value)


def test_a_state_that_does_not_fit_is_refused_and_changes_nothing():
    w = parameters()
    optimizer = Adam(w)
    run(optimizer, w, [0])
    state = optimizer.state_dict()
    with pytest.raises(UserError, match=r"groups of \[3\] parameters, and this optimizer has \[2\]"):
        Adam(parameters()[:2]).load_state_dict(state)
    wrong = copy.deepcopy(state)
    wrong["state"][1]["exp_avg"] = np.zeros(7)
    with pytest.raises(
        UserError, match=r"the saved 'exp_avg' of parameter 1 has shape \(7,\), and the parameter \(4,\)"
    ):
        optimizer.load_state_dict(wrong)
    assert optimizer.state[w[0]]["step"] == 1


def test_a_read_only_parameter_is_refused():
    w = minigen.Tensor(np.broadcast_to(np.ones(1), (3,)), requires_grad=True)
    w.grad = minigen.tensor(np.ones(3))
    with pytest.raises(InPlaceError, match="read-only"):
        SGD([w], lr=0.1).step()


def test_repr_shows_the_options():
    assert repr(Adam([minigen.zeros(1)])) == "Adam(lr=0.001, betas=(0.9, 0.999), eps=1e-08, weight_decay=0)"


@EACH
def test_a_quadratic_is_minimized(kind, options):
    w = minigen.tensor([3.0, -2.0], requires_grad=True)
    optimizer = kind([w], **{**options, "lr": 0.05, "weight_decay": 0.0})
    start = (w * w).sum().item()
    for _ in range(100):
        optimizer.zero_grad()
        (w * w).sum().backward()
        optimizer.step()
    assert (w * w).sum().item() < 0.1 * start


def test_momentum_may_begin_after_the_first_step():
    found = []
    for kind in (RMSprop, SGD):
        w = minigen.tensor([1.0, -1.0], requires_grad=True)
        optimizer = kind([w], lr=0.1)
        for momentum in (0, 0.9, 0.9):
            optimizer.param_groups[0]["momentum"] = momentum
            optimizer.zero_grad()
            (w * w).sum().backward()
            optimizer.step()
        found.append(w.tolist())
    assert found[1] == pytest.approx(
        [0.8 - 0.16 - (0.9 * 0.16 + 0.128), -(0.8 - 0.16 - (0.9 * 0.16 + 0.128))], rel=1e-5
    )
    assert abs(found[0][0]) < 1
