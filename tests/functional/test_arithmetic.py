"""Elementwise operations beside NumPy and SciPy: values, types, broadcasting, extremes, mistakes."""

import operator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import special

import minigen as mg
from minigen import functional as F
from minigen.errors import DeviceError, DtypeError, MinigenError, ShapeError

RELATIONS = [operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne]


@pytest.mark.parametrize("relation", RELATIONS)
def test_comparing_shapes_that_do_not_fit_says_which(relation):
    with pytest.raises(ShapeError, match=r"(less|greater|equal).*\(2, 3\) and \(4,\).*equal or 1"):
        relation(mg.ones(2, 3), mg.ones(4))


@pytest.mark.parametrize("other", [None, "a", ""])
def test_nothing_and_words_equal_no_tensor(other):
    x = mg.ones(2)
    assert (x == other) is False
    assert (x != other) is True
    assert (other == x) is False
    assert x in [other, x]


def test_and_or_xor_work_with_an_array_on_the_left():
    a, b = np.array([True, True, False]), mg.tensor([True, False, False])
    assert (a & b).tolist() == [True, False, False]
    assert (a | b).tolist() == [True, True, False]
    assert (a ^ b).tolist() == [False, True, False]
    assert (True & b).tolist() == b.tolist()


@pytest.mark.parametrize("act", [lambda x: x & x, lambda x: x | 1, lambda x: ~x, lambda x: 1.5 ^ x])
def test_bits_of_floating_point_numbers_are_refused_in_words(act):
    with pytest.raises(DtypeError, match=r"booleans and integers, not .*float32"):
        act(mg.ones(2))


def test_arithmetic_that_booleans_have_not_is_refused_with_what_to_use():
    x = mg.tensor([True, False])
    with pytest.raises(DtypeError, match=r"sub: .*x \^ y"):
        F.sub(x, x)
    with pytest.raises(DtypeError, match=r"neg: .*~x"):
        F.neg(x)
    assert (x - 1).tolist() == [0, -1]
    assert F.sign(x).tolist() == [True, False]


def test_integers_to_negative_powers_are_refused_unless_one_is_floating():
    i, negative = mg.tensor([1, 2]), mg.tensor([-1, 0])
    for base in (i, 2):
        with pytest.raises(DtypeError, match="negative powers"):
            base**negative
    assert (i**-1).tolist() == [1.0, 0.5]
    assert (i.float() ** negative).tolist() == [1.0, 1.0]
    assert (i ** negative.float()).tolist() == [1.0, 1.0]


def test_a_power_has_its_infinite_slope_at_0_without_a_warning():
    x = mg.tensor([0.0, 4.0], requires_grad=True)
    (g,) = mg.grad((x**0.5).sum(), x, create_graph=True)
    assert g.tolist() == [np.inf, 0.25]
    assert mg.grad(g.sum(), x)[0].tolist() == [-np.inf, -0.03125]
    assert (x**-1).tolist() == [np.inf, 0.25]
    assert np.isnan(((-x - 1) ** 0.5).numpy()).all()


RNG = np.random.default_rng(2)
REAL, POSITIVE = RNG.standard_normal((3, 4)) * 2, RNG.uniform(0.2, 3.0, (3, 4))
SMALL = np.array([1e-10, -1e-10, 0.0, 1e-6])

