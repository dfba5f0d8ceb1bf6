"""The laws by which a week turns into a payment or not: shapes of worlds, not settings of one shape.

1. ``logit``: a willingness on the logit scale; a contact that reaches the member shifts it, most for the persuadable.
2. ``cashflow``: nobody pays without money. Income comes on paydays, by weekly sales or in harvests, is spent quickly,
   and a hidden purse must hold an instalment and a living (a hard threshold). Of those with money and the will, some
   forget; a contact only reminds.
3. ``types``: hidden classes of members with their own chances of paying, their own spells of not paying and their own
   answer to contacts; the strategic answer to credible pressure alone, sleeping dogs pay less when they are woken.

Every law gives the logit of paying when left alone, and the change of it once the member was reached: what is common
to all worlds (reach, fatigue, habits, schedules) stays outside. Only :meth:`Law.receive` draws random numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.lab.people import DECEASED, People
from models.lab.settings import STAGE_UPPER_DAYS, WorldSettings
from models.lab.state import State

FARMER, RETIRED, SALARIED = 2, 5, 0
TYPES = ("reliable", "forgetful", "strategic", "distressed", "sleeping_dog")
_LEAST_LOGIT, _MOST_LOGIT = -30.0, 8.0


@dataclass(frozen=True)
class Standing:
    """Loans that owe, with what a law may look at. One entry per loan; days are day numbers, amounts cents."""

    loan: np.ndarray
    member: np.ndarray
    week: int
    start_day: int
    past_due_days: np.ndarray
    next_due_day: np.ndarray
    owed: np.ndarray
    instalment: np.ndarray
    trouble: np.ndarray
    promised: np.ndarray
    macro: np.ndarray
    cash: np.ndarray


class Law:
    """What the laws share: spells of trouble, no purse. Subclasses give :meth:`pay_logit` and :meth:`effect`."""

    def __init__(
        self, people: People, settings: WorldSettings, loan_logit: np.ndarray, season: np.ndarray, seed: int
    ) -> None:
        self.people, self.settings = people, settings
        self.loan_logit, self.season = loan_logit, season
        self.rng = np.random.default_rng([seed, 3])

    def pay_logit(self, standing: Standing) -> np.ndarray:
        """Logit of paying something on a loan within the week when nobody contacts the member."""
        raise NotImplementedError

    def effect(
        self,
        member: np.ndarray,
        channel: np.ndarray,
        stage: np.ndarray,
        fatigue: np.ndarray,
        trouble: np.ndarray,
        pay_logit: np.ndarray,
    ) -> np.ndarray:
        """Change of that logit once the member was reached; negative for those better left alone."""
        raise NotImplementedError

    def trouble_rates(self, member: np.ndarray) -> tuple[np.ndarray, np.ndarray | float]:
        """Chances a week of a spell of trouble beginning and ending."""
        s = self.settings
        return s.trouble_enter_rate * np.exp(-0.35 * self.people.level[member]), s.trouble_exit_rate

    def opening_cash(self) -> np.ndarray:
        """Cents in the purse of every member on the first day."""
        return np.zeros(self.people.count)

    def receive(self, state: State, start_day: int, rng: np.random.Generator) -> None:
        """The week's income comes, or does not."""

    def spend(self, state: State, member_row: np.ndarray, cents: np.ndarray) -> None:
        """Payments leave the purse, and so does the living."""

    def cases(
        self,
        member: np.ndarray,  # noqa: ARG002 - here and below: nothing comes in
        start_day: int,  # noqa: ARG002
        cash: np.ndarray,
        trouble: np.ndarray,  # noqa: ARG002
        macro: np.ndarray,  # noqa: ARG002
    ) -> Sequence[tuple[np.ndarray | float, np.ndarray]]:
        """What the week's income may leave in the purse, with its probability; sums to 1 for every member."""
        return [(1.0, cash)]

    def hardship(self, member: np.ndarray, week: int) -> np.ndarray:
        """What death, a dispute, hardship or bankruptcy take from the logit from their week on."""
        status = self.people.status[member]
        since = self.people.status_week[member] <= week
        return np.where(status == DECEASED, -4.0, -1.0) * (since & (status != 0))

    def calendar(self, member: np.ndarray, start_day: int) -> np.ndarray:
        """The season of the member's part of the country, by the month of the middle of the week."""
        return self.season[self.people.coastal[member].astype(int), month_of(start_day)]


