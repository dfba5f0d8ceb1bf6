"""Figures. Pure: a frame and the reader's texts in, a Plotly figure out.

Colours were chosen for colour-blind readers and print: what makes arrears grow is orange, what brings them down is
blue, and the two also differ in position and sign; an ordered ladder is one hue from light to dark. Units stand in the
labels, figures are written in the reader's language.
"""

from __future__ import annotations

import html
import math

import pandas as pd
import plotly.graph_objects as go

from dashboards.formats import DECIMAL_SIGN, THOUSANDS_SIGN, Language, long_date, money, number, percent, short_date
from dashboards.language import Texts

PRIMARY = "#0F5F73"
SECONDARY = "#E08A1E"
TEXT_OF = {PRIMARY: PRIMARY, SECONDARY: "#A85F0A"}  # the same hue, dark enough to read as text
UP = "#C9551A"
DOWN = "#2B7BBA"
TOTAL = "#44545C"
INK = "#1C2B33"
QUIET = "#5E6E76"
GRID = "#E6EBED"
LADDER_LIGHT = (166, 206, 214)
LADDER_DARK = (10, 62, 77)
_PLOT_PIXELS = 210  # what a trend of 280 leaves for its lines
_NAME_PIXELS = 40  # two lines of text
FONT = "'Source Sans', 'Source Sans 3', 'Segoe UI', Roboto, 'Liberation Sans', sans-serif"


def arrears_by_bucket(buckets: pd.DataFrame, *, measure: str, texts: Texts, currency: str) -> go.Figure:
    """Horizontal bars, one per bucket past due, in the ladder's order.

    Args:
        buckets: ``queries.arrears_by_bucket``; the current bucket (rank 0) is left out.
        measure: arrears_amount, outstanding_principal_amount or loan_count.
        texts: the reader's language.
        currency: code of the amounts.
    """
    late = buckets[buckets["bucket_rank"] > 0]
    counted = measure == "loan_count"
    language = texts.language
    written = [number(value, language) for value in late[measure]]
    total = late[measure].sum()
    figure = go.Figure(
        go.Bar(
            y=late[f"label_{language}"],
            x=late[measure],
            orientation="h",
            marker_color=ladder_colours(len(late)),
            text=written,
            textposition="outside",
            cliponaxis=False,
            customdata=[
                [
                    number(loans, language),
                    money(balance, language, currency),
                    money(arrears, language, currency),
                    percent(value / total if total else None, language),
                ]
                for loans, balance, arrears, value in zip(
                    late["loan_count"],
                    late["outstanding_principal_amount"],
                    late["arrears_amount"],
                    late[measure],
                    strict=True,
                )
            ],
            hovertemplate=(
                "<b>%{y}</b> · %{customdata[3]}<br>"
                f"{texts('measure.arrears_amount')}: %{{customdata[2]}}<br>"
                f"{texts('measure.outstanding_principal_amount')}: %{{customdata[1]}}<br>"
                f"{texts('measure.loan_count')}: %{{customdata[0]}}<extra></extra>"
            ),
        )
    )
    unit = texts("unit.loans") if counted else currency
    style(figure, texts, height=bar_height(len(late)))
    largest = float(late[measure].max()) if len(late) else 0.0
    figure.update_xaxes(title_text=unit, range=[0, largest * 1.2 or 1])
    _whole_units(figure, largest * 1.2, texts)
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return figure


def arrears_bridge(movement: pd.DataFrame, *, texts: Texts, currency: str) -> go.Figure:
    """From opening to closing arrears, step by step.

    Args:
        movement: ``queries.arrears_movement``: opening first, closing last, signed steps between.
        texts: the reader's language.
        currency: code of the amounts.

    Raises:
        ValueError: the first row is not the opening or the last not the closing.
    """
    steps = list(movement["step"])
    if len(steps) < 2 or steps[0] != "opening" or steps[-1] != "closing":
        raise ValueError(f"A bridge goes from opening to closing; these steps are {steps}")
    language = texts.language
    amounts = [float(amount) for amount in movement["amount"]]
    ends = {0, len(steps) - 1}
    written = [number(a, language) if at in ends else _signed(a, language) for at, a in enumerate(amounts)]
    figure = go.Figure(
        go.Waterfall(
            orientation="h",
            y=[texts(f"movement.{step}") for step in steps],
            x=amounts,
            measure=["absolute", *["relative"] * (len(steps) - 2), "total"],
            text=written,
            textposition="outside",
            cliponaxis=False,
            increasing_marker_color=UP,
            decreasing_marker_color=DOWN,
            totals_marker_color=TOTAL,
            connector={"line": {"color": "#B9C4C9", "width": 1}},
            hovertemplate="<b>%{y}</b><br>" + currency + " %{text}<extra></extra>",
        )
    )
    style(figure, texts, height=bar_height(len(steps)))
    reach = max([sum(amounts[: at + 1]) for at in range(len(amounts) - 1)] + [amounts[-1], 0.0])
    figure.update_xaxes(title_text=currency, range=[0, reach * 1.22 or 1])
    _whole_units(figure, reach * 1.22, texts)
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return figure


