import numpy as np
import pytest
from scipy import ndimage

import minigen
from minigen import Tensor, gradcheck
from minigen.losses.restoration import absolute_error, edge_loss, structural_loss, total_variation
from minigen.metrics.restoration import ssim

SHAPES = [(2, 3, 5, 4), (1, 1, 1, 1), (3, 1, 1, 6), (1, 2, 7, 1)]


def images(shape, seed=0):
    return np.random.default_rng(seed).random(shape)


def differences(x):
    """Right and below, 0 at the last column and row, by a loop over pixels."""
    right, below = np.zeros_like(x), np.zeros_like(x)
    for i in range(x.shape[2]):
        for j in range(x.shape[3]):
            if j + 1 < x.shape[3]:
                right[:, :, i, j] = x[:, :, i, j + 1] - x[:, :, i, j]
            if i + 1 < x.shape[2]:
                below[:, :, i, j] = x[:, :, i + 1, j] - x[:, :, i, j]
    return right, below


@pytest.mark.parametrize("shape", SHAPES)
def test_total_variation_is_its_formula(shape):
    x = images(shape)
    right, below = differences(x)
    isotropic = (np.sqrt(right**2 + below**2 + 0.01**2) - 0.01).sum() / shape[0]
    assert total_variation(Tensor(x), eps=0.01).item() == pytest.approx(isotropic)
    anisotropic = (abs(right) + abs(below)).sum() / shape[0]
    assert total_variation(Tensor(x), isotropic=False).item() == pytest.approx(anisotropic)


def test_total_variation_of_a_step_is_its_height_times_the_length_of_its_border():
    x = np.zeros((1, 1, 10, 10))
    x[:, :, :, 6:] = 0.3
    assert total_variation(Tensor(x), isotropic=False).item() == pytest.approx(10 * 0.3)
    assert total_variation(Tensor(x), eps=1e-9).item() == pytest.approx(10 * 0.3)


def test_total_variation_is_a_sum_over_pixels_and_a_mean_over_the_batch():
    x = images((1, 3, 6, 6))
    once = total_variation(Tensor(x)).item()
    assert total_variation(Tensor(np.concatenate([x] * 4))).item() == pytest.approx(once)
    assert total_variation(Tensor(np.concatenate([x] * 4, axis=1))).item() == pytest.approx(4 * once)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_edge_loss_compares_sobels_derivatives(shape):
    x, y = images(shape, 1), images(shape, 2)
    planes = (x - y).reshape(-1, *shape[2:])
    sobel = [ndimage.sobel(plane, axis=axis, mode="nearest") / 8 for plane in planes for axis in (0, 1)]
    expected = sum((s**2).sum() for s in sobel) / shape[0]
    assert edge_loss(Tensor(x), Tensor(y)).item() == pytest.approx(expected)


def test_the_edge_loss_sees_slopes_and_not_brightness():
    ramp = np.broadcast_to(np.arange(8.0) * 0.1, (1, 1, 8, 8))
    assert edge_loss(Tensor(ramp + 0.5), Tensor(np.ascontiguousarray(ramp))).item() == pytest.approx(0, abs=1e-12)
    flat = np.zeros((1, 1, 8, 8))
    inner, border = 0.1**2, 0.05**2  # a repeated last pixel halves the slope there
    assert edge_loss(Tensor(ramp + 0.0), Tensor(flat)).item() == pytest.approx(8 * (6 * inner + 2 * border))


def test_the_absolute_error_is_a_sum_over_pixels_and_a_mean_over_the_batch():
    x, y = images((3, 2, 4, 5), 1), images((3, 2, 4, 5), 2)
    assert absolute_error(Tensor(x), Tensor(y)).item() == pytest.approx(abs(x - y).sum() / 3)


@pytest.mark.parametrize("shape", [(2, 2, 4, 3), (1, 1, 1, 1), (1, 1, 1, 4)])
@pytest.mark.parametrize(
    "loss",
    [
        lambda x, y: total_variation(x, eps=0.05),
        lambda x, y: total_variation(x, isotropic=False),
        edge_loss,
        absolute_error,
    ],
)
def test_first_and_second_derivatives_agree_with_finite_differences(loss, shape):
    x = Tensor(images(shape, 3), requires_grad=True)
    y = Tensor(images(shape, 4) + 2, requires_grad=True)  # no kink of |x - y| nearby
    gradcheck(lambda a, b: loss(a, b) + 0 * b.sum(), (x, y))


