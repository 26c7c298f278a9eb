import os
import shutil
import warnings

import numpy as np
import pytest
from PIL import Image

from minigen import Generator
from minigen.data import DataLoader, open_dataset
from minigen.data.folder import BrokenImageWarning
from minigen.errors import UserError


@pytest.fixture(autouse=True)
def _no_warning_unless_expected():
    with warnings.catch_warnings():
        warnings.simplefilter("error", BrokenImageWarning)
        yield


def put(folder, name, value=0, size=(9, 7), mode="RGB"):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value).save(path)
    return path


def colours(folder, n=10, **options):
    for number in range(n):
        put(folder, f"{number:02}.png", (number, 2 * number, 3 * number), **options)


def reds(dataset):
    return [round(float(image[0, 0, 0]) * 255) for image in dataset.arrays[0]]


def test_one_picture_in_five_is_held_out_and_none_is_in_both_parts(tmp_path):
    colours(tmp_path, 20)
    source = open_dataset(str(tmp_path), image_size=8)
    assert (source.kind, source.shape, source.classes, source.class_names) == ("image", (3, 8, 8), 0, ())
    assert source.name == str(tmp_path)
    train, test = source.load("train"), source.load("test")
    assert (len(train), len(test)) == (16, 4)
    assert sorted(reds(train) + reds(test)) == list(range(20))
    again = open_dataset(tmp_path, image_size=8)
    assert reds(again.load("test")) == reds(test)
    np.testing.assert_array_equal(train.arrays[1], 0)


def test_samples_are_numbers_in_either_scale_and_kept_as_bytes(tmp_path):
    colours(tmp_path)
    source = open_dataset(tmp_path)
    assert source.shape == (3, 64, 64)
    train, tanh = source.load("train"), source.load("train", scale="tanh")
    assert train.images.dtype == np.uint8
    images, labels = train[np.array([0, 3])]
    assert (images.dtype, labels.dtype) == (np.float32, np.int64)
    np.testing.assert_allclose(tanh[np.array([0, 3])][0], 2 * images - 1, atol=1e-6)
    for batch, _ in DataLoader(train, 4, shuffle=True, generator=Generator(0)):
        assert batch.shape[1:] == (3, 64, 64)


def test_sub_folders_are_the_classes(tmp_path):
    for number in range(10):
        put(tmp_path, f"dogs/{number}.png", (200, 0, 0))
        put(tmp_path, f"cats/deep/{number}.jpg", (20, 0, 0))
    source = open_dataset(tmp_path, image_size=4)
    assert (source.classes, source.class_names) == (2, ("cats", "dogs"))
    for split, each in (("train", 8), ("test", 2)):
        dataset = source.load(split)
        np.testing.assert_array_equal(np.bincount(dataset.arrays[1]), each)
        np.testing.assert_array_equal(np.array(reds(dataset)) > 100, dataset.arrays[1] == 1)
    rare = open_dataset(tmp_path, imbalance="dogs:0.25")
    np.testing.assert_array_equal(np.bincount(rare.load("train").arrays[1]), [8, 2])
    with pytest.raises(UserError, match=r"no class birds .* 0 to 1 \(cats, dogs\)"):
        open_dataset(tmp_path, imbalance="birds:0.1")


@pytest.mark.parametrize("extra", ["loose.png", None])
def test_without_two_sub_folders_for_all_there_are_no_classes(tmp_path, extra):
    for number in range(4):
        put(tmp_path, f"only/{number}.png")
    if extra:
        put(tmp_path, "other/1.png")
        put(tmp_path, extra)
    source = open_dataset(tmp_path)
    assert source.classes == 0
    with pytest.raises(UserError, match="needs data with labels"):
        open_dataset(tmp_path, imbalance="0:0.5")


def test_all_have_one_channel_only_where_all_are_grey(tmp_path):
    for number in range(5):
        put(tmp_path, f"{number}.png", 10 * number, mode="L")
    assert open_dataset(tmp_path).shape == (1, 64, 64)
    put(tmp_path, "colour.png", (0, 128, 255))
    source = open_dataset(tmp_path)
    assert source.shape == (3, 64, 64)
    images = np.concatenate([source.load(split).arrays[0] for split in ("train", "test")])
    assert len(images) == 6
    assert sum(len({float(plane.mean()) for plane in image}) == 1 for image in images) == 5


def test_every_mode_and_size_goes_in(tmp_path):
    put(tmp_path, "one.png", 200, size=(1, 1), mode="L")
    put(tmp_path, "wide.jpg", (200, 0, 0), size=(300, 2))
    put(tmp_path, "clear.png", (0, 0, 0, 0), mode="RGBA")
    put(tmp_path, "palette.gif", 3, mode="P")
    put(tmp_path, "inks.tif", (0, 0, 0, 255), mode="CMYK")
    Image.fromarray(np.full((5, 5), 65535, np.uint16)).save(tmp_path / "deep.png")
    source = open_dataset(tmp_path, image_size=16)
    images = np.concatenate([source.load(split).arrays[0] for split in ("train", "test")])
    assert images.shape == (6, 3, 16, 16)
    assert (images.std(axis=(2, 3)) < 1e-6).all()


