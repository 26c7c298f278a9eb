import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from minigen.data.images import UnreadableImage, is_grey, read_image, read_square, write_image
from minigen.errors import ShapeError, UserError

COLOURS = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)  # H, W, C
GREY = COLOURS[:, :, 0]


def saved(tmp_path, image, name="picture.png", **options):
    path = tmp_path / name
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(path, **options)
    return path


def expected(pixels):
    planes = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    return planes.astype(np.float32) / np.float32(255)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tiff", ".ppm", ".webp", ".tga"])
def test_colours_come_as_three_planes_from_0_to_1(tmp_path, suffix):
    path = saved(tmp_path, COLOURS, "picture" + suffix, **({"lossless": True} if suffix == ".webp" else {}))
    image = read_image(path)
    assert image.dtype == np.float32
    assert image.flags.c_contiguous
    np.testing.assert_array_equal(image, expected(COLOURS))
    assert not is_grey(path)


def test_grey_comes_as_one_plane_and_as_three_on_request(tmp_path):
    path = saved(tmp_path, GREY)
    np.testing.assert_array_equal(read_image(path), expected(GREY))
    np.testing.assert_array_equal(read_image(path, channels=3), np.repeat(expected(GREY), 3, axis=0))
    assert is_grey(path)


def test_colours_as_one_plane_are_weighted_by_how_light_they_look(tmp_path):
    image = read_image(saved(tmp_path, COLOURS), channels=1)
    np.testing.assert_allclose(image[0], np.tensordot([0.299, 0.587, 0.114], expected(COLOURS), 1), atol=0.003)
    assert image.shape == (1, 5, 7)


def test_grey_of_16_bits_keeps_its_precision(tmp_path):
    values = np.array([[0, 1, 257], [32768, 65534, 65535]], np.uint16)
    for name in ("deep.png", "deep.tiff", "deep.pgm"):
        path = saved(tmp_path, values, name)
        np.testing.assert_allclose(read_image(path)[0], values / 65535, atol=1e-7)
        np.testing.assert_allclose(read_image(path, channels=3)[2], values / 65535, atol=0.5 / 255 + 1e-6)
        assert is_grey(path)


@pytest.mark.parametrize(("factor", "white"), [(1, 1), (200, 255), (60_000, 65_535)])
def test_grey_fractions_are_read_over_the_white_that_no_value_exceeds(tmp_path, factor, white):
    values = np.linspace(0, factor, 6, dtype=np.float32).reshape(2, 3)
    path = saved(tmp_path, values, "fractions.tiff")
    np.testing.assert_allclose(read_image(path)[0], values / white, atol=1e-6)


def test_whole_numbers_of_32_bits_are_read_over_65535(tmp_path):
    path = saved(tmp_path, np.array([[0, 65535]], np.int32), "long.tiff")
    np.testing.assert_allclose(read_image(path), [[[0, 1]]])


def test_black_and_white_of_one_bit(tmp_path):
    path = saved(tmp_path, Image.fromarray(GREY > 127))
    np.testing.assert_array_equal(read_image(path)[0], (GREY > 127).astype(np.float32))


def test_transparency_is_laid_on_white(tmp_path):
    alpha = np.array([[0, 128, 255]], np.uint8)
    colours = np.array([[[10, 20, 30]] * 3], np.uint8)
    share = alpha[None] / 255
    over_white = expected(colours) * share + (1 - share)
    path = saved(tmp_path, np.dstack([colours, alpha]))
    np.testing.assert_allclose(read_image(path), over_white, atol=1.01 / 255)
    path = saved(tmp_path, Image.fromarray(np.dstack([colours[:, :, 0], alpha]), mode="LA"), "grey.png")
    np.testing.assert_allclose(read_image(path), over_white[:1], atol=1.01 / 255)
    assert is_grey(path)


def test_a_palette_becomes_its_colours_and_its_transparent_entry_white(tmp_path):
    palette = Image.fromarray(np.array([[0, 1, 2, 1]], np.uint8), mode="P")
    palette.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    path = saved(tmp_path, palette, "palette.png")
    expectation = np.array([[[1, 0, 0, 0]], [[0, 1, 0, 1]], [[0, 0, 1, 0]]], np.float32)
    np.testing.assert_array_equal(read_image(path), expectation)
    path = saved(tmp_path, palette, "clear.gif", transparency=2)
    expectation[:, 0, 2] = 1
    np.testing.assert_array_equal(read_image(path), expectation)


def test_a_colour_that_stands_for_transparent_becomes_white(tmp_path):
    pixels = np.array([[[9, 9, 9], [200, 0, 0]]], np.uint8)
    path = saved(tmp_path, pixels, transparency=(9, 9, 9))
    np.testing.assert_array_equal(read_image(path), expected(np.array([[[255, 255, 255], [200, 0, 0]]], np.uint8)))


def test_inks_become_light(tmp_path):
    path = saved(tmp_path, Image.new("CMYK", (2, 2), (0, 255, 255, 0)), "inks.tiff")
    np.testing.assert_array_equal(read_image(path)[:, 0, 0], [1, 0, 0])


