"""Model cards as one HTML page with its pictures inside: no script, no font, no address from outside."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from typing import Any

from models.charts import bar_chart, line_chart

__all__ = ["Page", "bar_chart", "interval", "line_chart"]

STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:74rem;margin:2rem auto;padding:0 1rem;color:#1b2733}"
    "h1{font-size:1.6rem;margin-bottom:0}h2{margin-top:2.2rem;border-bottom:2px solid #0b6e6e}"
    "h3{margin:1.6rem 0 .2rem;font-size:1.1rem}"
    "small,.en{color:#5a6b7b;font-weight:normal}table{border-collapse:collapse;margin:1rem 0;width:100%}"
    "td,th{border-bottom:1px solid #d5dde3;padding:.3rem .6rem;text-align:left;font-variant-numeric:tabular-nums}"
    "th{background:#f2f6f7}figure{display:inline-table;vertical-align:top;margin:1rem 1rem 0 0;max-width:100%}"
    "figcaption{display:table-caption;font-weight:600;padding-bottom:.3rem}svg{max-width:100%;height:auto}.flag{color:#b3261e;font-weight:600}"
    ".scroll{overflow-x:auto}.scroll td{white-space:pre-line}p{max-width:60rem}"
    ".dense{font-size:12px}.dense td,.dense th{padding:.3rem .35rem}"
    ".note{background:#f6f3e8;padding:.5rem .8rem;border-left:4px solid #c9a227;margin:.8rem 0}"
)

MANY_COLUMNS = 9


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

    def subheading(self, es: str, en: str) -> None:
        """A heading within a section."""
        self._parts.append(f"<h3>{escape(es)} <span class='en'>{escape(en)}</span></h3>")

    def text(self, es: str, en: str) -> None:
        """A paragraph."""
        self._parts.append(f"<p>{escape(es)}<br><span class='en'>{escape(en)}</span></p>")

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

    def table(self, head: Sequence[str], rows: Sequence[Sequence[Any]], flagged: Sequence[bool] | None = None) -> None:
        """A table with a head; flagged rows stand out."""
        top = "".join(f"<th>{escape(str(cell))}</th>" for cell in head)
        marks = flagged or [False] * len(rows)
        body = "".join(
            ("<tr class='flag'>" if mark else "<tr>")
            + "".join(f"<td>{escape(str(cell))}</td>" for cell in row)
            + "</tr>"
            for row, mark in zip(rows, marks, strict=True)
        )
        dense = " class='dense'" if len(head) > MANY_COLUMNS else ""
        self._parts.append(f"<div class='scroll'><table{dense}><tr>{top}</tr>{body}</table></div>")

    def picture(self, es: str, en: str, svg: str, alt_es: str = "", alt_en: str = "") -> None:
        """A picture with its caption, and with words for those who cannot see it (the caption when none are given).

        Its figures get the decimal commas of Spanish, which comes first on the page.
        """
        english = "" if es == en else f" <span class='en'>{escape(en)}</span>"
        words = escape(f"{alt_es or es} · {alt_en or en}", quote=True)
        named = with_commas(svg).replace("<svg ", f"<svg aria-label='{words}' ", 1)
        self._parts.append(f"<figure><figcaption>{escape(es)}{english}</figcaption>{named}</figure>")

    def html(self) -> str:
        """The whole page."""
        return (
            f"<!doctype html><html lang='es'><head><meta charset='utf-8'><title>{escape(self._title)}</title>"
            f"<style>{STYLE}</style></head><body>{''.join(self._parts)}</body></html>\n"
        )


def number(value: float, digits: int = 0, language: str = "es") -> str:
    """A figure with the language's signs.

    >>> number(1234.5, 2), number(1234.5, 2, "en"), number(-0.001, 1)
    ('1.234,50', '1,234.50', '0,0')
    """
    text = f"{round(value, digits) + 0.0:,.{digits}f}"
    return text.translate(str.maketrans(",.", ".,")) if language == "es" else text


def with_commas(svg: str) -> str:
    """The picture with the decimal commas of Spanish in its texts, and no other change.

    >>> with_commas("<text x='1.5'>0.25</text>")
    "<text x='1.5'>0,25</text>"
    """
    return re.sub(r">[^<]+<", lambda found: re.sub(r"(?<=\d)\.(?=\d)", ",", found[0]), svg)


def interval(measure: dict[str, float | None], digits: int = 3) -> str:
    """A value with its 95 % interval in Spanish signs, e.g. ``0,912 (0,903 – 0,921)``; an unknown one is a dash."""
    value, low, high = (measure.get(name) for name in ("value", "low", "high"))
    if value is None or value != value:
        return "–"
    if low is None or high is None or low != low:
        return number(value, digits)
    # Spaces and a joiner that do not break: an interval is read on one line.
    return f"{number(value, digits)} ({number(low, digits)}\u00a0–\u2060\u00a0{number(high, digits)})"
