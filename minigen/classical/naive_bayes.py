"""Naive Bayes: one simple distribution for each class, in which the features are independent of one another.

p(y = c | x) ∝ p(c) Πⱼ p(xⱼ | c). The class probabilities p(c) and the features' distributions are counted or averaged
in one pass, by maximum likelihood, smoothed so that nothing is impossible only because it was not seen. It is a
generative model: it can also say how probable a sample is, and draw new ones.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from minigen.classical._samples import count, floating_type, labels, positive, samples
from minigen.classical.covariance import log_density
from minigen.errors import UserError
from minigen.random import Generator, pick


class NaiveBayes:
    """What the three have in common. A subclass says how its features are fitted, and how probable they are.

    Attributes:
        classes_: the labels, sorted, (C,).
        class_log_prior_: ln p(c), (C,), the shares of the classes among the samples.
    """

    classes_: np.ndarray
    class_log_prior_: np.ndarray

    def fit(self, x: Any, y: Any) -> Self:
        """Fit to samples `x`, (n, D), with labels `y`, (n,), of any kind that can be sorted.

        Raises:
            UserError: no samples, NaN, a wrong shape, or features that the model is not for.
        """
        data = samples(x, self._name)
        self.classes_, member, size = np.unique(
            labels(y, len(data), self._name), return_inverse=True, return_counts=True
        )
        self.class_log_prior_ = np.log(size / len(data))
        self.n_features_, self.dtype = data.shape[1], floating_type(x)
        self.fit_features(self.check(data), np.eye(len(self.classes_))[member])
        return self

    def fit_features(self, x: np.ndarray, member: np.ndarray) -> None:
        """Fit p(xⱼ | c) to samples `x` (n, D); `member` (n, C) is 1 for a sample's class and 0 for the others."""
        raise NotImplementedError

    def feature_log_prob(self, x: np.ndarray) -> np.ndarray:
        """Σⱼ ln p(xⱼ | c), (n, C)."""
        raise NotImplementedError

    def check(self, x: np.ndarray) -> np.ndarray:
        """`x`, made fit for the model; a UserError where it cannot be."""
        return x

    def predict_joint_log_proba(self, x: Any) -> np.ndarray:
        """ln p(c, x), (n, C)."""
        if not hasattr(self, "classes_"):
            raise UserError(f"{self._name}: has no classes yet; call fit first.")
        return (
            self.feature_log_prob(self.check(samples(x, self._name, features=self.n_features_))) + self.class_log_prior_
        )

    def score_samples(self, x: Any) -> np.ndarray:
        """ln p(x) = ln Σ_c p(c, x) of each sample, (n,)."""
        return np.logaddexp.reduce(self.predict_joint_log_proba(x), axis=1)

    def predict_log_proba(self, x: Any) -> np.ndarray:
        """ln p(c | x), (n, C), the classes in the order of `classes_`."""
        joint = self.predict_joint_log_proba(x)
        return joint - np.logaddexp.reduce(joint, axis=1, keepdims=True)

    def predict_proba(self, x: Any) -> np.ndarray:
        """p(c | x), (n, C), the classes in the order of `classes_`."""
        return np.exp(self.predict_log_proba(x))

    def predict(self, x: Any) -> np.ndarray:
        """The most probable class of each sample, (n,)."""
        joint = self.predict_joint_log_proba(x)
        return self.classes_[joint.argmax(axis=1)]

    def _draw_classes(self, n: int, random: Generator) -> np.ndarray:
        """The places in `classes_` of `n` classes drawn by their shares."""
        if not hasattr(self, "classes_"):
            raise UserError(f"{self._name}: has no classes yet; call fit first.")
        share = np.exp(self.class_log_prior_).cumsum()
        u = random.uniform((count(n, "n", self._name, least=0),), dtype=np.float64) * share[-1]
        return np.searchsorted(share, u, side="right").clip(max=len(share) - 1)

    @property
    def _name(self) -> str:
        return type(self).__name__


