"""The router: pages, language, and what is said when there is nothing to show. Start it with ``puntual dash HOME``."""

from __future__ import annotations

import streamlit as st

from dashboards import components
from puntual.errors import PuntualError

st.set_page_config(page_title="Puntual", page_icon=str(components.ASSETS / "icon.svg"), layout="wide")
st.logo(str(components.ASSETS / "logo.svg"), size="large")

texts = components.chosen_language()
page = st.navigation(
    [
        st.Page("views/portfolio.py", title=texts("nav.portfolio"), url_path="portfolio", default=True),
        st.Page("views/kpis.py", title=texts("nav.kpis"), url_path="kpis"),
        st.Page("views/audit.py", title=texts("nav.audit"), url_path="audit"),
        st.Page("views/today.py", title=texts("nav.today"), url_path="today"),
        st.Page("views/routes.py", title=texts("nav.routes"), url_path="routes"),
        st.Page("views/campaigns.py", title=texts("nav.campaigns"), url_path="campaigns"),
        st.Page("views/member.py", title=texts("nav.member"), url_path="member"),
        st.Page("views/whatif.py", title=texts("nav.whatif"), url_path="whatif"),
        st.Page("views/operation.py", title=texts("nav.operation"), url_path="operation"),
    ],
    position="top",
)
try:
    snapshot = components.published()
except PuntualError as error:
    components.failure(error, components.masthead(None))
    st.stop()

components.masthead(snapshot)
try:
    page.run()
except PuntualError as error:
    components.failure(error, texts)
