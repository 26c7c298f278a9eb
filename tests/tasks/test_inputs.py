import numpy as np
import pytest
from PIL import Image

from minigen.errors import UserError
from minigen.tasks import read_inputs, reconstruct
from minigen.training.systems import make_system

SYSTEM = make_system({"model": "ae", "hidden": [8]})


def save(path, height, width, mode="L", value=100):
    Image.new("RGB", (width, height), (value, value, value)).convert(mode).save(path)


@pytest.mark.parametrize("mode", ["L", "RGB", "P", "RGBA", "1"])
@pytest.mark.parametrize("size", [(8, 8), (2, 3), (300, 40), (9, 200)])
def test_an_image_of_any_size_and_kind_comes_in_the_models(tmp_path, mode, size):
    path = tmp_path / "x.png"
    save(path, *size, mode, value=255)
    images, names, skipped = read_inputs(SYSTEM, path)
    assert images.shape == (1, 1, 8, 8)
    assert images.dtype == np.float32
    np.testing.assert_allclose(images, 1, atol=0.01)
    assert (names, skipped) == (["x.png"], [])


def test_the_middle_of_a_wide_image_is_taken(tmp_path):
    pixels = np.zeros((16, 48), np.uint8)
    pixels[:, 16:32] = 255
    Image.fromarray(pixels).save(tmp_path / "x.png")
    assert read_inputs(SYSTEM, tmp_path / "x.png").images.min() > 0.9


def test_a_folder_is_read_in_the_order_of_names_and_what_is_broken_is_named(tmp_path):
    for name, value in (("b.png", 50), ("a.jpg", 100), ("c.PNG", 150)):
        save(tmp_path / name, 8, 8, value=value)
    (tmp_path / "broken.png").write_bytes(b"no image")
    save(tmp_path / "point.png", 1, 1)
    (tmp_path / "notes.txt").write_text("no image either")
    (tmp_path / "folder.png").mkdir()
    images, names, skipped = read_inputs(SYSTEM, tmp_path)
    assert names == ["a.jpg", "b.png", "c.PNG"]
    np.testing.assert_allclose(images.mean(axis=(1, 2, 3)) * 255, [100, 50, 150], atol=2)
    assert len(skipped) == 2
    assert "broken.png" in skipped[0]
    assert "point.png has 1×1 pixels" in skipped[1]


@pytest.mark.parametrize(
    ("files", "ask", "words"),
    [
        ({}, "", "no image in the folder"),
        ({"x.txt": b"x"}, "", "no image in the folder"),
        ({"x.png": b"x"}, "", "No image in the folder .* can be used"),
        ({"x.png": b"x", "y.png": b"y"}, "", "none of the other 1"),
        ({"x.png": b"x"}, "x.png", "x.png is not a picture"),
        ({"x.txt": b"x"}, "x.txt", "x.txt is not a picture"),
        ({}, "missing.png", "There is no file .*missing.png"),
    ],
)
def test_what_holds_no_image_is_one_sentence(tmp_path, files, ask, words):
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=words) as caught:
        read_inputs(SYSTEM, tmp_path / ask)
    assert "\n" not in str(caught.value)


def test_a_single_pixel_and_a_model_of_points_are_refused(tmp_path):
    save(tmp_path / "x.png", 1, 5)
    with pytest.raises(UserError, match="has 1×5 pixels, and needs 2 a side"):
        read_inputs(SYSTEM, tmp_path / "x.png")
    with pytest.raises(UserError, match="trained on points, 'ring8'"):
        read_inputs(make_system({"model": "gmm", "data": "ring8"}), tmp_path / "x.png")


def test_errors_and_psnr_of_reconstructions_are_those_of_their_formulas():
    made = make_system({"model": "ae", "hidden": [8]})
    made.reconstruct = lambda images: images * 0.5
    images = np.stack([np.zeros((1, 8, 8)), np.ones((1, 8, 8)), np.full((1, 8, 8), 0.2)]).astype(np.float32)
    found = reconstruct(made, images)
    np.testing.assert_allclose(found.errors, [0, 64 * 0.25, 64 * 0.01], rtol=1e-6)
    np.testing.assert_allclose(found.psnr, [np.inf, 10 * np.log10(1 / 0.25), 20], rtol=1e-6)
    assert len(reconstruct(made).errors) == 360
    made.reconstruct = None
    with pytest.raises(UserError, match="cannot reconstruct images"):
        reconstruct(made)
