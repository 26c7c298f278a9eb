"""Fitting a mixture of Gaussians: by expectation-maximization, and, for comparison, by gradient ascent."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minigen.classical import GaussianMixture, GradientMixture, MixtureParameters, expectation, maximization
from minigen.device import cpu as CPU
from minigen.models.mixture import MixtureModel
from minigen.optim import Optimizer
from minigen.tensor import Tensor
from minigen.training.session import Session

Features = Callable[[np.ndarray], np.ndarray]  # samples (n, *) to rows (n, D)


def train_by_em(
    mixture: MixtureModel, session: Session, features: Features, held_out: np.ndarray, reg_covar: float, tol: float
) -> None:
    """Expectation and maximization in turn, an epoch a round, over all the data at once (Dempster et al. 1977).

    Args:
        mixture: changed in place.
        session: gives the batches, epoch by epoch, and keeps records and checkpoints.
        features: what the mixture is fitted to.
        held_out: rows (M, D) whose likelihood is also measured.
        reg_covar: the least variance, see `maximization`.
        tol: stop when the mean log-likelihood changes by less, in nats.
    """
    before = -np.inf
    for _ in session.epochs():
        log_likelihood = before
        for x in session.batches(CPU):
            rows = features(x.numpy())
            log_prob, responsibilities = expectation(rows, mixture.mixture_parameters())
            log_likelihood = float(log_prob.mean())
            session.log(log_likelihood=log_likelihood)
            mixture.set_parameters(maximization(rows, responsibilities, mixture.covariance_type, reg_covar))

        session.end_epoch(test_log_likelihood=_score(mixture.mixture_parameters(), held_out))
        if abs(log_likelihood - before) < tol:
            return
        before = log_likelihood


def train_by_gradient(
    mixture: GradientMixture, optimizer: Optimizer, session: Session, features: Features, held_out: np.ndarray
) -> None:
    """Ascent on the mean log-likelihood, stochastic when the batches are parts of the data.

    Args:
        mixture: changed in place.
        optimizer: of its parameters.
        session: gives the batches, epoch by epoch, and keeps records and checkpoints.
        features: what the mixture is fitted to.
        held_out: rows (M, D) whose likelihood is also measured.
    """
    for _ in session.epochs():
        for x in session.batches(CPU):
            rows = Tensor(features(x.numpy()).astype(np.float64), device=session.device)
            log_likelihood = mixture(rows).mean()
            session.log(log_likelihood=log_likelihood)

            optimizer.zero_grad()
            (-log_likelihood).backward()
            optimizer.step()

        session.end_epoch(test_log_likelihood=_score(mixture.mixture_parameters(), held_out))


def _score(parameters: MixtureParameters, rows: np.ndarray) -> float:
    return GaussianMixture.from_parameters(parameters).score(rows)
