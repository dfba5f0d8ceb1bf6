"""What if: the published day decided again with other capacities, costs or exploration. Nothing is written."""

from __future__ import annotations

import math

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from dashboards import charts, components, decision_log
from dashboards.components import Figure, plain
from dashboards.formats import long_date, money, number, signed
from dashboards.language import Texts
from puntual.audit.texts import channel_name, say
from puntual.audit.whatif import WhatIf
from puntual.audit.whatif_texts import capacity_rows, channels_text, figure_rows

# A slider goes from nothing to this many times what there is.
_WIDEST = 2.0
_LEAST_RANGE = 20
_MORE_ROWS = 200


def capacity_sliders(today: dict[str, float | None], channels: list[str], texts: Texts) -> list[str]:
    """One slider per channel; those that are where the day had them are no change."""
    changes = []
    columns = st.columns(3, gap="medium")
    for position, channel in enumerate(channels):
        key = f"channels.{channel}.capacity"
        now = today[key]
        with columns[position % 3]:
            name = channel_name(channel, texts.language)
            if now is None:
                st.text_input(name, texts("whatif.no_limit"), disabled=True, key=f"no limit {channel}")
                continue
            most = max(math.ceil(now * _WIDEST), _LEAST_RANGE)
            chosen = st.slider(name, 0, most, int(now), key=f"capacity {channel}")
            st.caption(texts("whatif.today_is", value=number(now, texts.language)))
            if chosen != int(now):
                changes.append(f"{key}={chosen}")
    return changes


def other_sliders(today: dict[str, float | None], channels: list[str], texts: Texts) -> list[str]:
    """Share of exploration, cost of each channel, capacity of each team."""
    changes = []
    with st.expander(texts("whatif.more")):
        share = today["decision.exploration_share"] or 0.0
        chosen = st.slider(
            texts("whatif.exploration"), 0.0, 30.0, min(round(share * 100, 1), 30.0), 0.5, format="%.1f %%", key="share"
        )
        if not math.isclose(chosen, share * 100, abs_tol=0.05):
            changes.append(f"decision.exploration_share={chosen / 100:.4f}")
        columns = st.columns(3, gap="medium")
        for position, channel in enumerate(channels):
            key = f"channels.{channel}.cost"
            now = float(today[key] or 0.0)
            with columns[position % 3]:
                cost = st.number_input(
                    texts("whatif.cost_of", channel=channel_name(channel, texts.language)),
                    min_value=0.0, value=now, step=0.01, format="%.3f", key=f"cost {channel}",
                )  # fmt: skip
            if not math.isclose(cost, now, abs_tol=5e-4):
                changes.append(f"{key}={cost:.4f}")
        changes += team_sliders(today, texts)
    return changes


def team_sliders(today: dict[str, float | None], texts: Texts) -> list[str]:
    """What the people of each team do in a day, where the collectors have teams."""
    names = [key.split(".", 2)[2].removesuffix(".capacity") for key in today if key.startswith("collectors.team.")]
    if not names:
        return []
    st.caption(texts("whatif.teams"))
    changes = []
    columns = st.columns(3, gap="medium")
    for position, name in enumerate(names):
        key = f"collectors.team.{name}.capacity"
        now = int(today[key] or 0)
        with columns[position % 3]:
            chosen = st.slider(name, 0, max(math.ceil(now * _WIDEST), _LEAST_RANGE), now, key=f"team {name}")
            limit = today.get(f"teams.{name}.daily_capacity")
            if limit is not None:
                st.caption(texts("whatif.team_limit", value=number(limit, texts.language)))
        if chosen != now:
            changes.append(f"{key}={chosen}")
    return changes


def key_figures(found: WhatIf, texts: Texts, currency: str) -> list[Figure]:
    """Value, contacts, cost and members whose day changes."""
    language = texts.language
    figures = {key: (before, after) for key, before, after in found.figures()}

    def change(key: str, decimals: int = 0) -> str | None:
        before, after = figures[key]
        return None if before is None or after is None else signed(after - before, language, decimals)

    members = found.members()["kind"].value_counts()
    counts = {kind: int(members.get(kind, 0)) for kind in ("entering", "leaving", "changed")}
    first = "value" if found.is_money else "explored"
    shown = (
        money(figures["value"][1], language, currency) if found.is_money else number(figures["explored"][1], language)
    )
    return [
        Figure(say("what_if", first, language), shown, texts(f"whatif.{first}_help"), change(first), more_is="good"),
        Figure(
            say("what_if", "contacts", language), number(figures["contacts"][1], language),
            texts("whatif.contacts_help"), change("contacts"), more_is="neutral",
        ),
        Figure(
            say("what_if", "cost", language), money(figures["cost"][1], language, currency, 2),
            texts("whatif.cost_help"), change("cost", 2), more_is="bad",
        ),
        Figure(
            texts("whatif.moved"), number(sum(counts.values()), language),
            texts("whatif.moved_help", **{kind: number(count, language) for kind, count in counts.items()}),
        ),
    ]  # fmt: skip


