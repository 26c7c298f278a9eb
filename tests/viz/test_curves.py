import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from minigen.errors import UserError
from minigen.viz import curves
from minigen.viz.curves import group_metrics, save_curves


@pytest.fixture
def axes(monkeypatch):
    """The panels of the next picture, by their titles."""
    drawn = {}
    draw = curves.plot_metrics

    def watch(axis, title, series):
        draw(axis, title, series)
        drawn[title] = axis

    monkeypatch.setattr(curves, "plot_metrics", watch)
    return drawn


def points(line):
    return list(zip(line.get_xdata(), line.get_ydata()))


def test_train_and_test_share_a_panel_and_every_value_is_drawn(tmp_path, axes):
    records = [{"epoch": e, "train_loss": 3.0 / e, "test_loss": 4.0 / e, "psnr": 20.0 + e} for e in (1, 2, 3)]
    save_curves(tmp_path / "curves.png", records)
    assert list(axes) == ["loss", "psnr"]
    train, test = axes["loss"].lines
    assert points(train) == [(1, 3.0), (2, 1.5), (3, 1.0)]
    assert points(test) == [(1, 4.0), (2, 2.0), (3, 4 / 3)]
    assert [text.get_text() for text in axes["loss"].get_legend().get_texts()] == ["train", "test"]
    assert axes["psnr"].get_legend() is None


@pytest.mark.parametrize(
    ("names", "panels"),
    [
        (["d_loss", "g_loss"], {"losses": ["d_loss", "g_loss"]}),
        (["loss", "test_loss"], {"loss": ["loss", "test_loss"]}),
        (["loss"], {"loss": ["loss"]}),
        (["train/kl", "val/kl"], {"kl": ["train/kl", "val/kl"]}),
        (["lr", "loss"], {"loss": ["loss"], "lr": ["lr"]}),
        (["d_real", "d_fake", "d_loss"], {"d_*": ["d_real", "d_fake"], "d_loss": ["d_loss"]}),
        (["test", "train"], {"test": ["test"], "train": ["train"]}),
        ([], {}),
    ],
)
def test_what_belongs_together_shares_a_panel(names, panels):
    assert group_metrics(names) == panels
    assert list(group_metrics(names)) == list(panels)


def test_values_that_are_missing_null_or_not_finite_are_left_out_and_words_ignored(tmp_path, axes):
    records = [
        {"epoch": 1, "step": 10, "loss": 1.0, "note": "x", "best": True, "fd": None},
        {"epoch": 2, "step": 20, "loss": float("nan"), "list": [1]},
        {"epoch": 3, "step": 30, "loss": 3, "fd": 7.0},
    ]
    save_curves(tmp_path / "curves.png", records)
    assert list(axes) == ["loss", "fd"]
    assert points(axes["loss"].lines[0]) == [(1, 1.0), (3, 3)]
    assert points(axes["fd"].lines[0]) == [(3, 7.0)]


def test_positive_values_over_many_decades_get_a_logarithmic_axis_and_others_do_not(tmp_path, axes):
    save_curves(
        tmp_path / "curves.png", [{"epoch": e, "a": 10.0**-e, "b": 1.0 / e, "c": 10.0**-e - 0.5} for e in range(1, 6)]
    )
    assert [axes[name].get_yscale() for name in "abc"] == ["log", "linear", "linear"]


@pytest.mark.parametrize("count", range(1, 8))
def test_any_number_of_panels_makes_a_picture_that_is_not_blank(tmp_path, count):
    path = tmp_path / "curves.png"
    save_curves(path, [{"epoch": e, **{chr(97 + i): e * 1.0 for i in range(count)}} for e in range(1, 4)])
    picture = Image.open(path).convert("RGB")
    assert picture.width <= 1600
    pixels = np.asarray(picture).reshape(-1, 3)
    blue = (np.abs(pixels.astype(int) - [0x00, 0x72, 0xB2]).sum(axis=1) < 10).sum()
    assert blue > 300 * count  # the line of each panel


def test_no_empty_panel_is_drawn(tmp_path):
    path = tmp_path / "curves.png"
    save_curves(path, [{"epoch": e, **dict.fromkeys("abcde", 1.0)} for e in (1, 2)])
    picture = np.asarray(Image.open(path).convert("L"))
    assert (picture[picture.shape[0] // 2 + 10 :, 2 * picture.shape[1] // 3 + 10 :] == 255).all()


def test_a_single_epoch_is_a_visible_point_at_a_whole_number(tmp_path, axes):
    save_curves(tmp_path / "curves.png", [{"epoch": 1, "loss": 2.0}])
    assert axes["loss"].lines[0].get_marker() == "o"
    assert all(tick == int(tick) for tick in axes["loss"].get_xticks())


@pytest.mark.parametrize("records", [[], [{"epoch": 1}], [{"epoch": 1, "loss": None}]])
def test_records_without_numbers_are_a_mistake_in_one_sentence(tmp_path, records):
    with pytest.raises(UserError, match="no numbers to draw"):
        save_curves(tmp_path / "curves.png", records)
    assert list(tmp_path.iterdir()) == []


def test_the_users_matplotlib_backend_is_left_alone(tmp_path):
    code = (
        "import sys, matplotlib; matplotlib.use('svg')\n"
        "from minigen.viz import save_curves\n"
        "save_curves(sys.argv[1], [{'epoch': 1, 'loss': 1.0}])\n"
        "print(matplotlib.get_backend(), 'matplotlib.pyplot' in sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "x.png"], capture_output=True, text=True, check=True
    )
    assert result.stdout.split() == ["svg", "False"]


def test_lists_of_values_are_drawn_step_by_step_and_those_of_gans_get_their_words(axes):
    picture = curves.draw_curves({"d_real": [0.5, 0.75], "d_fake": [0.5, np.float32(0.25)], "grad_D": [1.0]})
    assert list(axes) == ["d_*", "grad_D"]
    assert [points(line) for line in axes["d_*"].lines] == [[(1, 0.5), (2, 0.75)], [(1, 0.5), (2, 0.25)]]
    assert axes["d_*"].get_title() == "D(x), D(G(z))"
    assert axes["grad_D"].get_title() == "norms of the gradients"
    assert {axis.get_xlabel() for axis in axes.values()} == {"step"}
    assert picture.pixels.shape[2] == 3


def test_a_curve_of_many_points_is_drawn_pale_below_its_average(axes):
    values = np.random.default_rng(0).normal(5, 1, 400)
    curves.draw_curves({"loss": values})
    raw, mean = axes["loss"].lines
    np.testing.assert_array_equal(raw.get_ydata(), values)
    keep = 0.9  # a tenth is the weight of a new value: forty such spans in 400
    weights = keep ** np.arange(400)[::-1]
    assert mean.get_ydata()[-1] == pytest.approx((weights * values).sum() / weights.sum())
    assert mean.get_ydata()[0] == values[0]
    assert mean.get_ydata().std() < 0.5 * values.std()


def test_records_of_steps_are_drawn_along_the_steps(axes):
    curves.draw_curves([{"step": 10, "loss": 1.0}, {"step": 20, "loss": np.float32(0.5)}])
    assert points(axes["loss"].lines[0]) == [(10, 1.0), (20, 0.5)]
    assert axes["loss"].get_xlabel() == "step"


@pytest.mark.parametrize("records", [[3.0, 2.0], {"loss": 3.0}, ["loss"], {"loss": "low"}])
def test_numbers_without_names_or_steps_are_refused(records):
    with pytest.raises(UserError, match="draw_curves wants"):
        curves.draw_curves(records)
