"""Losses beside formulas written out in NumPy and SciPy, and their gradients where they are delicate."""

import numpy as np
import pytest
from scipy import special, stats

import minigen as mg
from minigen import functional as F
from minigen.errors import ShapeError, UserError


def test_binary_cross_entropy_of_probabilities_that_are_exactly_0_or_1_has_finite_gradients():
    p = mg.tensor([0.0, 0.0, 1.0, 1.0, 0.25], requires_grad=True)
    loss = F.binary_cross_entropy(p, mg.tensor([0.0, 1.0, 1.0, 0.0, 1.0]), reduction="none")
    np.testing.assert_allclose(loss.numpy(), [0.0, 100.0, 0.0, 100.0, np.log(4)], rtol=1e-6)
    (g,) = mg.grad(loss.sum(), p, create_graph=True)
    assert g.tolist()[4] == -4.0
    assert np.isfinite(g.numpy()).all(), g
    assert np.isfinite(mg.grad(g.sum(), p)[0].numpy()).all()


def test_a_saturated_sigmoid_before_binary_cross_entropy_gives_no_nan():
    logits = mg.tensor([-1e4, 1e4, 0.0], requires_grad=True)
    F.binary_cross_entropy(logits.sigmoid(), mg.tensor([1.0, 0.0, 1.0])).backward()
    np.testing.assert_allclose(logits.grad.numpy(), [0.0, 0.0, -0.5 / 3], rtol=1e-6)


@pytest.mark.parametrize("p", [1e-43, 1e-20, 1e-11, 1e-3])
def test_binary_cross_entropy_is_exact_for_small_probabilities_and_its_gradient_at_most_a_million_million(p):
    x = mg.tensor([p], requires_grad=True, dtype=np.float64)
    loss = F.binary_cross_entropy(x, mg.ones(1, dtype=np.float64))
    loss.backward()
    assert loss.item() == pytest.approx(-np.log(p), rel=1e-12)
    assert x.grad.item() == pytest.approx(-min(1 / p, 1e12), rel=1e-12)


@pytest.mark.parametrize("target", [[0, -1], [0, 3], [-2, 1]])
def test_a_class_that_is_not_there_is_refused_and_never_counted_from_the_end(target):
    with pytest.raises(ShapeError, match=r"nll_loss: target: .* from 0 to 2"):
        F.cross_entropy(mg.ones(2, 3), mg.tensor(target))


# ---- values and gradients beside formulas --------------------------------------------------------------------------

RNG = np.random.default_rng(9)
A, B = RNG.standard_normal((3, 4)), RNG.standard_normal((3, 4)) * 2
P, Q = RNG.uniform(0.05, 0.95, (3, 4)), RNG.uniform(0, 1, (3, 4))
WEIGHT = RNG.uniform(0.5, 2, (3, 4))


def huber(d, delta):
    return np.where(np.abs(d) <= delta, 0.5 * d**2, delta * (np.abs(d) - 0.5 * delta))


