"""The U-Net and the patch discriminator."""

import numpy as np
import pytest

import minigen
from minigen import Generator, Tensor
from minigen.errors import ShapeError, UserError
from minigen.models.patch_discriminator import PatchDiscriminator
from minigen.models.unet import UNet, mirror

SMALL = {"widths": (4, 6, 8)}


def images(*shape, seed=0):
    return Tensor(np.random.default_rng(seed).random(shape, np.float32))


def masks(n, h, w):
    return Tensor((np.random.default_rng(1).random((n, 1, h, w)) > 0.4).astype(np.float32))


def shaken(network, seed=0):
    """The network with weights all over the place: fresh blocks start at 0."""
    g = Generator(seed)
    for weight in network.parameters():
        weight.data = g.normal(weight.shape, std=0.2)
    return network


@pytest.mark.parametrize("shape", [(2, 3, 16, 16), (1, 3, 1, 1), (1, 3, 5, 70), (1, 3, 2, 1), (3, 3, 7, 12)])
@pytest.mark.parametrize("options", [{}, {"mask": True}, {"mask": True, "keep_known": True, "latent_dim": 3}])
def test_every_size_comes_back_in_its_size(shape, options):
    network = shaken(UNet(**SMALL, **options))
    n, _, h, w = shape
    z = images(n, 3) if network.latent_dim else None
    restored = network(images(*shape), masks(n, h, w) if network.mask else None, z)
    assert restored.shape == shape
    assert np.isfinite(restored.numpy()).all()


def test_a_fresh_network_begins_near_the_damaged_image():
    x = images(2, 3, 32, 32)
    minigen.manual_seed(0)
    difference = (UNet()(x) - x).numpy()
    assert 0 < np.sqrt((difference**2).mean()) < 0.1 * np.sqrt((x.numpy() ** 2).mean())


