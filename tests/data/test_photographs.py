import json

import numpy as np
import pytest

from minigen import Generator
from minigen.data import DataLoader, load, open_dataset
from minigen.data.photographs import Patches, load_photographs
from minigen.errors import UserError


def photographs():
    from sklearn.datasets import load_sample_images

    return [image.transpose(2, 0, 1) for image in load_sample_images().images]


def test_the_regions_hold_every_pixel_of_both_photographs_once():
    train, test = load_photographs("train"), load_photographs("test")
    assert [region.shape for region in train] == [(3, 427, 256)] * 4
    assert [region.shape for region in test] == [(3, 427, 128)] * 2
    for number, whole in enumerate(photographs()):
        left, right = train[2 * number : 2 * number + 2]
        ours = np.concatenate([left, test[number], right], axis=2)
        assert ours.dtype == np.float32
        np.testing.assert_array_equal(ours, whole.astype(np.float32) / 255)


def test_scales_and_splits_of_the_regions():
    unit, tanh = load_photographs("test"), load_photographs("test", scale="tanh")
    np.testing.assert_allclose(tanh[1], 2 * unit[1] - 1, atol=1e-6)
    with pytest.raises(UserError, match="not 'valid'"):
        load_photographs("valid")
    with pytest.raises(UserError, match="not '255'"):
        load_photographs("train", scale="255")


@pytest.mark.parametrize("size", [1, 32, 64, 100, 128])
def test_no_pixel_of_a_held_out_patch_is_in_a_training_patch(size):
    source = open_dataset("photographs", image_size=size)
    assert source.shape == (3, size, size)
    seen = np.zeros((2, 427, 640), bool)
    for number, row, column in source.load("train").images.corners:
        left = (0, 384)[number % 2] + column
        seen[number // 2, row : row + size, left : left + size] = True
    assert not seen[:, :, 256:384].any()
    if size >= 8:
        assert seen[:, :, :256].all()
        assert seen[:, :, 384:].all()
    held_out = np.zeros((2, 427, 128), int)
    for number, row, column in source.load("test").images.corners:
        held_out[number, row : row + size, column : column + size] += 1
    assert held_out.max() == 1
    assert held_out.sum() == 2 * (427 // size) * (128 // size) * size**2


def test_a_patch_is_cut_where_its_corner_says():
    dataset = load("photographs", "train")
    picture = photographs()[1]
    index = int(np.flatnonzero((dataset.images.corners == (3, 16, 24)).all(axis=1))[0])
    expected = picture[:, 16:80, 384 + 24 : 384 + 88].astype(np.float32) / 255
    np.testing.assert_array_equal(dataset[np.array([index])][0][0], expected)
    np.testing.assert_array_equal(dataset[index][0], expected)
    np.testing.assert_array_equal(dataset[index : index + 1][0][0], expected)


def test_the_held_out_patches_are_24_and_the_training_patches_thousands():
    assert len(load("photographs", "test")) == 24
    assert len(load("photographs", "train")) == 4700


def test_a_loader_over_patches_goes_on_where_it_was_stopped():
    def loader():
        return DataLoader(load("photographs"), 512, shuffle=True, generator=Generator(1))

    whole = [batch.tobytes() for batch, _ in loader()]
    stopped = loader()
    for number, _ in enumerate(stopped):
        if number == 3:
            state = json.loads(json.dumps(stopped.state_dict()))
            break
    rest = loader()
    rest.load_state_dict(state)
    assert [batch.tobytes() for batch, _ in rest] == whole[4:]


def test_patches_reach_the_edges_with_a_stride_and_share_nothing_without():
    images = [np.arange(70).reshape(1, 7, 10)]
    assert {tuple(corner) for corner in Patches(images, 4, 2).corners} == {
        (0, row, column) for row in (0, 2, 3) for column in (0, 2, 4, 6)
    }
    assert Patches(images, 4).corners.tolist() == [[0, 1, 1], [0, 1, 5]]


@pytest.mark.parametrize("size", [0, 129, 2.5, True, "64"])
def test_a_size_that_does_not_fit_is_refused(size):
    with pytest.raises(UserError, match=r"whole number from 1 to 128 .*held out"):
        open_dataset("photographs", image_size=size)


def test_photographs_have_no_classes_to_make_rare():
    assert open_dataset("photographs").classes == 0
    with pytest.raises(UserError, match="needs data with labels"):
        open_dataset("photographs", imbalance="0:0.5")
