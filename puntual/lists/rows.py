"""One row per chosen contact with everything that a person needs to make it, and the masked form for screens."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from typing import Any

import pandas as pd

from puntual.frames import texts_or_none
from puntual.lists.hours import suggested_hours
from puntual.lists.texts import LANGUAGES, money, reason_sentences, word

COLLECTOR_CHANNELS = ("call", "visit")
_LAST_CONTACTS = 3
_CUSTOMER_COLUMNS = ["customer_id", "full_name", "national_id", "province", "city", "timezone", "occupation"]
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]")
_TAKEN_STEMS = {"all", "screen"}
"""File names beside those of the collectors."""

FEATURE_COLUMNS = ["customer_id", "collectable_amount", "outstanding_principal_amount", "active_loan_count"]
WORKLIST_COLUMNS = (
    "as_of_date",
    "rank",
    "collector_id",
    "collector_name",
    "customer_id",
    "full_name",
    "national_id_masked",
    "channel_code",
    "contact_value_masked",
    "loan_id",
    "product_code",
    "branch_id",
    "arrears_amount",
    "past_due_days",
    "bucket_code",
    "window_start_local",
    "window_end_local",
    "suggested_hour_local",
    "route_order",
    "planned_arrival_local",
    "expected_gain_amount",
    "default_probability",
    "is_exploration",
    "reasons",
    "reasons_en",
    "file",
)


@dataclass(frozen=True)
class ListSettings:
    """How the lists are written: language of headings and sentences, currency of amounts, the institution's name, zone.

    ``csv_separator`` and ``csv_decimal`` are what spreadsheets of the language expect when None.
    """

    institution: str
    language: str
    currency: str
    timezone: str
    csv_separator: str | None = None
    csv_decimal: str | None = None

    @property
    def separator(self) -> str:
        """``;`` in Spanish, where the comma is the decimal sign; ``,`` in English; never the decimal sign itself."""
        if self.csv_separator:
            return self.csv_separator
        return ";" if self.decimal == "," else ","

    @property
    def decimal(self) -> str:
        """Decimal sign of the CSV files."""
        if self.csv_decimal:
            return self.csv_decimal
        return "," if self.language == "es" and self.csv_separator != "," else "."


def file_stem(identifier: object) -> str:
    """A file name for an identifier from outside: letters, digits, - and _; different identifiers, different names.

    >>> file_stem("G-12")
    'G-12'
    >>> file_stem("../boss").startswith("___boss_")
    True
    """
    text = str(identifier)
    safe = _UNSAFE.sub("_", text)
    return (
        safe
        if safe == text and text and text.lower() not in _TAKEN_STEMS
        else f"{safe}_{sha256(text.encode('utf-8')).hexdigest()[:8]}"
    )


def row_id(as_of: date, customer_id: object, channel_code: object) -> str:
    """What a line of a list is known by when it comes back: its day, and a digest of day, member and channel.

    A day decides at most one contact per member and channel, so no two lines share an id; the same decision has it
    again when the day is run again.

    >>> row_id(date(2026, 6, 30), "C000123", "call")
    '20260630-HC5FIGSHN7RXJPZQ'
    """
    said = json.dumps(["row", as_of.isoformat(), str(customer_id), str(channel_code)])
    digest = base64.b32encode(sha256(said.encode("utf-8")).digest()[:10]).decode("ascii")
    return f"{as_of:%Y%m%d}-{digest}"


def contact_rows(
    decisions: pd.DataFrame,
    details: pd.DataFrame,
    *,
    features: pd.DataFrame,
    customers: pd.DataFrame,
    loans: pd.DataFrame,
    contact_points: pd.DataFrame,
    collectors: pd.DataFrame,
    interactions: pd.DataFrame,
    promises: pd.DataFrame,
    buckets: pd.DataFrame,
    reason_texts: Mapping[str, Mapping[str, str]],
    settings: ListSettings,
    further_reasons: Mapping[str, Mapping[str, str]] | None = None,
    reach_hours: pd.DataFrame | None = None,
    scripts: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """One row per chosen contact, by list and rank, with personal data: the source of every list and campaign.

    Amounts and past-due days are the member's (all loans), the loan is the main one. Local times are the member's;
    reasons come in both languages (``reasons`` in Spanish, ``reasons_en``), ``script``, ``last_contacts`` and
    ``open_promise`` in that of ``settings``. ``file`` is the path of the list within the snapshot, ``list_id``
    names the list, ``row_id`` the line (:func:`row_id`). ``promise_limit_amount`` is the outstanding principal and what
    is collectable this week: nobody promises more.

    Args:
        decisions: of :func:`puntual.decision.decide.decide`.
        details: of the same.
        features: feat_customer__as_of rows of the day (``FEATURE_COLUMNS``).
        customers: dim_customers.
        loans: dim_loans.
        contact_points: dim_contact_points.
        collectors: dim_collectors.
        interactions: fct_interactions.
        promises: fct_promises; with ``kept_probability``, what is said of an open one names it.
        buckets: bucket_code, min_days, max_days.
        reason_texts: code -> language -> sentence, of the decision and of the risk model.
        settings: how the lists are written.
        further_reasons: loan -> language -> sentences after the reasons: what lowers its risk, what would change it.
        reach_hours: rows of ``ml.reach_hours`` for the date; without them no hour is suggested.
        scripts: opening line by member, in the tone of its step of the escalation.
    """
    chosen = decisions[decisions["action"] != "none"].copy()
    chosen = chosen.rename(columns={"action": "channel_code"})
    keys = ["customer_id", "channel_code"]
    points = details.loc[details["is_chosen"].to_numpy(dtype=bool), [*keys, "contact_point_id"]]
    rows = (
        chosen.merge(points, on=keys, how="left")
        .merge(features[FEATURE_COLUMNS], on="customer_id", how="left")
        .merge(
            customers[_CUSTOMER_COLUMNS],
            on="customer_id",
            how="left",
        )
        .merge(loans[["loan_id", "product_code", "branch_id"]], on="loan_id", how="left")
        .merge(
            contact_points.reindex(columns=["contact_point_id", "value", "latitude", "longitude", "party_code"]).rename(
                columns={"value": "contact_value"}
            ),
            on="contact_point_id",
            how="left",
        )
        .merge(
            collectors[["collector_id", "full_name"]].rename(columns={"full_name": "collector_name"}),
            on="collector_id",
            how="left",
        )
    )
    rows = texts_or_none(rows)
    rows["bucket_code"] = _bucket(rows["past_due_days"], buckets)
    rows["window_start_local"] = _local_time(rows, "window_start", settings)
    rows["window_end_local"] = _local_time(rows, "window_end", settings)
    further = further_reasons or {}
    rows["suggested_hour_local"] = suggested_hours(rows, reach_hours, _zones(rows, settings))
    # filled by puntual.lists.routes.with_routes once the day's routes are planned
    rows["route_order"] = pd.array([pd.NA] * len(rows), dtype="Int64")
    rows["planned_arrival_local"] = pd.Series(None, index=rows.index, dtype=object)
    for language, name in zip(LANGUAGES, ("reasons", "reasons_en"), strict=True):
        said = _with_further(_reasons(rows["reason_codes"], reason_texts, language), rows, further, language)
        rows[name] = _whose(said, rows, language)
    # whoever works the list is not told that a contact was drawn: another tone would spoil the measurement
    on_list = _reasons(_without_draw(rows["reason_codes"]), reason_texts, settings.language)
    rows["reasons_on_list"] = _whose(_with_further(on_list, rows, further, settings.language), rows, settings.language)
    rows["amount_text"] = _amount_text(rows, settings)
    rows["script"] = rows["customer_id"].map(dict(scripts or {})).astype(object).fillna("")
    rows["last_contacts"] = _last_contacts(rows, interactions, settings)
    rows["previous_collector"] = _previous_collector(rows, interactions, collectors)
    rows["open_promise"] = _open_promises(rows, promises, settings)
    rows["place"] = _joined(rows["city"], rows["province"])
    is_personal = rows["channel_code"].isin(COLLECTOR_CHANNELS)
    owner = rows["collector_id"].where(is_personal, rows["channel_code"])
    names = {one: file_stem(one) for one in owner.unique()}
    stem = owner.map(names).astype(object)  # a day without contacts has no text to tell pandas the type
    rows["file"] = ("worklists/" + stem + ".xlsx").where(is_personal, "campaigns/" + stem + ".csv")
    days = [pd.Timestamp(day).date() for day in rows["as_of_date"]]
    rows["list_id"] = [f"{day.isoformat()}-{name}" for day, name in zip(days, stem, strict=True)]
    rows["row_id"] = [row_id(*key) for key in zip(days, rows["customer_id"], rows["channel_code"], strict=True)]
    rows["promise_limit_amount"] = (
        rows["outstanding_principal_amount"].astype(float).fillna(0) + rows["collectable_amount"].astype(float)
    ).round(2)
    rows = rows.assign(is_message=~is_personal)
    order = ["is_message", "file", "rank", "customer_id"]
    return rows.sort_values(order).drop(columns="is_message").reset_index(drop=True)


def masked_worklist(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of :func:`contact_rows` for screens: document and contact value masked, columns as the snapshot has them."""
    masked = rows.assign(
        national_id_masked=_mask_end(rows["national_id"], 3),
        contact_value_masked=_mask_contact(rows["contact_value"], rows["channel_code"]),
        rank=rows["rank"].astype("int64"),
    )
    return masked[list(WORKLIST_COLUMNS)]


