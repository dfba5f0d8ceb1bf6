"""Training of default risk: matured labels, monotone trees, calibration on people that the trees did not see."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any

import lightgbm as lgb
import numpy as np
import pandas as pd

from models.calibration import choose_calibration
from models.datasets import member_fold, training_rows
from models.default_risk.card import build_card
from models.default_risk.climate import STAGES, at_calibration, expected_climate, fit_climate
from models.default_risk.evaluate import DEFAULT_SEGMENTS, Segments
from models.default_risk.score import TARGETS, BoostedTarget, CurveTarget, DefaultRiskModel, TargetModel
from models.default_risk.settings import DefaultRiskSettings
from models.estimators import BinnedMatrix, BoosterSettings, raw_score
from models.features import LOAN_FEATURES, check_spec, encode, learn_categories
from models.seasons import fit_season, season_left_over
from models.willingness.climate import Climate

PRIOR_PLACES = (0.0, 0.01, 0.1, 0.25, 0.5, 0.75, 1.0)
PRIOR_PROBABILITIES = (0.02, 0.04, 0.09, 0.18, 0.38, 0.60, 0.90)
"""Expected probability by past-due days as a share of the threshold, for a book about which nothing is known yet.

A judgement in the range of roll rates that consumer and microcredit lenders publish; it only orders loans sensibly
until labels have matured, and the card calls it ``prior``.
"""
PRIOR_WEIGHT = 20.0
"""How many loans of a bucket it takes to weigh as much as the prior."""


@dataclass(frozen=True)
class TargetRows:
    """The matured rows of one target: places in the training frame, outcome, and what they are grouped by.

    ``climate_expected`` (two columns: level and variance) is the payment climate of the horizon as it was expected on
    the row's date; NaN where there is none.
    """

    name: str
    rows: np.ndarray
    outcome: np.ndarray
    dates: pd.Series
    members: pd.Series
    loans: pd.Series
    past_due_days: np.ndarray
    day_of_year: np.ndarray
    climate_expected: np.ndarray
    threshold: int
    horizon_days: int
    climate: Climate | None = None

    def climate_ahead(self) -> np.ndarray:
        """What the payment climate of every row's horizon then was, by no week after the last horizon; or NaN."""
        if self.climate is None or not len(self.rows):
            return np.full(len(self.rows), np.nan)
        last = self.dates.max() + pd.Timedelta(days=self.horizon_days)
        return self.climate.until(last.date()).ahead(self.dates, self.horizon_days)

    @property
    def event_loan_count(self) -> int:
        """Different loans with the event: rows of one loan on many dates are one piece of evidence."""
        return int(self.loans[self.outcome > 0].nunique())

    def take(self, places: np.ndarray) -> TargetRows:
        """The same target on some of its rows."""
        return replace(
            self,
            rows=self.rows[places],
            outcome=self.outcome[places],
            dates=self.dates.iloc[places],
            members=self.members.iloc[places],
            loans=self.loans.iloc[places],
            past_due_days=self.past_due_days[places],
            day_of_year=self.day_of_year[places],
            climate_expected=self.climate_expected[places],
        )


def train(
    features: pd.DataFrame,
    labels: pd.DataFrame,
    *,
    as_of: date,
    settings: DefaultRiskSettings | None = None,
    seed: int = 0,
    people: pd.DataFrame | None = None,
    segments: Segments = DEFAULT_SEGMENTS,
    climate: Climate | None = None,
) -> DefaultRiskModel:
    """Both targets trained on everything that has matured by ``as_of``, with a card that says how good they are.

    Args:
        features: rows of ``feat_loan__as_of``; those with ``is_risk_training`` are used.
        labels: rows of ``label_loan__default``.
        as_of: the run's date; a label counts when its whole horizon lies on or before it.
        settings: thresholds, horizons and size of the model.
        seed: seed of everything drawn.
        people: customer_id with protected attributes, read for the card's disparity report and for nothing else.
        segments: code and first past-due day of the institution's segments, for the card's calibration by group.
        climate: the payment climate of the weeks up to ``as_of``, of the willingness that the features carry; without
            it a model stands at the level of the times of its newest matured labels.

    A target is ``boosted`` when at least ``least_event_loans`` loans had the event; else a ``curve`` over past-due days
    drawn to a written prior; else, without any matured label, the ``prior`` alone. The card says which and why.

    Raises:
        ModelError: the columns are not those of the tables, a key repeats, or a row is later than ``as_of``.
    """
    found = fit(features, labels, as_of=as_of, settings=settings, seed=seed, climate=climate)
    return found.with_card(people=people, segments=segments)


