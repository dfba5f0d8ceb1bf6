"""A finished history as the tables of the source contract: exact decimals, dates, UTC times, text keys."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from models.lab.book import CLOSED, COLLATERALS, PRODUCTS, WRITTEN_OFF
from models.lab.calendar import public_holidays
from models.lab.columns import UNIT_COST, chosen, days, decimals_or_null, keys, moments, money, nothing
from models.lab.contacts import OUTCOMES, O
from models.lab.people import (
    FAMILY_NAMES,
    GIVEN_MEN,
    GIVEN_WOMEN,
    KICHWA_PROVINCES,
    OCCUPATIONS,
    PROVINCES,
    STATUSES,
    STREETS,
    People,
    date_of,
)
from models.lab.settings import CALL, CHANNELS, EMAIL, IVR, MESSAGE_CHANNELS, SMS, TOLERANCE_CENTS, VISIT, WHATSAPP
from models.lab.simulate import History

_EVENT_CHANNELS = (*CHANNELS, "web_chat")
_MESSAGE_EVENT_WEEKS = 8


#: A table is made, and written, so many rows at a time; one group of rows of a Parquet file.
ROWS_AT_ONCE = 1 << 20
BALANCE_TRUTH = "truth_balances"


def each_table(history: History) -> Iterator[tuple[str, Iterator[pa.Table]]]:
    """Every table of the contract with its rows in the order of its key, in parts of at most ``ROWS_AT_ONCE`` rows.

    Each table's parts must be used up before the next table is asked for. Last comes ``truth_balances``: the
    differences put into the core's balances. Deterministic for a given history.
    """
    rng = np.random.default_rng([history.seed, 3])
    yield "branches", iter([_branches(history, rng)])
    staff = make_collectors(history, rng)
    yield "collectors", iter([staff.table])
    yield "holidays", iter([_holidays(history)])
    yield "customers", iter([_customers(history)])
    yield "contact_points", iter([_contact_points(history, rng)])
    loans = _loans(history, rng)
    yield "loans", iter([loans])
    of_loan = loans.select(["loan_id", "branch_id", "product"])
    del loans
    yield "installments", _installments(history)
    contacts = _Contacts(history, staff, rng)
    yield "interactions", contacts.interactions()
    yield "promises", iter([contacts.promises()])
    yield "message_events", iter([contacts.message_events(rng)])
    del contacts
    payments = _Payments(history, staff, rng)
    yield "payments", payments.parts()
    balances, differences = _loan_balances(history, (payments.loan, payments.day, payments.signed_cents), rng)
    del payments
    yield "loan_balances", iter([balances])
    yield "control_totals", iter([_control_totals(balances, of_loan)])
    yield BALANCE_TRUTH, iter([differences])


def row_counts(history: History) -> dict[str, int]:
    """Rows of the larger tables, known before they are made."""
    people, book, records = history.world.people, history.world.book, history.records
    points = (people.has_mobile, people.has_second_mobile, people.has_landline, people.has_email)
    return {
        "payments": records.payment_count,
        "installments": int((book.last - book.first).sum()),
        "interactions": sum(len(week["member"]) for week in records.contacts),
        "promises": sum(int((week["promise_due"] >= 0).sum()) for week in records.contacts),
        "contact_points": people.count
        + sum(int(has.sum()) for has in points)
        + len(_with_workplace(people))
        + len(_with_reference(people)),
    }


def _parts(count: int) -> Iterator[slice]:
    """Slices of at most ``ROWS_AT_ONCE``; one that is empty when there is nothing."""
    for begin in range(0, max(count, 1), ROWS_AT_ONCE):
        yield slice(begin, min(begin + ROWS_AT_ONCE, count))


def _branches(history: History, rng: np.random.Generator) -> pa.Table:
    province = history.world.people.branch_province
    n = len(province)
    nth = np.array([np.sum(province[:i] == province[i]) for i in range(n)])
    names = []
    for code, order in zip(province, nth, strict=True):
        capital, second = PROVINCES[code][5], PROVINCES[code][6]
        names.append("Agencia " + (capital if order == 0 else second if order == 1 else f"{capital} {order}"))
    lat = np.array([PROVINCES[code][3] for code in province]) + rng.normal(0, 0.03, n)
    lon = np.array([PROVINCES[code][4] for code in province]) + rng.normal(0, 0.03, n)
    return pa.table(
        {
            "branch_id": keys("B", np.arange(n) + 1, 2),
            "name": pa.array(names, pa.string()),
            "province": chosen([row[0] for row in PROVINCES], province),
            "latitude": np.round(lat, 6),
            "longitude": np.round(lon, 6),
        }
    )


class Staff:
    """Collectors as arrays for the draws, and as a table. Callers serve every zone, visitors one province each."""

    def __init__(self, table: pa.Table, callers: np.ndarray, visitors: dict[int, np.ndarray], agency: np.ndarray):
        self.table = table
        self.callers = callers
        self.visitors = visitors
        self.agency = agency


def make_collectors(history: History, rng: np.random.Generator) -> Staff:
    """About one caller per 1 300 members, one visitor per 3 500 members of a province, and some of an agency."""
    people = history.world.people
    provinces = int(people.province.max()) + 1
    caller_count = max(2, round(people.count / 1300))
    agency_callers = max(1, caller_count // 4)
    visitors_of = np.maximum(1, np.round(np.bincount(people.province, minlength=provinces) / 3500)).astype(int)
    total = caller_count + agency_callers + int(visitors_of.sum())
    zone: list[str | None] = []
    channels: list[str] = []
    kind: list[str] = []
    languages: list[str] = []
    capacity: list[int] = []
    team: list[str] = []
    branch: list[str | None] = []
    for i in range(caller_count + agency_callers):
        internal = i < caller_count
        zone.append(None)
        channels.append("call")
        kind.append("internal" if internal else "agency")
        languages.append("es,qu" if i % 5 == 2 else "es")
        capacity.append(24 if internal else 18)
        team.append("telefónico" if internal else "externo")
        branch.append(None)
    visitors: dict[int, np.ndarray] = {}
    at = caller_count + agency_callers
    for code in range(provinces):
        name = PROVINCES[code][0]
        own_branches = np.flatnonzero(people.branch_province == code)
        visitors[code] = np.arange(at, at + visitors_of[code])
        for i in range(visitors_of[code]):
            agency = i % 3 == 2
            zone.append(name)
            channels.append("visit")
            kind.append("agency" if agency else "internal")
            languages.append("es,qu" if name in KICHWA_PROVINCES else "es")
            capacity.append(6)
            team.append("externo" if agency else "campo")
            # people of an agency are told no branch: they begin at the nearest
            branch.append(
                None if agency or not len(own_branches) else f"B{own_branches[i % len(own_branches)] + 1:02d}"
            )
        at += visitors_of[code]
    given = np.array(GIVEN_WOMEN + GIVEN_MEN, object)
    family = np.array(FAMILY_NAMES, object)
    names = given[rng.integers(0, len(given), total)] + " " + family[rng.integers(0, len(family), total)]
    is_agency = np.array([value == "agency" for value in kind])
    started = history.first_day - rng.integers(30, 2500, total)
    # one caller left in the meantime and must not be given work any more
    left = np.full(total, -1)
    if caller_count > 3:
        left[caller_count - 1] = history.last_day - 120
    table = pa.table(
        {
            "collector_id": keys("G", np.arange(total) + 1, 3),
            "full_name": pa.array(names, pa.string()),
            "team": pa.array(team, pa.string()),
            "kind": pa.array(kind, pa.string()),
            "agency": pa.array(["Recuperaciones Andinas" if flag else None for flag in is_agency], pa.string()),
            "channels": pa.array(channels, pa.string()),
            "zone": pa.array(zone, pa.string()),
            "languages": pa.array(languages, pa.string()),
            "daily_capacity": pa.array(capacity, pa.int64()),
            "branch_id": pa.array(branch, pa.string()),
            "latitude": pa.nulls(total, pa.float64()),
            "longitude": pa.nulls(total, pa.float64()),
            "active_from": days(started),
            "active_to": days(left),
        }
    )
    return Staff(table, np.arange(caller_count + agency_callers), visitors, is_agency)


def _holidays(history: History) -> pa.Table:
    found = public_holidays(date_of(history.first_day).year, history.as_of.year + 1)
    return pa.table(
        {
            "country": pa.array(["EC"] * len(found), pa.string()),
            "date": pa.array(list(found), pa.date32()),
            "name": pa.array(list(found.values()), pa.string()),
        }
    )


def _customers(history: History) -> pa.Table:
    people = history.world.people
    n = people.count
    city = [(row[5], row[6]) for row in PROVINCES]
    flat_city = [name for pair in city for name in pair]
    status = np.where(people.status_week <= (history.last_day - history.first_day) // 7, people.status, 0)
    return pa.table(
        {
            "customer_id": keys("C", people.customer_number),
            "national_id": pa.array(people.national_id, pa.string()),
            "full_name": pa.array(people.names, pa.string()),
            "birth_date": days(people.birth_day),
            "gender": chosen(("F", "M"), np.where(people.woman, 0, 1)),
            "marital_state": nothing(n),
            "province": chosen([row[0] for row in PROVINCES], people.province),
            "city": chosen(flat_city, people.province * 2 + ~people.urban),
            "urban": pa.array(people.urban),
            "occupation": chosen([row[0] for row in OCCUPATIONS], people.occupation),
            "monthly_income": money(people.income_cents),
            "member_since": days(np.minimum(people.member_since_day, _first_disbursed(history))),
            "branch_id": keys("B", people.branch + 1, 2),
            "language": chosen(("es", "qu"), people.kichwa.astype(int)),
            "timezone": pa.array(["America/Guayaquil"] * n, pa.string()),
            "party": nothing(n),
            "status": chosen(STATUSES, status),
        }
    )


def _first_disbursed(history: History) -> np.ndarray:
    book = history.world.book
    first = np.full(history.world.people.count, 10**6)
    np.minimum.at(first, book.member, book.disbursed_day)
    return first


def _contact_points(history: History, rng: np.random.Generator) -> pa.Table:
    people, records = history.world.people, history.records
    n = people.count
    everyone = np.arange(n)
    phone_out = np.full(n, -1)
    mail_out = np.full(n, -1)
    for member, channel, day in records.opt_outs:
        is_mail = channel == EMAIL
        mail_out[member[is_mail]] = np.where(mail_out[member[is_mail]] < 0, day[is_mail], mail_out[member[is_mail]])
        phone = member[~is_mail]
        phone_out[phone] = np.where(phone_out[phone] < 0, day[~is_mail], phone_out[phone])
    bad_day = np.where(people.mobile_known_bad, history.first_day, -1)
    for member, day in records.bad_numbers:
        bad_day[member] = np.where(bad_day[member] < 0, day, bad_day[member])
    second_number = n + np.cumsum(people.has_second_mobile)

    def phone_text(number: np.ndarray) -> pa.Array:
        text = pc.utf8_lpad(pc.cast(pa.array(number), pa.string()), 8, "0")
        return pc.binary_join_element_wise(pa.scalar("+5939"), text, pa.scalar(""))

    landline = pc.binary_join_element_wise(
        pa.scalar("+593"),
        pc.cast(pa.array(np.where(people.province == 1, 2, 3)), pa.string()),
        pc.utf8_lpad(pc.cast(pa.array(2_000_000 + everyone % 900_000), pa.string()), 7, "0"),
        pa.scalar(""),
    )
    mail = pc.binary_join_element_wise(
        pa.scalar("socia"), pc.cast(pa.array(everyone + 1), pa.string()), pa.scalar("@correo.example"), pa.scalar("")
    )
    street = chosen(STREETS, rng.integers(0, len(STREETS), n))
    cross = chosen(STREETS, rng.integers(0, len(STREETS), n))
    address = pc.binary_join_element_wise(
        pa.scalar("Calle"),
        street,
        pc.cast(pa.array(rng.integers(1, 900, n)), pa.string()),
        pa.scalar("y"),
        cross,
        pa.scalar(" "),
    )
    consent_day = np.maximum(people.member_since_day, history.first_day - 1500)
    no_day = np.full(n, -1)
    blocks = [
        (0, people.has_mobile, phone_text(everyone + 1), people.has_whatsapp, bad_day < 0, phone_out, bad_day),
        (
            0,
            people.has_second_mobile,
            phone_text(second_number),
            people.has_second_mobile,
            np.ones(n, bool),
            no_day,
            no_day,
        ),
        (1, people.has_landline, landline, np.zeros(n, bool), np.ones(n, bool), no_day, no_day),
        (2, people.has_email, mail, np.zeros(n, bool), np.ones(n, bool), mail_out, no_day),
        (3, np.ones(n, bool), address, np.zeros(n, bool), np.ones(n, bool), no_day, no_day),
    ]
    parts = []
    for kind, has, value, whatsapp, valid, opted_out, changed in blocks:
        rows = np.flatnonzero(has)
        m = len(rows)
        at_home = kind == 3
        latitude, longitude, unknown = _recorded_positions(people.latitude[rows], people.longitude[rows], rows)
        consent = people.consent[rows]
        updated = np.maximum.reduce([consent_day[rows], opted_out[rows], changed[rows]])
        noon = np.full(m, 12 * 3600)
        parts.append(
            pa.table(
                {
                    "_member": rows,
                    "_kind": np.full(m, kind),
                    "customer_id": keys("C", people.customer_number[rows]),
                    "kind": chosen(("mobile", "landline", "email", "address"), np.full(m, kind)),
                    "value": pc.take(value, pa.array(rows)),
                    "whatsapp": pa.array(whatsapp[rows], pa.bool_(), mask=np.full(m, kind != 0)),
                    "latitude": pa.array(latitude, mask=unknown | (not at_home)),
                    "longitude": pa.array(longitude, mask=unknown | (not at_home)),
                    "place": chosen(("home",), np.full(m, 0 if at_home else -1)),
                    "party": nothing(m),
                    "valid": pa.array(valid[rows]),
                    "consent": pa.array(consent == 1, pa.bool_(), mask=consent < 0),
                    "consent_at": moments(np.where(consent == 1, consent_day[rows], -1), noon),
                    "opted_out_at": moments(opted_out[rows], np.full(m, 19 * 3600)),
                    "updated_at": moments(updated, np.full(m, 20 * 3600)),
                }
            )
        )
    table = pa.concat_tables(parts)
    order = np.lexsort((np.arange(len(table)), table["_kind"].to_numpy(), table["_member"].to_numpy()))
    table = table.take(pa.array(order)).drop_columns(["_member", "_kind"])
    table = pa.concat_tables([table, _of_work_and_of_others(history, table.schema)])
    return table.add_column(0, "contact_point_id", keys("K", np.arange(len(table)) + 1))


def _with_workplace(people: People) -> np.ndarray:
    return np.flatnonzero(np.arange(people.count) % 19 == 4)


def _with_reference(people: People) -> np.ndarray:
    return np.flatnonzero(np.arange(people.count) % 13 == 6)


def _of_work_and_of_others(history: History, schema: pa.Schema) -> pa.Table:
    """Workplaces and telephones of personal references, as cores keep them beside the member's own.

    Nobody may use them. They follow the other rows and are drawn from nothing: whatever else there is stays as it was.
    """
    people = history.world.people
    work, other = _with_workplace(people), _with_reference(people)
    m = len(work) + len(other)
    member, is_work = np.concatenate([work, other]), np.arange(m) < len(work)
    number = pc.utf8_lpad(pc.cast(pa.array(50_000_000 + member), pa.string()), 8, "0")
    telephone = pc.binary_join_element_wise(pa.scalar("+5939"), number, pa.scalar(""))
    street = pc.binary_join_element_wise(
        pa.scalar("Calle"),
        chosen(STREETS, member % len(STREETS)),
        pc.cast(pa.array(1 + member % 900), pa.string()),
        pa.scalar("(trabajo)"),
        pa.scalar(" "),
    )
    told = np.maximum(people.member_since_day[member], history.first_day - 1500)
    never = moments(np.full(m, -1), np.zeros(m, dtype=np.int64))
    return pa.table(
        {
            "customer_id": keys("C", people.customer_number[member]),
            "kind": chosen(("mobile", "address"), is_work.astype(int)),
            "value": pc.if_else(pa.array(is_work), street, telephone),
            "whatsapp": pa.array(np.zeros(m, bool), mask=is_work),
            "latitude": pa.array(people.latitude[member] + 0.004, mask=~is_work),
            "longitude": pa.array(people.longitude[member] - 0.004, mask=~is_work),
            "place": chosen(("work",), np.where(is_work, 0, -1)),
            "party": chosen(("reference",), np.where(is_work, -1, 0)),
            "valid": pa.array(np.ones(m, bool)),
            "consent": pa.array(np.ones(m, bool), mask=~is_work),
            "consent_at": never,
            "opted_out_at": never,
            "updated_at": moments(told, np.full(m, 20 * 3600)),
        },
        schema=schema,
    )


def _recorded_positions(
    latitude: np.ndarray, longitude: np.ndarray, member: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions as an institution has them: in one of 70 addresses missing, swapped, or 0, 0; and which are missing."""
    swapped, nowhere = member % 307 == 11, member % 503 == 13
    north, east = np.where(swapped, longitude, latitude), np.where(swapped, latitude, longitude)
    return np.where(nowhere, 0.0, north), np.where(nowhere, 0.0, east), member % 101 == 7


