"""Bands of hours as text, ``08:00-10:00``: minutes after midnight, in order, none over another."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise

from puntual.errors import RuleError

LEAST_MINUTES = 15
"""A band in which a member may be contacted for less than this is not open for the member; no band is shorter."""

_TEXT = re.compile(r"^([01]\d|2[0-4]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)$")


def minutes_of(band: str) -> tuple[int, int]:
    """First minute and end of a band of hours, in minutes after midnight; the end is no part of it.

    >>> minutes_of("08:00-10:30")
    (480, 630)

    Raises:
        RuleError: it is not written so, or ends before it begins.
    """
    match = _TEXT.match(band)
    if match is not None:
        first, last = (int(match[at]) * 60 + int(match[at + 1]) for at in (1, 3))
        if first < last <= 24 * 60:
            return first, last
    raise RuleError(f'{band!r} is no band of hours; write it as "08:00-10:00", the end after the beginning')


def in_order(bands: Mapping[str, int]) -> list[tuple[str, int]]:
    """Bands and their counts by hour.

    Raises:
        RuleError: two of them overlap, or one is not written as a band.
    """
    ordered = sorted(bands.items(), key=lambda one: minutes_of(one[0]))
    for (earlier, _), (later, _) in pairwise(ordered):
        if minutes_of(later)[0] < minutes_of(earlier)[1]:
            raise RuleError(f"the bands {earlier} and {later} overlap; a contact would count in both")
    return ordered
