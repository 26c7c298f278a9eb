"""The loops and the systems of the correction autoencoder and the restoration GAN."""

import numpy as np
import pytest

from minigen import Generator, Tensor
from minigen.data.corruptions import make_corruption
from minigen.errors import ShapeError, UserError
from minigen.losses.adversarial import GAN_LOSSES, GanLoss
from minigen.losses.reconstruction import squared_error
from minigen.losses.restoration import absolute_error
from minigen.restoration.classical import biharmonic_inpainting
from minigen.training.restoration import enlarge, exchange_colours, held_out_psnr, spoil, train_restoration_gan, turn
from minigen.training.runs import load_system, resume_run, start_run, train_run
from minigen.training.systems import make_system

TINY = {"data": "digits", "epochs": 1, "batch_size": 64, "width": 4, "lr": 4e-3, "corruption": "noise:sigma=60"}


def trained(path, **changes):
    training = start_run({**TINY, **changes}, path, quiet=True)
    with training.run:
        assert train_run(training)
    return training


@pytest.mark.parametrize(
    ("model", "corruption"),
    [
        ("correction-ae", "noise:sigma=60"),
        ("correction-ae", "random-mask:share=0.4"),
        ("restoration-gan", "gaussian-blur:sigma=0.5,noise=50"),
    ],
)
def test_training_makes_restored_digits_better_than_damaged_ones(tmp_path, model, corruption):
    training = trained(tmp_path / "run", model=model, corruption=corruption, epochs=4)
    result = training.system.measure()
    assert result["psnr"] > result["damaged_psnr"] + 1
    records = training.run.records()
    assert records[-1]["test_psnr"] > records[0]["test_psnr"]


@pytest.mark.parametrize("regularizer", ["tv", "edge", "ssim", "adversarial"])
def test_every_regularizer_takes_part(tmp_path, regularizer):
    with_it = trained(tmp_path / "with", model="correction-ae", regularizer=regularizer)
    without = trained(tmp_path / "without", model="correction-ae", regularizer=regularizer, weight=0.0)
    assert {"penalty", "g_loss"} & set(with_it.run.records()[0])
    a, b = (run.system.average.module.tail.weight.numpy() for run in (with_it, without))
    assert abs(a - b).max() > 1e-5


def test_total_variation_makes_flatter_images(tmp_path):
    x = load_held_out()
    noisy, _ = make_corruption("noise:sigma=60")(x, Generator(0))
    plain, flat = (
        trained(tmp_path / f"{weight}", model="correction-ae", regularizer="tv", weight=weight, epochs=2).system
        for weight in (0.0, 20.0)
    )
    variation = [abs(np.diff(system.restore(noisy), axis=3)).sum() for system in (plain, flat)]
    assert variation[1] < 0.8 * variation[0]


def load_held_out():
    return make_system({**TINY, "model": "correction-ae"}).held_out()


def test_a_run_that_stopped_ends_with_the_bits_of_one_that_did_not(tmp_path):
    trained(tmp_path / "parts", model="restoration-gan", epochs=1, lr_schedule="constant")
    straight = trained(tmp_path / "straight", model="restoration-gan", epochs=2, lr_schedule="constant")
    resumed = resume_run(tmp_path / "parts", {"epochs": 2}, quiet=True)
    with resumed.run:
        assert train_run(resumed)
    for name, weight in straight.system.model.state_dict().items():
        np.testing.assert_array_equal(weight.numpy(), resumed.system.model.state_dict()[name].numpy())
    x = load_held_out()[:3]
    loaded, _ = load_system(tmp_path / "parts")
    np.testing.assert_array_equal(loaded.restore(x), straight.system.restore(x))


