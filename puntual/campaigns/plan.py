"""Which campaign each member of the day belongs to, what is sent, and why the rest is not. Pure: frames in, frames out.

Every member decided about is in exactly one campaign, and is there either sent or suppressed with its rule: of each
campaign sent + suppressed = selected, and over all of them selected = members. What is sent is a subset of what the
decision chose; nothing is sent that it did not choose.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from puntual.campaigns.registry import MESSAGE_CHANNELS, Campaign, CampaignData
from puntual.campaigns.standing import SOURCE, Standing
from puntual.campaigns.templates import LANGUAGES, Template
from puntual.campaigns.variables import Manner, values_of
from puntual.decision.policies import as_json

MEMBER_COLUMNS = (
    "as_of_date", "campaign_id", "customer_id", "loan_id", "channel_code", "segment_code", "step_code", "is_sent",
    "suppressed_by", "suppressed_source", "blocked_by", "sources", "template_id", "template_version", "language_code",
    "window_start", "window_end", "message_segments", "cost_amount",
)  # fmt: skip
COUNT_COLUMNS = (
    "as_of_date", "campaign_id", "channel_code", "name_es", "name_en", "priority", "hours", "selected_count",
    "sent_count", "suppressed_count", "message_segments", "cost_amount",
)  # fmt: skip
SUPPRESSION_COLUMNS = (
    "as_of_date", "campaign_id", "channel_code", "rule_id", "rule_source", "suppressed_count", "touched_count",
)  # fmt: skip

DECISION = "decision"
OTHER_CHANNEL = "decision/other_channel"
_CAMPAIGNS = "campaigns.yaml"
_MONEY_UNITS = 1_000_000
NOBODY = ""
"""Campaign of members whom no running campaign takes: every message channel has one for all, so there are none unless
the institution uses no message channel."""


@dataclass(frozen=True)
class CampaignPlan:
    """``members``: one row per member, :data:`MEMBER_COLUMNS`, by customer_id. ``messages``: customer_id, message,
    subject, amount of those sent (personal). ``counts``: one row per running campaign, :data:`COUNT_COLUMNS`, by
    priority. ``suppressions``: one row per campaign and rule, :data:`SUPPRESSION_COLUMNS`: ``suppressed_count`` counts
    a member under its first rule alone and adds up to the campaign's; ``touched_count`` under each of its rules.
    ``scripts``: opening line by member chosen, in the tone of its step (personal).
    """

    members: pd.DataFrame
    messages: pd.DataFrame
    counts: pd.DataFrame
    suppressions: pd.DataFrame
    scripts: dict[str, str]

    def problems(self) -> list[str]:
        """Where the counts do not add up; empty when they do."""
        found = []
        if self.members["customer_id"].duplicated().any():
            found.append(f"{int(self.members['customer_id'].duplicated().sum())} members are in two campaigns")
        for row in self.counts.itertuples():
            mine = self.suppressions[self.suppressions["campaign_id"] == row.campaign_id]
            if row.sent_count + row.suppressed_count != row.selected_count:
                found.append(
                    f"{row.campaign_id}: {row.sent_count} + {row.suppressed_count} is not {row.selected_count}"
                )
            if int(mine["suppressed_count"].sum()) != row.suppressed_count:
                found.append(f"{row.campaign_id}: the rules suppress {int(mine['suppressed_count'].sum())}")
        if len(self.counts) and int(self.counts["selected_count"].sum()) != len(self.members):
            found.append(f"{int(self.counts['selected_count'].sum())} are selected of {len(self.members)} members")
        return found


@dataclass(frozen=True)
class Costs:
    """Cost of one contact by channel, and whether a text message costs that for each of its segments.

    ``budgets``: what the messages of a channel may cost on the day. ``room``: what all of them may cost together; None
    is no limit. The decision keeps both; a plan made from other texts or costs holds back what would exceed them.
    """

    by_channel: Mapping[str, float]
    sms_by_segment: bool = False
    budgets: Mapping[str, float] = field(default_factory=dict)
    room: float | None = None

    def of(self, channel: str, segments: int) -> float:
        """What a message costs."""
        return self.by_channel.get(channel, 0.0) * (segments if channel == "sms" and self.sms_by_segment else 1)


def plan_campaigns(
    members: pd.DataFrame,
    details: pd.DataFrame,
    segment_members: pd.DataFrame,
    *,
    data: CampaignData,
    rule_sources: Mapping[str, Sequence[str]],
    costs: Costs,
    manner: Manner,
    language: str,
    timezone: str,
    as_of: date,
) -> CampaignPlan:
    """Put every member into one campaign and say what is sent.

    1. Candidates of a member: running campaigns that take one of its segments. If the decision chose a message, the
       one of its channel with the smallest priority; else the one with the smallest priority.
    2. Suppressed where the decision did not choose the campaign's channel: by the rules that forbid the channel today;
       else by the decision (``decision/capacity``, …, ``decision/other_channel``).
    3. A chosen message is held back by an exclusion, by a step without template, by a template that may not be sent
       (``data.standing``), by hours that do not meet those of the rules, by a variable that the member does not have,
       by a text message that would be too long, by the campaign's limit, by a budget (the best contacts first).
    4. The text is in the member's language where the template has it, else in the institution's, else in Spanish.
       Where that text may not be sent, the next version or language of the same template that may is taken.

    Args:
        members: one row per decision: customer_id, loan_id, action, blocked_by, rank, window_start, window_end (UTC),
            timezone, language_code, step_code and what ``values_of`` reads.
        details: rows of the decision by member and channel: is_allowed, blocked_by, sources.
        segment_members: of ``puntual.segments.members.members_of``.
        data: campaigns and what they name.
        rule_sources: sources by contact rule.
        costs: of messages.
        manner: how values are written.
        language: the institution's.
        timezone: of members whose own is not known.
        as_of: the day.
    """
    people = members.sort_values("customer_id").reset_index(drop=True)
    running = data.running(as_of)
    codes = list(data.segments.codes())
    belongs = _belongs(people, segment_members, codes)
    place = _campaign_of(people, running, belongs, codes)
    people = people.assign(
        campaign_id=np.array([*(one.id for one in running), NOBODY], dtype=object)[place],
        campaign_channel=np.array([*(one.channel for one in running), NOBODY], dtype=object)[place],
        segment_code=_named_segment(segment_members, people, data),
        place=place,
    )
    rules, named = _suppressed_by_decision(people, details)
    source_of = _Sources(rule_sources, data)
    is_chosen = (people["action"] == people["campaign_channel"]).to_numpy(dtype=bool)
    kept = _Kept(people, rules, named, is_chosen)
    _exclude(kept, data, belongs, codes)
    windows = _windows(kept, running, timezone, as_of)
    _render(kept, running, data, costs, manner, language, as_of)
    _limit(kept, running)
    _keep_budgets(kept, costs)
    table = _members_table(kept, windows, source_of, as_of)
    return CampaignPlan(
        members=table,
        messages=pd.DataFrame(
            [
                (customer, kept.message[row], kept.subject[row], kept.amount[row])
                for row, customer in enumerate(people["customer_id"])
                if kept.open[row]
            ],
            columns=["customer_id", "message", "subject", "amount"],
            dtype=object,
        ),
        counts=_counts(table, running, as_of),
        suppressions=_suppressions(table, running, source_of, as_of),
        scripts=_scripts(people, data, manner, language, as_of),
    )


class _Sources:
    """Where a rule that holds a message back comes from."""

    def __init__(self, rule_sources: Mapping[str, Sequence[str]], data: CampaignData) -> None:
        self._of_rule = {rule: ", ".join(sorted(named)) for rule, named in rule_sources.items()}
        self._of_rule |= {f"exclusion/{one.id}": ", ".join(one.sources) or _CAMPAIGNS for one in data.exclusions}

    def __call__(self, rule: str) -> str:
        """Sources of a contact rule or exclusion; else what decided."""
        if rule in self._of_rule:
            return self._of_rule[rule]
        kind = rule.partition("/")[0]
        return {
            "campaign": _CAMPAIGNS,
            "budget": "puntual.yaml",
            "template": "templates.yaml",
            "template_quality": SOURCE,
        }.get(kind, DECISION)


class _Kept:
    """What has been found for each member so far: rules that hold a message back, or the message."""

    def __init__(
        self, people: pd.DataFrame, rules: list[list[str]], named: list[list[str]], is_chosen: np.ndarray
    ) -> None:
        self.people = people
        self.rules, self.named = rules, named
        self.open = is_chosen & np.array([not one for one in rules], dtype=bool)
        size = len(people)
        self.message: list[str | None] = [None] * size
        self.subject: list[str | None] = [None] * size
        self.amount: list[str | None] = [None] * size
        self.template: list[Template | None] = [None] * size
        self.segments = np.zeros(size, dtype="int64")
        self.cost = np.zeros(size, dtype=float)

    def hold(self, row: int, *rules: str) -> None:
        """Hold back the message of a row; the first of the rules counts it."""
        self.rules[row], self.named[row] = list(rules), []
        self.open[row] = False
        self.message[row] = self.subject[row] = None
        self.segments[row], self.cost[row] = 0, 0.0


def _belongs(people: pd.DataFrame, segment_members: pd.DataFrame, codes: list[str]) -> np.ndarray:
    """Members x segments: who belongs where."""
    belongs = np.zeros((len(people), len(codes)), dtype=bool)
    row = pd.Index(people["customer_id"]).get_indexer(pd.Index(segment_members["customer_id"]))
    column = pd.Index(codes).get_indexer(pd.Index(segment_members["segment_code"]))
    known = (row >= 0) & (column >= 0)
    belongs[row[known], column[known]] = True
    return belongs


def _campaign_of(
    people: pd.DataFrame, running: tuple[Campaign, ...], belongs: np.ndarray, codes: list[str]
) -> np.ndarray:
    """Place of each member's campaign among the running ones, by priority; their number for nobody's."""
    nobody = len(running)
    place = np.full(len(people), nobody)
    action = people["action"].to_numpy(dtype=object)
    is_message = np.isin(action.astype(str), MESSAGE_CHANNELS)
    takes = [
        np.ones(len(people), dtype=bool)
        if one.segments == "all"
        else belongs[:, [codes.index(code) for code in one.segments]].any(axis=1)
        for one in running
    ]
    for number, one in enumerate(running):  # the chosen channel first
        place[(place == nobody) & takes[number] & is_message & (action == one.channel)] = number
    for number in range(len(running)):
        place[(place == nobody) & takes[number]] = number
    return place


def _named_segment(segment_members: pd.DataFrame, people: pd.DataFrame, data: CampaignData) -> np.ndarray:
    """The member's segment of the first set that puts everybody into one."""
    exclusive = [one.id for one in data.segments.sets if one.exclusive]
    mine = segment_members[segment_members["set_id"] == exclusive[0]] if exclusive else segment_members.iloc[:0]
    named = people["customer_id"].map(dict(zip(mine["customer_id"], mine["segment_code"], strict=True)))
    return named.astype(object).where(named.notna(), None).to_numpy(dtype=object)


