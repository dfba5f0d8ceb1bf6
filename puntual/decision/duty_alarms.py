"""What became of every duty to contact on a day, and the alarms: too late, cannot be met any more, or not today."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from puntual.decision.duties import infeasible
from puntual.decision.policies import PolicySet, as_json

STANDING_COLUMNS = (
    "as_of_date",
    "customer_id",
    "rule_id",
    "sources",
    "due_date",
    "due_on",
    "state_code",
    "severity",
    "blocked_by",
)
"""``severity`` is ``alarm``, ``warning`` or None; ``sources`` (of the duty) and ``blocked_by`` are JSON lists."""

OVERDUE = "overdue"
BLOCKED = "blocked"
NO_CAPACITY = "no_capacity"
HELD_OUT = "held_out"
MET = "met"
_ORDER = {"alarm": 0, "warning": 1}
_SHOWN = 5


def standing(
    duties: pd.DataFrame | None,
    overdue: pd.DataFrame | None,
    *,
    actions: pd.Series,
    is_held: pd.Series,
    zones: pd.Series,
    verdicts: pd.DataFrame,
    policies: PolicySet,
    as_of: date,
    timezone: str,
) -> pd.DataFrame:
    """The state of each duty once the day is decided: one row per member, rule and missed due date, in that order.

    Columns :data:`STANDING_COLUMNS`; ``state_code`` is the first of these that is true:

    1. ``overdue``: its time ended unmet since the run before. An alarm.
    2. ``met``: today's contact goes through one of its channels. Nothing to report.
    3. ``blocked``: the rules block every one of its channels today, or nobody decides about the member. An alarm where
       they do so until its last day, else a warning. ``blocked_by``: those rules.
    4. ``held_out``: an experiment holds the member out, who is served on the last day only. Nothing to report.
    5. ``no_capacity``: a contact is permitted and no capacity was left. An alarm on the last day, else a warning.

    Args:
        duties: of :func:`puntual.decision.duties.owed`.
        overdue: of :func:`puntual.decision.duties.overdue`.
        actions: channel of today's contact, or ``none``, by customer_id.
        is_held: whether an experiment holds the member out, by customer_id.
        zones: time zone by customer_id.
        verdicts: of ``rules.evaluate``.
        policies: rules in force on ``as_of``.
        as_of: contact day.
        timezone: the institution's zone.
    """
    parts = []
    if overdue is not None and len(overdue):
        parts.append(overdue.assign(state_code=OVERDUE, severity="alarm", blocked_by="[]"))
    if duties is not None and len(duties):
        parts.append(_of_today(duties, actions, is_held, zones, verdicts, timezone))
    if not parts:
        return pd.DataFrame(columns=list(STANDING_COLUMNS), dtype=object)
    sources = {entry.rule.id: as_json(entry.sources) for _, entry in policies.of_kind("min_count_by")}
    found = pd.concat(parts, ignore_index=True)
    # what was archived before duties knew their due date has none
    found = found.reindex(columns=[*dict.fromkeys([*found.columns, "due_date"])])
    found["as_of_date"], found["sources"] = as_of, found["rule_id"].map(lambda rule: sources.get(rule, "[]"))
    found = found.sort_values(["customer_id", "rule_id", "due_on"], kind="stable", ignore_index=True)
    found = found[list(STANDING_COLUMNS)].astype(object)
    return found.where(found.notna(), None)


def _of_today(
    duties: pd.DataFrame,
    actions: pd.Series,
    is_held: pd.Series,
    zones: pd.Series,
    verdicts: pd.DataFrame,
    timezone: str,
) -> pd.DataFrame:
    member = duties["customer_id"]
    is_met, is_open = np.zeros(len(duties), dtype=bool), np.zeros(len(duties), dtype=bool)
    blocked_by = np.full(len(duties), "[]", dtype=object)
    action = member.map(actions)
    mine = verdicts[verdicts["customer_id"].isin(member)]
    for listed in sorted(set(duties["channels"])):
        channels = json.loads(listed)
        rows = (duties["channels"] == listed).to_numpy(dtype=bool)
        through = mine[mine["channel_code"].isin(channels)]
        is_met[rows] = action[rows].isin(channels)
        permitted = through["is_allowed"].groupby(through["customer_id"]).any()
        is_open[rows] = member[rows].map(permitted).eq(True)
        rules = through["blocked_by"].groupby(through["customer_id"]).agg(_united).to_dict()
        blocked_by[rows] = [rules.get(name, "[]") for name in member[rows]]
    is_too_late = infeasible(duties, verdicts, zones=zones, timezone=timezone)
    is_last = duties["is_last_chance"].to_numpy(dtype=bool)
    held = member.map(is_held).eq(True).to_numpy(dtype=bool)
    state = np.select([is_met, ~is_open, held & ~is_last], [MET, BLOCKED, HELD_OUT], NO_CAPACITY)
    is_alarm = np.where(is_open, is_last, is_too_late | is_last)
    silent = np.isin(state, [MET, HELD_OUT])
    return duties.assign(
        state_code=state,
        severity=pd.Series(np.where(is_alarm, "alarm", "warning"), index=duties.index, dtype=object).mask(silent, None),
        blocked_by=np.where(state == BLOCKED, blocked_by, "[]"),
    )


def _united(lists: pd.Series) -> str:
    return as_json(sorted({rule for text in set(lists) for rule in json.loads(text)}))


def duties_of_members(found: pd.DataFrame, members: Sequence[str] | pd.Series) -> pd.Series:
    """The duties of each member as the decision shows them: a JSON list, in the order of ``members``.

    Each item: rule, due_date and until (the last day on which it can be met), state.
    """
    texts: dict[str, list[dict[str, Any]]] = {}
    for row in found.itertuples(index=False):
        texts.setdefault(row.customer_id, []).append(
            {
                "rule": row.rule_id,
                "due_date": None if row.due_date is None else row.due_date.isoformat(),
                "until": row.due_on.isoformat(),
                "state": row.state_code,
            }
        )
    written = {name: json.dumps(items, ensure_ascii=False, separators=(",", ":")) for name, items in texts.items()}
    return pd.Series([written.get(name, "[]") for name in members], dtype=object)


def alarms_of(found: pd.DataFrame) -> pd.DataFrame:
    """The rows of :func:`standing` that somebody must hear of."""
    return found[found["severity"].notna().to_numpy(dtype=bool)].reset_index(drop=True)


def alarm_lines(alarms: pd.DataFrame) -> list[dict[str, Any]]:
    """The alarms of a day in one line each, alarms before warnings: severity, state, rule, sources, members, due dates.

    ``text_es`` and ``text_en`` say what it is, how many members, some of them, and what to do.

    Args:
        alarms: of :func:`alarms_of`; dates may be timestamps.
    """
    lines = []
    for (severity, state, rule), rows in alarms.groupby(["severity", "state_code", "rule_id"], sort=True):
        due = [pd.Timestamp(day).date().isoformat() for day in rows["due_date"] if pd.notna(day)]
        until = [pd.Timestamp(day).date().isoformat() for day in rows["due_on"] if pd.notna(day)]
        members = sorted(set(rows["customer_id"]))
        sources = json.loads(rows["sources"].iloc[0])
        blocking = sorted({name for text in set(rows["blocked_by"]) for name in json.loads(text)})
        values = {
            "rule": rule,
            "sources": ", ".join(sources) or "–",
            "count": len(members),
            "who": ", ".join(members[:_SHOWN]) + (" …" if len(members) > _SHOWN else ""),
            "due": _span(due),
            "until": _span(until),
            "blocking": ", ".join(blocking) or "–",
        }
        spanish, english = _TEXTS[(str(state), str(severity))]
        lines.append(
            {
                "severity": severity,
                "state_code": state,
                "rule_id": rule,
                "sources": sources,
                "member_count": len(members),
                "first_due_date": min(due, default=None),
                "last_due_date": max(due, default=None),
                "blocked_by": blocking,
                "text_es": f"{_WHAT[0]} {spanish}".format(**values),
                "text_en": f"{_WHAT[1]} {english}".format(**values),
            }
        )
    return sorted(lines, key=lambda line: (_ORDER[line["severity"]], line["state_code"] != OVERDUE, line["rule_id"]))


def _span(days: list[str]) -> str:
    first, last = min(days, default="–"), max(days, default="–")
    return first if first == last else f"{first} … {last}"


_WHAT = (
    "Deber {rule} (fuente {sources}); socios: {count}; cuota vencida: {due}:",
    "Duty {rule} (source {sources}); members: {count}; instalment due: {due}:",
)
_TEXTS = {
    (OVERDUE, "alarm"): (
        "el plazo terminó el {until} sin el contacto debido. Contácteles y anote la causa. Socios: {who}",
        "the time ended on {until} without the contact that was owed. Contact them and note the cause. Members: {who}",
    ),
    (BLOCKED, "alarm"): (
        "las reglas no permiten ninguna vía hasta el último día, {until}; bloquean {blocking}. Cumplimiento decide "
        "si hay otra forma de avisar. Socios: {who}",
        "the rules permit no channel until the last day, {until}; blocked by {blocking}. Compliance decides "
        "whether there is another way to notify. Members: {who}",
    ),
    (BLOCKED, "warning"): (
        "hoy no se permite ninguna vía, más adelante sí; último día {until}; bloquean {blocking}. Socios: {who}",
        "no channel is permitted today, later one is; last day {until}; blocked by {blocking}. Members: {who}",
    ),
    (NO_CAPACITY, "alarm"): (
        "hoy, {until}, es el último día y no quedó cupo. Amplíe el cupo de hoy o contácteles fuera de la lista. "
        "Socios: {who}",
        "today, {until}, is the last day and no capacity was left. Raise today's capacity or contact them beside the "
        "list. Members: {who}",
    ),
    (NO_CAPACITY, "warning"): (
        "hoy no quedó cupo; último día {until}. Socios: {who}",
        "no capacity was left today; last day {until}. Members: {who}",
    ),
}
