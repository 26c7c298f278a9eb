import numpy as np
import pytest
from scipy import ndimage, signal

from minigen.data.corruptions import gaussian_kernel, motion_kernel
from minigen.restoration.classical import (
    biharmonic_inpainting,
    gaussian_filter,
    median_filter,
    non_local_means,
    total_variation_denoising,
    wiener_deconvolution,
    wiener_filter,
)

METHODS = {
    "gaussian": lambda x: gaussian_filter(x, 1.5),
    "median": lambda x: median_filter(x, 5),
    "wiener": lambda x: wiener_filter(x, 0.1, 5),
    "deconvolution": lambda x: wiener_deconvolution(x, gaussian_kernel(1.0), 0.1),
    "tv": lambda x: total_variation_denoising(x, 0.1),
    "nlm": lambda x: non_local_means(x, 0.1, 0.08),
    "biharmonic": lambda x: biharmonic_inpainting(x, (np.indices(x.shape[1:]).sum(axis=0) % 5 != 1).astype(float)),
}


def scene(h=40, w=36, channels=3):
    """A smooth ground, a disc and a texture."""
    y, x = np.mgrid[:h, :w]
    ground = 0.3 + 0.3 * x / w + 0.1 * ((x - w / 2) ** 2 + (y - h / 2) ** 2 < 80) + 0.05 * np.sin(y)
    return np.stack([ground * (1 - 0.2 * c) for c in range(channels)]).astype(np.float32)


def noisy(sigma, seed=0, **size):
    x = scene(**size)
    return x, (x + sigma * np.random.default_rng(seed).standard_normal(x.shape)).astype(np.float32)


def error(a, b):
    return float(((a - b) ** 2).mean())


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("shape", [(3, 1, 1), (1, 1, 9), (2, 3, 2), (1, 20, 7)])
def test_every_method_takes_every_size_and_keeps_a_constant_image(name, shape):
    image = np.full(shape, 0.3, np.float32)
    restored = METHODS[name](image)
    assert restored.shape == shape
    assert restored.dtype == np.float32
    # a single pixel has a missing part as well, then the fill is grey
    np.testing.assert_allclose(restored, 0.3, atol=1e-5)
    np.testing.assert_array_equal(image, np.float32(0.3))


def test_the_filters_lower_the_error_of_noise():
    clean, damaged = noisy(0.1)
    for name in ("gaussian", "median", "wiener", "tv", "nlm"):
        assert error(METHODS[name](damaged), clean) < 0.6 * error(damaged, clean), name


def test_the_wiener_filter_is_scipys():
    _, damaged = noisy(0.1, channels=1)
    theirs = signal.wiener(damaged[0].astype(np.float64), (5, 5), noise=0.01)
    inner = np.s_[3:-3, 3:-3]  # scipy puts zeros beyond the border
    np.testing.assert_allclose(wiener_filter(damaged, 0.1, 5)[0][inner], theirs[inner], atol=1e-6)


@pytest.mark.parametrize("kernel", [gaussian_kernel(1.0), motion_kernel(5, 0), np.ones((1, 1))])
def test_deconvolution_undoes_a_known_symmetric_blur_up_to_the_border(kernel):
    clean = scene()
    blurred = np.stack([ndimage.convolve(c, kernel, mode="reflect") for c in clean.astype(np.float64)])
    restored = wiener_deconvolution(blurred, kernel, 1e-12)
    np.testing.assert_allclose(restored, clean, atol=2e-3)


def test_deconvolution_has_the_least_squares_form():
    """On a mirrored image it minimizes ‖k*x - y‖² + balance·‖Λx‖²: no change of a pixel pair makes it better."""
    _, y = noisy(0.05, h=7, w=6, channels=1)
    y = y.astype(np.float64)
    kernel, balance = gaussian_kernel(0.7), 0.05

    def objective(x):
        blurred = ndimage.convolve(x, kernel, mode="reflect")
        return ((blurred - y[0]) ** 2).sum() + balance * (ndimage.laplace(x, mode="reflect") ** 2).sum()

    best = wiener_deconvolution(y, kernel, balance)[0]
    rng = np.random.default_rng(0)
    for _ in range(20):
        step = 1e-3 * rng.standard_normal(best.shape)
        assert objective(best + step) > objective(best)


def test_total_variation_denoising_minimizes_its_objective():
    _, y = noisy(0.1, h=12, w=11, channels=1)
    y, weight = y.astype(np.float64), 0.08

    def objective(u):
        right, below = np.zeros_like(u), np.zeros_like(u)
        right[:, :, :-1], below[:, :-1] = np.diff(u, axis=2), np.diff(u, axis=1)
        return 0.5 * ((u - y) ** 2).sum() + weight * np.sqrt(right**2 + below**2).sum()

    best = total_variation_denoising(y, weight, iterations=3000, tolerance=0)
    rng = np.random.default_rng(0)
    for size in (1e-1, 1e-2):
        for _ in range(10):
            assert objective(best + size * rng.standard_normal(y.shape)) > objective(best)
    assert objective(best) < objective(ndimage.gaussian_filter(y, (0, 1, 1)))
    assert best.mean() == pytest.approx(y.mean(), abs=1e-9)


