"""What happened with the members of a list, read from the versions that were delivered: for the checker alone.

Written apart from the dbt models that read the same tables for the engine: a contact, a promise or an opt-out that they
lose is still here. The definitions are those of docs/contact_rules.md, section "What the checker reads".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pandas as pd

_FROM_A_LIST = "puntual-worklist:"
_NOT_MADE = "puntual-worklist:withdrawn"
_TELEPHONE = frozenset({"call", "ivr", "whatsapp", "sms"})
_NUMBERS = frozenset({"mobile", "landline"})
_BY_PEOPLE = frozenset({"call", "visit"})
_MEMBER_SPOKE = frozenset({"right_party", "promise", "refusal", "dispute", "callback"})

HELD_FOR_EVER = tuple(sorted({"opt_out", "wrong_number", *_MEMBER_SPOKE}))
"""Outcomes that matter however old they are: refused channels, and whether the numbers are the member's."""


@dataclass(frozen=True)
class RawVersions:
    """Rows of the raw tables as they were appended: every version of a key, columns of the contract and lineage.

    ``loans``: loan_id and customer_id. ``interactions`` may be without what no rule remembers; of a key that is there,
    every version is.
    """

    customers: pd.DataFrame
    loans: pd.DataFrame
    contact_points: pd.DataFrame
    interactions: pd.DataFrame
    promises: pd.DataFrame
    payments: pd.DataFrame


@dataclass(frozen=True)
class RawEvents:
    """The frames of :func:`puntual.decision.checker.violations`, and what members wrote (``texts``)."""

    customers: pd.DataFrame
    contact_points: pd.DataFrame
    interactions: pd.DataFrame
    promises: pd.DataFrame
    payments: pd.DataFrame
    texts: pd.DataFrame


def newest(versions: pd.DataFrame, key: str) -> pd.DataFrame:
    """The last version of each key, by load and row of its file; none of a key whose last version is a deletion."""
    ordered = versions.sort_values(["_load_id", "_source_row"], kind="stable", na_position="first")
    last = ordered.drop_duplicates(key, keep="last")
    is_deleted = last["_is_deleted"].map(lambda value: value is True or value == True).astype(bool)  # noqa: E712
    return last[~is_deleted.to_numpy()].reset_index(drop=True)


def read_events(
    raw: RawVersions, *, as_of: date, timezone: str, promise_grace_days: int, promise_tolerance_share: float
) -> RawEvents:
    """What had happened by the end of ``as_of`` in the institution's zone.

    1. Only the newest version of a key counts, and none whose newest version is a deletion.
    2. A contact of a filled list is not counted when the list was corrected to say that it was not made, nor when the
       core tells the same one: member, channel, direction, outcome and local day alike, and the same collector or none.
       Every other pair is two contacts.
    3. A promise is open until its grace is over, unless the net payments on its loan since the day on which it was made
       reach what was promised (less the tolerated share). One of a filled list counts while its contact is a promise,
       and gives way to one that the core tells of the same loan and day.
    4. A number is valid unless it is said not to be, or somebody else was met by telephone before ``as_of`` and neither
       did the member speak by telephone since, nor was the number delivered anew.

    Args:
        raw: versions of every key that matters.
        as_of: contact day.
        timezone: the institution's zone, of local days.
        promise_grace_days: days after the due date within which a payment still keeps a promise.
        promise_tolerance_share: share of a promise that may be missing.
    """
    told = newest(raw.interactions, "interaction_id")
    told = told.assign(day=_local_day(told["occurred_at"], timezone))
    contacts = told[_is_counted(told) & (told["day"] <= pd.Timestamp(as_of))].rename(
        columns={
            "channel": "channel_code",
            "direction": "direction_code",
            "outcome": "outcome_code",
            "day": "occurred_date",
        }
    )
    owner = dict(newest(raw.loans, "loan_id")[["loan_id", "customer_id"]].itertuples(index=False, name=None))
    payments = _payments(raw.payments, owner, timezone)
    promises = _promises(
        raw.promises, owner, told, payments, as_of, timezone, promise_grace_days, promise_tolerance_share
    )
    wrote = contacts[(contacts["direction_code"] == "inbound") & contacts["notes"].notna()]
    return RawEvents(
        customers=newest(raw.customers, "customer_id").rename(
            columns={"status": "customer_status_code", "party": "party_code"}
        ),
        contact_points=_contact_points(raw.contact_points, contacts, as_of),
        interactions=contacts.drop(columns=["notes", "_load_id", "_source_row", "_is_deleted"]).reset_index(drop=True),
        promises=promises,
        payments=payments,
        texts=wrote[["customer_id", "channel_code", "occurred_at", "notes"]].rename(columns={"notes": "text"}),
    )