PAIRS = {  # name: (ours, the inputs, the terms, their derivative by the first)
    "mse": (F.mse_loss, A, B, lambda x, y: (x - y) ** 2, lambda x, y: 2 * (x - y)),
    "l1": (F.l1_loss, A, B, lambda x, y: np.abs(x - y), lambda x, y: np.sign(x - y)),
    "huber": (F.huber_loss, A, B, lambda x, y: huber(x - y, 1), lambda x, y: (x - y).clip(-1, 1)),
    "huber 0.3": (
        lambda x, y, **k: F.huber_loss(x, y, delta=0.3, **k),
        A,
        B,
        lambda x, y: huber(x - y, 0.3),
        lambda x, y: (x - y).clip(-0.3, 0.3),
    ),
    "bce": (
        F.binary_cross_entropy,
        P,
        Q,
        lambda p, y: -special.xlogy(y, p) - special.xlog1py(1 - y, -p),
        lambda p, y: (p - y) / (p * (1 - p)),
    ),
    "bce weighted": (
        lambda p, y, **k: F.binary_cross_entropy(p, y, weight=WEIGHT, **k),
        P,
        Q,
        lambda p, y: WEIGHT * (-special.xlogy(y, p) - special.xlog1py(1 - y, -p)),
        lambda p, y: WEIGHT * (p - y) / (p * (1 - p)),
    ),
    "bce_with_logits": (
        F.binary_cross_entropy_with_logits,
        B,
        Q,
        lambda x, y: -y * special.log_expit(x) - (1 - y) * special.log_expit(-x),
        lambda x, y: special.expit(x) - y,
    ),
    "bce_with_logits weighted": (
        lambda x, y, **k: F.binary_cross_entropy_with_logits(x, y, weight=WEIGHT, pos_weight=WEIGHT[0], **k),
        B,
        Q,
        lambda x, y: WEIGHT * (-WEIGHT[0] * y * special.log_expit(x) - (1 - y) * special.log_expit(-x)),
        lambda x, y: WEIGHT * ((1 - y) * special.expit(x) - WEIGHT[0] * y * special.expit(-x)),
    ),
    "kl_div": (F.kl_div, A, Q, lambda x, t: special.xlogy(t, t) - t * x, lambda x, t: -t),
    "kl_div log": (
        lambda x, t, **k: F.kl_div(x, t, log_target=True, **k),
        A,
        B,
        lambda x, t: np.exp(t) * (t - x),
        lambda x, t: -np.exp(t),
    ),
}


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", PAIRS)
def test_losses_of_pairs_are_their_formulas(name, reduction):
    ours, a, b, terms, slope = PAIRS[name]
    x, y = mg.Tensor(a, requires_grad=True), mg.Tensor(b)
    loss = ours(x, y, reduction=reduction)
    expected = {"mean": np.mean, "sum": np.sum, "none": lambda t: t}[reduction](terms(a, b))
    np.testing.assert_allclose(loss.numpy(), expected, rtol=1e-11)
    v = RNG.standard_normal(loss.shape)
    (g,) = mg.grad(loss, x, mg.Tensor(v))
    scale = v / a.size if reduction == "mean" else v
    np.testing.assert_allclose(g.numpy(), slope(a, b) * scale, rtol=1e-10, atol=1e-14)


def test_second_derivatives_at_points_computed_by_hand():
    def second(f, point):
        x = mg.Tensor(np.array(point), requires_grad=True)
        (g,) = mg.grad(f(x), x, create_graph=True)
        return mg.grad(g.sum(), x)[0].tolist() if g.requires_grad else [0.0] * len(point)

    zero = mg.zeros(2, dtype=np.float64)
    assert second(lambda x: F.mse_loss(x, zero, "sum"), [1.0, -2.0]) == [2.0, 2.0]
    assert second(lambda x: F.huber_loss(x, zero, "sum"), [0.5, 3.0]) == [1.0, 0.0]
    assert second(lambda x: F.l1_loss(x, zero, "sum"), [0.5, 3.0]) == [0.0, 0.0]
    for target in (0.0, 0.3, 1.0):
        y = mg.full((2,), target, dtype=np.float64)
        curved = second(lambda x, y=y: F.binary_cross_entropy_with_logits(x, y, reduction="sum"), [0.0, 2.0])
        np.testing.assert_allclose(curved, [0.25, special.expit(2) * special.expit(-2)], rtol=1e-12)
    p = special.softmax([0.0, 1.0, -1.0])
    hessian = mg.hessian(lambda x: F.cross_entropy(x, 1), mg.Tensor(np.array([0.0, 1.0, -1.0])))
    np.testing.assert_allclose(hessian.numpy(), np.diag(p) - np.outer(p, p), rtol=1e-12)


@pytest.mark.parametrize("x", [-3e38, -1e4, -50.0, 0.0, 50.0, 1e4, 3e38])
@pytest.mark.parametrize("target", [0.0, 0.25, 1.0])
def test_binary_cross_entropy_of_logits_reaches_to_the_ends_of_float32(x, target):
    t = mg.tensor([x], requires_grad=True)
    x = np.float64(np.float32(x))
    loss = F.binary_cross_entropy_with_logits(t, mg.full((1,), target))
    expected = -target * special.log_expit(x) - (1 - target) * special.log_expit(-x)
    assert loss.item() == pytest.approx(expected, rel=1e-5, abs=1e-9)
    (g,) = mg.grad(loss, t, create_graph=True)
    assert g.item() == pytest.approx(special.expit(x) - target, rel=1e-5, abs=1e-9)
    assert np.isfinite(mg.grad(g, t)[0].item())


