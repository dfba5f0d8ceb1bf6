"""One member: what was decided today and why, contacted or not."""

from __future__ import annotations

import streamlit as st

from dashboards import components
from dashboards.explanation import member_why
from dashboards.formats import long_date

texts = components.chosen_language()
snapshot = components.published()

components.title(texts("member.title"), texts("member.subtitle", date=long_date(snapshot.as_of_date, texts.language)))
customer = st.text_input(texts("member.id"), key="member", placeholder=texts("member.id_hint"), width=320).strip()
if not customer:
    components.empty(texts("member.choose"), texts("member.choose_text"))
    st.stop()
member_why(snapshot, customer, texts)
