"""KPIs: each family's figures with target, light and trend; one in detail; and those that are off, with the reason.

Nothing is computed here: figures, parts and thresholds are read as they were published.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, cast

import pandas as pd
import streamlit as st

from dashboards import components, kpi_charts, kpi_queries, queries
from dashboards.components import as_day, plain
from dashboards.formats import MISSING, long_date, money, number, percent, short_date
from dashboards.language import Texts

_COLOURS = {"green": "green", "amber": "orange", "red": "red"}
_BADGES = {"official": "blue", "derived": "gray", "analytic": "violet"}
_COHORT = r"[0-9]{4}-[0-9]{2}\|[0-9]+"  # month of disbursement and months since
_TRENDS = {"day": 31, "week": 13, "month": 24}


def writer_of(kpi: pd.Series, texts: Texts, currency: str) -> Callable[[Any], str]:
    """How a KPI's values are written, by its unit."""
    unit, language = str(kpi["unit"]), texts.language
    if unit == "share":
        return lambda value: percent(value, language, 2)
    if unit == "amount":
        return lambda value: money(value, language, currency)
    if unit == "count":
        return lambda value: number(value, language)
    if unit in {"days", "hours", "minutes", "seconds"}:
        return lambda value: with_unit(number(value, language, 1), texts.label("kpi_unit", unit))
    return lambda value: with_unit(number(value, language, 2), texts.label("kpi_unit", unit) if unit != "index" else "")


def with_unit(written: str, unit: str) -> str:
    """A figure and its unit; no unit behind a missing figure."""
    return written if written == MISSING or not unit else f"{written}\u00a0{unit}"


def scope_filter(folder: str, texts: Texts) -> tuple[str, str, str, str]:
    """Family, period, grain and member that the reader chose."""
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom", key="filters"):
        family = st.selectbox(
            texts("kpis.family"), kpi_queries.families(folder), key="family", width=250,
            format_func=lambda code: texts.label("family", code),
        )  # fmt: skip
        period = st.segmented_control(
            texts("kpis.period"), kpi_queries.PERIODS[::-1], default="month", required=True, key="kpi_period",
            format_func=lambda code: texts(f"kpis.period_{code}"),
        )  # fmt: skip
        grain = st.selectbox(
            texts("kpis.grain"), list(kpi_queries.GRAINS), key="grain", width=210,
            format_func=lambda code: texts(f"grain.{code}"),
        )  # fmt: skip
        found = kpi_queries.members(folder, grain)
        member = ""
        if found:
            member = st.selectbox(
                texts(f"grain.{grain}"), found, key=f"member_{grain}", width=250,
                format_func=partial(member_name, folder, grain, texts),
            )  # fmt: skip
    return str(family), str(period or "month"), str(grain), str(member or "")


def member_name(folder: str, grain: str, texts: Texts, code: str) -> str:
    """What a member of a grain is called; its code where nobody named it."""
    if code == "":
        return texts("kpis.unknown")
    if grain == "branch":
        return kpi_queries.branch_names(folder).get(code, code)
    if grain in {"product", "segment"}:
        return texts.label("product", code) if grain == "product" else texts.label("segment", code)
    if grain == "bucket":
        return bucket_names(folder, texts).get(code, code)
    if grain == "channel":
        labels = queries.channel_labels(folder)
        return dict(zip(labels["channel_code"], labels[f"label_{texts.language}"], strict=True)).get(code, code)
    return code


def bucket_names(folder: str, texts: Texts) -> dict[str, str]:
    """Name of each bucket, and of the states in which a loan leaves the ladder."""
    labels = queries.bucket_labels(folder)
    exits = {code: texts(f"exit.{code}") for code in ("paid_off", "written_off", "missing", "exit")}
    return {**dict(zip(labels["bucket_code"], labels[f"label_{texts.language}"], strict=True)), **exits}


