import numpy as np
import pytest

from minigen import Generator, nn
from minigen.errors import ShapeError, UserError
from minigen.tensor import Tensor
from minigen.viz import draw_feature_maps, draw_kernels, layers


@pytest.fixture
def drawn(monkeypatch):
    """The tiles, columns and titles of the pictures that are drawn."""
    seen = []
    draw = layers._draw

    def watch(tiles, columns, title):
        seen.append((tiles, columns, title))
        return draw(tiles, columns, title)

    monkeypatch.setattr(layers, "_draw", watch)
    return seen


def test_kernels_of_one_channel_stand_in_a_grid_and_the_others_in_a_table(drawn):
    one, several = nn.Conv2d(1, 5, 3), nn.ConvTranspose2d(3, 20, 2)
    draw_kernels(one)
    draw_kernels(several.weight)
    np.testing.assert_array_equal(drawn[0][0], one.weight.numpy()[:, 0])
    assert drawn[0][1:] == (3, "kernels (5, 1, 3, 3)")
    assert drawn[1][0].shape == (3 * 12, 2, 2)
    np.testing.assert_array_equal(drawn[1][0][12], several.weight.numpy()[1, 0])
    assert drawn[1][1:] == (12, "kernels (3, 20, 2, 2); the first 3 × 12")


def test_red_is_above_0_blue_below_and_equal_sizes_are_equally_strong():
    weight = np.array([1.0, -1.0, 0.0, 0.5]).reshape(4, 1, 1, 1)
    picture = draw_kernels(weight).pixels.astype(int)
    seen = {tuple(pixel) for pixel in picture.reshape(-1, 3)}
    assert {(103, 0, 31), (5, 48, 97)} <= seen  # the two ends of the colour map
    left = picture[:, : picture.shape[1] // 2]
    assert (left[:, :, 0] - left[:, :, 2] > 60).any()


def test_feature_maps_are_what_the_layer_makes_in_evaluation_mode(drawn):
    model = nn.Sequential(nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Dropout(0.9), nn.Conv2d(6, 70, 1))
    image = Generator(0).normal((1, 8, 8))
    before = model[1].running_mean.numpy().copy()
    draw_feature_maps(model, "2", image)
    draw_feature_maps(model, model[4], image[None])
    assert all(module.training for module in model.modules())
    np.testing.assert_array_equal(model[1].running_mean.numpy(), before)
    model.eval()
    np.testing.assert_allclose(drawn[0][0], model[:3](Tensor(image[None])).numpy()[0], rtol=1e-6)
    np.testing.assert_allclose(drawn[1][0], model(Tensor(image[None])).numpy()[0, :64], rtol=1e-6)
    assert drawn[0][1:] == (3, "2: maps (6, 6, 6)")
    assert drawn[1][2] == "4: maps (70, 6, 6); the first 64"
    assert not any(module._hooks for module in model.modules())


def test_dead_maps_and_a_single_pixel_are_drawn():
    assert draw_kernels(np.zeros((2, 1, 3, 3))).pixels.shape[2] == 3
    assert draw_kernels(np.ones((1, 1, 1, 1)), title="one").pixels.std() > 0


MODEL = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten())


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (
            lambda: draw_kernels(nn.Linear(3, 2)),
            ShapeError,
            r"\(O, C, KH, KW\) of a convolution's weight, not \(2, 3\)",
        ),
        (lambda: draw_kernels(np.full((1, 1, 1, 2), np.nan)), UserError, "2 of 2 values are NaN or infinite"),
        (lambda: draw_feature_maps(MODEL, "7", np.zeros((1, 8, 8))), UserError, "Unknown layer '7'"),
        (lambda: draw_feature_maps(MODEL, "0", np.zeros((2, 1, 8, 8))), ShapeError, r"one image .* not \(2, 1, 8, 8\)"),
        (lambda: draw_feature_maps(MODEL, "1", np.zeros((1, 8, 8))), ShapeError, r"makes \(1, 72\) of the image"),
        (lambda: draw_feature_maps(MODEL, nn.ReLU(), np.zeros((1, 8, 8))), UserError, "'ReLU' was not used"),
    ],
)
def test_what_cannot_be_drawn_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_a_module_without_a_weight_is_refused_by_its_name():
    for model in (nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU()), nn.ReLU()):
        with pytest.raises(UserError, match=f"A {type(model).__name__} has no kernels of its own"):
            draw_kernels(model)
