"""Segments, escalation and campaigns of the business date: planned from the stored decision, stored beside it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import pandas as pd

from pipelines.day import Day
from pipelines.steps.contact_facts import TEMPLATES_FILE, read_templates
from pipelines.steps.decided import decided_columns, store_decided
from puntual.campaigns.escalation import History, advance, broken_steps
from puntual.campaigns.plan import CampaignPlan, Costs, plan_campaigns
from puntual.campaigns.registry import CampaignData, load_campaigns
from puntual.campaigns.standing import Standing, rows_in_use
from puntual.campaigns.variables import Manner
from puntual.decision.policies import PolicySet
from puntual.decision.second import with_second_messages
from puntual.lists.campaigns import files_of_campaign
from puntual.paths import POLICIES
from puntual.segments.members import Membership, members_of, segment_frame
from puntual.segments.migration import migration, sizes

EXIT_CHECKS = {
    "campaigns_add_up": "Of every campaign sent and suppressed are the selected, and each member is in one.",
    "escalation_is_climbed": "Nobody skips a step of the escalation, nor goes back without a reset.",
}
_REMEMBERED_DAYS = 120
"""Who was not decided about for longer begins the escalation anew, as after paying in full."""
_PROMISE_DAYS = 182
_MONTH_AGO_DAYS = 45
_SHOWN = 5


@dataclass(frozen=True)
class Planned:
    """What the date's decision becomes: ``members`` (what messages are filled from) is personal."""

    data: CampaignData
    rule_sources: dict[str, list[str]]
    members: pd.DataFrame
    plan: CampaignPlan


@dataclass(frozen=True)
class Grouped:
    """Who belongs where on the date, in which step, and what of it a person should look at."""

    membership: Membership
    alarms: list[dict[str, Any]]
    escalation: pd.DataFrame
    escalation_before: pd.DataFrame


def campaign_data(day: Day) -> CampaignData:
    """The institution's segments, templates, escalation and campaigns, held against each other."""
    institution = day.settings.institution
    return load_campaigns(
        POLICIES,
        day.home.policies,
        country=institution.country,
        institution=institution.name,
        channels=day.settings.channels,
    )


def with_standing(day: Day, data: CampaignData, policies: PolicySet) -> CampaignData:
    """``data`` with what the institution's file says of its templates today.

    Raises:
        RuleError: the file cannot be read.
    """
    told = read_templates(day.home.policies / TEMPLATES_FILE)
    rules: dict[str, str] = {
        channel: entry.rule.id for _, entry in policies.of_kind("service_window") for channel in entry.rule.channels
    }
    return replace(data, standing=Standing.of(told, rules))


def told_of_templates_in_use(day: Day, told: pd.DataFrame | None) -> pd.DataFrame | None:
    """Rows of the file of templates that name one which a campaign of the date sends: no other opens a channel."""
    return None if told is None else rows_in_use(told, campaign_data(day).templates_in_use(day.as_of))


def manner_of(day: Day) -> Manner:
    """How the institution writes amounts and dates."""
    institution = day.settings.institution
    return Manner(institution.name, institution.currency, institution.country)


def group_day(day: Day, data: CampaignData, decisions: pd.DataFrame) -> Grouped:
    """Segments and steps of the date's members; the warehouse must stand at it. Writes nothing.

    Raises:
        CampaignDataError: a condition fails, or a set of segments is to stop the run.
    """
    warehouse = day.warehouse
    with warehouse.connection():
        features = warehouse.read_table(
            "features.feat_customer__as_of", where={"is_score": True}, order_by=["customer_id"]
        )
        customers = warehouse.read_table("marts.dim_customers", ["customer_id", "customer_status_code"])
        membership = members_of(data.segments, segment_frame(decisions, features, customers), day.as_of)
        alarms = [*membership.alarms, *_unannounced(day, data)]
        before, last_run = _steps_before(day, decisions)
        history = _history(day, data)
    escalation = advance(data.escalation, decisions, before, history, day.as_of, last_run)
    return Grouped(membership, alarms, escalation, before)