def still_awaited(plans: pd.DataFrame, interactions: pd.DataFrame, agencies: Mapping[str, str]) -> pd.DataFrame:
    """Plans whose outcome may still come: no contact of a later day has come in through their channel.

    Of calls and visits a contact of the same agency, or of anybody who is of none: an agency's file says nothing of
    what others did, nor theirs of the agency.

    Args:
        plans: customer_id, loan_id, channel_code, collector_id, planned_for.
        interactions: of :class:`RawEvents`, with every contact of the whole book since the first of the plans.
        agencies: agency of each collector who is of one, by collector_id.
    """
    last: dict[tuple[str, str | None], pd.Timestamp] = {}
    made = interactions[interactions["direction_code"] == "outbound"]
    for channel, who, day in zip(made["channel_code"], made["collector_id"], made["occurred_date"], strict=True):
        source = channel, _agency(channel, who, agencies)
        last[source] = max(day, last.get(source, day))
    awaited = []
    for channel, who, day in zip(plans["channel_code"], plans["collector_id"], plans["planned_for"], strict=True):
        came = last.get((channel, _agency(channel, who, agencies)))
        awaited.append(came is None or pd.Timestamp(day) >= came)
    return plans[pd.Series(awaited, index=plans.index, dtype=bool)].reset_index(drop=True)


def agencies_of(versions: pd.DataFrame) -> dict[str, str]:
    """Agency of each collector who is of one, by collector_id; those without a name are one agency.

    Args:
        versions: collector_id, kind, agency and lineage of raw.collectors.
    """
    rows = newest(versions, "collector_id")
    return {
        str(who): _text(name) or ""
        for who, kind, name in zip(rows["collector_id"], rows["kind"], rows["agency"], strict=True)
        if kind == "agency"
    }


def _agency(channel: str, collector: Any, agencies: Mapping[str, str]) -> str | None:
    return agencies.get(str(collector)) if channel in _BY_PEOPLE else None


def _local_day(moments: pd.Series, timezone: str) -> pd.Series:
    local = pd.to_datetime(moments).dt.tz_localize("UTC").dt.tz_convert(timezone)
    return local.dt.tz_localize(None).dt.normalize()


def _text(value: Any) -> str | None:
    return None if value is None or pd.isna(value) else str(value)


def _is_counted(told: pd.DataFrame) -> pd.Series:
    """Not taken back, and not a list's telling of what the core tells."""
    by_list = told["interaction_id"].str.startswith(_FROM_A_LIST).astype(bool)
    by_core: dict[Any, set[str | None]] = defaultdict(set)
    met = told["customer_id"].isin(set(told.loc[by_list, "customer_id"])) & ~by_list
    for contact, collector in _meetings(told[met]):
        by_core[contact].add(collector)
    listed = [
        contact in by_core and (None in by_core[contact] or (collector is not None and collector in by_core[contact]))
        for contact, collector in _meetings(told[by_list])
    ]
    told_twice = set(told.loc[by_list, "interaction_id"][pd.Series(listed, index=told.index[by_list], dtype=bool)])
    return ~told["interaction_id"].isin(told_twice) & (told["campaign_id"].fillna("") != _NOT_MADE)


def _meetings(told: pd.DataFrame) -> Iterator[tuple[tuple[Any, ...], str | None]]:
    """What makes two tellings one contact, and who made it."""
    parts = [told[name] for name in ("customer_id", "channel", "direction", "outcome", "day")]
    for *contact, collector in zip(*parts, told["collector_id"], strict=True):
        yield tuple(contact), _text(collector)