def _loans(history: History, rng: np.random.Generator) -> pa.Table:
    book, people, state = history.world.book, history.world.people, history.state
    n = book.count
    last_due = book.due_day[book.last - 1]
    officer = people.branch[book.member] * 3 + rng.integers(0, 3, n) + 1
    changed = np.maximum.reduce(
        [book.disbursed_day, history.closed_day, history.written_off_day, history.restructured_day]
    )
    status = np.select([state.status == CLOSED, state.status == WRITTEN_OFF], [1, 2], 0)
    return pa.table(
        {
            "loan_id": keys("L", np.arange(n) + 1),
            "customer_id": keys("C", people.customer_number[book.member]),
            "product": chosen(PRODUCTS, book.product),
            "branch_id": keys("B", people.branch[book.member] + 1, 2),
            "officer_id": keys("OF", officer, 3),
            "currency": pa.array(["USD"] * n, pa.string()),
            "principal": money(book.principal),
            "annual_rate": book.annual_rate,
            "term_months": pa.array(book.term_months, pa.int64()),
            "disbursed_on": days(book.disbursed_day),
            "maturity_on": days(last_due),
            "collateral": chosen(COLLATERALS, book.collateral),
            "guarantor_id": keys("C", np.where(book.guarantor >= 0, book.guarantor + 1, -1)),
            "status": chosen(("active", "closed", "written_off"), status),
            "closed_on": days(history.closed_day),
            "written_off_on": days(history.written_off_day),
            "restructured_on": days(history.restructured_day),
            "updated_at": moments(changed, np.full(n, 18 * 3600)),
        }
    )


