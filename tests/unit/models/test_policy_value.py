"""The estimator itself: how often its interval covers the true value of a policy, on logs whose policies are known."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np
import pytest

from models.contact_channel.judge import (
    APART_BEFORE,
    bootstrap_mean,
    decide_promotion,
    doubly_robust,
    importance,
    overlap,
    r_gain,
    told_apart,
    why_refused,
)
from models.contact_channel.nuisance import Nuisance
from models.contact_channel.plans import plan_within
from models.contact_channel.rows import NONE, ChannelRows, halves

LOGS, MEMBERS, WEEKS, CELLS, CLIP = 200, 500, 6, 8, 20.0
AMOUNT = np.array([40.0, 60.0, 80.0, 100.0, 120.0, 160.0, 200.0, 240.0])
PLAN_OF_CELL = np.array([NONE, 0, 1, 0, 1, NONE, 1, 0])


@dataclass(frozen=True)
class ToyWorld:
    """Members of eight kinds; two channels; each kind has its chance of paying by action and of being sought.

    Members stay for several weeks and pay by a leaning of their own that no feature shows: rows of one member are not
    independent.
    """

    pay: np.ndarray
    chance: np.ndarray
    leaning: float = 0.12

    @classmethod
    def make(cls) -> ToyWorld:
        random = np.random.default_rng(20261120)
        alone = random.uniform(0.15, 0.6, CELLS)
        gain = random.uniform(-0.05, 0.25, (CELLS, 2))
        score = np.column_stack([np.full(CELLS, 1.0), 3.0 * alone - 0.8, 1.5 * alone - 0.6])
        chance = np.exp(score) / np.exp(score).sum(axis=1, keepdims=True)
        return cls(np.column_stack([alone, alone[:, None] + gain]), 0.9 * chance + 0.1 / 3)

    @property
    def plan_value(self) -> float:
        """True money per member and week of the plan; kinds are equally frequent."""
        return float((self.pay[np.arange(CELLS), PLAN_OF_CELL + 1] * AMOUNT).mean())

    @property
    def habit_value(self) -> float:
        return float(((self.pay * self.chance).sum(axis=1) * AMOUNT).mean())

    def log(self, seed: int, *, logged: bool) -> tuple[ChannelRows, np.ndarray]:
        """A log, and the kind of each row."""
        random = np.random.default_rng(seed)
        member = np.repeat(np.arange(MEMBERS), WEEKS)
        lean = random.choice([-self.leaning, self.leaning], MEMBERS)[member]
        kind = random.integers(0, CELLS, len(member))
        action = (random.random(len(kind))[:, None] > self.chance[kind].cumsum(axis=1)).sum(axis=1).clip(0, 2)
        paid = (random.random(len(kind)) < self.pay[kind, action] + lean).astype(float)
        taken = self.chance[kind, action]
        rows = ChannelRows(
            matrix=kind[:, None].astype(np.float32),
            collectable=AMOUNT[kind],
            installment=AMOUNT[kind],
            treatment=action - 1,
            reached=action > 0,
            paid=paid,
            paid_amount=paid * AMOUNT[kind],
            propensity=np.where((action > 0) & logged, taken, np.nan),
            week=np.tile(np.arange(WEEKS), MEMBERS).astype("datetime64[D]"),
            member=member,
        )
        return rows, kind

    def nuisance(self, rows: ChannelRows, kind: np.ndarray, *, logged: bool) -> Nuisance:
        """Propensities and mean outcomes counted by kind on the other half of the members.

        Where propensities are logged, the log's count for what was done, as in the contest, and the mean outcomes are
        wrong: one per action, whatever the kind.
        """
        counted, mean = np.zeros((len(rows), 3)), np.zeros((len(rows), 3))
        for there, here in halves(rows):
            count, money = np.ones((CELLS, 3)), np.tile(AMOUNT[:, None] * 0.4, (1, 3))
            place = (kind[there], rows.treatment[there] + 1)
            np.add.at(count, place, 1.0)
            np.add.at(money, place, rows.paid_amount[there])
            counted[here] = (count / count.sum(axis=1, keepdims=True))[kind[here]]
            mean[here] = (money / count)[kind[here]]
        own = counted[np.arange(len(rows)), rows.treatment + 1]
        if not logged:
            return Nuisance(counted, mean, AMOUNT[kind], own)
        flat = np.array([rows.paid_amount[rows.treatment == place].mean() for place in (NONE, 0, 1)])
        taken = np.where(rows.treatment == NONE, self.chance[kind, 0], rows.propensity)
        return Nuisance(counted, np.tile(flat, (len(rows), 1)), AMOUNT[kind], taken)


@pytest.mark.parametrize("logged", [pytest.param(True, id="logged"), pytest.param(False, id="estimated")])
def test_the_interval_of_the_doubly_robust_value_covers_the_true_value(logged: bool) -> None:
    world = ToyWorld.make()
    truth = {"value": world.plan_value, "against habit": world.plan_value - world.habit_value}
    covered = dict.fromkeys(truth, 0)
    middle = {name: np.zeros(LOGS) for name in truth}
    for seed in range(LOGS):
        rows, kind = world.log(seed, logged=logged)
        value = doubly_robust(rows, world.nuisance(rows, kind, logged=logged), PLAN_OF_CELL[kind], clip=CLIP)
        found = bootstrap_mean(
            {"value": value, "against habit": value - rows.paid_amount}, rows.member, draws=400, seed=seed
        )
        for name, true in truth.items():
            covered[name] += found[name]["low"] <= true <= found[name]["high"]
            middle[name][seed] = found[name]["value"]
    for name, true in truth.items():
        rate, bias = covered[name] / LOGS, middle[name].mean() - true
        sys.stdout.write(
            f"{name}, propensities {'logged' if logged else 'estimated'}: {rate:.1%} of {LOGS}, bias {bias:+.3f}\n"
        )
        assert 0.93 <= rate <= 0.97
        assert abs(bias) < 3 * middle[name].std() / np.sqrt(LOGS)


def test_rows_of_a_member_are_resampled_together() -> None:
    # Every member repeats one number ten times: the interval is that of the members, not of the rows.
    random = np.random.default_rng(0)
    each = random.normal(0, 1, 400)
    member = np.repeat(np.arange(400), 10)
    found = bootstrap_mean({"mean": np.repeat(each, 10)}, member, draws=2000, seed=0)["mean"]
    half = (found["high"] - found["low"]) / 2
    assert half == pytest.approx(1.96 * each.std() / np.sqrt(400), rel=0.08)


def _few(taken: float, rows: int = 10_000) -> tuple[ChannelRows, Nuisance, np.ndarray]:
    """A log in which the plan's contacts were hardly ever made: a share ``taken`` of the rows."""
    random = np.random.default_rng(1)
    treatment = np.where(random.random(rows) < taken, 0, NONE)
    empty = np.full(rows, np.nan)
    log = ChannelRows(
        matrix=np.zeros((rows, 1), dtype=np.float32),
        collectable=empty,
        installment=empty,
        treatment=treatment,
        reached=treatment >= 0,
        paid=np.zeros(rows),
        paid_amount=np.zeros(rows),
        propensity=empty,
        week=np.zeros(rows, dtype="datetime64[D]"),
        member=np.arange(rows),
    )
    chance = np.tile([1 - taken, taken], (rows, 1))
    return log, Nuisance(chance, np.zeros((rows, 2)), np.ones(rows)), np.zeros(rows, dtype=int)


