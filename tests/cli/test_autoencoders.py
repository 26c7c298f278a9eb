"""`minigen train` of every autoencoder: run folders, abilities, measurements, other data, and mistakes."""

import json

import numpy as np
import pytest
from PIL import Image

import minigen as mg
from minigen.cli.main import main
from minigen.metrics import psnr
from minigen.training.runs import load_system
from minigen.training.systems import autoencoders, make_system

TINY = {
    "ae": ["--hidden", "64"],
    "conv-ae": ["--width", "4"],
    "sparse-ae": ["--latent-dim", "80"],
    "contractive-ae": ["--hidden", "16", "--latent-dim", "4"],
    "denoising-ae": ["--corruption", "salt-pepper:amount=0.2"],
}
EXTRA = {"sparse-ae": "features.png", "denoising-ae": "restorations.png"}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("autoencoders")
    for model, options in TINY.items():
        assert main(["train", model, "--epochs", "2", "--quiet", "--out", str(folder / model), *options]) == 0
    return folder


@pytest.mark.parametrize("model", TINY)
def test_a_run_has_falling_errors_and_its_pictures(runs, model):
    records = [json.loads(line) for line in (runs / model / "metrics.jsonl").read_text().splitlines()]
    error = "test_loss" if "test_loss" in records[0] else "test_error"
    assert records[1][error] < records[0][error]
    for name in ("samples.png", "reconstructions.png", "curves.png", *filter(None, [EXTRA.get(model)])):
        with Image.open(runs / model / name) as picture:
            assert min(picture.size) > 50


@pytest.mark.parametrize("model", TINY)
def test_every_autoencoder_encodes_decodes_reconstructs_samples_and_scores(runs, model):
    system, _ = load_system(runs / model)
    images = system.held_out()[:30]
    codes = system.encode(images)
    assert codes.shape == (30, system.latent_dim)
    assert np.allclose(system.decode(codes), system.reconstruct(images), atol=1e-6)
    scores = system.anomaly_scores(images)
    assert np.allclose(scores, ((images - system.reconstruct(images)) ** 2).sum(axis=(1, 2, 3)), rtol=1e-5)
    assert np.isfinite(system.latent_scores(images)).all()
    assert np.array_equal(system.sample(4, mg.Generator(1)), system.sample(4, mg.Generator(1)))


def test_images_that_are_no_digits_score_higher_by_their_error_and_by_their_code(runs):
    system, _ = load_system(runs / "ae")
    images = system.held_out()
    strange = 1 - images
    assert np.median(system.anomaly_scores(strange)) > 1.5 * np.median(system.anomaly_scores(images))
    assert np.median(system.latent_scores(strange)) > np.median(system.latent_scores(images)) + 3


def test_the_density_of_the_codes_is_fitted_once_and_anew_after_training(runs, monkeypatch):
    system, _ = load_system(runs / "ae")
    made = []

    class Counted(autoencoders.LatentDensity):
        def __init__(self, *args):
            made.append(args)
            super().__init__(*args)

    monkeypatch.setattr(autoencoders, "LatentDensity", Counted)
    for _ in range(3):
        system.sample(2, mg.Generator(0))
    system.latent_scores(system.held_out()[:2])
    assert len(made) == 1
    monkeypatch.setattr(system, "run_loop", lambda session, held_out: None)
    system.train(None)
    system.sample(2, mg.Generator(0))
    assert len(made) == 2


def test_what_is_measured_is_what_it_says(runs):
    system, _ = load_system(runs / "ae")
    images = system.held_out()
    errors = ((images - system.reconstruct(images)) ** 2).sum(axis=(1, 2, 3))
    error = errors.mean()
    result = system.measure()
    assert result["reconstruction_error"] == pytest.approx(error, rel=1e-5)
    assert result["psnr"] == pytest.approx(10 * np.log10(64 / errors).mean(), rel=1e-5)
    train = system.samples_of("train").reshape(-1, 64)
    mean = train.mean(axis=0)
    axes = np.linalg.eigh(np.cov((train - mean).T.astype(np.float64)))[1][:, -8:]
    centred = images.reshape(-1, 64) - mean
    assert result["pca_error"] == pytest.approx(
        ((centred - centred @ axes @ axes.T) ** 2).sum() / len(images), rel=1e-4
    )
    assert "ssim" not in result  # digits of 8×8 have no window of 11×11


def test_a_code_wider_than_the_image_is_not_compared_with_principal_components(runs):
    result = load_system(runs / "sparse-ae")[0].measure()
    assert "pca_error" not in result
    assert 0 < result["mean_activation"] < 1
    assert 0 <= result["units_on"] <= 1
    assert 0 < result["units_used"] <= 1