def _installments(history: History) -> Iterator[pa.Table]:
    book = history.world.book
    ends = np.cumsum(book.last - book.first)
    for part in _parts(int(ends[-1])):
        row = np.arange(part.start, part.stop)
        loan = np.searchsorted(ends, row, side="right")
        number = row - (ends[loan] - (book.last - book.first)[loan])
        at = book.first[loan] + number
        yield pa.table(
            {
                "loan_id": keys("L", loan + 1),
                "installment_no": pa.array(number + 1, pa.int64()),
                "due_on": days(book.due_day[at]),
                "principal_due": money(book.principal_due[at]),
                "interest_due": money(book.interest_due[at]),
                "fees_due": money(book.fees_due[at]),
            }
        )


class _Contacts:
    """All contacts in order of time, and the collectors who made the calls and visits."""

    def __init__(self, history: History, staff: Staff, rng: np.random.Generator) -> None:
        self.history = history
        recorded = history.records.contacts
        day, second, member = (
            np.concatenate([week[name] for week in recorded]) for name in ("day", "second_of_day", "member")
        )
        order = np.lexsort((member, second, day))
        self.columns = {name: np.concatenate([week[name] for week in recorded])[order] for name in recorded[0]}
        people = history.world.people
        channel, member = self.columns["channel"], self.columns["member"].astype(np.int64)
        self.outbound = ~self.columns["inbound"]
        self.collector = np.full(len(order), -1)
        calls = np.flatnonzero((channel == CALL) & self.outbound)
        # two times in three the member's usual caller, otherwise whoever is free
        usual = (member[calls] * 7919 + 13) % len(staff.callers)
        self.collector[calls] = np.where(
            rng.random(len(calls)) < 0.66,
            staff.callers[usual],
            staff.callers[rng.integers(0, len(staff.callers), len(calls))],
        )
        visits = np.flatnonzero((channel == VISIT) & self.outbound)
        for code, visitors in staff.visitors.items():
            here = visits[people.province[member[visits]] == code]
            self.collector[here] = visitors[rng.integers(0, len(visitors), len(here))]

    def interactions(self) -> Iterator[pa.Table]:
        """The table ``interactions``."""
        people, settings = self.history.world.people, self.history.world.settings
        unit_cost = np.array([*(round(settings.cost[name] * 10_000) for name in CHANNELS), 0])
        for part in _parts(len(self.outbound)):
            columns = {name: values[part] for name, values in self.columns.items()}
            outbound, collector, channel = self.outbound[part], self.collector[part], columns["channel"]
            campaign = np.isin(channel, (IVR, WHATSAPP, SMS, EMAIL)) & outbound
            week_text = pc.utf8_lpad(pc.cast(pa.array(columns["week"] + 1), pa.string()), 3, "0")
            campaign_id = pc.binary_join_element_wise(
                pa.scalar("CAMP"), chosen(_EVENT_CHANNELS, channel), week_text, pa.scalar("-")
            )
            yield pa.table(
                {
                    "interaction_id": keys("I", np.arange(part.start, part.stop) + 1, 9),
                    "customer_id": keys("C", people.customer_number[columns["member"]]),
                    "loan_id": keys("L", columns["loan"] + 1),
                    "occurred_at": moments(columns["day"], columns["second_of_day"]),
                    "channel": chosen(_EVENT_CHANNELS, channel),
                    "direction": chosen(("outbound", "inbound"), columns["inbound"].astype(int)),
                    "collector_id": keys("G", np.where(collector >= 0, collector + 1, -1), 3),
                    "campaign_id": pc.if_else(pa.array(campaign), campaign_id, pa.scalar(None, pa.string())),
                    "outcome": chosen(OUTCOMES, columns["outcome"]),
                    "duration_s": decimals_or_null(columns["duration"].astype(float)),
                    "cost": money(unit_cost[channel] * outbound, kind=UNIT_COST),
                    "propensity": decimals_or_null(columns["propensity"]),
                    "notes": nothing(len(channel)),
                }
            )

    def promises(self) -> pa.Table:
        """The table ``promises``."""
        columns = self.columns
        rows = np.flatnonzero(columns["promise_due"] >= 0)
        return pa.table(
            {
                "promise_id": keys("PR", np.arange(len(rows)) + 1),
                "interaction_id": keys("I", rows + 1, 9),
                "loan_id": keys("L", columns["loan"][rows] + 1),
                "made_at": moments(columns["day"][rows], columns["second_of_day"][rows]),
                "due_on": days(columns["promise_due"][rows]),
                "amount": money(columns["promise_cents"][rows]),
            }
        )

    def message_events(self, rng: np.random.Generator) -> pa.Table:
        """The table ``message_events``: receipts of the messages of the newest weeks."""
        columns = self.columns
        newest = int(columns["week"].max()) if len(self.outbound) else 0
        recent = columns["week"] > newest - _MESSAGE_EVENT_WEEKS
        sent = np.flatnonzero(np.isin(columns["channel"], MESSAGE_CHANNELS) & self.outbound & recent)
        return _message_events(columns, sent, rng)