def test_a_log_that_says_nothing_about_the_plan_is_refused_with_a_reason() -> None:
    log, nuisance, plan = _few(taken=0.0005)
    found = overlap(log, nuisance, plan, ["call"])
    assert found["planned_count"] == 10_000
    assert found["effective_sample"] < 20
    reason = why_refused(found)
    assert "10,000 planned contacts" in reason
    judged = {
        "split": "time_with_gap",
        "chosen": "a",
        "overlap": found,
        "against_habit": {"a": {"value": 5.0, "low": 4.0, "high": 6.0}},
    }
    # Its interval looks excellent; nothing supports it.
    decided = decide_promotion(judged)
    assert (decided["promote"], decided["reason"]) == (False, reason)


def test_a_log_with_overlap_is_not_refused_and_counts_by_channel() -> None:
    log, nuisance, plan = _few(taken=0.2)
    found = overlap(log, nuisance, plan, ["call"])
    # All weights are equal, so the effective sample is the number of agreeing rows.
    assert found["effective_sample"] == pytest.approx((log.treatment == 0).sum())
    assert found["by_channel"] == {"call": pytest.approx(found["effective_sample"])}
    assert why_refused(found) == ""


def test_weights_by_hand() -> None:
    log, nuisance, plan = _few(taken=0.25, rows=4)
    agrees = log.treatment == 0
    assert importance(log, nuisance, plan).tolist() == np.where(agrees, 4.0, 0.0).tolist()
    assert importance(log, nuisance, plan, clip=3.0).max(initial=0.0) <= 3.0