ONE = {  # name: (values, the function, its first and second derivative)
    "neg": (REAL, np.negative, lambda x: -1 + 0 * x, lambda x: 0 * x),
    "abs": (REAL, np.abs, np.sign, lambda x: 0 * x),
    "sign": (REAL, np.sign, lambda x: 0 * x, lambda x: 0 * x),
    "square": (REAL, np.square, lambda x: 2 * x, lambda x: 2 + 0 * x),
    "reciprocal": (REAL, lambda x: 1 / x, lambda x: -1 / x**2, lambda x: 2 / x**3),
    "exp": (REAL, np.exp, np.exp, np.exp),
    "expm1": (np.append(REAL, SMALL), np.expm1, np.exp, np.exp),
    "log": (POSITIVE, np.log, lambda x: 1 / x, lambda x: -1 / x**2),
    "log1p": (np.append(POSITIVE, SMALL), np.log1p, lambda x: 1 / (1 + x), lambda x: -1 / (1 + x) ** 2),
    "sqrt": (POSITIVE, np.sqrt, lambda x: 0.5 * x**-0.5, lambda x: -0.25 * x**-1.5),
    "rsqrt": (POSITIVE, lambda x: x**-0.5, lambda x: -0.5 * x**-1.5, lambda x: 0.75 * x**-2.5),
    "sin": (REAL, np.sin, np.cos, lambda x: -np.sin(x)),
    "cos": (REAL, np.cos, lambda x: -np.sin(x), lambda x: -np.cos(x)),
    "tanh": (REAL, np.tanh, lambda x: 1 - np.tanh(x) ** 2, lambda x: -2 * np.tanh(x) * (1 - np.tanh(x) ** 2)),
    "sigmoid": (
        REAL,
        special.expit,
        lambda x: special.expit(x) * special.expit(-x),
        lambda x: special.expit(x) * special.expit(-x) * (1 - 2 * special.expit(x)),
    ),
    "erf": (
        np.append(REAL, SMALL),
        special.erf,
        lambda x: 2 / np.sqrt(np.pi) * np.exp(-(x**2)),
        lambda x: -4 * x / np.sqrt(np.pi) * np.exp(-(x**2)),
    ),
    "softplus": (
        REAL,
        lambda x: np.logaddexp(x, 0),
        special.expit,
        lambda x: special.expit(x) * special.expit(-x),
    ),
}


@pytest.mark.parametrize("name", ONE)
def test_functions_of_one_number_and_two_derivatives_are_their_formulas(name):
    values, f, first, second = ONE[name]
    x = mg.Tensor(values, requires_grad=True)
    y = getattr(F, name)(x)
    np.testing.assert_allclose(y.numpy(), f(values), rtol=1e-12, atol=1e-18)
    (g,) = mg.grad(y.sum(), x, create_graph=True)
    np.testing.assert_allclose(g.numpy(), first(values), rtol=1e-11, atol=1e-15)
    if g.requires_grad:
        h = mg.grad(g.sum(), x)[0].numpy()
        np.testing.assert_allclose(h, second(values), rtol=1e-10, atol=1e-14)
    else:
        assert not second(values).any()
    if hasattr(mg.Tensor, name):
        np.testing.assert_array_equal(getattr(x, name)().numpy(), y.numpy())


TWO = {  # name: (the operation, NumPy's, its derivatives by the first and by the second)
    "add": (F.add, np.add, lambda x, y: 1 + 0 * x * y, lambda x, y: 1 + 0 * x * y),
    "sub": (F.sub, np.subtract, lambda x, y: 1 + 0 * x * y, lambda x, y: -1 + 0 * x * y),
    "mul": (F.mul, np.multiply, lambda x, y: y + 0 * x, lambda x, y: x + 0 * y),
    "div": (F.div, np.divide, lambda x, y: 1 / y + 0 * x, lambda x, y: -x / y**2),
    "pow": (F.pow, np.power, lambda x, y: y * x ** (y - 1), lambda x, y: x**y * np.log(x)),
    "maximum": (F.maximum, np.maximum, lambda x, y: 1.0 * (x > y), lambda x, y: 1.0 * (y > x)),
    "minimum": (F.minimum, np.minimum, lambda x, y: 1.0 * (x < y), lambda x, y: 1.0 * (y < x)),
    "where": (
        lambda x, y: F.where(x > y * 0.9, x, y),
        lambda x, y: np.where(x > y * 0.9, x, y),
        lambda x, y: 1.0 * (x > y * 0.9),
        lambda x, y: 1.0 * (x <= y * 0.9),
    ),
}