def plan_day(
    day: Day,
    data: CampaignData,
    rule_sources: dict[str, list[str]],
    decisions: pd.DataFrame,
    details: pd.DataFrame,
    segment_members: pd.DataFrame,
    escalation: pd.DataFrame,
) -> Planned:
    """The campaigns of the date; writes nothing, so it is the same for the run, its files and a dry run.

    Args:
        day: the date.
        data: campaigns and what they name.
        rule_sources: sources by contact rule.
        decisions: rows of the date.
        details: rows of the date.
        segment_members: who belongs where.
        escalation: customer_id and step_code.
    """
    warehouse, settings = day.warehouse, day.settings
    with warehouse.connection():
        features = warehouse.read_table(
            "features.feat_customer__as_of",
            ["customer_id", "collectable_amount", "next_due_in_days", "active_loan_count"],
            where={"is_score": True},
            order_by=["customer_id"],
        )
        customers = warehouse.read_table(
            "marts.dim_customers",
            ["customer_id", "full_name", "timezone", "language_code", "branch_id"],
            order_by=["customer_id"],
        )
        promises = _last_promises(day)
    members = decisions
    for frame in (features, customers, escalation[["customer_id", "step_code"]], promises):
        members = members.merge(frame, on="customer_id", how="left")
    plan = plan_campaigns(
        members,
        details,
        segment_members,
        data=data,
        rule_sources=rule_sources,
        costs=Costs(
            {name: channel.cost for name, channel in settings.channels.items()},
            sms_by_segment=settings.campaigns.sms_cost == "per_segment",
            budgets={
                name: channel.daily_budget
                for name, channel in settings.channels.items()
                if channel.daily_budget is not None
            },
            room=_room(day),
        ),
        manner=manner_of(day),
        language=settings.institution.language,
        timezone=settings.institution.timezone,
        as_of=day.as_of,
    )
    return Planned(data, rule_sources, members, plan)


def _room(day: Day) -> float | None:
    """What the day's budget leaves for messages after the calls and visits that were decided; None: no budget."""
    if day.settings.decision.daily_budget is None:
        return None
    spent = day.warehouse.read(
        "select sum(contact_cost_amount) as amount from ("
        "select contact_cost_amount from decisions.decisions where as_of_date = {} and action in ('call', 'visit')"
        " union all"
        " select contact_cost_amount from decisions.second_contacts"
        " where as_of_date = {} and action in ('call', 'visit')"
        ") as contacts",
        [day.as_of, day.as_of],
    )["amount"].iloc[0]
    return day.settings.decision.daily_budget - (0.0 if pd.isna(spent) else float(spent))


def contact_costs(day: Day) -> dict[str, float]:
    """Cost of one contact by channel as the decision reckons with it, so that no budget can be exceeded.

    A text message billed by segment costs as the longest that a campaign of the date may send: how long the member's
    own is, is known when it is written.
    """
    costs = {name: channel.cost for name, channel in day.settings.channels.items()}
    if "sms" in costs and day.settings.campaigns.sms_cost == "per_segment":
        costs["sms"] *= campaign_data(day).most_segments(day.as_of)
    return costs


def planned_again(day: Day, decisions: pd.DataFrame, details: pd.DataFrame) -> Planned:
    """The plan of a stored date from what was stored with it: the definitions, segments and steps of that day."""
    where = {"as_of_date": day.as_of}
    with day.warehouse.connection():
        stored = day.warehouse.read_table("decisions.campaign_definitions", where=where).iloc[0]
        segment_members = day.warehouse.read_table(
            "decisions.segment_members", where=where, order_by=["customer_id", "set_id", "segment_code"]
        )
        escalation = day.warehouse.read_table(
            "decisions.escalation", ["customer_id", "step_code"], where=where, order_by=["customer_id"]
        )
    data = CampaignData.parse(stored["definition"])
    sources = json.loads(stored["rule_sources"])
    return plan_day(day, data, sources, decisions, details, segment_members, escalation)


def campaign_day(day: Day, policies: PolicySet) -> dict[str, str]:
    """Plan the stored decision of the date and store the plan beside it.

    Returns what was found for each of :data:`EXIT_CHECKS` (empty: passed).

    Raises:
        CampaignDataError: a file of the institution is not valid, or a set of segments is to stop the run.
    """
    data, sources = with_standing(day, campaign_data(day), policies), sources_of(policies)
    decisions, details = stored_day(day)
    grouped = group_day(day, data, decisions)
    now = grouped.membership.members
    warehouse = day.warehouse
    second = warehouse.read_table(
        "decisions.second_contacts", where={"as_of_date": day.as_of}, order_by=["customer_id"]
    )
    messages = with_second_messages(decisions, second)
    planned = plan_day(day, data, sources, messages, details, now, grouped.escalation)
    with warehouse.connection():
        moves = [
            migration(data.segments, before, now, day.as_of, comparison=name, digests_before=digests)
            for name, before, digests in _earlier_members(day)
        ]
        definition = {
            "as_of_date": [day.as_of],
            "definition": [data.dump()],
            "rule_sources": [json.dumps(sources, ensure_ascii=False, sort_keys=True)],
            "alarms": [json.dumps(grouped.alarms, ensure_ascii=False)],
        }
        for name, frame in {
            "segment_members": now,
            "segment_sizes": sizes(data.segments, now, day.as_of),
            "segment_migration": pd.concat(moves, ignore_index=True),
            "escalation": grouped.escalation,
            "campaign_definitions": pd.DataFrame(definition),
            "campaign_members": planned.plan.members,
            "campaign_counts": planned.plan.counts,
            "campaign_suppressions": planned.plan.suppressions,
        }.items():
            store_decided(warehouse, f"decisions.{name}", frame, day.as_of)
    return checked(data, grouped, planned.plan)


