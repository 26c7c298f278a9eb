"""`run`, the straight run of an operation on one or two inputs, against `apply`, its plain twin."""

from functools import partial

import numpy as np
import pytest

import minigen as mg
from minigen import trace
from minigen.autograd import modes
from minigen.autograd.function import _Output, run
from minigen.errors import AnomalyError, AutogradError, DeviceError, InPlaceError, ShapeError
from minigen.functional import arithmetic
from minigen.functional.activation import LeakyRelu, Relu, Softmax
from minigen.functional.indexing import GetItem
from minigen.functional.reduction import Mean, Sum
from minigen.functional.shape import Clone, Expand, Permute, Reshape

TWO = [getattr(arithmetic, name) for name in ("Add", "Sub", "Mul", "Div", "Pow", "Maximum", "Minimum")]
SMOOTH = ("Exp", "Log", "Log1p", "Expm1", "Sqrt", "Sin", "Cos", "Tanh", "Sigmoid", "Erf")
ONE = [*(getattr(arithmetic, name) for name in (*SMOOTH, "Neg", "Abs", "Sign")), Relu]


def leaf(*shape, dtype=np.float32, seed=0):
    values = np.random.default_rng(seed).uniform(0.5, 2, shape)
    return mg.tensor(values, dtype=dtype, requires_grad=np.dtype(dtype).kind == "f")


def node(*shape):
    return leaf(*shape, seed=1) * 1.5


def constant(*shape):
    return leaf(*shape, seed=2).detach()


PAIRS = {
    "two leaves": lambda: (leaf(3), leaf(3, seed=3)),
    "one twice": lambda: (leaf(3),) * 2,
    "a node and a leaf": lambda: (node(3), leaf(3)),
    "a leaf and a deeper node": lambda: (leaf(3), node(3) * node(3)),
    "a leaf and a constant": lambda: (leaf(3), constant(3)),
    "a constant and a leaf": lambda: (constant(3), leaf(3)),
    "two constants": lambda: (constant(3), constant(3)),
    "broadcast": lambda: (leaf(2, 1), node(3)),
    "without axes": lambda: (leaf(), node()),
    "one without axes": lambda: (leaf(2), leaf()),
    "empty": lambda: (leaf(0, 3), leaf(3)),
    "double precision": lambda: (leaf(3, dtype=np.float64), leaf(3, dtype=np.float64)),
    "two precisions": lambda: (leaf(3), leaf(3, dtype=np.float64)),
    "integers on the right": lambda: (leaf(3), mg.tensor([1, 2, 3])),
    "integers on the left": lambda: (mg.tensor([1, 2, 3]), leaf(3)),
    "integers": lambda: (mg.tensor([1, 2, 3]), mg.tensor([3, 2, 1])),
    "a float": lambda: (leaf(3), 1.5),
    "an int": lambda: (node(3), 2),
    "zero": lambda: (leaf(3), 0),
    "a bool": lambda: (leaf(3), True),
    "a number of NumPy's": lambda: (leaf(3), np.float64(1.5)),
    "an array": lambda: (leaf(3), np.float32([1, 2, 3])),
    "a list": lambda: (node(3), [1.0, 2.0, 3.0]),
    "a number on the left": lambda: (2.5, leaf(3)),
    "integers and a float": lambda: (mg.tensor([1, 2, 3]), 1.5),
    "a parameter": lambda: (mg.nn.Parameter(leaf(3)), leaf(3, seed=3)),
}


def facts(y):
    """What there is to say of a result and its node, apart from the tensors that it points at."""
    at = y.grad_fn
    about = (y.dtype, y.shape, y.tolist(), y.requires_grad, y.device, y.grad, y.hooks, y.is_leaf)
    if at is None:
        return about
    saved = [
        value._data.tolist() if isinstance(value, (mg.Tensor, _Output)) else np.asarray(value).tolist()
        for value in at._kept
    ]
    kinds = [type(value).__name__ for value in at._kept]
    return *about, type(at), at.depth, at.shape, at.dtype, at.device, at.order, at.needs_input_grad, saved, kinds


def held(tensors, inputs):
    """Which of the inputs each tensor is, None for what is none of them."""
    return [next((i for i, x in enumerate(inputs) if t is x), None) for t in tensors]


