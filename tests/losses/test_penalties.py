import numpy as np
import pytest

import minigen
from minigen import nn
from minigen.errors import ShapeError, UserError
from minigen.losses import GAN_PENALTIES, gan_loss, gan_penalty


def network(batch_norm=False):
    """A small discriminator in float64, smooth so that finite differences apply, with weights of size one."""
    minigen.manual_seed(0)
    norm = [nn.BatchNorm1d(6)] if batch_norm else []
    net = nn.Sequential(nn.Linear(3, 6), *norm, nn.Tanh(), nn.Linear(6, 1)).double()
    for p in net.parameters():
        p.data = p.data * 3
    return net


def batches(n=4):
    real, fake = minigen.Generator(1).normal((2, n, 3), dtype=np.float64)
    return minigen.tensor(real), minigen.tensor(fake + 1)


def tanh_gradients(net, x):
    """∇D(xᵢ) of the network without batch norm, by hand: W₁ᵀ(w₂ ⊙ (1 - tanh²(W₁x + b₁)))."""
    w1, b1, w2, _ = (p.numpy() for p in net.parameters())
    return ((1 - np.tanh(x @ w1.T + b1) ** 2) * w2) @ w1


def points(name, real, fake, seed):
    """Where each penalty looks, drawn anew from its definition."""
    random = minigen.Generator(seed)
    real, fake = real.numpy(), fake.numpy()
    if name == "wgan-gp":
        epsilon = random.uniform((len(real), 1), dtype=np.float64)
        return epsilon * real + (1 - epsilon) * fake
    if name == "dragan":
        return real + random.normal(real.shape, dtype=np.float64) * 0.5 * real.std()
    return real if name == "r1" else fake


def formula(name, gradients, weight):
    length = np.sqrt((gradients**2).sum(axis=1))
    if name in ("r1", "r2"):
        return 0.5 * weight * (length**2).mean()
    return weight * ((length - 1) ** 2).mean()


@pytest.mark.parametrize("name", GAN_PENALTIES)
def test_the_value_is_the_formulas_with_a_norm_for_each_sample(name):
    net, (real, fake) = network(), batches()
    value = gan_penalty(name, 3.0, minigen.Generator(7))(net, real, fake)
    gradients = tanh_gradients(net, points(name, real, fake, 7))
    np.testing.assert_allclose(value.item(), formula(name, gradients, 3.0), rtol=1e-10)


@pytest.mark.parametrize("batch_norm", [False, True], ids=["plain", "through batch norm"])
@pytest.mark.parametrize("name", GAN_PENALTIES)
def test_its_derivative_by_every_weight_is_that_of_finite_differences(name, batch_norm):
    """Through batch norm too, where frozen batch statistics would make it silently wrong."""
    net, (real, fake) = network(batch_norm), batches()

    def penalty():
        return gan_penalty(name, 3.0, minigen.Generator(7))(net, real, fake)

    penalty().backward()
    h = 1e-5
    for key, p in net.named_parameters():
        if key.endswith("bias") and p is list(net.parameters())[-1]:
            assert p.grad is None or not p.grad.numpy().any()  # the last bias moves no gradient
            continue
        numeric, start = np.zeros(p.shape), p.numpy().copy()
        for i in np.ndindex(p.shape):
            values = []
            for sign in (1, -1):
                moved = start.copy()
                moved[i] += sign * h
                p.data = moved
                values.append(penalty().item())
            numeric[i] = (values[0] - values[1]) / (2 * h)
        p.data = start
        ours = np.zeros(p.shape) if p.grad is None else p.grad.numpy()
        np.testing.assert_allclose(ours, numeric, rtol=1e-5, atol=1e-6, err_msg=key)


def test_batch_norm_lets_samples_reach_each_others_gradients():
    """Σ D(x) through batch norm: with frozen statistics the penalty would have another value."""
    net, (real, fake) = network(batch_norm=True), batches()
    penalty = gan_penalty("r1", 2.0, minigen.Generator(0))
    x, h = real.numpy(), 1e-5
    numeric = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[i] = h
        numeric[i] = (net(minigen.tensor(x + step)).sum().item() - net(minigen.tensor(x - step)).sum().item()) / (2 * h)
    np.testing.assert_allclose(penalty(net, real, fake).item(), formula("r1", numeric, 2.0), rtol=1e-6)


