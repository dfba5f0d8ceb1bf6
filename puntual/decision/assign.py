"""Calls and visits to named collectors: nobody above capacity, nobody in two lists, familiar faces first.

The capacities were respected by the choice already; here each contact gets a person. The units of each group of
collectors are first split over kinds of contact so that everybody can be served, then handed out inside the split.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from puntual.decision.capacity import ZONED_CHANNELS, Capacity, serve
from puntual.decision.owners import ZONE_GAIN, LastOwners
from puntual.errors import RuleError

_FAMILIAR_DAYS = 180
_HALVINGS = 12


@dataclass(frozen=True)
class Assignment:
    """``collector_id``, ``is_familiar`` and ``is_kept`` (as on the last list) per contact, in their order."""

    collector_id: pd.Series
    is_familiar: pd.Series
    is_kept: pd.Series


def familiar_collectors(promises: pd.DataFrame, interactions: pd.DataFrame, *, as_of: date) -> pd.Series:
    """Collector whom each member knows: who took the newest open promise, else who last spoke with them in 180 days.

    One collector_id per customer_id (the index); members without either are absent.
    """
    since = pd.Timestamp(as_of) - pd.Timedelta(days=_FAMILIAR_DAYS)
    until = pd.Timestamp(as_of) + pd.Timedelta(days=2)
    spoken = interactions[interactions["occurred_at"].between(since, until)]
    spoken = spoken[spoken["is_right_party"].to_numpy(dtype=bool) & spoken["collector_id"].notna().to_numpy()]
    talks = pd.DataFrame(
        {
            "customer_id": spoken["customer_id"],
            "collector_id": spoken["collector_id"],
            "at": spoken["occurred_at"],
            "key": spoken["interaction_id"],
            "rank": 0,
        }
    )
    running = promises[(promises["promise_status_code"] == "open") & promises["collector_id"].notna()]
    taken = pd.DataFrame(
        {
            "customer_id": running["customer_id"],
            "collector_id": running["collector_id"],
            "at": running["made_at"],
            "key": running["promise_id"],
            "rank": 1,
        }
    )
    both = pd.concat([part for part in (talks, taken) if len(part)] or [talks])
    newest = both.sort_values(["customer_id", "rank", "at", "key"]).drop_duplicates("customer_id", keep="last")
    return newest.set_index("customer_id")["collector_id"]


def assign(
    contacts: pd.DataFrame,
    team: pd.DataFrame,
    familiar: pd.Series,
    last: LastOwners | None = None,
    on_people: Sequence[Capacity] = (),
) -> Assignment:
    """A collector for every contact.

    1. The collector whom the member knows, if at work, able and not full; more valuable contacts first.
    2. Who had the same undone contact on the last list keeps it, unless another having it is a gain above
       ``last.most_gain``; not who does not speak the member's language.
    3. Then by the rarest language first: a collector of the member's language and zone, of the language, any other who
       is able. A missing language on either side fits all.
    4. Load is even in proportion to capacity, and so is the value handed out; in each band of hours too.

    Args:
        contacts: customer_id (once each), channel_code, zone (key or None), language_code, net_amount; ``place`` where
            rules say who may be given whom; ``action`` where hours are given too.
        team: :func:`puntual.decision.capacity.roster`, or that of :class:`puntual.decision.owners.Placement`.
        familiar: :func:`familiar_collectors`.
        last: who had which contact on the last list; None: nobody.
        on_people: limits on the people of some pools together, such as those of teams.

    Raises:
        RuleError: a member appears twice, or the contacts do not fit the team.
    """
    if contacts["customer_id"].duplicated().any():
        raise RuleError("A member is among the contacts twice; at most one contact a day can be assigned.")
    chosen = np.full(len(contacts), -1, dtype=np.int64)
    is_familiar, is_kept = np.zeros(len(contacts), dtype=bool), np.zeros(len(contacts), dtype=bool)
    if len(contacts):
        table = _Table(contacts, team, on_people)
        table.take_familiar(familiar, chosen, is_familiar)
        if last is not None and len(last.collector_id):
            table.keep(last, chosen, is_kept)
        table.deal(chosen)
    people = np.array([*team["collector_id"], None], dtype=object)
    return Assignment(
        pd.Series(people[chosen], index=contacts.index, dtype=object),
        pd.Series(is_familiar, index=contacts.index),
        pd.Series(is_kept, index=contacts.index),
    )


def jain_index(shares: npt.ArrayLike) -> float | None:
    """How even figures are: 1 when all are alike, 1/n when one of n has everything; None when nobody has anything.

    >>> jain_index([2, 2, 2]), jain_index([1, 0, 0, 0]), jain_index([3, 1])
    (1.0, 0.25, 0.8)
    """
    values = np.asarray(shares, dtype=np.float64)
    squares = float((values**2).sum())
    return round(float(values.sum()) ** 2 / (len(values) * squares), 4) if squares > 0 else None


def fairness(contacts: pd.DataFrame, team: pd.DataFrame, given: Assignment) -> dict[str, Any]:
    """How evenly the day is spread, by team: of load and of value, each per unit of daily capacity.

    ``load_jain`` and ``value_jain`` are :func:`jain_index` over the collectors of the team at work, those without a
    contact included; a contact of negative value counts as none. Teams by name; "" are collectors without a team.

    Args:
        contacts: those of :func:`assign`.
        team: :func:`puntual.decision.capacity.roster`.
        given: the outcome of :func:`assign`.
    """
    table = team[["collector_id", "daily_capacity"]].assign(team=team["team"].fillna("").astype(str))
    owner = given.collector_id
    value = contacts["net_amount"].fillna(0.0).clip(lower=0.0)
    table["contacts"] = table["collector_id"].map(owner.value_counts()).fillna(0).astype("int64")
    table["value"] = table["collector_id"].map(value.groupby(owner).sum()).fillna(0.0).astype("float64")
    rows = []
    for name, group in table.groupby("team", sort=True):
        use = group["contacts"] / group["daily_capacity"]
        rows.append(
            {
                "team": name,
                "collector_count": len(group),
                "contact_count": int(group["contacts"].sum()),
                "capacity_count": int(group["daily_capacity"].sum()),
                "least_use_rate": round(float(use.min()), 4),
                "greatest_use_rate": round(float(use.max()), 4),
                "load_jain": jain_index(use),
                "value_jain": jain_index(group["value"] / group["daily_capacity"]),
            }
        )
    return {
        "contact_count": len(contacts),
        "familiar_count": int(given.is_familiar.sum()),
        "kept_collector_count": int(given.is_kept.sum()),
        "unassigned_count": int(owner.isna().sum()),
        "teams": rows,
    }


class _Table:
    """Contacts by cell, collectors by pool, and how many contacts of each cell each pool takes."""

    def __init__(self, contacts: pd.DataFrame, team: pd.DataFrame, on_people: Sequence[Capacity]) -> None:
        self.order = np.lexsort(
            (contacts["customer_id"].astype(str).to_numpy(), -contacts["net_amount"].fillna(0.0).to_numpy(dtype=float))
        )
        zone = contacts["zone"].astype(object)
        self.zone = zone.where(zone.notna(), None).to_numpy(dtype=object)
        # where the rules of owners hold, what a pool can do goes by place: a zone and a class of members
        by_place = "place" in contacts.columns
        where_of = contacts["place"].to_numpy(dtype=object) if by_place else self.zone
        self.customer = contacts["customer_id"].to_numpy(dtype=object)
        language = contacts["language_code"].astype(object)
        self.language = language.where(language.notna(), None).to_numpy(dtype=object)
        self.team_zone = team["zone"].astype(object).where(team["zone"].notna(), None).to_numpy(dtype=object)
        self.team_languages: list[tuple[str, ...]] = team["languages"].tolist()
        self.people = pd.Index(team["collector_id"])
        self.capacity = team["daily_capacity"].to_numpy(dtype=np.int64)
        self.load = np.zeros(len(team), dtype=np.int64)

        # a channel at some hours is a kind of contact of its own, so that nobody gets all of the evening
        kinds = contacts["action" if "action" in contacts.columns else "channel_code"]
        channel_of = dict(zip(kinds, contacts["channel_code"], strict=True))
        channels = sorted(channel_of)
        zones = sorted({zone for zone in where_of if zone is not None})
        channel = pd.Index(channels).get_indexer(pd.Index(kinds))
        place = pd.Index([*zones, "\0elsewhere"]).get_indexer(pd.Index(pd.Series(where_of).fillna("\0elsewhere")))
        pools = team.groupby("pool", sort=True)
        self.pool_of = pd.Index(sorted(set(team["pool"]))).get_indexer(pd.Index(team["pool"]))
        able = np.zeros((pools.ngroups, len(channels), len(zones) + 1), dtype=bool)
        for number, (_, group) in enumerate(pools):
            first = group.iloc[0]
            if by_place:
                served = set(first["places"])
                for position, kind in enumerate(channels):
                    able[number, position, : len(zones)] = [(channel_of[kind], key) in served for key in zones]
                continue
            for kind in (one for one in channels if channel_of[one] in first["channels"]):
                name = channel_of[kind]
                where: Sequence[int] | slice = slice(None)
                if name in ZONED_CHANNELS and isinstance(first["zone"], str):
                    where = [zones.index(first["zone"])] if first["zone"] in zones else []
                able[number, channels.index(kind), where] = True
        counts = np.zeros(able.shape[1:], dtype=np.int64)
        np.add.at(counts, (channel, place), 1)
        units = pools["daily_capacity"].sum().to_numpy(dtype=np.int64)
        over = np.array([[name in one.pools for name in pools.groups] for one in on_people], dtype=bool)
        over = over.reshape(len(on_people), len(units))
        most = np.array([one.count for one in on_people], dtype=np.int64)
        self.quota = _evenly(counts, able, units, over, most).reshape(len(units), -1)
        self.cell = channel * (len(zones) + 1) + place
        self.able = able.reshape(len(units), -1)
        self.even_use = self.quota.sum(axis=1) / np.maximum(units, 1)
        missing = counts.reshape(-1) - self.quota.sum(axis=0)
        if missing.any():
            at = int(np.flatnonzero(missing)[0])
            raise RuleError(
                f"{missing[at]} contacts by {channels[at // (len(zones) + 1)]} have no collector with capacity left; "
                "the choice does not fit the team."
            )

    def take_familiar(self, familiar: pd.Series, chosen: np.ndarray, is_familiar: np.ndarray) -> None:
        known = pd.Series(self.customer).map(familiar)
        person = self.people.get_indexer(pd.Index(known))
        person[known.isna().to_numpy()] = -1
        rows = self.order[person[self.order] >= 0]
        is_familiar[self._take(rows, person, self.capacity, chosen)] = True

    def keep(self, last: LastOwners, chosen: np.ndarray, is_kept: np.ndarray) -> None:
        """Contacts of the last list to who had them, while an even load leaves nothing above the threshold to gain."""
        had = pd.Series(self.customer).map(last.collector_id)
        person = self.people.get_indexer(pd.Index(had))
        person[had.isna().to_numpy()] = -1
        speaks = np.array(
            [
                at >= 0 and (not self.team_languages[at] or pd.isna(word) or word in self.team_languages[at])
                for at, word in zip(person, self.language, strict=True)
            ],
            dtype=bool,
        )
        waiting = self.order[speaks[self.order] & (chosen[self.order] < 0)]
        away = np.zeros(len(self.customer), dtype=bool)
        for cell, zone in {(int(self.cell[row]), self.zone[row]) for row in waiting if self.zone[row] is not None}:
            at_home = (self.team_zone == zone) & self.able[self.pool_of, cell]
            if at_home.any():
                mine = waiting[(self.cell[waiting] == cell) & (self.zone[waiting] == zone)]
                away[mine] = [self.team_zone[at] not in {None, zone} for at in person[mine]]
        even = self.even_use[self.pool_of]
        most = np.floor((even + last.most_gain) * self.capacity + 1e-9).astype(np.int64)
        # what an even load gives to each in whole contacts is no burden
        most = np.minimum(np.maximum(most, np.ceil(even * self.capacity - 1e-9).astype(np.int64)), self.capacity)
        far = np.floor((even + last.most_gain - ZONE_GAIN) * self.capacity + 1e-9).astype(np.int64)
        if last.most_gain < ZONE_GAIN:
            far[:] = 0
        is_kept[self._take(waiting[~away[waiting]], person, most, chosen)] = True
        is_kept[self._take(waiting[away[waiting]], person, np.minimum(far, self.capacity), chosen)] = True

    def _take(self, rows: np.ndarray, person: np.ndarray, most: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        """Give ``rows`` (in order) to their ``person``, up to ``most`` contacts each; returns those given."""
        # first as many as each collector has room for, then as many as each pool gives to the cell
        rows = rows[_number_within(person[rows]) < (most - self.load)[person[rows]]]
        pool = self.pool_of[person[rows]]
        pair = pool * self.quota.shape[1] + self.cell[rows]
        rows = rows[_number_within(pair) < self.quota.reshape(-1)[pair]]
        chosen[rows] = person[rows]
        np.add.at(self.load, person[rows], 1)
        np.subtract.at(self.quota, (self.pool_of[person[rows]], self.cell[rows]), 1)
        return rows

    def deal(self, chosen: np.ndarray) -> None:
        for cell in np.unique(self.cell):
            waiting = self.order[(self.cell[self.order] == cell) & (chosen[self.order] < 0)]
            slots = np.concatenate(
                [self._slots(int(pool), int(self.quota[pool, cell])) for pool in np.flatnonzero(self.quota[:, cell])]
                or [np.zeros(0, dtype=np.int64)]
            )
            self._match(waiting, slots, chosen)

    def _slots(self, pool: int, wanted: int) -> np.ndarray:
        """Collectors of a pool, one entry per contact to take, the least loaded (for their capacity) first."""
        people = np.flatnonzero((self.pool_of == pool) & (self.capacity > self.load))
        # nobody gets more than is wanted, however large a capacity is
        left = np.minimum(self.capacity[people] - self.load[people], wanted)
        person = np.repeat(people, left)
        step = np.arange(person.size) - np.repeat(np.cumsum(left) - left, left) + 1
        fullness = (self.load[person] + step) / self.capacity[person]
        taken = person[np.lexsort((person, fullness))][:wanted]
        np.add.at(self.load, taken, 1)
        return taken

    def _match(self, waiting: np.ndarray, slots: np.ndarray, chosen: np.ndarray) -> None:
        free_row = np.ones(waiting.size, dtype=bool)
        free_slot = np.ones(slots.size, dtype=bool)
        languages = sorted({word for word in self.language[waiting] if word is not None})
        speaks = {
            word: np.array(
                [not self.team_languages[one] or word in self.team_languages[one] for one in slots], dtype=bool
            )
            for word in languages
        }
        languages.sort(key=lambda word: (int(speaks[word].sum()), word))
        fits_all = np.ones(slots.size, dtype=bool)
        speakers = [(word, speaks[word]) for word in languages] + [(None, fits_all)]
        for word, fits in speakers:
            spoken = self.language[waiting]
            of_language = pd.isna(spoken) if word is None else spoken == word
            zones = sorted({zone for zone in self.zone[waiting] if zone is not None})
            for zone in zones:
                rows = of_language & (self.zone[waiting] == zone)
                places = fits & (self.team_zone[slots] == zone)
                self._pair(waiting, slots, free_row, free_slot, rows, places, chosen)
            self._pair(waiting, slots, free_row, free_slot, of_language, fits, chosen)
        everyone = np.ones(waiting.size, dtype=bool)
        self._pair(waiting, slots, free_row, free_slot, everyone, fits_all, chosen)

    @staticmethod
    def _pair(
        waiting: np.ndarray,
        slots: np.ndarray,
        free_row: np.ndarray,
        free_slot: np.ndarray,
        rows: np.ndarray,
        places: np.ndarray,
        chosen: np.ndarray,
    ) -> None:
        row = np.flatnonzero(rows & free_row)
        place = np.flatnonzero(places & free_slot)
        many = min(row.size, place.size)
        chosen[waiting[row[:many]]] = slots[place[:many]]
        free_row[row[:many]] = False
        free_slot[place[:many]] = False


def _evenly(
    counts: npt.NDArray[np.int64],
    able: npt.NDArray[np.bool_],
    units: npt.NDArray[np.int64],
    over: npt.NDArray[np.bool_],
    most: npt.NDArray[np.int64],
) -> npt.NDArray[np.int64]:
    """What each pool takes of each kind of contact, by :func:`puntual.decision.capacity.serve`.

    Where limits on people set pools apart that do the same, no pool is filled while another has little: each gives the
    same part of its units, as small as serves all.
    """
    whole = serve(counts, able, units, over, most)
    if not len(over):
        return whole
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        part = (low + high) / 2
        found = serve(counts, able, np.ceil(units * part - 1e-9).astype(np.int64), over, most)
        if found.sum() == whole.sum():
            high, whole = part, found
        else:
            low = part
    return whole


def _number_within(group: np.ndarray) -> np.ndarray:
    """Position of each entry among the entries of its group, from 0, in order."""
    return pd.Series(group).groupby(group, sort=False).cumcount().to_numpy()