def _suppressed_by_decision(people: pd.DataFrame, details: pd.DataFrame) -> tuple[list[list[str]], list[list[str]]]:
    """Rules and their sources where the decision did not choose the campaign's channel; empty lists where it did."""
    key = pd.MultiIndex.from_arrays([details["customer_id"].astype(str), details["channel_code"].astype(str)])
    at = key.get_indexer(
        pd.MultiIndex.from_arrays([people["customer_id"].astype(str), people["campaign_channel"].astype(str)])
    )
    allowed = details["is_allowed"].to_numpy(dtype=bool)
    blocked, named = details["blocked_by"].to_numpy(dtype=object), details["sources"].to_numpy(dtype=object)
    parsed: dict[str, list[str]] = {}

    def listed(text: Any) -> list[str]:
        if text not in parsed:
            parsed[text] = list(json.loads(text)) if isinstance(text, str) else []
        return parsed[text]

    rules: list[list[str]] = []
    sources: list[list[str]] = []
    columns = ("action", "campaign_channel", "blocked_by")
    for row, (action, channel, why) in enumerate(zip(*(people[name] for name in columns), strict=True)):
        mine: list[str] = []
        if action == channel:
            rules.append([])
        elif at[row] >= 0 and not allowed[at[row]]:
            rules.append(listed(blocked[at[row]]))
            mine = listed(named[at[row]])
        elif action != "none":
            rules.append([f"{OTHER_CHANNEL}:{action}"])
        else:
            rules.append([f"{DECISION}/{reason}" for reason in listed(why)] or [f"{DECISION}/none"])
        sources.append(mine)
    return rules, sources


