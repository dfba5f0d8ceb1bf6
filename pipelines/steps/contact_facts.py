"""What the contact rules know beside the marts: recent plans, dated statuses, members' messages, approved templates."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pandas as pd

from pipelines.day import Day
from pipelines.steps.decided import ensure_decided
from puntual.decision.capacity import COLLECTOR_CHANNELS
from puntual.decision.facts import ContactFacts
from puntual.decision.owners import INTERNAL, owner_of
from puntual.decision.policies import PolicySet
from puntual.errors import RuleError

STATUSES_FILE = "member_statuses.csv"
TEMPLATES_FILE = "template_quality.csv"
PHONE_KINDS = ("mobile", "landline")
_MET = ("right_party", "promise", "refusal", "dispute", "callback")
"""Outcomes that only the member gives; a stranger may reply, complain or opt out too."""
_OF_AGENCY = " of "
_PLAN_DAYS = 7
"""A list that is older has been answered or never will be."""


def contact_facts(day: Day, policies: PolicySet, interactions: pd.DataFrame) -> ContactFacts:
    """The facts of the date; a file that is not there leaves its part out.

    Raises:
        RuleError: a file of the institution cannot be read; says which, where and why.
    """
    return ContactFacts(
        planned=_planned(day, interactions),
        statuses=read_statuses(day.home.policies / STATUSES_FILE),
        texts=_texts(day, policies),
        templates=read_templates(day.home.policies / TEMPLATES_FILE),
    )


def unconfirmed(
    plans: pd.DataFrame, interactions: pd.DataFrame, collectors: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Those of ``plans`` whose outcome may still arrive: on or after the last day of which their maker's file tells.

    A day is settled once a contact of a later day has come in through the channel, for calls and visits from the same
    maker: each agency hands over its own file, and the institution's own people are one. What was planned for that day
    and is not there did not happen. A contact that names no collector, or one who is not known, is of the own people.

    Args:
        plans: customer_id, loan_id, channel_code, collector_id, planned_for (datetime).
        interactions: fct_interactions.
        collectors: collector_id, kind_code, agency; None: all are the institution's own.
    """
    made = interactions[interactions["direction_code"].eq("outbound").to_numpy(dtype=bool)]
    agencies: dict[str, str] = {}
    if collectors is not None:
        owners = owner_of(collectors)
        agencies = owners[owners != INTERNAL].to_dict()
    newest = pd.to_datetime(made["occurred_date"]).groupby(_makers(made, agencies)).max()
    # a book may have no contacts
    told = newest.reindex(_makers(plans, agencies)).reset_index(drop=True)
    open_still = told.isna() | (pd.to_datetime(plans["planned_for"]).reset_index(drop=True) >= told)
    return plans[open_still.to_numpy(dtype=bool)].reset_index(drop=True)


def _makers(contacts: pd.DataFrame, agencies: Mapping[str, str]) -> pd.Series:
    """Channel of each contact, and for those that people make their agency; of the own people none."""
    channel = contacts["channel_code"].astype(object)
    if "collector_id" not in contacts.columns:
        return channel
    agency = contacts["collector_id"].astype(object).map(agencies)
    is_agency = agency.notna() & channel.isin(COLLECTOR_CHANNELS)
    return channel.where(~is_agency, channel.astype(str) + _OF_AGENCY + agency.astype(str)).astype(object)


def without_wrong_numbers(points: pd.DataFrame, answers: pd.DataFrame) -> pd.DataFrame:
    """The contact points; telephone numbers under which somebody else was met last are not valid.

    An outcome names no number, so all of the member's numbers are held back (a message to a stranger would tell of the
    debt) until the member is reached by telephone again or the number is delivered anew (``updated_at``).

    Args:
        points: dim_contact_points.
        answers: customer_id, wrong_at (last ``wrong_number``), right_at (last answer of the member; NaT: none), UTC.
    """
    known = answers.set_index("customer_id")
    wrong, right = (
        pd.to_datetime(known[name]).reindex(points["customer_id"]).reset_index(drop=True)
        for name in ("wrong_at", "right_at")
    )
    delivered = pd.to_datetime(points["updated_at"]).reset_index(drop=True)
    is_wrong = wrong.notna() & ~(right >= wrong) & ~(delivered > wrong)
    is_phone = points["kind_code"].isin(PHONE_KINDS).to_numpy(dtype=bool)
    return points.assign(is_valid=points["is_valid"].to_numpy(dtype=bool) & ~(is_phone & is_wrong.to_numpy(dtype=bool)))


