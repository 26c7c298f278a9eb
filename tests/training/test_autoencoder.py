"""The autoencoders' loops: what each minimizes, what it is given, and what it measures."""

import numpy as np
import pytest

import minigen as mg
from minigen.data import load_digits
from minigen.data.corruptions import make_corruption
from minigen.losses import contractive_penalty
from minigen.models.autoencoder import ConvAutoencoder, DenseAutoencoder, TiedAutoencoder
from minigen.optim import Adam
from minigen.training import autoencoder
from minigen.training.autoencoder import (
    autoencoder_error,
    in_parts,
    jacobian_norm,
    train_autoencoder,
    train_contractive_autoencoder,
    train_denoising_autoencoder,
    train_sparse_autoencoder,
)

IMAGES = load_digits("train")[0][:256]
HELD_OUT = load_digits("test")[0][:100]


class Session:
    """Batches of the same digits, and a note of what was logged."""

    device = mg.device("cpu")

    def __init__(self, epochs, batch=64):
        self.count, self.batch, self.records, self.logged = epochs, batch, [], []

    def epochs(self):
        yield from range(1, self.count + 1)

    def batches(self, device=None):
        for i in range(0, len(IMAGES), self.batch):
            yield mg.tensor(IMAGES[i : i + self.batch])

    def log(self, **losses):
        self.logged.append({name: float(value) for name, value in losses.items()})

    def end_epoch(self, **measured):
        self.records.append(measured)


def trained(loop, model, epochs, *args, lr=3e-3):
    session = Session(epochs)
    loop(model, Adam(model.parameters(), lr=lr), session, HELD_OUT, *args)
    return session


def test_the_plain_loop_minimizes_the_sum_over_pixels_and_mean_over_images():
    mg.manual_seed(0)
    model = DenseAutoencoder(hidden=(32,), latent_dim=4)
    first = ((model(mg.tensor(IMAGES[:64])).numpy() - IMAGES[:64]) ** 2).sum() / 64
    session = trained(train_autoencoder, model, 15)
    assert session.logged[0]["loss"] == pytest.approx(first, rel=1e-5)
    expected = ((model(mg.tensor(HELD_OUT)).numpy() - HELD_OUT) ** 2).sum() / len(HELD_OUT)
    assert session.records[-1]["test_loss"] == pytest.approx(expected, rel=1e-5)
    assert session.records[-1]["test_loss"] < 0.5 * session.records[0]["test_loss"]


@pytest.mark.parametrize("penalty", ["kl", "l1"])
def test_the_sparsity_penalty_makes_codes_sparser(penalty):
    activity = []
    for weight in (0.0, 1.0):
        mg.manual_seed(0)
        model = DenseAutoencoder(hidden=(), latent_dim=80, code="sigmoid" if penalty == "kl" else "relu")
        session = trained(train_sparse_autoencoder, model, 25, penalty, weight, 0.05)
        activity.append(session.records[-1]["mean_activity"])
        last = session.logged[-1]
        assert last["loss"] == pytest.approx(last["error"] + weight * last["sparsity"], rel=1e-5)
    assert activity[1] < 0.5 * activity[0]
    if penalty == "kl":
        assert activity[1] == pytest.approx(0.05, abs=0.04)


def test_the_contractive_penalty_makes_the_jacobian_smaller_exact_or_estimated():
    norms = {}
    for name, weight, draws in (("plain", 0.0, None), ("exact", 2.0, None), ("estimated", 2.0, 2)):
        mg.manual_seed(0)
        model = TiedAutoencoder(latent_dim=8)
        session = trained(train_contractive_autoencoder, model, 12, weight, mg.Generator(1), draws)
        norms[name] = session.records[-1]["test_jacobian"]
    assert norms["exact"] < 0.7 * norms["plain"]
    assert norms["estimated"] == pytest.approx(norms["exact"], rel=0.1)


def test_denoising_is_given_the_damaged_image_and_held_to_the_clean_one():
    seen = []

    class Spy(DenseAutoencoder):
        def forward(self, x):
            seen.append(x.numpy().copy())
            return super().forward(x)

    mg.manual_seed(0)
    model, corruption = Spy(hidden=(16,), latent_dim=4), make_corruption("random-mask:share=0.5")
    session = Session(1, batch=len(IMAGES))
    weights = {name: value.numpy().copy() for name, value in model.state_dict().items()}
    train_denoising_autoencoder(
        model, Adam(model.parameters(), lr=1e-9), session, HELD_OUT, corruption, mg.Generator(5)
    )
    damaged, mask = corruption(IMAGES, mg.Generator(5))
    assert np.array_equal(seen[0], damaged)
    assert 0.4 < mask.mean() < 0.6
    model.load_state_dict(weights)
    expected = ((model(mg.tensor(damaged)).numpy() - IMAGES) ** 2).sum() / len(IMAGES)
    assert session.logged[0]["loss"] == pytest.approx(expected, rel=1e-5)


def test_denoising_damages_anew_in_training_and_alike_in_measuring():
    inputs = []

    class Spy(DenseAutoencoder):
        def forward(self, x):
            inputs.append(x.numpy().copy())
            return super().forward(x)

    model = Spy(hidden=(8,), latent_dim=2)
    session = Session(2, batch=len(IMAGES))
    noise = make_corruption("noise:sigma=50")
    train_denoising_autoencoder(model, Adam(model.parameters(), lr=1e-4), session, HELD_OUT, noise, mg.Generator(0))
    first, measured, second, measured_again = inputs
    assert not np.array_equal(first, second)
    assert np.array_equal(measured, measured_again)


def test_what_is_measured_in_parts_is_what_would_be_at_once(monkeypatch):
    model = ConvAutoencoder(width=4, latent_dim=3)
    whole, codes = in_parts(model, HELD_OUT), in_parts(model, HELD_OUT, model.encode)
    error = autoencoder_error(model, HELD_OUT)
    monkeypatch.setattr(autoencoder, "PIXELS_AT_ONCE", 7 * 64)
    assert np.allclose(in_parts(model, HELD_OUT), whole, atol=1e-6)
    assert np.allclose(in_parts(model, HELD_OUT, model.encode), codes, atol=1e-6)
    assert autoencoder_error(model, HELD_OUT) == pytest.approx(error, rel=1e-5)
    assert in_parts(model, HELD_OUT[:0]).shape == (0, 1, 8, 8)


def test_the_norm_of_the_jacobian_is_the_root_of_its_mean_square():
    mg.manual_seed(0)
    model = TiedAutoencoder(latent_dim=6)
    exact = contractive_penalty(model.encode, mg.tensor(HELD_OUT)).item() ** 0.5
    assert jacobian_norm(model, HELD_OUT) == pytest.approx(exact, rel=0.03)
    assert jacobian_norm(model, HELD_OUT) == jacobian_norm(model, HELD_OUT)