def _exclude(kept: _Kept, data: CampaignData, belongs: np.ndarray, codes: list[str]) -> None:
    channels = kept.people["campaign_channel"].to_numpy(dtype=object)
    for rule in data.exclusions:
        touched = belongs[:, [codes.index(code) for code in rule.segments]].any(axis=1)
        for row in np.flatnonzero(kept.open & touched & np.isin(channels.astype(str), rule.channels)):
            kept.hold(int(row), f"exclusion/{rule.id}")


def _windows(kept: _Kept, running: tuple[Campaign, ...], timezone: str, as_of: date) -> pd.DataFrame:
    """Hours of each message in UTC: those of the rules cut by the campaign's own; holds back where they do not meet."""
    people = kept.people
    start = pd.to_datetime(people["window_start"]).astype("datetime64[us]").copy()
    end = pd.to_datetime(people["window_end"]).astype("datetime64[us]").copy()
    zones = people["timezone"].where(people["timezone"].notna(), timezone).astype(str)
    for number, one in enumerate(running):
        if one.minutes is None:
            continue
        mine = kept.open & (people["place"] == number).to_numpy()
        for zone in sorted(set(zones[mine])):
            rows = mine & (zones == zone).to_numpy()
            first, last = (_moment(as_of, minute, zone) for minute in one.minutes)
            start[rows] = start[rows].clip(lower=first)
            end[rows] = end[rows].clip(upper=last)
            for row in np.flatnonzero(rows & (start >= end).to_numpy()):
                kept.hold(int(row), f"campaign/{one.id}/window")
    return pd.DataFrame({"window_start": start, "window_end": end})