def test_a_broken_file_is_left_out_with_a_warning_that_names_it(tmp_path):
    colours(tmp_path)
    (tmp_path / "04b.png").write_bytes(b"no picture")
    with pytest.warns(BrokenImageWarning, match=r"04b\.png is not a picture .*; it is left out\.") as seen:
        source = open_dataset(tmp_path)
    assert len(seen) == 1
    assert sorted(reds(source.load("train")) + reds(source.load("test"))) == list(range(10))


def test_half_a_file_is_left_out_when_its_pixels_are_read_and_the_split_of_the_others_stays(tmp_path):
    colours(tmp_path, 20, size=(200, 200))
    whole = open_dataset(tmp_path).load("train")
    victim = tmp_path / f"{reds(whole)[2]:02}.png"
    victim.write_bytes(victim.read_bytes()[:-150])
    source = open_dataset(tmp_path)
    with pytest.warns(BrokenImageWarning, match=victim.name):
        train = source.load("train")
    assert reds(train) == [red for red in reds(whole) if red != int(victim.stem)]
    assert len(train.arrays[1]) == len(train) == 15
    assert len(source.load("train")) == 15  # said once
    assert len(source.load("test")) == 4


def test_other_files_and_hidden_ones_are_passed_over(tmp_path):
    colours(tmp_path, 5)
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / ".thumb.png").write_bytes(b"?")
    put(tmp_path, ".cache/1.png")
    source = open_dataset(tmp_path)
    assert len(source.load("train")) + len(source.load("test")) == 5


def test_links_to_folders_are_followed_and_circles_are_not(tmp_path):
    colours(tmp_path / "real")
    (tmp_path / "data").mkdir()
    os.symlink(tmp_path / "real", tmp_path / "data" / "a")
    os.symlink(tmp_path / "data", tmp_path / "data" / "b")
    source = open_dataset(tmp_path / "data")
    assert len(source.load("train")) + len(source.load("test")) == 10


def test_the_bits_do_not_depend_on_where_the_folder_lies(tmp_path):
    colours(tmp_path / "here")
    shutil.copytree(tmp_path / "here", tmp_path / "there" / "deeper")
    first, second = (open_dataset(tmp_path / place).load("train") for place in ("here", "there"))
    assert first.arrays[0].tobytes() == second.arrays[0].tobytes()


def test_folders_with_too_little_are_refused_in_a_sentence(tmp_path):
    with pytest.raises(UserError, match="holds no picture that can be read: it takes at least two"):
        open_dataset(tmp_path)
    put(tmp_path, "single.png")
    with pytest.raises(UserError, match=r"holds only one picture that can be read, single\.png"):
        open_dataset(tmp_path)
    put(tmp_path, "second.png")
    source = open_dataset(tmp_path)
    assert (len(source.load("train")), len(source.load("test"))) == (1, 1)


def test_a_part_of_which_nothing_can_be_read_is_named(tmp_path):
    colours(tmp_path, 2, size=(200, 200))
    source = open_dataset(tmp_path)
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:60])
    with pytest.warns(BrokenImageWarning), pytest.raises(UserError, match=r"None of the 1 pictures .* held out can be"):
        source.load("test")


def test_paths_that_are_no_folder_are_refused_in_a_sentence(tmp_path):
    picture = put(tmp_path, "a.png")
    with pytest.raises(UserError, match=r"a\.png is a file"):
        open_dataset(picture)
    with pytest.raises(UserError, match="There is no folder"):
        open_dataset(tmp_path / "missing")
    with pytest.raises(UserError, match="Unknown dataset 'missing'"):
        open_dataset("missing")


@pytest.mark.parametrize("size", [0, -1, 5000, 1.5])
def test_a_size_out_of_range_is_refused(tmp_path, size):
    colours(tmp_path, 2)
    with pytest.raises(UserError, match="image size must be a whole number from 1 to 4096"):
        open_dataset(tmp_path, image_size=size)


def test_a_folder_called_like_a_dataset_is_opened_by_its_path(tmp_path, monkeypatch):
    colours(tmp_path / "digits")
    monkeypatch.chdir(tmp_path)
    assert open_dataset("digits").shape == (1, 8, 8)
    assert open_dataset("./digits").shape == (3, 64, 64)


def test_options_that_a_dataset_does_not_have_are_refused():
    with pytest.raises(UserError, match="samples of digits are 1×8×8"):
        open_dataset("digits", image_size=16)
    with pytest.raises(UserError, match="digits takes no data root"):
        open_dataset("digits", root="somewhere")