def test_brightness_and_contrast_pass_through():
    x = images(2, 3, 16, 12)
    network = shaken(UNet(**SMALL))
    np.testing.assert_allclose(network(x * 3 + 0.5).numpy(), 3 * network(x).numpy() + 0.5, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(network(x * 0 + 0.2).numpy(), 0.2, rtol=1e-5)


def test_known_pixels_are_kept_and_only_those():
    x, mask = images(2, 3, 9, 11), masks(2, 9, 11)
    kept = shaken(UNet(**SMALL, mask=True, keep_known=True))(x, mask).numpy()
    known = np.broadcast_to(mask.numpy() == 1, x.shape)
    np.testing.assert_array_equal(kept[known], x.numpy()[known])
    assert (kept[~known] != x.numpy()[~known]).mean() > 0.99


def test_it_sees_the_mask_and_z():
    x, mask = images(1, 3, 8, 8), masks(1, 8, 8)
    network = shaken(UNet(**SMALL, mask=True, latent_dim=2))
    first = network(x, mask, images(1, 2, seed=1)).numpy()
    assert abs(first - network(x, mask, images(1, 2, seed=2)).numpy()).max() > 1e-3
    assert abs(first - network(x, 1 - mask, images(1, 2, seed=1)).numpy()).max() > 1e-3
    zero = network(x, mask, Tensor(np.zeros((1, 2), np.float32))).numpy()
    np.testing.assert_array_equal(network(x, mask).numpy(), zero)


def test_a_pixel_reaches_far_but_not_everything():
    """Three resolutions with a block each: the view is wide, and beyond it only the mean counts."""
    network = shaken(UNet(**SMALL))
    x = Tensor(np.random.default_rng(0).random((1, 3, 128, 128), np.float32), requires_grad=True)
    (gradient,) = minigen.grad(network(x)[0, 0, 64, 64], [x])
    beyond = gradient.numpy()[0, :, :1, :1]
    rows = np.nonzero((abs(gradient.numpy()[0] - beyond) > 1e-8).any(axis=(0, 2)))[0]
    assert 30 <= rows.max() - rows.min() <= 60


def test_the_unet_agrees_with_pytorch():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    F = torch.nn.functional
    network = shaken(UNet(2, widths=(4, 6), blocks=2))
    w = {name: torch.tensor(value.numpy()) for name, value in network.state_dict().items()}

    def conv(x, name, **options):
        return F.conv2d(x, w[f"{name}.weight"], **options)

    def blocks(x, name):
        for i in (0, 1):
            inner = conv(x, f"{name}.{i}.first", padding=1).relu()
            x = x + conv(inner, f"{name}.{i}.second", padding=1)
        return x

    x = images(2, 2, 6, 8).numpy()
    t = torch.tensor(x)
    skip = blocks(conv(t - t.mean((1, 2, 3), keepdim=True), "head", padding=1), "encoder.0")
    low = blocks(conv(skip, "down.0", stride=2), "middle")
    up = F.conv_transpose2d(low, w["up.0.weight"], stride=2)
    expected = t + conv(blocks(up + skip, "decoder.0"), "tail", padding=1)
    np.testing.assert_allclose(network(Tensor(x)).numpy(), expected.numpy(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("side", [1, 2, 5])
def test_mirroring_is_numpys_as_often_as_it_takes(side):
    x = images(1, 2, side, 3)
    mode = "reflect" if side > 1 else "edge"
    rows = np.pad(x.numpy(), ((0, 0), (0, 0), (0, 7), (0, 0)), mode=mode)
    np.testing.assert_array_equal(mirror(x, 7, 0).numpy(), rows)
    np.testing.assert_array_equal(mirror(x, 0, 0).numpy(), x.numpy())


@pytest.mark.parametrize(
    ("options", "call"),
    [
        ({}, lambda network: network(images(1, 1, 8, 8))),
        ({}, lambda network: network(images(3, 8, 8))),
        ({}, lambda network: network(images(1, 3, 8, 8), masks(1, 8, 8))),
        ({"mask": True}, lambda network: network(images(1, 3, 8, 8))),
    ],
)
def test_other_inputs_are_refused(options, call):
    with pytest.raises(ShapeError, match="UNet: takes images"):
        call(UNet(**SMALL, **options))


@pytest.mark.parametrize(
    "options", [{"widths": ()}, {"widths": (4, 0)}, {"blocks": 0}, {"channels": 0}, {"keep_known": True}]
)
def test_a_network_that_cannot_be_is_refused(options):
    with pytest.raises(UserError, match="UNet"):
        UNet(**options)


@pytest.mark.parametrize(("depth", "patch"), [(1, 12), (2, 26), (3, 54)])
def test_a_logit_sees_a_patch_of_the_stated_width(depth, patch):
    network = shaken(PatchDiscriminator(width=2, depth=depth))
    x = Tensor(np.random.default_rng(0).random((1, 3, 128, 128), np.float32), requires_grad=True)
    logits = network(x)
    assert logits.shape == (1, 1, 128 // 2**depth, 128 // 2**depth)
    middle = logits.shape[2] // 2
    (gradient,) = minigen.grad(logits[0, 0, middle, middle], [x])
    rows = np.nonzero(gradient.numpy()[0].any(axis=(0, 2)))[0]
    assert rows.max() - rows.min() + 1 == patch


@pytest.mark.parametrize("size", [(1, 1), (3, 50), (17, 16)])
def test_a_discriminator_takes_every_size(size):
    h, w = size
    network = PatchDiscriminator(depth=2, width=4, conditional=True, spectral=True, generator=Generator(0))
    logits = network(images(2, 3, h, w), images(2, 3, h, w, seed=1))
    assert logits.shape == (2, 1, -(-h // 4), -(-w // 4))


def test_a_conditional_discriminator_looks_at_the_damaged_image_and_no_other_takes_one():
    x, damaged = images(1, 3, 8, 8), images(1, 3, 8, 8, seed=1)
    network = shaken(PatchDiscriminator(width=4, conditional=True))
    assert abs(network(x, damaged).numpy() - network(x, x).numpy()).max() > 1e-4
    with pytest.raises(ShapeError, match="takes the damaged images too"):
        network(x)
    with pytest.raises(ShapeError, match="takes images alone"):
        PatchDiscriminator(width=4)(x, damaged)
    with pytest.raises(UserError, match="PatchDiscriminator"):
        PatchDiscriminator(depth=0)


def test_spectral_norm_holds_every_weight_at_a_singular_value_of_one():
    network = PatchDiscriminator(width=4, spectral=True, generator=Generator(0))
    for _ in range(30):  # a step of the power iteration each
        network(images(1, 3, 16, 16))
    weights = [layer.weight.numpy() for layer in network.layers if hasattr(layer, "weight_u")]
    assert len(weights) == 4
    for weight in weights:
        assert np.linalg.svd(weight.reshape(len(weight), -1), compute_uv=False)[0] == pytest.approx(1, rel=0.02)