@pytest.mark.parametrize("name", ["wgan-gp", "r1", "dragan"])
def test_they_agree_with_pytorch(name):
    torch = pytest.importorskip("torch", reason="PyTorch is what this is compared with")
    minigen.manual_seed(1)
    net = nn.Sequential(nn.Conv2d(2, 4, 3, stride=2, padding=1), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(16, 1))
    net = net.double()
    theirs = torch.nn.Sequential(
        torch.nn.Conv2d(2, 4, 3, stride=2, padding=1),
        torch.nn.LeakyReLU(0.2),
        torch.nn.Flatten(),
        torch.nn.Linear(16, 1),
    ).double()
    theirs.load_state_dict({key: torch.tensor(value.numpy().copy()) for key, value in net.state_dict().items()})
    real, fake = minigen.Generator(2).normal((2, 3, 2, 4, 4), dtype=np.float64)
    random = minigen.Generator(5)
    if name == "wgan-gp":
        epsilon = random.uniform((3, 1, 1, 1), dtype=np.float64)
        at = epsilon * real + (1 - epsilon) * fake
    else:
        at = real + (random.normal(real.shape, dtype=np.float64) * 0.5 * real.std() if name == "dragan" else 0)
    x = torch.tensor(at, requires_grad=True)
    (gradient,) = torch.autograd.grad(theirs(x).sum(), x, create_graph=True)
    length = gradient.flatten(1).norm(dim=1)
    expected = 5 * (length**2).mean() if name == "r1" else 10 * ((length - 1) ** 2).mean()
    expected.backward()
    ours = gan_penalty(name, 10.0, minigen.Generator(5))(net, minigen.tensor(real), minigen.tensor(fake))
    ours.backward()
    np.testing.assert_allclose(ours.item(), expected.item(), rtol=1e-10)
    for p, theirs_p in zip(net.parameters(), theirs.parameters()):
        expected_grad = np.zeros(p.shape) if theirs_p.grad is None else theirs_p.grad.numpy()
        np.testing.assert_allclose(np.zeros(p.shape) if p.grad is None else p.grad.numpy(), expected_grad, atol=1e-12)


def test_dragans_discriminator_learns_from_its_loss_and_not_from_the_penalty_alone():
    """A public implementation drops the loss. The step must still push real up and fake down."""
    net, (real, fake) = network(), batches(8)
    penalty = gan_penalty("dragan", 10.0, minigen.Generator(3))
    loss = gan_loss("non-saturating").discriminator(net(real), net(fake))
    both = loss + penalty(net, real, fake)
    by_both = minigen.grad(both, list(net.parameters()), retain_graph=True)
    by_loss = minigen.grad(loss, list(net.parameters()))
    by_penalty = minigen.grad(
        gan_penalty("dragan", 10.0, minigen.Generator(3))(net, real, fake), list(net.parameters()), allow_unused=True
    )
    for total, first, second in zip(by_both, by_loss, by_penalty):
        assert np.abs(first.numpy()).max() > 1e-3
        second = 0 if second is None else second.numpy()
        np.testing.assert_allclose(total.numpy(), first.numpy() + second, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", GAN_PENALTIES)
def test_a_discriminator_that_is_flat_has_a_finite_derivative(name):
    """Where ∇D = 0 the norm has a kink; its derivative there is taken as 0, never NaN."""
    net, (real, fake) = network(), batches()
    for p in net.parameters():
        p.data = p.data * 0
    value = gan_penalty(name, 10.0, minigen.Generator(0))(net, real, fake)
    assert value.item() == (0 if name in ("r1", "r2") else 10)
    value.backward()
    assert all(np.isfinite(p.grad.numpy()).all() for p in net.parameters() if p.grad is not None)


@pytest.mark.parametrize("name", GAN_PENALTIES)
def test_one_sample_is_enough_and_the_batches_are_left_alone(name):
    net, (real, fake) = network(), batches(1)
    with minigen.no_grad():  # the penalty records what it needs itself
        value = gan_penalty(name, 10.0, minigen.Generator(0))(net, real, fake)
    assert np.isfinite(value.item())
    assert not any(t.requires_grad or t.grad is not None for t in (real, fake))


def test_mistakes_are_told():
    assert gan_penalty("none", 10.0, minigen.Generator(0)) is None
    with pytest.raises(UserError, match="Unknown gradient penalty 'wgan': did you mean 'wgan-gp'"):
        gan_penalty("wgan", 10.0, minigen.Generator(0))
    with pytest.raises(UserError, match=r"must be at least 0, not -1\.0"):
        gan_penalty("r1", -1.0, minigen.Generator(0))
    with pytest.raises(ShapeError, match=r"shapes \(3, 3\) and \(2, 3\) differ"):
        gan_penalty("wgan-gp", 10.0, minigen.Generator(0))(network(), minigen.zeros(3, 3), minigen.zeros(2, 3))
