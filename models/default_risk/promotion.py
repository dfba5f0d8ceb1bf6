"""The written rule by which a challenger of default risk replaces the champion.

1. Without a champion the first model is put to use, and likewise when the champion no longer fits the columns.
2. A model that stands on more (trees before a curve, a curve before the written prior) replaces one that stands on
less, and never the other way round; of two without trees the newer one is used.
3. Both are judged on the newest dates that matured since the champion was trained. In the challenger's place stands its
   twin: today's training on every date before those judged. It knows the dates that matured between the
   champion's training and those judged, which the frozen champion does not; that is what a newer model is for. The
   labels of neighbouring dates share most of their window, so each half of the members is judged by a twin that learnt
   from the other half: nobody is recognized. The champion has met the members: what is uncertain counts for it.
4. A twin whose log loss of default is surely above the champion's, by the whole paired interval, blocks the challenger
   whatever the champion's age or calibration (``surely_worse``). It is an alarm: something in the newer data or
   training is wrong, and the reason says what to do.
5. A champion that was trained on the same date gives way: its data were corrected, and nothing has matured since. One
   as old as ``max_age_days`` is replaced.
6. A champion whose calibration error is surely above ``max_ece`` there is replaced.
7. A twin that is surely worse at early warning keeps the champion in use.
8. A twin with less log loss of default, by the paired interval (``certain``) or by the estimate (``likely``), wins.
9. A champion of at least ``prefer_newer_after_days`` gives way to an equal: a twin that is not surely worse and whose
   log loss is at most the share ``tolerance`` above the champion's.
10. In every other case the champion stays.

A champion that somebody went back to (``puntual models rollback``) is held: where the rule would replace it, it stays
until it or another version is promoted by hand (:func:`held`), unless it no longer fits the columns. The older champion
would else be replaced at the next training, by its age or by the very evidence that had spoken for the one left.

The limits are data: ``data/models/default_risk.yaml``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from models.datasets import member_fold
from models.default_risk.score import TARGETS, DefaultRiskModel
from models.default_risk.settings import DefaultRiskSettings
from models.default_risk.train import TargetRows, fit_target, target_rows, training_frame
from models.estimators import BinnedMatrix
from models.features import LOAN_FEATURES, encode, learn_categories
from models.limits import PromotionRule
from models.metrics import compared_with_interval
from models.willingness.climate import Climate

TWIN_SALT = 2
"""The training folds its members by another salt, so each half of them is split anew within."""
STANDS_ON = {"prior": 0, "curve": 1, "boosted": 2}


@dataclass(frozen=True)
class Evidence:
    """Champion and challenger's twin on dates that neither has learnt from; ``difference`` is the twin less it.

    That of default carries that of the second target as ``early_warning``.
    """

    dates: tuple[date, ...]
    row_count: int
    event_count: int
    champion: dict[str, dict[str, float]] = field(default_factory=dict)
    challenger: dict[str, dict[str, float]] = field(default_factory=dict)
    difference: dict[str, dict[str, float]] = field(default_factory=dict)
    early_warning: Evidence | None = None


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
    climate: Climate | None = None,
) -> Evidence:
    """Both models and both targets on the newest dates that matured since the champion was trained.

    A date counts as new when its label window ends after the champion's training date. Of the new dates the newest are
    judged, as few as hold ``least_events`` events (and rows without one); with fewer in all there are no figures.
    """
    rows = training_frame(features, labels, as_of=as_of)
    found = {
        target: _evidence(
            champion,
            rows,
            target_rows(rows, target, as_of=as_of, settings=settings, climate=climate),
            settings,
            least_events=least_events,
            seed=seed,
        )
        for target in TARGETS
    }
    return replace(found["default"], early_warning=found["early_warning"])


def challenger_measures(code: str, evidence: Mapping[str, Any] | None) -> list[tuple[str, str | None, float]]:
    """For the limits of the model: the least excess of log loss of a challenger that was refused as surely worse.

    Args:
        code: the branch of the rule, from the card's ``promotion``.
        evidence: beside it.
    """
    if code != "surely_worse" or not evidence:
        return []
    return [("challenger_log_loss", None, float(evidence["difference"]["log_loss"]["low"]))]


def judged_dates(part: TargetRows, trained_as_of: date, least_events: int) -> np.ndarray:
    """The newest dates that matured after ``trained_as_of``, as few as hold enough events and rows without one."""
    new = part.dates[part.dates + pd.Timedelta(days=part.horizon_days) > pd.Timestamp(trained_as_of)]
    days, values = np.sort(new.unique()), part.dates.to_numpy()
    for count in range(1, len(days) + 1):
        outcome = part.outcome[values >= days[-count]]
        if min(outcome.sum(), len(outcome) - outcome.sum()) >= least_events:
            return days[-count:]
    return days


def _evidence(
    champion: DefaultRiskModel,
    rows: pd.DataFrame,
    part: TargetRows,
    settings: DefaultRiskSettings,
    *,
    least_events: int,
    seed: int,
) -> Evidence:
    days = judged_dates(part, champion.trained_as_of, least_events)
    is_judged = np.isin(part.dates.to_numpy(), days)
    judged = part.take(np.flatnonzero(is_judged))
    earlier = part.take(np.flatnonzero(~is_judged))
    dates = tuple(pd.Timestamp(day).date() for day in days)
    events = int(judged.outcome.sum())
    if min(events, len(judged.outcome) - events) < least_events or len(earlier.outcome) == 0:
        return Evidence(dates, len(judged.outcome), events)
    table = rows.loc[:, list(LOAN_FEATURES.names)]
    scores = {
        "challenger": _twin_scores(earlier, judged, table, settings, seed=seed),
        "champion": champion.targets[part.name].probability(
            encode(LOAN_FEATURES, table.iloc[judged.rows], champion.categories),
            judged.past_due_days,
            judged.day_of_year,
            judged.climate_expected,
        ),
    }
    metrics, differences = compared_with_interval(
        judged.outcome, scores, judged.members.to_numpy(), draws=settings.bootstrap_draws, seed=seed
    )
    return Evidence(
        dates, len(judged.outcome), events, metrics["champion"], metrics["challenger"], differences["champion"]
    )


def _twin_scores(
    earlier: TargetRows, judged: TargetRows, table: pd.DataFrame, settings: DefaultRiskSettings, *, seed: int
) -> np.ndarray:
    """Probabilities of the judged rows, each by today's training on the other half of the members before them."""
    booster = replace(settings.booster, seed=seed, n_jobs=settings.n_jobs)
    categories = learn_categories(LOAN_FEATURES, table.iloc[earlier.rows])
    binned = BinnedMatrix(
        encode(LOAN_FEATURES, table, categories), LOAN_FEATURES.feature_names, LOAN_FEATURES.category_names, booster
    )
    learnt, asked = (member_fold(one.members, 2, salt=TWIN_SALT) for one in (earlier, judged))
    found = np.empty(len(judged.rows))
    for half in (0, 1):
        places = np.flatnonzero(asked == half)
        some = judged.take(places)
        twin, _ = fit_target(earlier.take(np.flatnonzero(learnt != half)), binned, booster, settings, seed=seed)
        found[places] = twin.probability(
            binned.matrix[some.rows], some.past_due_days, some.day_of_year, some.climate_expected
        )
    return found


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
    worse = _surely_worse(evidence)
    if worse is not None:
        return worse
    if age <= 0:
        return Verdict(
            True,
            "same_date",
            "Se entrenó de nuevo con los datos de la misma fecha.",
            "It was trained again on the data of the same date.",
            evidence,
        )
    if age >= rule.max_age_days:
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
    return _compared(evidence, rule, age)


