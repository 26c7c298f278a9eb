"""The loops of the variational autoencoders, the bounds that they are measured by, and their systems."""

import numpy as np
import pytest
from scipy import stats

import minigen
import minigen.training.vae as vae_module
from minigen import Generator, optim
from minigen.errors import UserError
from minigen.losses import iwae_loss
from minigen.models import DenseVAE
from minigen.training.checkpoint import load_latest
from minigen.training.runs import load_system, resume_run, start_run, train_run
from minigen.training.systems import make_system
from minigen.training.vae import binarize, importance_bounds, importance_samples, log_weights, vae_terms

SMALL = {"epochs": 2, "batch_size": 256, "hidden": [16], "latent_dim": 3}


@pytest.fixture(scope="module")
def principal_components():
    """A linear Gaussian VAE set to probabilistic PCA with its exact posterior: every weight is then p(x) itself."""
    rng = np.random.default_rng(0)
    shape, sigma = (1, 2, 3), 0.5
    w = np.linalg.qr(rng.normal(size=(6, 2)))[0] * [1.5, 0.6]  # orthogonal columns: the posterior is diagonal
    mean = rng.normal(size=6)
    model = DenseVAE(shape, hidden=(), latent_dim=2, likelihood="gaussian", sigma=sigma)
    spread = (w**2).sum(0) + sigma**2
    values = {
        "decoder.0.weight": w,
        "decoder.0.bias": mean,
        "mu.weight": w.T / spread[:, None],
        "mu.bias": -(w.T @ mean) / spread,
        "logvar.weight": np.zeros((2, 6)),
        "logvar.bias": np.log(sigma**2 / spread),
    }
    model.load_state_dict({name: value.astype(np.float32) for name, value in values.items()})
    covariance = w @ w.T + sigma**2 * np.eye(6)
    x = rng.multivariate_normal(mean, covariance, size=150)
    evidence = stats.multivariate_normal(mean, covariance).logpdf(x)
    return model, x.reshape(-1, *shape).astype(np.float32), evidence


def test_with_the_exact_posterior_every_weight_and_every_bound_is_the_evidence(principal_components):
    model, x, evidence = principal_components
    log_w = log_weights(model, minigen.Tensor(x), 5, Generator(0))
    np.testing.assert_allclose(log_w.numpy(), np.tile(evidence, (5, 1)), atol=2e-4)
    bounds = importance_bounds(model, x, 7)
    assert bounds["elbo"] == pytest.approx(evidence.mean(), abs=1e-4)
    assert bounds["log_likelihood"] == pytest.approx(evidence.mean(), abs=1e-4)
    assert bounds["effective_samples"] == pytest.approx(7, abs=1e-3)
    terms = vae_terms(model, x, draws=400)
    assert -(terms.nll + terms.kl) == pytest.approx(evidence.mean(), abs=0.02)


def test_with_another_posterior_elbo_is_below_iwae_is_below_the_evidence_which_many_samples_reach(principal_components):
    model, x, evidence = principal_components
    bias = model.logvar.bias.data.copy()
    model.logvar.bias.data[...] = bias + 0.7
    try:
        elbo = importance_bounds(model, x, 200)["elbo"]
        five, thousand = (importance_bounds(model, x, k)["log_likelihood"] for k in (5, 2000))
        terms = vae_terms(model, x, draws=50)
    finally:
        model.logvar.bias.data[...] = bias
    assert elbo + 0.05 < five < evidence.mean() - 0.005
    assert thousand == pytest.approx(evidence.mean(), abs=0.005)
    assert -(terms.nll + terms.kl) == pytest.approx(elbo, abs=0.05)  # KL in closed form, or as a mean of log q - log p


