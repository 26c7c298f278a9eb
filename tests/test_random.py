"""The generator: same seed, same bits; nothing global; a state that travels through JSON."""

import copy
import json
import pickle

import numpy as np
import pytest
from scipy import stats

import minigen as mg
from minigen.errors import UserError

DRAWS = [
    lambda g: g.uniform((5,)),
    lambda g: g.uniform((5,), -2.0, 3.0, np.float64),
    lambda g: g.normal((5,)),
    lambda g: g.normal((2, 3), 1.0, 2.0, np.float64),
    lambda g: g.uniform((700,)),
    lambda g: g.uniform((40, 20), -2.0, 3.0),
    lambda g: g.normal((700,)),
    lambda g: g.normal((2, 20, 30), 1.0, 2.0),
    lambda g: g.integers(-3, 9, (5,)),
    lambda g: g.permutation(7),
]


@pytest.mark.parametrize("draw", DRAWS)
def test_one_seed_gives_one_stream_and_two_seeds_give_two(draw):
    a, b, c = mg.Generator(7), mg.Generator(7), mg.Generator(8)
    first = draw(a)
    np.testing.assert_array_equal(first, draw(b))
    assert (first != draw(c)).any()
    assert (first != draw(a)).any()


@pytest.mark.parametrize("draw", DRAWS)
def test_the_stream_continues_from_a_state_that_went_through_json(draw):
    g = mg.Generator(3)
    for skipped in range(5):  # Philox hands out buffers of four: stop within one
        g.uniform((skipped,))
        state = json.loads(json.dumps(g.get_state()))
        expected = [draw(g) for _ in range(3)]
        other = mg.Generator(99)
        other.set_state(state)
        for values in expected:
            np.testing.assert_array_equal(draw(other), values)
    assert other.seed == 3
    np.testing.assert_array_equal(other.spawn(1).uniform((4,)), mg.Generator(3).spawn(1).uniform((4,)))


def test_keys_are_64_bits_each_another_and_leave_room_for_other_draws():
    a, b = mg.Generator(3), mg.Generator(3)
    keys = [a.key() for _ in range(100)]
    assert keys == [b.key() for _ in range(100)]
    assert len(set(keys)) == 100
    assert 2**62 < max(keys) < 2**64
    assert min(keys) >= 0
    np.testing.assert_array_equal(a.normal((3,)), b.normal((3,)))
    state = json.loads(json.dumps(a.get_state()))
    expected = a.key()
    b.set_state(state)
    assert b.key() == expected


def test_copies_and_pickles_go_on_where_the_original_stood():
    g = mg.Generator(5)
    g.normal((3,))
    twins = [copy.deepcopy(g), pickle.loads(pickle.dumps(g))]
    expected = g.normal((4,))
    for twin in twins:
        np.testing.assert_array_equal(twin.normal((4,)), expected)


def test_numpys_global_state_neither_matters_nor_changes():
    np.random.seed(1)
    before = np.random.get_state()[1].copy()
    mg.manual_seed(0)
    a = mg.randn(100)
    mg.functional.dropout(a)
    np.testing.assert_array_equal(np.random.get_state()[1], before)
    np.random.seed(2)
    mg.manual_seed(0)
    np.testing.assert_array_equal(mg.randn(100).numpy(), a.numpy())


def test_manual_seed_governs_every_creation_function():
    def draws():
        return [mg.rand(3), mg.randn(2, 2), mg.randint(0, 100, (4,)), mg.randperm(9)]

    assert mg.manual_seed(11) is mg.default_generator
    first = draws()
    mg.manual_seed(11)
    for a, b in zip(first, draws()):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_an_explicit_generator_leaves_the_default_one_alone():
    mg.manual_seed(0)
    expected = mg.rand(3).numpy()
    mg.manual_seed(0)
    g = mg.Generator(1)
    mg.rand(5, generator=g), mg.randn(5, generator=g), mg.randint(0, 9, 5, generator=g), mg.randperm(5, generator=g)
    np.testing.assert_array_equal(mg.rand(3).numpy(), expected)


def test_children_of_a_seed_are_independent_of_each_other_and_of_what_was_drawn():
    g = mg.Generator(4)
    child = g.spawn(0).uniform((1000,))
    g.normal((10,))
    np.testing.assert_array_equal(g.spawn(0).uniform((1000,)), child)
    others = [g.spawn(1).uniform((1000,)), mg.Generator(4).uniform((1000,))]
    for other in others:
        assert abs(np.corrcoef(child, other)[0, 1]) < 0.1
        assert (child != other).all()


def test_the_numbers_follow_their_distributions():
    g = mg.Generator(0)
    assert stats.kstest(g.uniform((20000,), -1.0, 3.0, np.float64), stats.uniform(-1, 4).cdf).pvalue > 0.01
    assert stats.kstest(g.normal((20000,), 2.0, 0.5, np.float64), stats.norm(2, 0.5).cdf).pvalue > 0.01
    assert stats.kstest(mg.randn(20000, generator=g).numpy(), "norm").pvalue > 0.01
    counts = np.bincount(mg.randint(0, 6, (12000,), generator=g).numpy(), minlength=6)
    assert stats.chisquare(counts).pvalue > 0.01
    assert sorted(mg.randperm(50, generator=g).tolist()) == list(range(50))
    assert stats.kstest(g.uniform((20000,), -1.0, 3.0), stats.uniform(-1, 4).cdf).pvalue > 0.01
    assert stats.kstest(g.normal((20000,), 2.0, 0.5), stats.norm(2, 0.5).cdf).pvalue > 0.01
    u = mg.rand(10000, generator=g).numpy()
    assert 0 <= u.min() < 0.01 < 0.99 < u.max() < 1


