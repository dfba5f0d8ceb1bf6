"""The weekly panel as arrays, the filter against a slow one, and what a trained willingness promises."""

from __future__ import annotations

import json
from datetime import date, timedelta
from math import exp, pi, sqrt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from models.features import CONTACT_CHANNELS, RECORD_COLUMNS, WILLINGNESS_COLUMNS
from models.willingness.card import render
from models.willingness.kalman import FilterParameters, walk
from models.willingness.model import WillingnessModel
from models.willingness.panel import COLUMNS, GROUP_COUNT, WeeklyPanel, weekly_panel
from models.willingness.record import Usual, WeeklyContacts, records, usual, weekly_contacts
from models.willingness.train import fit, why_off
from puntual.errors import ModelError

LAST = date(2026, 6, 29)
PARAMETERS = FilterParameters(level_variance=1.2, persistence=0.9, trouble_variance=0.5)


def week_rows(paid: np.ndarray, owed: np.ndarray | None = None, days: np.ndarray | None = None) -> pd.DataFrame:
    """A panel of ``paid`` (weeks by members), of one instalment of 100 each; ``owed`` says who owes at all."""
    weeks, members = paid.shape
    week, member = np.nonzero(np.ones_like(paid) if owed is None else owed)
    ends = [pd.Timestamp(LAST - timedelta(days=7 * (weeks - 1 - w))) for w in range(weeks)]
    since = np.zeros((weeks, members)) if days is None else days
    return pd.DataFrame(
        {
            "week_end_date": [ends[w] for w in week],
            "customer_id": [f"C{m:05d}" for m in member],
            "owing_loan_count": 1,
            "days_since_due": since[week, member].astype(int),
            "collectable_amount": 100.0,
            "installment_amount": 100.0,
            "paid_amount": 100.0 * paid[week, member],
        }
    )


def keys_on(day: date, members: int) -> pd.DataFrame:
    return pd.DataFrame({"as_of_date": pd.Timestamp(day), "customer_id": [f"C{m:05d}" for m in range(members)]})


def flat_model(parameters: FilterParameters = PARAMETERS, constant: float = 0.5) -> WillingnessModel:
    return WillingnessModel(LAST, constant, (0.0,) * GROUP_COUNT, parameters)


def simulated(
    members: int, weeks: int, parameters: FilterParameters, *, seed: int, overdue_effect: float = 0.0
) -> tuple[pd.DataFrame, np.ndarray]:
    """Weeks of people with a level and a trouble, and their level; who did not pay is overdue in the week after."""
    random = np.random.default_rng(seed)
    level = random.normal(0, sqrt(parameters.level_variance), members)
    trouble = random.normal(0, sqrt(parameters.trouble_variance), members)
    renewal = sqrt(parameters.trouble_variance * (1 - parameters.persistence**2))
    overdue = np.zeros(members)
    paid, days = np.zeros((weeks, members)), np.zeros((weeks, members))
    for week in range(weeks):
        days[week] = overdue
        logit = 0.8 + overdue_effect * (overdue > 0) + level + trouble
        paid[week] = random.random(members) < expit(logit)
        overdue = np.where(paid[week] > 0, 0, overdue + 7)
        trouble = parameters.persistence * trouble + random.normal(0, renewal, members)
    owed = random.random((weeks, members)) < 0.7
    return week_rows(paid, owed, days), level


# --- the panel ---------------------------------------------------------------------------------------------------