def held(verdict: Verdict, hold: tuple[str, str] | None) -> Verdict:
    """The verdict on a champion that a person's rollback holds: no promotion, and what the rule would have said.

    Args:
        verdict: the rule's.
        hold: why it is held, in Spanish and English (:func:`models.registry.hold_of`); None when it is not.
    """
    if hold is None or not verdict.promote or verdict.code in {"columns", "first"}:
        return verdict
    reason_es, reason_en = held_reason(hold, (verdict.reason_es, verdict.reason_en))
    return replace(verdict, promote=False, code="held", reason_es=reason_es, reason_en=reason_en)


def held_reason(hold: tuple[str, str], why: tuple[str, str]) -> tuple[str, str]:
    """Why a version that the rule would have chosen stays a challenger: the hold, then what the rule said; (es, en).

    >>> held_reason(("Sigue.", "It stays."), ("El nuevo.", "The newest."))
    ('Sigue. La regla lo habría reemplazado: El nuevo.', 'It stays. The rule would have replaced it: The newest.')
    """
    return (
        f"{hold[0]} La regla lo habría reemplazado: {why[0]}",
        f"{hold[1]} The rule would have replaced it: {why[1]}",
    )


def _surely_worse(evidence: Evidence | None) -> Verdict | None:
    """The refusal of a twin that is worse by the whole interval; None where it is not, or nothing tells."""
    less = evidence.difference.get("log_loss") if evidence else None
    if evidence is None or less is None or less["low"] <= 0:
        return None
    es, en = _interval(less)
    return Verdict(
        False,
        "surely_worse",
        f"Es peor con seguridad en datos que ninguno había visto: diferencia de log loss {es}; el actual sigue, tenga "
        "la edad que tenga. Revise qué cambió en los datos desde que se entrenó el actual (extracción, fechas, mora) y "
        "las alarmas de variables; corríjalo y entrene de nuevo, o apruebe el nuevo a mano con su motivo.",
        f"It is surely worse on data that neither had seen: difference of log loss {en}; the present one stays, "
        "whatever its age. See what changed in the data since the present one was trained (extract, dates, arrears) "
        "and the alarms of features; mend it and train again, or approve the new one by hand with its reason.",
        evidence,
    )


