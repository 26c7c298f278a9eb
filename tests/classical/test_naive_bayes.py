import numpy as np
import pytest
from sklearn import naive_bayes as reference
from sklearn.datasets import load_digits

from minigen import Generator
from minigen.classical import BernoulliNB, GaussianNB, MultinomialNB
from minigen.errors import UserError

MODELS = [
    (GaussianNB(), reference.GaussianNB()),
    (GaussianNB(var_smoothing=1e-2), reference.GaussianNB(var_smoothing=1e-2)),
    (BernoulliNB(), reference.BernoulliNB()),
    (BernoulliNB(alpha=0.3, binarize=2.0), reference.BernoulliNB(alpha=0.3, binarize=2.0)),
    (MultinomialNB(), reference.MultinomialNB()),
    (MultinomialNB(alpha=2.5), reference.MultinomialNB(alpha=2.5)),
]


@pytest.mark.parametrize(("ours", "theirs"), MODELS)
@pytest.mark.parametrize(("n", "d", "classes"), [(30, 1, 2), (200, 6, 3), (80, 40, 7), (10, 3, 1)])
def test_probabilities_are_scikit_learns(ours, theirs, n, d, classes):
    rng = np.random.default_rng(n)
    y = rng.permutation(np.arange(n) % classes) * 10 + 5
    x = rng.poisson(1 + rng.random((classes, d))[y // 10] * 4)
    ours.fit(x, y)
    theirs.fit(x, y)
    new = rng.poisson(2, size=(25, d))
    np.testing.assert_array_equal(ours.classes_, theirs.classes_)
    np.testing.assert_allclose(ours.predict_joint_log_proba(new), theirs.predict_joint_log_proba(new), rtol=1e-9)
    np.testing.assert_allclose(ours.predict_proba(new), theirs.predict_proba(new), rtol=1e-7, atol=1e-12)
    np.testing.assert_array_equal(ours.predict(new), theirs.predict(new))


def test_the_probability_of_a_sample_sums_over_the_classes():
    x, y = np.array([[0, 1], [1, 1], [1, 0]]), ["a", "b", "b"]
    model = BernoulliNB().fit(x, y)
    everything = [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert np.exp(model.score_samples(everything)).sum() == pytest.approx(1)
    # class a: 1 of 3; features (0, 1) with p = (1/3, 2/3). class b: 2 of 3; p = (3/4, 2/4)
    expected = 1 / 3 * (2 / 3) * (2 / 3) + 2 / 3 * (1 / 4) * (2 / 4)
    assert np.exp(model.score_samples([[0, 1]]))[0] == pytest.approx(expected)


def test_smoothing_keeps_what_was_never_seen_possible():
    model = BernoulliNB().fit([[0], [0], [1]], [0, 0, 1])
    assert (model.predict_proba([[1]]) > 0).all()


@pytest.mark.parametrize("model", [GaussianNB(), BernoulliNB(binarize=8.0)])
def test_samples_are_like_the_data_they_were_fitted_to(model):
    x, y = load_digits(return_X_y=True)
    model.fit(x.astype(np.float32), y)
    drawn, labels = model.sample(20_000, Generator(0))
    assert (drawn.shape, drawn.dtype) == ((20_000, 64), np.float32)
    data = x if isinstance(model, GaussianNB) else x > 8
    for digit in range(10):
        assert (labels == digit).mean() == pytest.approx((y == digit).mean(), abs=0.01)
        np.testing.assert_allclose(drawn[labels == digit].mean(axis=0), data[y == digit].mean(axis=0), atol=0.6)
    again, _ = model.sample(20_000, Generator(0))
    np.testing.assert_array_equal(drawn, again)


def test_a_constant_feature_and_a_class_of_one_have_a_density():
    model = GaussianNB().fit([[1.0, 5.0], [2.0, 5.0], [9.0, 5.0]], [0, 0, 1])
    assert np.isfinite(model.score_samples([[1.5, 5.0]])).all()
    assert model.predict([[1.4, 5.0], [9.0, 5.0]]).tolist() == [0, 1]
    assert np.isfinite(GaussianNB().fit(np.ones((3, 2)), [0, 1, 1]).predict_proba(np.ones((1, 2)))).all()


@pytest.mark.parametrize("model", [GaussianNB, BernoulliNB, MultinomialNB])
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.fit(np.zeros((0, 2)), []), "needs 1 sample or more, not 0"),
        (lambda m: m.fit([1.0, 2.0], [0, 1]), "a table of shape"),
        (lambda m: m.fit([[1.0], [np.nan]], [0, 1]), "NaN"),
        (lambda m: m.fit([[1.0], [2.0]], [0]), r"2 samples need 2 labels in an array of one axis, not of shape \(1,\)"),
        (lambda m: m.predict([[1.0]]), "call fit first"),
        (lambda m: m.fit(np.eye(2), [0, 1]).predict(np.eye(3)), "fitted to samples of 2 features, and these have 3"),
    ],
)
def test_wrong_input_is_answered_in_a_sentence(model, call, message):
    with pytest.raises(UserError, match=message):
        call(model())


def test_wrong_arguments_are_answered_in_a_sentence():
    with pytest.raises(UserError, match="counts, which cannot be negative, as -1 is"):
        MultinomialNB().fit([[-1, 2]], [0])
    with pytest.raises(UserError, match="alpha must be a number above 0, not 0"):
        BernoulliNB(alpha=0)
    with pytest.raises(UserError, match="call fit first"):
        GaussianNB().sample(2)
