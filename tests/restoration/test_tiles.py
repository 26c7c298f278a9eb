import numpy as np
import pytest
from scipy import ndimage

from minigen.errors import ShapeError, UserError
from minigen.restoration.tiles import restore_by_tiles


def image(h, w, channels=3, seed=0):
    return np.random.default_rng(seed).random((channels, h, w), np.float32)


def identity(images, masks):
    return images


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (7, 3), (16, 16), (17, 16), (40, 33), (100, 15)])
@pytest.mark.parametrize(("tile", "overlap"), [(16, 4), (16, 15), (16, 0), (1, 0)])
def test_what_is_done_pixel_by_pixel_is_done_everywhere_once(shape, tile, overlap):
    x = image(*shape)
    restored = restore_by_tiles(lambda images, masks: 1 - images, x, tile=tile, overlap=overlap)
    assert restored.dtype == np.float32
    np.testing.assert_allclose(restored, 1 - x, atol=1e-6)


def test_tiles_cover_the_image_overlap_enough_and_never_exceed_their_size():
    seen = []

    def look(images, masks):
        seen.extend(images[:, 0])
        return images

    positions = np.arange(70 * 45, dtype=np.float32).reshape(1, 70, 45)
    restore_by_tiles(look, positions, tile=20, overlap=6, batch_size=3)
    corners = sorted({(int(tile[0, 0]) // 45, int(tile[0, 0]) % 45) for tile in seen})
    assert {tile.shape for tile in seen} == {(20, 20)}
    tops, lefts = sorted({top for top, _ in corners}), sorted({left for _, left in corners})
    assert (tops[0], tops[-1], lefts[0], lefts[-1]) == (0, 50, 0, 25)
    assert len(corners) == len(seen) == len(tops) * len(lefts)
    assert max(np.diff(tops)) <= 14
    assert max(np.diff(lefts)) <= 14


def test_the_result_does_not_depend_on_how_tiles_are_batched():
    x = image(50, 61)

    def blur(images, masks):
        return ndimage.gaussian_filter(images, (0, 0, 2, 2))

    results = [restore_by_tiles(blur, x, tile=24, overlap=10, batch_size=n) for n in (1, 4, 100)]
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


def test_no_seam_shows_where_tiles_differ():
    """Tiles with wrong values near their borders, as networks make them, hardly disturb the blend."""

    def wrong_borders(images, masks):
        spoilt = images.copy()
        spoilt[:, :, :2] += 1
        spoilt[:, :, -2:] += 1
        return spoilt

    x = np.zeros((1, 96, 16), np.float32)
    inner = restore_by_tiles(wrong_borders, x, tile=32, overlap=16)[0, 2:-2, 8]
    assert abs(inner).max() < 0.1
    hard = restore_by_tiles(wrong_borders, x, tile=32, overlap=0)[0, 2:-2, 8]
    assert abs(hard).max() == 1


def test_constant_offsets_of_tiles_are_blended_smoothly():
    count = iter(range(1000))

    def stairs(images, masks):
        return images + np.array([next(count) for _ in images], np.float32).reshape(-1, 1, 1, 1)

    line = restore_by_tiles(stairs, np.zeros((1, 8, 200), np.float32), tile=40, overlap=20)[0, 4]
    assert abs(np.diff(line)).max() < 0.12  # a seam would be a step of 1


def test_the_mask_is_cut_like_the_image():
    x = image(40, 40)
    mask = (np.random.default_rng(1).random((40, 40)) > 0.5).astype(np.float32)

    def fill(images, masks):
        assert masks.shape == (len(images), 1, 16, 16)
        return images * masks + (1 - masks) * 9

    restored = restore_by_tiles(fill, x * mask, mask, tile=16, overlap=5)
    np.testing.assert_allclose(restored, x * mask + 9 * (1 - mask), atol=1e-6)


@pytest.mark.parametrize(("tile", "overlap", "batch_size"), [(0, 0, 1), (8, 8, 1), (8, -1, 1), (8, 2, 0)])
def test_tiles_that_cannot_be_are_refused(tile, overlap, batch_size):
    with pytest.raises(UserError, match="the overlap must be less than the tile"):
        restore_by_tiles(identity, image(9, 9), tile=tile, overlap=overlap, batch_size=batch_size)


@pytest.mark.parametrize(
    ("shape", "mask"), [((9, 9), None), ((3, 0, 9), None), ((3, 9, 9), (9, 8)), ((3, 9, 9), (1, 9, 9))]
)
def test_other_shapes_are_refused(shape, mask):
    with pytest.raises(ShapeError, match="takes an image"):
        restore_by_tiles(identity, np.zeros(shape, np.float32), None if mask is None else np.ones(mask, np.float32))
