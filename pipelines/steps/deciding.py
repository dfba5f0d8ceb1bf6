"""Rules, value, capacity and assignment for the business date, and the checks that stand before publication."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd

from pipelines.day import Day
from pipelines.steps import campaigning
from pipelines.steps.arm_plans import AtStake, variants_of
from pipelines.steps.contact_facts import contact_facts, contact_points
from pipelines.steps.decided import ensure_decided, store_decided, store_outcome
from pipelines.steps.experimenting import store_taking_part, take_part
from pipelines.steps.judging import chosen_contacts, evidence, judged_digest, points_of
from puntual.audit.record import keep_inputs
from puntual.decision.checker import check, evidence_problems
from puntual.decision.decide import DecisionOutcome, decide
from puntual.decision.duties import overdue, owed
from puntual.decision.fees import chargeable, chargeable_channels
from puntual.decision.holiday_calendar import HolidayCalendar, shipped_holidays
from puntual.decision.owners import load_owner_rules, owners_file
from puntual.decision.policies import PolicySet, as_json, load_ladder, load_policies
from puntual.decision.raw_rules import differing_rule_files
from puntual.decision.rules import lookback_days
from puntual.decision.value import asks_for_more, stakes
from puntual.paths import POLICIES, SEEDS
from puntual.segments.members import members_before
from puntual.segments.registry import load_segments

EXIT_CHECKS = {
    "no_rule_violation": "A checker written apart finds no contact that a contact rule or a rule of owners forbids.",
    "probability_known": "Each has its probability, but for draws and members of experiments where it is unsure.",
    "one_row_per_eligible_member": "Everyone who owes something today or within the window has exactly one row.",
    "capacities_kept": "No capacity is used beyond what it has.",
    **campaigning.EXIT_CHECKS,
}

# Reasons and continuity look back half a year; a rule with a longer memory widens it.
_EVENT_DAYS = 200
_SHOWN_VIOLATIONS = 5
# An older list is nobody's work any more.
_EARLIER_DAYS = 7


@dataclass(frozen=True)
class DecidingOutcome:
    """What to log, and for each exit check the violations found (empty: passed)."""

    metadata: dict[str, Any]
    checks: dict[str, str]


def rules_of(day: Day) -> PolicySet:
    """The contact rules in force for the institution on the date."""
    institution = day.settings.institution
    return load_policies(
        POLICIES,
        day.home.policies,
        institution.country,
        day.as_of,
        currency=institution.currency,
        reading=day.settings.decision.reading,
        readings=day.settings.decision.readings,
    )


def holidays_of(day: Day) -> HolidayCalendar:
    """The shipped holidays of the institution's country, with those that it hands over itself on top."""
    own = day.warehouse.read_table("staging.stg_core__holidays").rename(columns={"holiday_date": "date"})
    country = day.settings.institution.country
    return shipped_holidays(SEEDS, country).with_frame(own, country)


