"""The failure museum: mistakes that articles and public implementations make, each beside what minigen does.

Every test states the wrong form, shows that it differs where it matters, and that ours is the right one.
"""

import math

import numpy as np
import pytest

import minigen
from minigen import Generator, nn, optim
from minigen import functional as F
from minigen.autograd import no_grad
from minigen.classical import GaussianMixture, aic, bic
from minigen.data import load
from minigen.losses import (
    GAN_LOSSES,
    bernoulli_nll,
    discriminator_loss,
    dragan_penalty,
    generator_loss,
    generator_loss_minimax,
    iwae_loss,
    kl_to_standard_normal,
    negative_elbo,
    normalized_weights,
    r1_penalty,
    reparametrize,
    squared_error,
    wgan_gp_penalty,
)


def tensor(values, requires_grad=False):
    return minigen.Tensor(np.asarray(values, dtype=np.float64), requires_grad=requires_grad)


def normal(*shape, seed=0, requires_grad=False):
    return tensor(Generator(seed).normal(shape, dtype=np.float64), requires_grad)


def slope(loss, x):
    (gradient,) = minigen.grad(loss, x)
    return gradient.numpy()


# ---- articles: the variational autoencoder ----------------------------------------------------------------------


def test_a_vae_without_the_kl_term_makes_its_noise_vanish():
    """Wrong: reconstruction alone. Then log σ² falls without end, and z is a plain code that nothing can be drawn from."""
    mu, logvar = normal(6, 3), tensor(np.zeros((6, 3)), requires_grad=True)
    decoder, x, rng = normal(3, 5, seed=1), normal(6, 5, seed=2), Generator(3)
    optimizer = optim.Adam([logvar], lr=0.1)
    for _ in range(300):
        noise = tensor(rng.normal((6, 3), dtype=np.float64))
        loss = squared_error(reparametrize(mu, logvar, noise) @ decoder, x)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert logvar.numpy().mean() < -3
    assert (slope(kl_to_standard_normal(mu, logvar), logvar) < 0).mean() > 0.9, "the KL term raises the variance again"


def test_the_elbo_is_maximized_so_what_is_minimized_is_the_sum_of_both_terms():
    """Wrong: min E log p - KL, or a KL with its sign changed. Both reward a worse reconstruction or a wilder code."""
    good, bad = tensor([[4.0, -4.0]]), tensor([[-4.0, 4.0]])
    x = tensor([[1.0, 0.0]])
    mu, logvar = tensor([[0.5]]), tensor([[-1.0]])
    kl = kl_to_standard_normal(mu, logvar)
    assert kl.item() > 0
    assert negative_elbo(bernoulli_nll(good, x), kl).item() < negative_elbo(bernoulli_nll(bad, x), kl).item()
    wrong = [-bernoulli_nll(logits, x).item() - kl.item() for logits in (good, bad)]
    assert wrong[0] > wrong[1], "minimized, the wrong form prefers the bad reconstruction"
    far = kl_to_standard_normal(mu + 3, logvar)
    assert far.item() > kl.item(), "logged with its sign flipped, it would look like an improvement"


def test_the_standard_deviation_is_the_exponential_of_half_the_log_variance():
    """Wrong: z = μ + exp(log σ²)·ε, whose variance is σ⁴."""
    logvar = tensor(np.full((200_000, 1), math.log(4.0)))
    z = reparametrize(tensor(np.zeros((200_000, 1))), logvar, normal(200_000, 1)).numpy()
    assert z.var() == pytest.approx(4.0, rel=0.02)
    assert abs(z.var() - 16.0) > 10


def test_a_mean_over_pixels_is_another_beta():
    """Wrong: the reconstruction as a mean over D pixels; β = 1 then weighs the KL term D times too much."""
    logits, x = normal(4, 64), tensor(Generator(1).uniform((4, 64)))
    ours = bernoulli_nll(logits, x)
    mean = F.binary_cross_entropy_with_logits(logits, x, reduction="mean")
    assert ours.item() == pytest.approx(64 * mean.item())
    kl = tensor(3.0)
    assert negative_elbo(ours, kl, 1.0).item() == pytest.approx(64 * negative_elbo(mean, kl, 1 / 64).item())


# ---- articles: adversarial networks -----------------------------------------------------------------------------


def test_the_discriminator_raises_what_is_real_and_lowers_what_is_made():
    """Wrong: min over D of log D(x) + log(1 - D(G(z))), or real and made exchanged. D then learns to be fooled."""
    real, fake = tensor([[0.3], [-0.2]], True), tensor([[0.1], [0.4]], True)
    assert (slope(discriminator_loss(real, fake), real) < 0).all(), "descending raises the real logits"
    assert (slope(discriminator_loss(real, fake), fake) > 0).all()
    for wrong in (-discriminator_loss(real, fake), discriminator_loss(fake, real)):
        assert (slope(wrong, real) > 0).all()


