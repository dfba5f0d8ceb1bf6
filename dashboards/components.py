"""Pieces that the pages share: masthead, messages, key figures, tables.

Text that comes from data (names, reasons, folders) passes ``plain`` before it reaches Markdown: a member called
``[x](http://...)`` is a name, not a link.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from dashboards.formats import LANGUAGES, MISSING, Language, long_date
from dashboards.language import Texts, load_texts
from puntual import clock
from puntual.errors import PuntualError, UsageError
from puntual.exports.export import Request, export, record
from puntual.paths import Home
from puntual.settings import home_from_environment
from puntual.snapshot import Snapshot

# How the values of a column are written.
Formats = dict[str, Callable[[Any], str]]

STALE_AFTER_DAYS = 2
ASSETS = Path(__file__).resolve().parent / "assets"
_LANGUAGE_KEY = "lang"

# Streamlit's own parts, tightened: content starts near the top, key figures stand two by two on a telephone.
_STYLE = """
<style>
  [data-testid="stMainBlockContainer"] {padding-top: 4.4rem; padding-bottom: 3rem; max-width: 1320px;}
  .masthead {line-height: 1.35; font-size: .95rem; color: #5E6E76;}
  .masthead b {color: #1C2B33; font-weight: 600;}
  .masthead .age {display: inline-block; white-space: nowrap; padding: 0 .5rem; border-radius: 999px;
                  background: #E7F0F2; color: #0F5F73; font-size: .85rem; margin-left: .15rem;}
  .masthead .age.old {background: #FBEBDD; color: #8A3A0C;}
  .st-key-lang button {text-transform: uppercase;}
  h1 {letter-spacing: -.01em; padding: .2rem 0 .15rem !important;}
  [data-testid="stMetricLabel"] p {color: #5E6E76; font-size: .92rem;}
  [data-testid="stMetricValue"] {font-variant-numeric: tabular-nums;}
  .st-key-figures > [data-testid="stElementContainer"] {flex: 1 1 0; min-width: 210px;}
  .st-key-kpi_cards > [data-testid="stElementContainer"] {flex: 0 1 calc(25% - 1rem); min-width: 240px;}
  .st-key-kpi_cards label p {white-space: normal;}
  .st-key-kpi_cards div:has(> [data-testid="stMetricDelta"]) {flex-wrap: wrap; row-gap: 0;}
  @media (max-width: 640px) {
    [data-testid="stMainBlockContainer"] {padding: 4.2rem .9rem 2rem;}
    .st-key-figures > [data-testid="stElementContainer"] {flex: 1 1 40%; min-width: 150px;}
    .st-key-kpi_cards > [data-testid="stElementContainer"] {flex: 1 1 100%;}
    .st-key-section [role="radiogroup"] {flex-wrap: wrap;}
    .st-key-figures [data-testid="stMetric"] > div {padding: .6rem .7rem;}
    .st-key-figures label p {white-space: normal;}
    .st-key-figures div:has(> [data-testid="stMetricDelta"]) {flex-wrap: wrap; row-gap: 0;}
    [data-testid="stMetricValue"] {font-size: 1.2rem;}
    :is(.st-key-filters, .st-key-paging) > [data-testid="stElementContainer"] {
      flex: 1 1 40% !important; min-width: 150px;
    }
    .st-key-filters > .st-key-kpi_period {flex-basis: 100% !important;}
  }
</style>
"""


@dataclass(frozen=True)
class Figure:
    """A key figure as it is shown: label, value with its unit, what it means, and its change when there is one."""

    label: str
    value: str
    meaning: str
    change: str | None = None
    versus: str | None = None
    more_is: str = "bad"


def chosen_language() -> Texts:
    """The texts of the language that the reader chose, or that the address names; Spanish otherwise."""
    language = st.session_state.get(_LANGUAGE_KEY) or st.query_params.get(_LANGUAGE_KEY)
    return load_texts(cast(Language, language if language in LANGUAGES else LANGUAGES[0]))


def published() -> Snapshot:
    """The snapshot that is published at this moment.

    Raises:
        UsageError: no home was given.
        PublishError: nothing is published, or it cannot be read.
    """
    return Snapshot.current(home_from_environment())


def currency_of(snapshot: Snapshot) -> str:
    """Code of the institution's money."""
    return str(snapshot.manifest["institution"]["currency"])


def masthead(snapshot: Snapshot | None) -> Texts:
    """Whose data this is, of which day, how old; and the language switch. Returns the texts to use."""
    st.html(_STYLE)
    texts = chosen_language()
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute", key="masthead"):
        identity = st.container(width="stretch", key="identity")
        st.segmented_control(
            texts("app.language"),
            LANGUAGES,
            default=LANGUAGES[0],
            required=True,
            key=_LANGUAGE_KEY,
            label_visibility="collapsed",
            bind="query-params",
        )
    if snapshot is None:
        identity.html('<div class="masthead">&nbsp;</div>')  # keeps the switch at its side
    else:
        institution = snapshot.manifest["institution"]
        age = (clock.today(institution["timezone"]) - snapshot.as_of_date).days
        is_old = age > STALE_AFTER_DAYS
        day = texts("app.data_as_of", date=long_date(snapshot.as_of_date, texts.language))
        identity.html(
            f'<div class="masthead"><b>{escape(str(institution["name"]))}</b> · {escape(day)} '
            f'<span class="age{" old" if is_old else ""}">{escape(_age(age, texts))}</span></div>'
        )
        if is_old:
            command = f"puntual run {home_from_environment()} --as-of {texts('failure.date_word')}".replace("`", "")
            st.caption(texts("app.stale", days=age, command=command))
    return texts


def _age(days: int, texts: Texts) -> str:
    if days < 0:
        return texts("app.age_future")
    if days == 0:
        return texts("app.age_today")
    return texts("app.age_yesterday") if days == 1 else texts("app.age_days", days=days)


def failure(error: PuntualError, texts: Texts) -> None:
    """What is wrong and the command that mends it, instead of a page."""
    if isinstance(error, UsageError):
        what, command = "no_home", "puntual dash HOME"
    else:
        home = home_from_environment()
        what = "broken" if Home(home).current.exists() else "nothing_published"
        command = f"puntual run {home} --as-of {texts('failure.date_word')}"
    with st.container(border=True):
        st.subheader(texts(f"failure.{what}"))
        st.write(texts(f"failure.{what}_text"))
        st.code(command, language=None)
        with st.expander(texts("failure.detail")):
            st.code(str(error), language=None, wrap_lines=True)


def empty(title: str, text: str) -> None:
    """Why there is nothing to show, and what to do about it."""
    with st.container(border=True):
        st.subheader(title)
        st.write(text)


def title(heading: str, subtitle: str) -> None:
    """Head of a page."""
    st.title(heading, anchor=False)
    st.caption(subtitle)


def figures(row: Sequence[Figure]) -> None:
    """Key figures side by side; two by two on a telephone."""
    colours = {"bad": "inverse", "good": "normal", "neutral": "off"}
    with st.container(horizontal=True, key="figures", gap="small"):
        for figure in row:
            # an arrow beside "0,00" would say that something rose
            moved = figure.change is None or any(digit in figure.change for digit in "123456789")
            st.metric(
                figure.label,
                figure.value,
                figure.change,
                delta_color=cast(Any, colours[figure.more_is] if moved else "off"),
                delta_arrow="auto" if moved else "off",
                delta_description=figure.versus,
                help=figure.meaning,
                border=True,
                height="stretch",
            )


def chart(figure: go.Figure, *, key: str, description: str) -> None:
    """A figure without tool bar; ``description`` is what a screen reader says."""
    st.plotly_chart(figure, theme=None, key=key, config={"displayModeBar": False, "responsive": True}, alt=description)


def data_behind(frame: pd.DataFrame, texts: Texts, formats: Formats, names: dict[str, str]) -> None:
    """The figures of a chart as a table, folded."""
    with st.expander(texts("app.show_data")):
        table(frame, formats, names)


def table(frame: pd.DataFrame, formats: Formats, names: dict[str, str]) -> None:
    """The columns of ``names`` under those names, with figures written in the reader's language and still sortable."""
    shown = frame[list(names)]
    styled = shown.style.format({column: write for column, write in formats.items() if column in names})
    st.dataframe(
        styled, hide_index=True, column_config={column: names[column] for column in names}, placeholder=MISSING
    )


def duty_alarms(snapshot: Snapshot, texts: Texts) -> None:
    """Contacts that a rule asks for and that are overdue or cannot be met: alarms in red, what can wait in yellow."""
    _lines(snapshot.manifest.get("duty_alarms", []), texts)


def plan_warnings(snapshot: Snapshot, texts: Texts) -> None:
    """What a setting could not do today: hours in which nobody may be contacted, second contacts that rules forbid."""
    _lines(snapshot.manifest.get("plan_warnings", []), texts)


def _lines(lines: Iterable[Mapping[str, str]], texts: Texts) -> None:
    for line in lines:
        show = st.error if line["severity"] == "alarm" else st.warning
        show(plain(line[f"text_{texts.language}"]))


_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|~:$<>&])")


def plain(text: str) -> str:
    r"""Text that Markdown shows as it is.

    >>> print(plain("[x](y) *b* $1"))
    \[x\]\(y\) \*b\* \$1
    """
    return _MARKDOWN.sub(r"\\\1", text)


def as_day(value: Any) -> date:
    """A calendar day, whatever type the engine gave it."""
    return pd.Timestamp(value).date()


_MIME = {
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "csv": "text/csv",
    "parquet": "application/vnd.apache.parquet",
}


def export_buttons(snapshot: Snapshot, requests: Sequence[Request], texts: Texts, *, key: str) -> None:
    """Buttons that export what is shown, made when pressed by the code of ``puntual export`` and logged like it."""
    with st.container(horizontal=True, gap="small", key=f"exports_{key}"):
        for at, request in enumerate(requests):
            st.download_button(
                texts("app.export", format=request.format.upper()),
                partial(exported_bytes, snapshot, request),
                file_name=f"{snapshot.as_of_date.isoformat()}_{request.what}.{request.format}",
                mime=_MIME[request.format],
                key=f"export_{key}_{at}",
                on_click="ignore",
            )


def exported_bytes(snapshot: Snapshot, request: Request) -> bytes:
    """The file of an export, with a line about it in the home's log."""
    home = home_from_environment()
    with TemporaryDirectory(prefix="puntual-export-") as folder:
        written = export(snapshot, request, Path(folder) / f"{request.what}.{request.format}")
        content = written.path.read_bytes()
    record(home, snapshot, request, replace(written, path=Path("(dashboard)")), at=clock.now_utc())
    return content


def both_formats(what: str, where: str | None, texts: Texts) -> list[Request]:
    """An export as a workbook, and as the CSV that spreadsheets of the reader's language open."""
    spanish = texts.language == "es"
    return [
        Request(what, "xlsx", where, language=texts.language),
        Request(
            what,
            "csv",
            where,
            language=texts.language,
            delimiter=";" if spanish else ",",
            decimal="," if spanish else ".",
        ),
    ]


def sql_text(value: str) -> str:
    """A text as a constant in a condition."""
    return "'" + value.replace("'", "''") + "'"


def why_off(channel_model: Mapping[str, Any], language: str) -> str:
    """Why the channel model is off, in the language of the page where the snapshot tells it; plain text."""
    told = channel_model.get("reason_es") if language == "es" else None
    return plain(str(told or channel_model.get("reason") or "").rstrip(". "))