def kind_name(kpi: pd.Series, texts: Texts) -> str:
    """Whether a KPI is the supervisor's, derived, or analytic."""
    return texts.label("kind", str(kpi["kind"]))


def light_name(light: Any, texts: Texts) -> str:
    """The word of a light; a dash where there is none."""
    return texts(f"light.{light}") if isinstance(light, str) else MISSING


def warnings(catalog: pd.DataFrame, texts: Texts) -> None:
    """What a reader of this family must know before using its figures."""
    found = catalog[f"warning_{texts.language}"].dropna()
    for text in dict.fromkeys(found):
        codes = ", ".join(catalog.loc[catalog[f"warning_{texts.language}"] == text, "kpi_code"])
        st.warning(f"{plain(str(text))} ({plain(codes)})")


def meaning(kpi: pd.Series, texts: Texts) -> str:
    """Description, formula and source of a KPI, in the reader's language."""
    language = texts.language
    source = texts("kpis.source", source=plain(str(kpi["source"]))) if pd.notna(kpi["source"]) else ""
    return "  \n".join(
        part
        for part in (
            f"**{plain(str(kpi['kpi_code']))}** · {kind_name(kpi, texts)}",
            plain(str(kpi[f"description_{language}"])),
            f"{texts('kpis.formula')}: {plain(str(kpi[f'formula_{language}']))}",
            source,
        )
        if part
    )


def cards(catalog: pd.DataFrame, figures: pd.DataFrame, texts: Texts, currency: str) -> None:
    """The family's figures that stand on their own, each with light, target, date, kind and trend."""
    shown = figures.merge(catalog, on="kpi_code", suffixes=("", "_catalog"))
    shown = shown[shown["parent_code"].isna() | (shown["parent_code"] == "")]
    with st.container(horizontal=True, gap="small", key="kpi_cards"):
        for _, kpi in shown.iterrows():
            card(kpi, writer_of(kpi, texts, currency), texts)


def card(kpi: pd.Series, write: Callable[[Any], str], texts: Texts) -> None:
    """One KPI: the light is a word and a colour, so that it can be read without seeing colours."""
    light = kpi["light"] if isinstance(kpi["light"], str) else None
    day = texts("kpis.as_of", date=short_date(as_day(kpi["as_of_date"]), texts.language))
    target = pd.to_numeric(kpi["target"], errors="coerce")
    if light is None:
        delta, colour, description = day, "gray", None
    else:
        goal = "" if pd.isna(target) else f" · {texts('kpis.target')} {write(target)}"
        delta, colour, description = f"● {texts(f'light.{light}')}{goal}", _COLOURS[light], day
    trend = [value for value in kpi["trend"] if value is not None]
    badge = f":{_BADGES.get(str(kpi['kind']), 'gray')}-badge[{kind_name(kpi, texts)}]"
    st.metric(
        f"{plain(str(kpi[f'label_{texts.language}']))} {badge}",
        write(kpi["value"]),
        delta,
        delta_color=cast(Any, colour),
        delta_arrow="off",
        delta_description=description,
        help=meaning(kpi, texts),
        border=True,
        height="stretch",
        chart_data=trend if len(trend) > 1 else None,
        chart_type="line",
    )


def figures_table(catalog: pd.DataFrame, figures: pd.DataFrame, texts: Texts, currency: str) -> None:
    """All figures of the family, variants included, with their parts."""
    language = texts.language
    rows = figures.merge(catalog, on="kpi_code", suffixes=("", "_catalog"))
    written = pd.DataFrame(
        [
            {
                "code": kpi["kpi_code"],
                "name": kpi[f"label_{language}"],
                "value": (write := writer_of(kpi, texts, currency))(kpi["value"]),
                "light": light_name(kpi["light"], texts),
                "target": write(pd.to_numeric(kpi["target"], errors="coerce")),
                "numerator": number(kpi["numerator"], language, 2),
                "denominator": number(kpi["denominator"], language, 2),
                "as_of": short_date(as_day(kpi["as_of_date"]), language),
                "kind": kind_name(kpi, texts),
            }
            for _, kpi in rows.iterrows()
        ]
    )
    if written.empty:
        return
    with st.expander(texts("kpis.all", count=number(len(written), language))):
        components.table(written, {}, {column: texts(f"kpi_column.{column}") for column in written})


