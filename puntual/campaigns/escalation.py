"""The escalation: the tone in which a member is spoken to, from day to day. Pure: frames in, frames out.

The step of a day follows from that of the run before, what was attempted since and what happened since; it is stored
with the day, so a replay in order gives the same steps. Nobody skips a step and nobody goes back without a reset.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from puntual.segments.data import CODE, digest_of, files_of, read_data
from puntual.strict import Strict, Words

FILE = "escalation.yaml"
COLUMNS = (
    "as_of_date", "customer_id", "step_code", "step_no", "entered_date", "done_date", "past_due_days", "reset_code",
    "reset_date", "escalation_version", "escalation_digest",
)  # fmt: skip

Event = Literal["cured", "paid_in_full", "arrangement", "promise_kept", "promise_made"]
REPLACED = "escalation_changed"
"""The step that was stored is no longer one of the ladder's: the member starts anew."""


class Enter(Strict):
    """When a member enters: past-due days at least, and whole days since the step before was done."""

    min_past_due_days: int = Field(ge=0)
    after_days: int | None = Field(default=None, ge=1)


class Step(Strict):
    """One tone."""

    code: str = Field(pattern=CODE)
    name: Words
    enter: Enter


class Reset(Strict):
    """What leads a member back to a step; one who stands below it already stays."""

    event: Event
    to: str


class Escalation(Strict):
    """The steps in order, from the mildest. ``done_by``: whether an attempt or a contact makes a step done."""

    id: Literal["ESCALATION"]
    version: int = Field(ge=1)
    done_by: Literal["attempt", "contact"]
    steps: tuple[Step, ...] = Field(min_length=1)
    resets: tuple[Reset, ...]

    @model_validator(mode="after")
    def _climbs(self) -> Escalation:
        codes = [step.code for step in self.steps]
        if len(set(codes)) != len(codes):
            raise ValueError("two steps have the same code")
        if self.steps[0].enter.min_past_due_days != 0 or self.steps[0].enter.after_days is not None:
            raise ValueError(
                f"everybody begins at {codes[0]}: its entry is {{min_past_due_days: 0}}, without after_days"
            )
        for lower, upper in zip(self.steps, self.steps[1:], strict=False):
            if upper.enter.after_days is None:
                raise ValueError(f"{upper.code} needs enter.after_days: days since {lower.code} was done")
            if upper.enter.min_past_due_days < lower.enter.min_past_due_days:
                raise ValueError(f"{upper.code} is entered with fewer past-due days than {lower.code}")
        events = [reset.event for reset in self.resets]
        if len(set(events)) != len(events):
            raise ValueError("two resets have the same event")
        for reset in self.resets:
            if reset.to not in codes:
                raise ValueError(f"the reset {reset.event} leads to {reset.to!r}, which is none of {', '.join(codes)}")
        missing = {"cured", "paid_in_full"} - set(events)
        if missing:
            raise ValueError(
                f"resets lack {', '.join(sorted(missing))}: who has paid is spoken to as before the arrears"
            )
        return self

    def number(self, code: str) -> int:
        """Place of a step; 1 is the first."""
        return next(place for place, step in enumerate(self.steps, start=1) if step.code == code)

    @property
    def digest(self) -> str:
        """SHA-256 of everything that decides."""
        return digest_of(self.model_dump())


@dataclass(frozen=True)
class History:
    """What happened up to the day: dated events, one row per member and event.

    ``attempts``: customer_id, event_date of what makes a step done. ``events``: customer_id, event, event_date of
    arrangements and promises.
    """

    attempts: pd.DataFrame
    events: pd.DataFrame


def load_escalation(shipped_dir: Path, institution_dir: Path | None = None) -> Escalation:
    """The institution's ``escalation.yaml`` if it has one, else the shipped one.

    Raises:
        CampaignDataError: the file is not valid; names file and key.
    """
    return read_data(files_of(shipped_dir, institution_dir, FILE)[-1], Escalation)


