"""Heat maps of reach by hour: one per channel, segments down and hours across."""

from __future__ import annotations

from datetime import date
from html import escape

import pandas as pd

from models import cards
from models.charts import INK

CELL, LEFT = 34, 110


def render(reach: pd.DataFrame, as_of: date) -> str:
    """Rows of :func:`models.hours.reach.reach_by_hour` as one HTML page without any outside file."""
    page = cards.Page("Mejor hora", "Best hour", str(as_of))
    page.note(
        "Tasa de contacto logrado, acercada a la del canal donde hay pocos intentos. No corrige a quién se buscó a "
        "cada hora: si a una hora se buscó a quienes más responden, esa hora se ve mejor de lo que es. Las horas son "
        "las del huso del socio.",
        "Rate of people reached, drawn to the channel's where attempts are few. It does not correct for who was sought "
        "when: an hour at which those who answer most were sought looks better than it is. Hours are those of the "
        "member's time zone.",
    )
    if reach.empty:
        page.note("Todavía no hay intentos de contacto.", "There is no attempt yet.")
        return page.html()
    for channel, rows in reach.groupby("channel_code", sort=True):
        page.picture(str(channel), str(channel), heat_map(rows))
        best = best_hours(rows)
        page.table(
            ["Segmento / Segment", "Intentos / Attempts", "Mejor hora / Best hour", "Tasa / Rate", "Peor / Worst"],
            [
                [
                    row.segment,
                    f"{row.attempts:,}",
                    f"{row.hour}:00",
                    f"{row.rate:.1%} ({row.low:.1%} – {row.high:.1%})",
                    f"{row.worst:.1%}",
                ]
                for row in best.itertuples()
            ],
        )
    return page.html()


def best_hours(rows: pd.DataFrame) -> pd.DataFrame:
    """Per segment with enough attempts: attempts, the hour with the highest rate and its interval, the lowest rate."""
    hours = rows[rows["is_enough"]].drop_duplicates(["segment", "hour"])
    found = []
    for segment, part in hours.groupby("segment", sort=True):
        best = part.sort_values(["hour_rate", "hour"], ascending=[False, True]).iloc[0]
        found.append(
            {
                "segment": str(segment),
                "attempts": int(part["hour_attempt_count"].sum()),
                "hour": int(best["hour"]),
                "rate": float(best["hour_rate"]),
                "low": float(best["hour_low"]),
                "high": float(best["hour_high"]),
                "worst": float(part["hour_rate"].min()),
            }
        )
    return pd.DataFrame(found, columns=["segment", "attempts", "hour", "rate", "low", "high", "worst"])


def heat_map(rows: pd.DataFrame) -> str:
    """Segments down, hours across, the shrunk rate of any weekday as colour and number."""
    cells = rows.drop_duplicates(["segment", "hour"])
    hours = sorted(int(hour) for hour in cells["hour"].unique())
    segments = sorted(str(segment) for segment in cells["segment"].unique())
    low, high = float(cells["hour_rate"].min()), float(cells["hour_rate"].max())
    span = (high - low) or 1.0
    parts = [
        f"<text x='{LEFT + CELL * k + CELL / 2}' y='12' text-anchor='middle'>{hour}</text>"
        for k, hour in enumerate(hours)
    ]
    parts += [
        f"<text x='{LEFT - 6}' y='{18 + 24 * k + 16}' text-anchor='end'>{escape(segment)}</text>"
        for k, segment in enumerate(segments)
    ]
    for row in cells.sort_values(["segment", "hour"]).itertuples():
        x = LEFT + CELL * hours.index(int(row.hour))
        y = 18 + 24 * segments.index(str(row.segment))
        share = (float(row.hour_rate) - low) / span
        parts.append(
            f"<rect x='{x}' y='{y}' width='{CELL - 2}' height='22' fill='{INK}' fill-opacity='{share:.2f}'/>"
            f"<text x='{x + CELL / 2 - 1}' y='{y + 15}' text-anchor='middle' "
            f"fill='{'#ffffff' if share > 0.6 else '#1b2733'}'>{float(row.hour_rate):.0%}</text>"
        )
    width, height = LEFT + CELL * len(hours), 24 + 24 * len(segments)
    return f"<svg width='{width}' height='{height}' role='img' font-size='11'>{''.join(parts)}</svg>"