def _moment(day: date, minute: int, zone: str) -> pd.Timestamp:
    local = pd.Timestamp(day) + pd.Timedelta(minutes=minute)
    aware = local.tz_localize(zone, nonexistent="shift_forward", ambiguous=False)
    return aware.tz_convert("UTC").tz_localize(None)


def _languages(spoken: Any, language: str) -> tuple[str, ...]:
    """Languages in order of preference: the member's, the institution's, then the others that texts come in."""
    mine = str(spoken)[:2].lower() if isinstance(spoken, str) else ""
    return tuple(dict.fromkeys(one for one in (mine, language, *LANGUAGES) if one in LANGUAGES))


def _render(
    kept: _Kept,
    running: tuple[Campaign, ...],
    data: CampaignData,
    costs: Costs,
    manner: Manner,
    language: str,
    as_of: date,
) -> None:
    chosen = np.flatnonzero(kept.open)
    rows = kept.people.iloc[chosen].to_dict("records")
    may_be_sent: dict[tuple[str | None, tuple[str, ...]], tuple[Template, str | None]] = {}
    for row, member in zip(chosen, rows, strict=True):
        campaign = running[member["place"]]
        name = campaign.templates.get(member["step_code"])
        languages = _languages(member["language_code"], language)
        versions = () if name is None else data.templates.in_order(name, languages, as_of)
        if not versions:
            what = f"no_template_for_{member['step_code']}" if name is None else f"{name}_not_in_force"
            kept.hold(int(row), f"campaign/{campaign.id}/{what}")
            continue
        if (name, languages) not in may_be_sent:
            may_be_sent[name, languages] = _may_be_sent(data.standing, versions)
        template, why_not = may_be_sent[name, languages]
        if data.standing is not None and why_not is not None:
            kept.hold(int(row), *data.standing.holds(template, why_not))
            continue
        kept.template[row] = template
        values = values_of(member, template.language, manner, as_of)
        missing = sorted(one for one in template.needs() if values[one] is None)
        if missing:
            kept.hold(int(row), f"template/{template.id}/missing_{missing[0]}")
            continue
        message = template.render(values)
        segments = template.size(message).segments if template.channel == "sms" else 1
        if template.max_segments is not None and segments > template.max_segments:
            kept.hold(int(row), f"template/{template.id}/too_long")
            continue
        kept.message[row], kept.subject[row] = message, template.render_subject(values)
        kept.amount[row] = values["amount"]
        kept.segments[row], kept.cost[row] = segments, costs.of(template.channel, segments)


