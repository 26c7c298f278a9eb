"""The stand-in for a session that notebooks and demonstrations train with."""

import numpy as np
import pytest

from minigen import nn, optim
from minigen.errors import UserError
from minigen.random import Generator
from minigen.training.autoencoder import train_autoencoder
from minigen.training.gan import train_gan
from minigen.training.rehearsal import Rehearsal


def numbered():
    """Batches [[0]], [[1]], …"""
    count = iter(range(1000))
    return lambda: np.array([[float(next(count))]])


@pytest.mark.parametrize(("steps", "every", "looks"), [(7, 3, [3, 6, 7]), (6, 3, [3, 6]), (4, None, [4]), (2, 9, [2])])
def test_every_batch_comes_once_and_the_last_look_is_at_the_end(steps, every, looks):
    looked, seen = [], []
    rehearsal = Rehearsal(numbered(), steps, looked.append, every)
    for _ in rehearsal.epochs():
        for batch in rehearsal.batches():
            assert rehearsal.step == len(seen)  # steps done before this one, as a session counts
            seen.append(batch.item())
        rehearsal.end_epoch(seen=len(seen))
    assert seen == list(range(steps))
    assert looked == looks
    assert rehearsal.history == {"seen": looks}


def test_rates_fall_with_every_batch():
    optimizer = optim.SGD(nn.Linear(1, 1).parameters(), lr=1.0)
    rehearsal = Rehearsal(numbered(), 4, schedules=[optim.LinearLR(optimizer, 1.0, 0.0, 4)])
    rates = [optimizer.param_groups[0]["lr"] for _ in rehearsal.epochs() for _ in rehearsal.batches()]
    np.testing.assert_allclose(rates, [1, 0.75, 0.5, 0.25])


def test_the_loops_train_with_it_and_their_losses_are_kept():
    points = Generator(0)
    generator, discriminator = nn.Linear(3, 2), nn.Linear(2, 1)
    generator.latent_dim = 3
    adam_g, adam_d = (optim.Adam(net.parameters(), lr=0.01) for net in (generator, discriminator))
    average = optim.ExponentialMovingAverage(generator)
    rehearsal = Rehearsal(lambda: points.normal((8, 2)), 5)
    train_gan(generator, discriminator, adam_g, adam_d, rehearsal, Generator(1), average)
    assert {name: len(values) for name, values in rehearsal.history.items()} == dict.fromkeys(
        ("d_loss", "d_real", "d_fake", "g_loss"), 5
    )

    model = nn.Linear(2, 2)
    rehearsal = Rehearsal(lambda: points.normal((8, 2)), 300, every=100)
    train_autoencoder(model, optim.Adam(model.parameters(), lr=0.05), rehearsal, points.normal((50, 2)))
    errors = rehearsal.history["test_loss"]
    assert len(errors) == 3
    assert errors[-1] < 0.05


@pytest.mark.parametrize(("steps", "every"), [(0, None), (5, 0)])
def test_no_steps_are_refused(steps, every):
    with pytest.raises(UserError, match="1 step or more"):
        Rehearsal(numbered(), steps, every=every)
