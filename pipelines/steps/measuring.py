"""What Python measures on models and decisions, as rows of the long table of KPIs."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import pandas as pd

from models.default_risk.climate import climate_measures
from models.default_risk.promotion import challenger_measures
from models.default_risk.score import BoostedTarget, DefaultRiskModel
from models.features import CUSTOMER_FEATURES, LOAN_FEATURES
from models.limits import Alarm, ModelLimits, alarms, load_limits
from models.monitoring import (
    QUALITY_CODES,
    Measured,
    drift,
    matured_measures,
    model_quality,
    plan_value,
    risk_measures,
)
from pipelines.day import Day
from pipelines.steps.champions import CHANNEL_MODEL, RISK_MODEL, champion
from pipelines.steps.decided import decided_columns, store_decided
from pipelines.steps.deciding import holidays_of
from pipelines.steps.experimenting import measure_experiments
from pipelines.steps.feature_rows import climate_of, feature_rows
from puntual.contracts.schema import load_contract
from puntual.errors import ModelError
from puntual.kpis import analytic_data, analytic_lists, analytic_recovery
from puntual.kpis.values import PERIODS, KpiValues, period_start

LOOKBACK_DAYS = 91
"""Collectors, agencies and drawn contacts are judged over the decisions of so many days whose window has passed."""
_FOLLOW_UP_DAYS = 50

log = logging.getLogger(__name__)


def measure_day(day: Day) -> dict[str, Any]:
    """Measure the date and store its rows in ``measured.kpi_values``; the rows of other dates stay.

    What cannot be measured has no row there and its reason in ``measured.kpi_status``.
    """
    day.require_built()
    values = KpiValues(day.as_of)
    with day.warehouse.connection():
        _measure_recovery(values, day)
        _measure_lists(values, day)
        found = _measure_models(values, day)
        _measure_data(values, day)
        measure_experiments(values, day)
        rows = store_decided(day.warehouse, "measured.kpi_values", values.frame(), day.as_of)
        store_decided(day.warehouse, "measured.kpi_status", values.status(), day.as_of)
    return {
        "rows": rows,
        "kpis": len({row["kpi_code"] for row in values.rows}),
        "without_value": len(values.reasons),
        "model_alarms": sum(alarm.severity == "alarm" for alarm in found),
        "model_warnings": sum(alarm.severity == "warning" for alarm in found),
    }


def _measure_recovery(values: KpiValues, day: Day) -> None:
    window = day.settings.decision.response_window_days
    last = day.as_of - timedelta(days=window)
    decided = _decided(day, day.as_of, day.as_of, "true")
    month = _decided(day, period_start(day.as_of, "month") - timedelta(days=window), last, "true")
    analytic_recovery.expected_recovery(values, decided, month)
    totals = day.warehouse.read_table(
        "ml.recovery_totals", where={"as_of_date": day.as_of}, order_by=["grain_code", "branch_id", "segment_code"]
    )
    analytic_recovery.horizon_recovery(values, totals)
    for period in reversed(PERIODS):
        first = period_start(day.as_of, period) - timedelta(days=window)
        analytic_recovery.recovery_against_expected(values, month[month["as_of_date"] >= pd.Timestamp(first)], period)
    since = last - timedelta(days=LOOKBACK_DAYS - 1)
    issued = _decided(day, since, last, "(decisions.action <> 'none' or decisions.is_exploration)")
    explored = issued[issued["is_exploration"].astype(bool)]
    explored = explored.merge(_draws(day, since, last), on=["as_of_date", "customer_id"], how="inner")
    chosen = issued[issued["action"] != "none"]
    analytic_recovery.incremental_recovery(values, explored, len(chosen))
    analytic_recovery.uplift(values, explored)
    collectors = day.warehouse.read_table("marts.dim_collectors", ["collector_id", "agency"])
    analytic_recovery.collector_effectiveness(values, chosen, collectors, window)


def _decided(day: Day, first: date, last: date, condition: str) -> pd.DataFrame:
    """Decisions of the dates from ``first`` to ``last`` with their scores and what was paid within the window."""
    frame = day.warehouse.read(
        f"""
        with chosen as (
            select * from decisions.decisions
            where decisions.as_of_date between {{}} and {{}} and {condition}
        ),
        scores as (
            select chosen.as_of_date, chosen.customer_id, max(channel_scores.pay_probability) as pay_probability,
                max(channel_scores.expected_amount) as expected_amount
            from chosen
            inner join ml.channel_scores
                on chosen.as_of_date = channel_scores.as_of_date and chosen.customer_id = channel_scores.customer_id
            where channel_scores.as_of_date between {{}} and {{}}
            group by chosen.as_of_date, chosen.customer_id
        ),
        paid as (
            select chosen.as_of_date, chosen.customer_id, sum(payments.payment_amount) as paid_amount
            from chosen
            inner join marts.fct_payments as payments
                on chosen.customer_id = payments.customer_id
                and payments.paid_date > chosen.as_of_date
                and payments.paid_date <= chosen.as_of_date + {day.settings.decision.response_window_days}
            group by chosen.as_of_date, chosen.customer_id
        )
        select chosen.as_of_date, chosen.customer_id, chosen.action, chosen.collector_id, chosen.is_exploration,
            chosen.blocked_by, chosen.expected_gain_amount, chosen.arrears_amount, customers.branch_id,
            branches.province, segments.segment_code, scores.pay_probability, scores.expected_amount,
            coalesce(paid.paid_amount, 0) as paid_amount
        from chosen
        left join scores on chosen.as_of_date = scores.as_of_date and chosen.customer_id = scores.customer_id
        left join paid on chosen.as_of_date = paid.as_of_date and chosen.customer_id = paid.customer_id
        left join marts.dim_customers as customers on chosen.customer_id = customers.customer_id
        left join marts.dim_branches as branches on customers.branch_id = branches.branch_id
        left join reference.segments as segments
            on chosen.past_due_days >= segments.min_days
            and (segments.max_days is null or chosen.past_due_days <= segments.max_days)
        order by chosen.as_of_date, chosen.customer_id
        """,
        [first, last, first, last],
    )
    return frame.assign(
        # Money that went back beyond what came in is no recovery of the window.
        paid_amount=frame["paid_amount"].astype(float).clip(lower=0.0),
        pay_probability=frame["pay_probability"].astype(float),
        expected_amount=frame["expected_amount"].astype(float),
        expected_gain_amount=frame["expected_gain_amount"].astype(float),
    )


def _draws(day: Day, first: date, last: date) -> pd.DataFrame:
    """Of each drawn member: the probability of any contact, whether one was drawn, and the gain expected of the draw.

    A draw that found no capacity left counts as a contact: who is judged is who was drawn.
    """
    return day.warehouse.read(
        """
        select decisions.as_of_date, decisions.customer_id,
            sum(details.explore_probability) as drawn_contact_probability,
            sum(details.explore_probability * details.gain_amount)
                / nullif(sum(details.explore_probability), 0) as drawn_gain_amount,
            max(case
                when decisions.action <> 'none' or decisions.blocked_by like '%%exploration_overflow%%' then 1 else 0
            end) as was_drawn_contact
        from decisions.decisions
        inner join decisions.details
            on decisions.as_of_date = details.as_of_date and decisions.customer_id = details.customer_id
        where decisions.is_exploration and decisions.as_of_date between {} and {}
        group by decisions.as_of_date, decisions.customer_id
        """,
        [first, last],
    )


def _measure_lists(values: KpiValues, day: Day) -> None:
    warehouse = day.warehouse
    since = day.as_of - timedelta(days=_FOLLOW_UP_DAYS)
    attempts = warehouse.read(
        "select customer_id, occurred_date, is_attempt, outcome_code from marts.fct_interactions"
        " where occurred_date > {} order by interaction_id",
        [since],
    )
    grace = day.settings.arrears.promise_grace_days
    broken = warehouse.read(
        f"select customer_id, due_date + {grace} as grace_end_date from marts.fct_promises"
        " where promise_status_code in ('broken', 'partly_kept') and due_date > {} order by promise_id",
        [since],
    )
    holidays = holidays_of(day)
    for period in reversed(PERIODS):
        analytic_lists.follow_ups(
            values,
            attempts[attempts["outcome_code"] == "callback"],
            broken,
            attempts[attempts["is_attempt"].astype(bool)],
            period,
            first=period_start(day.as_of, period),
            is_holiday=holidays.is_blocked,
        )
    decided = warehouse.read_table("decisions.decisions", where={"as_of_date": day.as_of}, order_by=["customer_id"])
    details = warehouse.read_table(
        "decisions.details", ["channel_code", "is_allowed", "blocked_by"], where={"as_of_date": day.as_of}
    )
    found = warehouse.read_table("decisions.summaries", ["summary"], where={"as_of_date": day.as_of})["summary"]
    summary: dict[str, Any] = json.loads(found.iloc[0]) if len(found) else {}
    prices = warehouse.read_table("decisions.prices", where={"as_of_date": day.as_of}, order_by=["capacity_name"])
    analytic_lists.violations(values, summary)
    analytic_lists.blocked_contacts(values, details)
    analytic_lists.allocation(values, summary, prices)
    previous = warehouse.read(
        "select max(as_of_date) as day from decisions.decisions where as_of_date < {}", [day.as_of]
    )
    when = previous["day"].iloc[0]
    before = (
        decided.iloc[:0]
        if pd.isna(when)
        else warehouse.read_table("decisions.decisions", where={"as_of_date": pd.Timestamp(when).date()})
    )
    analytic_lists.steadiness(values, decided[decided["action"] != "none"], before[before["action"] != "none"])
    groups = warehouse.read_table("reference.fairness_groups", order_by=["attribute_code"])["attribute_code"].tolist()
    members = warehouse.read_table("marts.dim_customers", ["customer_id", *groups])
    analytic_lists.evenness(values, decided.merge(members, on="customer_id", how="left"), groups)


def _measure_models(values: KpiValues, day: Day) -> list[Alarm]:
    found: list[Alarm] = []
    said = [_measure_default_risk(values, day, found), _measure_channels(values, day)]
    store_alarms(day, found)
    if not any(said):
        for code in QUALITY_CODES.values():
            values.off(
                code,
                "Ningún modelo tiene puntajes madurados suficientes ni una ficha con su calidad.",
                "No model has enough matured scores, nor a card that says how good it is.",
            )
    if not any(row["kpi_code"] == "K88" for row in values.rows):
        values.off(
            "K88",
            "Los modelos en vigor se entrenaron sin guardar la distribución de sus datos; vuelva a entrenar.",
            "The models in force were trained without keeping how their data were spread; train again.",
        )
    return found


def store_alarms(day: Day, found: list[Alarm]) -> None:
    """Make the alarms of the date exactly these, in ``measured.model_alarms``."""
    columns = [name for name in decided_columns("measured.model_alarms") if name != "as_of_date"]
    rows = pd.DataFrame([one.row() for one in found], columns=columns).assign(as_of_date=day.as_of)
    store_decided(day.warehouse, "measured.model_alarms", rows, day.as_of)


def _measure_default_risk(values: KpiValues, day: Day, found: list[Alarm]) -> bool:
    model = champion(day, RISK_MODEL)
    if model is None:
        return False
    settings, said = day.settings.default_risk, False
    limits = load_limits(RISK_MODEL, day.home.policies)
    for target, days, horizon in (
        ("default", settings.past_due_days, settings.horizon_days),
        ("early_warning", settings.early_past_due_days, settings.early_horizon_days),
    ):
        scores = matured_risk(day, target, days, horizon)
        outcome, probability = (scores[name].to_numpy(dtype=float) for name in ("outcome", "probability"))
        said |= model_quality(values, target, outcome, probability, _quality_card(model.card, target))
        found += matured_risk_alarms(day, model, target, scores, limits)
    features = feature_rows(day, LOAN_FEATURES, "is_score", model.willingness_version)
    # What the model learnt from is below the threshold.
    features = features[features["past_due_days"] < settings.past_due_days].reset_index(drop=True)
    scores = day.warehouse.read_table(
        "ml.default_risk_scores", ["loan_id", "default_probability"], where={"as_of_date": day.as_of}
    ).set_index("loan_id")
    reference = model.card.get("targets", {}).get("default", {}).get("reference")
    score = scores["default_probability"].reindex(features["loan_id"]).to_numpy(dtype=float)
    drift(values, RISK_MODEL, reference, LOAN_FEATURES, features, model.categories, score)
    today = risk_measures(reference, LOAN_FEATURES, features, model.categories, score)
    today += _climate(day, model)
    found += alarms(limits, RISK_MODEL, "default", [*today, *_refused_challenger(day)], version=model.version)
    return said


def matured_risk_alarms(
    day: Day, model: DefaultRiskModel, target: str, scores: pd.DataFrame, limits: ModelLimits
) -> list[Alarm]:
    """What matured scores say of the version that made them, which is seldom the champion of today.

    They are held against that version's own card, and name it. An alarm of a version that is no longer in force asks
    for no training: a new model would not mend it, and the champion may be in order.

    Args:
        day: the business date; its registry has the cards.
        model: the champion of the date.
        target: ``default`` or ``early_warning``.
        scores: rows of :func:`matured_risk`; loans of one member are one piece of evidence.
        limits: the limits of default risk.
    """
    found: list[Alarm] = []
    for version, made in scores.groupby("model_version", sort=True):
        is_champion = version == model.version
        card = model.card if is_champion else _card_of(day, str(version))
        measured = matured_measures(
            made["outcome"].to_numpy(dtype=float),
            made["probability"].to_numpy(dtype=float),
            _quality_card(card, target),
            made["customer_id"].to_numpy(),
        )
        found += alarms(limits, RISK_MODEL, target, measured, version=str(version), is_in_force=is_champion)
    return found


def _quality_card(card: Mapping[str, Any], target: str) -> Mapping[str, Any] | None:
    found: Mapping[str, Any] | None = card.get("targets", {}).get(target, {}).get("evaluation", {}).get("quality")
    return found


def _card_of(day: Day, version: str) -> Mapping[str, Any]:
    """The card of a registered version; empty where its files are gone: what needs none is measured all the same."""
    try:
        card: Mapping[str, Any] = day.registry.load(RISK_MODEL, version).card
    except ModelError as error:
        log.warning("default_risk: matured scores of version %s have no card to be held against: %s", version, error)
        return {}
    return card


def _climate(day: Day, model: DefaultRiskModel) -> list[Measured]:
    target = model.targets["default"]
    if not isinstance(target, BoostedTarget) or not target.climate.slope:
        return []
    climate = climate_of(day, model.willingness_version)
    return climate_measures(target.climate, climate, day.as_of, model.settings.horizon_days)


def _refused_challenger(day: Day) -> list[Measured]:
    """How much worse the newest training is, when the rule refused it as surely worse; nothing otherwise."""
    trained = [row for row in day.registry.list(RISK_MODEL) if row["trained_as_of"] <= day.as_of.isoformat()]
    if not trained:
        return []
    newest = max(trained, key=lambda row: row["trained_as_of"])
    promotion = day.registry.load(RISK_MODEL, newest["version"]).card.get("promotion") or {}
    return challenger_measures(promotion.get("code", ""), promotion.get("evidence"))


def matured_risk(day: Day, target: str, past_due_days: int, horizon: int) -> pd.DataFrame:
    """Scores of the newest date whose horizon has passed, of loans below the threshold then, and what came of them.

    One row per loan: ``loan_id``, ``customer_id``, ``model_version`` (that which made the score), ``probability`` and
    ``outcome`` (1 or 0).
    """
    last = day.as_of - timedelta(days=horizon)
    newest = day.warehouse.read(
        "select max(as_of_date) as day from ml.default_risk_scores where as_of_date <= {}", [last]
    )
    when = newest["day"].iloc[0]
    if pd.isna(when):
        return pd.DataFrame(columns=["loan_id", "customer_id", "model_version", "probability", "outcome"])
    return day.warehouse.read(
        f"""
        select scores.loan_id, loans.customer_id, scores.model_version, scores.{target}_probability as probability,
            max(case
                when spans.due_date + {past_due_days} < spans.past_due_to_date
                    and spans.due_date + {past_due_days} <= scores.as_of_date + {horizon}
                    and spans.past_due_from_date <= scores.as_of_date + {horizon}
                then 1 else 0 end) as outcome
        from ml.default_risk_scores as scores
        inner join marts.dim_loans as loans on scores.loan_id = loans.loan_id
        left join intermediate.int_installments__past_due_spans as spans
            on scores.loan_id = spans.loan_id and spans.past_due_to_date > scores.as_of_date
        where scores.as_of_date = {{}}
        group by scores.loan_id, loans.customer_id, scores.model_version, scores.{target}_probability
        having max(case
            when spans.past_due_from_date <= scores.as_of_date
                and spans.due_date + {past_due_days} <= scores.as_of_date then 1 else 0 end) = 0
        order by scores.loan_id
        """,
        [pd.Timestamp(when).date()],
    )


def _measure_channels(values: KpiValues, day: Day) -> bool:
    model = champion(day, CHANNEL_MODEL)
    if model is None:
        for code in ("K90", "K90_AGAINST_HABIT", "K90_ESS", "K90_OVERLAP"):
            values.off(
                code,
                "No hay modelo de canales en vigor para la fecha.",
                "No channel model is in force for the date.",
            )
        return False
    plan_value(values, model.card)
    last = day.as_of - timedelta(days=day.settings.decision.response_window_days)
    matured = _decided(day, last - timedelta(days=30), last, "true")
    # Whether somebody pays when left alone is known of those alone who were.
    alone = matured[(matured["action"] == "none") & matured["pay_probability"].notna()]
    said = model_quality(
        values,
        "payment",
        (alone["paid_amount"] > 0).to_numpy(dtype=float),
        alone["pay_probability"].to_numpy(dtype=float),
        None,
    )
    features = feature_rows(day, CUSTOMER_FEATURES, "is_score", model.willingness_version)
    features = features[features["is_eligible"].astype(bool)].reset_index(drop=True)
    drift(values, CHANNEL_MODEL, model.card.get("reference"), CUSTOMER_FEATURES, features, model.categories, None)
    return said


def _measure_data(values: KpiValues, day: Day) -> None:
    newest: dict[str, date | None] = {}
    for name, table in load_contract().items():
        dated = [column.name for column in table.columns if column.not_future and column.required]
        if not dated or not day.warehouse.table_exists(f"raw.{name}"):
            continue
        found = day.warehouse.read(
            f"select max({dated[0]}) as newest from raw.{name} where not coalesce(_is_deleted, false)"
        )
        when = found["newest"].iloc[0]
        newest[name] = None if pd.isna(when) else min(pd.Timestamp(when).date(), day.as_of)
    analytic_data.freshness(values, newest)
    loads = day.warehouse.read(
        "select table_name, row_count, rejected_count, superseded_count from raw.loads"
        " where load_id = (select max(load_id) from raw.loads where as_of_date <= {})",
        [day.as_of],
    )
    analytic_data.rejected_rows(values, loads)
