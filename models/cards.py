"""Model cards as one HTML page with its pictures inside: no script, no font, no address from outside."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b2733}"
    "h1{font-size:1.6rem;margin-bottom:0}h2{margin-top:2.2rem;border-bottom:2px solid #0b6e6e}"
    "small,.en{color:#5a6b7b;font-weight:normal}table{border-collapse:collapse;margin:1rem 0;width:100%}"
    "td,th{border-bottom:1px solid #d5dde3;padding:.3rem .6rem;text-align:left;font-variant-numeric:tabular-nums}"
    "th{background:#f2f6f7}figure{display:inline-block;margin:1rem 1rem 0 0}figcaption{font-weight:600}"
    ".note{background:#f6f3e8;padding:.5rem .8rem;border-left:4px solid #c9a227;margin:.8rem 0}"
)
INK, LINE, PALE = "#0b6e6e", "#c9a227", "#d5dde3"


class Page:
    """A page that grows from top to bottom; every text is given in Spanish and English and is escaped."""

    def __init__(self, es: str, en: str, subtitle: str) -> None:
        self._title = f"{es} · {en}"
        self._parts = [
            f"<h1>{escape(es)} <span class='en'>{escape(en)}</span></h1><p><small>{escape(subtitle)}</small></p>"
        ]

    def heading(self, es: str, en: str) -> None:
        """A section heading."""
        self._parts.append(f"<h2>{escape(es)} <span class='en'>{escape(en)}</span></h2>")

    def note(self, es: str, en: str) -> None:
        """A sentence that the reader must not miss."""
        self._parts.append(f"<p class='note'>{escape(es)}<br><span class='en'>{escape(en)}</span></p>")

    def facts(self, rows: Sequence[tuple[str, str, Any]]) -> None:
        """Name and value pairs."""
        cells = "".join(
            f"<tr><th>{escape(es)} <span class='en'>{escape(en)}</span></th><td>{escape(str(value))}</td></tr>"
            for es, en, value in rows
        )
        self._parts.append(f"<table>{cells}</table>")

    def table(self, head: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """A table with a head."""
        top = "".join(f"<th>{escape(str(cell))}</th>" for cell in head)
        body = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
        self._parts.append(f"<table><tr>{top}</tr>{body}</table>")

    def picture(self, es: str, en: str, svg: str) -> None:
        """A picture made by this module, with its caption."""
        english = "" if es == en else f" <span class='en'>{escape(en)}</span>"
        self._parts.append(f"<figure><figcaption>{escape(es)}{english}</figcaption>{svg}</figure>")

    def html(self) -> str:
        """The whole page."""
        return (
            f"<!doctype html><html lang='es'><head><meta charset='utf-8'><title>{escape(self._title)}</title>"
            f"<style>{STYLE}</style></head><body>{''.join(self._parts)}</body></html>\n"
        )


def interval(measure: dict[str, float | None], digits: int = 3) -> str:
    """A value with its 95 % interval, e.g. ``0.912 (0.903 – 0.921)``; an unknown one is a dash."""
    value, low, high = (measure.get(name) for name in ("value", "low", "high"))
    if value is None or value != value:
        return "–"
    if low is None or high is None or low != low:
        return f"{value:.{digits}f}"
    return f"{value:.{digits}f} ({low:.{digits}f} – {high:.{digits}f})"


def line_chart(
    points: Sequence[tuple[float, float]], *, diagonal: bool = False, width: int = 300, height: int = 200
) -> str:
    """Points joined by a line, with the ends of both axes written; ``diagonal`` adds the line where both are equal."""
    if not points:
        return ""
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    low_x, high_x, low_y, high_y = min(xs), max(xs), min(ys), max(ys)
    if diagonal:
        low_x = low_y = min(low_x, low_y)
        high_x = high_y = max(high_x, high_y)
    span_x, span_y = (high_x - low_x) or 1.0, (high_y - low_y) or 1.0
    left, bottom, right, top = 46, height - 24, width - 8, 10

    def at(x: float, y: float) -> str:
        return (
            f"{left + (x - low_x) / span_x * (right - left):.1f},{bottom - (y - low_y) / span_y * (bottom - top):.1f}"
        )

    path = " ".join(at(x, y) for x, y in points)
    dots = "".join(f"<circle r='3' fill='{INK}' cx='{c.split(',')[0]}' cy='{c.split(',')[1]}'/>" for c in path.split())
    ideal = (
        f"<polyline points='{at(low_x, low_y)} {at(high_x, high_y)}' stroke='{LINE}' fill='none'/>" if diagonal else ""
    )
    return (
        f"<svg width='{width}' height='{height}' role='img' font-size='11'>"
        f"<path d='M{left} {top}V{bottom}H{right}' stroke='{PALE}' fill='none'/>{ideal}"
        f"<polyline points='{path}' stroke='{INK}' stroke-width='2' fill='none'/>{dots}"
        f"<text x='{left}' y='{height - 8}'>{low_x:.3g}</text>"
        f"<text x='{right}' y='{height - 8}' text-anchor='end'>{high_x:.3g}</text>"
        f"<text x='{left - 4}' y='{bottom}' text-anchor='end'>{low_y:.3g}</text>"
        f"<text x='{left - 4}' y='{top + 8}' text-anchor='end'>{high_y:.3g}</text></svg>"
    )


def bar_chart(bars: Sequence[tuple[str, float]], *, width: int = 560) -> str:
    """Horizontal bars from zero, longest first as given; a value below zero is drawn in the other colour."""
    if not bars:
        return ""
    longest = max(abs(value) for _, value in bars) or 1.0
    rows = []
    for place, (name, value) in enumerate(bars):
        y, length = 18 * place + 14, abs(value) / longest * (width - 330)
        rows.append(
            f"<text x='250' y='{y}' text-anchor='end'>{escape(name)}</text>"
            f"<rect x='256' y='{y - 10}' width='{length:.1f}' height='12' fill='{INK if value >= 0 else LINE}'/>"
            f"<text x='{262 + length:.1f}' y='{y}'>{value:.3g}</text>"
        )
    return f"<svg width='{width}' height='{18 * len(bars) + 10}' role='img' font-size='12'>{''.join(rows)}</svg>"
