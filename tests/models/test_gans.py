"""The networks of the GANs: shapes, sizes, constants, switches."""

import numpy as np
import pytest

import minigen
from minigen import nn
from minigen.errors import UserError
from minigen.models.dcgan import DCGANDiscriminator, DCGANGenerator
from minigen.models.gan import ConvDiscriminator, ConvGenerator
from minigen.models.gan64 import ConvDiscriminator64, ConvGenerator64, DenseDiscriminator, DenseGenerator
from minigen.models.mlp_gan import Maxout, MLPDiscriminator, MLPGenerator

PAIRS = {
    "conv": (lambda: ConvGenerator((1, 8, 8), 8), lambda **k: ConvDiscriminator((1, 8, 8), 8, **k), (1, 8, 8)),
    "dcgan": (lambda: DCGANGenerator(), lambda **k: DCGANDiscriminator(**k), (1, 28, 28)),
    "dense64": (
        lambda: DenseGenerator(hidden=(16, 32)),
        lambda **k: DenseDiscriminator(hidden=(32, 2), **k),
        (3, 64, 64),
    ),
    "conv64": (lambda: ConvGenerator64(width=4), lambda **k: ConvDiscriminator64(width=4, **k), (3, 64, 64)),
    "points": (lambda: MLPGenerator(5), lambda **k: MLPDiscriminator(5, **k), (5,)),
}


def sizes(module):
    return [tuple(p.shape) for p in module.parameters()]


def count(module):
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("name", PAIRS)
def test_noise_becomes_samples_and_samples_become_one_logit_each(name):
    make_generator, make_discriminator, shape = PAIRS[name]
    generator, discriminator = make_generator(), make_discriminator()
    samples = generator(minigen.randn(4, generator.latent_dim))
    assert samples.shape == (4, *shape)
    assert discriminator(samples).shape == (4, 1)
    if name != "points":
        assert float(samples.abs().max()) <= 1


@pytest.mark.parametrize("name", PAIRS)
def test_packs_widen_the_first_layer_alone(name):
    _, make, shape = PAIRS[name]
    one, three = make(), make(packing=3)
    assert three(minigen.zeros(2, 3 * shape[0], *shape[1:])).shape == (2, 1)
    assert sizes(one)[1:] == sizes(three)[1:]


@pytest.mark.parametrize("name", PAIRS)
def test_spectral_norm_bounds_every_weight_of_the_discriminator(name):
    _, make, shape = PAIRS[name]
    minigen.manual_seed(0)
    discriminator = make(spectral=True)
    for _ in range(3):
        discriminator(minigen.randn(2, *shape))
    layers = [m for m in discriminator.modules() if isinstance(m, (nn.Linear, nn.Conv2d))]
    assert len(layers) >= 2
    for layer in layers:
        matrix = layer.weight.numpy().reshape(layer.weight.shape[0], -1)
        assert np.linalg.svd(matrix, compute_uv=False)[0] == pytest.approx(1, abs=0.15)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in discriminator.modules())


def test_the_dcgan_is_that_of_the_tutorial_to_the_weight():
    """Weights as Keras counts them: 2,305,472 that learn in the generator, 212,864 in the discriminator."""
    generator, discriminator = DCGANGenerator(), DCGANDiscriminator()
    assert sizes(generator) == [
        *[(7 * 7 * 256, 100), (7 * 7 * 256,), (7 * 7 * 256,)],
        *[(256, 128, 5, 5), (128,), (128,)],
        *[(128, 64, 5, 5), (64,), (64,)],
        (64, 1, 5, 5),
    ]
    assert count(generator) == 2_305_472
    assert sizes(discriminator) == [(64, 1, 5, 5), (64,), (128, 64, 5, 5), (128,), (1, 128 * 7 * 7)]
    assert count(discriminator) == 212_864


def test_a_narrower_dcgan_has_its_channels_in_the_same_proportions():
    narrow = sizes(DCGANGenerator(width=8)), sizes(DCGANDiscriminator(width=8))
    wide = sizes(DCGANGenerator()), sizes(DCGANDiscriminator())
    shrunk = {7 * 7 * 256: 7 * 7 * 32, 256: 32, 128: 16, 64: 8, 128 * 7 * 7: 16 * 7 * 7}
    for ours, tutorials in zip(narrow, wide):
        assert ours == [tuple(shrunk.get(n, n) for n in shape) for shape in tutorials]