def both(cls, inputs):
    return run(cls, *inputs), cls.apply(*cls.prepared(*inputs))


def leaf_gradients(y):
    """What a backward pass from y leaves in the leaves that it reaches."""
    leaves, nodes = {}, [y.grad_fn]
    for at in nodes:
        for edge in at.edges:
            if isinstance(edge, mg.Tensor):
                leaves[id(edge)] = edge
            elif edge is not None:
                nodes.append(edge)
    y.backward(mg.ones_like(y), retain_graph=True)
    found = {name: (x.grad.tolist(), x.grad.dtype) for name, x in leaves.items()}
    for x in leaves.values():
        x.grad = None
    return found


def assert_twins(cls, inputs):
    """The same results, nodes, gradients, and gradients of these."""
    straight, plain = both(cls, inputs)
    assert facts(straight) == facts(plain)
    if not plain.requires_grad:
        return
    sources = [t if t.grad_fn is None else t.grad_fn for t in inputs if isinstance(t, mg.Tensor)]
    assert held(straight.grad_fn.edges, sources) == held(plain.grad_fn.edges, sources)
    assert held(straight.grad_fn._kept, inputs) == held(plain.grad_fn._kept, inputs)
    assert leaf_gradients(straight) == leaf_gradients(plain)
    wanted = list({id(t): t for t in inputs if isinstance(t, mg.Tensor) and t.requires_grad}.values())
    for graph in (False, True):
        first, second = (
            mg.grad(y, wanted, mg.ones_like(y), create_graph=graph, retain_graph=True) for y in (straight, plain)
        )
        assert [g.tolist() for g in first] == [g.tolist() for g in second]
        assert [g.requires_grad for g in first] == [g.requires_grad for g in second]
        for g, h in zip(first, second):
            if g.requires_grad:
                (a, b) = (mg.grad(d.sum(), wanted, allow_unused=True, retain_graph=True) for d in (g, h))
                assert [None if x is None else x.tolist() for x in a] == [None if x is None else x.tolist() for x in b]


@pytest.mark.parametrize("kind", PAIRS)
@pytest.mark.parametrize("cls", TWO)
def test_of_two_inputs_both_make_the_same(cls, kind):
    assert_twins(cls, PAIRS[kind]())
    with mg.no_grad():
        assert_twins(cls, PAIRS[kind]())


@pytest.mark.parametrize(
    "x", [leaf(3), node(2, 3), node(), constant(3), leaf(0), leaf(2, dtype=np.float64), [1.0, 2.0], 2]
)
@pytest.mark.parametrize("cls", ONE)
def test_of_one_input_both_make_the_same(cls, x):
    inputs = (mg.Tensor(x) if cls.prepared is mg.Function.prepared and not isinstance(x, mg.Tensor) else x,)
    assert_twins(cls, inputs)
    with mg.no_grad():
        assert_twins(cls, inputs)


@pytest.mark.parametrize(
    ("inputs", "error"),
    [
        (lambda: (leaf(2), leaf(3)), ShapeError),
        (lambda: (leaf(2, 2), constant(3, 2)), ShapeError),
        (lambda: (leaf(2), leaf(2).to("cudasim")), DeviceError),
    ],
)
@pytest.mark.parametrize("cls", TWO)
def test_both_refuse_the_same_in_the_same_words(cls, inputs, error):
    given, said = inputs(), []
    for call in (partial(run, cls), cls.apply):
        with pytest.raises(error) as caught:
            call(*given)
        said.append(str(caught.value))
    assert said[0] == said[1]


def test_in_anomaly_mode_the_operation_is_watched():
    with mg.detect_anomaly(), np.errstate(all="ignore"), pytest.raises(AnomalyError, match=r"^Log made the first NaN"):
        run(arithmetic.Log, mg.tensor([-1.0]))


def test_a_trace_sees_both():
    x = leaf(3)
    with trace() as seen:
        both(arithmetic.Mul, (x, x))
        both(arithmetic.Exp, (x,))
    assert [row.operation for row in seen.rows] == ["Mul", "Mul", "Exp", "Exp"]


def test_a_capture_is_told_what_is_read_and_made(monkeypatch):
    noted = modes.Capture()
    x, y = leaf(3), leaf(3, seed=3)
    monkeypatch.setattr(modes.thread.state, "capture", noted)
    monkeypatch.setattr(modes, "capturing", 1)
    z = run(arithmetic.Mul, x, y)
    assert {id(x), id(y)} <= noted.read.keys()
    assert id(z) in noted.made


