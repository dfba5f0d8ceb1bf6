"""Today's list: whom to contact, through which channel, in which hours, why; and the files to work with.

How much of the list is exploration is shown, which contacts are is not: who works a contact in the knowledge that it
was drawn speaks in another tone, and the measurement is spoilt.
"""

from __future__ import annotations

import re
from functools import partial

import pandas as pd
import streamlit as st

from dashboards import charts, components, queries
from dashboards.components import Figure, plain
from dashboards.explanation import member_why
from dashboards.formats import MISSING, file_size, long_date, money, number, percent
from dashboards.language import Texts
from puntual.snapshot import Snapshot

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
CSV = "text/csv"

ALL = "*"  # a filter that keeps everything; None would show as a value to clear
# Not every contact has one, and what an older release published has none.
HOUR = "suggested_hour_local"
# Kind of filter -> code -> name.
Labels = dict[str, dict[str, str]]


def contact_filter(options: pd.DataFrame, labels: Labels, texts: Texts) -> queries.ContactFilter:
    """Collector, channel, bucket and text that the reader chose; None is no condition."""
    chosen: dict[str, str] = {}
    with st.container(horizontal=True, gap="small", key="filters"):
        for kind, width in (("collector", 270), ("channel", 200), ("bucket", 200)):
            found = list(options.loc[options["kind"] == kind, "code"])
            ranked = [code for code in labels[kind] if code in found]
            chosen[kind] = st.selectbox(
                texts(f"today.{kind}"),
                [ALL, *ranked, *(code for code in found if code not in ranked)],
                key=kind,
                width=width,
                format_func=partial(name_of, labels[kind], texts(f"today.all_{kind}s")),
            )
        search = st.text_input(texts("today.search"), key="search", placeholder=texts("today.search_hint"), width=270)
    collector, channel, bucket = (None if code == ALL else code for code in chosen.values())
    return queries.ContactFilter(collector, channel, bucket, search)


def name_of(names: dict[str, str], everything: str, code: str) -> str:
    """The name of a code, the code where nobody named it, or what choosing none of them is called."""
    return everything if code == ALL else names.get(code, code)


def labels_of(folder: str, options: pd.DataFrame, texts: Texts) -> Labels:
    """Name by code of the collectors, channels and buckets, each in its order."""
    language = f"label_{texts.language}"
    collectors = options[(options["kind"] == "collector") & (options["code"] != queries.NO_COLLECTOR)]
    channels, buckets = queries.channel_labels(folder), queries.bucket_labels(folder)
    return {
        "collector": {
            **dict(zip(collectors["code"], collectors["name"], strict=True)),
            queries.NO_COLLECTOR: texts("today.without_collector"),
        },
        "channel": dict(zip(channels["channel_code"], channels[language], strict=True)),
        "bucket": dict(zip(buckets["bucket_code"], buckets[language], strict=True)),
    }


def key_figures(summary: pd.DataFrame, texts: Texts, currency: str) -> list[Figure]:
    """Contacts, expected extra recovery, arrears on the list and share of exploration."""
    language = texts.language
    contacts, explored = summary["contact_count"].sum(), summary["exploration_count"].sum()
    return [
        Figure(texts("today.contacts"), number(contacts, language), texts("today.contacts_help")),
        Figure(
            texts("today.gain"), money(summary["gain"].sum(min_count=1), language, currency), texts("today.gain_help")
        ),
        Figure(
            texts("today.arrears"),
            money(summary["arrears_amount"].sum(), language, currency),
            texts("today.arrears_help"),
        ),
        Figure(
            texts("today.exploration"),
            percent(explored / contacts, language),
            texts("today.exploration_help", count=number(explored, language)),
        ),
    ]


def download(snapshot: Snapshot, name: str, label: str, mime: str, *, key: str, main: bool = False) -> None:
    """A button that reads the prebuilt file when it is pressed, not before, and does not reload the page."""
    st.download_button(
        label,
        partial(queries.published_bytes, str(snapshot.folder), name),
        file_name=f"{snapshot.as_of_date.isoformat()}_{name.rpartition('/')[2]}",
        mime=mime,
        key=key,
        on_click="ignore",
        type="primary" if main else "secondary",
    )