def _message_events(columns: dict[str, np.ndarray], sent: np.ndarray, rng: np.random.Generator) -> pa.Table:
    """Receipts: sent at once, then delivered or failed within minutes, then read, replied or opted out within hours."""
    outcome = columns["outcome"][sent]
    failed = outcome == O["failed"]
    reacted = np.isin(outcome, (O["read"], O["replied"], O["promise"], O["opt_out"], O["complaint"]))
    last = np.select(
        [outcome == O["opt_out"], np.isin(outcome, (O["replied"], O["promise"], O["complaint"]))], [5, 4], 3
    )
    status = np.concatenate([np.full(len(sent), 0), np.where(failed, 2, 1), last[reacted]])
    row = np.concatenate([sent, sent, sent[reacted]])
    step = np.concatenate([np.zeros(len(sent), int), np.ones(len(sent), int), np.full(int(reacted.sum()), 2)])
    wait = np.array([1, 25, 2400])[step] * rng.exponential(1.0, len(row)) + np.array([0, 1, 30])[step]
    second = np.minimum(columns["second_of_day"][row] + wait.astype(np.int64), 86_399)
    order = np.lexsort((step, row))
    status, row, second = status[order], row[order], second[order]
    error = np.where(status == 2, 0, -1)
    return pa.table(
        {
            "message_event_id": keys("M", np.arange(len(row)) + 1, 9),
            "interaction_id": keys("I", row + 1, 9),
            "status": chosen(("sent", "delivered", "failed", "read", "replied", "opted_out"), status),
            "at": moments(columns["day"][row], second),
            "error_code": chosen(("undeliverable",), error),
        }
    )


