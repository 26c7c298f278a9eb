"""Training through the simulated CUDA kernels: two steps of each kind of system, against the same on the CPU."""

import numpy as np
import pytest

import minigen as mg
from minigen import nn
from minigen.device import why_unavailable
from minigen.losses import gan_loss, kl_per_dimension, reparametrize, squared_error
from minigen.optim import SGD, Adam

pytestmark = pytest.mark.skipif(why_unavailable("cudasim") is not None, reason=str(why_unavailable("cudasim")))
IMAGES = mg.Generator(1).uniform((2, 4, 1, 4, 4))  # two batches of four images


def encoder(outs):
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(16, outs)
    )


def decoder(latent):
    return nn.Sequential(
        nn.Linear(latent, 16), nn.ReLU(), nn.Unflatten(1, (4, 2, 2)), nn.ConvTranspose2d(4, 1, 4, 2, 1), nn.Sigmoid()
    )


def autoencoder_step(networks, step, x, noise):
    e, d = networks
    step(squared_error(d(e(x)), x), e, d)


def vae_step(networks, step, x, noise):
    e, d = networks
    mu, logvar = e(x)[:, :2], e(x)[:, 2:]
    z = reparametrize(mu, logvar, mg.tensor(noise.normal((4, 2)), device=x.device))
    step(squared_error(d(z), x) + kl_per_dimension(mu, logvar).sum(), e, d)


def gan_step(networks, step, x, noise):
    discriminator, generator = networks
    fake = generator(mg.tensor(noise.normal((4, 2)), device=x.device))
    pair = gan_loss("non-saturating")
    step(pair.discriminator(discriminator(x), discriminator(fake.detach())), discriminator)
    step(pair.generator(None, discriminator(fake)), generator)


def trained(one_step, outs, device):
    """The weights after a step on each batch, and the losses."""
    mg.manual_seed(0)
    networks, noise, losses = [encoder(outs).to(device), decoder(2).to(device)], mg.Generator(2), []

    def step(loss, *moved):
        optimizer = SGD([p for network in moved for p in network.parameters()], lr=0.05)
        for network in networks:
            network.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

    for batch in IMAGES:
        one_step(networks, step, mg.tensor(batch, device=device), noise)
    return [p.numpy() for network in networks for p in network.parameters()], losses


@pytest.mark.parametrize(
    ("one_step", "outs"), [(autoencoder_step, 2), (vae_step, 4), (gan_step, 1)], ids=["autoencoder", "vae", "gan"]
)
def test_two_steps_through_the_cuda_kernels_are_those_of_the_cpu(one_step, outs, monkeypatch):
    from minigen_kernels.cuda import running

    ran, simulate = set(), running.simulate
    monkeypatch.setattr(running, "simulate", lambda kernel, *rest: ran.add(kernel.name) or simulate(kernel, *rest))
    expected, cpu_losses = trained(one_step, outs, "cpu")
    assert not ran
    weights, losses = trained(one_step, outs, "cudasim")
    assert ran >= {"correlate", "add_share", "add_up", "sgd"}
    assert {"add_rows", "end_moments", "normalize", "normalize_back"} <= ran
    np.testing.assert_allclose(losses, cpu_losses, rtol=1e-5)
    for ours, theirs in zip(weights, expected):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


def test_a_penalty_on_the_gradient_goes_twice_through_the_kernels():
    found = []
    for device in ("cpu", "cudasim"):
        mg.manual_seed(0)
        network = encoder(1).to(device)
        x = mg.tensor(IMAGES[0], device=device).requires_grad_()
        (slope,) = mg.grad(network(x).sum(), [x], create_graph=True)
        (slope * slope).sum().backward()
        found.append([p.grad.numpy() for p in network.parameters() if p.grad is not None])
    for ours, theirs in zip(*found):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-5)


def test_the_kernels_gradients_are_checked_in_double_precision_to_the_second_order():
    noise = mg.Generator(0)
    x, w = (
        mg.tensor(noise.normal(shape, dtype=np.float64), device="cudasim").requires_grad_()
        for shape in ((1, 2, 4, 3), (2, 2, 2, 2))
    )
    mg.gradcheck(lambda x, w: mg.conv2d(x, w, stride=2, padding=1), [x, w])


def test_dropout_drops_the_same_on_every_device_with_the_same_losses_over_two_steps(monkeypatch):
    from minigen_kernels.cuda import running

    ran, simulate = set(), running.simulate
    monkeypatch.setattr(running, "simulate", lambda kernel, *rest: ran.add(kernel.name) or simulate(kernel, *rest))
    found = []
    for device in ("cpu", "cudasim"):
        mg.manual_seed(0)
        network = nn.Sequential(
            # no bias: before a batch norm its gradient is 0 but for rounding, which Adam makes as large as any other
            nn.Conv2d(1, 4, 3, 2, 1, bias=False),
            nn.BatchNorm2d(4),
            nn.LeakyReLU(0.2),
            nn.Dropout(0.4),
            nn.Flatten(),
        ).to(device)
        head = nn.Sequential(nn.Linear(16, 6), nn.Dropout(0.5), nn.Linear(6, 1)).to(device)
        parameters = [*network.parameters(), *head.parameters()]
        optimizer, losses, zeros = Adam(parameters, lr=0.01), [], []
        for batch in IMAGES:
            optimizer.zero_grad()
            features = network(mg.tensor(batch, device=device))
            logits = head(features)
            loss = mg.functional.binary_cross_entropy_with_logits(logits, mg.ones(*logits.shape, device=device))
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            zeros.append(features.numpy() == 0)
        found.append((losses, zeros, [p.numpy() for p in parameters]))
    (cpu_losses, cpu_zeros, weights), (losses, zeros, ours) = found
    np.testing.assert_array_equal(zeros, cpu_zeros)
    assert 0 < np.mean(zeros) < 1
    np.testing.assert_allclose(losses, cpu_losses, rtol=1e-5)
    for a, b in zip(ours, weights):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)
    assert ran >= {
        "normalize_and_drop",
        "activate_and_drop",
        "scale_by_state",
        "cross_entropy",
        "cross_entropy_back",
        "adam",
    }
