"""How many components? By AIC, by BIC, or by the likelihood of samples that were held out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from minigen.classical._samples import count
from minigen.classical.mixture import GaussianMixture
from minigen.errors import ShapeError, UserError, unknown_name
from minigen.random import Generator, pick

CRITERIA = ("bic", "aic", "cv")


class Choice(NamedTuple):
    """What `choose_components` found.

    Attributes:
        mixture: the chosen `GaussianMixture`, fitted.
        table: a row for each candidate.
    """

    mixture: GaussianMixture  # the chosen one, fitted to all the samples
    table: list[dict[str, float]]  # a row for each candidate


def cross_validate(
    fit: Callable[[np.ndarray], Callable[[np.ndarray], np.ndarray]],
    x: Any,
    folds: int = 5,
    generator: Generator | None = None,
) -> np.ndarray:
    """The mean log-likelihood of held-out samples, for each fold: (folds,), higher is better (Stone 1974).

    The samples are shuffled and cut into parts of equal size (up to one sample); each part in turn is held out.

    Args:
        fit: takes training samples, returns the function that gives ln p of each of other samples.
        x: (n, *), n of at least `folds`.
        folds: how many parts, at least 2.
        generator: where the order comes from (the default one unless given).

    Raises:
        ShapeError: fewer samples than folds.

    >>> from minigen.classical import MultivariateNormal
    >>> x = Generator(0).normal((100, 2))
    >>> cross_validate(lambda train: MultivariateNormal.fit(train).log_prob, x, 5, Generator(1)).shape
    (5,)
    """
    x, folds = np.asarray(x), count(folds, "folds", "cross_validate", least=2)
    if x.ndim == 0 or len(x) < folds:
        raise ShapeError(f"cross_validate: {folds} folds need as many samples, not an array of shape {x.shape}.")
    parts = np.array_split(pick(generator).permutation(len(x)), folds)
    scores = []
    for i, held_out in enumerate(parts):
        log_prob = fit(x[np.concatenate(parts[:i] + parts[i + 1 :])])
        scores.append(log_prob(x[held_out]).mean())
    return np.array(scores)


def choose_components(
    x: Any,
    candidates: Iterable[int],
    criterion: str = "bic",
    folds: int = 5,
    generator: Generator | None = None,
    **options: Any,
) -> Choice:
    """Fit a mixture for each number of components, and choose.

    Args:
        x: (n, D).
        candidates: numbers of components.
        criterion: ``bic`` or ``aic``, the least; or ``cv``, the greatest mean log-likelihood of held-out samples.
        folds: for ``cv``.
        generator: where starts and folds come from (the default one unless given).
        options: of `GaussianMixture`, such as ``covariance_type`` and ``n_init``.

    Returns:
        `mixture`, the chosen one, and `table`, in the order of the candidates, with in each row ``n_components``,
        ``n_parameters``, ``log_likelihood`` (of all samples together), ``aic``, ``bic`` and, where asked for, ``cv``.

    Raises:
        UserError: an unknown criterion, or no candidates.

    >>> from minigen.data.mixtures import ring
    >>> x, _ = ring(400, Generator(0), modes=3)
    >>> choice = choose_components(x, [1, 2, 3, 4], generator=Generator(1), covariance_type="spherical")
    >>> choice.mixture.n_components
    3
    """
    if criterion not in CRITERIA:
        raise unknown_name("criterion", criterion, CRITERIA)
    sizes = [count(k, "a candidate", "choose_components") for k in candidates]
    if not sizes:
        raise UserError("choose_components: there are no candidates; give numbers of components, such as range(1, 11).")
    random = pick(generator)
    seed = int(random.integers(0, 2**31, (1,))[0])  # of the folds, the same for every candidate
    mixtures, table = [], []
    for k in sizes:
        blank = partial(GaussianMixture, k, generator=random, **options)
        mixture = blank().fit(x)
        row: dict[str, float] = {"n_components": k, "n_parameters": mixture.n_parameters()}
        row["log_likelihood"] = float(mixture.score_samples(x).sum())
        row["aic"], row["bic"] = mixture.aic(x), mixture.bic(x)
        if criterion == "cv":
            row["cv"] = float(cross_validate(partial(_held_out, blank), x, folds, Generator(seed)).mean())
        mixtures.append(mixture)
        table.append(row)
    values = [-row[criterion] if criterion == "cv" else row[criterion] for row in table]
    return Choice(mixtures[int(np.argmin(values))], table)


def _held_out(blank: Callable[[], GaussianMixture], train: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    return blank().fit(train).score_samples