def _held_out(seed: int) -> tuple[ChannelRows, Nuisance, np.ndarray, np.ndarray]:
    """A log with what judging needs; the true gains in money, and the same change of the chance for everybody."""
    world = ToyWorld.make()
    rows, kind = world.log(seed, logged=True)
    change, money = world.pay[:, 1:] - world.pay[:, :1], AMOUNT[kind][:, None]
    alike = np.tile(change.mean(axis=0), (len(kind), 1)) * money
    return rows, world.nuisance(rows, kind, logged=False), change[kind] * money, alike


def test_differences_that_are_true_come_true_whole_and_invented_ones_do_not() -> None:
    rows, nuisance, gain, alike = _held_out(1)
    found = told_apart(rows, nuisance, gain, alike)
    assert found.measured == pytest.approx(1.0, abs=3 * found.error)
    assert found.trusted > 0.8
    # twice the differences: half of them come true
    twice = told_apart(rows, nuisance, alike + 2 * (gain - alike), alike)
    assert twice.measured == pytest.approx(found.measured / 2)
    assert twice.error == pytest.approx(found.error / 2)
    # and of differences drawn by lot, none
    lot = alike + np.random.default_rng(2).permutation(gain - alike)
    invented = told_apart(rows, nuisance, lot, alike)
    assert invented.measured == pytest.approx(0.0, abs=3 * invented.error)
    assert invented.trusted < 0.5


def test_no_other_part_of_the_differences_has_a_smaller_r_loss_at_its_best_level() -> None:
    rows, nuisance, gain, alike = _held_out(3)
    measured = told_apart(rows, nuisance, gain, alike).measured

    def fit(part: float) -> float:
        """R-loss is a parabola of the level: what its top gains."""
        said = alike + part * (gain - alike)
        one, two = (float(r_gain(rows, nuisance, level * said).sum()) for level in (1.0, 2.0))
        bend = one - two / 2
        return (one + bend) ** 2 / (4 * bend)

    assert fit(measured) > max(fit(measured + step) for step in (-0.5, -0.01, 0.01, 0.5))


@pytest.mark.parametrize("factor", [0.5, 0.7, 1.4, 3.0])
def test_a_level_that_is_wrong_says_nothing_of_the_differences(factor: float) -> None:
    rows, nuisance, gain, alike = _held_out(1)
    right, wrong = told_apart(rows, nuisance, gain, alike), told_apart(rows, nuisance, factor * gain, factor * alike)
    assert (wrong.measured, wrong.error) == pytest.approx((right.measured, right.error))


def test_the_error_of_the_differences_is_their_scatter_over_logs() -> None:
    found = [told_apart(*_held_out(seed)) for seed in range(60)]
    scatter = np.std([one.measured for one in found], ddof=1)
    assert np.mean([one.error for one in found]) == pytest.approx(scatter, rel=0.3)
    assert np.mean([one.measured for one in found]) == pytest.approx(1.0, abs=0.1)


def test_differences_told_of_few_members_are_taken_as_on_simulated_worlds() -> None:
    rows, nuisance, gain, alike = _held_out(1)
    few = np.where((rows.member < 10)[:, None], gain, alike)
    assert told_apart(rows, nuisance, few, alike).trusted == APART_BEFORE


def test_without_evidence_the_differences_are_taken_as_on_simulated_worlds() -> None:
    rows, nuisance, gain, alike = _held_out(1)
    nobody_apart = told_apart(rows, nuisance, alike, alike)
    assert nobody_apart.trusted == 1.0
    assert np.isnan([nobody_apart.measured, nobody_apart.error]).all()
    # logs of 25 members each: measured anywhere, trusted near what was expected
    short = [
        told_apart(rows.take(few), nuisance.take(few), gain[few], alike[few])
        for few in np.array_split(np.arange(len(rows)), MEMBERS // 25)
    ]
    assert np.std([one.measured for one in short]) > 0.5
    assert np.std([one.trusted for one in short]) < 0.25
    assert np.mean([one.trusted for one in short]) == pytest.approx(APART_BEFORE, abs=0.2)


def test_a_plan_without_capacity_is_empty() -> None:
    assert plan_within(np.ones((5, 2)), np.array([0, 0])).tolist() == [NONE] * 5
