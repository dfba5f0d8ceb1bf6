"""Audit: what moved the arrears, whether we agree with the core, what became of promises, lists and payments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import streamlit as st

from dashboards import audit_queries, charts, components, kpi_charts, queries
from dashboards.components import Figure, as_day, plain
from dashboards.formats import MISSING, long_date, money, number, percent, short_date
from dashboards.language import Texts


def day_text(value: Any, texts: Texts) -> str:
    """A day, or that there is none."""
    return MISSING if pd.isna(value) else short_date(as_day(value), texts.language)


def show(frame: pd.DataFrame, columns: list[str], texts: Texts) -> None:
    """Columns of a report, each written by what its name says it is, under the reader's names for them."""
    language = texts.language

    def write(column: str) -> Callable[[Any], str] | None:
        if column.endswith(("_amount", "amount_gap")) or column == "amount":
            return lambda value: number(value, language, 2)
        if column.endswith("_date"):
            return lambda value: day_text(value, texts)
        if column.endswith(("_count", "_days", "count_gap")) or column in _COUNTS:
            return lambda value: number(value, language)
        return None

    shown = frame.copy()
    for column in shown.columns:
        if shown[column].dtype == object or isinstance(shown[column].dtype, pd.StringDtype):
            shown[column] = shown[column].where(shown[column].notna(), MISSING)
    formats = {column: writer for column in columns if (writer := write(column)) is not None}
    components.table(shown, formats, {column: texts(f"audit_column.{column}") for column in columns})


_COUNTS = {"days_to_follow_up", "same_day", "later", "other_channel", "not_worked", "pending"}


def movement_section(texts: Texts) -> None:
    """The waterfall of a period, and every branch and product with its check line."""
    language = texts.language
    periods = [(as_day(row.from_date), as_day(row.as_of_date)) for row in queries.movement_periods(folder).itertuples()]
    if not periods:
        st.info(texts("empty.no_movement"))
        return
    period = st.selectbox(
        texts("portfolio.period"), periods, key="period", width=300,
        format_func=lambda ends: texts(
            "portfolio.period_item", start=short_date(ends[0], language), end=short_date(ends[1], language)
        ),
    )  # fmt: skip
    movement = queries.arrears_movement(folder, queries.Scope(), *period)
    lines = audit_queries.movement_lines(folder, *period)
    left, right = st.columns(2, gap="large")
    with left:
        components.chart(
            charts.arrears_bridge(movement, texts=texts, currency=currency), key="audit_bridge",
            description=texts("audit.movement"),
        )  # fmt: skip
    with right:
        off = lines[(lines["amount_gap"].abs() >= 0.005) | (lines["count_gap"] != 0)]
        if off.empty:
            st.success(texts("audit.movement_adds_up", count=number(len(lines), language)))
        else:
            gap = money(off["amount_gap"].abs().max(), language, currency, 2)
            st.error(texts("audit.movement_gap", count=number(len(off), language), amount=gap))
        st.caption(texts("audit.movement_caption"))
    lines = lines.assign(product=[texts.label("product", code) for code in lines["product_code"].fillna("")])
    steps = ("opening", *queries.MOVEMENT_STEPS, "closing")
    show(lines, ["branch", "product", *(f"{step}_amount" for step in steps), "amount_gap", "opening_count", "new_count",
                 "cured_count", "written_off_count", "closed_count", "closing_count", "count_gap"], texts)  # fmt: skip
    components.export_buttons(snapshot, components.both_formats("movement", None, texts), texts, key="movement")