def folded(array, shape):
    """`array` summed to `shape`, from which it was broadcast."""
    array = array.sum(axis=tuple(range(array.ndim - len(shape))))
    return array.sum(axis=tuple(i for i, n in enumerate(shape) if n == 1), keepdims=True).reshape(shape)


@given(
    hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3, min_side=0), st.sampled_from(sorted(TWO))
)
def test_functions_of_two_numbers_broadcast_and_their_gradients_fold_back(shapes, name):
    operation, numpys, by_x, by_y = TWO[name]
    rng = np.random.default_rng(0)
    xs, ys = (rng.uniform(0.5, 2.0, shape) for shape in shapes.input_shapes)
    x, y = mg.Tensor(xs, requires_grad=True), mg.Tensor(ys, requires_grad=True)
    z = operation(x, y)
    assert z.shape == shapes.result_shape
    np.testing.assert_allclose(z.numpy(), numpys(xs, ys), rtol=1e-13)
    v = rng.standard_normal(z.shape)
    gx, gy = mg.grad(z, [x, y], mg.Tensor(v))
    np.testing.assert_allclose(gx.numpy(), folded(v * by_x(xs, ys), xs.shape), rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(gy.numpy(), folded(v * by_y(xs, ys), ys.shape), rtol=1e-11, atol=1e-13)


def test_equal_arguments_of_maximum_and_minimum_share_the_gradient():
    for f in (F.maximum, F.minimum):
        x, y = mg.ones(2, requires_grad=True), mg.ones(2, requires_grad=True)
        gx, gy = mg.grad(f(x, y).sum(), [x, y])
        assert gx.tolist() == gy.tolist() == [0.5, 0.5]


OPERATORS = [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow, *RELATIONS]
LEFT = [2, 2.5, np.float64(2.5), np.float32(2.5), np.int64(2), np.array([1.0, 2.0, 3.0]), [1.0, 2.0, 3.0]]


@pytest.mark.parametrize("left", LEFT, ids=lambda v: type(v).__name__ + str(v))
@pytest.mark.parametrize("op", OPERATORS)
def test_operators_take_numbers_arrays_and_lists_on_either_side(op, left):
    array = np.array([[0.5, 2.0, 1.5], [2.5, 1.0, 3.0]])
    x = mg.Tensor(array)
    plain = np.array(left) if isinstance(left, list) else left
    for ours, expected in ((op(left, x), op(plain, array)), (op(x, left), op(array, plain))):
        assert isinstance(ours, mg.Tensor)
        np.testing.assert_allclose(ours.numpy(), expected, rtol=1e-6)
        assert ours.dtype == (np.bool_ if op in RELATIONS else np.float64)


def test_matrix_products_take_arrays_on_either_side_and_pos_neg_abs_work():
    a, b = RNG.standard_normal((2, 3)), RNG.standard_normal((3, 2))
    for product in (a @ mg.Tensor(b), mg.Tensor(a) @ b, mg.Tensor(a) @ mg.Tensor(b)):
        np.testing.assert_allclose(product.numpy(), a @ b, rtol=1e-12)
    x = mg.Tensor(a)
    assert +x is x
    np.testing.assert_array_equal((-x).numpy(), -a)
    np.testing.assert_array_equal(abs(x).numpy(), np.abs(a))


def test_the_gradient_reaches_a_tensor_on_the_right_of_an_array():
    x = mg.Tensor(np.array([1.0, 2.0]), requires_grad=True)
    (np.array([3.0, 5.0]) * x + np.float64(2) / x + 2**x).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [3 - 2 + 2 * np.log(2), 5 - 0.5 + 4 * np.log(2)], rtol=1e-12)


F32, F64, INT, BOOL = (mg.tensor([1, 2], dtype=t) for t in ("float32", "float64", "int64", "bool"))