def advance(
    ladder: Escalation,
    members: pd.DataFrame,
    before: pd.DataFrame,
    history: History,
    as_of: date,
    last_run: date | None,
) -> pd.DataFrame:
    """The step of every member on ``as_of``, columns :data:`COLUMNS`, by customer_id.

    1. Who has no stored step begins at the first one. Who has one, but was not decided about on the last run, owed
       nothing within the window meanwhile: ``paid_in_full``.
    2. A reset leads back to its step (never up): ``cured`` when past-due days fell to 0; the dated events when their
       day is that on which the step was entered or later, and later than the last event that reset the member. Of
       several the one that leads furthest back counts, then the first as written.
    3. Otherwise a member goes one step up, never two in a day, if past-due days reach the next one's and the present
       step was done ``after_days`` whole days ago: done on day 1, ``after_days`` 4: day 5.
    4. ``done_date``: the first attempt (or contact) from the day of entering on and before ``as_of``; kept once known.

    Args:
        ladder: the steps.
        members: customer_id and past_due_days of everybody decided about on the day.
        before: stored rows of days before ``as_of``, the newest of each member.
        history: what happened up to ``as_of``; later rows are not looked at.
        as_of: the day.
        last_run: the newest day before ``as_of`` with stored steps; None: there is none.
    """
    now = members[["customer_id", "past_due_days"]].sort_values("customer_id").reset_index(drop=True)
    now = now.merge(before.drop(columns=["as_of_date"]).assign(_stored=before["as_of_date"]), on="customer_id",
                    how="left", suffixes=("", "_before"))  # fmt: skip
    codes = [step.code for step in ladder.steps]
    stored = pd.to_datetime(now["_stored"])
    entered, done = pd.to_datetime(now["entered_date"]), pd.to_datetime(now["done_date"])
    last_reset = pd.to_datetime(now["reset_date"])
    known = stored.notna().to_numpy()
    number = now["step_code"].map({code: place for place, code in enumerate(codes, start=1)}).to_numpy(dtype=float)
    changed = known & np.isnan(number)
    number = np.where(np.isnan(number), 1, number).astype(int)

    target, reset = number.copy(), np.full(len(now), None, dtype=object)
    event_day = np.full(len(now), np.datetime64("NaT", "ns"))
    for rule in ladder.resets:
        holds, when = _happened(rule.event, now, history, known, stored, entered, last_reset, as_of, last_run)
        to = ladder.number(rule.to)
        takes = holds & known & ~changed & (to <= number) & ((reset == None) | (to < target))  # noqa: E711
        target[takes], reset[takes], event_day[takes] = to, rule.event, when[takes]
    target[changed], reset[changed], event_day[changed] = 1, REPLACED, np.datetime64(as_of, "ns")

    is_new = ~known | (reset != None)  # noqa: E711 - elementwise
    # The step's own first attempt: from the day of entering on, before today.
    first = _first_attempt(now["customer_id"], entered, history.attempts, as_of)
    done = done.where(done.notna(), first)
    up = np.minimum(number + 1, len(codes))
    need_days = np.array([step.enter.min_past_due_days for step in ladder.steps])[up - 1]
    wait = np.array([step.enter.after_days or 0 for step in ladder.steps])[up - 1]
    waited = (pd.Timestamp(as_of) - done).dt.days.to_numpy(dtype=float)
    climbs = ~is_new & (up > number) & (now["past_due_days"].to_numpy() >= need_days) & (waited >= wait)

    step = np.where(is_new, target, np.where(climbs, up, number))
    begins = is_new | climbs
    today = pd.Timestamp(as_of)
    return pd.DataFrame(
        {
            "as_of_date": pd.Series([as_of] * len(now), dtype=object),
            "customer_id": now["customer_id"].astype(object),
            "step_code": pd.Series(np.array(codes, dtype=object)[step - 1], dtype=object),
            "step_no": step.astype("int64"),
            "entered_date": entered.where(~begins, today).astype("datetime64[us]"),
            "done_date": done.where(~begins).astype("datetime64[us]"),
            "past_due_days": now["past_due_days"].astype("int64"),
            "reset_code": pd.Series(reset, dtype=object),
            "reset_date": pd.Series(event_day).where(reset != None, last_reset).astype("datetime64[us]"),  # noqa: E711
            "escalation_version": ladder.version,
            "escalation_digest": ladder.digest,
        },
        columns=list(COLUMNS),
    )