def reconciliation_section(texts: Texts) -> None:
    """The verdict, the causes of differences, the totals to the cent and the loans that are furthest off."""
    language = texts.language
    verdict = audit_queries.reconciliation(folder)
    status = str(verdict["status_code"])
    if status == "not_delivered":
        components.empty(texts("audit.not_delivered"), texts("audit.not_delivered_text"))
        return
    compared = verdict["compared_count"]
    components.figures(
        [
            Figure(
                texts("audit.verdict"),
                texts(f"verdict.{status}"),
                texts("audit.verdict_help", date=day_text(verdict["balance_date"], texts)),
            ),
            Figure(texts("audit.compared"), number(compared, language), texts("audit.compared_help")),
            Figure(
                texts("audit.reconciled"), number(verdict["reconciled_count"], language), texts("audit.reconciled_help")
            ),
            Figure(
                texts("audit.unexplained"),
                percent(verdict["unexplained_share"], language, 2),
                texts("audit.unexplained_help", allowed=percent(verdict["allowed_share"], language, 2)),
            ),
        ]
    )
    causes = audit_queries.reconciliation_causes(folder)
    if len(causes):
        st.subheader(texts("audit.causes"), anchor=False)
        names = causes[f"label_{language}"].fillna(causes["cause_code"])
        left, right = st.columns(2, gap="large")
        with left:
            figure = kpi_charts.bars(
                list(names), list(causes["loan_count"]), write=lambda value: number(value, language), texts=texts
            )
            components.chart(figure, key="causes", description=texts("audit.causes"))
        with right:
            show(
                causes.assign(cause=names, advice=causes[f"advice_{language}"]),
                [
                    "cause",
                    "loan_count",
                    "arrears_difference_amount",
                    "outstanding_principal_difference_amount",
                    "advice",
                ],
                texts,
            )
    else:
        st.success(texts("audit.all_agree"))
    st.subheader(texts("audit.totals"), anchor=False)
    totals = audit_queries.reconciliation_totals(folder)
    everything = texts("audit.everything")
    totals = totals.assign(
        branch=totals["branch"].replace("*", everything),
        product=[
            everything if code == "*" else texts.label("product", code) for code in totals["product_code"].fillna("")
        ],
        source=[texts(f"total_source.{code}") for code in totals["source_code"]],
        status=[texts(f"total_status.{code}") for code in totals["status_code"]],
    )
    show(totals, ["source", "branch", "product", "status", "outstanding_principal_amount",
                  "core_outstanding_principal_amount", "outstanding_principal_difference_amount", "arrears_amount",
                  "core_arrears_amount", "arrears_difference_amount"], texts)  # fmt: skip
    worst = audit_queries.worst_loans(folder)
    if len(worst):
        st.subheader(texts("audit.worst"), anchor=False)
        show(worst.assign(cause=worst[f"label_{language}"]),
             ["loan_id", "cause", "arrears_amount", "core_arrears_amount", "arrears_difference_amount",
              "outstanding_principal_difference_amount", "past_due_days", "core_past_due_days", "evidence"],
             texts)  # fmt: skip
    components.export_buttons(
        snapshot, components.both_formats("reconciliation", "not is_reconciled", texts), texts, key="reconciliation"
    )


def promise_section(texts: Texts) -> None:
    """Promises by state, and the life of the newest of one state."""
    states = audit_queries.promise_states(folder)
    if states.empty:
        st.info(texts("audit.no_promises"))
        return
    names = {code: texts(f"promise.{code}") for code in states["promise_status_code"]}
    show(states.assign(state=[names[code] for code in states["promise_status_code"]]),
         ["state", "promise_count", "promised_amount", "paid_amount", "unfollowed_count"], texts)  # fmt: skip
    status = st.segmented_control(
        texts("audit.state"), list(names), default=next(iter(names)), required=True, key="promise_state",
        format_func=names.__getitem__, label_visibility="collapsed",
    )  # fmt: skip
    rows = audit_queries.promises(folder, str(status))
    show(rows, ["promise_id", "customer_id", "loan_id", "collector_id", "made_date", "due_date", "grace_end_date",
                "promised_amount", "paid_amount", "kept_date", "broken_date", "follow_up_date", "days_to_follow_up"],
         texts)  # fmt: skip
    first_rows(len(rows), texts)
    where = f"promise_status_code = {components.sql_text(str(status))}"
    components.export_buttons(snapshot, components.both_formats("promise_lives", where, texts), texts, key="promises")


def completion_section(texts: Texts) -> None:
    """What became of a day's lists, by who had them."""
    dates = audit_queries.list_dates(folder)
    if not dates:
        st.info(texts("audit.no_lists"))
        return
    day = date_choice(dates, "list_date", texts)
    rows = audit_queries.completion(folder, day)
    labels = queries.channel_labels(folder)
    names = dict(zip(labels["channel_code"], labels[f"label_{texts.language}"], strict=True))
    show(rows.assign(worker=[names.get(code, code) for code in rows["worker"]]),
         ["worker", "contact_count", "same_day", "later", "other_channel", "not_worked", "pending", "right_party_count",
          "paid_amount"], texts)  # fmt: skip
    st.caption(texts("audit.completion_caption"))
    where = f"as_of_date = date '{as_day(day).isoformat()}'"
    components.export_buttons(snapshot, components.both_formats("completion", where, texts), texts, key="completion")