LOGITS = RNG.standard_normal((5, 3, 2)) * 3
CLASSES = RNG.integers(0, 3, (5, 2))
CLASSES[0, 0] = -100
BY_CLASS = np.array([0.5, 2.0, 1.25])


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weight", [None, BY_CLASS], ids=["plain", "weighted"])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_cross_entropy_is_the_negative_log_of_the_softmax_at_the_class(reduction, weight, smoothing):
    w = np.ones(3) if weight is None else weight
    logp = special.log_softmax(LOGITS, 1)
    counted = CLASSES != -100
    one_hot = np.eye(3)[np.where(counted, CLASSES, 0)].transpose(0, 2, 1) * counted[:, None]
    soft = (1 - smoothing) * one_hot + smoothing / 3 * counted[:, None]
    terms = -(w[:, None] * soft * logp).sum(1)
    total = (w[:, None] * one_hot).sum()
    expected = {"mean": terms.sum() / total, "sum": terms.sum(), "none": terms}[reduction]
    x = mg.Tensor(LOGITS, requires_grad=True)
    k = {"weight": weight, "reduction": reduction, "label_smoothing": smoothing}
    loss = F.cross_entropy(x, mg.tensor(CLASSES), **k)
    np.testing.assert_allclose(loss.numpy(), expected, rtol=1e-11, atol=1e-14)
    v = RNG.standard_normal(loss.shape)
    (g,) = mg.grad(loss, x, mg.Tensor(v))
    slope = special.softmax(LOGITS, 1) * (w[:, None] * soft).sum(1, keepdims=True) - w[:, None] * soft
    scale = {"mean": lambda: v / total, "sum": lambda: v, "none": lambda: v[:, None]}[reduction]()
    np.testing.assert_allclose(g.numpy(), slope * scale, rtol=1e-10, atol=1e-14)
    if smoothing == 0:
        k.pop("label_smoothing")
        np.testing.assert_allclose(F.nll_loss(mg.Tensor(logp), CLASSES, **k).numpy(), expected, rtol=1e-11, atol=1e-14)


def test_cross_entropy_with_probabilities_as_targets_agrees_with_that_of_classes():
    logits, classes = mg.Tensor(LOGITS[:, :, 0]), CLASSES[:, 1]
    hard = F.cross_entropy(logits, classes, label_smoothing=0.1)
    soft = F.cross_entropy(logits, mg.Tensor(np.eye(3)[classes]), label_smoothing=0.1)
    assert hard.item() == pytest.approx(soft.item(), rel=1e-12)
    shares = RNG.dirichlet(np.ones(3), 5)
    expected = -(BY_CLASS * shares * special.log_softmax(LOGITS[:, :, 0], 1)).sum(1)
    ours = F.cross_entropy(logits, shares, weight=BY_CLASS)
    assert ours.item() == pytest.approx(expected.mean(), rel=1e-12)


def test_one_sample_another_ignored_index_and_other_types_of_classes():
    x = mg.Tensor(LOGITS[:, :, 0])
    first = -special.log_softmax(LOGITS[1, :, 0])
    assert F.cross_entropy(x[1], 2).item() == pytest.approx(first[2], rel=1e-12)
    assert F.cross_entropy(x[1], mg.tensor(2, dtype=np.int32)).item() == pytest.approx(first[2], rel=1e-12)
    ours = F.cross_entropy(x[1:3], np.array([2, 0], np.uint8), ignore_index=0)
    assert ours.item() == pytest.approx(first[2], rel=1e-12)
    assert np.isnan(F.cross_entropy(x, np.full(5, -100)).item())
    assert F.cross_entropy(x, np.full(5, -100), reduction="sum").item() == 0.0