def test_shapes_and_types_are_what_was_asked_for():
    g = mg.Generator(0)
    assert (mg.rand(2, 3, generator=g).shape, mg.randn((2, 3), generator=g).shape) == ((2, 3), (2, 3))
    assert (mg.rand(2).dtype, mg.randn(2, dtype=np.float64).dtype) == (np.float32, np.float64)
    assert (mg.randint(0, 5, 3).shape, mg.randint(0, 5, (2, 1)).dtype, mg.randperm(3).dtype) == (
        (3,),
        np.int64,
        np.int64,
    )
    assert mg.randn().shape == ()
    assert mg.randn(0, 3).shape == (0, 3)
    assert mg.rand(2, requires_grad=True).requires_grad


def test_the_numbers_of_a_seed_are_these_on_every_machine():
    g = mg.Generator(1)
    few = [g.uniform((2,)), g.normal((2,))]
    many = [g.uniform((600,))[-2:], g.normal((600,))[-2:], g.normal((600,), 1.0, 0.5)[-2:]]
    assert [v.tolist() for v in few + many] == [
        [0.42091071605682373, 0.06680196523666382],
        [-0.2643882930278778, -0.188115656375885],
        [0.8979188203811646, 0.2757526636123657],
        [0.28377535939216614, 1.204014778137207],
        [0.4489024877548218, 0.3393569588661194],
    ]


@pytest.mark.parametrize("count", [3, 600])
@pytest.mark.parametrize("ends", [(1.0, 0.0), (0.0, float("nan"))])
def test_bounds_between_which_there_is_nothing_are_refused(count, ends):
    with pytest.raises(UserError, match="uniform: there is no number from"):
        mg.Generator(0).uniform((count,), *ends)


@pytest.mark.parametrize("count", [3, 600])
@pytest.mark.parametrize("ends", [(-3e38, 3e38), (-np.inf, 0.0), (1e39, 1e40)])
def test_bounds_that_float32_cannot_hold_are_refused(count, ends):
    with pytest.raises(UserError, match="must be numbers that float32 can hold"):
        mg.Generator(0).uniform((count,), *ends)
    assert np.isfinite(mg.Generator(0).uniform((3,), -3e38, 3e38, np.float64)).all()


@pytest.mark.parametrize("std", [-1.0, float("nan")])
def test_a_standard_deviation_below_zero_is_refused(std):
    with pytest.raises(UserError, match="a standard deviation is at least 0"):
        mg.Generator(0).normal((3,), std=std)


def test_shapes_are_counted_in_pythons_integers_and_others_refused():
    narrow = (np.uint8(100), np.uint8(100))
    for draw in ("uniform", "normal"):
        a, b = (getattr(mg.Generator(3), draw)(shape) for shape in (narrow, (100, 100)))
        np.testing.assert_array_equal(a, b)
        for shape in ((-600, -1), ("600",), (600.0,)):
            with pytest.raises(UserError, match="A shape is made of non-negative integers"):
                getattr(mg.Generator(3), draw)(shape)


@pytest.mark.parametrize("count", [300, 30_000])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_upper_bound_is_not_among_the_numbers(count, dtype):
    low = 2.0**20 if dtype == np.float32 else 2.0**49
    u = mg.Generator(0).uniform((count,), low, low + 1, dtype)
    assert low <= u.min() < u.max() < low + 1


def test_a_numpy_number_as_mean_or_bound_does_not_promote():
    g = mg.Generator(0)
    assert g.normal((3,), np.float64(1), np.float64(2)).dtype == np.float32
    assert g.uniform((3,), np.float64(-1), np.float64(1)).dtype == np.float32


@pytest.mark.parametrize("seed", [-1, 1.5, "a", None, True])
def test_a_seed_or_key_that_is_no_natural_number_is_refused(seed):
    for act in (mg.manual_seed, mg.Generator, mg.Generator(0).spawn):
        with pytest.raises(UserError, match=r"non-negative integer, not"):
            act(seed)


@pytest.mark.parametrize(
    "state",
    [None, "a", {}, {"seed": 1}, {"philox": mg.Generator(1).get_state()["philox"]}, {"seed": 1, "philox": {"a": 1}}],
)
def test_what_is_no_state_is_refused_and_leaves_the_generator_as_it_was(state):
    g = mg.Generator(0)
    with pytest.raises(UserError, match="not the state"):
        g.set_state(state)
    np.testing.assert_array_equal(g.uniform((3,)), mg.Generator(0).uniform((3,)))


def test_what_is_no_generator_is_refused_even_when_it_counts_as_false():
    for wrong in (0, 3, np.random.default_rng(0), ""):
        with pytest.raises(UserError, match=r"minigen\.Generator"):
            mg.randn(2, generator=wrong)
        with pytest.raises(UserError, match=r"minigen\.Generator"):
            mg.functional.dropout(mg.ones(2), generator=wrong)


def test_a_generator_shows_its_seed():
    assert repr(mg.Generator(12)) == "Generator(seed=12)"