def _bucket(days: pd.Series, buckets: pd.DataFrame) -> pd.Series:
    ladder = buckets.sort_values("min_days")
    place = ladder["min_days"].searchsorted(days.to_numpy(), side="right") - 1
    return pd.Series(ladder["bucket_code"].to_numpy(dtype=object)[place], index=days.index, dtype=object)


def _zones(rows: pd.DataFrame, settings: ListSettings) -> pd.Series:
    return rows["timezone"].where(rows["timezone"].notna(), settings.timezone)


def _local_time(rows: pd.DataFrame, column: str, settings: ListSettings) -> pd.Series:
    zone = _zones(rows, settings)
    result = pd.Series(None, index=rows.index, dtype=object)
    for name, group in rows.groupby(zone, sort=True):
        local = group[column].dt.tz_localize("UTC").dt.tz_convert(str(name))
        result.loc[group.index] = local.dt.strftime("%H:%M").astype(object)
    return result


def _reasons(codes: pd.Series, reason_texts: Mapping[str, Mapping[str, str]], language: str) -> pd.Series:
    sentences = {text: reason_sentences(json.loads(text), reason_texts, language) for text in codes.unique()}
    return codes.map(sentences).astype(object)


def _with_further(
    said: pd.Series, rows: pd.DataFrame, further: Mapping[str, Mapping[str, str]], language: str
) -> pd.Series:
    added = [further.get(loan, {}).get(language, "") for loan in rows["loan_id"]]
    joined = [f"{text} {more}".strip() for text, more in zip(said, added, strict=True)]
    return pd.Series(joined, index=said.index, dtype=object)


