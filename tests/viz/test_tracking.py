"""The live view, with a stand-in for IPython's display and a clock of our own."""

import numpy as np
import pytest

from minigen import Generator, functional, nn, viz
from minigen.errors import ShapeError, UserError
from minigen.tensor import Tensor
from minigen.training import live as live_module
from minigen.training.live import SHARE, Curve, gradient_norm, notebook_display
from minigen.viz import tracking


class Notebook:
    """What a notebook shows: one list of pictures for each output, the last of each being what is seen."""

    def __init__(self):
        self.outputs = []

    def display(self, picture, display_id):
        assert display_id is True
        self.outputs.append([picture])
        return self

    def update(self, picture):
        self.outputs[-1].append(picture)


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass only when told to: [0.0] to be added to."""
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    return now


@pytest.fixture
def notebook(monkeypatch):
    shown = Notebook()
    monkeypatch.setattr(tracking, "notebook_display", lambda: shown.display)
    return shown


@pytest.fixture
def drawn(monkeypatch):
    """What the pictures are drawn of: (series, samples, title)."""
    seen = []

    def draw(series, samples, title, value_range, real):
        seen.append((series, samples, title))
        return viz.Picture(np.zeros((2, 2), np.uint8))

    monkeypatch.setattr("minigen.viz.dashboard.draw_dashboard", draw)
    return seen


def test_one_output_is_drawn_anew_in_its_place_and_ends_with_the_last_step(notebook, clock, drawn):
    view = viz.live(every=2.0)
    for step in view.track(range(10)):
        clock[0] += 1
        view.log(loss=float(step), d_real=Tensor(np.array(0.5)))
    assert len(notebook.outputs) == 1
    assert [title for _, _, title in drawn] == [f"{n} of 10" for n in (1, 3, 5, 7, 9, 10)]
    series, _, _ = drawn[-1]
    assert series["loss"] == [(step + 1, float(step)) for step in range(10)]
    assert series["d_real"][-1] == (10, 0.5)


def test_real_pictures_are_shown(notebook):
    view = viz.live()
    for _ in view.track(range(3)):
        view.log(loss=1.0, samples=np.zeros((4, 1, 8, 8)))
    (pictures,) = notebook.outputs
    assert pictures[-1]._repr_png_().startswith(b"\x89PNG")


def test_slow_pictures_are_drawn_seldom(notebook, clock, monkeypatch):
    def slow(*arguments):
        clock[0] += 0.5
        return viz.Picture(np.zeros((2, 2), np.uint8))

    monkeypatch.setattr("minigen.viz.dashboard.draw_dashboard", slow)
    view = viz.live(every=1.0)
    for _ in view.track(range(2000)):
        clock[0] += 0.1
        view.log(loss=1.0)
    drawing = 0.5 * len(notebook.outputs[0])
    assert 0.5 * SHARE * clock[0] < drawing <= SHARE * clock[0]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_interrupt_leaves_the_picture_of_the_last_step(notebook, clock, drawn, error):
    def train():
        view = viz.live()
        for step in view.track(range(100)):
            view.log(loss=float(step))
            if step == 4:
                raise error

    with pytest.raises(error):
        train()
    ((series, _, title),) = drawn
    assert series["loss"][-1] == (5, 4.0)
    assert title == "4 of 100"


def test_break_and_loops_of_unknown_length_end_well(notebook, clock, drawn):
    view = viz.live()
    for step in view.track(iter(range(100))):
        view.log(loss=1.0)
        if step == 2:
            break
    assert drawn[-1][2] == "2 so far"


def test_a_name_that_comes_again_begins_the_next_step(notebook, clock, drawn):
    view = viz.live()
    for _ in view.track(range(2)):
        for batch in range(3):
            view.log(d_loss=float(batch))
            view.log(g_loss=-float(batch))
    series = drawn[-1][0]
    assert series["d_loss"] == [(n + 1, float(n % 3)) for n in range(6)]
    assert [step for step, _ in series["g_loss"]] == [1, 2, 3, 4, 5, 6]


def test_samples_that_are_a_function_are_made_only_when_drawn_and_without_a_graph(notebook, clock, drawn):
    made = []
    weight = Tensor(np.ones((5, 2)), requires_grad=True)

    def samples():
        made.append(weight * 2)
        return made[-1]

    view = viz.live()
    for _ in view.track(range(50)):
        view.log(loss=1.0, samples=samples)
    assert len(made) == len(drawn) == 1
    assert not made[0].requires_grad
    np.testing.assert_array_equal(drawn[-1][1], np.full((5, 2), 2.0))


def test_norms_of_gradients_are_those_of_all_parameters_and_change_nothing(notebook, clock, drawn):
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    functional.sum(model(Tensor(Generator(0).normal((5, 3)))) ** 2).backward()
    gradients = [p.grad.numpy().copy() for p in model.parameters()]
    view = viz.live()
    for _ in view.track(range(1)):
        clock[0] += 1
        view.log(gradients={"D": model})
    norm = np.sqrt(sum((g.astype(np.float64) ** 2).sum() for g in gradients))
    assert drawn[-1][0]["grad_D"] == [(1, pytest.approx(norm, rel=1e-5))]
    for parameter, before in zip(model.parameters(), gradients):
        np.testing.assert_array_equal(parameter.grad.numpy(), before)
    assert gradient_norm([]) == 0


def test_a_loss_that_is_nan_is_said_and_leaves_a_gap(notebook, clock, drawn):
    view = viz.live()
    for step in view.track(range(3)):
        view.log(loss=float("nan") if step else 1.0)
    series, _, title = drawn[-1]
    assert series == {"loss": [(1, 1.0)]}
    assert title == "3 of 3   loss is nan"


def test_a_long_curve_keeps_few_points_and_its_mean():
    curve = Curve()
    for step in range(1, 10_001):
        curve.add(step, step * 2.0)
    points = curve.points()
    assert len(points) <= 400
    assert all(value == pytest.approx(2 * step) for step, value in points)
    steps = [step for step, _ in points]
    assert steps == sorted(steps)
    assert steps[0] < 60
    assert steps[-1] > 9_900


@pytest.mark.parametrize(
    ("values", "error", "words"),
    [
        ({"loss": np.zeros(3)}, UserError, r"loss must be one number, not ndarray \(3,\)"),
        ({"loss": "low"}, UserError, "loss must be one number, not str"),
        ({"samples": np.zeros((3, 8, 8))}, ShapeError, r"Samples are images .* not \(3, 8, 8\)"),
    ],
)
def test_what_cannot_be_shown_is_refused_at_once(notebook, clock, drawn, values, error, words):
    view = viz.live()
    with pytest.raises(error, match=words):
        view.log(**values)


def test_without_a_notebook_the_last_line_says_how_it_ended(capsys):
    assert notebook_display() is None
    view = viz.live()
    for _ in view.track(range(4)):
        view.log(loss=2.0, samples=np.zeros((1, 2)), gradients={})
    assert capsys.readouterr().err == "step 4/4  loss 2\n"
    assert view._picture is None


def test_without_a_notebook_a_loop_that_is_left_says_how_far_it_came(capsys):
    for step in viz.live().track(range(9)):
        if step == 3:
            break
    assert capsys.readouterr().err == "step 3/9\n"


def test_ipython_in_a_terminal_is_no_notebook(monkeypatch):
    class Shell:
        kernel = None

    import sys
    import types

    display = types.ModuleType("IPython.display")
    display.display = object()
    ipython = types.ModuleType("IPython")
    ipython.display, ipython.get_ipython = display, lambda: shell
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    shell = Shell()
    assert notebook_display() is None
    shell.kernel = object()
    assert notebook_display() is display.display
    shell = None
    assert live_module.notebook_display() is None


def test_steps_are_the_items_that_went_by_where_only_some_are_logged(notebook, clock, drawn):
    view = viz.live()
    for step in view.track(range(10)):
        if step % 4 == 0:
            view.log(loss=float(step))
    assert drawn[-1][0]["loss"] == [(1, 0.0), (5, 4.0), (9, 8.0)]
    assert drawn[-1][2] == "10 of 10"


@pytest.mark.parametrize("in_a_notebook", [True, False])
def test_what_is_logged_in_a_loop_without_track_is_shown_by_the_view_itself(
    request, clock, drawn, monkeypatch, in_a_notebook
):
    if in_a_notebook:
        request.getfixturevalue("notebook")
    view = viz.live(real=np.zeros((4, 2)))
    assert view._repr_png_() is None, "nothing was logged"
    for step in range(3):
        view.log(loss=float(step), samples=lambda: np.ones((5, 2)))
    assert view._repr_png_().startswith(b"\x89PNG")
    series, samples, title = drawn[-1]
    assert series == {"loss": [(1, 0.0), (2, 1.0), (3, 2.0)]}
    assert samples.shape == (5, 2)
    assert title == "step 3"
    assert repr(view) == "<LiveView, step 3  loss 2>"


@pytest.mark.parametrize("real", [np.zeros(3), np.zeros((3, 1)), np.zeros((0, 2)), np.zeros((2, 1, 8, 8))])
def test_real_points_that_are_none_are_refused(real):
    with pytest.raises(ShapeError, match=r"real points are \(m, 2 or more\)"):
        viz.live(real=real)


def test_numbers_without_names_are_refused():
    for arguments in (("loss", 3), ("loss",), (None, 3)):
        with pytest.raises(UserError, match=r"give each number its name, log\(loss=0.5\)"):
            viz.live().log(*arguments)
    with pytest.raises(UserError, match=r"not str\.$"):
        viz.live().log(loss="high")