def test_both_forms_of_the_generator_s_loss_raise_its_logits_and_one_of_them_saturates():
    """Wrong: log D(G(z)) given as a loss to minimize, without its sign."""
    fake = tensor([[-8.0], [0.0]], True)
    for loss in (generator_loss, generator_loss_minimax):
        assert (slope(loss(None, fake), fake) < 0).all()
    wrong = F.log(F.sigmoid(fake)).mean()
    assert (slope(wrong, fake) > 0).all()
    strong, weak = slope(generator_loss(None, fake), fake)[0], slope(generator_loss_minimax(None, fake), fake)[0]
    assert abs(strong) > 1000 * abs(weak), "a generator that is found out learns only from the non-saturating form"


def test_a_generator_outside_the_graph_gets_no_gradient():
    """Wrong: samples drawn outside the tape. Nothing complains, and the generator never moves; here nothing is None."""
    generator, discriminator = nn.Linear(2, 3), nn.Linear(3, 1)
    z = minigen.randn(5, 2)
    with no_grad():
        fake = generator(z)
    generator_loss(None, discriminator(fake)).backward()
    assert all(weight.grad is None for weight in generator.parameters()), "None, not a silent zero"
    generator_loss(None, discriminator(generator(z))).backward()
    assert all(np.abs(weight.grad.numpy()).max() > 0 for weight in generator.parameters())


def test_a_sigmoid_before_a_loss_from_logits_can_hardly_say_no():
    """Wrong: a sigmoid as the last layer *and* a loss from logits: no real sample can cost less than log(1 + 1/e)."""
    sure = tensor([[50.0]])
    ones = tensor([[1.0]])
    right = F.binary_cross_entropy_with_logits(sure, ones).item()
    wrong = F.binary_cross_entropy_with_logits(F.sigmoid(sure), ones).item()
    assert right == pytest.approx(0, abs=1e-12)
    assert wrong == pytest.approx(math.log(1 + math.exp(-1)), rel=1e-9)


def test_data_for_a_tanh_generator_lie_between_minus_one_and_one():
    """Wrong: pixels from 0 to 255 or to 1, which tanh reaches in part or not at all."""
    for name in ("digits", "digits28"):
        images = load(name, "train", scale="tanh").arrays[0]
        assert (images.min(), images.max()) == (-1, 1)


def test_an_epoch_is_all_batches_and_not_the_first():
    """Wrong: one batch taken an epoch."""
    from minigen.data import ArrayDataset, DataLoader

    loader = DataLoader(ArrayDataset(np.arange(10.0)), 4, shuffle=True, generator=Generator(0))
    seen = [x for (batch,) in loader for x in batch]
    assert sorted(seen) == list(range(10))


@pytest.mark.parametrize("size", [28, 14, 27, 9])
def test_same_padding_of_a_strided_convolution_is_asymmetric_and_its_transpose_is_the_adjoint(size):
    """Wrong: padding 2 on both sides for 5×5 with stride 2 on 28: other pixels are seen, and the adjoint has 27 or 29."""
    x, w = normal(1, 2, size, size), normal(3, 2, 5, 5, seed=1)
    y = F.conv2d(x, w, stride=2, padding="same")
    total = max((math.ceil(size / 2) - 1) * 2 + 5 - size, 0)
    before, after = total // 2, total - total // 2
    by_hand = F.conv2d(F.pad(x, (before, after, before, after)), w, stride=2)
    np.testing.assert_allclose(y.numpy(), by_hand.numpy(), atol=1e-12)
    if size == 28:
        assert (before, after) == (1, 2)
        assert np.abs(y.numpy() - F.conv2d(x, w, stride=2, padding=2).numpy()).max() > 0.1
    g = normal(*y.shape, seed=2)
    leaf = x.detach().requires_grad_()
    (adjoint,) = minigen.grad((F.conv2d(leaf, w, stride=2, padding="same") * g).sum(), leaf)
    assert adjoint.shape == x.shape
    assert (adjoint * x).sum().item() == pytest.approx((g * y).sum().item(), rel=1e-9)


# ---- articles: restoration and model selection ------------------------------------------------------------------


def test_a_correction_autoencoder_is_given_the_damaged_image_and_held_to_the_clean_one():
    """Wrong: the damaged image as input *and* target, or the clean one as both: then nothing is corrected."""
    rng = Generator(0)
    clean = np.repeat(rng.normal((400, 1), dtype=np.float64), 8, axis=1)  # all pixels of an image are alike
    damaged = clean + rng.normal(clean.shape, dtype=np.float64)

    def best_linear(inputs, targets):
        return np.linalg.lstsq(inputs, targets, rcond=None)[0]

    error = {
        name: ((damaged @ best_linear(inputs, targets) - clean) ** 2).mean()
        for name, inputs, targets in (
            ("right", damaged, clean),
            ("damaged to damaged", damaged, damaged),
            ("clean to clean", clean, clean),
        )
    }
    assert error["right"] < 0.5 * error["damaged to damaged"]
    assert error["right"] < error["clean to clean"]