@dataclass(frozen=True)
class Fitted:
    """A fitted model without its card, and the rows that it learnt from, on which a card can be measured."""

    model: DefaultRiskModel
    parts: dict[str, TargetRows]
    notes: dict[str, dict[str, Any]]
    table: pd.DataFrame
    binned: BinnedMatrix | None
    booster: BoosterSettings
    seed: int
    climate: Climate | None = None

    def with_card(
        self, *, people: pd.DataFrame | None = None, segments: Segments = DEFAULT_SEGMENTS
    ) -> DefaultRiskModel:
        """The model with its card: the same procedure judged on later dates, back-tests, shapes, reference."""
        card = build_card(
            self.model,
            self.parts,
            self.notes,
            self.table,
            self.binned,
            self.booster,
            fit=fit_boosted,
            seed=self.seed,
            people=people,
            segments=segments,
            climate=self.climate,
        )
        return replace(self.model, card=card)


def fit(
    features: pd.DataFrame,
    labels: pd.DataFrame,
    *,
    as_of: date,
    settings: DefaultRiskSettings | None = None,
    seed: int = 0,
    climate: Climate | None = None,
) -> Fitted:
    """Both targets, fitted and calibrated; what :func:`train` does before the card, with the same arguments."""
    check_spec(LOAN_FEATURES)
    settings = settings or DefaultRiskSettings()
    booster = replace(settings.booster, seed=seed, n_jobs=settings.n_jobs)
    rows = training_frame(features, labels, as_of=as_of)
    whole = [target_rows(rows, target, as_of=as_of, settings=settings).rows for target in TARGETS]
    rows = rows.iloc[np.union1d(*whole)].reset_index(drop=True)
    table = rows.loc[:, list(LOAN_FEATURES.names)]
    categories = learn_categories(LOAN_FEATURES, table)
    parts = {target: target_rows(rows, target, as_of=as_of, settings=settings, climate=climate) for target in TARGETS}
    binned: BinnedMatrix | None = None
    if any(part.event_loan_count >= settings.least_event_loans for part in parts.values()):
        matrix = encode(LOAN_FEATURES, table, categories)
        binned = BinnedMatrix(matrix, LOAN_FEATURES.feature_names, LOAN_FEATURES.category_names, booster)
    targets: dict[str, TargetModel] = {}
    notes: dict[str, dict[str, Any]] = {}
    for target, part in parts.items():
        targets[target], notes[target] = fit_target(part, binned, booster, settings, seed=seed)
    return Fitted(
        DefaultRiskModel(as_of, settings, categories, targets), parts, notes, table, binned, booster, seed, climate
    )


def training_frame(features: pd.DataFrame, labels: pd.DataFrame, *, as_of: date) -> pd.DataFrame:
    """The rows of both targets: those with ``is_risk_training``, beside their labels, in the order of date and loan.

    Raises:
        ModelError: the columns are not those of the table, a key repeats, or a row is later than ``as_of``.
    """
    return training_rows(
        LOAN_FEATURES.check(features),
        labels,
        on=("as_of_date", "loan_id"),
        flags=("is_risk_training",),
        as_of=as_of,
        model="default_risk",
    )