def _whose(said: pd.Series, rows: pd.DataFrame, language: str) -> pd.Series:
    """The sentences, behind the one that says whom the contact point reaches where it is not the member."""
    parties = rows["party_code"].astype(object)
    others = {code: word("parties", code, language) for code in parties.dropna().unique() if code != "debtor"}
    told = [f"{others.get(party, '')} {text}".strip() for party, text in zip(parties, said, strict=True)]
    return pd.Series(told, index=said.index, dtype=object)


def _without_draw(codes: pd.Series) -> pd.Series:
    shown = {
        text: json.dumps([code for code in json.loads(text) if code != "EXPLORATION"] or ["FOLLOW_UP"])
        for text in codes.unique()
    }
    return codes.map(shown).astype(object)


def _amount_text(rows: pd.DataFrame, settings: ListSettings) -> pd.Series:
    """What is asked for: the overdue amount, or what falls due while nothing is overdue."""
    amount = rows["arrears_amount"].where(rows["past_due_days"] > 0, rows["collectable_amount"])
    written = [money(value, settings.currency, settings.language) for value in amount]
    return pd.Series(written, index=rows.index, dtype=object)


def _last_contacts(rows: pd.DataFrame, interactions: pd.DataFrame, settings: ListSettings) -> pd.Series:
    mine = interactions[interactions["customer_id"].isin(rows["customer_id"])]
    mine = mine.sort_values(["customer_id", "occurred_at", "interaction_id"], ascending=[True, False, False])
    mine = mine[mine.groupby("customer_id").cumcount() < _LAST_CONTACTS]
    channel = mine["channel_code"].map(lambda code: word("channels", code, settings.language))
    outcome = mine["outcome_code"].map(lambda code: word("outcomes", code, settings.language))
    day = pd.to_datetime(mine["occurred_date"]).dt.strftime("%Y-%m-%d")
    lines = (day.astype(str) + " " + channel.astype(str) + ": " + outcome.astype(str)).groupby(mine["customer_id"])
    return rows["customer_id"].map(lines.agg("; ".join)).astype(object).fillna("")