class Odd(mg.Function):
    """Saves and returns what its test wants."""

    broadcasts = True

    def forward(self, x, y=None):
        saved, result = self.does(x, y)
        self.save_for_backward(*saved)
        return result

    def backward(self, g):
        return g


@pytest.mark.parametrize(
    "does",
    [
        lambda x, y: ((), x),
        lambda x, y: ((), y),
        lambda x, y: ((x,), x),
        lambda x, y: ((y,), y),
        lambda x, y: ((y, x), x + y),
        lambda x, y: ((x,), x + y),
        lambda x, y: ((y,), x + y),
        lambda x, y: ((x > 1, x), x + y),
        lambda x, y: ((x > 1, y), x + y),
        lambda x, y: ((x, x > 1), x + y),
        lambda x, y: ((x, x > 1, y), x + y),
        lambda x, y: ((z := x + y, x), z),
        lambda x, y: ((), np.rint(x).astype(np.int64)),
        lambda x, y: ((), x > 1),
    ],
)
@pytest.mark.parametrize("second", [leaf(3, seed=3), constant(3)])
def test_whatever_an_operation_saves_and_returns_both_keep_it_alike(does, second):
    class Does(Odd):
        pass

    Does.does = staticmethod(does)
    x = leaf(3)
    straight, plain = both(Does, (x, second))
    assert facts(straight) == facts(plain)
    assert straight._data is not x._data
    assert straight._data is not second._data
    if plain.grad_fn is not None:
        assert held(straight.grad_fn._kept, (x, second)) == held(plain.grad_fn._kept, (x, second))


def test_a_refusal_of_our_own_passes_through_both():
    def refuse(x, y):
        raise ShapeError("not these two")

    class Does(Odd):
        does = staticmethod(refuse)

    for call in (partial(run, Does), Does.apply):
        with pytest.raises(ShapeError, match=r"^not these two$"):
            call(leaf(3), leaf(3))


@pytest.mark.parametrize("made", [lambda x: 2 * x, lambda x: mg.Tensor(2 * x)])
def test_what_is_neither_input_nor_output_is_refused_by_both_an_array_or_a_tensor(made):
    class Does(Odd):
        does = staticmethod(lambda x, y: ((made(x),), x + y))

    for call in (partial(run, Does), Does.apply):
        with pytest.raises(mg.errors.AutogradError, match="neither an input nor the output"):
            call(leaf(3), leaf(3))


@pytest.mark.parametrize("cls", [arithmetic.Mul, arithmetic.Exp, arithmetic.Abs])
def test_a_change_in_place_of_what_is_saved_is_noticed(cls):
    x = leaf(3)
    inputs = (x, leaf(3, seed=3)) if cls is arithmetic.Mul else (x,)
    y = run(cls, *inputs)
    with mg.no_grad():
        (y if cls is arithmetic.Exp else inputs[-1]).mul_(2)
    with pytest.raises(mg.errors.InPlaceError):
        y.sum().backward()


def test_what_is_computed_of_a_gradient_knows_whose_it_is():
    x = leaf(3)
    y = run(arithmetic.Mul, x, x)
    (g,) = mg.grad(y.sum(), x, create_graph=True)
    made = g.grad_fn
    while made.origin is None or made.origin() is not y.grad_fn:
        made = made.edges[0]
    assert made.order == 1


def test_a_node_that_was_made_by_hand_leads_nowhere():
    made = mg.Function()
    assert made.edges is None
    assert made.needs_input_grad == ()
    assert mg.Function.edges is None


def test_an_operation_may_call_what_it_notes_by_any_of_our_words():
    class Half(mg.Function):
        def forward(self, x):
            self.saved, self.free, self.x, self.y, self.edge, self.other, self.kept = [0.5] * 7
            return x * 0.5

        def backward(self, g):
            assert self.free == self.x == self.y == self.edge == self.other == self.kept
            return g * self.saved

    x = leaf(2)
    for call in (partial(run, Half), Half.apply):
        assert mg.grad(call(x).sum(), x)[0].tolist() == [0.5, 0.5]


