"""Campaigns: what each sends and holds back today and why, how its texts look, and how members change segment."""

from __future__ import annotations

from functools import partial

import pandas as pd
import streamlit as st

from dashboards import campaign_queries, components, kpi_charts, queries
from dashboards.components import Figure, plain
from dashboards.formats import file_size, long_date, money, number, percent, short_date
from dashboards.language import Texts
from puntual.snapshot import Snapshot

ALL = "*"


def key_figures(campaigns: pd.DataFrame, texts: Texts, currency: str) -> list[Figure]:
    """Members selected, sent and held back, and what the messages cost."""
    language = texts.language
    selected, sent, held = (int(campaigns[f"{name}_count"].sum()) for name in ("selected", "sent", "suppressed"))
    return [
        Figure(texts("campaigns.selected"), number(selected, language), texts("campaigns.selected_help")),
        Figure(texts("campaigns.sent"), number(sent, language), texts("campaigns.sent_help")),
        Figure(texts("campaigns.suppressed"), number(held, language), texts("campaigns.suppressed_help")),
        Figure(
            texts("campaigns.cost"),
            money(campaigns["cost_amount"].sum(), language, currency, 2),
            texts("campaigns.cost_help"),
        ),
    ]


def campaign_table(campaigns: pd.DataFrame, channels: dict[str, str], texts: Texts, currency: str) -> None:
    """The campaigns of the day by priority."""
    language = texts.language

    def count(value: object) -> str:
        return number(value, language)

    components.table(
        campaigns.assign(
            campaign=campaigns[f"name_{language}"],
            channel=[channels.get(code, code) for code in campaigns["channel_code"]],
            window=campaigns["hours"].fillna(texts("campaigns.rules_hours")),
        ),
        {
            "selected_count": count,
            "sent_count": count,
            "suppressed_count": count,
            "cost_amount": lambda value: number(value, language, 2),
        },
        {
            "campaign": texts("campaigns.campaign"),
            "channel": texts("column.channel_label"),
            "selected_count": texts("campaigns.selected"),
            "sent_count": texts("campaigns.sent"),
            "suppressed_count": texts("campaigns.suppressed"),
            "window": texts("campaigns.hours"),
            "cost_amount": texts("campaigns.cost_in", currency=currency),
        },
    )
    st.caption(texts("campaigns.identity"))


def choose_campaign(campaigns: pd.DataFrame, texts: Texts) -> str | None:
    """The campaign that the reader looks at; None is all of them."""
    names = dict(zip(campaigns["campaign_id"], campaigns[f"name_{texts.language}"], strict=True))
    everything = texts("campaigns.all")
    with st.container(horizontal=True, key="filters"):
        chosen = st.selectbox(
            texts("campaigns.campaign"),
            [ALL, *names],
            key="campaign",
            width=360,
            format_func=lambda code: everything if code == ALL else names[code],
        )
    return None if chosen == ALL else chosen


def why_not(folder: str, snapshot: Snapshot, campaign: str | None, channels: dict[str, str], texts: Texts) -> None:
    """Members held back, by rule."""
    language = texts.language
    st.subheader(texts("campaigns.why"), anchor=False)
    rules = campaign_queries.suppressions(folder, snapshot.as_of_date, campaign)
    if rules.empty:
        st.caption(texts("campaigns.nobody"))
        return
    components.table(
        rules.assign(rule=[rule_text(code, channels, texts) for code in rules["rule_id"]]),
        {
            "suppressed_count": lambda value: number(value, language),
            "touched_count": lambda value: number(value, language),
        },
        {
            "rule": texts("column.rule"),
            "suppressed_count": texts("campaigns.suppressed"),
            "touched_count": texts("campaigns.touched"),
            "rule_source": texts("campaigns.source"),
        },
    )
    st.caption(texts("campaigns.why_caption"))


def rule_text(code: str, channels: dict[str, str], texts: Texts) -> str:
    """A reason in words where it is one of ours, with the channel that was chosen; a contact rule by its id."""
    reason, _, detail = code.partition(":")
    said = texts.label("campaign_reason", reason.replace("/", "_"))
    if said == reason.replace("/", "_"):
        return code
    return f"{said}: {channels.get(detail, detail)}" if detail else said