def downloads(snapshot: Snapshot, contacts: queries.ContactFilter, labels: Labels, texts: Texts) -> None:
    """The prebuilt files that belong to what is filtered, side by side."""
    language, files = texts.language, snapshot.manifest["files"]
    notes = []
    with st.container(horizontal=True, gap="small", key="downloads"):
        if contacts.collector_id:
            name = plain(labels["collector"].get(contacts.collector_id, contacts.collector_id))
            file = queries.collector_file(str(snapshot.folder), contacts.collector_id)
            if file is None or file not in files:
                notes.append(texts("today.download_no_file", name=name))
            else:
                label = texts("today.download_collector", name=name, size=file_size(files[file]["bytes"], language))
                download(snapshot, file, label, XLSX, key="download_collector", main=True)
                notes.append(texts("today.download_back"))
                table = file.removesuffix(".xlsx") + ".csv"
                if table in files:  # what an older release published has none
                    label = texts("today.download_collector_csv", size=file_size(files[table]["bytes"], language))
                    download(snapshot, table, label, CSV, key="download_collector_csv")
        else:
            notes.append(texts("today.download_choose"))
        if contacts.channel_code:
            for number_of, campaign in enumerate(queries.campaign_files(str(snapshot.folder), contacts.channel_code)):
                if campaign in files:
                    name = plain(campaign.removeprefix("campaigns/").removesuffix(".csv"))
                    label = texts(
                        "today.download_campaign", name=name, size=file_size(files[campaign]["bytes"], language)
                    )
                    download(snapshot, campaign, label, CSV, key=f"download_campaign_{number_of}")
        everything = "worklists/all.csv"
        if everything in files:
            label = texts("today.download_all", size=file_size(files[everything]["bytes"], language))
            download(snapshot, everything, label, CSV, key="download_all")
        else:
            notes.append(texts("today.download_all_missing"))
    st.caption(" ".join([*notes, texts("today.downloads_caption")]))