def test_the_dcgan_has_the_constants_of_keras():
    minigen.manual_seed(1)
    for network in (DCGANGenerator(), DCGANDiscriminator()):
        for layer in network.modules():
            if isinstance(layer, nn.LeakyReLU):
                assert layer.negative_slope == 0.3
            if isinstance(layer, nn.Dropout):
                assert layer.p == 0.3
            if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)):
                assert (layer.eps, layer.momentum) == (1e-3, 0.01)
            if isinstance(layer, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
                kernel = int(np.prod(layer.weight.shape[2:]))
                bound = np.sqrt(6 / (kernel * sum(layer.weight.shape[:2])))  # Glorot-uniform
                largest = float(layer.weight.abs().max())
                assert 0.97 * bound < largest <= bound
                np.testing.assert_allclose(layer.weight.numpy().std(), bound / np.sqrt(3), rtol=0.05)
                assert layer.bias is None or not layer.bias.numpy().any()


def test_a_pixel_reaches_the_discriminator_through_the_padding_of_tensorflow():
    """'same' of a 5×5 window with stride 2 on 28: one row of zeros above, two below. So the first window starts at row
    -1 and its centre is row 1, and the last, at row 13, covers rows 25 to 29."""
    first = next(m for m in DCGANDiscriminator().modules() if isinstance(m, nn.Conv2d))
    first.weight.data = np.ones_like(first.weight.data)
    image = np.zeros((1, 1, 28, 28), np.float32)
    image[0, 0, 3, 0] = 1  # in the windows that start at -1, 1 and 3
    rows = first(minigen.tensor(image)).numpy()[0, 0, :, 0]
    np.testing.assert_array_equal(np.flatnonzero(rows), [0, 1, 2])
    image[0, 0, 3, 0], image[0, 0, 27, 0] = 0, 1  # in those that start at 23 and 25
    rows = first(minigen.tensor(image)).numpy()[0, 0, :, 0]
    np.testing.assert_array_equal(np.flatnonzero(rows), [12, 13])


def test_the_dense_network_for_64_ends_in_an_image_and_in_a_logit():
    """The listing's generator ends in three numbers, and its discriminator in a sigmoid before a loss on logits."""
    generator, discriminator = DenseGenerator(), DenseDiscriminator()
    assert [w for w in sizes(generator) if len(w) == 2][-1] == (3 * 64 * 64, 1024)
    assert [w[0] for w in sizes(discriminator) if len(w) == 2] == [1024, 512, 256, 128, 64, 32, 16, 8, 4, 2, 1]
    assert isinstance(list(discriminator.modules())[-1], nn.Linear)
    norms = [m for m in generator.modules() if isinstance(m, nn.BatchNorm1d)]
    assert {m.momentum for m in norms} == {0.2}  # what Keras calls 0.8
    assert {m.eps for m in norms} == {1e-3}  # and not 0.8, the value of PyTorch's second positional argument


def test_the_published_networks_for_points_are_a_line_each():
    generator = MLPGenerator(2, 2, [400] * 4, batch_norm=True)
    assert count(generator) == 2 * 400 + 3 * 400**2 + 4 * 2 * 400 + 2 * 400 + 2
    discriminator = MLPDiscriminator(2, [200] * 3, "maxout", packing=2)
    assert count(discriminator) == (4 + 1) * 1000 + 2 * (200 + 1) * 1000 + 201
    assert discriminator(minigen.zeros(3, 4)).shape == (3, 1)


def test_hes_start_keeps_the_size_of_a_signal_and_pytorchs_does_not():
    minigen.manual_seed(0)
    x = minigen.randn(2000, 64)
    large = MLPGenerator(64, 64, [256] * 3, he_start=True)(x).numpy().std()
    small = MLPGenerator(64, 64, [256] * 3)(x).numpy().std()
    assert large == pytest.approx(1, abs=0.25)
    assert small < 0.2
    weight = MLPDiscriminator(2, [300, 200], he_start=True).layers[2].weight.numpy()
    assert np.abs(weight).max() == pytest.approx(np.sqrt(6 / 300), rel=1e-3)


def test_maxout_is_the_largest_of_each_group():
    x = minigen.Generator(0).normal((4, 15))
    np.testing.assert_array_equal(Maxout(5)(minigen.tensor(x)).numpy(), x.reshape(4, 3, 5).max(axis=2))


def test_a_discriminator_sees_points_in_their_proportions_and_starts_as_if_they_were_of_one_size():
    proportions = np.array([1.0, 0.1, 0.01, 0.01])
    minigen.manual_seed(3)
    plain = MLPDiscriminator(4, [300], packing=2, he_start=True)
    minigen.manual_seed(3)
    proportioned = MLPDiscriminator(4, [300], packing=2, he_start=True, proportions=proportions)
    x = minigen.Generator(0).normal((6, 8))
    grown = np.sqrt(4 / np.square(proportions).sum())
    first = plain.layers[0]
    first.weight.data = first.weight.data * grown.astype(np.float32)
    first.bias.data = first.bias.data * grown.astype(np.float32)
    expected = plain(minigen.tensor(x * np.tile(proportions, 2).astype(np.float32))).numpy()
    np.testing.assert_allclose(proportioned(minigen.tensor(x)).numpy(), expected, rtol=1e-4, atol=1e-5)


def test_an_unknown_activation_is_told():
    with pytest.raises(UserError, match="Unknown activation 'rely': did you mean 'relu'"):
        MLPGenerator(activation="rely")
