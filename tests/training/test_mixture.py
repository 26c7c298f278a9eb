"""`minigen train gmm`: EM or gradient ascent, on pixels, points or codes, in a run like any other."""

import itertools
import json

import numpy as np
import pytest

from minigen import Generator
from minigen.classical import GaussianMixture
from minigen.cli.main import main
from minigen.errors import UserError
from minigen.training.runs import load_system, resume_run, start_run, train_run
from minigen.training.systems import make_system


def trained(path, **options):
    training = start_run({"model": "gmm", **options}, path, quiet=True)
    with training.run:
        assert train_run(training)
    return load_system(path)[0], training.run.records()


def test_em_finds_the_ring_and_its_likelihood_never_falls(tmp_path):
    system, records = trained(tmp_path / "run", data="ring8", components=8)
    likelihood = [record["log_likelihood"] for record in records]
    assert all(after >= before - 1e-9 for before, after in itertools.pairwise(likelihood))
    parameters = system.model.mixture_parameters()
    distance = np.linalg.norm(parameters.means[:, None] - system.source.centers, axis=2)
    assert sorted(distance.argmin(axis=1)) == list(range(8))
    assert distance.min(axis=1).max() < 0.002
    np.testing.assert_allclose(np.sqrt([np.linalg.det(c) for c in parameters.covariances]), 0.01**2, rtol=0.15)


def test_it_is_the_mixture_that_classical_em_finds(tmp_path):
    """The same start, so the same end: the loop does what `GaussianMixture.fit` does."""
    system, _ = trained(tmp_path / "run", data="grid25", components=25, covariance="diag", tol=1e-6)
    fresh = make_system({"model": "gmm", "data": "grid25", "components": 25, "covariance": "diag"})
    x = fresh.samples_of("train")
    fresh._start(x)
    start = fresh.model.mixture_parameters()
    mixture = GaussianMixture(25, "diag", tol=1e-6, max_iter=200).fit(x, start=start)
    assert system.measure()["train_log_likelihood"] == pytest.approx(mixture.score(x), abs=1e-4)


@pytest.mark.parametrize("covariance", ["full", "tied", "diag", "spherical"])
def test_gradient_ascent_comes_near_to_em(tmp_path, covariance):
    options = {"data": "ring8", "components": 8, "covariance": covariance}
    em = trained(tmp_path / "em", **options)[0].measure()
    system, records = trained(tmp_path / "sgd", **options, fit="gradient", epochs=6, batch_size=500, lr=0.02)
    assert len(records) == 6
    assert system.measure()["train_log_likelihood"] > em["train_log_likelihood"] - 0.1


def test_the_criterion_chooses_the_number_of_components_and_config_json_keeps_it(tmp_path, capsys):
    trained(tmp_path / "run", data="ring8", components="bic", covariance="spherical")
    assert json.loads((tmp_path / "run" / "config.json").read_text())["components"] == 8
    assert "8 are taken" in capsys.readouterr().err


def test_a_mixture_of_codes_makes_a_generator_of_an_autoencoder_and_outlives_its_run(tmp_path):
    ae = start_run({"model": "ae", "epochs": 3, "latent_dim": 5}, tmp_path / "ae", quiet=True)
    with ae.run:
        assert train_run(ae)
    system, _ = trained(tmp_path / "gmm", encoder=str(tmp_path / "ae"), components=4)
    images = system.sample(6, Generator(0))
    assert images.shape == (6, 1, 8, 8)
    assert system.latent_dim == 5
    x = system.held_out()
    np.testing.assert_allclose(system.encode(x), ae.system.encode(x), rtol=1e-6)
    (tmp_path / "ae").rename(tmp_path / "gone")
    again, _ = load_system(tmp_path / "gmm")
    assert np.array_equal(again.sample(6, Generator(0)), images)


def test_what_is_unlike_the_training_data_scores_high(tmp_path):
    system, _ = trained(tmp_path / "run", components=10)
    x = system.held_out()
    noise = Generator(0).uniform(x.shape)
    assert np.median(system.anomaly_scores(noise)) > np.quantile(system.anomaly_scores(x), 0.99)
    assert system.sample(3, Generator(0)).shape == (3, 1, 8, 8)


def test_a_stopped_fit_goes_on_to_the_same_bits(tmp_path):
    options = {"data": "moons", "components": 6, "epochs": 8, "tol": 0.0}
    whole, _ = trained(tmp_path / "whole", **options)
    part = start_run({"model": "gmm", **options}, tmp_path / "part", quiet=True)
    end_epoch = part.session.end_epoch

    def stop(**measured):
        if part.session.epoch == 2:
            part.session._ask_to_stop(2, None)
        end_epoch(**measured)

    part.session.end_epoch = stop
    with part.run:
        assert not train_run(part)
    rest = resume_run(tmp_path / "part", {}, quiet=True)
    with rest.run:
        assert train_run(rest)
    a, b = whole.model.state_dict(), rest.system.model.state_dict()
    assert all(np.array_equal(a[key].numpy(), b[key].numpy()) for key in a)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"components": 0}, "--components must be an integer of at least 1"),
        ({"components": "best"}, "--components must be"),
        ({"covariance": "round"}, "Unknown value of --covariance 'round'"),
        ({"encoder": "nowhere"}, "There is no run at nowhere"),
        ({"data": "photographs", "components": 10}, "use --covariance diag, or an autoencoder's codes"),
    ],
)
def test_mistakes_are_answered_in_a_sentence(options, words):
    with pytest.raises(UserError, match=words):
        make_system({"model": "gmm", **options})


def test_an_encoder_of_other_images_is_refused(tmp_path):
    ae = start_run({"model": "ae", "epochs": 1}, tmp_path / "ae", quiet=True)
    ae.session.save()
    ae.run.close()
    with pytest.raises(UserError, match=r"encodes images of shape \(1, 8, 8\).*use --data digits"):
        make_system({"model": "gmm", "data": "ring8", "encoder": str(tmp_path / "ae")})


def test_without_data_of_its_own_a_mixture_takes_those_of_its_encoder(tmp_path):
    ae = start_run({"model": "ae", "data": "digits28", "epochs": 1}, tmp_path / "ae", quiet=True)
    ae.session.save()
    ae.run.close()
    assert make_system({"model": "gmm", "encoder": str(tmp_path / "ae")}).source.name == "digits28"


def test_the_command_writes_samples_means_and_curves(tmp_path, capsys):
    assert main(["train", "gmm", "--components", "3", "--quiet", "--out", str(tmp_path / "run")]) == 0
    for name in ("samples.png", "means.png", "curves.png"):
        assert (tmp_path / "run" / name).stat().st_size > 500
    assert main(["evaluate", str(tmp_path / "run")]) == 0
    result = json.loads(capsys.readouterr().out.split("\n", 1)[1])
    assert result["components"] == 3
    assert result["bic"] > result["aic"]
