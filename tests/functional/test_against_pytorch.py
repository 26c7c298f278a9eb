"""Values, first and second derivatives beside PyTorch's, in float64, on shapes drawn from a seed."""

import numpy as np
import pytest

import minigen as mg
from minigen import functional as F

torch = pytest.importorskip("torch", reason="PyTorch is only there to compare with (extra: bench)")
TF = torch.nn.functional
RNG = np.random.default_rng(7)


def normal(*shape):
    return RNG.standard_normal(shape)


def positive(*shape):
    return RNG.uniform(0.3, 2.0, shape)


A, B, P, X = normal(3, 4), normal(3, 4), positive(3, 4), normal(2, 4, 7, 6)
ZEROS = A.copy()
ZEROS[0, 1] = ZEROS[1, 2] = ZEROS[1, 3] = 0
INDEX = RNG.integers(0, 4, (3, 6))
CLASSES = RNG.integers(0, 3, (5, 2))
CLASSES[0, 0] = -100
LOGITS, WEIGHTS, SHARES = normal(5, 3, 2), positive(3), RNG.dirichlet(np.ones(3), (5, 2)).transpose(0, 2, 1)
INSIDE = RNG.uniform(0.05, 0.95, (3, 4))

CASES: dict[str, tuple] = {}


def case(name, ours, theirs, *arrays):
    CASES[name] = (ours, theirs, arrays)


for name in ["exp", "sin", "cos", "tanh", "sigmoid", "erf", "abs", "neg", "square", "expm1", "sign"]:
    case(name, getattr(F, name), getattr(torch, name), A)
for name in ["log", "sqrt", "rsqrt", "log1p", "reciprocal"]:
    case(name, getattr(F, name), getattr(torch, name), P)
for name in ["relu", "leaky_relu", "elu", "selu", "gelu", "silu", "hardtanh", "softplus"]:
    case(name, getattr(F, name), getattr(TF, name), 2 * A)
case("gelu_tanh", lambda x: F.gelu(x, "tanh"), lambda x: TF.gelu(x, approximate="tanh"), A)
for name in ["add", "sub", "mul", "div", "maximum", "minimum"]:
    case(name, getattr(F, name), getattr(torch, name), A, P[:1])
case("pow", F.pow, torch.pow, P, A)
case("pow_number", lambda x: x**3, lambda x: x**3, A)
case("number_pow", lambda x: 2.0**x, lambda x: 2.0**x, A)
case("clip", lambda x: F.clip(x, -0.5, 0.7), lambda x: torch.clip(x, -0.5, 0.7), A)
case("where", lambda x, y: F.where(A > 0, x, y), lambda x, y: torch.where(torch.tensor(A > 0), x, y), A, B[:, :1])
for name in ["sum", "mean", "prod", "cumsum"]:
    case(name, lambda x, n=name: getattr(F, n)(x, 1), lambda x, n=name: getattr(torch, n)(x, 1), A)
for name in ["sum", "mean", "amax", "amin", "logsumexp", "var", "std"]:
    case(
        f"{name}_axes",
        lambda x, n=name: getattr(F, n)(x, (0, 2), keepdim=True),
        lambda x, n=name: getattr(torch, n)(x, (0, 2), keepdim=True),
        X,
    )
case("prod_zeros", lambda x: F.prod(x, 1), lambda x: torch.prod(x, 1), ZEROS)
case("max", lambda x: F.max(x, 1).values, lambda x: torch.max(x, 1).values, A)
case("min", lambda x: F.min(x, 1).values, lambda x: torch.min(x, 1).values, A)
case("var_biased", lambda x: F.var(x, 1, False), lambda x: torch.var(x, 1, False), A)
for p in (1, 2, 3, 1.5, 0.5, float("inf"), -float("inf")):
    case(f"norm_{p}", lambda x, p=p: F.norm(x, p, 1), lambda x, p=p: torch.linalg.vector_norm(x, p, 1), A)
