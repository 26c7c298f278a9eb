import subprocess
import sys

import numpy as np
import pytest

from minigen import Generator
from minigen.data import DATASETS, load, open_dataset
from minigen.errors import UserError

EMBEDDED = [name for name in DATASETS if name not in ("mnist", "fashion-mnist", "cifar10")]


@pytest.mark.parametrize("name", EMBEDDED)
@pytest.mark.parametrize("split", ["train", "test"])
def test_every_embedded_dataset_is_what_its_line_in_the_table_says(name, split):
    source = open_dataset(name)
    assert source.name == name
    assert source.kind in ("image", "point")
    dataset = source.load(split)
    samples, labels = dataset.arrays
    assert samples.shape == (len(dataset), *source.shape)
    assert (samples.dtype, labels.dtype) == (np.float32, np.int64)
    assert set(labels) == set(range(max(source.classes, 1)))
    index = np.array([len(dataset) - 1, 0, 1])
    for part, whole in zip(dataset[index], (samples, labels), strict=True):
        assert part.tobytes() == whole[index].tobytes()
    assert load(name, split).arrays[0].tobytes() == samples.tobytes()


@pytest.mark.parametrize("name", [name for name in EMBEDDED if DATASETS[name].kind == "image"])
def test_images_come_from_0_to_1_and_from_minus_1_to_1(name):
    unit, tanh = (open_dataset(name).load("test", scale=scale).arrays[0] for scale in ("unit", "tanh"))
    assert 0 <= unit.min() < 0.1 < 0.9 < unit.max() <= 1
    np.testing.assert_allclose(tanh, 2 * unit - 1, atol=1e-6)


@pytest.mark.parametrize("name", [name for name in EMBEDDED if DATASETS[name].kind == "point"])
def test_points_have_no_scale_are_other_draws_in_the_other_split_and_can_be_drawn_on(name):
    source = open_dataset(name)
    train, test = source.load("train"), source.load("test", scale="tanh")
    assert (len(train), len(test)) == (10_000, 2_500)
    assert test.arrays[0].tobytes() == source.load("test").arrays[0].tobytes()
    assert not np.array_equal(train.arrays[0][:2_500], test.arrays[0])
    more, labels = source.draw(12, Generator(5))
    assert more.shape == (12, *source.shape)
    assert labels.shape == (12,)


@pytest.mark.parametrize(
    ("name", "words"), [("digit", "did you mean 'digits'"), ("Ring8", "did you mean 'ring8'"), ("grid", "'grid25'")]
)
def test_a_mistyped_name_gets_a_suggestion(name, words):
    with pytest.raises(UserError, match=words):
        load(name)


def test_a_name_like_no_other_gets_the_list():
    with pytest.raises(UserError, match=r"Unknown dataset 'imagenet'\. There are digits, .*ring8, grid25"):
        load("imagenet")


def test_an_unknown_split_or_scale_is_named():
    with pytest.raises(UserError, match="not 'valid'"):
        load("digits", "valid")
    with pytest.raises(UserError, match="not '255'"):
        load("ring8", scale="255")


def test_importing_the_data_and_pictures_loads_no_heavy_library():
    code = (
        "import sys, minigen.data, minigen.viz, minigen.training.checkpoint, minigen.training.progress, "
        "minigen.training.run_folder; "
        "print([m for m in ('sklearn', 'matplotlib', 'PIL', 'rich', 'safetensors') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