_METHODS = ("branch", "transfer", "card", "wallet", "agent", "payroll", "collector")


class _Payments:
    """All payments: loan, day and signed cents as they were recorded (for the core's own balances), and in order."""

    def __init__(self, history: History, staff: Staff, rng: np.random.Generator) -> None:
        records, people, book = history.records, history.world.people, history.world.book
        loan = np.concatenate(records.payment_loan)
        day = np.concatenate(records.payment_day)
        cents = np.concatenate(records.payment_cents)
        taken = np.concatenate(records.payment_collector)
        reverses = np.concatenate(records.payment_reverses)
        n = len(loan)
        member = book.member[loan].astype(np.int64)
        usual = (member * 104_729) % 100 / 100
        # people keep to one way of paying, most of the time
        draw = np.where(rng.random(n) < 0.7, usual, rng.random(n))
        method = np.searchsorted(np.cumsum([0.34, 0.27, 0.09, 0.14, 0.11]), draw, side="right").astype(np.int8)
        method = np.where((people.occupation[member] != 0) & (method == 5), np.int8(0), method)
        second = np.clip(rng.normal(13 * 3600, 3.1 * 3600, n), 6.5 * 3600, 21.9 * 3600).astype(np.int32)
        collector = np.full(n, -1, np.int32)
        took = np.flatnonzero(taken)
        for code, visitors in staff.visitors.items():
            here = took[people.province[member[took]] == code]
            collector[here] = visitors[rng.integers(0, len(visitors), len(here))]
        method[took] = 6
        undo = np.flatnonzero(reverses >= 0)
        method[undo] = method[reverses[undo]]
        collector[undo] = -1

        self.order = np.lexsort((np.arange(n), second, day))
        place = np.empty(n, np.int32)
        place[self.order] = np.arange(n)
        self.target = np.where(reverses >= 0, place[np.maximum(reverses, 0)] + 1, -1)
        self.loan, self.day, self.cents = loan, day, cents
        self.second, self.method, self.collector = second, method, collector
        self.signed_cents = np.where(reverses >= 0, -cents, cents)

    def parts(self) -> Iterator[pa.Table]:
        """The table ``payments`` in order of time."""
        for part in _parts(len(self.order)):
            row = self.order[part]
            collector = self.collector[row]
            yield pa.table(
                {
                    "payment_id": keys("T", np.arange(part.start, part.stop) + 1, 9),
                    "loan_id": keys("L", self.loan[row] + 1),
                    "paid_at": moments(self.day[row], self.second[row]),
                    "amount": money(self.cents[row]),
                    "method": chosen(_METHODS, self.method[row]),
                    "reverses_payment_id": keys("T", self.target[row], 9),
                    "collector_id": keys("G", np.where(collector >= 0, collector + 1, -1), 3),
                }
            )


