"""The explanation of one member, as a page shows it: the sentence, the facts, every channel, who stands around."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboards import decision_log
from dashboards.components import plain
from dashboards.language import Texts
from puntual.audit.texts import say
from puntual.errors import UsageError
from puntual.snapshot import Snapshot

_AROUND = ("rank", "member", "net", "owed", "days")


def member_why(snapshot: Snapshot, customer_id: str, texts: Texts) -> None:
    """Why this member, this channel and this place, or why not. Ids alone: no name, document or telephone."""
    there = decision_log.entry_of(snapshot)
    if there is None:
        st.caption(texts("member.not_logged"))
        return
    _, entry = there
    try:
        found = decision_log.explained(str(snapshot.folder), entry.sequence, customer_id, texts.language)
    except UsageError as error:
        st.info(plain(str(error)))
        return
    st.markdown(f"**{plain(found.headline)}**")
    left, right = st.columns([3, 2], gap="large")
    with left:
        st.markdown("\n".join(f"- {plain(label)}: **{plain(value)}**" for label, value in found.facts))
    with right:
        if found.reasons:
            st.markdown(f"**{say('why', 'reasons', texts.language)}**")
            st.markdown("\n".join(f"- {plain(reason)}" for reason in found.reasons))
    st.markdown(f"**{say('why', 'channels', texts.language)}**")
    marks = {(True, True): "✓ ", (True, False): "", (False, False): "✕ "}
    channels = pd.DataFrame(
        {
            "channel": [marks[(one.is_allowed, one.is_chosen)] + one.channel for one in found.channels],
            "verdict": [one.verdict for one in found.channels],
            "gain_short": [one.gain for one in found.channels],
            "provision_short": [one.provision for one in found.channels],
            "fee_short": [one.fee for one in found.channels],
            "cost_short": [one.cost for one in found.channels],
            "net": [one.net for one in found.channels],
            "price": [one.price for one in found.channels],
            "surplus": [one.surplus for one in found.channels],
            "charge_short": [one.charge for one in found.channels],
        }
    )
    widths = {"channel": 150, "verdict": 440, "price": 128, "surplus": 118, "charge_short": 96}
    st.dataframe(
        channels,
        hide_index=True,
        row_height=54,
        height=38 + 54 * len(channels),
        column_config={
            name: st.column_config.TextColumn(say("why", name, texts.language), width=widths.get(name, 84))
            for name in channels
        },
    )
    st.caption(" ".join(plain(note) for note in found.notes))
    if found.around:
        st.markdown(f"**{say('why', 'around', texts.language)}**")
        mark = say("why", "this_one", texts.language)
        st.dataframe(
            pd.DataFrame(
                {
                    "rank": [one.rank for one in found.around],
                    "member": [one.customer_id + (f" ← {mark}" if one.is_this else "") for one in found.around],
                    "net": [one.net for one in found.around],
                    "owed": [one.owed for one in found.around],
                    "days": [one.days for one in found.around],
                }
            ),
            hide_index=True,
            column_config={
                name: say("why", name, texts.language) for name in ("rank", "member", "net", "owed", "days")
            },
        )
    with st.expander(say("why", "versions", texts.language)):
        st.markdown("\n".join(f"- {plain(label)}: {plain(value)}" for label, value in found.versions))