@pytest.mark.parametrize(
    ("x", "y", "dtype"),
    [
        (F32, 2, "float32"),
        (F32, 2.5, "float32"),
        (F32, np.float64(2.5), "float32"),
        (F32, np.int64(2), "float32"),
        (F32, True, "float32"),
        (F32, INT, "float32"),
        (F32, BOOL, "float32"),
        (F32, F64, "float64"),
        (F64, F32, "float64"),
        (F64, INT, "float64"),
        (INT, 2, "int64"),
        (INT, 2.5, "float32"),
        (INT, INT, "int64"),
        (INT, BOOL, "int64"),
        (BOOL, 2, "int64"),
        (BOOL, 2.5, "float32"),
        (F32, [1.5, 2.5], "float32"),
        (F32, np.array([1.5, 2.5]), "float64"),
    ],
)
def test_types_combine_as_in_pytorch(x, y, dtype):
    for op in (operator.add, operator.mul, F.maximum, lambda a, b: F.where(BOOL, a, b)):
        assert op(x, y).dtype == op(y, x).dtype == dtype


def test_integers_divide_to_float32_and_functions_of_integers_are_float32():
    for quotient in (INT / INT, INT / 2, 2 / INT, INT / BOOL.float(), 1 / mg.tensor([True])):
        assert quotient.dtype == np.float32
    assert (INT / INT.double()).dtype == np.float64
    for name in ("exp", "log", "sqrt", "sin", "tanh", "sigmoid", "erf", "reciprocal", "rsqrt", "softplus", "expm1"):
        assert getattr(F, name)(INT).dtype == np.float32
    for name in ("abs", "neg", "sign", "square"):
        assert getattr(F, name)(INT).dtype == np.int64
    assert (INT**2).tolist() == [1, 4]
    assert (2**INT).tolist() == [2, 4]
    assert (INT**0.5).dtype == np.float32


def test_clip_keeps_within_bounds_and_passes_the_gradient_up_to_and_at_them():
    x = mg.Tensor(np.array([-2.0, -1.0, 0.0, 1.0, 2.0]), requires_grad=True)
    y = x.clamp(min=-1, max=1)
    assert y.tolist() == [-1.0, -1.0, 0.0, 1.0, 1.0]
    assert mg.grad(y.sum(), x)[0].tolist() == [0.0, 1.0, 1.0, 1.0, 0.0]
    assert x.clip(0).tolist() == F.clip(x, min=0).tolist() == x.clamp(min=0).tolist() == [0.0, 0.0, 0.0, 1.0, 2.0]
    assert x.clamp(max=0).tolist() == [-2.0, -1.0, 0.0, 0.0, 0.0]
    low = mg.Tensor(np.full(5, 0.5), requires_grad=True)
    gx, glow = mg.grad(F.clip(x, low, mg.full((), 1.5, dtype=np.float64)).sum(), [x, low])
    assert (gx.tolist(), glow.tolist()) == ([0.0, 0.0, 0.0, 1.0, 0.0], [1.0, 1.0, 1.0, 0.0, 0.0])
    assert INT.clip(0, 1).dtype == np.int64
    assert INT.clip(0.5).dtype == np.float32


def test_where_takes_conditions_as_tensors_arrays_lists_and_methods():
    x = mg.Tensor(np.array([1.0, -1.0]), requires_grad=True)
    for condition in (x > 0, x.numpy() > 0, [True, False]):
        assert F.where(condition, x, 0.0).tolist() == x.where(condition, 0.0).tolist() == [1.0, 0.0]
    assert F.where([True, False], 1.0, 2.0).tolist() == [1.0, 2.0]
    assert F.where(mg.ones(2, 1) > 0, x, 0).shape == (2, 2)
    y = mg.Tensor(np.array([np.nan, 5.0]), requires_grad=True)  # what is not taken leaves no trace
    gx, gy = mg.grad(F.where([True, False], x, y).sum(), [x, y])
    assert (gx.tolist(), gy.tolist()) == ([1.0, 0.0], [0.0, 1.0])