def contact_table(
    folder: str,
    contacts: queries.ContactFilter,
    total: int,
    labels: Labels,
    texts: Texts,
    currency: str,
) -> None:
    """One page of the list, and in full the contact that the reader selects in it."""
    language = texts.language
    pages = -(-total // queries.PAGE_ROWS)
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom", key="paging"):
        order = st.selectbox(
            texts("today.order"), list(queries.ORDERS), key="order", width=230,
            format_func=lambda code: texts(f"order.{code}"),
        )  # fmt: skip
        # The key carries what the pages are of: another filter starts at its first page again.
        page = (
            st.number_input(texts("today.page"), 1, pages, 1, key=f"page {contacts} {order}", width=130)
            if pages > 1
            else 1
        )
        first = queries.PAGE_ROWS * (page - 1) + 1
        last = min(first + queries.PAGE_ROWS - 1, total)
        st.caption(
            texts(
                "today.rows",
                first=number(first, language),
                last=number(last, language),
                total=number(total, language),
            )
            + " · "
            + texts("today.select_hint")
        )
    rows = queries.contact_page(folder, contacts, order, page)
    rows = rows.assign(
        channel_label=[labels["channel"].get(code, code) for code in rows["channel_code"]],
        bucket_label=[labels["bucket"].get(code, code) for code in rows["bucket_code"]],
        product=[texts.label("product", code) for code in rows["product_code"]],
        branch=rows["branch_name"],
        window=[
            window(start, end) for start, end in zip(rows["window_start_local"], rows["window_end_local"], strict=True)
        ],
        reasons=rows["reasons_en"] if language == "en" else rows["reasons"],
        **{HOUR: rows[HOUR].replace("", None) if HOUR in rows else None},
    )
    text, figure = st.column_config.TextColumn, st.column_config.NumberColumn
    columns = {
        "rank": figure(texts("column.rank"), width=52, pinned=True),
        "full_name": text(texts("column.full_name"), width=196),
        "channel_label": text(texts("column.channel_label"), width=132),
        "window": text(texts("column.window"), width=104),
        HOUR: text(texts("column.suggested_hour_local"), width=116),
        "arrears_amount": figure(texts("column.arrears_amount", currency=currency), width=138),
        "past_due_days": figure(texts("column.past_due_days"), width=98),
        "reasons": text(texts("column.reasons"), width=390),
        "expected_gain_amount": figure(texts("column.expected_gain_amount", currency=currency), width=146),
        "default_probability": figure(texts("column.default_probability"), width=78),
        "collector_name": text(texts("column.collector_name"), width=150),
        "contact_value_masked": text(texts("column.contact_value_masked"), width=118),
        "bucket_label": text(texts("column.bucket_label"), width=110),
        "national_id_masked": text(texts("column.national_id_masked"), width=105),
        "customer_id": text(texts("column.customer_id"), width=100),
        "loan_id": text(texts("column.loan_id"), width=100),
        "product": text(texts("column.product"), width=110),
        "branch": text(texts("column.branch"), width=130),
    }
    if rows[HOUR].isna().all():
        del columns[HOUR]
    shown = rows[list(columns)]
    styled = shown.style.format(
        {
            "arrears_amount": lambda value: number(value, language, 2),
            "expected_gain_amount": lambda value: number(value, language, 2),
            "past_due_days": lambda value: number(value, language),
            "default_probability": lambda value: percent(value, language),
        }
    )
    event = st.dataframe(
        styled, hide_index=True, column_config=columns, key=f"contacts {contacts} {order} {page}",
        height=min(38 + 35 * len(rows), 580), on_select="rerun", selection_mode="single-row", placeholder=MISSING,
    )  # fmt: skip
    selected = event.selection.rows
    if selected and selected[0] < len(rows):
        contact_detail(rows.iloc[selected[0]], texts, currency)
        with st.expander(texts("today.why"), expanded=True):
            member_why(snapshot, str(rows["customer_id"].iloc[selected[0]]), texts)


def contact_detail(contact: pd.Series, texts: Texts, currency: str) -> None:
    """Everything about one contact, with each reason on its own line."""
    language = texts.language
    with st.container(border=True):
        st.subheader(plain(str(contact["full_name"])), anchor=False)
        facts = [
            contact["channel_label"],
            *([contact["contact_value_masked"]] if pd.notna(contact["contact_value_masked"]) else []),
            contact["window"],
            *([f"{texts('column.suggested_hour_local')}: {contact[HOUR]}"] if pd.notna(contact[HOUR]) else []),
            money(contact["arrears_amount"], language, currency, 2),
            f"{number(contact['past_due_days'], language)} {texts('unit.days')}",
        ]
        st.markdown(" · ".join(plain(str(fact)) for fact in facts))
        st.markdown(f"**{texts('today.detail_reasons')}**")
        reasons = re.split(r"(?<=\.)\s+", str(contact["reasons"]).strip())
        st.markdown("\n".join(f"- {plain(reason)}" for reason in reasons))


def channel_section(summary: pd.DataFrame, texts: Texts, currency: str) -> None:
    """How the contacts spread over the channels, and what each channel is expected to bring."""
    language = texts.language
    st.subheader(texts("today.by_channel"), anchor=False)
    left, right = st.columns(2, gap="large", vertical_alignment="center")
    with left:
        components.chart(
            charts.contacts_by_channel(summary, texts=texts, currency=currency),
            key="by_channel",
            description=texts("today.by_channel"),
        )
    with right:
        components.table(
            summary,
            {
                "contact_count": lambda value: number(value, language),
                "gain": lambda value: number(value, language, 2),
                "arrears_amount": lambda value: number(value, language, 2),
            },
            {
                f"label_{language}": texts("column.channel_label"),
                "contact_count": texts("column.contact_count"),
                "gain": texts("column.gain", currency=currency),
                "arrears_amount": texts("column.arrears_amount", currency=currency),
            },
        )


def window(start: object, end: object) -> str:
    """The hours in which the contact may be made, local time."""
    return MISSING if pd.isna(start) or pd.isna(end) else f"{start} – {end}"


texts = components.chosen_language()
snapshot = components.published()
folder, currency = str(snapshot.folder), components.currency_of(snapshot)
as_of_text = long_date(snapshot.as_of_date, texts.language)

components.title(texts("today.title"), texts("today.subtitle", date=as_of_text))
channel_model = snapshot.manifest["channel_model"]
if channel_model["status"] != "on":
    st.info(texts("today.channel_off", reason=components.why_off(channel_model, texts.language)))
components.duty_alarms(snapshot, texts)
components.plan_warnings(snapshot, texts)
options = queries.contact_options(folder)
if options.empty:
    components.empty(texts("empty.no_contacts"), texts("empty.no_contacts_text", date=as_of_text))
    st.stop()

labels = labels_of(folder, options, texts)
contacts = contact_filter(options, labels, texts)
summary = queries.contact_summary(folder, contacts)
if summary.empty:
    components.empty(texts("empty.filters"), texts("empty.filters_text"))
    st.stop()

components.figures(key_figures(summary, texts, currency))
downloads(snapshot, contacts, labels, texts)
contact_table(folder, contacts, int(summary["contact_count"].sum()), labels, texts, currency)
channel_section(summary, texts, currency)
