"""A list judged by the checker: its contacts, from the raw tables and the rule files alone, and then its files.

What the engine decided from (marts, its own list of rule files) is not read here, but for what a member owes and since
when, which no raw table says. Only what concerns the members of the list is read.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from pipelines.day import Day
from pipelines.steps.campaigning import campaign_channels
from pipelines.steps.contact_facts import STATUSES_FILE, TEMPLATES_FILE, read_statuses, read_templates
from pipelines.steps.lists import list_settings
from puntual.decision.checker import contact_violations, violations
from puntual.decision.facts import ContactFacts
from puntual.decision.holiday_calendar import HolidayCalendar, shipped_holidays
from puntual.decision.raw_events import (
    HELD_FOR_EVER,
    RawEvents,
    RawVersions,
    agencies_of,
    newest,
    read_events,
    still_awaited,
)
from puntual.decision.raw_rules import RuleFiles, differing_rule_files, find_rule_files
from puntual.errors import PublishError
from puntual.lists.read_back import Contact, read_lists, text
from puntual.paths import POLICIES, SEEDS

_PLAN_DAYS = 7
# Two days more than plans are waited for: zones, and the day before the first of them.
_BOOK_DAYS = _PLAN_DAYS + 2
# The person's day may begin before the institution's.
_SPARE_DAYS = 5
# Violations of a list that is refused: the first ones say enough.
_SHOWN = 5
_FURTHER = 50
_LINEAGE = "_load_id, _source_row, _is_deleted"

CONTACT = ("customer_id", "action", "loan_id", "collector_id", "window_start", "window_end", "contact_point_id")
"""What a contact of a list is: to whom, how, for which loan, by whom, between which moments (UTC), and through what."""
_WRITTEN = CONTACT[:-1]


@dataclass(frozen=True)
class Evidence:
    """What the checker judges by: the rule files that it found, and the past of the members."""

    rules: RuleFiles
    events: RawEvents
    facts: ContactFacts
    holidays: HolidayCalendar

    def arguments(self) -> dict[str, Any]:
        """Arguments of the checker."""
        return {
            "customers": self.events.customers,
            "contact_points": self.events.contact_points,
            "interactions": self.events.interactions,
            "promises": self.events.promises,
            "payments": self.events.payments,
            "facts": self.facts,
            "holidays": self.holidays,
            "policy_files": self.rules.files,
        }


def rule_files(day: Day) -> RuleFiles:
    """The policies of the product and of the institution that hold on the date, as the checker finds them."""
    return find_rule_files((POLICIES, day.home.policies), day.settings.institution.country, day.as_of)


def evidence(day: Day, further: Iterable[str] = ()) -> Evidence:
    """The evidence about the members with a contact in the stored decision of the date, and about ``further`` ones.

    Every contact of the whole book in the last days is among it: limits on how many members a channel reaches, and
    plans whose outcome has not come, need those of other members too.

    Raises:
        RuleError: a file of the institution cannot be read.
    """
    rules = rule_files(day)
    versions = _versions(day, rules.memory_days, sorted(set(further)))
    settings = day.settings
    events = read_events(
        versions,
        as_of=day.as_of,
        timezone=settings.institution.timezone,
        promise_grace_days=settings.arrears.promise_grace_days,
        promise_tolerance_share=settings.kpis.promise_tolerance_share,
    )
    facts = ContactFacts(
        planned=still_awaited(_plans(day), events.interactions, _agencies(day)),
        statuses=read_statuses(day.home.policies / STATUSES_FILE),
        texts=events.texts,
        templates=read_templates(day.home.policies / TEMPLATES_FILE),
    )
    return Evidence(rules, events, facts, _holidays(day))


def judge_written(day: Day, folder: Path, decided: Mapping[str, pd.DataFrame], summary: Mapping[str, Any]) -> None:
    """Refuse files of a snapshot that tell of other contacts than the decided ones, or of one that a rule forbids.

    The decision was judged when it was made. Its verdict holds for the files too while they tell of exactly its
    contacts and neither the rule files nor raw have changed since; otherwise what is written is judged anew.

    Args:
        day: the date.
        folder: the snapshot that is being made.
        decided: what :func:`read_outcome` gave; of it, only second contacts are in no file of the folder.
        summary: of the decision.

    Raises:
        PublishError: names what, which member, which rule and what to do.
    """
    first = pq.read_table(folder / "decisions.parquet").to_pandas()
    details = pq.read_table(folder / "decision_details.parquet").to_pandas()
    contacts = chosen_contacts(first, details, decided["second_contacts"])
    stored = chosen_contacts(decided["decisions"], decided["details"], decided["second_contacts"])
    rules = rule_files(day)
    problems = differing_rule_files(rules, summary.get("rule_versions", {}))
    if summary.get("violation_count"):
        problems.append(f"the checker found {summary['violation_count']} violations in the decision itself")
    if sorted(contact_keys(contacts)) != sorted(contact_keys(stored)):
        problems.append("decisions.parquet: its contacts are not those of the stored decision")
    value = _values(day)
    points = contacts["contact_point_id"].map(value).astype(object)
    expected = [
        Contact._make((*key, text(point))) for key, point in zip(contact_keys(contacts, _WRITTEN), points, strict=True)
    ]
    lists = read_lists(
        folder,
        expected,
        list_settings(day),
        campaign_channels(day),
        templates=read_templates(day.home.policies / TEMPLATES_FILE),
        approval_channels=rules.channels_of("service_window", day.as_of),
    )
    problems += lists.problems
    further = list((Counter(lists.contacts) - Counter(expected)).elements())
    is_judged = judged_digest(day, contacts, rules) == summary.get("judged_sha256")
    if further or not is_judged:
        problems += _judged_anew(day, first, decided["second_contacts"], points_of(details), further, is_judged)
    if problems:
        shown = "; ".join(problems[:_SHOWN])
        more = f" … and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise PublishError(
            f"The lists of {day.as_of} are not what was decided and permitted; nothing was published and the snapshot"
            f" before stands. {shown}{more}. Run the whole day again: puntual run {day.home.root} --as-of {day.as_of};"
            " if it says the same, keep these files from everybody and report it as a defect."
        )


def _judged_anew(
    day: Day,
    first: pd.DataFrame,
    second: pd.DataFrame,
    points: dict[str, str],
    further: Sequence[Contact],
    is_judged: bool,
) -> list[str]:
    """Contacts that a rule forbids: of the whole list unless it is judged already, and ``further`` ones."""
    settings = day.settings
    proof = evidence(day, [one.customer_id for one in further][:_FURTHER])
    given: dict[str, Any] = {
        **proof.arguments(),
        "features": day.warehouse.read_table(
            "features.feat_customer__as_of",
            ["customer_id", "collectable_amount", "past_due_days", "loan_id"],
            where={"is_score": True},
        ),
        "country": settings.institution.country,
        "currency": settings.institution.currency,
        "timezone": settings.institution.timezone,
        "reading": settings.decision.reading,
        "readings": settings.decision.readings,
        "as_of": day.as_of,
        "promise_grace_days": settings.arrears.promise_grace_days,
    }
    found = []
    if not is_judged:
        after = settings.decision.second_after
        # moments as the warehouse has them, in UTC without saying so
        plain = first.assign(**{name: first[name].dt.tz_localize(None) for name in ("window_start", "window_end")})
        found = contact_violations(plain, second_contacts=second, second_after=after, contact_point_ids=points, **given)
    strange = pd.DataFrame(
        [
            (one.customer_id, one.channel_code, one.loan_id, *map(_plain_moment, (one.start, one.end)))
            for one in further[:_FURTHER]
        ],
        columns=["customer_id", "action", "loan_id", "window_start", "window_end"],
    )
    return [str(violation) for violation in (*found, *violations(strange, **given))]


def _plain_moment(moment: str) -> pd.Timestamp:
    return pd.NaT if not moment else pd.Timestamp(moment).tz_localize(None)


def _values(day: Day) -> dict[str, str]:
    """The number, mailbox or address of every contact point of the members with a contact, from raw."""
    rows = newest(_points(day, *_people(day, [])), "contact_point_id")
    return dict(zip(rows["contact_point_id"], rows["value"], strict=True))


def judged_digest(day: Day, contacts: pd.DataFrame, rules: RuleFiles) -> str:
    """Names a judgement by what it was made from: the contacts (:data:`CONTACT`), the rule files, the last load."""
    loads = day.warehouse.read("select max(load_id) as newest from raw.loads")["newest"].iloc[0]
    said = hashlib.sha256(f"{day.as_of}|{loads}|{sorted(rules.digests.items())}".encode())
    for line in sorted(contact_keys(contacts)):
        said.update(repr(line).encode())
    return said.hexdigest()


def contact_keys(contacts: pd.DataFrame, columns: Iterable[str] = CONTACT) -> list[tuple[str, ...]]:
    """Each contact as texts, moments in UTC; equal wherever the frame was read from."""
    parts = []
    for name in columns:
        values = contacts[name]
        if name.startswith("window_"):
            values = pd.to_datetime(values, utc=True).map(lambda moment: "" if pd.isna(moment) else moment.isoformat())
        parts.append(["" if value is None or pd.isna(value) else str(value) for value in values])
    return list(zip(*parts, strict=True))


def points_of(details: pd.DataFrame) -> dict[str, str]:
    """The contact point of every first contact, by member."""
    mine = details[details["is_chosen"].to_numpy(dtype=bool)]
    return dict(zip(mine["customer_id"], mine["contact_point_id"], strict=True))


def chosen_contacts(decisions: pd.DataFrame, details: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """Every contact of a decision, first and second ones, columns :data:`CONTACT`."""
    first = decisions[decisions["action"] != "none"]
    first = first.assign(contact_point_id=first["customer_id"].map(points_of(details)).astype(object))
    parts = [first[list(CONTACT)].astype(object), second[list(CONTACT)].astype(object)]
    return pd.concat(parts, ignore_index=True)


def _holidays(day: Day) -> HolidayCalendar:
    """The shipped holidays of the country and the institution's own, from raw."""
    country = day.settings.institution.country
    rows = day.warehouse.read(f"select days.country, days.date, {_LINEAGE} from raw.holidays as days")
    own = newest(rows.assign(key=rows["country"].astype(str) + rows["date"].astype(str)), "key")
    return shipped_holidays(SEEDS, country).with_frame(own, country)