def off_table(catalog: pd.DataFrame, texts: Texts) -> None:
    """The KPIs without a figure, and why."""
    off = catalog[catalog["status_code"].fillna("no_data") != "on"]
    if off.empty:
        return
    language = texts.language
    rows = pd.DataFrame(
        {
            "code": off["kpi_code"],
            "name": off[f"label_{language}"],
            "state": [texts(f"kpi_state.{code}") for code in off["status_code"].fillna("no_data")],
            "reason": off[f"reason_{language}"].fillna(off[f"off_reason_{language}"]).fillna(MISSING),
        }
    )
    with st.expander(texts("kpis.off", count=number(len(rows), language)), expanded=len(off) == len(catalog)):
        components.table(rows, {}, {column: texts(f"kpi_column.{column}") for column in rows})


def detail(
    folder: str, catalog: pd.DataFrame, figures: pd.DataFrame, chosen: tuple[str, str, str], texts: Texts
) -> None:
    """One KPI: its trend with target and thresholds, its breakdown, or its own matrix, triangle or curve."""
    period, grain, member = chosen
    usable = catalog[(catalog["kpi_code"].isin(figures["kpi_code"])) | catalog["has_details"]]
    if usable.empty:
        return
    st.subheader(texts("kpis.detail"), anchor=False)
    names = dict(zip(usable["kpi_code"], usable[f"label_{texts.language}"], strict=True))
    code = st.selectbox(
        texts("kpis.kpi"), list(names), key="kpi", format_func=lambda one: f"{names[one]} ({one})", width=520
    )
    kpi = usable.set_index("kpi_code", drop=False).loc[code]
    write = writer_of(kpi, texts, currency)
    found = figures[figures["kpi_code"] == code]
    if len(found):
        left, right = st.columns(2, gap="large")
        with left:
            trend_section(kpi, found.iloc[0], period, write, texts)
        with right:
            breakdown_section(folder, kpi, period, write, texts)
    if kpi["has_details"]:
        own_section(folder, kpi, (period, grain, member), write, texts)
    with st.expander(texts("kpis.formula_and_source")):
        st.markdown(meaning(kpi, texts))
        parts = texts("kpis.parts", numerator=plain(str(kpi["numerator"])), denominator=plain(str(kpi["denominator"])))
        additivity = str(kpi["additivity"])
        st.caption(f"{parts} · {texts(f'additivity.{additivity}')}")
    components.export_buttons(
        snapshot, components.both_formats("kpis", f"kpi_code = {components.sql_text(code)}", texts), texts, key="kpi"
    )


def trend_section(kpi: pd.Series, figure: pd.Series, period: str, write: Callable[[Any], str], texts: Texts) -> None:
    """The KPI over the periods that are kept."""
    kept = _TRENDS[period]
    st.markdown(f"**{texts(f'kpis.trend_{period}')}**")
    marks = {name: float(value) for name in ("target", "amber", "red")
             if pd.notna(value := pd.to_numeric(kpi[name], errors="coerce"))}  # fmt: skip
    dates, values = list(figure["dates"])[-kept:], list(figure["trend"])[-kept:]
    components.chart(
        kpi_charts.trend(dates, values, write=write, marks=marks, texts=texts),
        key="kpi_trend",
        description=texts(f"kpis.trend_{period}"),
    )


