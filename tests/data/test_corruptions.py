import numpy as np
import pytest
from scipy import ndimage, signal

from minigen import Generator
from minigen.data.corruptions import KINDS, gaussian_kernel, make_corruption, motion_kernel
from minigen.errors import ShapeError, UserError

MASKING = ("block", "random-mask", "scratches")


def grey(n=2, channels=3, h=40, w=30, value=0.5):
    return np.full((n, channels, h, w), value, np.float32)


def picture(seed=0, n=2, channels=3, h=40, w=30):
    return np.random.default_rng(seed).random((n, channels, h, w), np.float32)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(2, 3, 21, 17), (1, 1, 1, 1), (3, 1, 8, 8), (1, 4, 1, 40), (0, 3, 8, 8)])
def test_every_kind_works_on_every_size_and_leaves_its_input_alone(kind, shape):
    images = np.random.default_rng(1).random(shape, np.float32)
    before = images.copy()
    damaged, mask = make_corruption(kind)(images, Generator(0))
    np.testing.assert_array_equal(images, before)
    assert damaged.shape == shape
    assert damaged.dtype == np.float32
    assert np.isfinite(damaged).all()
    if kind in MASKING:
        assert mask.shape == (shape[0], 1, *shape[2:])
        assert mask.dtype == np.float32
        assert set(np.unique(mask)) <= {0.0, 1.0}
        np.testing.assert_array_equal(damaged, images * mask)
    else:
        assert mask is None


@pytest.mark.parametrize("kind", KINDS)
def test_one_seed_gives_the_same_damage_and_each_image_its_own(kind):
    spec = {"gaussian-blur": "gaussian-blur:sigma=0.5-3"}.get(kind, kind)
    images = np.repeat(picture(n=1, h=60, w=60), 2, axis=0)
    corruption = make_corruption(spec)
    first, _ = corruption(images, Generator(5))
    again, _ = corruption(images, Generator(5))
    assert first.tobytes() == again.tobytes()
    assert abs(first[0] - first[1]).max() > 0


def test_gaussian_noise_has_the_stated_strength_and_is_not_clipped():
    damaged, _ = make_corruption("noise:sigma=25")(grey(4, 3, 100, 100, 1.0), Generator(0))
    noise = (damaged - 1).ravel()
    n = noise.size
    assert noise.mean() == pytest.approx(0, abs=4 * 25 / 255 / np.sqrt(n))
    assert noise.std() == pytest.approx(25 / 255, rel=0.01)
    assert damaged.max() > 1.2


def test_a_range_is_drawn_anew_for_each_image():
    damaged, _ = make_corruption("noise:sigma=10-50")(grey(200, 1, 40, 40), Generator(0))
    sigma = 255 * (damaged - 0.5).std(axis=(1, 2, 3))
    assert 9 < sigma.min() < 14
    assert 46 < sigma.max() < 53
    assert sigma.mean() == pytest.approx(30, abs=3)


def test_salt_and_pepper_turn_the_stated_share_of_pixels_black_or_white_in_all_channels():
    damaged, _ = make_corruption("salt-pepper:amount=0.2")(grey(1, 3, 300, 300), Generator(0))
    assert (damaged == damaged[:, :1]).all()
    assert (damaged == 0).mean() == pytest.approx(0.1, abs=0.005)
    assert (damaged == 1).mean() == pytest.approx(0.1, abs=0.005)
    assert (damaged == 0.5).mean() == pytest.approx(0.8, abs=0.005)


@pytest.mark.parametrize("value", [0.1, 0.9])
def test_poisson_noise_has_a_variance_equal_to_its_mean_in_photons(value):
    damaged, _ = make_corruption("poisson:peak=20")(grey(1, 1, 300, 300, value), Generator(0))
    photons = 20 * damaged
    np.testing.assert_allclose(photons, photons.round(), atol=1e-4)
    assert photons.mean() == pytest.approx(20 * value, rel=0.01)
    assert photons.var() == pytest.approx(20 * value, rel=0.03)


