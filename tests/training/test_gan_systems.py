"""The GANs as systems: their switches on the command line's side, checkpoints, points in their own units."""

import numpy as np
import pytest

from minigen import Generator, nn
from minigen.data import open_dataset
from minigen.errors import UserError
from minigen.losses import GAN_LOSSES
from minigen.training.gan import falling_noise
from minigen.training.runs import load_system, resume_run, start_run, train_run
from minigen.training.systems import make_system
from minigen.training.systems.gan import DCGAN, PointGAN

POINTS = {"model": "gan2d", "data": "ring8", "epochs": 1, "batch_size": 20_000, "hidden": [16], "hidden_d": [16]}


def trained(path, **changes):
    training = start_run({**POINTS, **changes}, path, quiet=True)
    with training.run:
        assert train_run(training)
    return training


@pytest.mark.parametrize("loss", GAN_LOSSES)
def test_every_loss_goes_with_every_switch_at_once(tmp_path, loss):
    smoothing = 0.1 if GAN_LOSSES[loss].labels else 0.0
    training = trained(
        tmp_path / "run",
        loss=loss,
        label_smoothing=smoothing,
        gradient_penalty="wgan-gp",
        spectral_norm=True,
        packing=4,
        critic_steps=2,
        weight_clip=0.5,
        lr_d=2e-3,
        batch_norm=True,
        activation_d="maxout",
        ema=0.9,
    )
    assert training.session.step == 5
    record = training.run.records()[-1]
    assert {"d_loss", "g_loss", "d_penalty"} <= set(record)
    assert training.system.sample(3, Generator(0)).shape == (3, 2)
    rates = [training.system.optimizers[name].defaults["lr"] for name in ("generator", "discriminator")]
    assert rates == [5e-3, 2e-3]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"loss": "hinge", "label_smoothing": 0.1}, "The loss 'hinge' has no labels to smooth"),
        ({"loss": "wasserstein"}, "needs a critic whose slope is bounded: add --gradient-penalty wgan-gp"),
        ({"packing": 3}, "--batch-size 20000 does not split into packs of 3"),
        ({"data": "digits"}, "made for points, and 'digits' holds images"),
        ({"loss": "minmax"}, "did you mean 'minimax'"),
        ({"label_smoothing": 1.0}, "--label-smoothing must be a number from 0 to below 1"),
    ],
)
def test_what_does_not_go_together_is_told_before_a_run_begins(changes, sentence):
    with pytest.raises(UserError, match=sentence):
        make_system({**POINTS, **changes})


@pytest.mark.parametrize("bound", [{"spectral_norm": True}, {"weight_clip": 0.1}, {"gradient_penalty": "wgan-gp"}])
def test_a_wasserstein_critic_may_be_bounded_in_any_way(bound):
    make_system({**POINTS, "loss": "wasserstein", **bound})


