"""The written rule by which a challenger of default risk replaces the champion.

1. Without a champion the first model is put to use, and likewise when the champion no longer fits the columns.
2. A model that stands on more (trees before a curve, a curve before the written prior) replaces one that stands on
less, and never the other way round; of two without trees the newer one is used.
3. A champion that was trained on the same date gives way: its data were corrected. One older than ``max_age_days`` is
   replaced.
4. Otherwise both are judged on the dates whose labels matured after the champion was trained. The champion has not
   learnt from them; in the challenger's place stands its twin, the same procedure trained without them. A champion
   whose calibration error is surely above ``max_ece`` there is replaced, and so is one whose log loss is above the
   twin's by the paired interval (``certain``) or by the estimate (``likely``).
5. In every other case the champion stays.

The limits are data: ``data/models/default_risk.yaml``.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from models.datasets import training_rows
from models.default_risk.score import DefaultRiskModel
from models.default_risk.settings import DefaultRiskSettings
from models.default_risk.train import fit_target, target_rows
from models.estimators import BinnedMatrix
from models.features import LOAN_FEATURES, encode, learn_categories
from models.limits import PromotionRule
from models.metrics import compared_with_interval

STANDS_ON = {"prior": 0, "curve": 1, "boosted": 2}


@dataclass(frozen=True)
class Evidence:
    """Champion and challenger's twin on dates that neither has learnt from."""

    dates: tuple[date, ...]
    row_count: int
    event_count: int
    champion: dict[str, dict[str, float]] = field(default_factory=dict)
    challenger: dict[str, dict[str, float]] = field(default_factory=dict)
    difference: dict[str, dict[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """Whether the challenger is promoted, by which branch of the rule, and why in both languages."""

    promote: bool
    code: str
    reason_es: str
    reason_en: str
    evidence: Evidence | None = None

    @property
    def reason(self) -> str:
        """Both languages in one line, for the registry."""
        return f"{self.reason_es} · {self.reason_en}"

    def to_card(self) -> dict[str, Any]:
        """The decision as part of the card."""
        return asdict(self)


def matured_evidence(
    champion: DefaultRiskModel,
    features: pd.DataFrame,
    labels: pd.DataFrame,
    *,
    as_of: date,
    settings: DefaultRiskSettings,
    least_events: int,
    seed: int = 0,
) -> Evidence:
    """Both models on the dates that matured since the champion was trained; without figures when there are few events.

    A date counts as new when its label window ends after the champion's training date.
    """
    rows = training_rows(
        LOAN_FEATURES.check(features),
        labels,
        on=("as_of_date", "loan_id"),
        flags=("is_risk_training",),
        as_of=as_of,
        model="default_risk",
    )
    part = target_rows(rows, "default", as_of=as_of, settings=settings)
    window_end = part.dates + pd.Timedelta(days=settings.horizon_days)
    is_new = (window_end > pd.Timestamp(champion.trained_as_of)).to_numpy()
    judged, known = part.take(np.flatnonzero(is_new)), part.take(np.flatnonzero(~is_new))
    dates = tuple(pd.Timestamp(day).date() for day in np.sort(judged.dates.unique()))
    events = int(judged.outcome.sum())
    if min(events, len(judged.outcome) - events) < least_events or len(known.outcome) == 0:
        return Evidence(dates, len(judged.outcome), events)
    table = rows.loc[:, list(LOAN_FEATURES.names)]
    booster = replace(settings.booster, seed=seed, n_jobs=settings.n_jobs)
    categories = learn_categories(LOAN_FEATURES, table.iloc[known.rows])
    binned = BinnedMatrix(
        encode(LOAN_FEATURES, table, categories), LOAN_FEATURES.feature_names, LOAN_FEATURES.category_names, booster
    )
    twin, _ = fit_target(known, binned, booster, settings, seed=seed)
    scores = {
        "challenger": twin.probability(binned.matrix[judged.rows], judged.past_due_days, judged.day_of_year),
        "champion": champion.targets["default"].probability(
            encode(LOAN_FEATURES, table.iloc[judged.rows], champion.categories),
            judged.past_due_days,
            judged.day_of_year,
        ),
    }
    metrics, differences = compared_with_interval(
        judged.outcome, scores, judged.members.to_numpy(), draws=settings.bootstrap_draws, seed=seed
    )
    return Evidence(
        dates, len(judged.outcome), events, metrics["champion"], metrics["challenger"], differences["champion"]
    )


def decide(
    challenger_kind: str,
    champion: DefaultRiskModel | None,
    evidence: Evidence | None,
    rule: PromotionRule,
    *,
    as_of: date,
    fits: bool = True,
) -> Verdict:
    """The rule's verdict; ``evidence`` is None when it was not needed, ``fits`` is False when the champion cannot be
    read.
    """
    if not fits:
        return Verdict(
            True,
            "columns",
            "El modelo anterior ya no corresponde a las columnas de hoy.",
            "The model before no longer fits today's columns.",
        )
    if champion is None:
        return Verdict(True, "first", "Es el primer modelo para la fecha.", "It is the first model for the date.")
    own, other = STANDS_ON[challenger_kind], STANDS_ON[champion.kind]
    if own < other:
        return Verdict(
            False,
            "stands_on_less",
            "El nuevo se apoya en menos datos que el actual; el actual sigue.",
            "The new one stands on less data than the present one; the present one stays.",
        )
    if own > other or challenger_kind != "boosted":
        return Verdict(
            True,
            "stands_on_more",
            "Se apoya en más datos maduros que el anterior.",
            "It stands on more matured data than the one before.",
        )
    age = (as_of - champion.trained_as_of).days
    if age <= 0:
        return Verdict(
            True,
            "same_date",
            "Se entrenó de nuevo con los datos de la misma fecha.",
            "It was trained again on the data of the same date.",
        )
    if age > rule.max_age_days:
        return Verdict(
            True,
            "age",
            f"El actual tiene {age} días; el límite es {rule.max_age_days}.",
            f"The present one is {age} days old; the limit is {rule.max_age_days}.",
            evidence,
        )
    if evidence is None or not evidence.difference:
        seen = evidence.event_count if evidence else 0
        return Verdict(
            False,
            "few_events",
            f"Desde que se entrenó el actual maduraron {seen} eventos, menos de {rule.least_events}: no hay con qué "
            "compararlos; el actual sigue.",
            f"Since the present one was trained {seen} events have matured, fewer than {rule.least_events}: there is "
            "nothing to compare them by; the present one stays.",
            evidence,
        )
    return _compared(evidence, rule)


def _compared(evidence: Evidence, rule: PromotionRule) -> Verdict:
    error = evidence.champion["ece"]
    if error["low"] > rule.max_ece:
        return Verdict(
            True,
            "calibration",
            f"El error de calibración del actual en datos nuevos es {_es(error['value'])}, sobre el límite de "
            f"{_es(rule.max_ece)}.",
            f"The present one's calibration error on new data is {error['value']:.4f}, above the limit of "
            f"{rule.max_ece}.",
            evidence,
        )
    less = evidence.difference["log_loss"]
    wins = less["high"] < 0 if rule.proof == "certain" else less["value"] < 0
    interval_es = f"{_es(less['value'])} ({_es(less['low'])} a {_es(less['high'])})"
    interval_en = f"{less['value']:.4f} ({less['low']:.4f} to {less['high']:.4f})"
    if wins:
        return Verdict(
            True,
            "better",
            f"Mejor en datos que ninguno había visto: diferencia de log loss {interval_es}.",
            f"Better on data that neither had seen: difference of log loss {interval_en}.",
            evidence,
        )
    return Verdict(
        False,
        "not_better",
        f"No es mejor en datos que ninguno había visto: diferencia de log loss {interval_es}; el actual sigue.",
        f"Not better on data that neither had seen: difference of log loss {interval_en}; the present one stays.",
        evidence,
    )


def _es(value: float) -> str:
    return f"{value:.4f}".replace(".", ",")
