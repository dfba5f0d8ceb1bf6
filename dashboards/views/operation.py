"""Operation: what was published, from which data, with which versions, and whether the files are still those."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import streamlit as st

from dashboards import components, experiment_queries, kpi_charts, queries
from dashboards.components import Figure, plain
from dashboards.formats import file_size, long_date, money, number, percent, short_date
from dashboards.language import Texts
from puntual.experiments.texts import changes_by_arm
from puntual.publish import verify
from puntual.snapshot import Snapshot


def section(heading: str, frame: pd.DataFrame, names: dict[str, str], texts: Texts, formats: Any = None) -> None:
    """A table under its heading; says so when it has no rows."""
    st.subheader(heading, anchor=False)
    if frame.empty:
        st.caption(texts("operation.none"))
    else:
        components.table(frame, formats or {}, names)


def pairs(entries: dict[str, Any], first: str, second: str) -> pd.DataFrame:
    """A mapping as a frame, in the order of its keys."""
    return pd.DataFrame({first: sorted(entries), second: [entries[key] for key in sorted(entries)]})


def experiments(folder: str, currency: str, texts: Texts) -> None:
    """What each experiment says so far: its arms, whether the draw is sound, the verdict, and the interval by day."""
    st.subheader(texts("experiments.title"), anchor=False)
    there = experiment_queries.experiments(folder)
    if there.empty:
        st.caption(texts("experiments.none"))
        return
    names = dict(zip(there["experiment_id"], there[f"title_{texts.language}"], strict=True))
    one = st.selectbox(
        texts("experiments.one"), list(names), format_func=lambda code: f"{names[code]} ({code})", width=420
    )
    rows = experiment_queries.measures(folder, one)
    now = rows[rows["measured_date"] == rows["measured_date"].max()]
    first = now.iloc[0]
    is_money = first["metric_code"] == "paid_amount"

    def write(value: Any) -> str:
        if value is None or value != value:
            return "–"
        return money(value, texts.language, currency) if is_money else percent(value, texts.language)

    is_sound = not (now["verdict_code"] == "sample_ratio").any()
    if not is_sound:
        st.error(texts("experiments.ratio_bad"))
    st.caption(
        texts(
            "experiments.caption",
            status=texts.label("experiment_status", str(first["status_code"])),
            start=short_date(components.as_day(first["start_date"]), texts.language),
            end=short_date(components.as_day(first["end_date"]), texts.language),
            days=number(first["window_days"], texts.language),
            ratio=texts("experiments.ratio_good") if is_sound else texts("experiments.ratio_off"),
            chance=percent(first["sample_ratio_sequential_probability"], texts.language, 2),
            once=percent(first["sample_ratio_probability"], texts.language, 2),
        )
    )
    shown = now.assign(
        policy=[
            texts.label("experiment_policy", code) + (f" ({changes})" if changes else "")
            for code, changes in zip(now["policy_code"], changes_by_arm(now, texts.language), strict=True)
        ],
        verdict=[texts.label("experiment_verdict", code) for code in now["verdict_code"]],
        interval=[
            "–" if low != low else f"{write(low)} … {write(high)}"
            for low, high in zip(now["anytime_low"], now["anytime_high"], strict=True)
        ],
    )
    columns = ["arm_code", "policy", "exposed_count", "matured_count", "metric_mean", "adjusted_value", "interval"]
    columns += ["incremental_value"] if is_money else []

    def count(value: Any) -> str:
        return number(value, texts.language)

    components.table(
        shown,
        {
            "exposed_count": count,
            "matured_count": count,
            "metric_mean": write,
            "adjusted_value": write,
            "incremental_value": write,
        },
        {column: texts(f"experiment_column.{column}") for column in [*columns, "verdict"]},
    )
    for arm in now.loc[~now["is_control"].astype(bool), "arm_code"]:
        line = rows[(rows["arm_code"] == arm) & rows["anytime_low"].notna()]
        if len(line) > 1:
            st.markdown(f"**{texts('experiments.sequence', arm=plain(str(arm)))}**")
            components.chart(
                kpi_charts.confidence_sequence(
                    list(line["measured_date"]),
                    list(line["adjusted_value"]),
                    list(line["anytime_low"]),
                    list(line["anytime_high"]),
                    write=write,
                    texts=texts,
                ),
                key=f"experiment_{arm}",
                description=texts("experiments.sequence", arm=str(arm)),
            )
    st.caption(texts("experiments.how"))


def duties(snapshot: Snapshot, texts: Texts) -> None:
    """Duties to contact that are overdue or cannot be met: a line for each rule and state, and every member."""
    language = texts.language
    st.subheader(texts("operation.duty_alarms"), anchor=False)
    st.caption(texts("operation.duty_alarms_caption"))
    components.duty_alarms(snapshot, texts)
    rows = queries.duty_alarms(str(snapshot.folder))
    columns = ["severity", "state", "customer_id", "rule_id", "sources", "due_date", "due_on", "blocked_by"]
    components.table(
        rows.assign(
            severity=rows["severity"].map({code: texts(f"operation.{code}") for code in ("alarm", "warning")}),
            state=[texts.label("duty_state", code) for code in rows["state_code"]],
            **{name: [", ".join(json.loads(text)) for text in rows[name]] for name in ("sources", "blocked_by")},
        ),
        {name: lambda value: short_date(components.as_day(value), language) for name in ("due_date", "due_on")},
        {name: texts(f"duty_column.{name}") for name in columns},
    )


def fairness(assignment: dict[str, Any], texts: Texts) -> None:
    """How evenly calls and visits are spread over the people of each team."""
    language = texts.language
    rows = pd.DataFrame(assignment["teams"])
    for name in ("least_use_rate", "greatest_use_rate"):
        rows[name] = [percent(value, language) for value in rows[name]]
    rows["team"] = rows["team"].replace("", texts("operation.no_team"))
    columns = ["team", "collector_count", "contact_count", "capacity_count", "least_use_rate", "greatest_use_rate",
               "load_jain", "value_jain"]  # fmt: skip
    jain = {name: lambda value: number(value, language, 2) for name in ("load_jain", "value_jain")}
    names = {name: texts(f"fairness_column.{name}") for name in columns}
    section(texts("operation.fairness"), rows, names, texts, jain)
    st.caption(
        texts(
            "operation.fairness_caption",
            count=number(assignment["contact_count"], language),
            familiar=number(assignment["familiar_count"], language),
            kept=number(assignment["kept_collector_count"], language),
        )
    )


def not_enforced(obligations: list[dict[str, str]], texts: Texts) -> None:
    """Obligations that nobody checks, in full, in the reader's language where they are written in it."""

    def written(entry: dict[str, str], part: str) -> str:
        return entry.get(f"{part}_{texts.language}") or entry[part]  # without a language: English, or the institution's

    st.subheader(texts("operation.not_enforced"), anchor=False)
    rows = [[plain(text) for text in (e["id"], written(e, "text"), written(e, "reason"))] for e in obligations]
    columns = [texts(f"column.{name}") for name in ("rule", "text", "reason")]
    st.table(pd.DataFrame(rows, columns=columns))  # wraps whole sentences; a dataframe cuts them
    st.caption(texts("operation.not_enforced_caption"))