def _plans(day: Day) -> pd.DataFrame:
    """Contacts of the lists of the last days, but for messages that no campaign was to send."""
    parts = []
    for table in ("decisions.decisions", "decisions.second_contacts"):
        rows = day.warehouse.read(
            f"select customer_id, loan_id, action, collector_id, as_of_date from {table}"
            " where as_of_date < {} and as_of_date >= {}",
            [day.as_of, day.as_of - timedelta(days=_PLAN_DAYS)],
        )
        parts.append(rows[rows["action"] != "none"])
    plans = pd.concat(parts, ignore_index=True)
    members = day.warehouse.read(
        "select customer_id, channel_code, as_of_date, is_sent from decisions.campaign_members"
        " where as_of_date < {} and as_of_date >= {}",
        [day.as_of, day.as_of - timedelta(days=_PLAN_DAYS)],
    )
    names = ["as_of_date", "customer_id", "channel_code", "is_sent"]
    not_sent = {
        (pd.Timestamp(when), who, channel)
        for when, who, channel, sent in zip(*(members[name] for name in names), strict=True)
        if not sent
    }
    lines = zip(plans["as_of_date"], plans["customer_id"], plans["action"], strict=True)
    was_to_be_made = [(pd.Timestamp(when), who, channel) not in not_sent for when, who, channel in lines]
    plans = plans[pd.Series(was_to_be_made, index=plans.index, dtype=bool)].reset_index(drop=True)
    return plans.rename(columns={"action": "channel_code", "as_of_date": "planned_for"})


