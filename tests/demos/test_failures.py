"""The exhibits on depth, first weights, rare classes and checkerboards: the failure fails, the cure cures, alike each time."""

import numpy as np
import pytest
from PIL import Image

import minigen as mg
from minigen.demos import checkerboard, imbalance, initialization, vanishing_gradient
from minigen.demos.deep_classifier import DeepClassifier, activation_spreads, digits, gradient_norms, seeded

EXHIBITS = {
    "initialization": (initialization, {"steps": 12}),
    "vanishing-gradient": (vanishing_gradient, {"steps": 12, "gan_steps": 10}),
    "imbalance": (imbalance, {"steps": 12}),
    "checkerboard": (checkerboard, {"steps": 3}),
}


@pytest.mark.parametrize("name", EXHIBITS)
def test_an_exhibit_writes_one_picture_and_disturbs_nobody(name, tmp_path, capsys):
    demo, short = EXHIBITS[name]
    before = mg.random.default_generator.get_state()
    assert name == demo.NAME
    assert demo.run(tmp_path / "picture.png", quiet=True, **short) == tmp_path / "picture.png"
    assert [path.name for path in tmp_path.iterdir()] == ["picture.png"]
    with Image.open(tmp_path / "picture.png") as picture:
        assert picture.format == "PNG"
        assert picture.size[0] > 1000
    assert mg.random.default_generator.get_state() == before
    assert capsys.readouterr().out == ""


def test_only_weights_of_the_right_size_are_learnt_from():
    trials = initialization.compare(steps=150)
    again = initialization.compare(steps=3)
    assert all(trials[name].spreads == again[name].spreads for name in trials)
    small, large, he = (trials[name].spreads for name in list(trials)[1:3] + ["He"])
    assert small[-1] < 1e-8 * small[0]
    assert large[-1] > 1e4 * large[0]
    assert 0.2 < he[-1] / he[0] < 5
    accuracies = {name: trial.course.accuracy for name, trial in trials.items()}
    assert max(accuracies[name] for name in list(trials)[:3]) < 0.3
    assert accuracies["He"] > 0.85


def test_sigmoids_pass_no_gradient_on_and_relus_and_batch_norm_do():
    failure, normed, cure = vanishing_gradient.compare_networks(steps=120).values()
    assert failure.norms[0] < 1e-6 * failure.norms[-1]
    for mended in (normed, cure):
        assert 0.05 < mended.norms[0] / mended.norms[-1] < 20
        assert mended.course.accuracy > 0.6
    assert failure.course.accuracy < 0.3


def test_a_sure_discriminator_leaves_the_minimax_generator_no_gradient():
    gan = vanishing_gradient.contest(steps=100)
    assert gan.steps[-1] == 100
    assert gan.fooled[-1] < 0.01
    assert gan.minimax[-1] < 0.02 * gan.non_saturating[-1]
    assert gan.non_saturating[-1] > gan.non_saturating[0]


def test_a_rare_class_is_lost_and_found_again_by_resampling():
    full, failure, cure = imbalance.compare(steps=450).values()
    assert (full.counts[0], failure.counts[0], cure.counts[0]) == (142, 3, 3)
    assert failure.recalls[0] < cure.recalls[0]
    assert full.errors[0] < cure.errors[0] < failure.errors[0]
    assert abs(failure.errors[1:].mean() / full.errors[1:].mean() - 1) < 0.15  # the others do not suffer


def test_the_overlap_is_what_the_formula_counts():
    uneven, even, enlarged = (
        checkerboard.overlap(doubling)[4:-4, 4:-4] for doubling in checkerboard.DOUBLINGS.values()
    )
    line = np.where(np.arange(4, checkerboard.SIDE - 4) % 2, 2, 1)
    assert np.array_equal(uneven, np.outer(line, line))
    assert (even == 4).all()
    assert (enlarged == 9).all()


def test_enlarging_first_draws_less_of_a_checkerboard_before_and_after_training():
    failure = checkerboard.trial(checkerboard.doubling_by_3, steps=40, seed=0)
    cure = checkerboard.trial(checkerboard.enlarging, steps=40, seed=0)
    again = checkerboard.trial(checkerboard.enlarging, steps=40, seed=0)
    assert cure.before < 0.2 * failure.before
    assert cure.after < failure.after
    assert np.array_equal(cure.trained, again.trained)


def test_the_gradients_and_spreads_are_those_of_the_layers():
    with seeded(0):
        network = DeepClassifier(2, 5, mg.nn.Tanh, mg.nn.init.xavier_normal_)
    images, labels = digits("train")
    w1, w2, w3 = (layer.weight.numpy() for layer in (*network.linears, network.last))
    h1 = np.tanh(images @ w1.T)
    h2 = np.tanh(h1 @ w2.T)
    assert np.allclose(activation_spreads(network), [h1.std(), h2.std()], rtol=1e-4)
    p = np.exp(h2 @ w3.T)
    p /= p.sum(axis=1, keepdims=True)
    p[np.arange(len(labels)), labels] -= 1
    by_h2 = (p @ w3) * (1 - h2**2) / len(labels)
    by_h1 = (by_h2 @ w2) * (1 - h1**2)
    expected = [np.linalg.norm(by_h1.T @ images), np.linalg.norm(by_h2.T @ h1)]
    assert np.allclose(gradient_norms(network), expected, rtol=1e-3)
    assert images.mean() == pytest.approx(0, abs=1e-4)
    assert images.std() == pytest.approx(1, rel=1e-4)