def test_the_discriminator_sees_clean_images_as_real_and_restored_ones_as_fake(tmp_path):
    """The article took the *damaged* image as the real one."""
    training = start_run({**TINY, "model": "restoration-gan", "conditional": False}, tmp_path / "run", quiet=True)
    system, seen = training.system, []

    class Watching:
        conditional = False
        parameters = staticmethod(system.discriminator.parameters)
        requires_grad_ = staticmethod(system.discriminator.requires_grad_)

        def __call__(self, images):
            seen.append(images.numpy().copy())
            return system.discriminator(images)

    order = []
    inner = GAN_LOSSES["non-saturating"]

    def d_loss(real, fake):
        order.append("d")
        return inner.discriminator(real, fake)

    def g_loss(real, fake):
        order.append("g")
        assert real is None
        return inner.generator(real, fake)

    with training.run:
        train_restoration_gan(
            system.model,
            Watching(),
            *(system.optimizers[name] for name in ("restorer", "discriminator")),
            training.session,
            system.corruption,
            system.noise,
            system.average,
            system.held_out(),
            distance=absolute_error,
            distance_weight=1.0,
            loss=GanLoss(d_loss, g_loss),
            augment=False,
        )
    clean, restored, again = seen[0], seen[1], seen[2]
    originals = {image.tobytes() for image in system.source.load("train")[np.arange(1437)][0]}
    assert all(image.tobytes() in originals for image in clean)
    assert not any(image.tobytes() in originals for image in restored)
    np.testing.assert_array_equal(restored, again)
    assert order[:4] == ["d", "g", "d", "g"]


def test_spoiling_leaves_the_clean_image_and_its_damage_in_step():
    batch = Tensor(np.random.default_rng(0).random((5, 3, 8, 8), np.float32))
    image, damaged, mask = spoil(batch, make_corruption("block:size=3"), Generator(1), augment=True)
    np.testing.assert_array_equal((damaged * mask).numpy(), (image * mask).numpy())
    np.testing.assert_array_equal(damaged.numpy()[2], biharmonic_inpainting(image.numpy()[2], mask.numpy()[2, 0]))
    assert (damaged.numpy() != image.numpy()).mean() == pytest.approx(9 / 64)
    image, damaged, mask = spoil(batch, make_corruption("noise:sigma=10"), Generator(1), augment=False)
    assert mask is None
    np.testing.assert_array_equal(image.numpy(), batch.numpy())
    assert (damaged - image).numpy().std() == pytest.approx(10 / 255, rel=0.1)


def test_half_of_the_damaged_images_are_clipped_as_in_files():
    black = Tensor(np.zeros((400, 1, 4, 4), np.float32))
    _, damaged, _ = spoil(black, make_corruption("noise:sigma=50"), Generator(0), augment=False)
    clipped = damaged.numpy().min(axis=(1, 2, 3)) >= 0
    assert clipped.mean() == pytest.approx(0.5, abs=0.1)


def test_some_images_become_enlarged_parts_of_themselves():
    ramp = np.broadcast_to(np.linspace(0, 1, 32, dtype=np.float32), (200, 2, 32, 32))
    enlarged = enlarge(ramp, Generator(0))
    changed = (enlarged != ramp).any(axis=(1, 2, 3))
    assert changed.mean() == pytest.approx(0.5, abs=0.12)
    np.testing.assert_allclose(enlarged[:, 0], enlarged[:, 1], atol=1e-5)
    slopes = (enlarged[:, 0, 16, 24] - enlarged[:, 0, 16, 8]) / (ramp[0, 0, 16, 24] - ramp[0, 0, 16, 8])
    assert 0.45 < slopes.min() < 0.6  # twice as large is half as steep
    assert slopes.max() == pytest.approx(1, abs=0.05)
    assert 0 <= enlarged.min() <= enlarged.max() <= 1
    np.testing.assert_array_equal(enlarge(ramp[:, :, :1, :1], Generator(0)), ramp[:, :, :1, :1])


def test_colours_are_exchanged_in_every_order_and_stay_whole():
    one = np.arange(12, dtype=np.float32).reshape(1, 3, 2, 2)
    exchanged = exchange_colours(np.repeat(one, 200, axis=0), Generator(0))
    assert len({image.tobytes() for image in exchanged}) == 6
    assert (exchanged == one).all(axis=(1, 2, 3)).mean() == pytest.approx(1 / 2 + 1 / 12, abs=0.1)
    np.testing.assert_array_equal(np.sort(exchanged, axis=1), np.repeat(one, 200, axis=0))


def test_turning_gives_all_eight_positions_of_squares_and_the_four_of_other_images():
    one = np.arange(9, dtype=np.float32).reshape(1, 1, 3, 3)
    turned = {image.tobytes() for image in turn(np.repeat(one, 300, axis=0), Generator(0))}
    plane = one[0, 0]
    eight = {np.ascontiguousarray(np.rot90(version, k)).tobytes() for version in (plane, plane.T) for k in range(4)}
    assert turned == eight
    wide = np.arange(6, dtype=np.float32).reshape(1, 1, 2, 3)
    assert len({image.tobytes() for image in turn(np.repeat(wide, 100, axis=0), Generator(0))}) == 4


