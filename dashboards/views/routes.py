"""The day's visits as routes: per collector order, planned times, a drawing, and what stays out with its reason.

Positions are rounded to half a kilometre and addresses are not shown: those are in the files for whoever goes there.
"""

from __future__ import annotations

from functools import partial

import streamlit as st

from dashboards import charts, components, queries
from dashboards.components import Figure, plain
from dashboards.formats import MISSING, long_date, number

MIMES = {"gpx": "application/gpx+xml", "csv": "text/csv", "html": "text/html"}

texts = components.chosen_language()
language = texts.language
snapshot = components.published()
folder = str(snapshot.folder)
as_of_text = long_date(snapshot.as_of_date, language)

components.title(texts("routes.title"), texts("routes.subtitle", date=as_of_text))
routes = queries.routes(folder)
if routes.empty:
    components.empty(texts("routes.none"), texts("routes.none_text", date=as_of_text))
    st.stop()

names = dict(zip(routes["collector_id"], routes["collector_name"], strict=True))
collector = st.selectbox(
    texts("today.collector"), list(names), key="route_collector", width=330, format_func=lambda code: names[code]
)
route = routes.set_index("collector_id").loc[collector]
stops = queries.route_stops(folder, collector)
planned, others = stops[stops["is_planned"]], stops[~stops["is_planned"]]
components.figures(
    [
        Figure(texts("routes.planned"), number(route["planned_count"], language), texts("routes.planned_help")),
        Figure(texts("routes.left_out"), number(len(others), language), texts("routes.left_out_help")),
        Figure(texts("routes.kilometres"), number(route["total_km"], language, 1), texts("routes.kilometres_help")),
        Figure(
            texts("routes.day"),
            f"{route['departs_local'] or MISSING} – {route['returns_local'] or MISSING}",
            texts("routes.day_help"),
        ),
    ]
)
with st.container(horizontal=True, gap="small", key="route_downloads"):
    for kind in ("gpx", "csv", "html"):
        file = f"{route['file']}.{kind}"
        if file in snapshot.manifest["files"]:
            st.download_button(
                texts(f"routes.download_{kind}"),
                partial(queries.published_bytes, folder, file),
                file_name=f"{snapshot.as_of_date.isoformat()}_{file.rpartition('/')[2]}",
                mime=MIMES[kind],
                key=f"route_{kind}",
                on_click="ignore",
                type="primary" if kind == "gpx" else "secondary",
            )
if len(planned):
    components.chart(
        charts.route_map(route, planned, texts=texts),
        key="route_map",
        description=texts("routes.map", name=plain(str(names[collector]))),
    )
    st.caption(texts("routes.map_caption"))
    components.table(
        planned.assign(
            window=planned["window_start_local"].astype(str) + " – " + planned["window_end_local"].astype(str)
        ),
        {"leg_km": lambda value: number(value, language, 1)},
        {
            "route_order": texts("routes.order"),
            "planned_arrival_local": texts("routes.arrival"),
            "planned_end_local": texts("routes.leaves"),
            "full_name": texts("column.full_name"),
            "window": texts("column.window"),
            "leg_km": texts("routes.leg"),
        },
    )
if len(others):
    st.subheader(texts("routes.left_out"), anchor=False)
    components.table(
        others,
        {},
        {
            "route_order": texts("routes.order"),
            "full_name": texts("column.full_name"),
            f"reason_{language}": texts("routes.reason"),
        },
    )
