"""Figures of the KPI and audit pages. Pure: frames and the reader's texts in, Plotly figures out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pandas as pd
import plotly.graph_objects as go

from dashboards.charts import INK, PRIMARY, QUIET, SECONDARY, bar_height, round_step, spread, style, two_lines
from dashboards.formats import short_date
from dashboards.language import Texts

Write = Callable[[float | None], str]

_LIGHT = "#E7F0F2"
_MOST_BARS = 25
_MOST_LINES = 12


def trend(
    dates: Sequence[pd.Timestamp],
    values: Sequence[float | None],
    *,
    write: Write,
    marks: Mapping[str, float],
    texts: Texts,
) -> go.Figure:
    """A KPI over its periods, with its target and thresholds (``marks``: name -> value) as quiet lines."""
    days = [short_date(pd.Timestamp(day).date(), texts.language) for day in dates]
    figure = go.Figure(
        go.Scatter(
            x=list(range(len(days))),
            y=list(values),
            mode="lines+markers",
            line={"color": PRIMARY, "width": 2.4},
            marker={"size": 6},
            customdata=[[day, write(value)] for day, value in zip(days, values, strict=True)],
            hovertemplate="%{customdata[0]}: <b>%{customdata[1]}</b><extra></extra>",
        )
    )
    style(figure, texts, height=300)
    kept = spread(len(days), 6)
    figure.update_xaxes(
        showgrid=False, tickmode="array", tickvals=kept, ticktext=[two_lines(days[at]) for at in kept], tickangle=0
    )
    known = [value for value in [*values, *marks.values()] if value is not None and value == value]
    low, high = min([*known, 0.0]), max([*known, 0.0])
    _ticks(figure, low, high, write)
    for name, value in marks.items():
        figure.add_hline(y=value, line={"color": SECONDARY if name == "target" else QUIET, "width": 1, "dash": "dot"})
        figure.add_annotation(
            x=0, xref="paper", y=value, text=f"{texts(f'kpis.{name}')} {write(value)}", showarrow=False, xanchor="left",
            yanchor="bottom", font={"size": 11, "color": QUIET},
        )  # fmt: skip
    return figure


def confidence_sequence(
    dates: Sequence[pd.Timestamp],
    values: Sequence[float | None],
    low: Sequence[float | None],
    high: Sequence[float | None],
    *,
    write: Write,
    texts: Texts,
) -> go.Figure:
    """An experiment's difference by day within the interval that holds at every look, and the line of no difference."""
    days = [short_date(pd.Timestamp(day).date(), texts.language) for day in dates]
    places = list(range(len(days)))
    quiet = {"mode": "lines", "line": {"color": PRIMARY, "width": 0.6}, "hoverinfo": "skip"}
    figure = go.Figure()
    figure.add_scatter(x=places, y=list(high), **quiet)
    figure.add_scatter(x=places, y=list(low), fill="tonexty", fillcolor=_LIGHT, **quiet)
    figure.add_scatter(
        x=places,
        y=list(values),
        mode="lines",
        line={"color": PRIMARY, "width": 2.4},
        customdata=[[day, *(write(one) for one in ends)] for day, *ends in zip(days, values, low, high, strict=True)],
        hovertemplate="%{customdata[0]}: <b>%{customdata[1]}</b> (%{customdata[2]} … %{customdata[3]})<extra></extra>",
    )
    style(figure, texts, height=300)
    kept = spread(len(days), 6)
    figure.update_xaxes(
        showgrid=False, tickmode="array", tickvals=kept, ticktext=[two_lines(days[at]) for at in kept], tickangle=0
    )
    known = [value for value in [*values, *low, *high] if value is not None and value == value]
    _ticks(figure, min([*known, 0.0]), max([*known, 0.0]), write)
    figure.add_hline(y=0, line={"color": QUIET, "width": 1, "dash": "dot"})
    return figure


def bars(names: Sequence[str], values: Sequence[float | None], *, write: Write, texts: Texts) -> go.Figure:
    """Horizontal bars in the order given, each with its figure; at most 25, the first ones."""
    names, values = list(names)[:_MOST_BARS], list(values)[:_MOST_BARS]
    written = [write(value) for value in values]
    figure = go.Figure(
        go.Bar(
            y=list(range(len(names))), x=values, orientation="h", marker_color=PRIMARY, text=written,
            textposition="outside", cliponaxis=False, customdata=[[name] for name in names],
            hovertemplate="<b>%{customdata[0]}</b>: %{text}<extra></extra>",
        )
    )  # fmt: skip
    style(figure, texts, height=bar_height(len(names), axis=False))
    known = [value for value in values if value is not None and value == value]
    low, high = min([*known, 0.0]), max([*known, 0.0])
    room = (high - low) * 0.3 or 1
    figure.update_xaxes(visible=False, range=[low - (room if low < 0 else 0), high + room])
    short = [name if len(name) <= 24 else f"{name[:23]}…" for name in names]
    figure.update_yaxes(
        autorange="reversed", showgrid=False, tickmode="array", tickvals=list(range(len(names))), ticktext=short
    )
    return figure