def risk_trend(by_date: pd.DataFrame, *, texts: Texts) -> go.Figure:
    """PAR30 and PAR90 by month end, as a share of the gross portfolio; each line is named at its end."""
    language = texts.language
    top = float(pd.Series([*by_date["par30_rate"], *by_date["par90_rate"]], dtype=float).max())
    reach = top * 1.25 if top > 0 else 0.01
    figure = go.Figure()
    for rate, name, colour, dash in (
        ("par30_rate", "PAR30", PRIMARY, "solid"),
        ("par90_rate", "PAR90", SECONDARY, "dot"),
    ):
        written = [percent(value, language) for value in by_date[rate]]
        figure.add_scatter(
            x=by_date["as_of_date"],
            y=by_date[rate],
            name=name,
            mode="lines+markers",
            line={"color": colour, "width": 2.4, "dash": dash},
            marker={"size": 5},
            customdata=list(zip(_days(by_date, texts), written, strict=True)),
            hovertemplate=f"{name} · %{{customdata[0]}}: <b>%{{customdata[1]}}</b><extra></extra>",
        )
        if len(by_date):
            figure.add_annotation(
                x=by_date["as_of_date"].iloc[-1],
                y=by_date[rate].iloc[-1],
                text=f"<b>{name}</b><br>{written[-1]}",
                font={"color": TEXT_OF[colour], "size": 13},
                align="left",
                xanchor="left",
                xshift=8,
                yshift=_apart(by_date, reach) * (1 if rate == "par30_rate" else -1),
                showarrow=False,
            )
    style(figure, texts, height=280)
    figure.update_layout(margin_r=64)  # the names of the lines stand there
    step = round_step(reach * 100 / 4) / 100
    ticks = [step * at for at in range(int(reach / step) + 1)]
    decimals = 0 if step >= 0.01 and round(step * 100, 6).is_integer() else 1
    figure.update_yaxes(
        title_text=texts("unit.percent_of_portfolio"),
        range=[0, reach],
        tickmode="array",
        tickvals=ticks,
        ticktext=[percent(tick, language, decimals) for tick in ticks],
    )
    _date_axis(figure, by_date, texts)
    return figure


def _apart(by_date: pd.DataFrame, reach: float) -> float:
    """Pixels by which the two names at the lines' ends move apart, so that close lines keep readable names."""
    gap = float(by_date["par30_rate"].iloc[-1] - by_date["par90_rate"].iloc[-1]) / reach * _PLOT_PIXELS
    return max(0.0, _NAME_PIXELS - gap) / 2


def amount_trend(by_date: pd.DataFrame, *, texts: Texts, currency: str) -> go.Figure:
    """The past due amount by month end; the newest bar stands out and carries its figure."""
    amounts = by_date["arrears_amount"]
    last = len(by_date) - 1
    figure = go.Figure(
        go.Bar(
            x=_days(by_date, texts, short=True),
            y=amounts,
            marker_color=["#A9C4CC"] * last + [PRIMARY] if last >= 0 else [],
            customdata=[
                [day, money(value, texts.language, currency)]
                for day, value in zip(_days(by_date, texts), amounts, strict=True)
            ],
            hovertemplate="%{customdata[0]}<br><b>%{customdata[1]}</b><extra></extra>",
        )
    )
    style(figure, texts, height=280)
    largest = float(amounts.max()) if len(by_date) else 0.0
    figure.update_yaxes(title_text=currency, range=[0, largest * 1.18 or 1])
    _whole_units(figure, largest * 1.18, texts, axis="y")
    days = _days(by_date, texts, short=True)
    if days:
        figure.add_annotation(
            x=last + 0.4, y=largest, text=f"<b>{number(amounts.iloc[-1], texts.language)}</b>",
            font={"color": PRIMARY, "size": 13}, xanchor="right", yanchor="bottom", yshift=2, showarrow=False,
        )  # fmt: skip
    kept = spread(len(days), 6)
    figure.update_xaxes(
        type="category", showgrid=False, tickangle=0, tickvals=[days[at] for at in kept],
        ticktext=[two_lines(days[at]) for at in kept],
    )  # fmt: skip
    return figure


