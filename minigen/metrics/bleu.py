"""BLEU: how many word sequences of a text stand in its reference texts too (Papineni et al., ACL 2002)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from minigen.errors import UserError, unknown_name

Tokens = Sequence[str]

SMOOTHING = ("none", "epsilon", "add-one")
EPSILON = 0.1  # what a count of 0 becomes with 'epsilon'


def corpus_bleu(
    references: Sequence[Sequence[Tokens]],
    hypotheses: Sequence[Tokens],
    weights: Sequence[float] = (0.25, 0.25, 0.25, 0.25),
    smoothing: str = "none",
) -> float:
    """BP · exp(Σₙ wₙ log pₙ), from 0 to 1, which texts equal to one of their references have.

    pₙ is the share of the n-grams of all hypotheses that stand in a reference of theirs, each counted at most as often
    as in the reference that has it most. BP = min(1, exp(1 - r/c)) keeps short texts from winning: c is the length of
    all hypotheses, r that of their references, of each the one nearest in length (the shorter of two).
    The counts are summed over the corpus before anything is divided: it is not the mean over sentences.

    Args:
        references: for each hypothesis its references, each a list of tokens.
        hypotheses: what is judged, each a list of tokens.
        weights: wₙ for n = 1, 2, …; the sum is 1, and an order of weight 0 does not count.
        smoothing: with ``'none'`` BLEU is 0 as soon as one pₙ is. ``'epsilon'`` counts 0.1 matches where there are
            none (Chen & Cherry 2014, method 1); ``'add-one'`` adds 1 to matches and n-grams from n = 2 (Lin & Och 2004).

    Raises:
        UserError: texts that are not lists of tokens, as many references as hypotheses, weights without the sum 1.

    >>> cat = "the cat is on the mat".split()
    >>> corpus_bleu([[cat]], [cat])
    1.0
    >>> corpus_bleu([[cat]], ["the the the the the the the".split()], weights=[1.0])  # 'the' counts twice: 2/7
    0.2857142857142857
    """
    _check(references, hypotheses, weights, smoothing)
    length = sum(len(hypothesis) for hypothesis in hypotheses)
    nearest = sum(
        min((len(tokens) for tokens in known), key=lambda n: (abs(n - len(hypothesis)), n))
        for known, hypothesis in zip(references, hypotheses)
    )
    if length == 0:
        return 0.0
    log_precision = 0.0
    for n, weight in enumerate(weights, 1):
        if weight == 0:
            continue
        matches = sum(_matches(known, hypothesis, n) for known, hypothesis in zip(references, hypotheses))
        total = sum(max(len(hypothesis) - n + 1, 0) for hypothesis in hypotheses)
        precision = _precision(matches, total, n, smoothing)
        if precision == 0:
            return 0.0
        log_precision += weight * math.log(precision)
    return math.exp(min(0.0, 1 - nearest / length) + log_precision)


def _precision(matches: int, total: int, n: int, smoothing: str) -> float:
    if smoothing == "add-one" and n > 1:
        return (matches + 1) / (total + 1)
    if smoothing == "epsilon" and matches == 0:
        return EPSILON / max(total, 1)
    return matches / max(total, 1)


def _matches(references: Sequence[Tokens], hypothesis: Tokens, n: int) -> int:
    """How many n-grams of the hypothesis the references hold, each clipped at its largest count in one of them."""
    most: Counter[tuple[str, ...]] = Counter()
    for tokens in references:
        most |= _ngrams(tokens, n)
    return (_ngrams(hypothesis, n) & most).total()


def _ngrams(tokens: Tokens, n: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))


def _check(
    references: Sequence[Sequence[Tokens]], hypotheses: Sequence[Tokens], weights: Sequence[float], smoothing: str
) -> None:
    if smoothing not in SMOOTHING:
        raise unknown_name("smoothing of BLEU", smoothing, SMOOTHING)
    if not len(weights) or min(weights) < 0 or abs(sum(weights) - 1) > 1e-6:
        raise UserError(f"corpus_bleu: weights are positive or 0 and have the sum 1, unlike {list(weights)!r}.")
    if isinstance(hypotheses, str) or not len(hypotheses) or len(references) != len(hypotheses):
        raise UserError(
            f"corpus_bleu: takes one hypothesis or more and a list of references for each, not "
            f"{len(hypotheses)} hypotheses and {len(references)} lists of references."
        )
    for known in references:
        if isinstance(known, str) or not len(known) or any(isinstance(tokens, str) for tokens in known):
            raise UserError("corpus_bleu: the references of one text are a list of lists of tokens, and at least one.")
    if any(isinstance(tokens, str) for tokens in hypotheses):
        raise UserError("corpus_bleu: a hypothesis is a list of tokens; cut a string with .split() first.")