def test_powers_at_their_delicate_points_have_the_right_derivatives():
    for base, exponent, first, second in (
        (0.0, 2, 0, 2),
        (0.0, 1, 1, 0),
        (-2.0, 3, 12, -12),
        (-1.0, 2, -2, 2),
        (0.0, 3, 0, 0),
    ):
        x = mg.Tensor(np.array(base), requires_grad=True)
        for power in (exponent, mg.Tensor(np.array(float(exponent)))):
            (g,) = mg.grad(x**power, x, create_graph=True)
            h = mg.grad(g, x, allow_unused=True)[0] if g.requires_grad else None
            assert (g.item(), 0.0 if h is None else h.item()) == (first, second), (base, power)
    x = mg.Tensor(np.array([0.0, -3.0]), requires_grad=True)
    assert mg.grad((x**0).sum(), x)[0].tolist() == [0.0, 0.0]
    y = mg.Tensor(np.array([0.0, 1.0, 2.0]), requires_grad=True)
    assert (0**y).tolist() == [1.0, 0.0, 0.0]
    assert mg.grad((0**y).sum(), y)[0].tolist() == [0.0] * 3
    gy = mg.grad((mg.zeros(3, dtype=np.float64) ** y).sum(), y)[0]
    assert gy.tolist() == [0.0] * 3
    z = mg.Tensor(np.array(2.0), requires_grad=True)
    (g,) = mg.grad(z**z, z, create_graph=True)
    log = np.log(2)
    assert g.item() == pytest.approx(4 * (log + 1), rel=1e-14)
    assert mg.grad(g, z)[0].item() == pytest.approx(4 * (log + 1) ** 2 + 2, rel=1e-14)


def test_division_and_logarithms_at_0_are_infinite_without_a_warning():
    x = mg.tensor([0.0, -1.0], requires_grad=True)
    assert (1 / x).tolist() == [np.inf, -1.0]
    np.testing.assert_array_equal((x / 0).numpy(), [np.nan, -np.inf])
    assert F.log(x).tolist()[0] == F.log1p(mg.tensor(-1.0)).item() == -np.inf
    assert np.isnan(F.log(x).tolist()[1])
    assert np.isnan(F.sqrt(x).tolist()[1])
    assert F.rsqrt(x).tolist()[0] == np.inf
    assert mg.grad(F.sqrt(x).sum(), x)[0].tolist()[0] == np.inf


@pytest.mark.parametrize("x", [-3e38, -1e4, -100.0, -20.0, 20.0, 100.0, 1e4, 3e38])
def test_saturating_functions_reach_to_the_ends_of_float32(x):
    t = mg.tensor([x], requires_grad=True)
    x = np.float64(np.float32(x))
    for f, value, slope in (
        (F.sigmoid, special.expit(x), special.expit(x) * special.expit(-x)),
        (F.tanh, np.tanh(x), 0.0),
        (F.softplus, np.logaddexp(x, 0), special.expit(x)),
    ):
        (g,) = mg.grad(f(t), t, create_graph=True)
        np.testing.assert_allclose(f(t).numpy(), [value], rtol=1e-6, atol=1e-37)
        np.testing.assert_allclose(g.numpy(), [slope], rtol=1e-5, atol=3e-9)
        assert np.isfinite(mg.grad(g, t)[0].numpy()).all()


def test_softplus_has_a_steepness_and_a_threshold_above_which_it_is_the_identity():
    x = np.array([-3.0, 0.0, 0.4, 0.6, 4.0])
    t = mg.Tensor(x, requires_grad=True)
    y = F.softplus(t, beta=3, threshold=1.5)
    np.testing.assert_allclose(y.numpy(), np.where(3 * x > 1.5, x, np.log1p(np.exp(3 * x)) / 3), rtol=1e-12)
    expected = np.where(3 * x > 1.5, 1, special.expit(3 * x))
    np.testing.assert_allclose(mg.grad(y.sum(), t)[0].numpy(), expected, rtol=1e-12)


