import numpy as np
import pytest

import minigen
from minigen import nn
from minigen.errors import ShapeError, UserError
from minigen.losses import GAN_LOSSES, clip_weights, gan_loss, pack

LABELLED = [name for name, loss in GAN_LOSSES.items() if loss.labels]


def log_sigmoid(a):
    return np.log(1 / (1 + np.exp(-a)))


def bce(a, label):
    """-label·log σ(a) - (1 - label)·log(1 - σ(a)), as written in a textbook."""
    return -(label * log_sigmoid(a) + (1 - label) * log_sigmoid(-a)).mean()


# What each side minimizes, from the papers, in NumPy: (discriminator(r, f, label of real), generator(r, f)).
PAPERS = {
    "minimax": (lambda r, f, y: bce(r, y) + bce(f, 0), lambda r, f: np.log(1 - 1 / (1 + np.exp(-f))).mean()),
    "non-saturating": (lambda r, f, y: bce(r, y) + bce(f, 0), lambda r, f: bce(f, 1)),
    "least-squares": (
        lambda r, f, y: ((r - y) ** 2).mean() / 2 + (f**2).mean() / 2,
        lambda r, f: ((f - 1) ** 2).mean() / 2,
    ),
    "hinge": (
        lambda r, f, y: -np.minimum(0, r - 1).mean() - np.minimum(0, -f - 1).mean(),
        lambda r, f: -f.mean(),
    ),
    "wasserstein": (lambda r, f, y: -(r.mean() - f.mean()), lambda r, f: -f.mean()),
    "relativistic": (lambda r, f, y: bce(r - f, y), lambda r, f: bce(f - r, 1)),
    "relativistic-average": (
        lambda r, f, y: bce(r - f.mean(), y) + bce(f - r.mean(), 0),
        lambda r, f: bce(f - r.mean(), 1) + bce(r - f.mean(), 0),
    ),
}


def logits(seed, n=5):
    r, f = minigen.Generator(seed).normal((2, n, 1), std=2.0, dtype=np.float64)
    return r, f


def numeric_gradient(function, x, h=1e-5):
    out = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[i] = h
        out[i] = (function(x + step) - function(x - step)) / (2 * h)
    return out


def sides(name, smoothing=0.0):
    """(ours, the paper's) for the discriminator and the generator, as functions of r and f."""
    loss = gan_loss(name, smoothing)
    paper_d, paper_g = PAPERS[name]
    return [(loss.discriminator, lambda r, f: paper_d(r, f, 1 - smoothing)), (loss.generator, paper_g)]


def test_every_loss_of_the_table_is_compared_with_its_paper():
    assert set(PAPERS) == set(GAN_LOSSES)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(
    ("name", "smoothing"), [*[(name, 0.0) for name in PAPERS], *[(name, 0.2) for name in LABELLED]]
)
def test_values_and_first_derivatives_are_those_of_the_formula(name, smoothing, seed):
    r, f = logits(seed)
    for ours, paper in sides(name, smoothing):
        tr, tf = (minigen.tensor(a, requires_grad=True) for a in (r, f))
        value = ours(tr, tf)
        assert value.shape == ()
        np.testing.assert_allclose(value.item(), paper(r, f), rtol=1e-10)
        gr, gf = minigen.grad(value, [tr, tf], allow_unused=True)
        for gradient, numeric in (
            (gr, numeric_gradient(lambda a: paper(a, f), r)),  # noqa: B023
            (gf, numeric_gradient(lambda a: paper(r, a), f)),  # noqa: B023
        ):
            gradient = np.zeros_like(r) if gradient is None else gradient.numpy()
            np.testing.assert_allclose(gradient, numeric, atol=1e-8)


@pytest.mark.parametrize(
    ("name", "smoothing"), [*[(name, 0.0) for name in PAPERS], *[(name, 0.2) for name in LABELLED]]
)
def test_second_derivatives_are_those_of_the_formula(name, smoothing):
    r, f = logits(2)
    both = np.stack([r, f])
    for ours, paper in sides(name, smoothing):
        direction = minigen.Generator(3).normal(both.shape, dtype=np.float64)
        _, ours_hvp = minigen.hvp(lambda x: ours(x[0], x[1]), minigen.tensor(both), minigen.tensor(direction))  # noqa: B023

        def slope(x, paper=paper, direction=direction):
            return (numeric_gradient(lambda a: paper(*a), x, 1e-4) * direction).sum()

        np.testing.assert_allclose(ours_hvp.numpy(), numeric_gradient(slope, both, 1e-4), atol=1e-5)


