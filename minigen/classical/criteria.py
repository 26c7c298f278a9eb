"""Which model? Criteria that weigh the likelihood against the number of parameters. The least value wins.

The likelihood alone cannot choose: a model with more parameters fits the data it was fitted to at least as well, so the
largest model always wins. Both criteria charge for parameters. (An article that gives argmin -ln P(x|θ) as the rule for
choosing a model gives the rule for choosing its *parameters* again.)
"""

from __future__ import annotations

from math import log


def aic(log_likelihood: float, n_parameters: int) -> float:
    """Akaike's information criterion 2k - 2 ln L̂ (Akaike 1974): an estimate of the loss on new data.

    Args:
        log_likelihood: ln L̂, of all the samples together, at its maximum.
        n_parameters: k.

    >>> aic(log_likelihood=-100.0, n_parameters=3)
    206.0
    """
    return 2 * n_parameters - 2 * log_likelihood


def bic(log_likelihood: float, n_parameters: int, n_samples: int) -> float:
    """The Bayesian information criterion k ln n - 2 ln L̂ (Schwarz 1978): finds the true model as n grows.

    Args:
        log_likelihood: ln L̂, of all the samples together, at its maximum.
        n_parameters: k.
        n_samples: n.

    >>> bic(log_likelihood=-100.0, n_parameters=3, n_samples=1)
    200.0
    """
    return n_parameters * log(n_samples) - 2 * log_likelihood
