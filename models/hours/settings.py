"""How much evidence an hour needs, and how far it is drawn to what is known more broadly."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ReachSettings:
    """Which attempts count and when an hour may be suggested.

    ``history_days``: attempts older than this are forgotten. ``least_attempts``: a channel and segment with fewer
    attempts has no suggested hour, and no hour is suggested at which the segment had fewer than ``least_hour_attempts``
    (on any weekday). ``strengths``: weights, in attempts, among which the draw of each level to the one
    above is chosen: the strongest that the counts do not speak against. ``confidence`` is that of the intervals.
    """

    history_days: int = 364
    least_attempts: int = 300
    least_hour_attempts: int = 30
    strengths: tuple[float, ...] = (10.0, 30.0, 100.0, 300.0, 1_000.0, 3_000.0, 10_000.0)
    confidence: float = 0.9