def matrix(
    cells: pd.DataFrame,
    *,
    rows: Sequence[str],
    columns: Sequence[str],
    labels: Mapping[str, str],
    write: Write,
    texts: Texts,
) -> go.Figure:
    """Where each row's balance went: a heat map of shares, the more the darker, with the figure in each cell.

    Args:
        cells: ``detail_from``, ``detail_to``, ``value``; a cell without a row stays empty.
        rows: states before, in order.
        columns: states after, in order, exits last.
        labels: what a state is called.
        write: how a share is written.
        texts: the reader's language.
    """
    wide = cells.pivot_table(index="detail_from", columns="detail_to", values="value", aggfunc="first")
    wide = wide.reindex(index=list(rows), columns=list(columns))
    values = wide.to_numpy(dtype=float)
    written = [[("" if value != value else write(value)) for value in row] for row in values]
    names = [labels.get(code, code) for code in columns]
    befores = [labels.get(code, code) for code in rows]
    figure = go.Figure(
        go.Heatmap(
            z=values, x=names, y=befores, text=written, texttemplate="%{text}", textfont={"size": 11}, zmin=0, zmax=1,
            colorscale=[[0, "#F7FAFB"], [0.5, "#A6CED6"], [1, PRIMARY]], showscale=False, xgap=2, ygap=2,
            hovertemplate="%{y} → %{x}: <b>%{text}</b><extra></extra>", hoverongaps=False,
        )
    )  # fmt: skip
    style(figure, texts, height=90 + 34 * len(rows))
    figure.update_xaxes(side="top", showgrid=False, tickangle=-35)
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return figure


def vintages(cells: pd.DataFrame, *, write: Write, texts: Texts) -> go.Figure:
    """A line per month of disbursement over months on book; the newest twelve, from light (old) to dark (new)."""
    cells = cells.assign(age=pd.to_numeric(cells["detail_to"])).sort_values(["detail_from", "age"])
    cohorts = sorted(cells["detail_from"].unique())[-_MOST_LINES:]
    figure = go.Figure()
    for at, cohort in enumerate(cohorts):
        line = cells[cells["detail_from"] == cohort]
        share = at / max(len(cohorts) - 1, 1)
        colour = _between(share)
        figure.add_scatter(
            x=line["age"], y=line["value"], mode="lines+markers", name=cohort, line={"color": colour, "width": 2},
            marker={"size": 4}, customdata=[[write(value)] for value in line["value"]],
            hovertemplate=f"{cohort} · %{{x}}: <b>%{{customdata[0]}}</b><extra></extra>",
        )  # fmt: skip
    style(figure, texts, height=340)
    figure.update_layout(
        showlegend=True, legend={"orientation": "h", "y": -0.25, "font": {"size": 11}, "title": texts("kpis.cohort")}
    )
    figure.update_xaxes(title_text=texts("kpis.months_on_book"))
    known = [value for value in cells["value"] if value == value]
    _ticks(figure, 0.0, max([*known, 0.0]), write)
    return figure


def curve(cells: pd.DataFrame, *, write: Write, texts: Texts) -> go.Figure:
    """A step line over whole numbers, such as days: what part is still there."""
    points = cells.assign(at=pd.to_numeric(cells["detail_code"])).sort_values("at")
    figure = go.Figure(
        go.Scatter(
            x=points["at"], y=points["value"], mode="lines", line={"color": PRIMARY, "width": 2.4, "shape": "hv"},
            customdata=[[write(value)] for value in points["value"]],
            hovertemplate="%{x}: <b>%{customdata[0]}</b><extra></extra>",
        )
    )  # fmt: skip
    style(figure, texts, height=300)
    _ticks(figure, 0.0, max([value for value in points["value"] if value == value], default=0.0), write)
    return figure


def _ticks(figure: go.Figure, low: float, high: float, write: Write) -> None:
    """Four round steps from below the lowest to above the highest, written as the KPI is."""
    reach = (high - low) * 1.15 or 1.0
    step = round_step(reach / 4)
    first = int(low // step) if low < 0 else 0
    ticks = [step * at for at in range(first, int((low + reach) / step) + 2)]
    figure.update_yaxes(
        range=[ticks[0], ticks[-1]], tickmode="array", tickvals=ticks, ticktext=[write(tick) for tick in ticks],
        tickfont={"color": INK, "size": 12},
    )  # fmt: skip


def _between(share: float) -> str:
    light, dark = (166, 206, 214), (10, 62, 77)
    return "rgb({},{},{})".format(*(round(a + (b - a) * share) for a, b in zip(light, dark, strict=True)))