def target_rows(
    rows: pd.DataFrame,
    target: str,
    *,
    as_of: date,
    settings: DefaultRiskSettings,
    climate: Climate | None = None,
) -> TargetRows:
    """The matured rows of a target: below its threshold at T, and with T + horizon on or before ``as_of``."""
    if target == "default":
        below, event, matured = "is_below_threshold", "is_default", "is_matured"
        threshold, horizon = settings.past_due_days, settings.horizon_days
    else:
        below, event, matured = "is_below_early", "is_early_default", "is_early_matured"
        threshold, horizon = settings.early_past_due_days, settings.early_horizon_days
    whole = rows["as_of_date"] + pd.Timedelta(days=horizon) <= pd.Timestamp(as_of)
    keep = np.flatnonzero(whole & rows[below].fillna(False).astype(bool) & rows[matured].fillna(False).astype(bool))
    chosen = rows.iloc[keep]
    dates = chosen["as_of_date"]
    return TargetRows(
        name=target,
        rows=keep,
        outcome=chosen[event].fillna(False).to_numpy(dtype=float),
        dates=dates,
        members=chosen["customer_id"],
        loans=chosen["loan_id"],
        past_due_days=chosen["past_due_days"].fillna(0).to_numpy(dtype=float),
        day_of_year=chosen["day_of_year"].to_numpy(dtype=float),
        climate_expected=expected_climate(climate, dates, horizon),
        threshold=threshold,
        horizon_days=horizon,
        climate=climate,
    )


def fit_target(
    part: TargetRows,
    binned: BinnedMatrix | None,
    booster: BoosterSettings,
    settings: DefaultRiskSettings,
    *,
    seed: int,
) -> tuple[TargetModel, dict[str, Any]]:
    """The best kind of model that the matured rows can carry, and what to say about it."""
    events = part.event_loan_count
    if binned is not None and events >= settings.least_event_loans and part.outcome.min() < 1:
        return fit_boosted(part, binned, booster, settings, seed=seed)
    if len(part.rows):
        reason = f"{events} loans with the event among the matured rows, fewer than {settings.least_event_loans}"
        return fit_curve(part), {"kind": "curve", "reason": reason}
    return prior_curve(part.threshold), {"kind": "prior", "reason": "no label has matured yet"}