def test_a_freed_node_keeps_nothing():
    x, y = leaf(3), node(3)
    z = run(arithmetic.Mul, x, y)
    z.sum().backward()
    assert (z.grad_fn.edges, z.grad_fn._kept) == (None, ())
    assert not {id(x), id(y), id(y.grad_fn)} & {id(value) for value in vars(z.grad_fn).values()}


class Returning(mg.Function):
    """Of one or two inputs, the first; its backward returns what it is told to."""

    broadcasts = takes_arrays = True

    def forward(self, x, y=None, *, backward):
        self.does = backward
        return 1 * x

    def backward(self, g):
        return self.does(g)


GRADIENTS = {
    "two arrays": lambda g: (g, 2 * g),
    "none for the second": lambda g: (g, None),
    "none for the first": lambda g: (None, g),
    "another type": lambda g: (g.astype(np.float64), g),
    "another type in the second": lambda g: (g, g.astype(np.float64)),
    "a larger shape": lambda g: (np.stack([g, g]), g),
    "a larger shape in the second": lambda g: (g, np.stack([g, g])),
    "tensors": lambda g: (mg.Tensor(g), mg.Tensor(3 * g)),
    "bare numbers": lambda g: (np.float32(2), g.sum()),
    "a number": lambda g: (1.5, g),
    "a number in the second": lambda g: (g, 1.5),
    "a list": lambda g: [g, g],
    "too few": lambda g: (g,),
    "too many": lambda g: (g, g, g),
    "one": lambda g: g,
    "nothing": lambda g: None,
}


def outcome(way, inputs, does, wanted=None):
    """The gradients of the inputs, or the error, of a backward pass or of `grad`."""
    try:
        y = way(*inputs, backward=does)
        seed = mg.ones_like(y)
        if wanted is None:
            y.backward(seed)
            found = [x.grad for x in inputs]
        else:
            found = mg.grad(y, wanted, seed, allow_unused=True)
    except (AutogradError, ShapeError) as error:
        return str(error)
    finally:
        for x in inputs:
            x.grad = None
    return [None if g is None else (g.dtype, g.shape, g.tolist()) for g in found]


@pytest.mark.parametrize("shape", [(3,), (2, 3), ()])
@pytest.mark.parametrize("does", GRADIENTS)
def test_whatever_a_backward_on_arrays_returns_both_make_the_same_of_it(does, shape):
    does = GRADIENTS[does]
    x, y, c = leaf(*shape), leaf(*shape, seed=3), constant(*shape)
    for inputs in ((x, y), (x, c), (c, x), (x, x), (x,)):
        for wanted in (None, [x], [y], [x, y]):
            straight, plain = (outcome(way, inputs, does, wanted) for way in (partial(run, Returning), Returning.apply))
            assert straight == plain
    assert outcome(partial(run, Returning), (x, y), GRADIENTS["none for the first"])[0] is None


@pytest.mark.parametrize("seed", range(30))
def test_the_gradients_of_any_graph_are_those_of_a_tape_played_backwards(seed):
    draw = np.random.default_rng(seed)
    leaves = [mg.tensor(value, dtype=np.float64, requires_grad=True) for value in draw.uniform(0.5, 1, 3)]
    values, tape = list(leaves), []
    for _ in range(draw.integers(1, 40)):
        # Mostly the last, so that there are chains, and sometimes any.
        i, j = (len(values) - 1 if draw.random() < 0.6 else int(draw.integers(len(values))) for _ in range(2))
        x, y = values[i], values[j]
        kind = draw.choice(["sum", "product", "negative", "tanh"])
        if kind == "sum":
            z, slopes = x + y, [(i, 1.0), (j, 1.0)]
        elif kind == "product":
            z, slopes = x * y, [(i, y.item()), (j, x.item())]
        elif kind == "negative":
            z, slopes = -x, [(i, -1.0)]
        else:
            z, slopes = x.tanh(), [(i, 1 - np.tanh(x.item()) ** 2)]
        values.append(z * 0.5)
        tape.append([(at, slope * 0.5) for at, slope in slopes])
    expected = np.zeros(len(values))
    expected[-1] = 1
    for at in range(len(values) - 1, len(leaves) - 1, -1):
        for source, slope in tape[at - len(leaves)]:
            expected[source] += slope * expected[at]
    found = mg.grad(values[-1], leaves, retain_graph=True, allow_unused=True)
    np.testing.assert_allclose([0 if g is None else g.item() for g in found], expected[:3], rtol=1e-10)
    values[-1].backward()
    np.testing.assert_allclose([0 if x.grad is None else x.grad.item() for x in leaves], expected[:3], rtol=1e-10)