def downloads(snapshot: Snapshot, campaign: str | None, texts: Texts) -> None:
    """The files of the chosen campaign."""
    files = snapshot.manifest["files"]
    entry = snapshot.manifest.get("campaigns", {}).get(campaign)
    if entry is None:
        return
    with st.container(horizontal=True, gap="small", key="downloads"):
        for kind in ("sent", "suppressed"):
            name = entry[kind]
            if name in files:
                st.download_button(
                    texts(f"campaigns.download_{kind}", size=file_size(files[name]["bytes"], texts.language)),
                    partial(queries.published_bytes, str(snapshot.folder), name),
                    file_name=f"{snapshot.as_of_date.isoformat()}_{name.rpartition('/')[2]}",
                    mime="text/csv",
                    key=f"download_{kind}",
                    on_click="ignore",
                )


def preview(folder: str, campaign: str | None, campaigns: pd.DataFrame, texts: Texts) -> None:
    """How the texts of a campaign look, by step, with a masked member's figures or made-up ones."""
    st.subheader(texts("campaigns.preview"), anchor=False)
    shown = campaign or campaigns["campaign_id"].iloc[0]
    name = campaigns.loc[campaigns["campaign_id"] == shown, f"name_{texts.language}"].iloc[0]
    there = campaign_queries.previews(folder)
    mine = there[there["campaign_id"] == shown]
    spoken = mine[mine["language_code"] == texts.language]
    mine = mine if spoken.empty else spoken
    st.caption(texts("campaigns.preview_of", campaign=plain(str(name))))
    columns = st.columns(max(len(mine), 1), gap="medium")
    for column, row in zip(columns, mine.to_dict("records"), strict=False):
        with column, st.container(border=True, height="stretch"):
            step = texts.label("campaign_step", row["step_code"])
            st.markdown(f"**{plain(step)}**")
            if row["subject"]:
                st.caption(plain(str(row["subject"])))
            st.markdown(plain(str(row["message"])).replace("\n", "  \n"))
            facts = [f"{row['template_id']} v{row['template_version']}"]
            if row["encoding"]:
                facts.append(
                    texts(
                        "campaigns.size",
                        units=number(row["units"], texts.language),
                        encoding={"gsm7": "GSM-7", "ucs2": "UCS-2"}[row["encoding"]],
                        segments=number(row["segments"], texts.language),
                    )
                )
            if row["approved_name"]:
                facts.append(f"{row['category']} · {row['approved_name']}")
            facts.append(texts("campaigns.made_up") if row["is_example"] else texts("campaigns.masked"))
            st.caption(" · ".join(plain(fact) for fact in facts))


def segment_section(folder: str, snapshot: Snapshot, texts: Texts, currency: str) -> None:
    """Sizes of the segments, and where their members came from."""
    language = texts.language
    st.subheader(texts("campaigns.segments"), anchor=False)
    sizes = campaign_queries.segments(folder, snapshot.as_of_date)
    components.table(
        sizes.assign(segment=sizes[f"name_{language}"]),
        {
            "member_count": lambda value: number(value, language),
            "arrears_amount": lambda value: number(value, language, 2),
        },
        {
            "segment": texts("campaigns.segment"),
            "member_count": texts("campaigns.members"),
            "arrears_amount": texts("column.arrears_amount", currency=currency),
            "set_id": texts("campaigns.set"),
        },
    )
    st.subheader(texts("campaigns.migration"), anchor=False)
    comparison = st.segmented_control(
        texts("campaigns.comparison"),
        ["day", "month"],
        default="day",
        required=True,
        key="comparison",
        format_func=lambda code: texts(f"campaigns.comparison_{code}"),
    )
    moves = campaign_queries.migration(folder, snapshot.as_of_date, str(comparison))
    if moves.empty:
        st.caption(texts("campaigns.no_earlier"))
        return
    migration(moves, sizes, texts)