def test_bounds_do_not_depend_on_the_parts_that_memory_asks_for(principal_components, monkeypatch):
    model, x, _ = principal_components
    whole = np.concatenate(list(importance_samples(model, x, 9, Generator(3))), axis=1)
    monkeypatch.setattr(vae_module, "PIXELS_AT_ONCE", 6 * 40)
    parts = list(importance_samples(model, x, 9, Generator(3)))
    assert [part.shape for part in parts] == [(9, 40)] * 3 + [(9, 30)]
    assert whole.shape == (9, 150)
    np.testing.assert_allclose(np.concatenate(parts, axis=1).mean(), whole.mean(), atol=1e-4)
    assert minigen.zeros(1, requires_grad=True).sum().requires_grad  # and the graph is recorded again


def test_training_a_linear_vae_finds_the_likelihood_of_probabilistic_pca():
    """Tipping & Bishop 1999: at the best W and σ² it is that of a Gaussian whose small eigenvalues are made equal."""
    rng = np.random.default_rng(1)
    x = (rng.normal(size=(400, 2)) @ [[1.0, 0.5, 0, 0, 0.3], [0, 0.4, 0.8, -0.3, 0]]) + 0.3 * rng.normal(size=(400, 5))
    images = (x + 0.5).astype(np.float32).reshape(-1, 1, 1, 5)
    values = np.linalg.eigvalsh(np.cov(x.T, bias=True))[::-1]
    sigma2 = values[2:].mean()
    best = -0.5 * (5 * np.log(2 * np.pi) + np.log(values[:2]).sum() + 3 * np.log(sigma2) + 5)
    minigen.manual_seed(0)
    model = DenseVAE((1, 1, 5), hidden=(), latent_dim=2, likelihood="gaussian")
    optimizer, noise = optim.Adam(model.parameters(), lr=0.02), Generator(0)
    for _ in range(600):
        loss = iwae_loss(log_weights(model, minigen.Tensor(images), 4, noise))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    found = importance_bounds(model, images, 300)["log_likelihood"]
    assert best - 0.05 < found < best + 0.01
    assert np.exp(model.pixel_logvar.item()) == pytest.approx(sigma2, rel=0.1)


def test_binary_images_are_black_and_white_with_the_grey_value_as_their_mean():
    grey = minigen.Tensor(np.tile(np.array([0, 0.25, 1], np.float32), (20_000, 1)))
    drawn = binarize(grey, Generator(0))
    assert drawn.dtype == np.float32
    assert set(np.unique(drawn.numpy())) == {0, 1}
    np.testing.assert_allclose(drawn.numpy().mean(0), [0, 0.25, 1], atol=0.02)


def test_weights_of_no_samples_are_refused():
    with pytest.raises(UserError, match="k of at least 1, not 0"):
        log_weights(DenseVAE(), minigen.zeros(2, 1, 8, 8), 0, Generator(0))