def by_channel(found: WhatIf, texts: Texts) -> go.Figure:
    """Contacts of every channel, as it was and with the change."""
    rows = [(key.partition(".")[2], before, after) for key, before, after in found.figures() if "." in key]
    frame = pd.DataFrame(rows, columns=["channel", "before", "after"])
    names = [channel_name(code, texts.language) for code in frame["channel"]]
    return charts.before_and_after(
        names, frame["before"], frame["after"],
        before=say("what_if", "before", texts.language), after=say("what_if", "after", texts.language), texts=texts,
    )  # fmt: skip


def members_table(found: WhatIf, texts: Texts) -> None:
    """Who enters, leaves or changes channel, by id."""
    members = found.members()
    if members.empty:
        st.caption(say("what_if", "nothing_changes", texts.language))
        return
    kind = st.segmented_control(
        say("what_if", "who", texts.language),
        [code for code in ("entering", "leaving", "changed") if (members["kind"] == code).any()],
        format_func=lambda code: f"{say('what_if', code, texts.language)} ({int((members['kind'] == code).sum())})",
        default=str(members["kind"].iloc[0]), required=True, key="kind",
    )  # fmt: skip
    chosen = members[members["kind"] == kind]

    def written(code: str) -> str:
        return channels_text(code, texts.language) or say("what_if", "no_contact", texts.language)

    frame = pd.DataFrame(
        {
            say("why", "member", texts.language): chosen["customer_id"],
            say("what_if", "before", texts.language): [written(code) for code in chosen["before"]],
            say("what_if", "after", texts.language): [written(code) for code in chosen["after"]],
        }
    )
    st.dataframe(frame.head(_MORE_ROWS), hide_index=True)
    if len(frame) > _MORE_ROWS:
        st.caption(say("what_if", "more", texts.language, count=number(len(frame) - _MORE_ROWS, texts.language)))


texts = components.chosen_language()
snapshot = components.published()
language, currency = texts.language, components.currency_of(snapshot)

components.title(texts("whatif.title"), texts("whatif.subtitle", date=long_date(snapshot.as_of_date, language)))
there = decision_log.entry_of(snapshot)
if there is None:
    components.empty(texts("whatif.not_logged"), texts("whatif.not_logged_text"))
    st.stop()
_, entry = there
folder, sequence = str(snapshot.folder), entry.sequence
with st.spinner(texts("whatif.reading")):
    today = decision_log.figures_today(folder, sequence)
channels = [key.split(".")[1] for key in today if key.startswith("channels.") and key.endswith(".cost")]

st.subheader(texts("whatif.capacities"), anchor=False)
st.caption(texts("whatif.capacities_caption"))
changes = capacity_sliders(today, channels, texts) + other_sliders(today, channels, texts)
with st.spinner(texts("whatif.deciding")):
    found = decision_log.played(folder, sequence, tuple(changes))

if not found.is_money:
    st.info(say("what_if", "model_off", language))
components.figures(key_figures(found, texts, currency))
if changes:
    st.caption(texts("whatif.command", command=plain(" ".join(f"--set {change}" for change in changes))))
left, right = st.columns(2, gap="large")
with left:
    components.chart(by_channel(found, texts), key="by_channel", description=texts("whatif.by_channel"))
with right:
    headings = [say("what_if", key, language) for key in ("figure", "before", "after", "difference")]
    st.dataframe(pd.DataFrame(figure_rows(found, currency, language), columns=headings), hide_index=True)
st.subheader(say("what_if", "capacities", language), anchor=False)
st.caption(say("why", "price_note", language))
names = [say("what_if", key, language) for key in ("capacity", "room", "used", "price")]
st.dataframe(pd.DataFrame(capacity_rows(found, language), columns=names), hide_index=True)
st.subheader(say("what_if", "who", language), anchor=False)
members_table(found, texts)
st.caption(say("what_if", "nothing_written", language))