for name in ["softmax", "log_softmax"]:
    case(name, lambda x, n=name: getattr(F, n)(x, 1), lambda x, n=name: getattr(torch, n)(x, 1), X)
case("matmul", F.matmul, torch.matmul, normal(2, 3, 4), normal(5, 1, 4, 2))
case("matmul_vector", F.matmul, torch.matmul, normal(2, 3, 4), normal(4))
case("vector_matmul", F.matmul, torch.matmul, normal(3), normal(2, 3, 4))
case("dot", F.dot, torch.dot, normal(5), normal(5))
case("outer", F.outer, torch.outer, normal(5), normal(3))
case("linear", F.linear, TF.linear, normal(2, 5, 3), normal(4, 3), normal(4))
for eq, shapes in {
    "bij,jk,k->bi": [(2, 3, 4), (4, 5), (5,)],
    "iij->j": [(3, 3, 4)],
    "...ij,jk": [(2, 3, 4), (4, 5)],
    "...i,...i->...": [(2, 1, 4), (3, 4)],
    "ij->": [(3, 4)],
    "i,j": [(3,), (4,)],
}.items():
    case(
        f"einsum {eq}",
        lambda *xs, eq=eq: F.einsum(eq, *xs),
        lambda *xs, eq=eq: torch.einsum(eq, *xs),
        *[normal(*s) for s in shapes],
    )
case("getitem", lambda x: x[[0, 0, 2], 1:], lambda x: x[[0, 0, 2], 1:], A)
case("getitem_mask", lambda x: x[A > 0], lambda x: x[torch.tensor(A > 0)], A)
case("getitem_mixed", lambda x: x[..., None, [1, 1], 0], lambda x: x[..., None, [1, 1], 0], X)
case("gather", lambda x: x.gather(1, INDEX), lambda x: x.gather(1, torch.tensor(INDEX)), A)
case("index_select", lambda x: x.index_select(1, INDEX[0]), lambda x: x.index_select(1, torch.tensor(INDEX[0])), A)
case("embedding", lambda w: F.embedding(INDEX, w, 2), lambda w: TF.embedding(torch.tensor(INDEX), w, 2), normal(4, 5))
case("flip", lambda x: x.flip(0, 2), lambda x: x.flip(0, 2), X)
case("concatenate", lambda x, y: F.concatenate([x, y], 1), lambda x, y: torch.cat([x, y], 1), A, B[:, :2])
case("stack", lambda x, y: F.stack([x, y], 1), lambda x, y: torch.stack([x, y], 1), A, B)
case("permute", lambda x: x.permute(2, 0, 3, 1), lambda x: x.permute(2, 0, 3, 1), X)
for mode in ("reflect", "replicate", "circular"):
    case(mode, lambda x, m=mode: F.pad(x, (2, 1, 0, 3), m), lambda x, m=mode: TF.pad(x, (2, 1, 0, 3), mode=m), X)
case("pad", lambda x: F.pad(x, (2, -1, 0, 3), value=2.0), lambda x: TF.pad(x, (2, -1, 0, 3), value=2.0), X)