def test_the_gradient_of_total_variation_is_minus_the_curvature():
    x = images((1, 1, 6, 7), 5)
    leaf = Tensor(x, requires_grad=True)
    (gradient,) = minigen.grad(total_variation(leaf, eps=0.1), [leaf])
    right, below = differences(x)
    norm = np.sqrt(right**2 + below**2 + 0.01)
    across, down = right / norm, below / norm
    expected = -across - down
    expected[:, :, :, 1:] += across[:, :, :, :-1]
    expected[:, :, 1:] += down[:, :, :-1]
    np.testing.assert_allclose(gradient.numpy(), expected, atol=1e-12)


def test_a_constant_image_has_no_variation_and_a_gradient_of_zero():
    leaf = Tensor(np.full((2, 3, 5, 5), 0.4), requires_grad=True)
    for isotropic in (True, False):
        value = total_variation(leaf, isotropic=isotropic)
        (gradient,) = minigen.grad(value, [leaf])
        assert value.item() == pytest.approx(0, abs=1e-12)
        assert not gradient.numpy().any()


def test_losses_agree_with_pytorch():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    x, y = images((2, 3, 8, 9), 6), images((2, 3, 8, 9), 7)
    a = torch.tensor(x, requires_grad=True)
    slope = (
        torch.nn.functional.pad(a.diff(dim=3), (0, 1)) ** 2 + torch.nn.functional.pad(a.diff(dim=2), (0, 0, 0, 1)) ** 2
    )
    theirs = ((slope + 0.01).sqrt() - 0.1).sum() / 2 + (a - torch.tensor(y)).abs().sum() / 2
    (first,) = torch.autograd.grad(theirs, a, create_graph=True)
    second = torch.autograd.grad((first**2).sum(), a)[0]
    leaf = Tensor(x, requires_grad=True)
    ours = total_variation(leaf, eps=0.1) + absolute_error(leaf, Tensor(y))
    (gradient,) = minigen.grad(ours, [leaf], create_graph=True)
    (hessian_product,) = minigen.grad((gradient * gradient).sum(), [leaf])
    assert ours.item() == pytest.approx(theirs.item())
    np.testing.assert_allclose(gradient.numpy(), first.detach().numpy(), atol=1e-12)
    np.testing.assert_allclose(hessian_product.numpy(), second.numpy(), atol=1e-11)


@pytest.mark.parametrize("shape", [(2, 3, 20, 17), (1, 1, 11, 30), (3, 1, 8, 8), (1, 2, 1, 5)])
def test_the_structural_loss_counts_what_the_metric_lacks(shape):
    x = images(shape, 8)
    y = np.clip(x + 0.2 * np.random.default_rng(9).standard_normal(shape), 0, 1)
    _, c, h, w = shape
    side = min(11, h, w)
    side -= 1 - side % 2
    windows = c * (h - side + 1) * (w - side + 1)
    expected = np.mean([1 - ssim(a, b) for a, b in zip(y, x)]) * windows
    assert structural_loss(Tensor(y), Tensor(x)).item() == pytest.approx(expected, rel=1e-6)
    assert structural_loss(Tensor(x), Tensor(x)).item() == pytest.approx(0, abs=1e-9)


def test_the_structural_loss_prefers_the_targets_contrast_to_a_flat_guess():
    """Of c·z with a fixed correlation, squared error likes a small c best, structure one near 1."""
    rng = np.random.default_rng(0)
    clean, other = rng.standard_normal((2, 1, 1, 60, 60))
    guess = 0.5 * clean + np.sqrt(0.75) * other
    target = Tensor(0.5 + 0.15 * clean)
    scales = [0.2, 0.5, 1.0, 2.0]
    by_structure = [structural_loss(Tensor(0.5 + 0.15 * c * guess), target).item() for c in scales]
    by_square = [((0.15 * c * guess - 0.15 * clean) ** 2).sum() for c in scales]
    assert scales[int(np.argmin(by_square))] == 0.5
    assert scales[int(np.argmin(by_structure))] == 1.0


def test_derivatives_of_the_structural_loss_agree_with_finite_differences():
    x = Tensor(images((1, 2, 6, 5), 3), requires_grad=True)
    y = Tensor(images((1, 2, 6, 5), 4), requires_grad=True)
    gradcheck(structural_loss, (x, y))