texts = components.chosen_language()
snapshot = components.published()
manifest, language = snapshot.manifest, texts.language

components.title(texts("operation.title"), texts("operation.subtitle", date=long_date(snapshot.as_of_date, language)))
model = manifest["channel_model"]
is_on = model["status"] == "on"
components.figures(
    [
        Figure(texts("operation.as_of"), short_date(snapshot.as_of_date, language), texts("operation.run")),
        Figure(
            texts("operation.gap"),
            percent(manifest["summary"].get("gap_rate"), language, 2),
            texts("operation.gap_help"),
        ),
        Figure(
            texts("operation.channel_model"),
            texts("operation.channel_on" if is_on else "operation.channel_off"),
            components.why_off(model, language) or texts("operation.channel_on"),
        ),
        Figure(texts("operation.files"), number(len(manifest["files"]), language), texts("operation.verify")),
    ]
)
place = texts("operation.snapshot", folder=plain(str(snapshot.folder)))
st.caption(f"{texts('operation.run')}: {plain(str(manifest['run_id']))} · {place}")
with st.container(horizontal=True, vertical_alignment="center"):
    if st.button(texts("operation.verify"), key="verify"):
        problems = verify(snapshot)
        if problems:
            st.error(texts("operation.verify_bad", count=number(len(problems), language)))
            st.code("\n".join(problems), language=None)
        else:
            st.success(texts("operation.verify_ok", count=number(len(manifest["files"]), language)))

