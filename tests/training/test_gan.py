"""The loop of `minigen.training.gan`, step by step against the same steps written out."""

import copy

import numpy as np
import pytest

import minigen
from minigen import Generator, nn
from minigen.device import device
from minigen.losses import GAN_LOSSES, gan_loss, gan_penalty, pack
from minigen.models.mlp_gan import MLPDiscriminator, MLPGenerator
from minigen.optim import SGD, ExponentialMovingAverage
from minigen.tensor import Tensor
from minigen.training.gan import train_gan


class Batches:
    """What the loop asks of a session, over given batches."""

    def __init__(self, batches):
        self.given, self.step, self.device, self.logged = batches, 0, device("cpu"), []

    def epochs(self):
        yield 1

    def batches(self, device=None):
        for batch in self.given:
            yield Tensor(batch)
            self.step += 1

    def log(self, **losses):
        self.logged.append({name: float(value) for name, value in losses.items()})

    def end_epoch(self):
        self.ended = True


class Watched(nn.Module):
    """A discriminator that remembers what it was shown."""

    def __init__(self, inner):
        super().__init__()
        self.inner, self.seen = inner, []

    def forward(self, x):
        self.seen.append(x.detach().numpy().copy())
        return self.inner(x)


def networks(packing=1):
    minigen.manual_seed(3)
    return MLPGenerator(2, 3, [8]), MLPDiscriminator(2, [8], packing=packing)


def data(batches, n=6):
    return [Generator(7).spawn(i).normal((n, 2)) for i in range(batches)]


def run(generator, discriminator, batches, lr_g=0.1, lr_d=0.2, decay=0.5, **switches):
    session, average = Batches(batches), ExponentialMovingAverage(generator, decay, use_num_updates=False)
    optimizers = SGD(generator.parameters(), lr=lr_g), SGD(discriminator.parameters(), lr=lr_d)
    train_gan(generator, discriminator, *optimizers, session, Generator(5), average, **switches)
    assert session.ended
    return session, average


def weights(module):
    return [p.numpy().copy() for p in module.parameters()]


@pytest.mark.parametrize(
    ("loss", "penalty", "packing"),
    [("non-saturating", "none", 1), ("relativistic-average", "r1", 2), ("hinge", "wgan-gp", 3)],
)
def test_two_batches_move_both_networks_as_the_algorithm_written_out_does(loss, penalty, packing):
    generator, discriminator = networks(packing)
    g, d = copy.deepcopy(generator), copy.deepcopy(discriminator)
    noise, pair = Generator(5), gan_loss(loss)
    for batch in data(2):
        real = pack(Tensor(batch), packing)
        generated = pack(g(Tensor(noise.normal((6, 3)))), packing)
        fake = generated.detach()
        d_loss = pair.discriminator(d(real), d(fake))
        slope = gan_penalty(penalty, 2.0, noise)
        d_loss = d_loss if slope is None else d_loss + slope(d, real, fake)
        for p, grad in zip(d.parameters(), minigen.grad(d_loss, list(d.parameters()), allow_unused=True)):
            p.data = p.data if grad is None else p.data - 0.2 * grad.data
        g_loss = pair.generator(d(real), d(generated))
        for p, grad in zip(g.parameters(), minigen.grad(g_loss, list(g.parameters()))):
            p.data = p.data - 0.1 * grad.data

    # one stream for all random numbers, drawn in the order of the algorithm
    def shared(net, real, fake):
        return gan_penalty(penalty, 2.0, stream)(net, real, fake)

    stream, session, average = Generator(5), Batches(data(2)), ExponentialMovingAverage(generator)
    optimizers = SGD(generator.parameters(), lr=0.1), SGD(discriminator.parameters(), lr=0.2)
    train_gan(
        generator,
        discriminator,
        *optimizers,
        session,
        stream,
        average,
        pair,
        None if penalty == "none" else shared,
        packing=packing,
    )
    for ours, expected in ((generator, g), (discriminator, d)):
        for a, b in zip(weights(ours), weights(expected)):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    names = {name for record in session.logged for name in record}
    assert names == {"d_loss", "d_real", "d_fake", "g_loss"} | ({"d_penalty"} if penalty != "none" else set())