def month_end_before(as_of: date) -> date:
    """The last day of the last month that is over before ``as_of``."""
    return as_of.replace(day=1) - timedelta(days=1)


BALANCE_DIFFERENCES = ("missing_payment", "off_by_one", "rounding", "unknown")
"""What the core's balances of the demo differ by, in the words of the seed ``reconciliation_causes``."""

_RECENT_DAYS = 31
_LOANS_AT_ONCE = 50_000


def _core_figures(history: History, paid: np.ndarray, at_day: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Outstanding principal, arrears (cents) and past-due days of every loan at the end of ``at_day``.

    Fees, then interest, then principal, oldest instalment first.
    """
    book = history.world.book
    principal_paid, arrears = np.zeros(book.count, np.int64), np.zeros(book.count, np.int64)
    oldest = np.full(book.count, 10**7)
    for begin in range(0, book.count, _LOANS_AT_ONCE):
        loans = slice(begin, begin + _LOANS_AT_ONCE)
        first, length = book.first[loans], (book.last - book.first)[loans]
        here = np.repeat(np.arange(len(first)), length)
        at = np.arange(len(here)) + (first - (np.cumsum(length) - length))[here]
        total = book.total_due(at)
        got = np.clip(paid[loans][here] - (book.cumulative_due[at] - total), 0, total)
        principal_got = np.maximum(got - book.fees_due[at] - book.interest_due[at], 0)
        principal_paid[loans] = np.bincount(here, weights=principal_got, minlength=len(first))
        left = total - got
        past = (book.due_day[at] < at_day) & (left > TOLERANCE_CENTS)
        arrears[loans] = np.bincount(here, weights=np.where(past, left, 0), minlength=len(first))
        np.minimum.at(oldest[loans], here[past], book.due_day[at][past])
    return book.principal - principal_paid, arrears, np.where(oldest < 10**7, at_day - oldest, 0)


def _loan_balances(
    history: History, payments: tuple[np.ndarray, np.ndarray, np.ndarray], rng: np.random.Generator
) -> tuple[pa.Table, pa.Table]:
    """What the core says at the last month end, loans open on that day only, and the differences put in on purpose.

    The core's oddities: its last payment of the month not booked yet, days counted from the day after, a few cents, and
    a part of the arrears left out, which nothing explains.
    """
    book = history.world.book
    at_day = (month_end_before(history.as_of) - date(1970, 1, 1)).days
    loan, day, signed = payments
    paid = np.zeros(book.count, np.int64)
    until = day <= at_day
    np.add.at(paid, loan[until], signed[until])
    figures = _core_figures(history, paid, at_day)
    recent = np.flatnonzero(until & (day > at_day - _RECENT_DAYS) & (signed > 0))
    recent = recent[np.argsort(day[recent], kind="stable")]
    last = np.zeros(book.count, np.int64)
    last[loan[recent]] = signed[recent]
    unbooked = _core_figures(history, paid - last, at_day)

    gone = (
        ((history.closed_day >= 0) & (history.closed_day <= at_day))
        | ((history.written_off_day >= 0) & (history.written_off_day <= at_day))
        | (book.disbursed_day > at_day)
    )
    rows = np.flatnonzero(~gone)
    outstanding, owed, late = (values[rows] for values in figures)
    odd = rng.random(len(rows)) < history.world.settings.balance_difference_share
    kind = np.where(odd, rng.integers(0, len(BALANCE_DIFFERENCES), len(rows)), -1)
    kind = np.where((kind == 0) & (last[rows] == 0), 1, kind)
    kind = np.where((kind == 3) & (owed < 100), 2, kind)
    outstanding = np.where(kind == 0, unbooked[0][rows], outstanding) + np.where(kind == 2, 3, 0)
    owed = np.where(kind == 0, unbooked[1][rows], np.where(kind == 3, owed * 4 // 5, owed))
    late = np.where(kind == 0, unbooked[2][rows], late) + np.where(kind == 1, 1, 0)
    table = pa.table(
        {
            "loan_id": keys("L", rows + 1),
            "as_of": days(np.full(len(rows), at_day)),
            "outstanding_principal": money(outstanding),
            "arrears_amount": money(owed),
            "days_past_due": pa.array(late, pa.int64()),
        }
    )
    planted = np.flatnonzero(kind >= 0)
    truth = pa.table({"loan_id": keys("L", rows[planted] + 1), "cause": chosen(BALANCE_DIFFERENCES, kind[planted])})
    return table, truth


def _control_totals(balances: pa.Table, loans: pa.Table) -> pa.Table:
    """The core's own sums of its balances: per branch and product, and over all of them (``*``)."""
    joined = balances.join(loans.select(["loan_id", "branch_id", "product"]), "loan_id")
    figures = [("loan_id", "count"), ("outstanding_principal", "sum"), ("arrears_amount", "sum")]
    groups = joined.group_by(["as_of", "branch_id", "product"]).aggregate(figures)
    everything = joined.group_by(["as_of"]).aggregate(figures)
    star = pa.array(["*"] * len(everything), pa.string())
    everything = everything.append_column("branch_id", star).append_column("product", star)
    total = pa.concat_tables([groups, everything.select(groups.column_names)])
    total = total.sort_by([("as_of", "ascending"), ("branch_id", "ascending"), ("product", "ascending")])
    kind = balances.schema.field("arrears_amount").type
    return pa.table(
        {
            "as_of": total["as_of"],
            "branch_id": total["branch_id"],
            "product": total["product"],
            "loan_count": pc.cast(total["loan_id_count"], pa.int64()),
            "outstanding_principal": pc.cast(total["outstanding_principal_sum"], kind),
            "arrears_amount": pc.cast(total["arrears_amount_sum"], kind),
        }
    )
