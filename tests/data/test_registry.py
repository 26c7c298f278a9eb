import subprocess
import sys

import numpy as np
import pytest

from minigen.data import DATASETS, dataset_info, load
from minigen.errors import UserError


@pytest.mark.parametrize("name", list(DATASETS))
@pytest.mark.parametrize("split", ["train", "test"])
def test_every_dataset_is_what_its_line_in_the_table_says(name, split):
    info = dataset_info(name)
    samples, labels = load(name, split).arrays
    assert samples.shape[1:] == info.shape
    assert samples.dtype == np.float32
    assert set(labels) == set(range(info.classes))
    assert load(name, split).arrays[0].tobytes() == samples.tobytes()


def test_the_splits_of_a_mixture_are_different_draws_of_the_stated_sizes():
    train, test = load("grid25", "train"), load("grid25", "test")
    assert (len(train), len(test)) == (10_000, 2_500)
    assert not np.array_equal(train.arrays[0][:2_500], test.arrays[0])


def test_options_reach_the_dataset():
    assert load("digits", "test", scale="tanh").arrays[0].min() == -1
    assert len(load("ring8", n=12)) == 12


@pytest.mark.parametrize(
    ("name", "words"), [("digit", "did you mean 'digits'"), ("Ring8", "did you mean 'ring8'"), ("grid", "'grid25'")]
)
def test_a_mistyped_name_gets_a_suggestion(name, words):
    with pytest.raises(UserError, match=words):
        load(name)


def test_a_name_like_no_other_gets_the_list():
    with pytest.raises(UserError, match=r"Unknown dataset 'imagenet'\. There are digits, ring8, grid25\."):
        load("imagenet")


def test_an_unknown_split_or_option_is_named():
    with pytest.raises(UserError, match="not 'valid'"):
        load("digits", "valid")
    with pytest.raises(UserError, match="takes scale as an option, not 'n'"):
        load("digits", n=5)


def test_importing_the_data_and_pictures_loads_no_heavy_library():
    code = (
        "import sys, minigen.data, minigen.viz, minigen.training.checkpoint, minigen.training.progress, "
        "minigen.training.run_folder; "
        "print([m for m in ('sklearn', 'matplotlib', 'PIL', 'rich', 'safetensors') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