VARIANTS = {
    "vae": {"model": "vae"},
    "annealed": {"model": "vae", "kl_annealing": "cyclical", "warmup_epochs": 1, "free_bits": 0.1, "beta": 2.0},
    "binary": {"model": "vae", "likelihood": "bernoulli", "binarize": True},
    "iwae": {"model": "iwae", "k": 3},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_run_stopped_within_an_epoch_goes_on_to_the_same_bits_and_records(tmp_path, variant):
    config = {**SMALL, **VARIANTS[variant]}
    whole = start_run(config, tmp_path / "whole", quiet=True)
    with whole.run:
        assert train_run(whole)
        expected = whole.run.records()
    stopped = start_run(config, tmp_path / "stopped", quiet=True)
    session, log = stopped.session, stopped.session.log

    def log_and_stop(**losses):
        log(**losses)
        if session.step == 7 and not session._stop:
            session._ask_to_stop(2, None)

    session.log = log_and_stop
    with stopped.run:
        assert not train_run(stopped)
    resumed = resume_run(tmp_path / "stopped", {}, quiet=True)
    with resumed.run:
        assert train_run(resumed)
        records = resumed.run.records()
    ends = [load_latest(training.run.checkpoints).arrays for training in (whole, resumed)]
    assert all(np.array_equal(ends[0][key], ends[1][key]) for key in ends[0])
    for record in (*records, *expected):
        del record["seconds"]
    assert records == expected
    assert records[-1]["test_loss"] < records[0]["test_loss"]


def test_the_record_of_an_annealed_run_shows_the_weight_grow(tmp_path):
    config = {**SMALL, "model": "vae", "kl_annealing": "linear", "warmup_epochs": 2, "beta": 4.0}
    training = start_run(config, tmp_path / "run", quiet=True)
    with training.run:
        train_run(training)
        first, second = (record["beta"] for record in training.run.records())
    assert first == pytest.approx(4 * np.mean([0, 0.1, 0.2, 0.3, 0.4]))  # 5 batches an epoch
    assert second == pytest.approx(4 * np.mean([0.5, 0.6, 0.7, 0.8, 0.9]))


@pytest.mark.parametrize(
    "config", [{"model": "vae", "hidden": [8]}, {"model": "conv-vae", "width": 2}, {"model": "iwae", "hidden": [8]}]
)
@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_a_system_samples_encodes_reconstructs_and_scores(config, likelihood):
    system = make_system({**config, "latent_dim": 2, "likelihood": likelihood})
    images = system.held_out()[:5]
    assert system.sample(3, Generator(0)).shape == (3, 1, 8, 8)
    assert system.encode(images).shape == (5, 2)
    drawn = system.reconstruct(images)
    assert drawn.shape == images.shape
    assert drawn.min() >= 0
    assert drawn.max() <= 1
    np.testing.assert_array_equal(drawn, system.decode(system.encode(images)))
    scores = system.anomaly_scores(np.concatenate([images, 5 * images]))
    assert scores.shape == (10,)
    if likelihood == "gaussian":
        assert (scores[5:] > scores[:5]).all()  # five times too bright is less probable


def test_binarized_images_are_measured_on_held_out_ones_that_never_change():
    system = make_system({"model": "vae", "likelihood": "bernoulli", "binarize": True})
    held_out = system.held_out()
    assert set(np.unique(held_out)) == {0, 1}
    np.testing.assert_array_equal(held_out, system.held_out())


def test_what_a_system_measures_agrees_with_itself(tmp_path, monkeypatch):
    monkeypatch.setattr("minigen.training.systems.vae.IMPORTANCE_SAMPLES", 50)
    training = start_run({**SMALL, "model": "vae"}, tmp_path / "run", quiet=True)
    with training.run:
        train_run(training)
    system, _ = load_system(tmp_path / "run")
    measured = system.measure()
    assert measured["elbo"] == -(measured["nll"] + measured["kl"])
    assert measured["elbo"] <= measured["log_likelihood"]
    assert sum(measured["kl_per_dimension"]) == pytest.approx(measured["kl"], abs=1e-3)
    images = system.held_out()
    errors = ((system.reconstruct(images) - images) ** 2).sum((1, 2, 3))
    assert measured["reconstruction_error"] == pytest.approx(errors.mean(), rel=1e-5)
    assert measured["psnr"] == pytest.approx((10 * np.log10(64 / errors)).mean(), rel=1e-5)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"likelihood": "bernoulli", "sigma": 0.1}, "--sigma changes nothing with --likelihood bernoulli: give"),
        ({"binarize": True}, "--binarize changes nothing with --likelihood gaussian: give"),
        ({"likelihood": "poisson"}, "Unknown value of --likelihood 'poisson'"),
        ({"kl_annealing": "linear", "warmup_epochs": 0}, "--warmup-epochs must be an integer of at least 1"),
        ({"free_bits": -1}, "--free-bits must be 0 or a positive number"),
        ({"k": 5}, "The model 'vae' has no option 'k'"),
        ({"data": "ring8"}, "made for images"),
    ],
)
def test_settings_that_cannot_be_are_refused_in_a_sentence(options, sentence):
    with pytest.raises(UserError, match=sentence):
        make_system({"model": "vae", **options})