def checked(data: CampaignData, grouped: Grouped, plan: CampaignPlan) -> dict[str, str]:
    """What was found for each of :data:`EXIT_CHECKS` (empty: passed): steps by the ladder of the day."""
    climbed = broken_steps(data.escalation, grouped.escalation, grouped.escalation_before)
    return {
        "campaigns_add_up": "; ".join(plan.problems()[:_SHOWN]),
        "escalation_is_climbed": "; ".join(climbed[:_SHOWN]),
    }


def published_campaigns(day: Day) -> dict[str, Any]:
    """What the manifest says: files of each running campaign, digests of what was written, alarms of the segments."""
    stored = day.warehouse.read_table("decisions.campaign_definitions", where={"as_of_date": day.as_of}).iloc[0]
    data = CampaignData.parse(stored["definition"])
    return {
        "campaigns": {one.id: files_of_campaign(one) for one in data.running(day.as_of)},
        "campaign_data": data.digests(),
        "segment_alarms": json.loads(stored["alarms"]),
    }


def campaign_channels(day: Day) -> dict[str, str]:
    """Channel of every campaign that runs on the date, by the definitions that it was decided with."""
    stored = day.warehouse.read_table("decisions.campaign_definitions", where={"as_of_date": day.as_of}).iloc[0]
    return {one.id: one.channel for one in CampaignData.parse(stored["definition"]).running(day.as_of)}


def held_back(day: Day) -> pd.DataFrame:
    """customer_id and channel_code of what the campaigns of the date hold back, be it a chosen message or not."""
    where = {"as_of_date": day.as_of, "is_sent": False}
    return day.warehouse.read_table("decisions.campaign_members", ["customer_id", "channel_code"], where=where)


def sources_of(policies: PolicySet) -> dict[str, list[str]]:
    """Sources by contact rule."""
    return {entry.rule.id: list(entry.sources) for entry in policies.rules}


def stored_day(day: Day) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Decisions and details of the date as they are stored."""
    where = {"as_of_date": day.as_of}
    with day.warehouse.connection():
        return (
            day.warehouse.read_table("decisions.decisions", where=where, order_by=["customer_id"]),
            day.warehouse.read_table("decisions.details", where=where, order_by=["customer_id", "channel_code"]),
        )


def _steps_before(day: Day, decisions: pd.DataFrame) -> tuple[pd.DataFrame, date | None]:
    """The newest stored step of each of the day's members before the date, and the newest such day of all."""
    columns = list(decided_columns("decisions.escalation"))
    nothing = pd.DataFrame(columns=columns, dtype=object)
    if not day.warehouse.table_exists("decisions.escalation"):
        return nothing, None
    newest = day.warehouse.read(
        "select max(as_of_date) as last_run from decisions.escalation where as_of_date < {}", [day.as_of]
    )["last_run"].iloc[0]
    if pd.isna(newest):
        return nothing, None
    last_run = pd.Timestamp(newest).date()
    stored = day.warehouse.read_table("decisions.escalation", columns, where={"as_of_date": last_run})
    absent = decisions.loc[~decisions["customer_id"].isin(stored["customer_id"]), "customer_id"]
    if len(absent):
        older = day.warehouse.read(
            """
            select stored.* from decisions.escalation as stored
            inner join (
                select customer_id, max(as_of_date) as as_of_date from decisions.escalation
                where as_of_date < {} and as_of_date >= {} group by customer_id
            ) as newest
                on stored.customer_id = newest.customer_id and stored.as_of_date = newest.as_of_date
            where stored.as_of_date < {}
            """,
            [last_run, last_run - timedelta(days=_REMEMBERED_DAYS), last_run],
        )
        stored = pd.concat([stored, older.loc[older["customer_id"].isin(absent), columns]], ignore_index=True)
    return stored[stored["customer_id"].isin(decisions["customer_id"])].reset_index(drop=True), last_run


