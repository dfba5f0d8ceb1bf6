"""Campaigns over whole decisions: one each, sent + suppressed = selected, nothing sent that was not chosen."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from puntual.campaigns.plan import CampaignPlan, Costs, plan_campaigns
from puntual.campaigns.registry import MESSAGE_CHANNELS, CampaignData, load_campaigns
from puntual.campaigns.standing import Standing
from puntual.campaigns.variables import Manner
from puntual.paths import POLICIES
from puntual.segments.data import CampaignDataError
from tests.unit.decision.worlds import QUITO, TUESDAY, at

CHANNELS = ("call", "ivr", "whatsapp", "sms", "email", "visit")
COSTS = Costs({"sms": 0.03, "whatsapp": 0.06, "email": 0.004, "ivr": 0.04})
SHIPPED = load_campaigns(POLICIES, None, country="EC", institution="Coop Andina", channels=CHANNELS)
SOURCES = {"EC-BASE/hours": ["S2-3", "S2-4"], "CH-SMS/opt_out": ["M"], "CH-WHATSAPP/service_window": ["S-54"]}


def loaded(tmp_path, **content: Any) -> CampaignData:
    (tmp_path / "campaigns.yaml").write_text(
        yaml.safe_dump({"id": "CAMPAIGNS", "version": 1} | content, allow_unicode=True), encoding="utf-8"
    )
    return load_campaigns(POLICIES, tmp_path, country="EC", institution="Coop Andina", channels=CHANNELS)


def campaign(**more: Any) -> dict[str, Any]:
    return {
        "id": "own", "name": {"es": "Propia", "en": "Own"}, "channel": "sms", "segments": ["preventive"],
        "templates": {"friendly": "sms_friendly"}, "priority": 1,
    } | more  # fmt: skip


def member(**more: Any) -> dict[str, Any]:
    start, end = at("2026-06-30 07:00"), at("2026-06-30 20:00")
    return {
        "loan_id": "l1", "action": "sms", "blocked_by": "[]", "rank": 1, "window_start": start, "window_end": end,
        "timezone": None, "language_code": None, "step_code": "friendly", "full_name": "María Quizhpe",
        "arrears_amount": 120.5, "collectable_amount": 200.0, "past_due_days": 5, "next_due_in_days": 3,
        "active_loan_count": 1, "branch_id": "B1", "promise_date": None, "promised_amount": None,
        "segment": "early_forgetful", "forbidden": {},
    } | more  # fmt: skip


def planned(*rows: dict[str, Any], data: CampaignData = SHIPPED, costs: Costs = COSTS) -> CampaignPlan:
    people = [member(**row) | {"customer_id": f"m{number:03d}"} for number, row in enumerate(rows)]
    details = pd.DataFrame(
        [
            {"customer_id": one["customer_id"], "channel_code": channel,
             "is_allowed": channel not in one["forbidden"],
             "blocked_by": json.dumps(one["forbidden"].get(channel, [])), "sources": json.dumps(["S2-3", "S2-4"])}
            for one in people for channel in CHANNELS
        ]
    )  # fmt: skip
    belonging = pd.DataFrame(
        {
            "customer_id": [one["customer_id"] for one in people],
            "set_id": "management",
            "segment_code": [one["segment"] for one in people],
        }
    )
    frame = pd.DataFrame(people).drop(columns=["segment", "forbidden"])
    for name in ("window_start", "window_end"):
        frame[name] = pd.to_datetime(frame[name]).astype("datetime64[us]")
    return plan_campaigns(
        frame, details, belonging, data=data, rule_sources=SOURCES, costs=costs,
        manner=Manner("Coop Andina", "USD", "EC"), language="es", timezone=QUITO, as_of=TUESDAY,
    )  # fmt: skip


def row_of(plan: CampaignPlan, who: str = "m000") -> pd.Series:
    return plan.members.set_index("customer_id").loc[who]


def test_a_chosen_message_goes_out_in_the_first_campaign_of_its_channel_and_segment():
    plan = planned({}, {"action": "whatsapp"}, {"action": "email"}, {"segment": "hardship"}, {"segment": None})
    assert plan.members["campaign_id"].tolist() == [
        "early_sms", "early_whatsapp", "rest_email", "rest_sms", "rest_sms",
    ]  # fmt: skip
    assert plan.members["is_sent"].all() and plan.problems() == []
    assert plan.messages.loc[0, "message"] == (
        "Coop Andina: Maria, le recordamos su pago de USD 120,50, con 5 dias de atraso. "
        "Si ya pago, no tome en cuenta este mensaje."
    )
    assert plan.messages.loc[1, "message"].endswith("Responda BAJA para no recibir más mensajes.")
    assert plan.messages.loc[2, "subject"] == "Recordatorio de pago de Coop Andina"


def test_who_gets_no_message_is_held_back_with_rule_and_source():
    plan = planned(
        {"action": "call", "forbidden": {"whatsapp": ["EC-BASE/hours", "CH-SMS/opt_out"]}},
        {"action": "call"},
        {"action": "none", "blocked_by": '["capacity"]'},
        {"action": "none", "blocked_by": '["experiment:e1:hold_out"]'},
        {"action": "none", "blocked_by": "[]", "forbidden": {"whatsapp": ["NO-POLICY-XX"]}},
    )
    assert set(plan.members["campaign_id"]) == {"early_whatsapp"} and not plan.members["is_sent"].any()
    assert list(zip(plan.members["suppressed_by"], plan.members["suppressed_source"], strict=True)) == [
        ("EC-BASE/hours", "S2-3, S2-4"),
        ("decision/other_channel:call", "decision"),
        ("decision/capacity", "decision"),
        ("decision/experiment:e1:hold_out", "decision"),
        ("NO-POLICY-XX", "decision"),
    ]
    counted = plan.suppressions.set_index("rule_id")
    # the first member is under two rules: once under its first, touched by both
    assert counted.loc["EC-BASE/hours", ["suppressed_count", "touched_count"]].tolist() == [1, 1]
    assert counted.loc["CH-SMS/opt_out", ["suppressed_count", "touched_count"]].tolist() == [0, 1]
    assert counted.loc["CH-SMS/opt_out", "rule_source"] == "M"
    assert plan.problems() == []


def test_what_holds_a_chosen_message_back(tmp_path):
    data = loaded(
        tmp_path,
        campaigns=[
            campaign(window="21:00-22:00"),
            campaign(id="steps", segments=["early_forgetful"], priority=2),
            campaign(id="few", segments=["late_reachable"], priority=3, daily_limit=1),
        ],
        exclusions=[
            {
                "id": "calm",
                "segments": ["hardship"],
                "channels": ["sms"],
                "note": {"es": "x", "en": "x"},
                "sources": ["board"],
            }
        ],
    )
    plan = planned(
        {"segment": "preventive"},
        {"step_code": "firm"},
        {"segment": "late_reachable", "rank": 2},
        {"segment": "late_reachable", "rank": 1},
        {"segment": "hardship"},
        {"segment": "broken_promise", "full_name": "Maximiliana" * 40},
        data=data,
    )
    assert plan.members["suppressed_by"].tolist() == [
        "campaign/own/window",
        "campaign/steps/no_template_for_firm",
        "campaign/few/daily_limit",
        None,
        "exclusion/calm",
        "template/sms_friendly/too_long",
    ]
    assert row_of(plan, "m004")["suppressed_source"] == "board"
    assert plan.problems() == [] and plan.messages["customer_id"].tolist() == ["m003"]


def standing(*rows: tuple[str, ...], rules: dict[str, str] | None = None) -> Standing:
    names = ["channel_code", "template_id", "status_code", "quality_code"]
    told = Standing.of(pd.DataFrame(rows, columns=names), APPROVAL if rules is None else rules)
    assert told is not None
    return told


APPROVAL = {"whatsapp": "CH-WHATSAPP/service_window"}
WHATSAPP = {"action": "whatsapp"}


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([("whatsapp", "whatsapp_friendly", "paused", "red"), ("whatsapp", "whatsapp_firm", "approved", "")], "paused"),
        ([("whatsapp", "whatsapp_friendly", "approved", "red")], "red"),
        ([("whatsapp", "whatsapp_friendly", "", "green")], "without_status"),
        ([("whatsapp", "whatsapp_firm", "approved", "green")], "not_listed"),
        ([("sms", "whatsapp_friendly", "approved", "green")], "not_listed"),
        # of two rows about one template both must let it through
        ([("whatsapp", "whatsapp_friendly", "approved", ""), ("whatsapp", "whatsapp_friendly", "disabled", "")], "disabled"),
        ([], "not_listed"),
    ],
)  # fmt: skip
def test_a_template_that_may_not_be_sent_is_held_back_by_the_rule_and_its_source(rows: list, why: str):
    data = replace(SHIPPED, standing=standing(*rows))
    plan = planned(WHATSAPP, {}, data=data)
    held = row_of(plan)
    assert not held["is_sent"] and held["template_id"] is None
    assert (held["suppressed_by"], held["suppressed_source"]) == ("CH-WHATSAPP/service_window", "S-54")
    assert json.loads(held["blocked_by"]) == [
        "CH-WHATSAPP/service_window", f"template_quality/whatsapp_friendly/{why}",
    ]  # fmt: skip
    # a text message has no such rule: a template that the file does not name goes out
    assert row_of(plan, "m001")["is_sent"]
    assert plan.problems() == []


def test_a_template_of_another_channel_is_held_back_where_the_file_says_so():
    data = replace(SHIPPED, standing=standing(("sms", "sms_friendly", "rejected", "")))
    held = row_of(planned({}, data=data))
    assert (held["suppressed_by"], held["suppressed_source"]) == (
        "template_quality/sms_friendly/rejected",
        "template_quality.csv",
    )


def test_a_usable_version_or_language_of_the_template_is_sent_instead(tmp_path):
    text = next(
        one for one in SHIPPED.templates.by_key.values() if one.id == "whatsapp_friendly" and one.language == "es"
    )
    newer = text.model_copy(update={"version": 2, "approved_name": "newer_reminder"}).model_dump(
        mode="json", exclude_none=True
    )
    (tmp_path / "templates.yaml").write_text(
        yaml.safe_dump({"id": "TEMPLATES", "templates": [newer]}, allow_unicode=True), encoding="utf-8"
    )
    data = loaded(tmp_path)

    def sent(*rows: tuple[str, ...]) -> list[Any]:
        row = row_of(planned(WHATSAPP, data=replace(data, standing=standing(*rows))))
        return [row["is_sent"], row["language_code"], row["template_version"]]

    older, english = text.approved_name, "puntual_friendly_reminder"
    assert sent(("whatsapp", "whatsapp_friendly", "approved", "yellow")) == [True, "es", 2]
    paused = ("whatsapp", "newer_reminder", "paused", "")
    assert sent(paused, ("whatsapp", older, "approved", "")) == [True, "es", 1]
    assert sent(paused, ("whatsapp", "whatsapp_friendly_es_v1", "approved", "")) == [True, "es", 1]
    assert sent(paused, ("whatsapp", english, "approved", "")) == [True, "en", 1]
    stored = CampaignData.parse(replace(data, standing=standing(paused)).dump())
    assert not row_of(planned(WHATSAPP, data=stored))["is_sent"], "the day's own record forgets the templates"


def test_no_budget_is_exceeded_by_messages_of_several_segments(tmp_path):
    """Three segments each: the best are sent as long as the money lasts, the others held back by the budget."""
    long = "{institution}: " + "x" * 300 + " {first_name}"
    text = {"id": "sms_long", "version": 1, "language": "es", "channel": "sms", "tone": "friendly",
            "sender": "{institution}", "max_segments": 3, "accents": "drop", "text": long}  # fmt: skip
    (tmp_path / "templates.yaml").write_text(
        yaml.safe_dump({"id": "TEMPLATES", "templates": [text]}, allow_unicode=True), encoding="utf-8"
    )
    data = loaded(tmp_path, campaigns=[campaign(templates={"friendly": "sms_long"}, segments="all")])
    people = [{"rank": 9 - number} for number in range(8)] + [{"action": "email", "rank": 99}]

    def sent(**limits: Any) -> pd.DataFrame:
        plan = planned(*people, data=data, costs=replace(Costs(COSTS.by_channel, sms_by_segment=True), **limits))
        assert plan.problems() == []
        return plan.members

    assert sent()["cost_amount"].tolist() == pytest.approx([0.09] * 8 + [0.004])
    few = sent(budgets={"sms": 0.30})
    assert few.loc[few["channel_code"] == "sms", "cost_amount"].sum() == pytest.approx(0.27)
    # the best ranks are the last three
    assert few["is_sent"].tolist() == [False] * 5 + [True] * 4
    assert set(few.loc[~few["is_sent"], "suppressed_by"]) == {"budget/sms"}
    assert set(few.loc[~few["is_sent"], "suppressed_source"]) == {"puntual.yaml"}
    assert sent(budgets={"sms": 0.27})["is_sent"].sum() == 4
    assert sent(budgets={"sms": 0.2699})["is_sent"].sum() == 3
    together = sent(room=0.094)
    assert together["is_sent"].tolist() == [False] * 7 + [True, True]
    assert set(together.loc[~together["is_sent"], "suppressed_by"]) == {"budget/day"}
    assert not sent(room=-1.0)["is_sent"].any()
    assert data.most_segments(TUESDAY) == 3


def test_a_variable_that_the_member_lacks_holds_the_message_back(tmp_path):
    text = {"id": "sms_promise", "version": 1, "language": "es", "channel": "sms", "tone": "friendly",
            "sender": "{institution}", "max_segments": 2, "text": "{institution}: prometió pagar el {promise_date}"}  # fmt: skip
    (tmp_path / "templates.yaml").write_text(
        yaml.safe_dump({"id": "TEMPLATES", "templates": [text | {"accents": "drop"}]}, allow_unicode=True),
        encoding="utf-8",
    )
    data = loaded(tmp_path, campaigns=[campaign(templates={"friendly": "sms_promise"})])
    plan = planned({"segment": "preventive"}, {"segment": "preventive", "promise_date": "2026-07-02"}, data=data)
    assert plan.members["suppressed_by"].tolist() == ["template/sms_promise/missing_promise_date", None]
    assert plan.messages["message"].tolist() == ["Coop Andina: prometio pagar el 2 jul 2026"]


def test_the_window_is_that_of_the_rules_cut_by_the_campaign_in_the_members_time():
    plan = planned({}, {"timezone": "America/Mexico_City"})
    assert row_of(plan)["window_start"] == at("2026-06-30 08:00")
    assert row_of(plan)["window_end"] == at("2026-06-30 19:00")
    assert row_of(plan, "m001")["window_start"] == at("2026-06-30 08:00", "America/Mexico_City")


def test_the_member_is_written_to_in_its_language_and_tone():
    plan = planned(
        {"language_code": "en", "step_code": "firm"}, {"language_code": "qu"}, {"action": "call", "step_code": "formal"}
    )
    assert plan.messages["message"][0].startswith("Coop Andina: María, your payment of USD 120.50 is outstanding")
    assert plan.messages["message"][1].startswith("Coop Andina: Maria, le recordamos")
    assert row_of(plan)["template_id"] == "sms_firm" and row_of(plan)["language_code"] == "en"
    assert plan.scripts["m002"] == (
        "Buenos días, María Quizhpe. Le habla Coop Andina. Le informo que su crédito registra USD 120,50 con "
        "5 días de atraso. Queremos acordar con usted una forma de pago que pueda cumplir; ¿qué propone?"
    )
    # whoever answers a message is spoken to in the tone of its step too, in the language of the collector
    assert plan.scripts["m000"].startswith("Buenos días, María Quizhpe. Le saluda Coop Andina. Su crédito tiene USD")
    assert sorted(plan.scripts) == ["m000", "m001", "m002"]


def test_a_text_message_costs_by_segment_if_the_setting_says_so():
    # with a name of 100 letters the message has 2 segments
    rows = ({"full_name": "M" * 100},)
    assert row_of(planned(*rows))["cost_amount"] == pytest.approx(0.03)
    by_segment = planned(*rows, costs=Costs(COSTS.by_channel, sms_by_segment=True))
    assert row_of(by_segment)["message_segments"] == 2
    assert row_of(by_segment)["cost_amount"] == pytest.approx(0.06)


def dropped(name: str) -> Callable[[dict], dict]:
    return lambda given: {key: value for key, value in given.items() if key != name}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"campaigns": [campaign(segments=["nobody"])]}, "campaigns.own.segments: 'nobody' is no segment"),
        ({"campaigns": [campaign(templates={"friendly": "x"})]}, "campaigns.own.templates: 'x' is no template; of sms"),
        ({"campaigns": [campaign(templates={"angry": "sms_firm"})]}, "'angry' is no step"),
        ({"campaigns": [campaign(templates={"firm": "sms_friendly"})]}, "speaks in the tone friendly"),
        ({"campaigns": [campaign(channel="email")]}, "sms_friendly is a template of sms, not of email"),
        ({"campaigns": [campaign(window="18:00-08:00")]}, "no span of hours"),
        ({"campaigns": [campaign(id="own_suppressed")]}, "may not end with _suppressed"),
        ({"campaigns": [campaign(priority=10)]}, "10 is that of own too|10 is that of preventive_sms too"),
        ({"campaigns": [campaign(), campaign()]}, "own stands twice"),
        ({"campaigns": [campaign(tempaltes={})]}, "campaigns.own.tempaltes: unknown key"),
        ({"campaigns": [campaign(id="rest_sms", priority=900)]}, "no campaign takes every member whom sms"),
        ({"scripts": {"call": {"friendly": "script_friendly"}}}, "no opening line for the step firm, formal"),
        ({"exclusions": [{"id": "x", "segments": ["no"], "channels": ["sms"], "note": {"es": "x", "en": "x"}}]},
         "exclusions.x.segments: 'no' is no segment"),
    ],
)  # fmt: skip
def test_what_is_refused_is_said_with_file_and_key(content, said, tmp_path):
    with pytest.raises(CampaignDataError, match=said) as refused:
        loaded(tmp_path, **content)
    assert "campaigns.yaml" in str(refused.value)


def test_a_text_message_that_the_institutions_own_name_makes_too_long_is_refused():
    with pytest.raises(CampaignDataError, match="max_segments 2; shorten the text"):
        load_campaigns(POLICIES, None, country="EC", institution="C" * 250, channels=CHANNELS)


def test_a_campaign_switched_off_gives_its_members_to_the_next(tmp_path):
    off = yaml.safe_load((POLICIES / "campaigns.yaml").read_text(encoding="utf-8"))["campaigns"]
    off = next(one for one in off if one["id"] == "early_sms") | {"enabled": False}
    assert planned({}, data=loaded(tmp_path, campaigns=[off])).members["campaign_id"].tolist() == ["rest_sms"]


def test_the_days_own_record_of_the_definitions_is_the_definitions():
    again = CampaignData.parse(SHIPPED.dump())
    assert again.campaigns == SHIPPED.campaigns and again.templates.by_key == SHIPPED.templates.by_key
    assert (
        again.segments == SHIPPED.segments and again.digests() == SHIPPED.digests() and again.dump() == SHIPPED.dump()
    )


reason = st.sampled_from(["capacity", "no_positive_value", "exploration_none", "experiment:e:hold_out"])
rules = st.lists(st.sampled_from(["EC-BASE/hours", "CH-SMS/opt_out", "X/y"]), min_size=1, max_size=3, unique=True)


@st.composite
def books(draw):
    segments = [None, "preventive", "early_forgetful", "late_reachable", "hardship", "broken_promise", "restricted"]
    rows = []
    for number in range(draw(st.integers(0, 25))):
        action = draw(st.sampled_from([*CHANNELS, "none"]))
        forbidden = draw(st.dictionaries(st.sampled_from(CHANNELS), rules, max_size=6))
        forbidden.pop(action, None)  # the decision never chooses what the rules forbid
        late = draw(st.sampled_from([0, 1, 9, 40]))
        hour = draw(st.integers(7, 19))
        rows.append(
            {"action": action, "forbidden": forbidden, "segment": draw(st.sampled_from(segments)),
             "blocked_by": json.dumps([draw(reason)] if action == "none" else []), "rank": number + 1,
             "step_code": draw(st.sampled_from(["friendly", "firm", "formal"])), "past_due_days": late,
             "window_start": at(f"2026-06-30 {hour:02d}:00"), "full_name": draw(st.sampled_from(["Ana", None, "Á" * 150])),
             "language_code": draw(st.sampled_from([None, "es", "en", "qu"])),
             "next_due_in_days": draw(st.sampled_from([None, 2]))}
        )  # fmt: skip
    return rows


@settings(max_examples=60, deadline=None)
@given(books())
def test_sent_and_suppressed_are_the_selected_and_everybody_is_in_one_campaign(rows):
    if not rows:
        return
    plan = planned(*rows)
    assert plan.problems() == []
    assert plan.members["customer_id"].tolist() == [f"m{number:03d}" for number in range(len(rows))]
    sent = plan.members["is_sent"].to_numpy(dtype=bool)
    action = np.array([row["action"] for row in rows], dtype=object)
    channel = plan.members["channel_code"].to_numpy(dtype=object)
    assert (action[sent] == channel[sent]).all(), "nothing is sent that the decision did not choose"
    assert set(channel) <= set(MESSAGE_CHANNELS)
    held = plan.members[~sent]
    assert held["suppressed_by"].notna().all() and (held["suppressed_source"] != "").all()
    assert (plan.members.loc[sent, "blocked_by"] == "[]").all()
    assert set(plan.messages["customer_id"]) == set(plan.members.loc[sent, "customer_id"])
    assert (plan.members.loc[~sent, ["message_segments", "cost_amount"]] == 0).all().all()
    again = planned(*rows)
    pd.testing.assert_frame_equal(plan.members, again.members)