def _happened(
    event: str,
    now: pd.DataFrame,
    history: History,
    known: np.ndarray,
    stored: pd.Series,
    entered: pd.Series,
    last_reset: pd.Series,
    as_of: date,
    last_run: date | None,
) -> tuple[np.ndarray, np.ndarray]:
    """For whom an event resets today, and the day of it."""
    today = np.full(len(now), np.datetime64(as_of, "ns"))
    if event == "paid_in_full":
        return known & (stored < pd.Timestamp(last_run)).to_numpy() if last_run else np.zeros(len(now), bool), today
    if event == "cured":
        fell = (now["past_due_days"] == 0) & (now["past_due_days_before"] > 0)
        return fell.to_numpy(dtype=bool), today
    mine = history.events[history.events["event"] == event]
    mine = mine[pd.to_datetime(mine["event_date"]) <= pd.Timestamp(as_of)]
    newest = pd.to_datetime(mine["event_date"]).groupby(mine["customer_id"]).max()
    when = pd.Series(pd.to_datetime(newest.reindex(now["customer_id"]).to_numpy()), index=now.index)
    fresh = (when >= entered) & ((when > last_reset) | last_reset.isna())
    return fresh.to_numpy(dtype=bool), when.to_numpy(dtype="datetime64[ns]")


def _first_attempt(customer_ids: pd.Series, entered: pd.Series, attempts: pd.DataFrame, as_of: date) -> pd.Series:
    days = pd.DataFrame(
        {"customer_id": attempts["customer_id"], "event_date": pd.to_datetime(attempts["event_date"])}
    ).drop_duplicates()
    mine = pd.DataFrame({"customer_id": customer_ids, "entered": entered}).merge(days, on="customer_id", how="inner")
    mine = mine[(mine["event_date"] >= mine["entered"]) & (mine["event_date"] < pd.Timestamp(as_of))]
    first = mine.groupby("customer_id")["event_date"].min()
    return pd.Series(pd.to_datetime(first.reindex(customer_ids).to_numpy()), index=customer_ids.index)


def broken_steps(ladder: Escalation, rows: pd.DataFrame, before: pd.DataFrame) -> list[str]:
    """Where a day's steps break the law of the ladder, written apart from :func:`advance`; empty when none does.

    A step of an earlier day is held against its place in ``ladder``, not against its number of then: inserting or
    removing one renumbers those above it, and moves nobody. Whose step is gone begins anew (:data:`REPLACED`).

    Args:
        ladder: the steps of the day.
        rows: stored rows of a day.
        before: the newest stored row of each member on days before it.
    """
    place = {step.code: number for number, step in enumerate(ladder.steps, start=1)}
    earlier = {row.customer_id: row for row in before.itertuples()}
    found = []
    for row in rows.itertuples():
        past = earlier.get(row.customer_id)
        is_reset = isinstance(row.reset_code, str)
        if place.get(row.step_code) != row.step_no:
            found.append(f"{row.customer_id} is at {row.step_code} as step {row.step_no}, which the ladder has not")
        elif past is None:
            if row.step_no != 1:
                found.append(f"{row.customer_id} begins at {row.step_code}")
        elif past.step_code not in place:
            if row.step_no != 1 or row.reset_code != REPLACED:
                found.append(f"{row.customer_id} was at {past.step_code}, which is gone, and does not begin anew")
        elif row.reset_code == REPLACED:
            found.append(f"{row.customer_id} begins anew though the ladder still has {past.step_code}")
        elif row.step_no > place[past.step_code] + 1:
            found.append(f"{row.customer_id} skips from {past.step_code} to {row.step_code}")
        elif row.step_no < place[past.step_code] and not is_reset:
            found.append(f"{row.customer_id} goes back from {past.step_code} to {row.step_code} without a reset")
    return found