def decide_day(day: Day) -> DecidingOutcome:
    """Decide for every eligible member and store decisions, details, prices and the summary of the date.

    Raises:
        RuleError: a policy is not valid, or the inputs cannot carry a decision.
        ExperimentError: an experiment is not valid, changed after it had begun, or asks for what the day cannot do.
    """
    day.require_built()
    warehouse, settings = day.warehouse, day.settings
    policies, holidays = rules_of(day), holidays_of(day)
    since = day.as_of - timedelta(days=max(_EVENT_DAYS, lookback_days(policies) + 3))
    with warehouse.connection():
        features = warehouse.read_table(
            "features.feat_customer__as_of", where={"is_score": True}, order_by=["customer_id"]
        )
        customers = warehouse.read_table("marts.dim_customers", order_by=["customer_id"])
        points = contact_points(day)
        # An opt-out and an open promise hold however old they are.
        interactions = warehouse.read(
            "select * from marts.fct_interactions where occurred_date > {} or outcome_code = 'opt_out'"
            " order by interaction_id",
            [since],
        )
        payments = warehouse.read("select * from marts.fct_payments where paid_date > {} order by payment_id", [since])
        promises = warehouse.read(
            "select * from marts.fct_promises where made_date > {} or promise_status_code = 'open' order by promise_id",
            [since],
        )
        collectors = warehouse.read_table("marts.dim_collectors", order_by=["collector_id"])
        channel_scores = warehouse.read_table(
            "ml.channel_scores", where={"as_of_date": day.as_of}, order_by=["customer_id", "channel_code"]
        )
        owners = warehouse.read_table("features.feat_loan__as_of", ["loan_id", "customer_id"], where={"is_score": True})
        default_risk = warehouse.read_table(
            "ml.default_risk_scores", where={"as_of_date": day.as_of}, order_by=["loan_id"]
        )
        default_risk = default_risk.merge(owners, on="loan_id", how="left")
        owner_rules = load_owner_rules(POLICIES, day.home.policies)
        segments = (
            members_before(
                load_segments(POLICIES, day.home.policies),
                owner_rules.segments,
                features,
                customers,
                default_risk,
                day.as_of,
            )
            if owner_rules.segments
            else None
        )
        taking_part = take_part(day, features)
        facts = contact_facts(day, policies, interactions)
        facts = replace(facts, templates=campaigning.told_of_templates_in_use(day, facts.templates))
        at_stake = _at_stake(day, payments, interactions, policies)
        variants = variants_of(day, taking_part.registered, taking_part.exposures, at_stake)
        reach_hours = None
        if any(channel.hour_bands for channel in settings.channels.values()):
            keys = ["channel_code", "segment", "weekday", "hour"]
            reach_hours = warehouse.read_table("ml.reach_hours", where={"as_of_date": day.as_of}, order_by=keys)
        ensure_decided(warehouse, "decisions.decisions")
        earlier = warehouse.read(
            "select as_of_date, customer_id, action, collector_id from decisions.decisions where as_of_date = ("
            "select max(as_of_date) from decisions.decisions where as_of_date < {} and as_of_date >= {})"
            " order by customer_id",
            [day.as_of, day.as_of - timedelta(days=_EARLIER_DAYS)],
        )
        duties, late = _duties(day, customers, interactions, policies, holidays, earlier)
    costs = campaigning.contact_costs(day)
    shared: dict[str, Any] = {
        "features": features,
        "collectors": collectors,
        "daily_capacity": {name: one.daily_capacity for name, one in settings.channels.items()},
        "channel_budgets": {
            name: one.daily_budget for name, one in settings.channels.items() if one.daily_budget is not None
        },
        "team_capacity": settings.team_capacity,
        "as_of": day.as_of,
        "timezone": settings.institution.timezone,
        "promise_grace_days": settings.arrears.promise_grace_days,
        "hour_bands": {name: one.hour_bands for name, one in settings.channels.items() if one.hour_bands} or None,
    }
    inputs: dict[str, Any] = dict(
        **shared,
        customers=customers,
        contact_points=points,
        interactions=interactions,
        promises=promises,
        payments=payments,
        holidays=holidays,
        facts=facts,
        channel_scores=None if channel_scores.empty else channel_scores,
        default_risk=default_risk,
        policies=policies,
        ladder=load_ladder(POLICIES, day.home.policies),
        owners=owner_rules,
        segments=segments,
        costs=costs,
        exploration_share=settings.decision.exploration_share,
        exploration_max_cost=settings.decision.exploration_max_cost,
        exploration_max_cost_share=settings.decision.exploration_max_cost_share,
        seed=settings.decision.seed,
        arms=taking_part.arms,
        stakes=at_stake.stakes,
        provision_weight=settings.decision.provision_weight,
        fee_weight=settings.decision.collection_fee_weight,
        daily_budget=settings.decision.daily_budget,
        duties=duties,
        overdue=late,
        earlier=earlier,
        stay_amount=settings.decision.stay_amount,
        stay_share=settings.decision.stay_share,
        reach_hours=reach_hours,
        hour_reach_weight=settings.decision.hour_reach_weight,
        owner_stay_gain=settings.decision.owner_stay_gain,
        actions_per_person=settings.decision.actions_per_person,
        second_action_share=settings.decision.second_action_share,
        second_after=settings.decision.second_after,
        variants=variants,
    )
    outcome = decide(**inputs)
    inputs_sha256 = keep_inputs(day.home, day.as_of, inputs)
    with warehouse.connection():
        store_outcome(warehouse, outcome, day.as_of)
        # From here on the checker: of what was read above it shares what members owe, and the collectors.
        proof = evidence(day)
        contacts = chosen_contacts(outcome.decisions, outcome.details, outcome.second_contacts)
        found = differing_rule_files(proof.rules, policies.digests) + check(
            outcome.decisions,
            **shared,
            **proof.arguments(),
            country=settings.institution.country,
            currency=settings.institution.currency,
            reading=settings.decision.reading,
            readings=settings.decision.readings,
            contact_point_ids=points_of(outcome.details),
            second_contacts=outcome.second_contacts,
            second_after=settings.decision.second_after,
            owners_file=owners_file(POLICIES, day.home.policies),
            segments=segments,
        )
        judged = {"violation_count": len(found), "judged_sha256": judged_digest(day, contacts, proof.rules)}
    checks = {
        "no_rule_violation": _first(found),
        "probability_known": _first(evidence_problems(outcome.decisions)),
        "one_row_per_eligible_member": _members_missed(outcome, features),
        "capacities_kept": _broken_capacities(outcome),
    }
    with warehouse.connection():
        _store_summary(day, outcome, {**judged, "inputs_sha256": inputs_sha256}, policies)
        store_taking_part(day, taking_part)
        checks |= campaigning.campaign_day(day, policies)
    summary = {key: value for key, value in outcome.summary.items() if isinstance(value, int | float | str)}
    return DecidingOutcome({**summary, "decisions": len(outcome.decisions)}, checks)


