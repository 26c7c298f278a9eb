"""Training steps on the GPU: as on the CPU, without the host looking at values, and the same when captured as a graph."""

import numpy as np
import pytest

import minigen as mg
from minigen import nn
from minigen.losses import gan_loss, kl_per_dimension, reparametrize, squared_error
from minigen.losses.penalties import wgan_gp_penalty
from minigen.optim import Adam

STEPS = 5


def networks(device, outs):
    """An encoder or discriminator of 1×4×4 images, with batch norm and dropout, and a decoder or generator of two numbers."""
    encoder = nn.Sequential(
        nn.Conv2d(1, 4, 3, 2, 1, bias=False),
        nn.BatchNorm2d(4),
        nn.LeakyReLU(0.2),
        nn.Dropout(0.3),
        nn.Flatten(),
        nn.Linear(16, outs),
    )
    decoder = nn.Sequential(
        nn.Linear(2, 16), nn.ReLU(), nn.Unflatten(1, (4, 2, 2)), nn.ConvTranspose2d(4, 1, 4, 2, 1), nn.Sigmoid()
    )
    return encoder.to(device), decoder.to(device)


def minimize(optimizer, loss):
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.detach()


def autoencoder(device):
    encoder, decoder = networks(device, 2)
    optimizer = Adam([*encoder.parameters(), *decoder.parameters()], lr=0.01)
    return lambda x: [minimize(optimizer, squared_error(decoder(encoder(x)), x))]


def vae(device):
    encoder, decoder = networks(device, 4)
    optimizer, noise = Adam([*encoder.parameters(), *decoder.parameters()], lr=0.01), mg.Generator(1)

    def step(x):
        codes = encoder(x)
        mu, logvar = codes[:, :2], codes[:, 2:]
        z = reparametrize(mu, logvar, mg.randn(len(x), 2, generator=noise, device=device))
        return [minimize(optimizer, squared_error(decoder(z), x) + kl_per_dimension(mu, logvar).sum())]

    return step


def gan(device, penalty=False):
    discriminator, generator = networks(device, 1)
    optimizers = [Adam(network.parameters(), lr=0.01, betas=(0.5, 0.9)) for network in (discriminator, generator)]
    noise, pair = mg.Generator(1), gan_loss("wasserstein" if penalty else "non-saturating")

    def step(x):
        fake = generator(mg.randn(len(x), 2, generator=noise, device=device))
        d_loss = pair.discriminator(discriminator(x), discriminator(fake.detach()))
        if penalty:
            d_loss = d_loss + wgan_gp_penalty(discriminator, x, fake, noise)
        found = [minimize(optimizers[0], d_loss)]
        return [*found, minimize(optimizers[1], pair.generator(None, discriminator(fake)))]

    return step


def gan_with_penalty(device):
    return gan(device, penalty=True)


SYSTEMS = [autoencoder, vae, gan, gan_with_penalty]
every_system = pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system.__name__)


def losses_of(step, device, batches):
    """The losses of each step, read when all are done."""
    found = [step(mg.tensor(batch, device=device)) for batch in batches]
    return np.array([[loss.item() for loss in losses] for losses in found])


def batches(count=STEPS):
    return mg.Generator(2).uniform((count, 4, 1, 4, 4))


@every_system
def test_losses_are_those_of_the_cpu(gpu, system):
    found = []
    for device in (mg.device("cpu"), gpu):
        mg.manual_seed(0)
        found.append(losses_of(system(device), device, batches(3)))
    np.testing.assert_allclose(found[1], found[0], rtol=1e-3, atol=1e-5)


@every_system
def test_a_captured_step_has_the_losses_of_one_that_is_not(gpu, system):
    if gpu.name == "cpu":
        pytest.skip("a CPU captures no graphs")
    found = []
    for captured in (False, True):
        mg.manual_seed(0)
        step = system(gpu)
        found.append(losses_of(mg.cuda.graph(step, gpu) if captured else step, gpu, batches()))
    np.testing.assert_allclose(found[1], found[0], rtol=1e-5, atol=1e-6)
    assert np.ptp(found[0][:, 0]) > 0


@every_system
def test_the_host_reads_no_value_inside_a_step(gpu, reads, system):
    mg.manual_seed(0)
    step = system(gpu)
    x = mg.tensor(batches(1)[0], device=gpu)
    step(x)  # compiles, and makes the optimizers' state
    with reads() as found:
        losses = step(x)
    assert not found
    with reads() as found:
        losses[0].item()
    assert found  # the counter counts


# ---- memory -----------------------------------------------------------------------------------------------------


def test_memory_statistics_rise_and_fall_with_tensors(real_gpu):
    cuda = mg.cuda
    mg.zeros(1, device=real_gpu)
    before = cuda.memory_allocated()
    cuda.reset_peak_memory_stats()
    x = mg.zeros(1 << 20, device=real_gpu)
    assert cuda.memory_allocated() - before == x.data.nbytes
    y = x + 1
    assert cuda.memory_allocated() - before == 2 * x.data.nbytes
    del x, y
    assert cuda.memory_allocated() == before
    assert cuda.max_memory_allocated() >= before + (2 << 22)
    assert cuda.memory_reserved() >= cuda.memory_allocated()
    assert cuda.is_available()
    reserved = cuda.memory_reserved()
    cuda.empty_cache()
    assert cuda.memory_reserved() < reserved


def test_more_than_the_gpu_has_ends_in_a_sentence_that_says_what_to_try(real_gpu):
    with pytest.raises(mg.cuda.OutOfMemoryError, match=r"The GPU has no 1024.0 GiB left: .* take a smaller batch"):
        mg.zeros(1 << 18, 1 << 20, device=real_gpu)  # a TiB
    assert mg.ones(3, device=real_gpu).sum().item() == 3  # and the GPU goes on