def _compared(evidence: Evidence, rule: PromotionRule, age: int) -> Verdict:
    error = evidence.champion["ece"]
    if error["low"] > rule.max_ece:
        return Verdict(
            True,
            "calibration",
            f"El error de calibración del actual en datos nuevos es {_es(error['value'])}, con seguridad sobre el "
            f"límite de {_es(rule.max_ece)}.",
            f"The present one's calibration error on new data is {error['value']:.4f}, surely above the limit of "
            f"{rule.max_ece}.",
            evidence,
        )
    early = evidence.early_warning.difference.get("log_loss") if evidence.early_warning else None
    if early is not None and early["low"] > 0:
        es, en = _interval(early)
        return Verdict(
            False,
            "early_worse",
            f"En la alerta temprana es peor con seguridad: diferencia de log loss {es}; el actual sigue.",
            f"It is surely worse at early warning: difference of log loss {en}; the present one stays.",
            evidence,
        )
    less = evidence.difference["log_loss"]
    es, en = _interval(less)
    if less["high"] < 0 if rule.proof == "certain" else less["value"] < 0:
        return Verdict(
            True,
            "better",
            f"Mejor en datos que ninguno había visto: diferencia de log loss {es}.",
            f"Better on data that neither had seen: difference of log loss {en}.",
            evidence,
        )
    is_equal = less["low"] <= 0 and less["value"] <= rule.tolerance * evidence.champion["log_loss"]["value"]
    if is_equal and age >= rule.prefer_newer_after_days:
        return Verdict(
            True,
            "newer",
            f"Iguales en datos que ninguno había visto (diferencia de log loss {es}), y el actual tiene {age} días: se "
            "usa el de calibración más nueva.",
            f"Equal on data that neither had seen (difference of log loss {en}), and the present one is {age} days "
            "old: the one with the newer calibration is used.",
            evidence,
        )
    return Verdict(
        False,
        "not_better",
        f"No es mejor en datos que ninguno había visto: diferencia de log loss {es}; el actual sigue.",
        f"Not better on data that neither had seen: difference of log loss {en}; the present one stays.",
        evidence,
    )


def _interval(found: dict[str, float]) -> tuple[str, str]:
    value, low, high = found["value"], found["low"], found["high"]
    return f"{_es(value)} ({_es(low)} a {_es(high)})", f"{value:.4f} ({low:.4f} to {high:.4f})"


def _es(value: float) -> str:
    return f"{value:.4f}".replace(".", ",")