def contact_points(day: Day) -> pd.DataFrame:
    """dim_contact_points as they were known before the date: :func:`without_wrong_numbers`."""
    points = day.warehouse.read_table("marts.dim_contact_points", order_by=["contact_point_id"])
    places = ", ".join(["{}"] * len(_MET))
    answers = day.warehouse.read(
        "select customer_id, max(case when outcome_code = 'wrong_number' then occurred_at end) as wrong_at,"
        f" max(case when outcome_code in ({places}) then occurred_at end) as right_at from marts.fct_interactions"
        " where channel_code in ('call', 'ivr', 'whatsapp', 'sms') and occurred_date < {} group by customer_id"
        " having max(case when outcome_code = 'wrong_number' then 1 else 0 end) = 1 order by customer_id",
        [*_MET, day.as_of],
    )
    return without_wrong_numbers(points, answers)


def _planned(day: Day, interactions: pd.DataFrame) -> pd.DataFrame:
    """What recent lists planned and nothing confirms; a message that its campaign held back was not to be sent."""
    for table in ("decisions.decisions", "decisions.second_contacts", "decisions.campaign_members"):
        ensure_decided(day.warehouse, table)
    plans = day.warehouse.read(
        "select customer_id, loan_id, action as channel_code, collector_id, as_of_date as planned_for from ("
        "select customer_id, loan_id, action, collector_id, as_of_date, 1 as place from decisions.decisions"
        " where action <> 'none' union all"
        " select customer_id, loan_id, action, collector_id, as_of_date, 2 as place from decisions.second_contacts)"
        " as plans"
        " where as_of_date < {} and as_of_date >= {}"
        " and not exists (select 1 from decisions.campaign_members as held where held.as_of_date = plans.as_of_date"
        " and held.customer_id = plans.customer_id and held.channel_code = plans.action and not held.is_sent)"
        " order by as_of_date, customer_id, place",
        [day.as_of, day.as_of - timedelta(days=_PLAN_DAYS)],
    )
    collectors = day.warehouse.read_table("marts.dim_collectors", ["collector_id", "kind_code", "agency"])
    return unconfirmed(plans, interactions, collectors)


def _texts(day: Day, policies: PolicySet) -> pd.DataFrame | None:
    channels = sorted({channel for _, entry in policies.of_kind("stop_words") for channel in entry.rule.channels})
    if not channels:
        return None
    places = ", ".join(["{}"] * len(channels))
    return day.warehouse.read(
        "select customer_id, channel_code, occurred_at, notes as text from staging.stg_core__interactions"
        f" where direction_code = 'inbound' and notes is not null and channel_code in ({places})"
        " order by customer_id, occurred_at, interaction_id",
        channels,
    )


def read_statuses(file: Path) -> pd.DataFrame | None:
    """Dated statuses: customer_id, status_code, from_date, to_date (empty: no known end); None without the file.

    Raises:
        RuleError: columns are missing, or a date is not one.
    """
    table = _read(file, ["customer_id", "status_code", "from_date", "to_date"])
    if table is None:
        return None
    for column in ("from_date", "to_date"):
        dates = pd.to_datetime(table[column], format="%Y-%m-%d", errors="coerce")
        wrong = dates.isna() & (table[column].notna() | (column == "from_date"))
        if wrong.any():
            row = int(wrong.to_numpy().argmax())
            raise RuleError(f"{file}, line {row + 2}: {column} is {table[column].iloc[row]!r}; write it as 2026-06-30.")
        table[column] = dates.astype("datetime64[us]")
    return table


def read_templates(file: Path) -> pd.DataFrame | None:
    """Message templates: channel_code, template_id, status_code, quality_code; None without the file.

    Channel, status and quality in small letters, whatever the platform's export writes; no spaces around any cell.

    Raises:
        RuleError: columns are missing.
    """
    table = _read(file, ["channel_code", "template_id", "status_code", "quality_code"])
    if table is None:
        return None
    for column in table.columns:
        cells = table[column].str.strip()
        table[column] = cells if column == "template_id" else cells.str.lower()
    return table


def _read(file: Path, columns: list[str]) -> pd.DataFrame | None:
    if not file.exists():
        return None
    try:
        table = pd.read_csv(file, dtype=str, encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise RuleError(f"{file} cannot be read as CSV: {error}") from error
    if sorted(table.columns) != sorted(columns):
        raise RuleError(f"{file}: the columns must be {', '.join(columns)}; it has {', '.join(table.columns)}.")
    return table[columns]