def test_the_features_of_a_sparse_code_are_what_its_units_draw(runs):
    system, _ = load_system(runs / "sparse-ae")
    features = system.features()
    assert features.shape == (80, 1, 8, 8)
    one = np.zeros((1, 80), np.float32)
    nothing = system.decode(one)
    one[0, 7] = 1
    assert np.allclose(features[7], (system.decode(one) - nothing)[0], atol=1e-6)


def test_contraction_is_compared_with_the_same_network_without_it(runs, tmp_path):
    before = mg.random.default_generator.get_state()
    result = load_system(runs / "contractive-ae")[0].measure()
    assert mg.random.default_generator.get_state() != before  # by the new system's weights, drawn from its seed
    options = ["--hidden", "16", "--latent-dim", "4", "--contraction", "0", "--epochs", "2", "--quiet"]
    assert main(["train", "contractive-ae", *options, "--out", str(tmp_path / "plain")]) == 0
    plain = load_system(tmp_path / "plain")[0].measure()
    assert result["plain_jacobian_norm"] == pytest.approx(plain["jacobian_norm"], rel=1e-5)
    assert result["plain_reconstruction_error"] == pytest.approx(plain["reconstruction_error"], rel=1e-5)
    assert result["jacobian_norm"] < plain["jacobian_norm"]


def test_denoising_reports_held_out_images_before_and_after(runs):
    system, _ = load_system(runs / "denoising-ae")
    images = system.held_out()
    damaged, _ = system.corruption(images, mg.Generator(0))
    result = system.measure()
    assert result["damaged_psnr"] == pytest.approx(psnr(damaged, images), rel=1e-6)
    assert result["restored_psnr"] == pytest.approx(psnr(system.restore(damaged), images), rel=1e-6)


def test_a_trained_denoiser_beats_the_damage(tmp_path):
    out = str(tmp_path / "run")
    assert main(["train", "denoising-ae", "--epochs", "12", "--quiet", "--out", out]) == 0
    result = load_system(out)[0].measure()
    assert result["restored_psnr"] > result["damaged_psnr"] + 1


def test_a_denoising_run_that_went_on_ends_with_the_same_weights(tmp_path):
    fast = ["--batch-size", "479", "--quiet"]
    for name, legs in (("whole", ("3",)), ("halves", ("1", "3"))):
        main(["train", "denoising-ae", "--epochs", legs[0], *fast, "--out", str(tmp_path / name)])
        for leg in legs[1:]:
            main(["train", "--resume", str(tmp_path / name), "--epochs", leg, "--quiet"])
    a, b = (load_system(tmp_path / name)[0].model.state_dict() for name in ("whole", "halves"))
    assert all(np.array_equal(a[key].numpy(), b[key].numpy()) for key in a)


@pytest.mark.parametrize("model", ["ae", "conv-ae"])
def test_pictures_of_one_s_own_train_too_and_have_structural_similarity(tmp_path, model):
    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(12):
        Image.fromarray(rng.integers(0, 256, (20, 17, 3), dtype=np.uint8)).save(folder / f"{i}.png")
    options = ["--data", str(folder), "--image-size", "13", "--batch-size", "4", "--epochs", "1", "--quiet"]
    assert main(["train", model, *options, "--out", str(tmp_path / "run")]) == 0
    result = load_system(tmp_path / "run")[0].measure()
    assert -1 <= result["ssim"] <= 1


def test_some_of_a_split_are_evenly_spaced():
    system = make_system({"model": "ae"})
    everything = system.samples_of("test")
    assert np.array_equal(system.some_of("test", 10**6), everything)
    assert np.array_equal(system.some_of("test", 36), everything[::10])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["ae", "--mixture", "500"], "--mixture of at most 287"),
        (["ae", "--hidden", "0"], "--hidden must be widths"),
        (["sparse-ae", "--penalty", "l3"], "did you mean 'l1'"),
        (["sparse-ae", "--rho", "0"], "--rho must be a number above 0"),
        (["denoising-ae", "--corruption", "nois:sigma=3"], "did you mean 'noise'"),
        (["contractive-ae", "--draws", "0"], "--draws must be an integer of at least 1"),
        (["conv-ae", "--data", "ring8"], "made for images"),
    ],
)
def test_a_mistake_is_one_sentence(options, words, tmp_path, capsys):
    assert main(["train", *options, "--epochs", "1", "--quiet", "--out", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()