@pytest.mark.parametrize("scale", [1e4, 1e30])
def test_cross_entropy_of_enormous_logits_is_finite_with_a_finite_gradient(scale):
    x = mg.Tensor(np.array([[scale, 0.0, -scale]], np.float32), requires_grad=True)
    for target, loss, slope in ((0, 0.0, [0, 0, 0]), (2, 2 * scale, [1, 0, -1])):
        y = F.cross_entropy(x, [target])
        assert y.item() == pytest.approx(loss, rel=1e-6)
        assert mg.grad(y, x)[0].tolist() == [slope]


def test_the_divergence_of_a_distribution_from_itself_is_0_and_batchmean_divides_by_the_batch():
    p, q = RNG.dirichlet(np.ones(4), 3), RNG.dirichlet(np.ones(4), 3)
    assert F.kl_div(mg.Tensor(np.log(p)), mg.Tensor(p), "batchmean").item() == pytest.approx(0, abs=1e-15)
    ours = F.kl_div(mg.Tensor(np.log(q)), mg.Tensor(p), reduction="batchmean").item()
    assert ours == pytest.approx(np.mean([stats.entropy(a, b) for a, b in zip(p, q)]), rel=1e-11)
    t = mg.Tensor(np.array([0.0, 1.0]), requires_grad=True)
    loss = F.kl_div(mg.Tensor(np.log([0.5, 0.5])), t, "sum")
    assert loss.item() == pytest.approx(np.log(2))
    assert mg.grad(loss, t)[0].tolist()[1] == pytest.approx(1 + np.log(2))


def test_losses_keep_float32_and_average_nothing_to_nan():
    x, y = mg.full((2,), 0.5), mg.full((2,), 0.25)
    losses = [F.mse_loss, F.l1_loss, F.huber_loss, F.binary_cross_entropy, F.binary_cross_entropy_with_logits, F.kl_div]
    for loss in losses:
        assert loss(x, y).dtype == np.float32
        assert loss(x, [0, 1]).dtype == np.float32
        assert np.isnan(loss(x[:0], y[:0]).item())
        assert loss(x[:0], y[:0], reduction="sum").item() == 0.0
    assert F.cross_entropy(mg.ones(2, 3), [0, 1]).dtype == np.float32


X = mg.ones(5, 3)


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        (lambda: F.mse_loss(X, mg.ones(3)), r"mse_loss: input \(5, 3\) and target \(3,\)"),
        (lambda: F.l1_loss(X, mg.ones(5, 1)), r"l1_loss: .*\(5, 1\)"),
        (lambda: F.huber_loss(X, X[:4]), r"huber_loss: .*\(4, 3\)"),
        (lambda: F.huber_loss(X, X, delta=0), r"huber_loss: delta must be positive"),
        (lambda: F.binary_cross_entropy_with_logits(X, X[0]), r"binary_cross_entropy_with_logits: .*\(3,\)"),
        (lambda: F.binary_cross_entropy_with_logits(X, X, pos_weight=mg.ones(4)), r"\(5, 3\) and \(4,\)"),
        (lambda: F.binary_cross_entropy(X * 2, X), r"probabilities from 0 to 1.*binary_cross_entropy_with_logits"),
        (lambda: F.binary_cross_entropy(X * np.nan, X), r"probabilities"),
        (lambda: F.cross_entropy(X, [0, 1]), r"nll_loss: .*\(5, 3\).*\(2,\)"),
        (lambda: F.cross_entropy(X, mg.zeros(5)), r"cross_entropy: probabilities of shape \(5,\)"),
        (lambda: F.cross_entropy(X, np.zeros((5, 1), int)), r"nll_loss: .*\(5, 1\)"),
        (lambda: F.cross_entropy(X, [0, 1, 2, 1, 0], mg.ones(4)), r"weight has shape \(4,\).*3 classes"),
        (lambda: F.cross_entropy(X, [0, 1, 2, 1, 0], "mean"), r"'mean'"),
        (lambda: F.cross_entropy(X, [0, 1, 2, 1, 0], label_smoothing=2), r"label_smoothing must be from 0 to 1"),
        (lambda: F.cross_entropy(mg.ones(()), 0), r"log_softmax: dim=1"),
        (lambda: F.nll_loss(X, mg.zeros(5)), r"nll_loss: target: .*integers, not float32"),
        (lambda: F.kl_div(X, X[0]), r"kl_div: .*\(3,\)"),
        (lambda: F.mse_loss(X, None), r"None"),
        (lambda: F.mse_loss(X, X, "avg"), r"mse_loss: reduction 'avg'.*'mean', 'sum' or 'none'"),
        (lambda: F.cross_entropy(X, [0, 1, 2, 1, 0], reduction="avg"), r"reduction 'avg'"),
        (lambda: F.kl_div(X, X, reduction=None), r"kl_div: reduction None"),
    ],
)
def test_a_plausible_mistake_is_answered_with_what_failed(mistake, words):
    with pytest.raises(UserError, match=words):
        mistake()


