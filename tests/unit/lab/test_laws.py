"""The laws of the worlds: what makes their shape, on the members of a small world."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from models.lab.laws import RETIRED, SALARIED, TYPES, Standing, sigmoid
from models.lab.people import day_of
from models.lab.settings import CALL, CHANNELS, FAMILIES, SMS, VISIT, WHATSAPP, WorldSettings
from models.lab.simulate import simulate
from puntual.errors import ModelError

AS_OF = date(2026, 6, 30)


def world_of(family, **changes):
    settings = FAMILIES[family].with_changes(default_replications=1, **changes)
    return simulate(members=500, seed=4, as_of=AS_OF, settings=settings, weeks=20).world


@pytest.fixture(scope="module")
def cashflow():
    return world_of("cashflow")


@pytest.fixture(scope="module")
def types():
    return world_of("types")


def standing(world, *, cash=0.0, past_due_days=20, trouble=0.0):
    """Every member with one loan and 100.00 owed, in a week long before any status."""
    n = world.people.count
    flat = np.zeros(n, np.int64)
    return Standing(
        loan=flat,
        member=np.arange(n),
        week=0,
        start_day=day_of(date(2026, 3, 2)),
        past_due_days=flat + past_due_days,
        next_due_day=flat,
        owed=flat + 10_000,
        instalment=flat + 10_000,
        trouble=np.full(n, trouble),
        promised=np.zeros(n, bool),
        macro=np.zeros(n),
        cash=np.full(n, cash),
    )


def changed_chance(world, channel, *, trouble=0.0, stage=3, **given):
    """Chance of paying when reached, less the chance alone, without fatigue, of members who dislike nothing."""
    x = standing(world, trouble=trouble, **given)
    n = world.people.count
    alone = world.pay_logit(x)
    effect = world.effect(x.member, np.full(n, channel), np.full(n, stage), np.zeros(n), x.trouble, alone, week=0)
    return sigmoid(alone + effect) - sigmoid(alone)


def test_without_money_nobody_pays_whatever_is_said(cashflow):
    assert (sigmoid(cashflow.pay_logit(standing(cashflow, cash=0.0))) < 1e-12).all()
    for channel in range(len(CHANNELS)):
        assert (np.abs(changed_chance(cashflow, channel, cash=0.0)) < 1e-12).all()


def test_the_purse_is_a_hard_threshold(cashflow):
    # an instalment of 100.00 needs half of it, and 6 % of a month's income for the living
    need = 0.5 * 10_000 + 0.06 * cashflow.people.income_cents
    x = standing(cashflow)
    short, enough = (sigmoid(cashflow.pay_logit(replace(x, cash=need + cents))) for cents in (-1.0, 0.0))
    assert short.max() < 1e-12
    assert enough.mean() > 0.4


def test_a_reminder_wins_at_most_those_who_forget(cashflow):
    gain = changed_chance(cashflow, WHATSAPP, cash=1e9)
    calm = ~cashflow.people.reactant
    law = cashflow.law
    assert (gain[calm] >= -1e-12).all()
    assert (gain <= law.willing * law.forgets + 1e-9).all()
    assert gain[calm].mean() > 0.05


def test_wages_come_on_paydays_and_pensions_on_the_fifth(cashflow):
    law, n = cashflow.law, cashflow.people.count
    member, zeros = np.arange(n), np.zeros(n)
    occupation = cashflow.people.occupation
    # the weeks 3-9, 10-16 and 24-30 March 2026
    pension, middle, end = (law._income(member, day_of(date(2026, 3, day)), zeros, zeros)[0] for day in (2, 9, 23))
    salaried, retired = occupation == SALARIED, occupation == RETIRED
    assert (pension[retired] > 0.9).all()
    assert (pension[salaried] == 0).all()
    assert (end[salaried] > 0.9).all()
    assert (end[retired] == 0).all()
    assert 0 < (middle[salaried] > 0).mean() < 1, "only those paid twice a month"


def test_the_cases_of_an_income_are_a_distribution(cashflow):
    n = cashflow.people.count
    cases = cashflow.law.cases(np.arange(n), day_of(date(2026, 3, 2)), np.full(n, 7.0), np.zeros(n), np.zeros(n))
    weights = np.array([weight for weight, _ in cases])
    assert np.allclose(weights.sum(axis=0), 1)
    assert (weights >= 0).all()
    assert (cases[0][1] == 7.0).all()


def test_a_week_spends_what_was_paid_and_the_living():
    state = simulate(members=60, seed=4, as_of=AS_OF, settings=FAMILIES["cashflow"], weeks=4)
    law, state = state.world.law, state.state
    state.cash[:] = 1000.0
    law.spend(state, np.array([3, 3]), np.array([400, 1000]))
    # member 3 has paid more than there was: the purse is empty, not in debt; the others keep their share
    assert state.cash[3] == 0.0
    assert np.allclose(np.delete(state.cash, 3), np.delete(1000.0 * law.keeps, 3))


def test_the_strategic_answer_to_late_pressure_alone(types):
    strategic = types.law.type == TYPES.index("strategic")
    assert strategic.sum() > 10
    for channel, late in ((CALL, True), (VISIT, True), (WHATSAPP, False), (SMS, False)):
        early_gain = changed_chance(types, channel, trouble=1.0, stage=2)[strategic]
        late_gain = changed_chance(types, channel, trouble=1.0, stage=4)[strategic]
        assert np.allclose(early_gain, 0, atol=1e-9)
        assert (late_gain.mean() > 0.15) == late


def test_classes_pay_and_answer_in_their_own_ways(types):
    kind = types.law.type
    alone = sigmoid(types.pay_logit(standing(types)))
    spell = sigmoid(types.pay_logit(standing(types, trouble=1.0)))
    by = {name: kind == position for position, name in enumerate(TYPES)}
    assert alone[by["reliable"]].mean() > 0.75 > 0.6 > alone[by["forgetful"]].mean()
    assert spell[by["strategic"]].mean() < 0.1
    assert changed_chance(types, SMS)[by["forgetful"]].mean() > 0.15
    assert (changed_chance(types, CALL)[by["sleeping_dog"]] <= 0).all()
    assert (np.abs(changed_chance(types, VISIT, trouble=1.0)[by["distressed"]]) < 1e-9).all()


def test_spells_of_the_strategic_last_longer_than_those_of_the_forgetful(types):
    _, ends = types.law.trouble_rates(np.arange(types.people.count))
    kind = types.law.type
    assert ends[kind == TYPES.index("strategic")].max() < ends[kind == TYPES.index("forgetful")].min()


def test_another_regime_begins_in_its_week_and_goes_on():
    world = world_of("cooperative", regime_weeks=8, regime_logit=-0.6, regime_effect=(1.0, 1.0, 0.0, 1.0, 1.0, 1.0))
    assert [world.in_regime(week) for week in (11, 12, 19, 30)] == [False, True, True, True]
    # the drift of -0.12 over 20 weeks: -0.072 in week 12, -0.12 from week 20 on
    assert world.macro_level(0.0, 11) == pytest.approx(-0.066)
    assert world.macro_level(0.0, 12) == pytest.approx(-0.072 - 0.6)
    assert world.macro_level(0.5, 30) == pytest.approx(0.5 - 0.12 - 0.6)
    n = world.people.count
    args = (np.arange(n), np.full(n, WHATSAPP), np.full(n, 3), np.zeros(n), np.zeros(n), np.zeros(n))
    assert (world.effect(*args, week=12) == 0).all()
    assert (world.effect(*args, week=11) != 0).any()


def test_an_unknown_law_is_refused():
    with pytest.raises(ModelError, match="choose one of logit, cashflow, types"):
        simulate(members=40, seed=1, as_of=AS_OF, settings=WorldSettings(law="gravity"), weeks=4)
