"""What an experiment says, and whether it may be believed: sample ratio, CUPED, intervals fixed and for every look.

Arrays in, numbers out; nothing is drawn at random.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special, stats

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

SAMPLE_RATIO_ALPHA = 0.001
"""Shares that chance alone gives less often than this are taken for a defect, not for chance."""
_RATIO_WEIGHTS = (10.0, 100.0, 1000.0)
"""How narrowly the mixtures lie about the shares: a large defect of few members, and a small one of many."""
_LEAST_SPREAD = 1e-12


@dataclass(frozen=True)
class Difference:
    """Mean of the treated less mean of the control, and its standard error; ``size`` members in both together."""

    value: float
    error: float
    size: int

    def fixed(self, alpha: float) -> tuple[float, float]:
        """The interval that holds the truth with probability 1 - alpha at one look, planned beforehand.

        >>> tuple(round(end, 2) for end in Difference(2.0, 1.0, 100).fixed(0.05))
        (0.04, 3.96)
        """
        half = float(stats.norm.ppf(1 - alpha / 2)) * self.error
        return self.value - half, self.value + half

    def anytime(self, alpha: float, tuned_at: int) -> tuple[float, float]:
        """The interval that holds the truth with probability 1 - alpha at all looks together; see :func:`widening`."""
        half = widening(self.size, alpha, tuned_at) * self.error
        return self.value - half, self.value + half


def sample_ratio(counts: Sequence[int], shares: Sequence[float]) -> tuple[float, float]:
    """How likely counts so far from the declared shares are when nothing is wrong: for one look, and for all looks.

    1. The first is Pearson's chi-square test; it is right at one look.
    2. The second holds at every look: one over the likelihood of the counts under Dirichlet mixtures about the
       shares, against that under the shares themselves (Lindon and Malek, "Anytime-valid inference for multinomial
       count data", 2022). The mean of mixtures of several widths is one as well. By Ville's inequality it falls below a
       in the whole run with probability a at most.

    >>> one, all_looks = sample_ratio([5000, 5000], [0.5, 0.5])
    >>> one, all_looks
    (1.0, 1.0)
    """
    n, p = np.asarray(counts, dtype=float), np.asarray(shares, dtype=float)
    total = float(n.sum())
    if total == 0:
        return 1.0, 1.0
    once = float(stats.chisquare(n, total * p / p.sum()).pvalue)
    share = p / p.sum()
    likelihoods = []
    for weight in _RATIO_WEIGHTS:
        prior = weight * share
        mixture = special.gammaln(weight) - special.gammaln(weight + total)
        likelihoods.append(mixture + (special.gammaln(prior + n) - special.gammaln(prior)).sum())
    likelihood = float(special.logsumexp(likelihoods)) - float(np.log(len(_RATIO_WEIGHTS)))
    log_ratio = likelihood - float((n * np.log(share)).sum())
    return once, float(np.exp(-max(log_ratio, 0.0)))


def slope(outcome: Floats, covariate: Floats, treated: Flags) -> float:
    """What one unit of the covariate says about the outcome, within the arms; 0 when the covariate does not vary."""
    x, y = covariate.astype(float).copy(), outcome.astype(float).copy()
    for arm in (treated, ~treated):
        if arm.any():
            x[arm] -= x[arm].mean()
            y[arm] -= y[arm].mean()
    spread = float((x**2).sum())
    return float((x * y).sum() / spread) if spread > _LEAST_SPREAD else 0.0


def difference(outcome: Floats, treated: Flags, covariate: Floats | None = None) -> Difference:
    """Mean of the treated less mean of the control, by intention to treat: who was drawn into an arm counts in it.

    ``covariate`` was known before the draw: what it explains of the outcome is taken away (CUPED; Deng, Xu, Kohavi and
    Walker, 2013). The expectation stays the same, because the draw knew nothing of it, and the interval narrows.

    >>> difference(np.array([5.0, 3.0, 2.0, 2.0]), np.array([True, True, False, False]))
    Difference(value=2.0, error=1.0, size=4)
    """
    y = np.asarray(outcome, dtype=float)
    if covariate is not None:
        x = np.asarray(covariate, dtype=float)
        y = y - slope(y, x, treated) * (x - x.mean())
    one, other = y[treated], y[~treated]
    variance = one.var(ddof=1) / len(one) + other.var(ddof=1) / len(other)
    return Difference(float(one.mean() - other.mean()), float(np.sqrt(variance)), len(y))


def widening(size: int, alpha: float, tuned_at: int) -> float:
    """How many standard errors each side of a confidence sequence lies from its middle, after ``size`` members.

    The asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas ("Time-uniform central limit
    theory and asymptotic confidence sequences", Annals of Statistics 2024, theorem 2.2), for a sum of independent terms
    with variance estimated on the way:

        estimate ± sd / sqrt(t) * sqrt((u + 1) / u * log((u + 1) / alpha^2)),   u = t * rho^2.

    1. ``rho`` is chosen so that the sequence is narrowest at ``tuned_at`` members: u = log((u + 1) / alpha^2) there. It
       must be set before the first look; elsewhere the sequence is a little wider and just as right.
    2. It holds at every look together, from a number of members on at which a mean is about normal (payments are
       skewed: not below 100 in each arm here), for members whose outcomes enter once, are final, and come from one
       population. A difference of two means is such a sum but for a remainder that shrinks faster than the width.

    >>> round(widening(2000, 0.05, 2000), 2), round(widening(20000, 0.05, 2000), 2)
    (3.04, 3.25)
    """
    best = 1.0
    for _ in range(100):
        best = float(np.log((best + 1.0) / alpha**2))
    u = size * best / tuned_at
    return float(np.sqrt((u + 1.0) / u * np.log((u + 1.0) / alpha**2)))