class GaussianNB(NaiveBayes):
    """Numbers: xⱼ | c ~ N(θ_cj, σ²_cj), the mean and variance of the class.

    Args:
        var_smoothing: this part of the largest variance of a feature is added to all variances, so that none is 0.

    Attributes:
        theta_: means, (C, D).
        var_: variances, smoothed, (C, D).

    >>> model = GaussianNB().fit([[0.0], [1.0], [10.0], [11.0]], ["low", "low", "high", "high"])
    >>> model.predict([[2.0], [9.0]]).tolist()
    ['low', 'high']
    """

    theta_: np.ndarray
    var_: np.ndarray

    def __init__(self, var_smoothing: float = 1e-9) -> None:
        self.var_smoothing = positive(var_smoothing, "var_smoothing", self._name)

    def fit_features(self, x: np.ndarray, member: np.ndarray) -> None:
        share = member / member.sum(axis=0)
        self.theta_ = share.T @ x
        variances = np.stack([w @ (x - mean) ** 2 for w, mean in zip(share.T, self.theta_)])
        self.var_ = variances + self.var_smoothing * (x.var(axis=0).max() or 1.0)

    def feature_log_prob(self, x: np.ndarray) -> np.ndarray:
        return np.stack([log_density(x, m, np.sqrt(v)) for m, v in zip(self.theta_, self.var_)], axis=1)

    def sample(self, n: int, generator: Generator | None = None) -> tuple[np.ndarray, np.ndarray]:
        """`n` samples (n, D) from `generator`, of the type of the data that were fitted, and their labels (n,)."""
        random = pick(generator)
        c = self._draw_classes(n, random)
        x = self.theta_[c] + np.sqrt(self.var_[c]) * random.normal((n, self.n_features_), dtype=np.float64)
        return x.astype(self.dtype), self.classes_[c]


class BernoulliNB(NaiveBayes):
    """Yes or no: xⱼ | c ~ Bernoulli(p_cj), p_cj = (samples of the class with xⱼ = 1, + α) / (samples of the class + 2α).

    Args:
        alpha: α above 0, Laplace's smoothing with 1: as if every feature had been seen α times on and off in each class.
        binarize: features above this are 1, others 0.

    Attributes:
        feature_log_prob_: ln p_cj, (C, D).

    >>> model = BernoulliNB().fit([[0, 1], [0, 1], [1, 0]], [0, 0, 1])
    >>> np.exp(model.feature_log_prob_).round(3).tolist()
    [[0.25, 0.75], [0.667, 0.333]]
    """

    feature_log_prob_: np.ndarray

    def __init__(self, alpha: float = 1.0, binarize: float = 0.0) -> None:
        self.alpha = positive(alpha, "alpha", self._name)
        self.binarize = float(binarize)

    def check(self, x: np.ndarray) -> np.ndarray:
        return (x > self.binarize).astype(np.float64)

    def fit_features(self, x: np.ndarray, member: np.ndarray) -> None:
        on = member.T @ x + self.alpha
        off = member.T @ (1 - x) + self.alpha
        self.feature_log_prob_, self._log_off = np.log(on / (on + off)), np.log(off / (on + off))

    def feature_log_prob(self, x: np.ndarray) -> np.ndarray:
        return x @ self.feature_log_prob_.T + (1 - x) @ self._log_off.T

    def sample(self, n: int, generator: Generator | None = None) -> tuple[np.ndarray, np.ndarray]:
        """`n` samples (n, D) of zeros and ones from `generator`, of the type of the fitted data, and their labels (n,)."""
        random = pick(generator)
        c = self._draw_classes(n, random)
        u = random.uniform((n, self.n_features_), dtype=np.float64)
        return (u < np.exp(self.feature_log_prob_[c])).astype(self.dtype), self.classes_[c]


class MultinomialNB(NaiveBayes):
    """Counts, as of words in a text: x | c ~ Multinomial(p_c), p_cj = (count of j in class c, + α) / (all counts, + αD).

    How many there are in a sample is not modelled, so probabilities leave out the factor that does not depend on c.

    Args:
        alpha: α above 0, Laplace's smoothing with 1.

    Attributes:
        feature_log_prob_: ln p_cj, (C, D).

    >>> model = MultinomialNB().fit([[2, 1], [0, 3]], ["a", "b"])
    >>> np.exp(model.feature_log_prob_).round(2).tolist()
    [[0.6, 0.4], [0.2, 0.8]]
    """

    feature_log_prob_: np.ndarray

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = positive(alpha, "alpha", self._name)

    def check(self, x: np.ndarray) -> np.ndarray:
        if (x < 0).any():
            raise UserError(f"MultinomialNB: features are counts, which cannot be negative, as {x.min():g} is.")
        return x

    def fit_features(self, x: np.ndarray, member: np.ndarray) -> None:
        counted = member.T @ x + self.alpha
        self.feature_log_prob_ = np.log(counted / counted.sum(axis=1, keepdims=True))

    def feature_log_prob(self, x: np.ndarray) -> np.ndarray:
        return x @ self.feature_log_prob_.T
