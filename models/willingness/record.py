"""The record of a member's contacts: how often each channel reached, what was paid after, and how fresh they all are.

A count of answers says little of a member who was tried twice; each score is therefore drawn to what is usual for the
channel, the more the less is known. What was paid after a contact is set against what the filter expected of the week.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from models.datasets import as_dates
from models.features import CONTACT_CHANNELS
from models.willingness.panel import WEEK_DAYS, WeeklyPanel
from puntual.errors import ModelError

TABLE = "marts.fct_interactions"
COLUMNS = ("occurred_date", "customer_id", "channel_code", "attempt_count", "contact_count")
REACH_PULL = 4.0
"""A member's rate of answers is drawn to the channel's as if this many attempts had gone as usual."""
RESPONSE_PULL = 1.5
"""A response is drawn to the channel's as if this much information (p(1-p) of a week) had shown it."""
WEEKLY_FADE = 0.7
"""Of what an attempt adds to fatigue, this much is left a week later."""


@dataclass(frozen=True)
class WeeklyContacts:
    """Attempts by week of a panel, member and channel (places in ``CONTACT_CHANNELS``), in the order of weeks.

    ``starts``: place of the first row of every week, and the number of rows at the end. ``tries`` counts the attempts
    and ``hits`` those that reached the member.
    """

    starts: np.ndarray
    member: np.ndarray
    channel: np.ndarray
    tries: np.ndarray
    hits: np.ndarray

    def of_members(self, chosen: np.ndarray, member_count: int) -> WeeklyContacts:
        """Only those with the members at the places ``chosen`` (sorted), of ``member_count`` in all."""
        place = np.full(member_count, -1)
        place[chosen] = np.arange(len(chosen))
        keep = place[self.member] >= 0
        kept_before = np.concatenate([[0], np.cumsum(keep)])
        return WeeklyContacts(
            kept_before[self.starts],
            place[self.member[keep]],
            self.channel[keep],
            self.tries[keep],
            self.hits[keep],
        )


@dataclass(frozen=True)
class Usual:
    """What is usual by channel, in the order of ``CONTACT_CHANNELS``.

    Attributes:
        reach: share of the attempts that reach the member.
        response: change of the log odds of paying in the week of a contact that reached, to first order.
    """

    reach: tuple[float, ...] = (0.0,) * len(CONTACT_CHANNELS)
    response: tuple[float, ...] = (0.0,) * len(CONTACT_CHANNELS)


def weekly_contacts(rows: pd.DataFrame, panel: WeeklyPanel) -> WeeklyContacts:
    """Counts by day, member and channel as arrays by week of the panel.

    Members and weeks that the panel does not have, and other channels, are left out; the order does not matter.

    Raises:
        ModelError: a column is missing.
    """
    missing = [name for name in COLUMNS if name not in rows.columns]
    if missing:
        raise ModelError(f"willingness: the contacts of {TABLE} lack {missing}; count them by day and channel.")
    week_count, channel_count = len(panel.week_ends), len(CONTACT_CHANNELS)
    member = pd.Index(panel.members).get_indexer(rows["customer_id"].astype("object"))
    channel = pd.Index(CONTACT_CHANNELS).get_indexer(rows["channel_code"].astype("object"))
    week = np.full(len(rows), -1)
    if week_count:
        # The last day of a week is part of it; the first week begins after the day on which it begins.
        before = pd.Timestamp(panel.week_ends[0]) - pd.Timedelta(days=WEEK_DAYS - 1)
        week = (as_dates(rows["occurred_date"]) - before).dt.days.to_numpy() // WEEK_DAYS
    keep = (member >= 0) & (channel >= 0) & (week >= 0) & (week < week_count)
    key = (week[keep] * len(panel.members) + member[keep]) * channel_count + channel[keep]
    cells, place = np.unique(key, return_inverse=True)

    def total(name: str) -> np.ndarray:
        return np.bincount(place, weights=rows[name].to_numpy(dtype=np.float64)[keep], minlength=len(cells))

    cell_week, rest = np.divmod(cells, max(len(panel.members), 1) * channel_count)
    return WeeklyContacts(
        np.searchsorted(cell_week, np.arange(week_count + 1)),
        rest // channel_count,
        rest % channel_count,
        total("attempt_count"),
        total("contact_count"),
    )