def test_non_local_means_is_its_formula():
    _, y = noisy(0.1, h=9, w=8, channels=2)
    y, sigma, h, patch, distance = y.astype(np.float64), 0.1, 0.12, 3, 2
    padded = np.pad(y, ((0, 0), (1, 1), (1, 1)), mode="symmetric")
    expected = np.zeros_like(y)
    for i in range(9):
        for j in range(8):
            weights = {}
            for k in range(max(i - distance, 0), min(i + distance, 8) + 1):
                for m in range(max(j - distance, 0), min(j + distance, 7) + 1):
                    here, there = padded[:, i : i + patch, j : j + patch], padded[:, k : k + patch, m : m + patch]
                    unlike = ((here - there) ** 2).mean()
                    weights[k, m] = np.exp(-max(unlike - 2 * sigma**2, 0) / h**2)
            total = sum(weights.values())
            expected[:, i, j] = sum(w * y[:, k, m] for (k, m), w in weights.items()) / total
    np.testing.assert_allclose(non_local_means(y, sigma, h, patch, distance), expected, atol=1e-10)


def test_biharmonic_inpainting_continues_a_plane_exactly():
    """Planes are biharmonic, and away from the border of the image nothing else fits."""
    y, x = np.mgrid[:20, :24]
    plane = (0.1 + 0.02 * x + 0.01 * y)[None]
    mask = np.ones((20, 24))
    mask[6:12, 7:15] = 0
    np.testing.assert_allclose(biharmonic_inpainting(plane * mask, mask), plane, atol=1e-9)


def test_biharmonic_inpainting_keeps_what_is_known_and_its_range():
    clean = scene()
    mask = (np.random.default_rng(0).random(clean.shape[1:]) > 0.7).astype(np.float32)
    filled = biharmonic_inpainting(clean * mask, mask)
    np.testing.assert_array_equal((filled * mask), clean * mask)
    assert error(filled, clean) < 1e-3
    known = clean[:, mask == 1]
    assert (filled.min(axis=(1, 2)) >= known.min(axis=1)).all()
    assert (filled.max(axis=(1, 2)) <= known.max(axis=1)).all()


def test_nothing_known_becomes_grey_and_everything_known_stays():
    image = scene()
    assert (biharmonic_inpainting(image, np.zeros(image.shape[1:])) == 0.5).all()
    np.testing.assert_array_equal(biharmonic_inpainting(image, np.ones(image.shape[1:])), image)


def test_ours_agree_with_scikit_image():
    restoration = pytest.importorskip("skimage.restoration", reason="scikit-image is not installed")
    clean, damaged = noisy(0.1)
    damaged = damaged.astype(np.float64)  # in single precision theirs stops early
    last = np.moveaxis(damaged, 0, -1)

    theirs = restoration.denoise_tv_chambolle(last, weight=0.1, channel_axis=2, eps=1e-14, max_num_iter=300)
    ours = total_variation_denoising(damaged, 0.1, iterations=300, tolerance=0)
    np.testing.assert_allclose(ours, np.moveaxis(theirs, -1, 0), atol=2e-3)

    options = {"patch_size": 5, "patch_distance": 6, "h": 0.08, "sigma": 0.1}
    theirs = restoration.denoise_nl_means(last, fast_mode=True, channel_axis=2, **options)
    ours = non_local_means(damaged, 0.1, 0.08, 5, 6)
    assert error(ours, clean) == pytest.approx(error(np.moveaxis(theirs, -1, 0), clean), rel=0.1)

    mask = np.ones(clean.shape[1:], bool)
    mask[10:20, 12:24] = False
    theirs = restoration.inpaint_biharmonic(np.moveaxis(clean * mask, 0, -1), ~mask, channel_axis=2)
    np.testing.assert_allclose(biharmonic_inpainting(clean * mask, mask), np.moveaxis(theirs, -1, 0), atol=1e-3)

    kernel = gaussian_kernel(1.0)
    blurred = ndimage.gaussian_filter(clean[0], 1.0, mode="wrap").astype(np.float64)
    theirs = restoration.wiener(blurred, kernel, 0.05, clip=False)
    inner = np.s_[12:-12, 12:-12]  # they take the image to be periodic, we mirror it
    np.testing.assert_allclose(wiener_deconvolution(blurred[None], kernel, 0.05)[0][inner], theirs[inner], atol=2e-3)