def test_what_the_discriminator_thinks_is_a_probability_only_where_it_learns_one():
    logits = minigen.tensor([[-20.0], [0.0]])
    for name, pair in GAN_LOSSES.items():
        expected = 0.25 if name in ("minimax", "non-saturating") else -10.0
        assert pair.opinion(logits).item() == pytest.approx(expected)


def test_the_generator_moves_after_every_kth_batch_and_each_critic_step_has_its_own_real_samples():
    generator, discriminator = networks()
    watched, batches = Watched(discriminator), data(7)
    session, _ = run(generator, watched, batches, critic_steps=3)
    assert sum("g_loss" in record for record in session.logged) == 2
    shown = [any(np.array_equal(x, batch) for x in watched.seen) for batch in batches]
    assert shown == [True] * 7


def test_a_step_of_the_generator_computes_no_gradient_of_the_discriminator():
    generator, discriminator = networks()
    run(generator, discriminator, data(1), lr_d=0.0)
    left = [p.grad.numpy().copy() for p in discriminator.parameters()]
    twin_g, twin_d = networks()
    stream = Generator(5)
    loss = gan_loss("non-saturating").discriminator(
        twin_d(Tensor(data(1)[0])), twin_d(twin_g(Tensor(stream.normal((6, 3)))).detach())
    )
    for ours, expected in zip(left, minigen.grad(loss, list(twin_d.parameters()))):
        np.testing.assert_allclose(ours, expected.numpy(), rtol=1e-4, atol=1e-7)
    assert all(p.requires_grad for p in discriminator.parameters())
    assert not np.array_equal(weights(generator)[0], weights(twin_g)[0])  # the generator did take its step


def test_frozen_weights_of_the_discriminator_stay_frozen():
    generator, discriminator = networks()
    first = next(iter(discriminator.parameters())).requires_grad_(False)
    before = first.numpy().copy()
    optimizer = SGD([p for p in discriminator.parameters() if p.requires_grad], lr=0.1)
    average = ExponentialMovingAverage(generator)
    train_gan(generator, discriminator, SGD(generator.parameters()), optimizer, Batches(data(2)), Generator(5), average)
    assert not first.requires_grad
    np.testing.assert_array_equal(first.numpy(), before)


def test_the_average_follows_the_generator():
    generator, discriminator = networks()
    start = weights(generator)
    _, average = run(generator, discriminator, data(1))
    for s, w, a in zip(start, weights(generator), weights(average.module)):
        np.testing.assert_allclose(a, 0.5 * s + 0.5 * w, rtol=1e-5, atol=1e-7)


def test_clipped_weights_stay_in_the_box():
    generator, discriminator = networks()
    run(generator, discriminator, data(3), loss=gan_loss("wasserstein"), weight_clip=0.03)
    assert max(np.abs(w).max() for w in weights(discriminator)) == np.float32(0.03)
    assert max(np.abs(w).max() for w in weights(generator)) > 0.1


def test_the_discriminator_sees_packs():
    generator, discriminator = networks(packing=3)
    watched = Watched(discriminator)
    run(generator, watched, data(1), packing=3)
    assert {x.shape for x in watched.seen} == {(2, 6)}
    np.testing.assert_array_equal(watched.seen[0], data(1)[0].reshape(2, 6))


def test_instance_noise_falls_on_real_and_generated_samples_alike_and_follows_its_schedule():
    generator, discriminator = networks()
    for p in generator.parameters():
        p.data = p.data * 0  # every sample at the origin
    watched = Watched(discriminator)
    zeros = [np.zeros((500, 2), np.float32)] * 2
    run(generator, watched, zeros, lr_g=0.0, instance_noise=lambda step: 0.5 if step == 0 else 0.0)
    first, second = watched.seen[:3], watched.seen[3:]  # real, fake, and the generator's fakes
    for x in first:
        np.testing.assert_allclose(x.std(), 0.5, rtol=0.1)
    assert not np.array_equal(first[0], first[1])
    assert all((x == 0).all() for x in second)
