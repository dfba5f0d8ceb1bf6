"""Campaigns, segments and their moves of the small published snapshot: the product's own code over its list."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from puntual.campaigns.plan import CampaignPlan, Costs, plan_campaigns
from puntual.campaigns.registry import CampaignData, load_campaigns
from puntual.campaigns.variables import Manner
from puntual.lists.campaigns import files_of_campaign, write_previews
from puntual.paths import POLICIES
from puntual.segments.migration import migration, sizes

CHANNELS = ("call", "ivr", "whatsapp", "sms", "email", "visit")
MANNER = Manner("Cooperativa Río Claro", "USD", "EC")


def campaign_data() -> CampaignData:
    """The shipped campaigns."""
    return load_campaigns(POLICIES, None, country="EC", institution=MANNER.institution, channels=CHANNELS)


def _people(worklist: pd.DataFrame) -> pd.DataFrame:
    return worklist[["customer_id", "loan_id", "full_name", "rank", "arrears_amount", "past_due_days", "branch_id"]].assign(
        action=worklist["channel_code"], blocked_by="[]", timezone=None, language_code=None, step_code="friendly",
        window_start=pd.Timestamp("2026-06-30 12:00"), window_end=pd.Timestamp("2026-07-01 00:00"),
        collectable_amount=worklist["arrears_amount"], next_due_in_days=None, active_loan_count=1, promise_date=None,
        promised_amount=None,
    )  # fmt: skip


def _members(worklist: pd.DataFrame, as_of: date, shift: int) -> pd.DataFrame:
    codes = ["broken_promise", "early_good_payer", "early_forgetful", "late_reachable", "late_hard_to_reach"]
    return pd.DataFrame(
        {
            "as_of_date": as_of,
            "customer_id": worklist["customer_id"],
            "set_id": "management",
            "segment_code": [codes[(at + (shift if at % 7 == 0 else 0)) % len(codes)] for at in range(len(worklist))],
            "arrears_amount": worklist["arrears_amount"],
        }
    )


def plan_of(worklist: pd.DataFrame, as_of: date) -> tuple[CampaignPlan, pd.DataFrame]:
    """The plan of the list, and the people that its messages are filled from."""
    people = _people(worklist)
    details = pd.DataFrame(
        [
            (customer, channel, channel == action, '["EC-BASE/hours"]', '["S2-3"]')
            for customer, action in zip(people["customer_id"], people["action"], strict=True)
            for channel in CHANNELS
        ],
        columns=["customer_id", "channel_code", "is_allowed", "blocked_by", "sources"],
    )
    plan = plan_campaigns(
        people, details, _members(worklist, as_of, 0), data=campaign_data(), rule_sources={"EC-BASE/hours": ["S2-3"]},
        costs=Costs({"sms": 0.03, "whatsapp": 0.06}), manner=MANNER, language="es", timezone="America/Guayaquil",
        as_of=as_of,
    )  # fmt: skip
    return plan, people


def campaign_tables(worklist: pd.DataFrame, as_of: date) -> dict[str, pd.DataFrame]:
    """The four published reports."""
    data = campaign_data()
    plan, _ = plan_of(worklist, as_of)
    now = _members(worklist, as_of, 0)
    before = _members(worklist, as_of - timedelta(days=1), 1)
    moves = migration(data.segments, before, now, as_of, comparison="day", digests_before=dict(data.segments.digests))
    return {
        "rpt_campaigns": plan.counts,
        "rpt_campaign_suppressions": plan.suppressions,
        "rpt_segments": sizes(data.segments, now, as_of),
        "rpt_segment_migration": moves,
    }


def write_campaign_files(folder: Path, worklist: pd.DataFrame, as_of: date) -> dict[str, Any]:
    """Write files of each campaign and the previews; returns what the manifest says of them."""
    data = campaign_data()
    plan, people = plan_of(worklist, as_of)
    for one in data.running(as_of):
        mine = plan.members[plan.members["campaign_id"] == one.id]
        for kind, name in files_of_campaign(one).items():
            is_sent = mine["is_sent"].to_numpy(dtype=bool)
            mine.loc[is_sent if kind == "sent" else ~is_sent, ["customer_id"]].to_csv(folder / name, index=False)
    write_previews(folder, plan, people, data, MANNER, as_of)
    alarm = {"text_es": "Segmentos management: 2 socios están en más de uno.", "text_en": "Segments management: 2 members are in more than one."}  # fmt: skip
    return {
        "campaigns": {one.id: files_of_campaign(one) for one in data.running(as_of)},
        "campaign_data": json.loads(json.dumps(data.digests())),
        "segment_alarms": [alarm],
    }


def with_files(worklist: pd.DataFrame, as_of: date) -> pd.DataFrame:
    """The list in which each message names the file of its campaign."""
    plan, _ = plan_of(worklist, as_of)
    sent = plan.members[plan.members["is_sent"].to_numpy(dtype=bool)]
    campaign = dict(zip(sent["customer_id"], sent["campaign_id"], strict=True))
    file = [
        f"campaigns/{campaign[customer]}.csv" if customer in campaign else old
        for customer, old in zip(worklist["customer_id"], worklist["file"], strict=True)
    ]
    return worklist.assign(file=pd.Series(file, index=worklist.index, dtype=object))