@pytest.mark.parametrize("scaling", ["standardize", "whiten"])
def test_points_are_trained_on_at_unit_size_and_sampled_in_their_own(tmp_path, scaling):
    training = trained(tmp_path / "run", data="grid25", seed=3, scaling=scaling)
    system = training.system
    points = system.training_data().arrays[0]
    assert points.shape == (100_000, 2)
    np.testing.assert_allclose(points.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(np.cov(points.T), np.eye(2), atol=1e-4 if scaling == "whiten" else 0.01)
    own = open_dataset("grid25").load("test").arrays[0]
    np.testing.assert_allclose(system.scaling.undo(points).std(), own.std(), rtol=0.02)
    z = Generator(1).normal((4, 2))
    loaded, _ = load_system(tmp_path / "run")
    np.testing.assert_array_equal(loaded.decode(z), system.decode(z))


def test_without_scaling_the_points_are_trained_on_as_they_are():
    system = make_system({**POINTS, "data": "grid25", "scaling": "none"})
    assert system.training_data().arrays[0].std() == pytest.approx(np.sqrt(8), rel=0.01)


def test_weights_of_a_run_on_other_points_do_not_bring_their_axes(tmp_path):
    trained(tmp_path / "ring")
    training = trained(tmp_path / "grid", data="grid25", init_from=str(tmp_path / "ring"))
    np.testing.assert_allclose(training.system.scaling.std.numpy(), np.sqrt(8), rtol=0.01)


def test_a_run_goes_on_along_the_axes_of_its_checkpoint(tmp_path):
    """Of equal eigenvalues another machine may find other eigenvectors."""
    training = trained(tmp_path / "run")
    system, session = training.system, training.session
    turned = np.float32([[0.6, -0.8], [0.8, 0.6]])
    system.scaling.axes.copy_(turned)
    system.train(session)  # no epoch is left
    raw = system.source.draw(100_000, Generator(0).spawn(2))[0]
    expected = (raw - system.scaling.mean.numpy()) @ turned / system.scaling.std.numpy()
    np.testing.assert_allclose(session.loader.dataset.arrays[0], expected, atol=1e-5)


def test_a_data_set_may_have_defaults_of_its_own():
    names = ("epochs", "lr", "lr_d", "beta2", "instance_noise", "scaling", "scale_d")
    plane = make_system({"model": "gan2d"}).config
    far = make_system({"model": "gan2d", "data": "mixture1200", "lr": 0.1}).config
    assert [plane[name] for name in names] == [PointGAN.defaults()[name] for name in names]
    assert [far[name] for name in names] == [
        {**PointGAN.defaults_of_data["mixture1200"], "lr": 0.1}[name] for name in names
    ]
    assert far["epochs"] != plane["epochs"]


def test_imbalance_thins_the_points_of_a_mode():
    labels = make_system({**POINTS, "imbalance": "0:0.1"}).training_data().arrays[1]
    share = np.bincount(labels, minlength=8) / len(labels)
    assert share[0] == pytest.approx(0.1 / 7.1, rel=0.05)


def test_a_run_that_is_stopped_and_gone_on_with_ends_with_the_same_bits(tmp_path):
    whole = trained(tmp_path / "whole", epochs=2, gradient_penalty="dragan").system
    first = start_run({**POINTS, "epochs": 2, "gradient_penalty": "dragan"}, tmp_path / "again", quiet=True)
    batches = first.session.batches

    def stopped():
        for i, batch in enumerate(batches()):
            if i == 3:
                first.session._stop = True  # what Ctrl-C does
            yield batch

    first.session.batches = stopped
    with first.run:
        assert not train_run(first)
    second = resume_run(tmp_path / "again", {}, quiet=True)
    with second.run:
        assert train_run(second)
    z = Generator(1).normal((4, 2))
    np.testing.assert_array_equal(second.system.decode(z), whole.decode(z))


def test_instance_noise_falls_in_a_straight_line_to_0_at_40_percent():
    std = falling_noise(0.2, 1000)
    assert [std(0), std(200), std(400), std(999)] == [0.2, pytest.approx(0.1), 0.0, 0.0]


@pytest.mark.parametrize(
    ("config", "shape"),
    [
        ({"model": "gan", "data": "digits"}, (1, 8, 8)),
        ({"model": "dcgan"}, (1, 28, 28)),
        ({"model": "gan64", "width": 4}, (3, 64, 64)),
        ({"model": "gan64", "network": "dense"}, (3, 64, 64)),
    ],
)
def test_images_are_from_0_to_1_and_drawn_from_the_averaged_generator(config, shape):
    system = make_system(config)
    images = system.sample(2, Generator(0))
    assert images.shape == (2, *shape)
    assert 0 <= images.min() <= images.max() <= 1
    for p in system.generator.parameters():
        p.data = p.data * 0
    np.testing.assert_array_equal(system.sample(2, Generator(0)), images)
    assert not any(isinstance(layer, nn.Sigmoid) for m in system.modules.values() for layer in m.modules())


def test_a_run_too_short_for_a_step_of_the_generator_is_refused(tmp_path):
    config = {"model": "gan", "critic_steps": 23, "epochs": 1}
    with pytest.raises(UserError, match="22 steps of the discriminator, so that with --critic-steps 23"):
        start_run(config, tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()


def test_dcgan_keeps_the_settings_of_its_tutorial_for_data_of_that_size():
    assert DCGAN.defaults("digits28")["epochs"] == 120
    assert {name: DCGAN.defaults("mnist")[name] for name in ("epochs", "batch_size", "lr", "beta1")} == {
        **{"epochs": 50, "batch_size": 256, "lr": 1e-4, "beta1": 0.9}
    }