def _duties(
    day: Day,
    customers: pd.DataFrame,
    interactions: pd.DataFrame,
    policies: PolicySet,
    holidays: HolidayCalendar,
    earlier: pd.DataFrame,
) -> tuple[pd.DataFrame | None, pd.DataFrame | None]:
    """Contacts that a rule asks for, of every instalment that stands open: those owed, and those too late since the run
    before; None where there is nothing.
    """
    missed = day.warehouse.read(
        "select distinct loans.customer_id, spans.due_date"
        " from intermediate.int_installments__past_due_spans as spans"
        " inner join features.feat_loan__as_of as loans on loans.loan_id = spans.loan_id and loans.is_score"
        " where spans.past_due_from_date <= {} and spans.past_due_to_date > {} and spans.due_date > {}"
        " order by loans.customer_id, spans.due_date",
        [day.as_of, day.as_of, day.as_of - timedelta(days=_EVENT_DAYS)],
    )
    given: dict[str, Any] = {
        "policies": policies,
        "holidays": holidays,
        "as_of": day.as_of,
        "timezone": day.settings.institution.timezone,
    }
    found = owed(missed, customers, interactions, **given)
    before = None if earlier.empty else pd.Timestamp(earlier["as_of_date"].iloc[0]).date()
    late = overdue(missed, customers, interactions, **given, since=before)
    return (None if found.empty else found), (None if late.empty else late)