def contacts_by_channel(summary: pd.DataFrame, *, texts: Texts, currency: str) -> go.Figure:
    """Horizontal bars: how many contacts go through each channel, with what they are expected to bring."""
    language = texts.language
    figure = go.Figure(
        go.Bar(
            y=summary[f"label_{language}"],
            x=summary["contact_count"],
            orientation="h",
            marker_color=PRIMARY,
            text=[number(value, language) for value in summary["contact_count"]],
            textposition="outside",
            cliponaxis=False,
            customdata=[[money(value, language, currency)] for value in summary["gain"]],
            hovertemplate=(
                f"<b>%{{y}}</b><br>{texts('today.contacts')}: %{{text}}<br>"
                f"{texts('today.gain')}: %{{customdata[0]}}<extra></extra>"
            ),
        )
    )
    style(figure, texts, height=bar_height(len(summary), axis=False))
    largest = float(summary["contact_count"].max()) if len(summary) else 0.0
    figure.update_xaxes(visible=False, range=[0, largest * 1.25 or 1])
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return figure


def route_map(route: pd.Series, stops: pd.DataFrame, *, texts: Texts) -> go.Figure:
    """The planned stops in their order, to scale, north up: no tiles, so no network.

    Args:
        route: start_latitude_rounded, start_longitude_rounded, start_name.
        stops: latitude_rounded, longitude_rounded, route_order, planned_arrival_local, full_name, in order.
        texts: the reader's language.
    """
    figure = go.Figure()
    east, north = stops["longitude_rounded"].tolist(), stops["latitude_rounded"].tolist()
    has_start = pd.notna(route["start_latitude_rounded"])
    home = [[route["start_longitude_rounded"]], [route["start_latitude_rounded"]]] if has_start else [[], []]
    figure.add_scatter(
        x=[*home[0], *east, *home[0]],
        y=[*home[1], *north, *home[1]],
        mode="lines",
        line={"color": PRIMARY, "width": 2},
        hoverinfo="skip",
    )
    if has_start:
        figure.add_scatter(
            x=home[0],
            y=home[1],
            mode="markers",
            marker={"symbol": "square", "size": 16, "color": INK, "line": {"color": "white", "width": 2}},
            hovertext=[f"{texts('routes.start')}: {route['start_name'] or ''}"],
            hoverinfo="text",
        )
    figure.add_scatter(
        x=east,
        y=north,
        mode="markers+text",
        text=stops["route_order"].astype(str),
        textfont={"color": "white", "size": 12},
        marker={"size": 24, "color": PRIMARY, "line": {"color": "white", "width": 2}},
        customdata=[
            [arrival, html.escape(str(name))]  # a name is text, whatever stands in it
            for arrival, name in zip(stops["planned_arrival_local"], stops["full_name"], strict=True)
        ],
        hovertemplate="<b>%{customdata[0]}</b> %{customdata[1]}<extra></extra>",
    )
    style(figure, texts, height=460)
    across = math.cos(math.radians(sum(north) / len(north)))
    figure.update_xaxes(visible=True, showgrid=True, gridcolor=GRID, showticklabels=False, zeroline=False)
    figure.update_yaxes(
        visible=True, showgrid=True, gridcolor=GRID, showticklabels=False, zeroline=False,
        scaleanchor="x", scaleratio=1 / across,
    )  # fmt: skip
    return figure


def before_and_after(
    names: list[str], one: pd.Series, other: pd.Series, *, before: str, after: str, texts: Texts
) -> go.Figure:
    """Two horizontal bars per name: as it was, and with a change."""
    language = texts.language
    figure = go.Figure()
    for values, title, colour in ((other, after, SECONDARY), (one, before, PRIMARY)):
        figure.add_bar(
            y=names,
            x=values,
            name=title,
            orientation="h",
            marker_color=colour,
            text=[number(value, language) for value in values],
            textposition="outside",
            cliponaxis=False,
            hovertemplate=f"<b>%{{y}}</b><br>{title}: %{{text}}<extra></extra>",
        )
    style(figure, texts, height=bar_height(2 * len(names), axis=False) + 30)
    largest = float(max(one.max(), other.max())) if len(names) else 0.0
    figure.update_xaxes(visible=False, range=[0, largest * 1.25 or 1])
    figure.update_yaxes(autorange="reversed", showgrid=False)
    figure.update_layout(
        barmode="group",
        showlegend=True,
        legend={"orientation": "h", "y": 1.08, "x": 0, "traceorder": "reversed"},
        margin_t=34,
    )
    return figure