def test_the_held_out_psnr_is_that_of_fixed_damage():
    x = load_held_out()[:40]
    corruption = make_corruption("noise:sigma=30")
    damaged, _ = corruption(x[:32], Generator(0))
    value = held_out_psnr(lambda image, mask: image, corruption, x, Tensor(x).device)
    errors = ((damaged.clip(0, 1) - x[:32]) ** 2).mean(axis=(1, 2, 3))
    assert value == pytest.approx((-10 * np.log10(errors)).mean())


def test_restoring_takes_any_size_any_number_and_a_mask_where_there_is_one():
    system = make_system({**TINY, "model": "correction-ae", "corruption": "block:size=3"})
    for shape in ((0, 1, 8, 8), (1, 1, 1, 1), (20, 1, 5, 9)):
        x = np.random.default_rng(0).random(shape, np.float32)
        np.testing.assert_array_equal(system.restore(x), x)  # all known unless told otherwise
    mask = np.zeros((20, 1, 5, 9), np.float32)
    restored = system.restore(x, mask)
    assert restored.shape == x.shape
    assert 0 <= restored.min() <= restored.max() <= 1
    with pytest.raises(ShapeError, match="leave out the mask"):
        make_system({**TINY, "model": "correction-ae"}).restore(x, mask)


def test_an_ensemble_is_the_mean_over_the_eight_positions():
    system = make_system({**TINY, "model": "correction-ae", "corruption": "block:size=3"})
    for weight in system.average.module.parameters():
        weight.data = Generator(1).normal(weight.shape, std=0.1)
    x = 0.3 + 0.4 * np.random.default_rng(0).random((2, 1, 12, 9), np.float32)
    mask = (np.random.default_rng(1).random((2, 1, 12, 9)) > 0.3).astype(np.float32)
    total = np.zeros_like(x)
    for axes in ((0, 1, 2, 3), (0, 1, 3, 2)):
        for flips in ((), (2,), (3,), (2, 3)):
            part, known = (np.ascontiguousarray(np.flip(a.transpose(axes), flips)) for a in (x, mask))
            restored = system.restore(part, known)
            assert 0 < restored.min() < restored.max() < 1  # or the mean of eight that are clipped would be another
            total += np.flip(restored, flips).transpose(axes)
    np.testing.assert_allclose(system.restore(x, mask, ensemble=True), total / 8, atol=1e-4)


def test_z_changes_what_a_restoration_gan_draws():
    system = make_system({**TINY, "model": "restoration-gan"})
    for weight in system.average.module.parameters():
        weight.data = Generator(0).normal(weight.shape, std=0.2)
    x = load_held_out()[:2]
    draws = [system.restore(x, z=Generator(seed).normal((2, 8))) for seed in (1, 2)]
    assert abs(draws[0] - draws[1]).max() > 1e-3


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"corruption": "nose"}, "Unknown corruption 'nose': did you mean 'noise'"),
        ({"regularizer": "total"}, "regularizer"),
        ({"weight": -1}, "--weight must be 0 or a positive number"),
        ({"data": "ring8"}, "made for images"),
        ({"width": 0}, "--width"),
    ],
)
def test_mistakes_are_told_before_a_run_begins(changes, sentence):
    with pytest.raises(UserError, match=sentence):
        make_system({**TINY, "model": "correction-ae", **changes})


def test_the_squared_error_is_weighed_as_in_the_formula(tmp_path):
    """The first record of a run without regularizer is Σ‖x - x̂‖² itself, about the noise of the input."""
    training = trained(tmp_path / "run", model="correction-ae", lr=1e-12, augment=False)
    x = training.system.held_out()
    damaged, _ = make_corruption("noise:sigma=60")(x, Generator(0))
    halves = [
        squared_error(training.system.model(Tensor(part)), Tensor(x)).item() for part in (damaged, damaged.clip(0, 1))
    ]
    before = np.mean(halves)  # half of the damaged images are clipped
    assert training.run.records()[0]["error"] == pytest.approx(before, rel=0.05)
