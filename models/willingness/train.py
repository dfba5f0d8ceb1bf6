"""Fitting of the willingness: what a week's payment depends on, and how people differ and change."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import date

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.sparse import csr_matrix
from scipy.special import expit, logit

from models.willingness.kalman import FilterParameters, shrinkage, walk
from models.willingness.model import WillingnessModel, chances
from models.willingness.panel import GROUP_COUNT, WeeklyPanel
from models.willingness.record import Usual, WeeklyContacts, usual

LEAST_WEEKS, LEAST_MEMBERS, LEAST_PAID_ROWS = 8, 100, 200
SAMPLE_MEMBERS = 4_000
ROUNDS = 3
"""Pay model and filter in turn: the first alone would take for a matter of past-due days what is one of people."""
SEARCH_STEPS = 50
RIDGE = 2.0
START = FilterParameters()
PULL = 20.0
"""Log likelihood by which one unit (log variance, logit persistence) away from ``START`` is held back: a tie-break."""


def why_off(panel: WeeklyPanel) -> str:
    """Why willingness cannot be learnt from this panel, or an empty text."""
    paid = float(panel.paid.sum())
    if len(panel.week_ends) < LEAST_WEEKS:
        return f"{len(panel.week_ends)} weeks with something owed, fewer than {LEAST_WEEKS}"
    if len(panel.members) < LEAST_MEMBERS:
        return f"{len(panel.members)} members who owed something, fewer than {LEAST_MEMBERS}"
    if min(paid, len(panel.paid) - paid) < LEAST_PAID_ROWS:
        return f"fewer than {LEAST_PAID_ROWS} member-weeks with a payment, or without one"
    return ""


def fit(panel: WeeklyPanel, *, as_of: date, contacts: WeeklyContacts | None = None) -> WillingnessModel:
    """The willingness fitted on the panel, on a sample of members that is the same from run to run.

    1. A logistic pay model of what is owed and when, without anything about the person.
    2. The filter's parameters with the largest likelihood of every week given the weeks before it.
    3. The pay model again, on top of what the filter knew of the member before each week; then 2 again.
    4. With ``contacts`` (of the panel), what is usual of a contact by channel.

    Pay model and parameters use all weeks up to ``as_of`` and stand for the whole book; what is known of one member on
    a date never uses a later week (:meth:`WillingnessModel.states`).
    """
    chosen = sampled_members(panel.members, SAMPLE_MEMBERS)
    sample = panel.of_members(chosen)
    design = _design(sample)
    beta = _fit_pay(design, sample.paid, np.zeros(len(sample.paid)), np.zeros(GROUP_COUNT + 1))
    parameters, losses = START, []
    for number in range(ROUNDS):
        expected = (design @ beta).astype(np.float32)
        parameters = _fit_filter(sample, expected, parameters)
        found = walk(sample, expected, parameters, with_rows=True)
        losses.append(-found.log_likelihood / len(sample.paid))
        if number < ROUNDS - 1:
            beta = _fit_pay(design, sample.paid, found.mean * shrinkage(found.variance), beta)
    norm = Usual()
    if contacts is not None:
        norm = usual(sample, contacts.of_members(chosen, len(panel.members)), chances(expected, found))
    model = WillingnessModel(as_of, float(beta[-1]), tuple(map(float, beta[:-1])), parameters, norm)
    return replace(model, card=_card(model, panel, sample, losses))


def sampled_members(members: np.ndarray, most: int) -> np.ndarray:
    """Places of at most ``most`` members, chosen by their keys alone, sorted."""
    hashed = pd.util.hash_array(np.asarray(members, dtype=object), categorize=False)
    return np.sort(np.argsort(hashed, kind="stable")[:most])


def _design(panel: WeeklyPanel) -> csr_matrix:
    """One column per group and a constant one."""
    rows, kinds = panel.groups.shape
    columns = np.column_stack([panel.groups, np.full(rows, GROUP_COUNT, np.int32)]).ravel()
    ends = np.arange(0, rows * (kinds + 1) + 1, kinds + 1)
    return csr_matrix((np.ones(len(columns)), columns, ends), shape=(rows, GROUP_COUNT + 1))


def _fit_pay(
    design: csr_matrix, paid: np.ndarray, offset: np.ndarray, beta: np.ndarray, *, steps: int = 5
) -> np.ndarray:
    """Logistic regression on top of ``offset``; the groups' effects are drawn a little to 0, the constant is not."""
    pull = np.full(design.shape[1], RIDGE)
    pull[-1] = 1e-6
    turned = design.T.tocsr()
    for _ in range(steps):
        chance = expit(design @ beta + offset)
        weight = chance * (1 - chance)
        hessian = (turned.multiply(weight[None, :]).tocsr() @ design).toarray() + np.diag(pull)
        beta = beta + np.linalg.solve(hessian, turned @ (paid - chance) - pull * beta)
    return beta


def _fit_filter(panel: WeeklyPanel, expected: np.ndarray, start: FilterParameters) -> FilterParameters:
    """The parameters of the largest likelihood, searched from ``start`` without derivatives."""
    origin = _free(START)

    def loss(free: np.ndarray) -> float:
        distance = float(((free - origin) ** 2).sum())
        return PULL * distance - walk(panel, expected, _parameters(free)).log_likelihood

    simplex = _free(start) + np.vstack([np.zeros(3), 0.5 * np.eye(3)])
    options = {"maxfev": SEARCH_STEPS, "initial_simplex": simplex, "xatol": 0.01, "fatol": 0.1}
    return _parameters(minimize(loss, _free(start), method="Nelder-Mead", options=options).x)


def _free(parameters: FilterParameters) -> np.ndarray:
    return np.array(
        [np.log(parameters.level_variance), logit(parameters.persistence), np.log(parameters.trouble_variance)]
    )


def _parameters(free: np.ndarray) -> FilterParameters:
    level, persistence, trouble = np.clip(free, -7.0, 7.0)
    return FilterParameters(float(np.exp(level)), float(expit(persistence)), float(np.exp(trouble)))


def _card(model: WillingnessModel, panel: WeeklyPanel, sample: WeeklyPanel, losses: list[float]) -> dict[str, object]:
    rate = float(sample.paid.mean())
    return {
        "model": model.name,
        "trained_as_of": model.trained_as_of,
        "first_week": panel.week_ends[0],
        "last_week": panel.week_ends[-1],
        "member_count": len(panel.members),
        "row_count": len(panel.paid),
        "sampled_member_count": len(sample.members),
        "paid_share": rate,
        "parameters": asdict(model.parameters),
        "log_loss_without_anything": float(-(rate * np.log(rate) + (1 - rate) * np.log(1 - rate))),
        "log_loss_by_round": losses,
        "metrics": {"log_loss": losses[-1]},
    }