def ladder_colours(steps: int) -> list[str]:
    """One hue from light to dark: the further down the ladder, the darker; also in greyscale.

    >>> ladder_colours(2)
    ['rgb(166,206,214)', 'rgb(10,62,77)']
    """
    colours = []
    for step in range(steps):
        share = step / (steps - 1) if steps > 1 else 1.0
        parts = [round(a + (b - a) * share) for a, b in zip(LADDER_LIGHT, LADDER_DARK, strict=True)]
        colours.append(f"rgb({','.join(str(part) for part in parts)})")
    return colours


def style(figure: go.Figure, texts: Texts, *, height: int) -> None:
    """The look that every figure shares: fonts, quiet axes, the reader's signs, no legend, no dragging."""
    language = texts.language
    figure.update_layout(
        template="none",
        height=height,
        margin={"l": 8, "r": 8, "t": 10, "b": 8},
        font={"family": FONT, "size": 13, "color": INK},
        separators=DECIMAL_SIGN[language] + THOUSANDS_SIGN[language],
        showlegend=False,
        bargap=0.3,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        hoverlabel={"bgcolor": "#FFFFFF", "bordercolor": "#B9C4C9", "font": {"family": FONT, "color": INK}},
        dragmode=False,
    )
    quiet = {"font": {"color": QUIET, "size": 12}}
    figure.update_xaxes(
        automargin=True, fixedrange=True, gridcolor=GRID, zeroline=False, linecolor=GRID, title=quiet, ticks="",
        tickfont={"color": QUIET, "size": 12}, ticklabelstandoff=4,
    )  # fmt: skip
    figure.update_yaxes(
        automargin=True, fixedrange=True, gridcolor=GRID, zeroline=False, title=quiet, ticks="",
        tickfont={"color": INK, "size": 13}, ticklabelstandoff=6,
    )  # fmt: skip


def _whole_units(figure: go.Figure, reach: float, texts: Texts, *, axis: str = "x") -> None:
    """Few round ticks, written in full in the reader's signs: "1.500.000", not a foreign "1.5M"."""
    step = round_step(reach / 4)
    values = [step * at for at in range(int(reach / step) + 1)]
    update = figure.update_xaxes if axis == "x" else figure.update_yaxes
    decimals = 0 if step >= 1 else 2
    update(tickmode="array", tickvals=values, ticktext=[number(value, texts.language, decimals) for value in values])


def round_step(rough: float) -> float:
    """The nearest of 1, 2, 2.5, 5 times a power of ten that is not smaller.

    >>> round_step(34_000), round_step(2.1), round_step(0)
    (50000.0, 2.5, 1.0)
    """
    if rough <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(rough))
    return next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * (1 - 1e-9))


def _date_axis(figure: go.Figure, by_date: pd.DataFrame, texts: Texts) -> None:
    kept = spread(len(by_date), 6)
    days = _days(by_date, texts, short=True)
    figure.update_xaxes(
        showgrid=False,
        tickmode="array",
        tickvals=[by_date["as_of_date"].iloc[at] for at in kept],
        ticktext=[two_lines(days[at]) for at in kept],
        tickangle=0,
    )


def spread(count: int, most: int) -> list[int]:
    """At most ``most`` positions, evenly spaced, the last one always among them.

    >>> spread(13, 5)
    [0, 3, 6, 9, 12]
    """
    if count == 0:
        return []
    gap = max(1, -(-(count - 1) // max(1, most - 1)))
    return sorted(range(count - 1, -1, -gap))


def _days(by_date: pd.DataFrame, texts: Texts, *, short: bool = False) -> list[str]:
    write = short_date if short else long_date
    return [write(pd.Timestamp(day).date(), texts.language) for day in by_date["as_of_date"]]


def two_lines(day: str) -> str:
    """A short date with its year below."""
    head, _, year = day.rpartition(" ")
    return f"{head}<br>{year}"


def _signed(amount: float, language: Language) -> str:
    text = number(abs(amount), language)
    return f"+{text}" if amount > 0 else f"−{text}" if amount < 0 else text


def bar_height(bars: int, *, axis: bool = True) -> int:
    """Pixels for so many horizontal bars."""
    return 32 * max(bars, 1) + (64 if axis else 24)