def blocked_section(texts: Texts) -> None:
    """Members that each rule kept from each channel."""
    dates = audit_queries.blocked_dates(folder)
    if not dates:
        st.info(texts("audit.no_blocked"))
        return
    day = date_choice(dates, "blocked_date", texts)
    rows = audit_queries.blocked(folder, day)
    labels = queries.channel_labels(folder)
    names = dict(zip(labels["channel_code"], labels[f"label_{texts.language}"], strict=True))
    rows = rows.assign(channel=[names.get(code, code) for code in rows["channel_code"]])
    show(rows, ["rule_id", "channel", "considered_count", "blocked_count", "blocked_alone_count",
                "blocked_for_good_count"], texts)  # fmt: skip
    st.caption(texts("audit.blocked_caption"))
    where = f"as_of_date = date '{as_day(day).isoformat()}'"
    components.export_buttons(snapshot, components.both_formats("blocked", where, texts), texts, key="blocked")


def unmatched_section(texts: Texts) -> None:
    """Money that no instalment took, by age, and the payments themselves."""
    ages = audit_queries.unmatched_ages(folder)
    if ages.empty:
        st.success(texts("audit.all_matched"))
        return
    show(ages.assign(age=[texts.label("age", code) for code in ages["age_code"]]),
         ["age", "payment_count", "unmatched_amount"], texts)  # fmt: skip
    rows = audit_queries.unmatched(folder)
    show(rows.assign(reason=[texts.label("unmatched", code) for code in rows["reason_code"]]),
         ["payment_id", "loan_id", "customer_id", "paid_date", "age_days", "payment_amount", "unmatched_amount",
          "reason"], texts)  # fmt: skip
    first_rows(len(rows), texts)
    components.export_buttons(
        snapshot, components.both_formats("unmatched_payments", None, texts), texts, key="unmatched"
    )


def timeline_section(texts: Texts) -> None:
    """Everything that happened with one person, newest first."""
    language = texts.language
    person = st.text_input(
        texts("audit.person"), key="person", placeholder=texts("audit.person_hint"), width=320
    ).strip()
    if not person:
        st.caption(texts("audit.person_text"))
        return
    rows = audit_queries.timeline(folder, person)
    if rows.empty:
        components.empty(texts("audit.nobody", person=plain(person)), texts("audit.nobody_text"))
        return
    labels = queries.channel_labels(folder)
    names = dict(zip(labels["channel_code"], labels[f"label_{language}"], strict=True))
    rows = rows.assign(
        event=[texts(f"event.{kind}") for kind in rows["kind"]],
        channel=[names.get(code, code) for code in rows["channel_code"]],
        outcome=rows[f"outcome_{language}"],
    )
    st.caption(texts("audit.events", count=number(len(rows), language)))
    show(rows, ["happened_date", "event", "channel", "outcome", "amount", "loan_id", "collector_id"], texts)
    where = f"customer_id = {components.sql_text(person)}"
    components.export_buttons(snapshot, components.both_formats("contacts", where, texts), texts, key="contacts")


def date_choice(dates: list[Any], key: str, texts: Texts) -> Any:
    """A date out of those that are kept."""
    return st.selectbox(texts("audit.date"), dates, key=key, width=220, format_func=lambda one: day_text(one, texts))


def first_rows(count: int, texts: Texts) -> None:
    """Say that a table is cut."""
    if count == audit_queries.MOST_ROWS:
        st.caption(texts("audit.first_rows", count=number(count, texts.language)))


SECTIONS: dict[str, Callable[[Texts], None]] = {
    "movement": movement_section,
    "reconciliation": reconciliation_section,
    "promises": promise_section,
    "completion": completion_section,
    "blocked": blocked_section,
    "unmatched": unmatched_section,
    "timeline": timeline_section,
}

texts = components.chosen_language()
snapshot = components.published()
folder, currency = str(snapshot.folder), components.currency_of(snapshot)

components.title(texts("audit.title"), texts("audit.subtitle", date=long_date(snapshot.as_of_date, texts.language)))
section = st.segmented_control(
    texts("audit.section"), list(SECTIONS), default="movement", required=True, key="section",
    format_func=lambda code: texts(f"section.{code}"), label_visibility="collapsed",
)  # fmt: skip
SECTIONS[str(section or "movement")](texts)