class LogitLaw(Law):
    """A willingness on the logit scale: level, stage, season, trouble, promises; the persuadable are in the middle."""

    def pay_logit(self, standing: Standing) -> np.ndarray:
        """See :meth:`Law.pay_logit`."""
        s, x = self.settings, standing
        days = np.arange(x.start_day + 1, x.start_day + 8).astype("datetime64[D]")
        day_of_month = (days - days.astype("datetime64[M]").astype("datetime64[D]")).astype(int) + 1
        payday = bool(np.any((day_of_month == 15) | (day_of_month == 30)))
        ahead = np.where(x.past_due_days <= 0, np.clip(x.next_due_day - x.start_day - 1, 0, 7), 0)
        excess = np.clip(x.owed / np.maximum(x.instalment, 1) - 1.0, 0.0, 6.0)
        return (
            s.base_logit
            + self.loan_logit[x.loan]
            + np.array(s.stage_logit)[stage_of(x.past_due_days)]
            + self.calendar(x.member, x.start_day)
            + x.macro
            - x.trouble
            - 0.10 * ahead
            - 0.18 * excess
            + s.promise_logit * x.promised
            + (0.30 if payday else -0.10) * (self.people.occupation[x.member] == SALARIED)
            + self.hardship(x.member, x.week)
        )

    def effect(
        self,
        member: np.ndarray,
        channel: np.ndarray,
        stage: np.ndarray,
        fatigue: np.ndarray,
        trouble: np.ndarray,
        pay_logit: np.ndarray,
    ) -> np.ndarray:
        """See :meth:`Law.effect`."""
        s, people = self.settings, self.people
        width = (pay_logit - s.persuadable_centre) / s.persuadable_width
        persuadable = 0.2 + 0.8 * np.exp(-0.5 * width**2)
        good = (
            np.array(s.effect)[channel]
            * np.array(s.stage_effect)[channel, stage]
            * people.effect_lin[member, channel]
            * persuadable
            * np.exp(-s.fatigue_damping * fatigue)
            * (1 - s.trouble_damping * np.minimum(trouble / 1.5, 1.0))
        )
        bad = np.array(s.reactance)[channel] * people.reactant[member] * (0.6 + 0.15 * fatigue)
        woken = np.array(s.annoyance)[channel] * sigmoid(3 * (pay_logit - 1.6)) * (stage <= 1)
        return good - bad - woken