@pytest.mark.parametrize("name", PAPERS)
def test_they_agree_with_pytorch_to_second_order(name):
    torch = pytest.importorskip("torch", reason="PyTorch is what this is compared with")
    cross_entropy = torch.nn.functional.binary_cross_entropy_with_logits

    def logistic(a, label):
        return cross_entropy(a, torch.full_like(a, label))

    theirs = {
        "minimax": (lambda r, f: logistic(r, 1.0) + logistic(f, 0.0), lambda r, f: -logistic(f, 0.0)),
        "non-saturating": (lambda r, f: logistic(r, 1.0) + logistic(f, 0.0), lambda r, f: logistic(f, 1.0)),
        "least-squares": (
            lambda r, f: ((r - 1).square().mean() + f.square().mean()) / 2,
            lambda r, f: (f - 1).square().mean() / 2,
        ),
        "hinge": (
            lambda r, f: torch.relu(1 - r).mean() + torch.relu(1 + f).mean(),
            lambda r, f: -f.mean(),
        ),
        "wasserstein": (lambda r, f: f.mean() - r.mean(), lambda r, f: -f.mean()),
        "relativistic": (lambda r, f: logistic(r - f, 1.0), lambda r, f: logistic(f - r, 1.0)),
        "relativistic-average": (
            lambda r, f: logistic(r - f.mean(), 1.0) + logistic(f - r.mean(), 0.0),
            lambda r, f: logistic(f - r.mean(), 1.0) + logistic(r - f.mean(), 0.0),
        ),
    }[name]
    both = np.stack(logits(4, n=7)) * 3
    direction = minigen.Generator(5).normal(both.shape, dtype=np.float64)
    for ours, their in zip(gan_loss(name)[:2], theirs):
        x, tx = minigen.tensor(both, requires_grad=True), torch.tensor(both, requires_grad=True)
        value, their_value = ours(x[0], x[1]), their(tx[0], tx[1])
        np.testing.assert_allclose(value.item(), their_value.item(), rtol=1e-12)
        (g,) = minigen.grad(value, x, create_graph=True)
        (tg,) = torch.autograd.grad(their_value, tx, create_graph=True)
        np.testing.assert_allclose(g.numpy(), tg.detach().numpy(), rtol=1e-10, atol=1e-14)
        if tg.requires_grad and name != "hinge":  # the others are straight lines
            (second,) = minigen.grad((g * minigen.tensor(direction)).sum(), x, allow_unused=True)
            (tsecond,) = torch.autograd.grad((tg * torch.tensor(direction)).sum(), tx)
            np.testing.assert_allclose(second.numpy(), tsecond.numpy(), rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("name", PAPERS)
def test_logits_of_a_thousand_neither_overflow_nor_lose_their_gradient(name):
    for size in (1000.0, -1000.0):
        r, f = (minigen.tensor([[sign * size], [size]], requires_grad=True) for sign in (1, -1))
        loss = gan_loss(name)
        for value in (loss.discriminator(r, f), loss.generator(r, f)):
            assert np.isfinite(value.item())
            gradients = [g.numpy() for g in minigen.grad(value, [r, f], allow_unused=True) if g is not None]
            assert all(np.isfinite(g).all() for g in gradients)
    certain = minigen.tensor([[-1000.0]], requires_grad=True)
    (g,) = minigen.grad(gan_loss("non-saturating").generator(None, certain), certain)
    assert g.item() == -1  # the generator still learns where the discriminator is sure
    (g,) = minigen.grad(gan_loss("minimax").generator(None, certain), certain)
    assert g.item() == 0  # and here it does not: what 'saturating' means


def test_the_discriminator_wants_real_up_and_fake_down_and_the_generator_fake_up():
    r, f = (minigen.tensor([[0.3], [0.2]], requires_grad=True) for _ in range(2))
    for name, loss in GAN_LOSSES.items():
        gr, gf = minigen.grad(loss.discriminator(r, f), [r, f])
        assert (gr.numpy() < 0).all(), name
        assert (gf.numpy() > 0).all(), name
        (gf,) = minigen.grad(loss.generator(r, f), [f])
        assert (gf.numpy() < 0).all(), name


@pytest.mark.parametrize("name", ["relativistic", "relativistic-average"])
def test_the_relativistic_generator_keeps_both_of_its_terms(name):
    """A public implementation overwrites the first term by the second; then the real logits have no gradient, or f none."""
    r, f = (minigen.tensor(a, requires_grad=True) for a in logits(6))
    loss = gan_loss(name)
    assert loss.relativistic
    gr, gf = minigen.grad(loss.generator(r, f), [r, f])
    assert (gr.numpy() > 0).all()
    assert (gf.numpy() < 0).all()
    # the generator's side is the discriminator's with the roles exchanged
    assert loss.generator(r, f).item() == loss.discriminator(f, r).item()
    if name == "relativistic-average":
        parts = [bce((f - r.mean()).numpy(), 1), bce((r - f.mean()).numpy(), 0)]
        assert min(parts) > 0.1
        np.testing.assert_allclose(loss.generator(r, f).item(), sum(parts), rtol=1e-10)


def test_a_generator_that_ignores_real_logits_needs_none():
    f = minigen.tensor([[0.5]])
    for name, loss in GAN_LOSSES.items():
        if not loss.relativistic:
            assert np.isfinite(loss.generator(None, f).item()), name


def test_smoothing_is_one_sided_and_gives_real_logits_a_finite_best_value():
    loss = gan_loss("non-saturating", label_smoothing=0.1)
    best = minigen.tensor([[np.log(0.9 / 0.1)]], dtype=np.float64, requires_grad=True)  # σ = 0.9
    far = minigen.tensor([[-40.0]], dtype=np.float64, requires_grad=True)
    gr, gf = minigen.grad(loss.discriminator(best, far), [best, far])
    assert abs(gr.item()) < 1e-12
    assert abs(gf.item()) < 1e-12  # the label of generated samples is still 0


@pytest.mark.parametrize("name", sorted(set(PAPERS) - set(LABELLED)))
def test_smoothing_a_loss_without_labels_is_refused(name):
    with pytest.raises(UserError, match=f"The loss '{name}' has no labels to smooth"):
        gan_loss(name, label_smoothing=0.1)


def test_mistakes_are_told():
    with pytest.raises(UserError, match="Unknown GAN loss 'hing': did you mean 'hinge'"):
        gan_loss("hing")
    with pytest.raises(UserError, match=r"at least 0 and less than 1, not 1\.0"):
        gan_loss("minimax", label_smoothing=1.0)
    with pytest.raises(ShapeError, match="there must be as many"):
        gan_loss("relativistic").discriminator(minigen.zeros(3, 1), minigen.zeros(2, 1))


def test_clipping_brings_every_weight_into_the_box_and_leaves_the_rest():
    layer = nn.Linear(40, 3)
    before = {name: p.numpy().copy() for name, p in layer.named_parameters()}
    clip_weights(layer.parameters(), 0.05)
    for name, p in layer.named_parameters():
        np.testing.assert_array_equal(p.numpy(), before[name].clip(-0.05, 0.05))
        assert p.requires_grad
    for limit in (0.0, -1.0, float("nan")):
        with pytest.raises(UserError, match="clipped to a positive limit"):
            clip_weights(layer.parameters(), limit)


@pytest.mark.parametrize(("shape", "m", "packed"), [((6, 2), 3, (2, 6)), ((8, 3, 4, 5), 2, (4, 6, 4, 5))])
def test_a_pack_holds_neighbours_side_by_side(shape, m, packed):
    x = minigen.Generator(0).normal(shape)
    out = pack(minigen.tensor(x), m).numpy()
    assert out.shape == packed
    for i in range(packed[0]):
        np.testing.assert_array_equal(out[i], np.concatenate([x[i * m + j] for j in range(m)], axis=0))


def test_packs_of_one_are_the_samples_and_gradients_pass_through_packs():
    x = minigen.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    assert pack(x, 1) is x
    (g,) = minigen.grad((pack(x, 2) * minigen.tensor([[1.0, 2.0, 3.0, 4.0]])).sum(), x)
    assert g.tolist() == [[1.0, 2.0], [3.0, 4.0]]


@pytest.mark.parametrize(("shape", "m"), [((5, 2), 2), ((4,), 2), ((4, 2), 0)])
def test_what_cannot_be_packed_is_refused(shape, m):
    with pytest.raises(ShapeError, match="does not split into packs of"):
        pack(minigen.zeros(shape), m)