@pytest.mark.parametrize("arrays", [False, True])
@pytest.mark.parametrize("wrong", [lambda g: g.swapaxes(0, 1), lambda g: g.sum(), lambda g: g.reshape(-1)])
def test_a_gradient_whose_shape_cannot_be_summed_to_the_inputs_is_refused(wrong, arrays):
    class Wrong(mg.Function):
        broadcasts, takes_arrays = True, arrays

        def forward(self, x):
            return x * 2

        def backward(self, g):
            return wrong(g)

    x = mg.ones(2, 3, requires_grad=True)
    with pytest.raises(ShapeError, match=r"\(2, 3\) does not broadcast to"):
        (Wrong.apply(x) * mg.ones(2, 3)).sum().backward()


def test_an_operation_made_of_another_that_keeps_its_output_has_the_right_gradient_or_is_refused():
    class Watched(arithmetic.Sigmoid):
        def forward(self, x):
            return super().forward(x)

    class Twice(arithmetic.Sigmoid):
        def forward(self, x):
            return 2 * super().forward(x)

        def backward(self, g):
            return 2 * super().backward(g)

    x = mg.tensor([0.5, 1.0], requires_grad=True)
    for way in (Watched.apply, lambda x: run(Watched, x)):
        np.testing.assert_allclose(mg.grad(way(x).sum(), x)[0].numpy(), [0.235004, 0.196612], rtol=1e-5)
    for way in (Twice.apply, lambda x: run(Twice, x)):
        with pytest.raises(AutogradError, match="neither an input nor the output"):
            way(x)


def test_a_type_among_the_parameters_is_no_shape():
    class Joined(mg.Function):
        broadcasts = True

        def forward(self, x, dtype):
            return x + np.ones(4, dtype)

    with pytest.raises(ShapeError, match=r"\(3,\)"):
        Joined.apply(mg.ones(3), dtype=np.float32)


WITH_PARAMETERS = {
    "reshape": (Reshape, {"shape": (3, 2)}),
    "permute": (Permute, {"dims": (1, 0)}),
    "expand": (Expand, {"shape": (4, 2, 3)}),
    "getitem": (GetItem, {"index": (slice(None), 1)}),
    "getitem by positions": (GetItem, {"index": np.array([1, 0, 1])}),
    "clone": (Clone, {}),
    "sum": (Sum, {"dims": (1,), "keepdim": False}),
    "mean": (Mean, {"dims": (0, 1), "keepdim": True}),
    "clip": (arithmetic.Clip, {"low": 0.7, "high": None}),
    "leaky relu": (LeakyRelu, {"slope": 0.1}),
    "softplus": (arithmetic.Softplus, {"beta": 2.0, "threshold": 20.0}),
    "softmax": (Softmax, {"dims": (1,)}),
}


@pytest.mark.parametrize("name", WITH_PARAMETERS)
def test_operations_with_parameters_and_views_are_what_apply_makes_of_them(name):
    operation, params = WITH_PARAMETERS[name]
    made = []
    for way in (operation.apply, partial(run, operation)):
        x = leaf(2, 3) * 1.0
        y = way(x, **params)
        (g,) = mg.grad((y * y).sum(), x, create_graph=True)
        (gg,) = mg.grad((g * g).sum(), x)
        shares = y._counter() is x._counter()
        assert shares == np.shares_memory(x.data, y.data)
        made.append((y, g, gg, shares))
    one, other = made
    for a, b in zip(one[:3], other[:3], strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    assert one[3] == other[3]


@pytest.mark.parametrize("view", [lambda x: x.reshape(6), lambda x: x.T, lambda x: x[0], lambda x: x.expand(2, 2, 3)])
def test_a_change_of_what_a_view_looks_into_is_noticed(view):
    x = leaf(2, 3) * 1.0
    y = view(x)
    z = (y * y).sum()
    with mg.no_grad():
        x.mul_(2.0)
    with pytest.raises(InPlaceError):
        z.backward()
