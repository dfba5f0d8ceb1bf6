"""Portfolio: how much is at risk, in which bucket it stands, and where the arrears come from."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from dashboards import charts, components, queries
from dashboards.components import Figure, as_day
from dashboards.formats import long_date, money, number, percent, short_date, signed
from dashboards.language import Texts

MEASURES = ("arrears_amount", "outstanding_principal_amount", "loan_count")


def scope_filter(folder: str, texts: Texts) -> queries.Scope:
    """Branches and products that the reader chose."""
    options = queries.scope_options(folder)
    branches = options[options["kind"] == "branch"].set_index("code")["name"]
    products = options[options["kind"] == "product"].set_index("code")["name"]
    with st.container(horizontal=True, gap="small", key="filters"):
        chosen_branches = st.multiselect(
            texts("app.branch"), list(branches.index), key="branches", width=340,
            format_func=lambda code: branches[code] or texts("app.no_branch"), placeholder=texts("app.all_branches"),
        )  # fmt: skip
        chosen_products = st.multiselect(
            texts("app.product"), list(products.index), key="products", width=340,
            format_func=lambda code: texts.label("product", code), placeholder=texts("app.all_products"),
        )  # fmt: skip
    return queries.Scope(tuple(chosen_branches), tuple(chosen_products))


def key_figures(by_date: pd.DataFrame, members: pd.DataFrame, texts: Texts, currency: str) -> list[Figure]:
    """PAR30, past due amount, members in arrears and gross portfolio, with their change since the previous date."""
    language = texts.language
    now, counts = by_date.iloc[-1], members.iloc[-1]
    before: Any = by_date.iloc[-2] if len(by_date) > 1 else None
    has_before = before is not None and len(members) > 1
    versus = texts("portfolio.versus", date=short_date(as_day(before["as_of_date"]), language)) if has_before else None

    def change(column: str) -> str | None:
        return signed(now[column] - before[column], language) if has_before else None

    members_change = counts["member_in_arrears_count"] - members.iloc[0]["member_in_arrears_count"]
    points = signed((now["par30_rate"] - before["par30_rate"]) * 100, language, 2) if has_before else None
    return [
        Figure(
            texts("kpi.par30"),
            percent(now["par30_rate"], language, 2),
            texts(
                "kpi.par30_help",
                numerator=money(now["par30_amount"], language, currency),
                denominator=money(now["outstanding_principal_amount"], language, currency),
            ),
            f"{points} {texts('kpi.points')}" if points else None,
            versus,
        ),
        Figure(
            texts("kpi.past_due"),
            money(now["arrears_amount"], language, currency),
            texts("kpi.past_due_help"),
            change("arrears_amount"),
            versus,
        ),
        Figure(
            texts("kpi.members"),
            number(counts["member_in_arrears_count"], language),
            texts("kpi.members_help", total=number(counts["member_count"], language)),
            signed(members_change, language) if has_before else None,
            versus,
        ),
        Figure(
            texts("kpi.gross"),
            money(now["outstanding_principal_amount"], language, currency),
            texts("kpi.gross_help"),
            change("outstanding_principal_amount"),
            versus,
            more_is="neutral",
        ),
    ]


def bucket_section(folder: str, scope: queries.Scope, texts: Texts, currency: str) -> None:
    """Arrears by bucket, in the measure that the reader chose."""
    language = texts.language
    st.subheader(texts("portfolio.buckets"), anchor=False)
    measure = st.segmented_control(
        texts("portfolio.measure"), MEASURES, default=MEASURES[0], required=True, key="measure",
        format_func=lambda code: texts(f"measure.{code}"), label_visibility="collapsed",
    )  # fmt: skip
    buckets = queries.arrears_by_bucket(folder, scope, snapshot.as_of_date)
    components.chart(
        charts.arrears_by_bucket(buckets, measure=measure or MEASURES[0], texts=texts, currency=currency),
        key="buckets",
        description=texts("portfolio.buckets"),
    )
    current = buckets[buckets["bucket_rank"] == 0]
    st.caption(
        texts(
            "portfolio.buckets_caption",
            loans=number(current["loan_count"].sum(), language),
            amount=money(current["outstanding_principal_amount"].sum(), language, currency),
        )
    )
    total = buckets["arrears_amount"].sum()
    components.data_behind(
        buckets.assign(share=buckets["arrears_amount"] / total if total else None),
        texts,
        {
            "loan_count": lambda value: number(value, language),
            "outstanding_principal_amount": lambda value: number(value, language, 2),
            "arrears_amount": lambda value: number(value, language, 2),
            "share": lambda value: percent(value, language),
        },
        {
            f"label_{language}": texts("column.bucket_label"),
            "loan_count": texts("column.loan_count"),
            "outstanding_principal_amount": texts("column.outstanding_principal_amount", currency=currency),
            "arrears_amount": texts("column.arrears_amount", currency=currency),
            "share": texts("column.share"),
        },
    )


def movement_section(folder: str, scope: queries.Scope, texts: Texts, currency: str) -> None:
    """The bridge from opening to closing arrears of the period that the reader chose."""
    language = texts.language
    st.subheader(texts("portfolio.movement"), anchor=False)
    periods = [(as_day(row.from_date), as_day(row.as_of_date)) for row in queries.movement_periods(folder).itertuples()]
    if not periods:
        st.info(texts("empty.no_movement"))
        return
    period = st.selectbox(
        texts("portfolio.period"), periods, key="period", label_visibility="collapsed", width=300,
        format_func=lambda ends: texts(
            "portfolio.period_item", start=short_date(ends[0], language), end=short_date(ends[1], language)
        ),
    )  # fmt: skip
    movement = queries.arrears_movement(folder, scope, *period)
    if movement.empty:
        components.empty(texts("empty.filters"), texts("empty.filters_text"))
        return
    gap = movement["amount"].iloc[-1] - movement["amount"].iloc[:-1].sum()
    if abs(gap) >= 0.005:
        st.error(texts("portfolio.movement_gap", amount=money(gap, language, currency, 2)))
    components.chart(
        charts.arrears_bridge(movement, texts=texts, currency=currency),
        key="movement",
        description=texts("portfolio.movement"),
    )
    st.caption(texts("portfolio.movement_caption"))
    components.data_behind(
        movement.assign(name=[texts(f"movement.{step}") for step in movement["step"]]),
        texts,
        {"amount": lambda value: number(value, language, 2)},
        {"name": texts("column.step"), "amount": texts("column.amount", currency=currency)},
    )


def trend_section(by_date: pd.DataFrame, texts: Texts, currency: str) -> None:
    """Portfolio at risk and past due amount by month end."""
    language = texts.language
    st.subheader(texts("portfolio.trend"), anchor=False)
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown(f"**{texts('portfolio.rates')}**")
        components.chart(
            charts.risk_trend(by_date, texts=texts), key="risk_trend", description=texts("portfolio.rates")
        )
    with right:
        st.markdown(f"**{texts('portfolio.amounts')}**")
        components.chart(
            charts.amount_trend(by_date, texts=texts, currency=currency),
            key="amount_trend",
            description=texts("portfolio.amounts"),
        )
    st.caption(texts("portfolio.trend_caption"))
    components.data_behind(
        by_date.iloc[::-1],
        texts,
        {
            "as_of_date": lambda value: short_date(as_day(value), language),
            "par30_rate": lambda value: percent(value, language, 2),
            "par90_rate": lambda value: percent(value, language, 2),
            "arrears_amount": lambda value: number(value, language, 2),
            "outstanding_principal_amount": lambda value: number(value, language, 2),
            "loan_count": lambda value: number(value, language),
        },
        {
            "as_of_date": texts("column.as_of_date"),
            "par30_rate": texts("column.par30_rate"),
            "par90_rate": texts("column.par90_rate"),
            "arrears_amount": texts("column.arrears_amount", currency=currency),
            "outstanding_principal_amount": texts("column.outstanding_principal_amount", currency=currency),
            "loan_count": texts("column.loan_count"),
        },
    )


texts = components.chosen_language()
snapshot = components.published()
folder, currency = str(snapshot.folder), components.currency_of(snapshot)
as_of_text = long_date(snapshot.as_of_date, texts.language)

components.title(texts("portfolio.title"), texts("portfolio.subtitle", date=as_of_text))
scope = scope_filter(folder, texts)
by_date = queries.portfolio_by_date(folder, scope)
is_whole = scope == queries.Scope()
if by_date.empty or as_day(by_date["as_of_date"].iloc[-1]) != snapshot.as_of_date:
    if is_whole:
        components.empty(texts("empty.no_portfolio"), texts("empty.no_portfolio_text", date=as_of_text))
    else:
        components.empty(texts("empty.filters"), texts("empty.filters_text"))
    st.stop()

members = queries.members_by_date(folder, scope, tuple(as_day(day) for day in by_date["as_of_date"].iloc[-2:]))
components.figures(key_figures(by_date, members, texts, currency))
left, right = st.columns(2, gap="large")
with left:
    bucket_section(folder, scope, texts, currency)
with right:
    movement_section(folder, scope, texts, currency)
trend_section(by_date, texts, currency)