alarms = pd.DataFrame(manifest.get("model_alarms", []))
if not alarms.empty:
    severities = {code: texts(f"operation.{code}") for code in ("alarm", "warning")}
    shown = alarms.assign(severity=alarms["severity"].map(severities), alarm=alarms[f"text_{language}"])
    section(
        texts("operation.model_alarms"),
        shown,
        {"severity": texts("column.severity"), "model_name": texts("column.model"), "alarm": texts("column.alarm")},
        texts,
    )

if manifest.get("duty_alarms"):
    duties(snapshot, texts)

if (manifest["summary"].get("assignment") or {}).get("teams"):
    fairness(manifest["summary"]["assignment"], texts)

experiments(str(snapshot.folder), components.currency_of(snapshot), texts)
left, right = st.columns(2, gap="large")
with left:
    models = pairs(manifest["model_versions"], "name", "version")
    trained = {name: entry.get("trained_as_of") for name, entry in manifest.get("models", {}).items()}
    section(
        texts("operation.versions"),
        models.assign(trained=models["name"].map(trained)),
        {"name": texts("column.name"), "version": texts("column.version"), "trained": texts("column.trained")},
        texts,
    )
    rules = {"name": texts("column.name"), "version": texts("column.version")}
    section(texts("operation.rules"), pairs(manifest["rule_versions"], "name", "version"), rules, texts)
    if manifest.get("rule_readings"):
        readings = pairs(manifest["rule_readings"], "rule", "reading")
        section(
            texts("operation.readings"),
            readings.assign(reading=[texts.label("rule_reading", code) for code in readings["reading"]]),
            {"rule": texts("column.rule"), "reading": texts("operation.reading")},
            texts,
        )
    if "exit_checks" in manifest:
        checks = pairs({name: str(result) for name, result in manifest["exit_checks"].items()}, "check", "result")
        section(
            texts("operation.checks"), checks, {"check": texts("column.check"), "result": texts("column.result")}, texts
        )
with right:
    section(
        texts("operation.row_counts"),
        pairs(manifest["row_counts"], "table", "rows"),
        {"table": texts("column.table"), "rows": texts("column.rows")},
        texts,
        {"rows": lambda value: number(value, language)},
    )
if manifest.get("rules_not_enforced"):
    not_enforced(manifest["rules_not_enforced"], texts)
section(
    texts("operation.inputs"),
    pairs(manifest["input_digests"], "file", "digest"),
    {"file": texts("column.file"), "digest": texts("column.digest")},
    texts,
)
files = pd.DataFrame(
    [(name, entry["bytes"], entry["sha256"]) for name, entry in sorted(manifest["files"].items())],
    columns=["file", "size", "digest"],
)
section(
    texts("operation.files"),
    files,
    {"file": texts("column.file"), "size": texts("column.size"), "digest": texts("column.digest")},
    texts,
    {"size": lambda value: file_size(value, language)},
)
