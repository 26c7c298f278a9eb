import math

import numpy as np
import pytest

from minigen import Generator
from minigen.errors import MinigenError
from minigen.metrics import ms_ssim, psnr, psnr_of_mse, ssim

METRICS = [psnr, ssim, ms_ssim]


def wave(channels, h, w, phase):
    i, j = np.mgrid[0:h, 0:w].astype(float)
    slow = 0.25 * np.cos(0.17 * j + i * j * 0.01 + phase * 2)
    return np.stack([0.5 + 0.25 * np.sin(0.3 * i * (k + 1) + phase) + slow for k in range(channels)])


def ssim_by_loops(a, b, data_range, side=11, c1=None):
    """One channel, place by place, with the window written out."""
    r = side // 2
    g = np.exp(-((np.arange(side)[:, None] - r) ** 2 + (np.arange(side) - r) ** 2) / (2 * 1.5**2))
    g /= g.sum()
    c1, c2 = (0.01 * data_range) ** 2 if c1 is None else c1, (0.03 * data_range) ** 2
    values = []
    for i in range(a.shape[0] - side + 1):
        for j in range(a.shape[1] - side + 1):
            x, y = a[i : i + side, j : j + side], b[i : i + side, j : j + side]
            mx, my = (g * x).sum(), (g * y).sum()
            vx, vy, cxy = (g * (x - mx) ** 2).sum(), (g * (y - my) ** 2).sum(), (g * (x - mx) * (y - my)).sum()
            values.append((2 * mx * my + c1) * (2 * cxy + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2)))
    return np.mean(values)


def test_psnr_of_known_errors():
    assert psnr_of_mse(0.01) == pytest.approx(20)
    assert psnr_of_mse(1.0, data_range=255) == pytest.approx(48.1308036)
    assert psnr_of_mse(0) == math.inf
    reference = np.zeros((2, 1, 4, 4))
    image = reference + np.array([0.1, 0.01])[:, None, None, None]
    assert psnr(image, reference) == pytest.approx(30)  # the mean of 20 and 40 dB, not that of the errors
    assert psnr(reference, reference) == math.inf


def test_bytes_do_not_wrap_around():
    black, white = np.zeros((3, 3), np.uint8), np.full((3, 3), 255, np.uint8)
    assert psnr(black, white, data_range=255) == psnr(white, black, data_range=255) == 0


def test_psnr_and_ssim_are_those_that_scikit_image_0_26_gave():
    a = wave(1, 40, 50, 0.0)[0]
    b = np.clip(a + 0.2 * wave(1, 40, 50, 1.0)[0] - 0.1, 0, 1)
    assert psnr(a, b) == pytest.approx(26.039895550173043, rel=1e-12)
    assert ssim(a, b) == pytest.approx(0.965848731522391, rel=1e-12)
    a = wave(3, 33, 47, 0.3)
    assert ssim(a, np.clip(a * 0.8 + 0.2 * wave(3, 33, 47, 2.0), 0, 1)) == pytest.approx(0.8982883080594736, rel=1e-12)


def test_ms_ssim_is_what_pytorch_msssim_1_0_gave():
    a = wave(3, 176, 192, 0.0)
    assert ms_ssim(a, a * 0.7 + 0.3 * wave(3, 176, 192, 1.0)) == pytest.approx(0.9341433613836823, abs=3e-7)


@pytest.mark.parametrize(("h", "w", "side"), [(11, 11, 11), (13, 20, 11), (8, 8, 7), (28, 5, 5), (2, 9, 1), (1, 1, 1)])
def test_ssim_is_the_sum_over_windows_and_the_window_shrinks_to_fit(h, w, side):
    a, b = (Generator(seed).uniform((h, w), dtype=np.float64) * 255 for seed in (0, 1))
    assert ssim(a, b, data_range=255) == pytest.approx(ssim_by_loops(a, b, 255, side), rel=1e-9)


def test_ms_ssim_repeats_an_odd_row_or_column_on_the_way_to_the_next_scale():
    a, b = (Generator(seed).uniform((161, 163), dtype=np.float64) for seed in (2, 3))
    b = 0.7 * a + 0.3 * b
    expected, x, y = 1.0, a, b
    for scale, weight in enumerate([0.0448, 0.2856, 0.3001, 0.2363, 0.1333]):
        c1 = 1e-4 if scale == 4 else 1e9  # so large that the luminance is 1, and only contrast and structure are left
        expected *= ssim_by_loops(x, y, 1.0, c1=c1) ** weight
        x, y = (halved(z) for z in (x, y))
    assert ms_ssim(a, b) == pytest.approx(expected, rel=1e-6)


def halved(x):
    h, w = x.shape
    x = x[[*range(h), *[h - 1] * (h % 2)]][:, [*range(w), *[w - 1] * (w % 2)]]
    return x.reshape(x.shape[0] // 2, 2, x.shape[1] // 2, 2).mean(axis=(1, 3))


@pytest.mark.parametrize("metric", METRICS)
def test_a_batch_is_the_mean_of_its_images_and_an_image_may_lack_its_channel(metric):
    x, y = (Generator(seed).uniform((3, 2, 170, 180)) for seed in (4, 5))
    assert metric(x, y) == pytest.approx(np.mean([metric(a, b) for a, b in zip(x, y)]))
    assert metric(x[0, :1], y[0, :1]) == metric(x[0, 0], y[0, 0])


@pytest.mark.parametrize("metric", [ssim, ms_ssim])
def test_equal_images_have_similarity_1_and_the_scale_does_not_matter(metric):
    x, y = (Generator(seed).uniform((1, 165, 165), dtype=np.float64) for seed in (6, 7))
    assert metric(x, x) == pytest.approx(1, abs=1e-12)
    assert metric(np.zeros_like(x), np.zeros_like(x)) == 1
    assert metric(x * 255, y * 255, data_range=255) == pytest.approx(metric(x, y))


def test_an_inverted_image_is_unlike_and_multiscale_similarity_stays_at_0():
    x = Generator(8).uniform((1, 165, 165), dtype=np.float64)
    assert ssim(1 - x, x) < -0.5
    assert ms_ssim(1 - x, x) == 0


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    ("image", "reference", "options", "sentence"),
    [
        (np.zeros((4, 4)), np.zeros((4, 5)), {}, r"the same shape, not \(4, 4\) and \(4, 5\)"),
        (np.zeros(4), np.zeros(4), {}, r"takes an image \(H, W\)"),
        (np.zeros((8, 8, 3)), np.zeros((8, 8, 3)), {}, "channels of an image come first"),
        (np.full((4, 4), np.nan), np.zeros((4, 4)), {}, "NaN"),
        (np.zeros((4, 4)), 255 * np.eye(4), {}, "data_range=1.0 is .* and the reference spans 255"),
        (np.zeros((4, 4)), np.zeros((4, 4)), {"data_range": 0}, "data_range=0"),
        (np.zeros((0, 1, 4, 4)), np.zeros((0, 1, 4, 4)), {}, "nothing to measure"),
    ],
)
def test_what_cannot_be_measured_is_said_in_one_sentence(metric, image, reference, options, sentence):
    with pytest.raises(MinigenError, match=f"^{metric.__name__}: .*{sentence}"):
        metric(image, reference, **options)


def test_ms_ssim_says_how_large_an_image_must_be():
    with pytest.raises(MinigenError, match="at least 161 pixels, not 160×200; use ssim"):
        ms_ssim(np.zeros((160, 200)), np.zeros((160, 200)))
    assert ms_ssim(np.zeros((161, 161)), np.zeros((161, 161))) == 1