def breakdown_section(folder: str, kpi: pd.Series, period: str, write: Callable[[Any], str], texts: Texts) -> None:
    """The newest figure by each member of the grain that the reader chose."""
    grains = [grain for grain in str(kpi["grains"]).split("|") if grain in kpi_queries.GRAINS and grain != "total"]
    if not grains:
        return
    by = st.selectbox(
        texts("kpis.by"), grains, key="by", format_func=lambda code: texts(f"grain.{code}"),
        label_visibility="collapsed", width=250,
    )  # fmt: skip
    rows = kpi_queries.breakdown(folder, str(kpi["kpi_code"]), period, by)
    if rows.empty:
        st.caption(texts("kpis.no_breakdown"))
        return
    names = [member_name(folder, by, texts, code) for code in rows["code"]]
    components.chart(
        kpi_charts.bars(
            names, [None if value != value else value for value in rows["value"]], write=write, texts=texts
        ),
        key="kpi_by",
        description=texts(f"grain.{by}"),
    )


def own_section(
    folder: str, kpi: pd.Series, chosen: tuple[str, str, str], write: Callable[[Any], str], texts: Texts
) -> None:
    """A KPI's own breakdown: transitions as a matrix, cohorts as lines, numbers as a curve, anything else as bars."""
    code = str(kpi["kpi_code"])
    dates = kpi_queries.detail_dates(folder, code, *chosen)
    if not dates:
        st.info(texts("kpis.no_details"))
        return
    day = st.selectbox(
        texts("kpis.cut"), dates, key="cut", width=220,
        format_func=lambda one: short_date(as_day(one), texts.language),
    )  # fmt: skip
    cells = kpi_queries.details(folder, code, *chosen, day)
    labels = bucket_names(folder, texts)
    if cells["detail_code"].str.contains(">", regex=False).any():
        ladder = [one for one in labels if one in set(cells["detail_from"])]
        after = [one for one in labels if one in set(cells["detail_to"])]
        figure = kpi_charts.matrix(cells, rows=ladder, columns=after, labels=labels, write=write, texts=texts)
        st.caption(texts("kpis.matrix_caption"))
    elif cells["detail_code"].str.fullmatch(_COHORT).all():
        figure = kpi_charts.vintages(cells, write=write, texts=texts)
    elif pd.to_numeric(cells["detail_code"], errors="coerce").notna().all() and len(cells) > len(labels):
        figure = kpi_charts.curve(cells, write=write, texts=texts)
    else:
        place = {one: at for at, one in enumerate(labels)}
        ladder = cells["detail_code"].isin(place).all()
        cells = cells.assign(place=cells["detail_code"].map(place) if ladder else -cells["value"])
        cells = cells.sort_values(["place", "detail_code"], na_position="last")
        names = [labels.get(one) or texts.label("kpi_detail", one) for one in cells["detail_code"]]
        values = [None if value != value else value for value in cells["value"]]
        figure = kpi_charts.bars(names, values, write=write, texts=texts)
    components.chart(figure, key="kpi_own", description=str(kpi[f"label_{texts.language}"]))


texts = components.chosen_language()
snapshot = components.published()
folder, currency = str(snapshot.folder), components.currency_of(snapshot)

components.title(texts("kpis.title"), texts("kpis.subtitle", date=long_date(snapshot.as_of_date, texts.language)))
if not kpi_queries.families(folder):
    components.empty(texts("empty.no_kpis"), texts("empty.no_kpis_text"))
    st.stop()
family, period, grain, member = scope_filter(folder, texts)
catalog = kpi_queries.catalog(folder, family)
figures = kpi_queries.figures(folder, family, period, grain, member)
warnings(catalog, texts)
if figures.empty and not catalog["has_details"].any():
    components.empty(texts("empty.no_figures"), texts("empty.no_figures_text"))
else:
    cards(catalog, figures, texts, currency)
    figures_table(catalog, figures, texts, currency)
    detail(folder, catalog, figures, (period, grain, member), texts)
off_table(catalog, texts)