class CashflowLaw(Law):
    """Money first: who has none this week does not pay, whatever is said; who has it may forget, and be reminded."""

    def __init__(
        self, people: People, settings: WorldSettings, loan_logit: np.ndarray, season: np.ndarray, seed: int
    ) -> None:
        super().__init__(people, settings, loan_logit, season, seed)
        dials, n = settings.cashflow, people.count
        self.forgets = sigmoid(dials.forget_logit + dials.forget_sd * self.rng.standard_normal(n))
        self.willing = sigmoid(dials.willing_logit + dials.willing_level * people.level)
        self.keeps = np.clip(dials.kept_share + 0.12 * self.rng.standard_normal(n), 0.05, 0.8)
        self.paid_twice = self.rng.random(n) < dials.twice_a_month_share
        self.harvest = self.rng.integers(0, 12, n)

    def pay_logit(self, standing: Standing) -> np.ndarray:
        """See :meth:`Law.pay_logit`; about -30 for a purse below an instalment and the living."""
        x, dials = standing, self.settings.cashflow
        need = dials.instalment_share * x.instalment + dials.living_share * self.people.income_cents[x.member]
        will = (
            logit_of(self.willing[x.member])
            + self.settings.promise_logit * x.promised
            + self.hardship(x.member, x.week)
        )
        chance = sigmoid(will) * (1 - self.forgets[x.member])
        return np.where(x.cash >= need, logit_of(chance), _LEAST_LOGIT)

    def effect(
        self,
        member: np.ndarray,
        channel: np.ndarray,
        stage: np.ndarray,  # noqa: ARG002 - the same at every stage
        fatigue: np.ndarray,
        trouble: np.ndarray,  # noqa: ARG002 - trouble is in the purse
        pay_logit: np.ndarray,
    ) -> np.ndarray:
        """See :meth:`Law.effect`: fewer forget, and some of those who dislike being chased put it off."""
        s, people = self.settings, self.people
        reminded = np.array(s.cashflow.remind)[channel] * np.minimum(people.effect_lin[member, channel], 1.1)
        reminded = reminded * np.exp(-s.fatigue_damping * fatigue)
        forgets = self.forgets[member]
        put_off = s.cashflow.put_off * np.array(s.reactance)[channel] * people.reactant[member]
        chance = sigmoid(pay_logit) * (1 - forgets * (1 - reminded)) / (1 - forgets) * (1 - put_off)
        return logit_of(chance) - pay_logit

    def opening_cash(self) -> np.ndarray:
        """See :meth:`Law.opening_cash`."""
        return self.people.income_cents * self.rng.random(self.people.count) * 0.5

    def receive(self, state: State, start_day: int, rng: np.random.Generator) -> None:
        """See :meth:`Law.receive`."""
        chance, amount = self._income(state.member, start_day, state.trouble, state.macro)
        state.cash += np.where(rng.random(len(state.member)) < chance, amount, 0.0)

    def spend(self, state: State, member_row: np.ndarray, cents: np.ndarray) -> None:
        """See :meth:`Law.spend`."""
        np.subtract.at(state.cash, member_row, cents)
        state.cash = np.maximum(state.cash, 0.0) * self.keeps[state.member]

    def cases(
        self, member: np.ndarray, start_day: int, cash: np.ndarray, trouble: np.ndarray, macro: np.ndarray
    ) -> Sequence[tuple[np.ndarray | float, np.ndarray]]:
        """See :meth:`Law.cases`: the income comes or does not."""
        chance, amount = self._income(member, start_day, trouble, macro)
        return [(1 - chance, cash), (chance, cash + amount)]

    def _income(
        self, member: np.ndarray, start_day: int, trouble: np.ndarray, macro: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Chance of an income in the week after ``start_day``, and its cents."""
        dials, people = self.settings.cashflow, self.people
        occupation, month_income = people.occupation[member], people.income_cents[member]
        days = np.arange(start_day + 1, start_day + 8).astype("datetime64[D]")
        of_month = (days - days.astype("datetime64[M]").astype("datetime64[D]")).astype(int) + 1
        pension, middle, end = (bool(np.isin(which, of_month)) for which in (5, 15, 30))
        if month_of(start_day) == 1:
            end = end or bool(np.isin(28, of_month))
        twice = self.paid_twice[member]
        salary = np.where(end | (middle & twice), 0.98, 0.0)
        since_harvest = (month_of(start_day) - self.harvest[member]) % 6  # two harvests a year, a month and a half each
        in_harvest = since_harvest == 0
        chance = np.select(
            [occupation == SALARIED, occupation == RETIRED, occupation == FARMER],
            [salary, np.full(len(member), 0.99 if pension else 0.0), np.where(in_harvest, 0.6, dials.lean_chance)],
            dials.sales_chance,
        )
        share = np.select(
            [occupation == SALARIED, occupation == RETIRED, occupation == FARMER],
            [np.where(twice, 0.5, 1.0), np.ones(len(member)), np.where(in_harvest, 1.6, 0.6)],
            dials.sales_share,
        )
        swing = self.calendar(member, start_day) + macro
        inside = (chance > 0) & (chance < 0.95)
        moved = np.where(inside, sigmoid(logit_of(np.clip(chance, 0.01, 0.99)) + swing), chance)
        return moved * np.where(trouble > 0, dials.trouble_chance, 1.0), share * month_income


class TypesLaw(Law):
    """Hidden classes: chances of paying by class, spell and stage; answers to contacts by class, channel and stage."""

    def __init__(
        self, people: People, settings: WorldSettings, loan_logit: np.ndarray, season: np.ndarray, seed: int
    ) -> None:
        super().__init__(people, settings, loan_logit, season, seed)
        dials = settings.types
        # the reliable are more frequent among those of a good level, the strategic and distressed among the others
        score = np.log(np.array(dials.shares)) + np.outer(people.level, np.array(dials.level_pull))
        draw = self.rng.gumbel(size=score.shape)
        self.type = np.argmax(score + draw, axis=1)
        self.own = dials.own_sd * self.rng.standard_normal(people.count)

    def pay_logit(self, standing: Standing) -> np.ndarray:
        """See :meth:`Law.pay_logit`."""
        x, dials = standing, self.settings.types
        kind = self.type[x.member]
        chance = np.where(x.trouble > 0, np.array(dials.pays_in_spell)[kind], np.array(dials.pays)[kind])
        logit = (
            logit_of(chance)
            + self.own[x.member]
            + np.array(dials.stage_slope)[kind] * stage_of(x.past_due_days)
            + self.calendar(x.member, x.start_day)
            + x.macro
            + self.settings.promise_logit * x.promised
            + self.hardship(x.member, x.week)
        )
        return np.minimum(logit, _MOST_LOGIT)

    def effect(
        self,
        member: np.ndarray,
        channel: np.ndarray,
        stage: np.ndarray,
        fatigue: np.ndarray,
        trouble: np.ndarray,
        pay_logit: np.ndarray,
    ) -> np.ndarray:
        """See :meth:`Law.effect`: a share of those who would not pay is won, or of those who would pay lost."""
        s, dials = self.settings, self.settings.types
        kind = self.type[member]
        share = np.array(dials.answer)[kind, channel] * np.minimum(self.people.effect_lin[member, channel], 1.3)
        # pressure is credible late, and needs a voice or a visit; who is in a spell of distress has nothing to give
        late = stage >= dials.pressure_stage
        share = np.where(kind == TYPES.index("strategic"), share * late, share)
        share = np.where((kind == TYPES.index("distressed")) & (trouble > 0), 0.0, share)
        share = np.clip(share * np.exp(-s.fatigue_damping * fatigue * (share > 0)), -0.9, 0.9)
        alone = sigmoid(pay_logit)
        chance = np.where(share > 0, alone + share * (1 - alone), alone * (1 + share))
        return logit_of(chance) - pay_logit

    def trouble_rates(self, member: np.ndarray) -> tuple[np.ndarray, np.ndarray | float]:
        """See :meth:`Law.trouble_rates`: by class."""
        dials, kind = self.settings.types, self.type[member]
        return np.array(dials.spell_begins)[kind], np.array(dials.spell_ends)[kind]


LAWS: dict[str, type[Law]] = {"logit": LogitLaw, "cashflow": CashflowLaw, "types": TypesLaw}


def stage_of(past_due_days: np.ndarray) -> np.ndarray:
    """Index of the past-due stage: 0, 1-5, 6-15, 16-30, 31-60, 61-90, 91 and more days."""
    return np.searchsorted(np.array(STAGE_UPPER_DAYS), past_due_days, side="left")


def month_of(start_day: int) -> int:
    """Month (0 to 11) of the middle of the week after ``start_day``."""
    return int(np.datetime64(start_day + 4, "D").astype("datetime64[M]").astype(int) % 12)


def sigmoid(x: np.ndarray) -> np.ndarray:
    """Logistic function."""
    return 1.0 / (1.0 + np.exp(-x))


def logit_of(probability: np.ndarray) -> np.ndarray:
    """Logit, within what a world can tell from never and always."""
    p = np.asarray(probability, float)
    with np.errstate(divide="ignore"):
        return np.clip(np.log(p) - np.log1p(-p), _LEAST_LOGIT, _MOST_LOGIT)