for s, p, d, g in [(1, 0, 1, 1), (2, 1, 1, 2), ((2, 3), (2, 1), (1, 2), 4)]:
    case(
        f"conv2d {s, p, d, g}",
        lambda x, w, b, s=s, p=p, d=d, g=g: F.conv2d(x, w, b, s, p, d, g),
        lambda x, w, b, s=s, p=p, d=d, g=g: TF.conv2d(x, w, b, s, p, d, g),
        X,
        normal(8, 4 // g, 3, 2),
        normal(8),
    )
    case(
        f"conv_transpose2d {s, p, d, g}",
        lambda x, w, b, s=s, p=p, d=d, g=g: F.conv_transpose2d(x, w, b, s, p, 0, g, d),
        lambda x, w, b, s=s, p=p, d=d, g=g: TF.conv_transpose2d(x, w, b, s, p, 0, g, d),
        X,
        normal(4, 3, 3, 2),
        normal(3 * g),
    )
for s, p, o, d in [(3, 1, (2, 1), 1), (1, 1, (2, 1), 3), (2, 0, (2, 1), 4), (1, 2, (3, 0), 4)]:
    case(
        f"conv_transpose2d output_padding {s, p, o, d}",
        lambda x, w, b, s=s, p=p, o=o, d=d: F.conv_transpose2d(x, w, b, s, p, o, 1, d),
        lambda x, w, b, s=s, p=p, o=o, d=d: TF.conv_transpose2d(x, w, b, s, p, o, 1, d),
        X,
        normal(4, 3, 3, 2),
        normal(3),
    )
case(
    "conv2d_same_single_image",
    lambda x, w: F.conv2d(x, w, padding="same", dilation=2),
    lambda x, w: TF.conv2d(x, w, padding="same", dilation=2),
    X[0],
    normal(8, 4, 3, 5),
)
for i, k in enumerate(
    [
        {"kernel_size": 2},
        {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True},
        {"kernel_size": (3, 2), "stride": (1, 2), "padding": (1, 0)},
        {"kernel_size": 3, "stride": 4, "ceil_mode": True},
    ]
):
    case(f"max_pool2d {i}", lambda x, k=k: F.max_pool2d(x, **k), lambda x, k=k: TF.max_pool2d(x, **k), X)
    for extra in ({}, {"count_include_pad": False}, {"divisor_override": 3}):
        kk = k | extra
        case(f"avg_pool2d {kk}", lambda x, k=kk: F.avg_pool2d(x, **k), lambda x, k=kk: TF.avg_pool2d(x, **k), X)
case("max_pool2d dilated", lambda x: F.max_pool2d(x, 2, 1, 1, 3), lambda x: TF.max_pool2d(x, 2, 1, 1, 3), X)
for k in ({"scale_factor": 2}, {"size": (5, 9)}, {"scale_factor": (1.5, 0.7)}):
    case(f"nearest {k}", lambda x, k=k: F.interpolate(x, **k), lambda x, k=k: TF.interpolate(x, **k), X)
    for corners in (False, True):
        kk = k | {"mode": "bilinear", "align_corners": corners}
        case(f"bilinear {kk}", lambda x, k=kk: F.interpolate(x, **k), lambda x, k=kk: TF.interpolate(x, **k), X)

for training in (True, False):
    ours = [mg.Tensor(normal(4)), mg.Tensor(positive(4))]
    theirs = [torch.tensor(t.numpy().copy()) for t in ours]
    case(
        f"batch_norm training={training}",
        lambda x, w, b, o=ours, t=training: F.batch_norm(x, *o, w, b, t),
        lambda x, w, b, o=theirs, t=training: TF.batch_norm(x, *o, w, b, t),
        X,
        normal(4),
        normal(4),
    )
case(
    "layer_norm",
    lambda x, w, b: F.layer_norm(x, (7, 6), w, b),
    lambda x, w, b: TF.layer_norm(x, (7, 6), w, b),
    X,
    normal(7, 6),
    normal(7, 6),
)
case(
    "instance_norm",
    lambda x, w, b: F.instance_norm(x, None, None, w, b),
    lambda x, w, b: TF.instance_norm(x, None, None, w, b),
    X,
    normal(4),
    normal(4),
)
case(
    "group_norm",
    lambda x, w, b: F.group_norm(x, 2, w, b),
    lambda x, w, b: TF.group_norm(x, 2, w, b),
    X,
    normal(4),
    normal(4),
)

for reduction in ("mean", "sum", "none"):
    for smoothing in (0.0, 0.2):
        k = {"reduction": reduction, "label_smoothing": smoothing}
        case(
            f"cross_entropy {k}",
            lambda x, k=k: F.cross_entropy(x, CLASSES, WEIGHTS, **k),
            lambda x, k=k: TF.cross_entropy(x, torch.tensor(CLASSES), torch.tensor(WEIGHTS), **k),
            LOGITS,
        )
    for name in ["mse_loss", "l1_loss", "huber_loss"]:
        case(
            f"{name} {reduction}",
            lambda x, y, n=name, r=reduction: getattr(F, n)(x, y, reduction=r),
            lambda x, y, n=name, r=reduction: getattr(TF, n)(x, y, reduction=r),
            A,
            2 * B,
        )
case(
    "cross_entropy probabilities",
    lambda x: F.cross_entropy(x, SHARES, label_smoothing=0.1),
    lambda x: TF.cross_entropy(x, torch.tensor(SHARES), label_smoothing=0.1),
    LOGITS,
)
case(
    "bce_with_logits",
    lambda x, y: F.binary_cross_entropy_with_logits(x, y, P, pos_weight=P[0]),
    lambda x, y: TF.binary_cross_entropy_with_logits(x, y, torch.tensor(P), pos_weight=torch.tensor(P[0])),
    5 * A,
    INSIDE,
)
case("bce", F.binary_cross_entropy, TF.binary_cross_entropy, INSIDE, INSIDE[::-1].copy())
case("kl_div", lambda x, y: F.kl_div(x, y, "batchmean"), lambda x, y: TF.kl_div(x, y, reduction="batchmean"), A, P)
case("kl_div_log", lambda x, y: F.kl_div(x, y, log_target=True), lambda x, y: TF.kl_div(x, y, log_target=True), A, B)


def as_array(tensor):
    return tensor.numpy() if isinstance(tensor, mg.Tensor) else tensor.detach().add(0.0).numpy()


def compare(ours, theirs, what):
    if theirs is None:
        assert ours is None or not as_array(ours).any(), what
    elif ours is None:
        assert not as_array(theirs).any(), what
    else:
        expected = as_array(theirs)
        scale = max(np.abs(expected).max(initial=0), 1e-3)
        np.testing.assert_allclose(as_array(ours) / scale, expected / scale, rtol=0, atol=1e-10, err_msg=what)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", CASES)
def test_values_and_two_orders_of_derivatives_agree_with_pytorch(name):
    ours, theirs, arrays = CASES[name]
    xs = [mg.Tensor(a, requires_grad=True) for a in arrays]
    ts = [torch.tensor(a, requires_grad=True) for a in arrays]
    y, t = ours(*xs), theirs(*ts)
    assert y.shape == tuple(t.shape)
    compare(y, t, "values")
    v = normal(*y.shape)
    gs = mg.grad(y, xs, mg.Tensor(v), create_graph=True, allow_unused=True)
    gts = torch.autograd.grad(t, ts, torch.tensor(v), create_graph=True, allow_unused=True)
    for g, gt in zip(gs, gts):
        compare(g, gt, "first derivative")
    # second order: the gradient of ⟨gradient, weights⟩, random weights
    ws = [normal(*a.shape) for a in arrays]
    pairs = [(g, mg.Tensor(w)) for g, w in zip(gs, ws) if g is not None and g.requires_grad]
    pairs_t = [(g, torch.tensor(w)) for g, w in zip(gts, ws) if g is not None and g.requires_grad]
    hs = [None] * len(xs)
    if pairs:
        hs = mg.grad([g for g, _ in pairs], xs, [w for _, w in pairs], allow_unused=True)
    hts = [None] * len(ts)
    if pairs_t:
        hts = torch.autograd.grad([g for g, _ in pairs_t], ts, [w for _, w in pairs_t], allow_unused=True)
    for h, ht in zip(hs, hts):
        compare(h, ht, "second derivative")


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", ["batch_norm", "instance_norm"])
def test_running_statistics_move_as_in_pytorch(name, training):
    mean, var = normal(4), positive(4)
    ours = mg.Tensor(mean.copy()), mg.Tensor(var.copy())
    theirs = torch.tensor(mean), torch.tensor(var)
    getattr(F, name)(mg.Tensor(X), *ours, None, None, training, 0.3)
    getattr(TF, name)(torch.tensor(X), *theirs, None, None, training, 0.3)
    for o, t in zip(ours, theirs):
        np.testing.assert_allclose(o.numpy(), t.numpy(), rtol=1e-12)