def migration(moves: pd.DataFrame, sizes: pd.DataFrame, texts: Texts) -> None:
    """Members by the segment of the earlier day (rows) and of this one (columns), and how many stayed."""
    language = texts.language
    moves = moves[moves["set_id"] == moves["set_id"].iloc[0]]
    names = dict(zip(sizes["segment_code"], sizes[f"name_{language}"], strict=True))
    names["outside"] = texts("campaigns.outside")
    inside = moves[(moves["from_segment_code"] != "outside") & (moves["to_segment_code"] != "outside")]
    stayed = inside.loc[inside["from_segment_code"] == inside["to_segment_code"], "member_count"].sum()
    both = inside["member_count"].sum()
    st.caption(
        texts(
            "campaigns.stability",
            date=short_date(components.as_day(moves["from_date"].iloc[0]), language),
            share=percent(stayed / both if both else None, language),
            stayed=number(stayed, language),
            both=number(both, language),
            entered=number(moves.loc[moves["from_segment_code"] == "outside", "member_count"].sum(), language),
            left=number(moves.loc[moves["to_segment_code"] == "outside", "member_count"].sum(), language),
        )
    )
    if not moves["is_same_definition"].all():
        st.warning(texts("campaigns.other_definition"))
    order = [code for code in names if code in {*moves["from_segment_code"], *moves["to_segment_code"]}]
    of_before = moves.groupby("from_segment_code")["member_count"].transform("sum")
    cells = moves.assign(
        detail_from=moves["from_segment_code"],
        detail_to=moves["to_segment_code"],
        value=(moves["member_count"] / of_before).where(moves["from_segment_code"] != "outside"),
    )
    figure = kpi_charts.matrix(
        cells[cells["value"].notna()],
        rows=[code for code in order if code != "outside"],
        columns=order,
        labels=names,
        write=lambda value: percent(value, language, 0),
        texts=texts,
    )
    components.chart(figure, key="migration", description=texts("campaigns.migration"))
    flat = moves.assign(
        before=[names.get(code, code) for code in moves["from_segment_code"]],
        now=[names.get(code, code) for code in moves["to_segment_code"]],
    )
    components.data_behind(
        flat,
        texts,
        {
            "member_count": lambda value: number(value, language),
            "from_arrears_amount": lambda value: number(value, language, 2),
            "to_arrears_amount": lambda value: number(value, language, 2),
        },
        {
            "before": texts("campaigns.before"),
            "now": texts("campaigns.now"),
            "member_count": texts("campaigns.members"),
            "from_arrears_amount": texts("campaigns.arrears_before"),
            "to_arrears_amount": texts("campaigns.arrears_now"),
        },
    )


texts = components.chosen_language()
snapshot = components.published()
folder, currency = str(snapshot.folder), components.currency_of(snapshot)

as_of_text = long_date(snapshot.as_of_date, texts.language)
components.title(texts("campaigns.title"), texts("campaigns.subtitle", date=as_of_text))
if not campaign_queries.is_published(folder):
    components.empty(texts("campaigns.none"), texts("campaigns.none_text", date=as_of_text))
    st.stop()
for alarm in snapshot.manifest.get("segment_alarms", []):
    st.warning(plain(str(alarm[f"text_{texts.language}"])))
campaigns = campaign_queries.campaigns(folder, snapshot.as_of_date)
if campaigns.empty:
    components.empty(texts("campaigns.none"), texts("campaigns.none_text", date=as_of_text))
    st.stop()

channel_rows = queries.channel_labels(folder)
channels = dict(zip(channel_rows["channel_code"], channel_rows[f"label_{texts.language}"], strict=True))
components.figures(key_figures(campaigns, texts, currency))
campaign_table(campaigns, channels, texts, currency)
campaign = choose_campaign(campaigns, texts)
downloads(snapshot, campaign, texts)
why_not(folder, snapshot, campaign, channels, texts)
preview(folder, campaign, campaigns, texts)
segment_section(folder, snapshot, texts, currency)
