import numpy as np
import pytest

from minigen import Generator
from minigen.classical import (
    GaussianMixture,
    MixtureParameters,
    MultivariateNormal,
    aic,
    bic,
    choose_components,
    cross_validate,
)
from minigen.errors import UserError

THREE = MixtureParameters([0.3, 0.3, 0.4], [[0.0, 0.0], [5.0, 0.0], [0.0, 5.0]], [np.eye(2)] * 3)


def test_the_criteria_are_the_published_ones():
    assert aic(-50.0, 4) == 108.0
    assert bic(-50.0, 4, 100) == pytest.approx(4 * np.log(100) + 100)


@pytest.mark.parametrize("criterion", ["bic", "cv"])
def test_the_true_number_is_chosen_where_plain_likelihood_chooses_the_largest(criterion):
    """An article gives argmin -ln P(x|θ) as the choice of model: that is maximum likelihood, and takes what is largest."""
    x, _ = GaussianMixture.from_parameters(THREE).sample(300, Generator(0))
    choice = choose_components(x, range(1, 8), criterion, generator=Generator(1), n_init=4)
    likelihood = [row["log_likelihood"] for row in choice.table]
    assert 1 + int(np.argmax(likelihood)) == 7
    assert choice.mixture.n_components == 3


def test_aic_charges_less_than_bic_and_more_than_nothing():
    x, _ = GaussianMixture.from_parameters(THREE).sample(300, Generator(0))
    choice = choose_components(x, range(1, 8), "aic", generator=Generator(1), n_init=4)
    assert 3 <= choice.mixture.n_components < 7


def test_the_table_has_a_row_for_each_candidate_and_the_formulas_hold_in_it():
    x, _ = GaussianMixture.from_parameters(THREE).sample(120, Generator(2))
    choice = choose_components(x, [4, 2], "cv", folds=3, generator=Generator(0), covariance_type="tied")
    assert [row["n_components"] for row in choice.table] == [4, 2]
    for row in choice.table:
        k = row["n_components"]
        assert row["n_parameters"] == k - 1 + 2 * k + 3
        assert row["aic"] == pytest.approx(2 * row["n_parameters"] - 2 * row["log_likelihood"])
        assert row["bic"] == pytest.approx(row["n_parameters"] * np.log(120) - 2 * row["log_likelihood"])
        assert row["cv"] < row["log_likelihood"] / 120 + 0.5
    best = choice.table[[row["n_components"] for row in choice.table].index(choice.mixture.n_components)]
    assert best["cv"] == max(row["cv"] for row in choice.table)
    assert choice.mixture.covariance_type == "tied"
    again = choose_components(x, [4, 2], "cv", folds=3, generator=Generator(0), covariance_type="tied")
    assert again.table == choice.table


def test_each_sample_is_held_out_once_and_never_trained_on_then():
    x = np.arange(23.0)
    seen = []

    def fit(train):
        def log_prob(held_out):
            assert not set(train) & set(held_out)
            assert len(train) + len(held_out) == 23
            seen.extend(held_out)
            return held_out

        return log_prob

    scores = cross_validate(fit, x, folds=5, generator=Generator(0))
    assert scores.shape == (5,)
    assert sorted(seen) == x.tolist()


def test_held_out_likelihood_is_that_of_a_fit_to_the_others():
    x = np.random.default_rng(0).normal(size=(12, 2))
    leave_one_out = cross_validate(lambda train: MultivariateNormal.fit(train).log_prob, x, 12, Generator(0))
    by_hand = [MultivariateNormal.fit(np.delete(x, i, axis=0)).log_prob(x[i : i + 1])[0] for i in range(12)]
    np.testing.assert_allclose(np.sort(leave_one_out), np.sort(by_hand))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: choose_components(x, []), "there are no candidates"),
        (lambda x: choose_components(x, [0, 1]), "a candidate must be an integer of at least 1, not 0"),
        (lambda x: choose_components(x, [1], "bik"), "Unknown criterion 'bik': did you mean 'bic'"),
        (lambda x: choose_components(x, [99]), "needs 99 samples or more, not 20"),
        (lambda x: cross_validate(lambda t: MultivariateNormal.fit(t).log_prob, x, 1), "folds must be an integer"),
        (
            lambda x: cross_validate(lambda t: MultivariateNormal.fit(t).log_prob, x, 21),
            "21 folds need as many samples",
        ),
    ],
)
def test_wrong_input_is_answered_in_a_sentence(call, message):
    with pytest.raises(UserError, match=message):
        call(np.random.default_rng(0).normal(size=(20, 2)))