def _at_stake(day: Day, payments: pd.DataFrame, interactions: pd.DataFrame, policies: PolicySet) -> AtStake:
    """Provisions and fees at stake; no stakes where neither ratings nor fees of the country are in force."""
    settings = day.settings
    country, table = settings.institution.country, settings.kpis.rating_table
    in_force = "valid_from_date <= {} and (valid_to_date is null or valid_to_date > {})"
    loans = day.warehouse.read(
        "select loans.*, products.line_code from features.feat_loan__as_of as loans"
        f" left join reference.products on products.product_code = loans.product_code and {in_force}"
        " where loans.is_score order by loans.loan_id",
        [day.as_of, day.as_of],
    )
    # provisions by the table of another country mean nothing
    own_table = table if table.startswith(f"{country}-") else ""
    ratings = day.warehouse.read(
        f"select * from reference.rating_tables where table_code = {{}} and {in_force} order by line_code, min_days",
        [own_table, day.as_of, day.as_of],
    )
    fees = day.warehouse.read(
        f"select * from reference.collection_fees where country_code = {{}} and {in_force}"
        " order by min_installment_amount, min_days",
        [country, day.as_of, day.as_of],
    )
    if ratings.empty and fees.empty:
        return AtStake(None, False, False, False)
    channels = list(settings.channels)
    may = chargeable(loans, interactions, policies=policies, as_of=day.as_of, channels=channels)
    patterns, which = np.unique(may, axis=0, return_inverse=True)
    lists = [as_json(channel for channel, yes in zip(channels, row, strict=True) if yes) for row in patterns]
    listed = np.array(lists, dtype=object)[which.reshape(-1)]
    found = stakes(
        loans,
        payments,
        ratings,
        fees,
        pd.Series(listed, index=loans["loan_id"], dtype=object),
        as_of=day.as_of,
        window_days=settings.decision.response_window_days,
    )
    # what can be at stake for somebody some day: whom the day has is no matter of whether an arm changes anything
    has_fees = bool((pd.to_numeric(fees["fee_amount"]) > 0).any())
    return AtStake(found, asks_for_more(ratings), has_fees, bool(chargeable_channels(policies, channels)))


def _first(found: list[str]) -> str:
    if not found:
        return ""
    more = f" … and {len(found) - _SHOWN_VIOLATIONS} more" if len(found) > _SHOWN_VIOLATIONS else ""
    return "; ".join(found[:_SHOWN_VIOLATIONS]) + more


def _members_missed(outcome: DecisionOutcome, features: pd.DataFrame) -> str:
    eligible = set(features.loc[features["is_eligible"].astype(bool), "customer_id"])
    decided = outcome.decisions["customer_id"]
    if decided.duplicated().any():
        return f"{int(decided.duplicated().sum())} members have two rows"
    difference = eligible.symmetric_difference(decided)
    return f"{len(difference)} members differ, for example {min(difference)}" if difference else ""


def _broken_capacities(outcome: DecisionOutcome) -> str:
    over = outcome.prices[outcome.prices["used_count"] > outcome.prices["capacity_count"]]
    return "; ".join(f"{row.capacity_name}: {row.used_count} of {row.capacity_count}" for row in over.itertuples())


def _is_ahead(day: Day) -> bool:
    """Whether no attempt of the day or later is known yet: a list that is made afterwards moved nobody."""
    begins = pd.Timestamp(day.as_of, tz=day.settings.institution.timezone).tz_convert("UTC").tz_localize(None)
    later = day.warehouse.read(
        "select count(*) as later from raw.interactions where direction = 'outbound' and occurred_at >= {}",
        [begins.to_pydatetime()],
    )
    return int(later["later"].iloc[0]) == 0


def _store_summary(day: Day, outcome: DecisionOutcome, added: dict[str, Any], policies: PolicySet) -> None:
    figures = json.dumps({**outcome.summary, **added, "rule_versions": policies.digests}, sort_keys=True)
    summary = pd.DataFrame({"as_of_date": [day.as_of], "summary": [figures], "is_ahead": [_is_ahead(day)]})
    store_decided(day.warehouse, "decisions.summaries", summary, day.as_of)