def test_rows_are_ordered_by_week_and_member_and_grouped_by_value() -> None:
    rows = week_rows(np.array([[1, 0], [0, 1]]))
    rows.loc[0, ["days_since_due", "collectable_amount", "owing_loan_count"]] = [31, 250.0, 2]
    panel = weekly_panel(rows.iloc[::-1])
    assert panel.week_ends == (date(2026, 6, 22), LAST)
    assert panel.starts.tolist() == [0, 2, 4]
    assert panel.member.tolist() == [0, 1, 0, 1]
    assert panel.paid.tolist() == [1, 0, 0, 1]
    # 31 passes 14 edges of days; 2.5 instalments pass 5 after 19 groups; the week begins on the 15th: 4 after 10 more;
    # two loans pass 1 after 10 more.
    assert panel.groups[0].tolist() == [14, 19 + 5, 29 + 4, 39 + 1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows.drop(columns="paid_amount"), "lacks"),
        (lambda rows: pd.concat([rows, rows.head(1)]), "twice"),
        (
            lambda rows: rows.assign(
                week_end_date=rows["week_end_date"].where(rows.index > 0, pd.Timestamp(LAST - timedelta(days=3)))
            ),
            "seven days apart",
        ),
    ],
)
def test_a_wrong_panel_is_refused(change, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        weekly_panel(change(week_rows(np.ones((2, 2)))))


def test_an_empty_panel_knows_nothing_of_anybody() -> None:
    panel = weekly_panel(week_rows(np.zeros((0, 0))))
    assert "weeks" in why_off(panel)
    assert flat_model().states(panel, keys_on(LAST, 3)).isna().all(axis=None)


# --- the filter --------------------------------------------------------------------------------------------------


def slow_states(panel: WeeklyPanel, expected: np.ndarray, parameters: FilterParameters) -> np.ndarray:
    """Level, trouble and variance of each member at the end, one member and one matrix at a time."""
    found = []
    for member in range(len(panel.members)):
        mean = np.zeros(2)
        cover = np.diag([parameters.level_variance, parameters.trouble_variance])
        move = np.diag([1.0, parameters.persistence])
        noise = np.diag([0.0, parameters.trouble_variance * (1 - parameters.persistence**2)])
        look = np.ones(2)
        for week in range(len(panel.week_ends)):
            mean, cover = move @ mean, move @ cover @ move.T + noise
            for row in range(panel.starts[week], panel.starts[week + 1]):
                if panel.member[row] != member:
                    continue
                total = look @ cover @ look
                logit = (expected[row] + look @ mean) / sqrt(1 + pi * total / 8)
                chance = 1 / (1 + exp(-logit))
                weight = chance * (1 - chance)
                gain = cover @ look / (total + 1 / weight)
                mean = mean + gain * (panel.paid[row] - chance) / weight
                cover = cover - np.outer(gain, look @ cover)
        found.append([*mean, look @ cover @ look])
    return np.array(found)


@given(
    paid=st.lists(st.lists(st.sampled_from([0, 1, 2]), min_size=4, max_size=4), min_size=2, max_size=12),
    level=st.floats(0.1, 3.0),
    persistence=st.floats(0.3, 0.99),
    trouble=st.floats(0.05, 2.0),
)
@settings(max_examples=40, deadline=None)
def test_all_members_at_once_are_as_one_at_a_time(
    paid: list[list[int]], level: float, persistence: float, trouble: float
) -> None:
    seen = np.array(paid)
    rows = week_rows((seen == 1).astype(float), seen < 2)
    if rows.empty:
        return
    panel = weekly_panel(rows)
    parameters = FilterParameters(level, persistence, trouble)
    model = flat_model(parameters)
    expected = model.expected(panel)
    last = len(panel.week_ends) - 1
    state = walk(panel, expected, parameters, keep=[last]).states[last]
    fast = np.column_stack([state.level, state.trouble, state.variance])
    np.testing.assert_allclose(fast, slow_states(panel, expected, parameters), atol=2e-4)


def test_one_week_by_hand() -> None:
    # Expected log odds 0, variance 1 + 3 = 4: chance .5, weight .25. A payment moves the level by 1 * .5 / (1 + 4 * .25)
    # = .25 and the trouble by 3 * .5 / 2 = .75; the variance falls from 4 to 4 - 16 * .25 / 2 = 2.
    panel = weekly_panel(week_rows(np.ones((1, 1))))
    state = walk(panel, np.zeros(1, np.float32), FilterParameters(1.0, 0.9, 3.0), keep=[0]).states[0]
    assert (state.level[0], state.trouble[0], state.variance[0]) == pytest.approx((0.25, 0.75, 2.0))


def test_trouble_fades_through_weeks_in_which_nothing_is_owed_and_the_level_stays() -> None:
    paid = np.zeros((9, 2))
    paid[:, 1] = 1
    owed = np.ones((9, 2))
    owed[1:, 0] = 0
    panel = weekly_panel(week_rows(paid, owed))
    states = walk(panel, np.zeros(10, np.float32), PARAMETERS, keep=range(9)).states
    assert states[8].level[0] == states[0].level[0]
    assert states[8].trouble[0] == pytest.approx(states[0].trouble[0] * 0.9**8, rel=1e-5)
    assert states[8].variance[0] > states[0].variance[0]


@given(others=st.lists(st.booleans(), min_size=20, max_size=20), missed=st.sets(st.integers(0, 19), min_size=1))
@settings(max_examples=40, deadline=None)
def test_who_pays_every_week_has_the_higher_level(others: list[bool], missed: set[int]) -> None:
    paid = np.ones((20, 3))
    paid[:, 2] = others
    paid[list(missed), 1] = 0
    found = flat_model().states(weekly_panel(week_rows(paid)), keys_on(LAST, 3))
    always, sometimes = found["willingness_level"].iloc[:2]
    assert always > sometimes


# --- point in time -----------------------------------------------------------------------------------------------


@given(cut=st.integers(1, 11), seed=st.integers(0, 5))
@settings(max_examples=20, deadline=None)
def test_later_weeks_change_nothing_before_them(cut: int, seed: int) -> None:
    rows, _ = simulated(30, 12, PARAMETERS, seed=seed)
    day = LAST - timedelta(days=7 * (12 - cut))
    before = rows[rows["week_end_date"] <= pd.Timestamp(day)]
    model = flat_model()
    whole, past = (model.states(weekly_panel(part), keys_on(day, 30)) for part in (rows, before))
    pd.testing.assert_frame_equal(whole, past)


def test_a_week_counts_from_its_last_day_on() -> None:
    panel = weekly_panel(week_rows(np.array([[1.0], [0.0]])))
    model = flat_model()
    by_day = {days: model.states(panel, keys_on(LAST - timedelta(days=days), 1)).iloc[0] for days in (0, 1, 7, 8)}
    assert by_day[8].isna().all()
    assert by_day[1].equals(by_day[7])
    assert by_day[0]["willingness_level"] < by_day[1]["willingness_level"]


def test_the_order_of_the_rows_changes_nothing() -> None:
    rows, _ = simulated(200, 20, PARAMETERS, seed=1)
    model, again = (fit(weekly_panel(part), as_of=LAST) for part in (rows, rows.sample(frac=1, random_state=0)))
    assert again.to_files() == model.to_files()
    assert again.card == model.card


def test_a_member_who_never_owed_has_no_willingness_and_keys_keep_their_order() -> None:
    panel = weekly_panel(week_rows(np.ones((3, 2))))
    keys = pd.concat([keys_on(LAST, 3), keys_on(LAST - timedelta(days=7), 1)]).iloc[::-1]
    found = flat_model().states(panel, keys)
    assert found.index.equals(keys.index)
    assert found["willingness_level"].isna().tolist() == [False, True, False, False]
    assert list(found.columns) == list(WILLINGNESS_COLUMNS)


def test_a_panel_that_ends_too_early_is_refused() -> None:
    with pytest.raises(ModelError, match="too early"):
        flat_model().states(weekly_panel(week_rows(np.ones((3, 2)))), keys_on(LAST + timedelta(days=15), 2))


# --- the record of contacts --------------------------------------------------------------------------------------


def contact_rows(*rows: tuple[int, int, str, int, int]) -> pd.DataFrame:
    """Days before LAST, member, channel, attempts and how many of them reached the member."""
    return pd.DataFrame(
        [
            (pd.Timestamp(LAST - timedelta(days=d)), f"C{m:05d}", channel, tries, hits)
            for d, m, channel, tries, hits in rows
        ],
        columns=["occurred_date", "customer_id", "channel_code", "attempt_count", "contact_count"],
    )


def call(value: float) -> tuple[float, ...]:
    """A value for calls, 0 for the other channels."""
    return (value, *(0.0,) * (len(CONTACT_CHANNELS) - 1))


def test_a_record_worked_by_hand() -> None:
    """One member, two weeks; a call reached in the first, when the member paid, two did not in the second.

    Chance .6 in both weeks: the reached week has surprise 1 - .6 = .4 and information .6 x .4 = .24. A call is answered
    half the time and shifts the log odds by .5 as a rule, so the member's own response is (.4 - .5 x .24) / (.24 + 1.5).
    """
    panel = weekly_panel(week_rows(np.array([[1.0], [0.0]])))
    contacts = weekly_contacts(contact_rows((7, 0, "call", 1, 1), (6, 0, "call", 2, 0)), panel)
    norm = Usual(call(0.5), call(0.5))
    chance = np.array([0.6, 0.6])
    found = records(panel, contacts, chance, norm, {0: np.array([0]), 1: np.array([0])})
    first, second = (dict(zip(RECORD_COLUMNS, found[week][0], strict=True)) for week in (0, 1))
    response = (0.4 - 0.5 * 0.24) / (0.24 + 1.5)
    assert first["call_reach_score"] == pytest.approx((1 + 4 * 0.5) / 5)
    assert first["reach_score"] == pytest.approx((1 - 0.5) / (0.25 + 1))
    assert first["call_response_score"] == pytest.approx(response)
    assert first["fatigue_score"] == pytest.approx(1.0)
    assert second["call_reach_score"] == pytest.approx((1 + 4 * 0.5) / 7)
    assert second["reach_score"] == pytest.approx((1 - 1.5) / (0.75 + 1))
    assert second["call_response_score"] == second["response_score"] == pytest.approx(response)
    assert second["fatigue_score"] == pytest.approx(0.7 + 2)
    assert first["sms_reach_score"] == first["sms_response_score"] == 0.0


def test_what_is_usual_worked_by_hand() -> None:
    """Two members reached by a call in one week, one of whom paid: surprises .4 and -.6, information .24 each."""
    panel = weekly_panel(week_rows(np.array([[1.0, 0.0]])))
    contacts = weekly_contacts(contact_rows((0, 0, "call", 1, 1), (1, 1, "call", 3, 1)), panel)
    found = usual(panel, contacts, np.array([0.6, 0.6]))
    assert found.reach == pytest.approx(call(0.5))
    assert found.response == pytest.approx(call(-0.2 / (0.48 + 1.5)))


def test_contacts_of_other_members_channels_and_weeks_are_left_out_and_those_of_a_day_are_summed() -> None:
    panel = weekly_panel(week_rows(np.ones((2, 2))))
    rows = contact_rows(
        (0, 0, "sms", 1, 1), (6, 0, "sms", 1, 0), (7, 1, "sms", 1, 0), (13, 1, "sms", 1, 1),
        (14, 0, "sms", 1, 1), (-1, 0, "sms", 1, 1), (0, 7, "sms", 1, 1), (0, 0, "letter", 1, 1),
    )  # fmt: skip
    found = weekly_contacts(rows, panel)
    assert found.starts.tolist() == [0, 1, 2]
    assert (found.member.tolist(), found.tries.tolist(), found.hits.tolist()) == ([1, 0], [2, 2], [1, 1])
    with pytest.raises(ModelError, match="lack"):
        weekly_contacts(rows.drop(columns="contact_count"), panel)


def test_a_contact_in_a_week_without_debt_says_nothing_of_the_response() -> None:
    owed = np.array([[True, True], [True, False]])
    panel = weekly_panel(week_rows(np.ones((2, 2)), owed))
    contacts = weekly_contacts(contact_rows((0, 1, "call", 1, 1)), panel)
    found = records(panel, contacts, np.full(3, 0.5), Usual(call(0.5)), {1: np.array([0, 1])})
    named = pd.DataFrame(found[1], columns=list(RECORD_COLUMNS))
    assert named["call_response_score"].tolist() == [0.0, 0.0]
    assert named["call_reach_score"].tolist() == pytest.approx([0.5, (1 + 2) / 5])


@given(cut=st.integers(1, 11), seed=st.integers(0, 5))
@settings(max_examples=20, deadline=None)
def test_later_weeks_and_contacts_change_no_record_before_them(cut: int, seed: int) -> None:
    rows, _ = simulated(30, 12, PARAMETERS, seed=seed)
    random = np.random.default_rng(seed)
    made = contact_rows(
        *(
            (int(random.integers(0, 84)), int(random.integers(0, 30)), str(random.choice(CONTACT_CHANNELS)), 1, hit)
            for hit in random.integers(0, 2, 300)
        )
    )
    day = pd.Timestamp(LAST - timedelta(days=7 * (12 - cut)))
    model = flat_model()

    def known(panel_rows: pd.DataFrame, contacts: pd.DataFrame) -> pd.DataFrame:
        panel = weekly_panel(panel_rows)
        return model.states(panel, keys_on(day.date(), 30), weekly_contacts(contacts, panel))

    whole = known(rows, made)
    past = known(rows[rows["week_end_date"] <= day], made[made["occurred_date"] <= day])
    pd.testing.assert_frame_equal(whole, past)
    assert whole["fatigue_score"].gt(0).any()
    assert list(whole.columns) == [*WILLINGNESS_COLUMNS, *RECORD_COLUMNS]


def test_who_pays_after_contacts_has_the_higher_response() -> None:
    """Two members who pay every second week; one of them in the weeks of the calls, the other in the rest."""
    weeks = 30
    paid = np.zeros((weeks, 2))
    paid[::2, 0], paid[1::2, 1] = 1, 1
    panel = weekly_panel(week_rows(paid))
    calls = [(7 * (weeks - 1 - week), member, "call", 1, 1) for week in range(0, weeks, 2) for member in (0, 1)]
    contacts: WeeklyContacts = weekly_contacts(contact_rows(*calls), panel)
    found = flat_model().states(panel, keys_on(LAST, 2), contacts)
    moved, unmoved = found["call_response_score"]
    assert moved > 0.5
    assert unmoved < -0.5


# --- fitting -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fitted() -> tuple[WillingnessModel, WeeklyPanel, np.ndarray]:
    true = FilterParameters(level_variance=1.5, persistence=0.93, trouble_variance=0.8)
    rows, level = simulated(2000, 80, true, seed=7, overdue_effect=-0.5)
    panel = weekly_panel(rows)
    return fit(panel, as_of=LAST), panel, level


def test_the_parameters_of_simulated_people_are_found(fitted) -> None:
    model, _, _ = fitted
    assert model.parameters.level_variance == pytest.approx(1.5, rel=0.3)
    assert model.parameters.persistence == pytest.approx(0.93, abs=0.05)
    assert model.parameters.trouble_variance == pytest.approx(0.8, rel=0.5)


def test_what_being_overdue_does_is_told_from_who_is_overdue(fitted) -> None:
    """Those who are overdue are mostly those who pay little: without the person the effect would come out far larger."""
    model, _, _ = fitted
    on_time, a_week_late = model.effects[7], model.effects[10]
    assert a_week_late - on_time == pytest.approx(-0.5, abs=0.3)


def test_levels_are_found_and_every_round_says_more(fitted) -> None:
    model, panel, level = fitted
    found = model.states(panel, keys_on(LAST, 2000))["willingness_level"]
    known = found.notna().to_numpy()
    assert np.corrcoef(found[known], level[known])[0, 1] > 0.8
    losses = model.card["log_loss_by_round"]
    assert losses[-1] < losses[0] < model.card["log_loss_without_anything"]


def test_it_is_read_back_from_its_files(fitted) -> None:
    model, panel, _ = fitted
    again = WillingnessModel.from_files(model.to_files(), model.card)
    assert again == model
    assert again.version == model.version
    keys = keys_on(LAST, 50)
    pd.testing.assert_frame_equal(again.states(panel, keys), model.states(panel, keys))


def test_a_model_of_another_panel_is_refused(fitted) -> None:
    files = fitted[0].to_files()
    head = json.loads(files["model.json"]) | {"schema_hash": "0" * 64}
    with pytest.raises(ModelError, match="another panel"):
        WillingnessModel.from_files({"model.json": json.dumps(head).encode()})


def test_the_card_says_how_it_may_be_read(fitted) -> None:
    page = render(fitted[0].card)
    assert "Disposición a pagar" in page
    assert "only the weeks that had ended by then" in page.replace("\n", " ")
    assert "http" not in page


def test_too_little_history_is_said() -> None:
    assert "weeks" in why_off(weekly_panel(week_rows(np.ones((3, 200)))))
    assert "members" in why_off(weekly_panel(week_rows(np.ones((20, 20)))))
    assert "without one" in why_off(weekly_panel(week_rows(np.ones((20, 200)))))
    paid = np.ones((20, 200))
    paid[::2] = 0
    assert why_off(weekly_panel(week_rows(paid))) == ""
    assert set(COLUMNS) == set(week_rows(paid).columns)
