import numpy as np
import pytest
from PIL import Image

from minigen.demos import Demo, demo_names, find_demo, mode_collapse
from minigen.errors import UserError
from minigen.random import default_generator


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setattr(mode_collapse, "STEPS", 40)
    monkeypatch.setattr(mode_collapse, "EVERY", 20)
    monkeypatch.setattr(mode_collapse, "SHOWN", (20, 40))


def test_both_gans_are_looked_at_over_time_and_come_out_the_same_each_time(short):
    state = default_generator.get_state()
    for train in (mode_collapse.collapsing, mode_collapse.cured):
        first, second = train(), train()
        assert [look.step for look in first] == [20, 40]
        assert first[0].samples.shape == (2500, 2)
        for a, b in zip(first, second):
            np.testing.assert_array_equal(a.samples, b.samples)
        assert not np.array_equal(first[0].samples, first[1].samples)
        assert first[1].report["modes"] == 8
    assert default_generator.get_state() == state


def test_the_plain_gan_puts_nearly_all_of_its_samples_in_one_place(monkeypatch):
    """As the whole demo does, after a sixth of its steps."""
    monkeypatch.setattr(mode_collapse, "STEPS", 500)
    (look, _) = mode_collapse.collapsing()
    assert look.report["modes_covered"] <= 1
    assert look.samples.std(axis=0).max() < 0.4  # that of the ring is 0.7
    assert max(look.report["mode_shares"]) > 0.8


def test_the_picture_is_written_where_it_was_asked_for(short, tmp_path, capsys):
    out = tmp_path / "x.png"
    assert mode_collapse.run(out, quiet=True) == out
    assert capsys.readouterr().out == ""
    with Image.open(out) as picture:
        assert picture.width > 1000


@pytest.mark.parametrize("name", demo_names())
def test_every_demo_is_found_by_its_own_name_and_says_what_it_is(name):
    demo: Demo = find_demo(name)
    assert name == demo.NAME
    assert 10 < len(demo.DESCRIPTION) < 120  # one line


def test_an_unknown_demo_is_answered_with_the_closest():
    with pytest.raises(UserError, match="Unknown demo 'mode-colapse': did you mean 'mode-collapse'"):
        find_demo("mode-colapse")