def test_the_gradient_of_a_confident_prediction_keeps_its_digits_in_float32():
    for target in (0.0, 1.0):
        x = mg.tensor([20.0 * (2 * target - 1)], requires_grad=True)
        loss = F.binary_cross_entropy_with_logits(x, mg.tensor([target]))
        loss.backward()
        assert loss.item() == pytest.approx(np.exp(-20.0), rel=1e-5)
        assert x.grad.item() == pytest.approx((1 - 2 * target) * np.exp(-20.0), rel=1e-5)


def test_the_second_derivative_of_huber_is_one_where_input_meets_target():
    x = mg.tensor(np.zeros(1), requires_grad=True)
    assert mg.hessian(lambda x: F.huber_loss(x, mg.tensor(np.zeros(1)), "sum"), x).item() == 1.0


def test_binary_cross_entropy_pushes_a_wrong_certainty_back():
    for certain, away in ((0.0, -1), (1.0, 1)):
        p = mg.tensor([certain], dtype="float64", requires_grad=True)
        F.binary_cross_entropy(p, mg.tensor([0.3], dtype="float64")).backward()
        assert np.sign(p.grad.item()) == away
        assert abs(p.grad.item()) > 1e11


@pytest.mark.parametrize("order", ["as in C", "channels last", "one of each", "rows apart"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_the_squared_error_is_exact_on_whole_numbers_however_they_lie_in_memory(reduction, dtype, order):
    rng = np.random.default_rng(3)
    x, y = (rng.integers(-9, 10, (5, 3, 40, 37)).astype(dtype) for _ in range(2))  # more than a piece
    channels_last = np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)
    if order == "channels last":
        y = np.moveaxis(np.ascontiguousarray(np.moveaxis(y, 1, -1)), -1, 1)
    a = mg.Tensor({"rows apart": np.repeat(x, 2, axis=-1)[..., ::2], "as in C": x}.get(order, channels_last))
    a.requires_grad_()
    b = mg.Tensor(y, requires_grad=True)
    scale = 1 if reduction == "sum" else 1 / x.size
    loss = F.mse_loss(a, b, reduction=reduction)
    assert loss.item() == pytest.approx(scale * ((x - y).astype(float) ** 2).sum(), rel=1e-6)
    loss.backward(mg.tensor(3.0, dtype=dtype))
    np.testing.assert_allclose(a.grad.numpy(), 6 * scale * (x - y), rtol=1e-6)
    np.testing.assert_array_equal(b.grad.numpy(), -a.grad.numpy())


def test_a_sum_of_squares_that_float32_cannot_hold_is_infinite_without_a_warning():
    x = mg.full((70_000,), 1e18, requires_grad=True)
    loss = F.mse_loss(x, mg.zeros(70_000), reduction="sum")
    assert loss.item() == np.inf


@pytest.mark.parametrize("dtype", ["f2", "g", ">f4"])
def test_the_squared_error_of_numbers_that_no_kernel_takes_is_computed_too(dtype):
    x = mg.Tensor(np.array([1, 2, 4], dtype), requires_grad=True)
    loss = F.mse_loss(x, mg.Tensor(np.zeros(3, dtype)))
    loss.backward()
    assert loss.item() == pytest.approx(7)
    np.testing.assert_allclose(x.grad.numpy().astype(float), [2 / 3, 4 / 3, 8 / 3], rtol=1e-2)