def fit_boosted(
    part: TargetRows, binned: BinnedMatrix, booster: BoosterSettings, settings: DefaultRiskSettings, *, seed: int
) -> tuple[BoostedTarget, dict[str, Any]]:
    """Trees on all rows of the part, calibrated on its newest dates.

    1. The season is learnt when the dates span a year; the trees grow on top of it, and of what the payment climate of
       each row's horizon made easier or harder for everybody.
    2. Two boosters, each on half of the members, score the other half: scores of people whom the trees did not see.
    3. The season of what these scores leave over is added. Arrears and missed payments tell of the season that has
       been, the outcome of the one to come: trees on them undo a part of the season, and more than that.
    4. The kind of calibration is chosen on the newest third of the dates in the order of time: fitted on the earlier
       half of them, judged on the later half by other members. The chosen kind is then fitted on all of that third: the
       newest level that labels know.
    5. The trees are grown again on everything, on top of the first season and the climate.
    """
    days = np.sort(part.dates.unique())
    newest = days[-max(1, round(len(days) / 3)) :]
    fold = member_fold(part.members, 2)
    half_size = replace(settings, event_rows=settings.event_rows // 2, quiet_rows=settings.quiet_rows // 2)
    grown = replace(booster, min_rows_in_leaf=int(np.clip(len(part.rows) // 200, 10, booster.min_rows_in_leaf)))
    span = int((days[-1] - days[0]) / np.timedelta64(1, "D"))
    season = fit_season(part.day_of_year, part.outcome, span_days=span)
    ahead = part.climate_ahead()
    climate = fit_climate(part, ahead, binned, seed=seed)
    shift = season.log_odds(part.day_of_year) + climate.log_odds(ahead)
    score = np.full(len(part.rows), np.nan)
    for half in (0, 1):
        learn, judge = np.flatnonzero(fold != half), np.flatnonzero(fold == half)
        if len(judge) and len(learn):
            trees = _grow(part.take(learn), binned, shift[learn], grown, half_size, seed=seed)
            score[judge] = raw_score(trees, binned.matrix[part.rows[judge]], n_jobs=settings.n_jobs) + shift[judge]
    here = np.flatnonzero(~np.isnan(score))
    left = season_left_over(
        part.dates.to_numpy()[here], part.day_of_year[here], part.outcome[here], score[here], span_days=span
    )
    score += left.log_odds(part.day_of_year)
    here = np.flatnonzero(~np.isnan(score) & part.dates.isin(newest).to_numpy())
    calibration, losses = choose_calibration(
        score[here],
        part.outcome[here],
        member_fold(part.members.iloc[here], 5, salt=2),
        dates=part.dates.to_numpy()[here],
    )
    climate = at_calibration(
        climate, calibration.apply(score[here] - climate.log_odds(ahead[here])), ahead[here], part.outcome[here]
    )
    trees = _grow(part, binned, shift, grown, settings, seed=seed)
    season = season + left
    note = {
        "kind": "boosted",
        "season": season.coefficients,
        "calibration": calibration.kind,
        "calibration_log_loss": losses,
        "calibration_dates": [pd.Timestamp(day).date() for day in newest],
        "climate": asdict(climate),
    }
    return BoostedTarget(trees, season, calibration, settings.n_jobs, climate=climate), note


def _grow(
    part: TargetRows,
    binned: BinnedMatrix,
    shift: np.ndarray,
    booster: BoosterSettings,
    settings: DefaultRiskSettings,
    *,
    seed: int,
) -> lgb.Booster:
    """Trees on top of ``shift``, on a draw of the rows with and of those without the event, weighted back."""
    random = np.random.default_rng(seed)
    places, weights = [], []
    for rows, most in (
        (np.flatnonzero(part.outcome > 0), settings.event_rows),
        (np.flatnonzero(part.outcome == 0), settings.quiet_rows),
    ):
        drawn = rows if len(rows) <= most else random.choice(rows, size=most, replace=False)
        places.append(drawn)
        weights.append(np.full(len(drawn), len(rows) / max(len(drawn), 1)))
    taken = np.concatenate(places)
    order = np.argsort(taken, kind="stable")
    taken, weight = taken[order], np.concatenate(weights)[order]
    return binned.grow(
        part.outcome[taken],
        rows=part.rows[taken],
        weight=weight,
        offset=shift[taken] if shift.any() else None,
        monotone=LOAN_FEATURES.monotone if binned.monotone is None else binned.monotone,
        settings=booster,
    )


def prior_curve(threshold: int) -> CurveTarget:
    """The written prior, stretched to the threshold in days."""
    return CurveTarget(tuple(place * threshold for place in PRIOR_PLACES), PRIOR_PROBABILITIES, "prior")


def fit_curve(part: TargetRows) -> CurveTarget:
    """Rate of the event by past-due bucket, drawn to the prior by ``PRIOR_WEIGHT`` loans, never falling.

    A loan that stands in a bucket on several dates counts once there, shared between its rows.
    """
    prior = prior_curve(part.threshold)
    edges = np.array(STAGES) * part.threshold
    bucket = np.searchsorted(edges, part.past_due_days, side="right")
    frame = pd.DataFrame({"bucket": bucket, "loan": part.loans.to_numpy(), "y": part.outcome})
    weight = 1.0 / frame.groupby(["bucket", "loan"])["y"].transform("size").to_numpy()
    count = np.bincount(bucket, weights=weight, minlength=len(edges) + 1)
    events = np.bincount(bucket, weights=weight * part.outcome, minlength=len(edges) + 1)
    ends = np.concatenate([[0.0], edges, [part.threshold]])
    centres = (ends[:-1] + ends[1:]) / 2
    centres[0] = 0.0
    expected = np.interp(centres, prior.days, prior.probabilities)
    rate = np.maximum.accumulate((events + PRIOR_WEIGHT * expected) / (count + PRIOR_WEIGHT))
    return CurveTarget(tuple(map(float, centres)), tuple(map(float, rate)), "curve")