def test_a_photograph_is_turned_as_its_tag_says(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to look at
    path = saved(tmp_path, COLOURS, exif=exif)
    np.testing.assert_array_equal(read_image(path), expected(np.rot90(COLOURS, -1)))


def test_of_a_film_the_first_frame_counts(tmp_path):
    frames = [Image.fromarray(np.full((4, 4), value, np.uint8)) for value in (0, 255)]
    path = tmp_path / "film.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    assert read_image(path).max() == 0


def test_one_pixel_is_an_image(tmp_path):
    path = tmp_path / "dot.png"
    write_image(path, np.full((3, 1, 1), 0.5))
    np.testing.assert_allclose(read_image(path), np.full((3, 1, 1), 128 / 255), atol=1e-6)
    assert read_square(path, 64, 3).tolist() == np.full((3, 64, 64), 128).tolist()


@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_written_is_read_again_to_half_a_step(tmp_path, channels):
    image = np.random.default_rng(1).random((channels, 6, 4)).astype(np.float32)
    write_image(tmp_path / "a.png", image)
    again = read_image(tmp_path / "a.png")
    np.testing.assert_allclose(again, image, atol=0.5 / 255 + 1e-6)
    write_image(tmp_path / "b.PNG", again)
    np.testing.assert_array_equal(read_image(tmp_path / "b.PNG"), again)
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["a.png", "b.PNG"]


def test_values_outside_are_clipped(tmp_path):
    write_image(tmp_path / "a.png", np.array([[[-1.0, 2.0, np.inf]]]))
    assert read_image(tmp_path / "a.png").tolist() == [[[0, 1, 1]]]


@pytest.mark.parametrize("shape", [(4, 4), (2, 4, 4), (4, 4, 3), (1, 3, 4, 4), (3, 0, 4)])
def test_an_array_that_is_no_image_is_not_written(tmp_path, shape):
    with pytest.raises(ShapeError, match=r"takes an image \(1 or 3, H, W\)"):
        write_image(tmp_path / "a.png", np.zeros(shape))


def test_nan_another_ending_and_a_missing_folder_are_refused(tmp_path):
    with pytest.raises(UserError, match="1 of 4 values of the image are NaN"):
        write_image(tmp_path / "a.png", np.array([[[0, np.nan], [1, 1]]]))
    with pytest.raises(UserError, match=r"let the name .*a\.jpg end in \.png"):
        write_image(tmp_path / "a.jpg", np.zeros((1, 2, 2)))
    with pytest.raises(UserError, match="Cannot write"):
        write_image(tmp_path / "missing" / "a.png", np.zeros((1, 2, 2)))
    assert not list(tmp_path.iterdir())


def test_a_square_is_the_middle_of_a_picture(tmp_path):
    wide = np.zeros((4, 10, 3), np.uint8)
    wide[:, 3:7] = [10, 200, 30]
    square = read_square(saved(tmp_path, wide), 4, 3)
    np.testing.assert_array_equal(
        square, np.array([10, 200, 30], np.uint8)[:, None, None].repeat(16, 1).reshape(3, 4, 4)
    )
    high = wide.transpose(1, 0, 2)
    np.testing.assert_array_equal(read_square(saved(tmp_path, high), 4, 3), square)


def test_shrinking_averages_and_a_jpeg_decoded_at_a_fraction_of_its_size_looks_the_same(tmp_path):
    rows, columns = np.mgrid[:1024, :1024] / 1023
    smooth = np.rint(np.dstack([rows, columns, rows * columns]) * 255).astype(np.uint8)
    exact = read_square(saved(tmp_path, smooth), 16, 3).astype(int)
    average = smooth.reshape(16, 64, 16, 64, 3).mean(axis=(1, 3)).transpose(2, 0, 1)
    inner = (slice(None), slice(1, -1), slice(1, -1))
    np.testing.assert_allclose(exact[inner], average[inner], atol=1)
    rough = read_square(saved(tmp_path, smooth, "a.jpg", quality=95), 16, 3).astype(int)
    assert np.abs(rough - exact).max() <= 4


def test_a_large_photograph_lying_on_its_side_is_turned_before_it_is_cut(tmp_path):
    upright = np.zeros((900, 600, 3), np.uint8)
    upright[:450, :300] = 255  # upper left
    exif = Image.Exif()
    exif[0x0112] = 6
    square = read_square(saved(tmp_path, np.rot90(upright), "side.jpg", exif=exif), 8, 3)
    np.testing.assert_allclose(square[:, :3, :3], 255, atol=3)
    np.testing.assert_allclose(square[:, 5:], 0, atol=3)
    np.testing.assert_allclose(square[:, :, 5:], 0, atol=3)


def test_a_very_long_picture_needs_no_memory_for_its_length(tmp_path):
    path = saved(tmp_path, np.full((1, 50_000), 77, np.uint8))
    np.testing.assert_array_equal(read_square(path, 32, 1), np.full((1, 32, 32), 77))


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0" + bytes(20)])
def test_a_file_that_holds_no_picture_is_named(tmp_path, content):
    path = tmp_path / "broken.png"
    path.write_bytes(content)
    for read in (read_image, is_grey):
        with pytest.raises(UnreadableImage, match=r"broken\.png"):
            read(path)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tiff"])
def test_half_a_picture_is_no_picture(tmp_path, suffix):
    noise = np.random.default_rng(2).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = saved(tmp_path, noise, "half" + suffix)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UnreadableImage, match="half"):
        read_image(path)


def test_a_picture_that_claims_a_monstrous_size_is_refused(tmp_path):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    path = tmp_path / "monster.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")))
    with pytest.raises(UnreadableImage, match=r"monster\.png is damaged, or too large"):
        read_image(path)


def test_fractions_that_are_nan_are_no_picture(tmp_path):
    path = saved(tmp_path, np.full((2, 2), np.nan, np.float32), "nan.tiff")
    with pytest.raises(UnreadableImage, match="NaN"):
        read_image(path)


def test_missing_files_folders_and_channels_are_named(tmp_path):
    with pytest.raises(UserError, match=r"There is no file .*missing\.png"):
        read_image(tmp_path / "missing.png")
    with pytest.raises(UserError, match="is a folder, not a picture"):
        read_image(tmp_path)
    with pytest.raises(UserError, match="with 1 channel or with 3, not with 4"):
        read_image(tmp_path, channels=4)