def _agencies(day: Day) -> dict[str, str]:
    rows = day.warehouse.read(
        f"select people.collector_id, people.kind, people.agency, {_LINEAGE} from raw.collectors as people"
    )
    return agencies_of(rows)


def _versions(day: Day, memory_days: int, further: list[str]) -> RawVersions:
    """Every version of the rows about the members, as far back as a rule remembers."""
    since = day.as_of - timedelta(days=memory_days + _SPARE_DAYS)
    grace = timedelta(days=day.settings.arrears.promise_grace_days + 1)
    people, who = _people(day, further)
    loans = f"select loan_id from raw.loans where customer_id in ({people})"
    promised = f"select loan_id from raw.promises where loan_id in ({loans}) and due_on >= {{}}"
    running = [*who, day.as_of - grace]

    versions = partial(_versions_of, day)
    with day.warehouse.connection():
        return RawVersions(
            customers=versions(
                "customers",
                "customer_id",
                "customer_id, status, timezone, province, birth_date, party",
                f"customer_id in ({people})",
                who,
            ),
            loans=versions("loans", "loan_id", "loan_id, customer_id", f"customer_id in ({people})", who),
            contact_points=_points(day, people, who),
            interactions=versions(
                "interactions",
                "interaction_id",
                "interaction_id, customer_id, loan_id, occurred_at, channel, direction, collector_id, campaign_id,"
                " outcome, case when direction = 'inbound' then notes end as notes",
                f"occurred_at >= {{}} or (customer_id in ({people}) and (occurred_at >= {{}}"
                f" or outcome in ({_places(HELD_FOR_EVER)}) or (direction = 'inbound' and notes is not null)))",
                [day.as_of - timedelta(days=_BOOK_DAYS), *who, since, *HELD_FOR_EVER],
            ),
            promises=versions(
                "promises",
                "promise_id",
                "promise_id, interaction_id, loan_id, made_at, due_on, amount",
                f"loan_id in ({promised})",
                running,
            ),
            payments=versions(
                "payments",
                "payment_id",
                "payment_id, loan_id, paid_at, amount, reverses_payment_id",
                f"(loan_id in ({loans}) and paid_at >= {{}}) or loan_id in ({promised})",
                [*who, since, *running],
            ),
        )


def _people(day: Day, further: Sequence[str]) -> tuple[str, list[Any]]:
    """Query of the members with a contact on the date, and of ``further`` ones; its parameters."""
    people = "select customer_id from decisions.decisions where as_of_date = {} and action <> 'none'"
    if further:
        people = f"{people} union all select customer_id from raw.customers where customer_id in ({_places(further)})"
    return people, [day.as_of, *further]


def _points(day: Day, people: str, who: list[Any]) -> pd.DataFrame:
    columns = (
        "contact_point_id, customer_id, kind, value, place, party, whatsapp, valid, consent, consent_at,"
        " opted_out_at, updated_at"
    )
    return _versions_of(day, "contact_points", "contact_point_id", columns, f"customer_id in ({people})", who)


def _versions_of(day: Day, table: str, key: str, columns: str, wanted: str, params: list[Any]) -> pd.DataFrame:
    """Every version of the keys of which any version is wanted."""
    return day.warehouse.read(
        f"select {columns}, {_LINEAGE} from raw.{table} where {key} in (select {key} from raw.{table} where {wanted})",
        params,
    )


def _places(values: Sequence[Any]) -> str:
    return ", ".join(["{}"] * len(values))