def _previous_collector(rows: pd.DataFrame, interactions: pd.DataFrame, collectors: pd.DataFrame) -> pd.Series:
    """Who worked each member last, by name or else code: the reader sees when a member changes hands."""
    worked = interactions[interactions["collector_id"].notna() & interactions["customer_id"].isin(rows["customer_id"])]
    newest = worked.sort_values(["customer_id", "occurred_at", "interaction_id"]).drop_duplicates(
        "customer_id", keep="last"
    )
    names = collectors.drop_duplicates("collector_id").set_index("collector_id")["full_name"]
    owner = newest.set_index("customer_id")["collector_id"].astype(object)
    named = owner.map(names).astype(object).where(lambda name: name.notna(), owner)
    return rows["customer_id"].map(named).astype(object).fillna("")


def _open_promises(rows: pd.DataFrame, promises: pd.DataFrame, settings: ListSettings) -> pd.Series:
    running = promises[
        (promises["promise_status_code"] == "open") & promises["customer_id"].isin(rows["customer_id"])
    ].sort_values(["customer_id", "due_date", "promise_id"])
    until = word("words", "until", settings.language)
    chance = word("words", "kept_probability", settings.language)
    known = running.get("kept_probability", pd.Series(float("nan"), index=running.index, dtype=float))
    lines = pd.Series(
        [
            f"{money(amount, settings.currency, settings.language)} {until} {pd.Timestamp(due):%Y-%m-%d}"
            + ("" if pd.isna(kept) else f" ({chance} {kept:.0%})")
            for amount, due, kept in zip(running["promised_amount"], running["due_date"], known, strict=True)
        ],
        index=running.index,
        dtype=object,
    ).groupby(running["customer_id"])
    joined: Any = lines.agg("; ".join) if len(running) else {}
    return rows["customer_id"].map(joined).astype(object).fillna("")


def _joined(city: pd.Series, province: pd.Series) -> pd.Series:
    parts = [
        ", ".join(str(part) for part in pair if part is not None and part == part)
        for pair in zip(city, province, strict=True)
    ]
    return pd.Series(parts, index=city.index, dtype=object)


def _mask_end(values: pd.Series, shown: int) -> pd.Series:
    text = values.astype(object).where(values.notna(), "").astype(str)
    hidden = (text.str.len() - shown).clip(lower=0)
    masked = [
        "*" * int(count) + value[int(count) :] if len(value) > shown else "*" * len(value)
        for value, count in zip(text, hidden, strict=True)
    ]
    return pd.Series(masked, index=values.index, dtype=object)


def _mask_contact(values: pd.Series, channels: pd.Series) -> pd.Series:
    """The last three digits of a phone, the first letter and the host of a mailbox, nothing of an address."""
    masked = []
    for value, channel in zip(values.astype(object).where(values.notna(), "").astype(str), channels, strict=True):
        if channel == "visit":
            masked.append("***" if value else "")
        elif "@" in value:
            name, _, host = value.partition("@")
            masked.append(f"{name[:1]}***@{host}")
        else:
            masked.append("*" * max(len(value) - 3, 0) + value[-3:] if len(value) > 3 else "*" * len(value))
    return pd.Series(masked, index=values.index, dtype=object)


def day_of(rows: pd.DataFrame, as_of: date) -> date:
    """The contact day of the rows; ``as_of`` when there are none."""
    return rows["as_of_date"].iloc[0] if len(rows) else as_of