def _may_be_sent(standing: Standing | None, versions: Sequence[Template]) -> tuple[Template, str | None]:
    """The first of the versions that may be sent; if none may, the first and why not."""
    if standing is None:
        return versions[0], None
    reasons = [standing.why_not(one) for one in versions]
    found = reasons.index(None) if None in reasons else 0
    return versions[found], reasons[found]


def _limit(kept: _Kept, running: tuple[Campaign, ...]) -> None:
    people = kept.people
    for number, one in enumerate(running):
        if one.daily_limit is None:
            continue
        mine = people[kept.open & (people["place"] == number).to_numpy()]
        for row in mine.sort_values(["rank", "customer_id"]).index[one.daily_limit :]:
            kept.hold(int(row), f"campaign/{one.id}/daily_limit")


def _keep_budgets(kept: _Kept, costs: Costs) -> None:
    """Hold back what the budgets of the channels, and of all together, do not pay; by rank, as long as they last."""
    people = kept.people[kept.open]
    left = {channel: round(amount * _MONEY_UNITS) for channel, amount in costs.budgets.items()}
    together = None if costs.room is None else round(max(costs.room, 0.0) * _MONEY_UNITS)
    for row in people.sort_values(["rank", "customer_id"]).index:
        channel, cost = people.at[row, "campaign_channel"], round(float(kept.cost[row]) * _MONEY_UNITS)
        if cost > left.get(channel, cost):
            kept.hold(int(row), f"budget/{channel}")
        elif together is not None and cost > together:
            kept.hold(int(row), "budget/day")
        else:
            if channel in left:
                left[channel] -= cost
            together = None if together is None else together - cost