def test_empty_tensors_pass_through_everything():
    x = mg.zeros(0, 3, requires_grad=True)
    for f in [getattr(F, name) for name in ONE] + [
        lambda v, g=op: g(v, 2.0) for op in (F.add, F.mul, F.div, F.pow, F.maximum)
    ]:
        y = f(x)
        assert y.shape == (0, 3)
        assert mg.grad(y.sum(), x)[0].shape == (0, 3)


@pytest.mark.parametrize(
    "mistake",
    [
        lambda x: x + mg.ones(4),
        lambda x: x * mg.ones(4),
        lambda x: np.ones(4) - x,
        lambda x: x / mg.ones(2),
        lambda x: x ** mg.ones(4),
        lambda x: F.maximum(x, mg.ones(4)),
        lambda x: F.where(x > 0, x, mg.ones(4)),
        lambda x: F.where([True] * 4, x, x),
        lambda x: F.clip(x, mg.ones(4)),
    ],
)
def test_shapes_that_do_not_broadcast_are_named_with_the_axis_and_what_to_try(mistake):
    with pytest.raises(
        ShapeError, match=r"[A-Z]\w+: the shapes .*\(2, 3\).*at axis -1 .*equal or 1; reshape"
    ) as raised:
        mistake(mg.ones(2, 3))
    assert isinstance(raised.value, ValueError)


@pytest.mark.parametrize(
    "mistake",
    [
        lambda x: x + None,
        lambda x: x + "a",
        lambda x: "a" * x,
        lambda x: None / x,
        lambda x: x**1j,
        lambda x: x < None,
        lambda x: F.exp(None),
        lambda x: F.exp("a"),
        lambda x: F.maximum(x, "a"),
        lambda x: F.clip(x, "a"),
        lambda x: F.clip(x),
        lambda x: F.where(x, x, x),
        lambda x: F.where("a", x, x),
        lambda x: F.where(x > 0, x, None),
    ],
)
def test_what_is_no_number_is_refused_in_words(mistake):
    with pytest.raises(MinigenError, match=r"\w+ \w+ \w+"):
        mistake(mg.ones(2, 3))


def test_the_mixed_derivative_of_a_power_is_right_where_the_exponent_is_zero():
    x, y = mg.tensor([2.0], dtype="float64", requires_grad=True), mg.tensor([0.0], dtype="float64", requires_grad=True)
    (gx,) = mg.grad(F.pow(x, y).sum(), x, create_graph=True)
    assert mg.grad(gx.sum(), y)[0].item() == 0.5  # ∂(y·xʸ⁻¹)/∂y = xʸ⁻¹·(1 + y ln x)


def test_integers_are_clipped_to_bounds_beyond_their_type():
    assert mg.clip(mg.Tensor(np.array([0, 1, 200], np.uint8)), -1, 300).tolist() == [0, 1, 200]
    assert mg.clip(mg.tensor([1, 2, 3]), 2, 10**20).tolist() == [2, 2, 3]


def test_bounds_that_cross_give_the_upper_one_and_no_gradient():
    x = mg.tensor([-1.0, 0.5, 3.0, 9.0], requires_grad=True)
    y = mg.clip(x, 5.0, 3.0)
    assert y.tolist() == [3.0] * 4
    assert mg.grad(y.sum(), x)[0].tolist() == [0.0] * 4


def test_a_quotient_of_what_is_not_finite_says_nothing_on_its_way_back():
    x, y = mg.tensor([np.inf, 2.0], requires_grad=True), mg.ones(2, requires_grad=True)
    with np.errstate(all="raise"):
        F.where(mg.tensor([False, True]), x / y, 0.0).sum().backward()
    np.testing.assert_array_equal(y.grad.numpy(), [np.nan, -2])


def test_a_condition_on_another_device_is_named():
    x, condition = mg.ones(2).to("cudasim"), mg.tensor([True, False])
    with pytest.raises(DeviceError, match=r"where: the condition is on device cpu, .* on cudasim; .*\.to\('cudasim'\)"):
        F.where(condition, x, 0.0)