def test_the_likelihood_alone_takes_the_largest_model_and_the_criteria_the_true_one():
    """Wrong: argmin -ln P(x|θ) as the rule for choosing a model."""
    x, _ = load_ring()
    fits = {k: GaussianMixture(k, "spherical", n_init=5, generator=Generator(1)).fit(x) for k in (2, 3, 4, 8)}
    likelihood = {k: float(fit.score_samples(x).sum()) for k, fit in fits.items()}
    assert max(likelihood, key=likelihood.get) == 8
    for name, values in {
        "bic": {k: bic(likelihood[k], fit.n_parameters(), len(x)) for k, fit in fits.items()},
        "aic": {k: aic(likelihood[k], fit.n_parameters()) for k, fit in fits.items()},
    }.items():
        assert min(values, key=values.get) in ((3,) if name == "bic" else (3, 4))


def load_ring():
    from minigen.data.mixtures import ring

    return ring(600, Generator(0), modes=3, std=0.1)


# ---- public implementations -------------------------------------------------------------------------------------


def test_both_terms_of_the_relativistic_average_loss_of_the_generator_count():
    """Wrong: the loss computed in two statements, the second of which overwrites the first."""
    real, fake = normal(5, 1), normal(5, 1, seed=1)
    ours = GAN_LOSSES["relativistic-average"].generator(real, fake).item()
    one = F.softplus(-(fake - real.mean())).mean().item()
    other = F.softplus(real - fake.mean()).mean().item()
    assert ours == pytest.approx(one + other)
    assert min(one, other) > 0.1


def test_a_discriminator_trained_on_dragan_s_penalty_alone_does_not_tell_real_from_made():
    """Wrong: D's loss *replaced* by the penalty. Here the loop adds it: see `train_gan`."""
    net = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1)).double()
    real, fake = normal(64, 2) + 2, normal(64, 2, seed=1) - 2
    values = [dragan_penalty(d, real, fake, Generator(1)).item() for d in (net, lambda x: -net(x))]
    assert values[0] == values[1], "it cannot say which side is real"
    assert dragan_penalty(net, real, fake + 5, Generator(1)).item() == values[0], "nor does it look at the fakes"


def test_the_second_positional_argument_of_batch_norm_is_eps():
    """Wrong: BatchNorm2d(channels, 0.8), meant as momentum, is eps = 0.8: it no longer normalizes."""
    layer = nn.BatchNorm2d(3, 0.8)
    assert (layer.eps, layer.momentum) == (0.8, 0.1)
    x = minigen.randn(64, 3, 4, 4) * 0.1
    assert nn.BatchNorm2d(3)(x).numpy().std() == pytest.approx(1, rel=0.02)
    assert layer(x).numpy().std() < 0.2


def test_importance_weights_favour_the_best_sample_and_pass_no_gradient():
    """Wrong: softmax of -log w, which favours the worst sample; or weights that are not detached."""
    log_w = tensor([[-5.0], [-1.0], [-3.0]], True)
    weights = normalized_weights(log_w)
    assert weights.numpy().argmax() == 1
    assert not weights.requires_grad
    right = slope(iwae_loss(log_w), log_w)
    np.testing.assert_allclose(slope(-(weights * log_w).sum(0).mean(), log_w), right, atol=1e-12)
    attached = slope(-(F.softmax(log_w, 0) * log_w).sum(0).mean(), log_w)
    worst = slope(-(F.softmax(-log_w.detach(), 0) * log_w).sum(0).mean(), log_w)
    for wrong in (attached, worst):
        assert np.abs(wrong - right).max() > 0.05


@pytest.mark.parametrize("penalty", [r1_penalty, wgan_gp_penalty], ids=["r1", "wgan-gp"])
def test_a_gradient_penalty_through_batch_norm_has_the_right_gradient(penalty):
    """Wrong: batch statistics saved as raw arrays; the penalty's own gradient then silently misses terms."""
    minigen.manual_seed(1)
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 1)).double()
    real, fake = normal(6, 3), normal(6, 3, seed=1)
    weight = next(net.parameters())

    def value():
        return penalty(net, real, fake, Generator(2), 10.0)

    analytic = slope(value(), weight)
    numeric, h = np.zeros_like(analytic), 1e-6
    for index in np.ndindex(analytic.shape):
        before = weight.numpy()[index].item()
        for sign in (1, -1):
            array = weight.numpy().copy()
            array[index] = before + sign * h
            weight.data = array
            numeric[index] += sign * value().item() / (2 * h)
        array = weight.numpy().copy()
        array[index] = before
        weight.data = array
    np.testing.assert_allclose(analytic, numeric, rtol=1e-5, atol=1e-6 * np.abs(numeric).max())
