"""The hour within a contact's permitted window at which people like the member are reached most often."""

from __future__ import annotations

import pandas as pd

LEAST_ADVANTAGE = 0.01
"""An hour is suggested when its reach is above the window's mean by this much: less is not worth keeping to."""


def suggested_hours(rows: pd.DataFrame, reach: pd.DataFrame | None, zones: pd.Series) -> pd.Series:
    """``HH:00`` in the member's local time per contact, empty where no hour stands out.

    1. Hours that begin at or after the window's start and end by its end, on the window's own local day; a window that
       crosses midnight has none.
    2. Of the channel and the member's occupation, when they have attempts enough; the hour with the highest shrunk rate
       on that weekday, the earliest of equals.
    3. Nothing when it is less than ``LEAST_ADVANTAGE`` above the mean of the permitted hours.

    Args:
        rows: channel_code, occupation, window_start and window_end (UTC without zone).
        reach: rows of ``ml.reach_hours`` of one date, or None.
        zones: time zone of each row.
    """
    found = pd.Series("", index=rows.index, dtype=object)
    if reach is None or reach.empty or rows.empty:
        return found
    enough = reach[reach["is_enough"].astype(bool)]
    tables = {
        key: part.set_index("hour")["shrunk_rate"].sort_index()
        for key, part in enough.groupby(["channel_code", "segment", "weekday"], sort=True)
    }
    occupation = rows["occupation"].where(rows["occupation"].notna(), "")
    for zone, group in rows.groupby(zones, sort=True):
        start, end = (
            group[name].dt.tz_localize("UTC").dt.tz_convert(str(zone)) for name in ("window_start", "window_end")
        )
        said = [
            best_hour(tables.get((channel, segment, first.isoweekday())), first, last)
            for channel, segment, first, last in zip(
                group["channel_code"], occupation.loc[group.index], start, end, strict=True
            )
        ]
        found.loc[group.index] = said
    return found


def best_hour(rates: pd.Series | None, start: pd.Timestamp, end: pd.Timestamp) -> str:
    """The hour with the highest rate that lies whole within the window, as ``HH:00``; empty when none stands out.

    >>> rates = pd.Series({9: 0.40, 12: 0.60, 18: 0.70})
    >>> best_hour(rates, pd.Timestamp("2026-06-30 08:00"), pd.Timestamp("2026-06-30 18:30"))
    '12:00'
    """
    if rates is None or pd.isna(start) or pd.isna(end) or start.date() != end.date():
        return ""
    first, last = start.hour + (start.minute + start.second > 0), end.hour - 1
    inside = rates[(rates.index >= first) & (rates.index <= last)]
    if inside.empty or inside.max() - inside.mean() < LEAST_ADVANTAGE:
        return ""
    return f"{int(inside.idxmax()):02d}:00"