def _members_table(kept: _Kept, windows: pd.DataFrame, source_of: _Sources, as_of: date) -> pd.DataFrame:
    people = kept.people
    sent = kept.open
    first = [one[0] if one else None for one in kept.rules]
    sources = [
        named or sorted({source_of(rule) for rule in rules})
        for rules, named in zip(kept.rules, kept.named, strict=True)
    ]
    templates = [one if is_sent else None for one, is_sent in zip(kept.template, sent, strict=True)]
    return pd.DataFrame(
        {
            "as_of_date": pd.Series([as_of] * len(people), dtype=object),
            "campaign_id": people["campaign_id"].astype(object),
            "customer_id": people["customer_id"].astype(object),
            "loan_id": people["loan_id"].astype(object),
            "channel_code": people["campaign_channel"].astype(object),
            "segment_code": people["segment_code"].astype(object),
            "step_code": people["step_code"].astype(object),
            "is_sent": sent,
            "suppressed_by": pd.Series(first, dtype=object),
            "suppressed_source": pd.Series([None if one is None else source_of(one) for one in first], dtype=object),
            "blocked_by": pd.Series([_listed(tuple(one)) for one in kept.rules], dtype=object),
            "sources": pd.Series([_listed(tuple(one)) for one in sources], dtype=object),
            "template_id": pd.Series([one.id if one else None for one in templates], dtype=object),
            "template_version": pd.Series([one.version if one else None for one in templates], dtype="Int64"),
            "language_code": pd.Series([one.language if one else None for one in templates], dtype=object),
            "window_start": windows["window_start"].where(sent),
            "window_end": windows["window_end"].where(sent),
            "message_segments": kept.segments,
            "cost_amount": kept.cost.round(6),
        },
        columns=list(MEMBER_COLUMNS),
    )


@lru_cache(maxsize=4096)
def _listed(names: tuple[str, ...]) -> str:
    return as_json(names)


def _counts(table: pd.DataFrame, running: tuple[Campaign, ...], as_of: date) -> pd.DataFrame:
    rows = []
    for one in running:
        mine = table[table["campaign_id"] == one.id]
        sent = int(mine["is_sent"].sum())
        rows.append(
            (
                as_of, one.id, one.channel, one.name.es, one.name.en, one.priority, one.window, len(mine), sent,
                int((~mine["is_sent"].astype(bool)).sum()), int(mine["message_segments"].sum()),
                round(float(mine["cost_amount"].sum()), 6),
            )
        )  # fmt: skip
    return pd.DataFrame(rows, columns=list(COUNT_COLUMNS)).astype({"as_of_date": object, "hours": object})


def _suppressions(table: pd.DataFrame, running: tuple[Campaign, ...], source_of: _Sources, as_of: date) -> pd.DataFrame:
    held = table.loc[~table["is_sent"].astype(bool), ["campaign_id", "blocked_by"]]
    order = {one.id: number for number, one in enumerate(running)}
    channel = {one.id: one.channel for one in running}
    first: dict[tuple[str, str], int] = {}
    touched: dict[tuple[str, str], int] = {}
    for (campaign, rules), count in held.groupby(["campaign_id", "blocked_by"], sort=True).size().items():
        for number, rule in enumerate(json.loads(rules)):
            touched[campaign, rule] = touched.get((campaign, rule), 0) + int(count)
            first[campaign, rule] = first.get((campaign, rule), 0) + (int(count) if number == 0 else 0)
    rows = [
        (as_of, campaign, channel.get(campaign, NOBODY), rule, source_of(rule), first[campaign, rule], count)
        for (campaign, rule), count in touched.items()
    ]
    rows.sort(key=lambda row: (order.get(row[1], len(order)), -row[5], -row[6], row[3]))
    return pd.DataFrame(rows, columns=list(SUPPRESSION_COLUMNS)).astype({"as_of_date": object})


def _scripts(people: pd.DataFrame, data: CampaignData, manner: Manner, language: str, as_of: date) -> dict[str, str]:
    """Opening lines: the collector reads them, so they are in the institution's language.

    A message has one too, that of a call: whoever answers it is spoken to.
    """
    written = {}
    for member in people[people["action"] != "none"].to_dict("records"):
        names = data.scripts.get(member["action"], data.scripts.get("call", {}))
        template = data.templates.choose(names.get(member["step_code"], ""), _languages(None, language), as_of)
        if template is None:
            continue
        values = values_of(member, template.language, manner, as_of)
        if all(values[one] is not None for one in template.needs()):
            written[member["customer_id"]] = template.render(values)
    return written