def test_gaussian_blur_is_convolution_with_its_kernel():
    images = picture(h=31, w=26)
    damaged, _ = make_corruption("gaussian-blur:sigma=1.3")(images, Generator(0))
    kernel = gaussian_kernel(1.3)
    padded = np.pad(images[0, 1], len(kernel) // 2, mode="symmetric")
    np.testing.assert_allclose(damaged[0, 1], signal.convolve2d(padded, kernel, "valid"), atol=1e-6)
    assert kernel.sum() == pytest.approx(1)


def test_motion_blur_is_convolution_with_its_kernel():
    images = picture(h=31, w=26)
    damaged, _ = make_corruption("motion-blur:length=7,angle=30")(images, Generator(0))
    kernel = motion_kernel(7, 30)
    padded = np.pad(images[1, 2], len(kernel) // 2, mode="symmetric")
    np.testing.assert_allclose(damaged[1, 2], signal.convolve2d(padded, kernel, "valid"), atol=1e-6)


@pytest.mark.parametrize("length", [1, 2, 5, 8, 15])
@pytest.mark.parametrize("angle", [0, 30, 90, 135, 211.5])
def test_a_motion_kernel_is_centred_and_as_long_as_the_motion(length, angle):
    kernel = motion_kernel(length, angle)
    radius = len(kernel) // 2
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    assert kernel.sum() == pytest.approx(1)
    np.testing.assert_allclose(kernel, kernel[::-1, ::-1], atol=1e-12)
    along = x * np.cos(np.radians(angle)) - y * np.sin(np.radians(angle))
    spread = (kernel * along**2).sum()  # of `length` places one apart, (n² - 1)/12, and up to ¼ for the interpolation
    assert (length**2 - 1) / 12 - 1e-9 <= spread <= (length**2 - 1) / 12 + 0.26


def test_horizontal_motion_is_a_box():
    np.testing.assert_allclose(motion_kernel(5, 0)[2], 0.2)
    np.testing.assert_allclose(motion_kernel(5, 90)[:, 2], 0.2, atol=1e-12)


def test_one_block_is_a_square_of_its_size_anywhere_in_the_image():
    _, mask = make_corruption("block:size=6")(grey(300, 3, 20, 24), Generator(0))
    corners = set()
    for one in mask[:, 0]:
        rows, columns = np.nonzero(one == 0)
        top, left = rows.min(), columns.min()
        assert len(rows) == 36
        assert (rows.max() - top, columns.max() - left) == (5, 5)
        corners.add((int(top), int(left)))
    assert {top for top, _ in corners} == set(range(15))
    assert {left for _, left in corners} == set(range(19))


def test_blocks_larger_than_the_image_leave_nothing_known():
    damaged, mask = make_corruption("block:size=16")(grey(1, 1, 8, 8), Generator(0))
    assert not mask.any()
    assert not damaged.any()


def test_the_stated_share_of_pixels_is_masked_at_random():
    _, mask = make_corruption("random-mask:share=0.3")(grey(1, 1, 300, 300), Generator(0))
    assert 1 - mask.mean() == pytest.approx(0.3, abs=0.006)
    neighbours = ndimage.label(mask[0, 0] == 0)[1]
    assert neighbours > 5000  # many small holes, and no large one


def test_a_scratch_is_thin_straight_and_of_the_stated_width():
    _, mask = make_corruption("scratches:count=1,width=3")(grey(40, 1, 80, 80), Generator(0))
    checked = 0
    for one in mask[:, 0]:
        rows, columns = np.nonzero(one == 0)
        spread = np.sqrt(np.linalg.eigvalsh(np.cov(rows, columns)) * 12)  # of a box: its width and its length
        if len(rows) > 40 and spread[1] > 20:
            assert spread[0] == pytest.approx(3, abs=0.6)
            checked += 1
    assert checked > 20


def test_steps_are_joined_from_left_to_right_and_a_blur_brings_its_noise():
    joined = make_corruption("gaussian-blur:sigma=2+noise:sigma=5")
    short = make_corruption("gaussian-blur:sigma=2,noise=5")
    assert str(joined) == str(short)
    images = picture()
    damaged, _ = short(images, Generator(3))
    blurred, _ = make_corruption("gaussian-blur:sigma=2")(images, Generator(3))
    noise = Generator(3).normal(images.shape) * np.float32(5 / 255)
    np.testing.assert_allclose(damaged, blurred + noise, atol=1e-6)


def test_missing_pixels_are_black_whatever_comes_after():
    damaged, mask = make_corruption("block:size=5,count=2+noise:sigma=25")(grey(), Generator(0))
    hidden = np.broadcast_to(mask == 0, damaged.shape)
    assert (damaged[hidden] == 0).all()
    assert (damaged[~hidden] != 0.5).any()
    corruption = make_corruption("block+noise")
    assert corruption.has_mask
    assert not corruption.only_hides
    assert make_corruption("block+scratches").only_hides


@pytest.mark.parametrize(
    "spec", [*KINDS, "motion-blur:length=3-9,angle=0-90,noise=1-4+block:count=2", "noise:sigma=1e-3"]
)
def test_its_text_makes_the_same_corruption_again(spec):
    corruption = make_corruption(spec)
    again = make_corruption(str(corruption))
    assert again.steps == corruption.steps


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("", "A corruption is written KIND:parameter=value"),
        ("nois", "Unknown corruption 'nois': did you mean 'noise'"),
        ("noise:sgma=3", "has no parameter 'sgma'; it takes sigma"),
        ("gaussian-blur:width=3", "it takes sigma, noise"),
        ("noise:sigma", "write sigma=NUMBER"),
        ("noise:sigma=", "sigma of the corruption 'noise' must be a number"),
        ("noise:sigma=-3", "from 0 up"),
        ("noise:sigma=50-10", "or a range low-high, not '50-10'"),
        ("noise:sigma=nan", "must be a number"),
        ("noise:sigma=1e999", "must be a number"),
        ("block:size=2.5", "must be a whole number from 1 up"),
        ("block:count=-1", "must be a whole number from 0"),
        ("salt-pepper:amount=1.5", "from 0 to 1"),
        ("poisson:peak=0", "peak"),
        ("noise:sigma=25+", "Unknown corruption ''"),
    ],
)
def test_a_wrong_specification_is_answered_in_a_sentence(spec, sentence):
    with pytest.raises(UserError) as error:
        make_corruption(spec)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_images_of_another_shape_are_refused():
    with pytest.raises(ShapeError, match="takes images"):
        make_corruption("noise")(np.zeros((3, 8, 8), np.float32), Generator(0))


def test_a_block_that_hides_the_whole_image_is_refused():
    corruption = make_corruption("noise:sigma=10+block:size=8-9")
    corruption.check_size(8, 9)
    with pytest.raises(UserError, match="hides all of an image of 8×8 pixels; give a size of at most 7"):
        corruption.check_size(8, 8)