def usual(panel: WeeklyPanel, contacts: WeeklyContacts, chance: np.ndarray) -> Usual:
    """What is usual by channel, over all weeks; ``chance`` is the filter's probability of paying in each row's week."""
    count = len(CONTACT_CHANNELS)
    tries = np.bincount(contacts.channel, weights=contacts.tries, minlength=count)
    hits = np.bincount(contacts.channel, weights=contacts.hits, minlength=count)
    surprise, information = np.zeros(count), np.zeros(count)
    for week in range(len(panel.week_ends)):
        found = _reached(panel, contacts, chance, week)
        surprise += np.bincount(found.channel, weights=found.surprise, minlength=count)
        information += np.bincount(found.channel, weights=found.information, minlength=count)
    reach, response = hits / np.maximum(tries, 1.0), surprise / (information + RESPONSE_PULL)
    return Usual(tuple(map(float, reach)), tuple(map(float, response)))


def records(
    panel: WeeklyPanel,
    contacts: WeeklyContacts,
    chance: np.ndarray,
    norm: Usual,
    wanted: Mapping[int, np.ndarray],
) -> dict[int, np.ndarray]:
    """The columns ``models.features.RECORD_COLUMNS`` at the ends of weeks, for the members (places) wanted there.

    1. ``<channel>_reach_score``: share of the attempts that reached the member, drawn to the channel's.
    2. ``reach_score``: answers beyond what is usual over all channels, in units of their variance.
    3. ``<channel>_response_score``: what was paid beyond expectation in the weeks of contacts that reached, over the
       information in those weeks, less what is usual of the channel; near the member's own shift of the log odds.
    4. ``response_score``: the same over all channels.
    5. ``fatigue_score``: attempts, each fading by ``WEEKLY_FADE`` a week.
    """
    shape = (len(panel.members), len(CONTACT_CHANNELS))
    reach_rate, response = np.array(norm.reach), np.array(norm.response)
    tries, hits, beyond, information = (np.zeros(shape, np.float32) for _ in range(4))
    fatigue = np.zeros(shape[0], np.float32)
    found: dict[int, np.ndarray] = {}
    for week in range(max(wanted, default=-1) + 1):
        here = slice(contacts.starts[week], contacts.starts[week + 1])
        at, channel = contacts.member[here], contacts.channel[here]
        fatigue *= WEEKLY_FADE
        np.add.at(fatigue, at, contacts.tries[here])
        # A member stands once per channel and week.
        tries[at, channel] += contacts.tries[here]
        hits[at, channel] += contacts.hits[here]
        reached = _reached(panel, contacts, chance, week)
        beyond[reached.member, reached.channel] += reached.surprise - response[reached.channel] * reached.information
        information[reached.member, reached.channel] += reached.information
        if week in wanted:
            asked = wanted[week]
            tried, answered = tries[asked], hits[asked]
            answers = (answered - tried * reach_rate).sum(axis=1)
            spread = (tried * reach_rate * (1 - reach_rate)).sum(axis=1)
            found[week] = np.column_stack(
                [
                    (answered + REACH_PULL * reach_rate) / (tried + REACH_PULL),
                    answers / (spread + 1.0),
                    beyond[asked] / (information[asked] + RESPONSE_PULL),
                    beyond[asked].sum(axis=1) / (information[asked].sum(axis=1) + RESPONSE_PULL),
                    fatigue[asked],
                ]
            )
    return found


@dataclass(frozen=True)
class _Reached:
    member: np.ndarray
    channel: np.ndarray
    surprise: np.ndarray
    information: np.ndarray


def _reached(panel: WeeklyPanel, contacts: WeeklyContacts, chance: np.ndarray, week: int) -> _Reached:
    """Contacts that reached a member who owed something in the week, and what the week's payment said."""
    rows = slice(panel.starts[week], panel.starts[week + 1])
    here = slice(contacts.starts[week], contacts.starts[week + 1])
    hit = contacts.hits[here] > 0
    member, channel = contacts.member[here][hit], contacts.channel[here][hit]
    owing = panel.member[rows]
    place = np.searchsorted(owing, member)
    owes = np.flatnonzero(place < len(owing))
    owes = owes[owing[place[owes]] == member[owes]]
    expected, paid = chance[rows][place[owes]], panel.paid[rows][place[owes]]
    return _Reached(member[owes], channel[owes], paid - expected, expected * (1 - expected))
