"""The progress of a session in a notebook, with a stand-in for IPython's display."""

import io

import numpy as np
import pytest

from minigen.training import progress
from minigen.training.live import LivePicture
from minigen.training.progress import Progress
from minigen.training.runs import start_run, train_run


class Notebook(list):
    """The pictures of one output."""

    def display(self, picture, display_id):
        self.append(picture)
        return self

    update = list.append


@pytest.fixture
def notebook(monkeypatch):
    shown = Notebook()
    monkeypatch.setattr(progress, "notebook_display", lambda: shown.display)
    return shown


@pytest.fixture
def eager(monkeypatch):
    """A picture whenever one might be drawn."""
    monkeypatch.setattr(LivePicture, "due", lambda self: True)


@pytest.fixture
def drawn(monkeypatch):
    """What the pictures are drawn of: (series, samples, title)."""
    seen = []
    from minigen.viz import dashboard

    draw = dashboard.draw_dashboard

    def watch(*arguments):
        seen.append(arguments[:3])
        return draw(*arguments)

    monkeypatch.setattr(dashboard, "draw_dashboard", watch)
    return seen


def weights(config, folder):
    training = start_run(config, folder, quiet=False)
    with training.run:
        assert train_run(training)
    return {
        f"{name}.{key}": value.numpy().copy()
        for name, module in training.system.modules.items()
        for key, value in module.state_dict().items()
    }


@pytest.mark.parametrize(
    "config",
    [
        {"model": "gan", "epochs": 2, "batch_size": 479},
        {"model": "vae", "epochs": 2, "batch_size": 479},
        {"model": "ae", "epochs": 2, "batch_size": 479},
        {"model": "gmm", "data": "ring8", "components": "2", "epochs": 2},
    ],
    ids=lambda config: config["model"],
)
def test_a_run_that_is_watched_ends_with_the_bits_of_one_that_is_not(
    config, tmp_path, monkeypatch, notebook, eager, drawn, capsys
):
    watched = weights(dict(config), tmp_path / "a")
    assert len(notebook) >= 2
    monkeypatch.setattr(progress, "notebook_display", lambda: None)
    alone = weights(dict(config), tmp_path / "b")
    for name, value in alone.items():
        np.testing.assert_array_equal(watched[name], value)
    series, samples, title = drawn[-1]
    assert title.startswith("epoch 2/2")
    assert samples is not None
    if config["model"] == "gan":
        assert {"d_loss", "g_loss", "d_real", "d_fake", "grad_generator", "grad_discriminator"} <= set(series)


def test_a_notebook_gets_pictures_and_no_lines(notebook, capsys):
    with Progress(2, 3) as shown:
        for epoch in (1, 2):
            for batch in range(3):
                shown.step({"loss": float(batch)})
            shown.epoch_done(epoch, {"epoch": epoch, "step": 3 * epoch, "loss": 1.0, "test_loss": 2.0, "seconds": 0.1})
    assert len(notebook) == 1  # it was over before the first was due
    assert capsys.readouterr() == ("", "")


def test_what_is_measured_at_the_end_of_an_epoch_is_drawn_with_the_rest(notebook, drawn):
    with Progress(2, 2) as shown:
        for epoch in (1, 2):
            shown.step({"loss": 3.0})
            shown.step({"loss": 4.0})
            shown.epoch_done(epoch, {"epoch": epoch, "step": 2 * epoch, "loss": 3.5, "test_loss": 2.0, "seconds": 0.1})
    ((series, samples, title),) = drawn
    assert series == {"loss": [(1, 3.0), (2, 4.0), (3, 3.0), (4, 4.0)], "test_loss": [(2, 2.0), (4, 2.0)]}
    assert samples is None
    assert title == "epoch 2/2 batch 2/2"


def test_an_error_leaves_the_last_picture_without_new_samples(notebook, drawn):
    def train():
        with Progress(2, 2, samples=lambda: pytest.fail("the model is in the middle of a step")) as shown:
            shown.step({"loss": 3.0})
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train()
    assert drawn[-1][0] == {"loss": [(1, 3.0)]}


@pytest.mark.parametrize("options", [{"quiet": True}, {"file": io.StringIO()}])
def test_quiet_and_a_file_of_its_own_show_no_picture(notebook, options):
    with Progress(1, 1, **options) as shown:
        shown.step({"loss": 1.0})
    assert notebook == []
