"""Which rules block which member and channel, until when, and with what numbers, as bits and arrays."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from puntual.decision.contact_events import EPOCH, FREE, NEVER, Days, Flags, Ints
from puntual.decision.contact_hours import Concerned
from puntual.decision.policies import PolicySet, as_json

_WORD_BITS = 63


@dataclass(frozen=True)
class _Numbers:
    """What a rule counted for the members it blocks: rows, how many of how many, since and until which day."""

    rule: int
    places: tuple[int, ...]
    rows: Ints
    counted: Ints
    of: int | None
    since: Days
    until: Days


class Board:
    """Blocks of every rule for every member and channel.

    ``release``: the first day on which no rule blocks but for open promises that let a reminder through; those have
    ``resting``, their own release day, and ``reminder``, the day of the reminder (FREE: none). ``not_before`` and
    ``not_after``: microseconds since 1970 between which a channel may be used, where something else than the calendar
    limits the hours.
    """

    def __init__(
        self, policies: PolicySet, members: int, channels: Sequence[str], today: int, concerned: Concerned
    ) -> None:
        self.policies = policies
        self.members = members
        self.channels = list(channels)
        self.today = today
        self.concerned = concerned
        extra = [] if policies.has_jurisdiction else [policies.no_jurisdiction_id]
        if policies.without_hours:
            extra = [policies.no_hours_id]
        self.ids = [entry.rule.id for entry in policies.rules] + extra
        self.words = len(self.ids) // _WORD_BITS + 1
        self.mask = np.zeros((self.words, len(self.channels), members), dtype=np.int64)
        self.release = np.full((len(self.channels), members), FREE)
        self.resting: dict[int, Days] = {}
        self.reminder: dict[int, Days] = {}
        self.not_before: dict[int, Ints] = {}
        self.not_after: dict[int, Ints] = {}
        self._numbers: list[_Numbers] = []

    def block(
        self,
        rule: int,
        channels: Sequence[str],
        release: Days,
        *,
        since: Days | int | None = None,
        counted: Ints | None = None,
        of: int | None = None,
    ) -> None:
        """Block ``channels`` by rule number ``rule`` for the members whom it concerns and whose release day is ahead.

        ``since`` adds numbers to the verdict: the day on which the count begins or the event was, and how many of how
        many there were.
        """
        late = self.late(rule, release)
        places = self.places(channels)
        if not late.any() or not places:
            return
        for place in places:
            self.mark(rule, place, late)
            np.maximum(self.release[place], np.where(late, release, FREE), out=self.release[place])
        if since is not None:
            self.note(rule, places, late, release, since, counted, of)

    def late(self, rule: int, release: Days) -> Flags:
        """Members whom the rule concerns and whose release day lies after today."""
        late = np.asarray(release > self.today, dtype=bool)
        inside = self.concerned.by(self.policies.rules[rule].rule.where) if rule < len(self.policies.rules) else None
        return late if inside is None else late & inside

    def places(self, channels: Sequence[str]) -> tuple[int, ...]:
        """Positions of those of ``channels`` that are judged."""
        return tuple(place for place, channel in enumerate(self.channels) if channel in channels)

    def mark(self, rule: int, place: int, blocked: Flags) -> None:
        """Mark a rule without touching the release day (hours have their own calendar)."""
        bit = np.int64(1) << np.int64(rule % _WORD_BITS)
        self.mask[rule // _WORD_BITS, place] |= np.where(blocked, bit, np.int64(0))

    def note(
        self,
        rule: int,
        places: tuple[int, ...],
        blocked: Flags,
        release: Days,
        since: Days | int,
        counted: Ints | None = None,
        of: int | None = None,
    ) -> None:
        """Numbers of a rule for the members whom it blocks."""
        rows = np.flatnonzero(blocked)
        begin = np.broadcast_to(np.asarray(since, dtype=np.int64), (self.members,))[rows]
        many = np.full(rows.size, -1, dtype=np.int64) if counted is None else counted[rows]
        until = release[rows] - 1
        until[release[rows] >= NEVER] = NEVER
        self._numbers.append(_Numbers(rule, places, rows, many, of, begin, until))

    def names(self, mask: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.object_]]:
        """JSON lists of rule ids and of their sources for each column of bits; few combinations occur."""
        if self.words == 1:
            codes, found = pd.factorize(mask[0])
            patterns = found[:, None]
        else:
            codes, several = pd.factorize(pd.MultiIndex.from_arrays(list(mask)))
            patterns = np.array(list(several), dtype=np.int64)
        ids, sources = [], []
        for pattern in patterns:
            rules = [
                index for index in range(len(self.ids)) if int(pattern[index // _WORD_BITS]) >> (index % _WORD_BITS) & 1
            ]
            ids.append(as_json(sorted(self.ids[index] for index in rules)))
            named = {
                source
                for index in rules
                if index < len(self.policies.rules)
                for source in self.policies.rules[index].sources
            }
            sources.append(as_json(sorted(named)))
        return np.array(ids, dtype=object)[codes], np.array(sources, dtype=object)[codes]

    def numbers(self) -> npt.NDArray[np.object_]:
        """JSON lists of the numbers behind the blocks, channels x members; each combination is written once."""
        current = np.zeros((len(self.channels), self.members), dtype=np.int64)
        written: list[tuple[str, ...]] = [()]
        for entry in sorted(self._numbers, key=lambda one: (self.ids[one.rule], one.places)):
            table = np.stack([entry.counted, entry.since, entry.until])
            found, code = _distinct(table)
            texts = [self._text(entry, *column) for column in found.T]
            for place in entry.places:
                before = current[place, entry.rows]
                joint = before * len(texts) + code
                pairs, new = np.unique(joint, return_inverse=True)
                first = len(written)
                written += [(*written[pair // len(texts)], texts[pair % len(texts)]) for pair in pairs.tolist()]
                current[place, entry.rows] = first + new
        lists = np.array([f"[{','.join(parts)}]" for parts in written], dtype=object)
        return lists[current]

    def _text(self, entry: _Numbers, counted: int, since: int, until: int) -> str:
        said: dict[str, object] = {"rule": self.ids[entry.rule]}
        if entry.of is not None:
            said |= {"counted": int(counted), "of": entry.of}
        said["since"] = (EPOCH + timedelta(days=int(since))).isoformat()
        said["until"] = None if until >= NEVER else (EPOCH + timedelta(days=int(until))).isoformat()
        return json.dumps(said, separators=(",", ":"))


def _distinct(table: Ints) -> tuple[Ints, Ints]:
    """Distinct columns of three rows, and the place of each column among them."""
    if table.shape[1] == 0:
        return table, np.zeros(0, dtype=np.int64)
    low = table.min(axis=1, keepdims=True)
    spread = [int(value) + 1 for value in (table - low).max(axis=1)]
    if spread[0] * spread[1] * spread[2] < 2**62:
        shifted = table - low
        key = (shifted[0] * spread[1] + shifted[1]) * spread[2] + shifted[2]
        _, first, code = np.unique(key, return_index=True, return_inverse=True)
        return table[:, first], code.astype(np.int64)
    found, code = np.unique(table, axis=1, return_inverse=True)
    return found, code.reshape(-1).astype(np.int64)