def _payments(versions: pd.DataFrame, owner: dict[Any, Any], timezone: str) -> pd.DataFrame:
    rows = newest(versions, "payment_id")
    is_reversal = rows["reverses_payment_id"].notna()
    cents = (rows["amount"].astype(float) * 100).round()
    return pd.DataFrame(
        {
            "payment_id": rows["payment_id"],
            "loan_id": rows["loan_id"],
            "customer_id": rows["loan_id"].map(owner),
            "paid_date": _local_day(rows["paid_at"], timezone),
            "is_reversal": is_reversal.astype(bool),
            "reverses_payment_id": rows["reverses_payment_id"],
            "net_cents": cents.where(~is_reversal, -cents),
        }
    )


def _promises(
    versions: pd.DataFrame,
    owner: dict[Any, Any],
    told: pd.DataFrame,
    payments: pd.DataFrame,
    as_of: date,
    timezone: str,
    grace_days: int,
    tolerance_share: float,
) -> pd.DataFrame:
    """Open promises: customer_id, due_date, promise_status_code."""
    rows = newest(versions, "promise_id")
    rows = rows.assign(made=_local_day(rows["made_at"], timezone), due=pd.to_datetime(rows["due_on"]))
    outcome = dict(zip(told["interaction_id"], told["outcome"], strict=True))
    by_list = rows["promise_id"].astype(str).str.startswith(_FROM_A_LIST)
    by_core = {(loan, made) for loan, made in zip(rows["loan_id"][~by_list], rows["made"][~by_list], strict=True)}
    today, grace = pd.Timestamp(as_of), timedelta(days=grace_days)
    paid: dict[Any, list[tuple[pd.Timestamp, float]]] = defaultdict(list)
    of_promises = payments[payments["loan_id"].isin(set(rows["loan_id"]))]
    for loan, day, cents in zip(
        of_promises["loan_id"], of_promises["paid_date"], of_promises["net_cents"], strict=True
    ):
        paid[loan].append((day, cents))
    found = []
    for row, is_listed in zip(rows.itertuples(index=False), by_list, strict=True):
        if row.made > today or row.due + grace < today:
            continue
        if is_listed and ((row.loan_id, row.made) in by_core or outcome.get(row.interaction_id) != "promise"):
            continue
        arrived = sum(cents for day, cents in paid[row.loan_id] if row.made <= day <= min(today, row.due + grace))
        # an amount of money times a share: beyond the cent only rounding is left
        wanted = round(float(row.amount) * 100) * (1 - tolerance_share) - 1e-6
        if max(arrived, 0.0) < wanted:
            found.append((owner.get(row.loan_id), row.due, "open"))
    return pd.DataFrame(found, columns=["customer_id", "due_date", "promise_status_code"])


def _contact_points(versions: pd.DataFrame, contacts: pd.DataFrame, as_of: date) -> pd.DataFrame:
    rows = newest(versions, "contact_point_id")
    wrong: dict[Any, pd.Timestamp] = {}
    right: dict[Any, pd.Timestamp] = {}
    spoken = contacts[contacts["channel_code"].isin(_TELEPHONE) & (contacts["occurred_date"] < pd.Timestamp(as_of))]
    for who, moment, outcome in zip(spoken["customer_id"], spoken["occurred_at"], spoken["outcome_code"], strict=True):
        known = wrong if outcome == "wrong_number" else right if outcome in _MEMBER_SPOKE else None
        if known is not None:
            known[who] = max(known.get(who, moment), moment)
    valid = []
    for row in rows.itertuples(index=False):
        met = wrong.get(row.customer_id) if row.kind in _NUMBERS else None
        is_mended = met is not None and (
            (row.customer_id in right and right[row.customer_id] >= met)
            or (not pd.isna(row.updated_at) and row.updated_at > met)
        )
        is_said_wrong = not (row.valid is None or pd.isna(row.valid)) and not row.valid
        valid.append(not is_said_wrong and (met is None or is_mended))
    return pd.DataFrame(
        {
            "contact_point_id": rows["contact_point_id"],
            "customer_id": rows["customer_id"],
            "kind_code": rows["kind"],
            "value": rows["value"],
            "place_code": rows["place"],
            "party_code": rows["party"],
            "has_whatsapp": pd.Series(
                [bool(one) if not pd.isna(one) else False for one in rows["whatsapp"]], dtype=object
            ),
            "is_valid": pd.Series(valid, dtype=object),
            "has_consent": rows["consent"].astype(object),
            "consent_at": rows["consent_at"],
            "opted_out_at": rows["opted_out_at"],
            "updated_at": rows["updated_at"],
        }
    )