def _history(day: Day, data: CampaignData) -> History:
    """Attempts or contacts, and dated events, that the escalation can look back to."""
    since = day.as_of - timedelta(days=2 * _REMEMBERED_DAYS)
    what = "is_contact" if data.escalation.done_by == "contact" else "true"
    attempts = day.warehouse.read(
        f"select distinct customer_id, occurred_date as event_date from marts.fct_interactions"
        f" where direction_code = 'outbound' and {what} and occurred_date > {{}}"
        " order by customer_id, occurred_date",
        [since],
    )
    events = day.warehouse.read(
        """
        select customer_id, 'promise_kept' as event, kept_date as event_date from marts.fct_promises
        where kept_date > {} and promise_status_code = 'kept'
        union all
        select customer_id, 'promise_made', made_date from marts.fct_promises where made_date > {}
        union all
        select customer_id, 'arrangement', restructured_date from marts.dim_loans where restructured_date > {}
        """,
        [since, since, since],
    )
    return History(attempts, events)


def _last_promises(day: Day) -> pd.DataFrame:
    rows = day.warehouse.read(
        "select customer_id, due_date as promise_date, promised_amount, promise_id from marts.fct_promises"
        " where made_date > {} order by customer_id, due_date, promise_id",
        [day.as_of - timedelta(days=_PROMISE_DAYS)],
    )
    return rows.drop_duplicates("customer_id", keep="last").drop(columns=["promise_id"])


def _unannounced(day: Day, data: CampaignData) -> list[dict[str, Any]]:
    """Sets whose conditions are not those of the last run, although their version is."""
    if not day.warehouse.table_exists("decisions.segment_sizes"):
        return []
    stored = day.warehouse.read(
        "select distinct set_id, version, digest from decisions.segment_sizes where as_of_date ="
        " (select max(as_of_date) from decisions.segment_sizes where as_of_date < {})",
        [day.as_of],
    )
    before = {row.set_id: (int(row.version), row.digest) for row in stored.itertuples()}
    found = []
    for one in data.segments.sets:
        version, digest = before.get(one.id, (None, None))
        if version == one.version and digest != data.segments.digests[one.id]:
            found.append(
                {
                    "set_id": one.id, "alarm_code": "version", "segment_codes": [], "member_count": 0, "examples": [],
                    "text_es": f"Segmentos {one.id}: las condiciones cambiaron y la versión sigue siendo {version}; "
                    "súbala en segments.yaml.",
                    "text_en": f"Segments {one.id}: the conditions changed and the version still is {version}; "
                    "raise it in segments.yaml.",
                }
            )  # fmt: skip
    return found


def _earlier_members(day: Day) -> list[tuple[str, pd.DataFrame, dict[str, str]]]:
    """Members of segments on the last run, and on the last one a month or a little more ago, with the sets' digests."""
    nothing = pd.DataFrame(columns=["as_of_date", "customer_id", "set_id", "segment_code", "arrears_amount"])
    found: list[tuple[str, pd.DataFrame, dict[str, str]]] = []
    if not day.warehouse.table_exists("decisions.segment_members"):
        return [("day", nothing, {}), ("month", nothing, {})]
    month_ago = (pd.Timestamp(day.as_of) - pd.DateOffset(months=1)).date()
    spans = (
        ("day", day.as_of - timedelta(days=_MONTH_AGO_DAYS), day.as_of - timedelta(days=1)),
        ("month", month_ago - timedelta(days=_MONTH_AGO_DAYS - 31), month_ago),
    )
    for name, first, last in spans:
        newest = day.warehouse.read(
            "select max(as_of_date) as newest from decisions.segment_members where as_of_date between {} and {}",
            [first, last],
        )["newest"].iloc[0]
        if pd.isna(newest):
            found.append((name, nothing, {}))
            continue
        where = {"as_of_date": pd.Timestamp(newest).date()}
        stored = day.warehouse.read_table("decisions.segment_sizes", ["set_id", "digest"], where=where)
        members = day.warehouse.read_table("decisions.segment_members", list(nothing.columns), where=where)
        found.append((name, members, dict(zip(stored["set_id"], stored["digest"], strict=True))))
    return found
