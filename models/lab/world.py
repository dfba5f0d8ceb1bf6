"""The laws of a simulated cooperative: who pays, who is reached, what a contact changes, what the habit does.

Pure functions of traits and states, used alike by the weekly simulation, by the exact gains of the truth and by the
continuation that gives the probability of default. Nothing here draws a random number.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.lab.book import Book, loan_logit
from models.lab.laws import LAWS, Law, Standing, sigmoid, stage_of
from models.lab.people import People
from models.lab.settings import CALL, CHANNELS, IVR, VISIT, WEEKS, WorldSettings
from puntual.errors import ModelError

FIRST_HOUR, LAST_HOUR = 8, 18
_HOURS = np.arange(FIRST_HOUR, LAST_HOUR + 1)
#: People with a job answer at noon and after work, the others in the morning. Rows: others, salaried.
HOUR_LOGIT = np.stack(
    [
        0.35 * np.exp(-0.5 * ((_HOURS - 9.5) / 2.0) ** 2) - 0.20 * (_HOURS >= 16),
        0.55 * np.exp(-0.5 * ((_HOURS - 12.5) / 0.9) ** 2) + 0.60 * (_HOURS >= 17) - 0.25 * (_HOURS <= 10),
    ]
)
_HOUR_WEIGHT = np.zeros(len(CHANNELS))
_HOUR_WEIGHT[[CALL, IVR, VISIT]] = (1.0, 0.8, 0.5)
_SPOKEN = np.zeros(len(CHANNELS))
_SPOKEN[[CALL, IVR, VISIT]] = 1.0

#: What the institution's ladder adds to each channel by stage, on top of its general liking for the channel.
_HABIT_STAGE = np.array(
    [
        (-1.0, -0.1, 0.4, 0.7, 0.7, 0.5, 0.2),
        (0.5, 0.6, 0.2, -0.2, -0.6, -1.0, -1.5),
        (0.1, 0.5, 0.5, 0.2, 0.0, -0.3, -0.8),
        (0.8, 0.5, 0.1, -0.3, -0.6, -1.0, -1.5),
        (0.6, 0.3, 0.1, 0.0, -0.2, -0.4, -0.6),
        (-2.5, -1.5, -0.8, -0.2, 0.6, 1.0, 1.0),
    ]
)
_HABIT_HIDDEN = np.array([1.0, 0.0, 0.4, 0.0, 0.0, 0.8])
_HABIT_AMOUNT = np.array([0.30, 0.0, 0.0, -0.10, 0.0, 0.45])

#: Shares of what people bring when they pay: one instalment owed, and several owed.
#: full, part, with one instalment ahead, rounded up to five; full, one instalment, part, rounded up to five.
SINGLE_SHARES = (0.80, 0.08, 0.03, 0.09)
SEVERAL_SHARES = (0.42, 0.36, 0.17, 0.05)
PART_LOW, PART_HIGH = 0.3, 0.9
ROUND_TO = 500


@dataclass
class World:
    """One cooperative: its people, its loans and its laws."""

    people: People
    book: Book
    settings: WorldSettings
    law: Law
    weeks: int

    @classmethod
    def build(cls, people: People, book: Book, settings: WorldSettings, *, seed: int, weeks: int = WEEKS) -> World:
        """Put the parts together and work out what never changes.

        Raises:
            ModelError: the settings name a law that there is not.
        """
        if settings.law not in LAWS:
            raise ModelError(f"law {settings.law!r} of the world {settings.name!r}: choose one of {', '.join(LAWS)}")
        wave = settings.season_amplitude
        # months January to December: school costs, bonuses in December and March (coast) or August (highlands)
        highlands = np.array([-0.9, -0.5, 0.1, 0.2, 0.3, 0.1, 0.0, 0.6, -1.0, -0.2, 0.1, 1.0]) * wave
        coast = np.array([-0.7, -0.2, 0.7, -0.9, -0.6, 0.2, 0.3, 0.1, 0.0, 0.0, 0.1, 1.0]) * wave
        season = np.stack([highlands, coast])
        law = LAWS[settings.law](people, settings, loan_logit(book, people), season, seed)
        return cls(people, book, settings, law, weeks)

    def stage(self, past_due_days: np.ndarray) -> np.ndarray:
        """Index of the past-due stage: 0, 1-5, 6-15, 16-30, 31-60, 61-90, 91 and more days."""
        return stage_of(past_due_days)

    def macro_level(self, macro: float | np.ndarray, week: int) -> float | np.ndarray:
        """The common mood of a week: what wanders, the drift since the first week, and the regime in force."""
        s = self.settings
        drift = s.macro_drift * min(week, self.weeks) / self.weeks
        return macro + drift + (s.regime_logit if self.in_regime(week) else 0.0)

    def in_regime(self, week: int) -> bool:
        """Whether the week belongs to the newer regime, which goes on after the as-of date."""
        return self.settings.regime_weeks > 0 and week >= self.weeks - self.settings.regime_weeks

    def pay_logit(self, standing: Standing) -> np.ndarray:
        """Logit of paying something on a loan within the week when nobody contacts the member."""
        return self.law.pay_logit(standing)

    def reach_logit(
        self, member: np.ndarray, channel: np.ndarray, fatigue: np.ndarray, trouble: np.ndarray, stage: np.ndarray
    ) -> np.ndarray:
        """Logit of an attempt reaching the person, before the hour of the day."""
        s = self.settings
        return (
            self.people.reach_lin[member, channel]
            - s.reach_fatigue * fatigue
            - s.reach_trouble * (trouble > 0) * _SPOKEN[channel]
            - 0.15 * (stage >= 5)
        )

    def reach_probability(
        self,
        member: np.ndarray,
        channel: np.ndarray,
        fatigue: np.ndarray,
        trouble: np.ndarray,
        stage: np.ndarray,
        hour: np.ndarray | None = None,
    ) -> np.ndarray:
        """Probability that an attempt reaches the person; averaged over the working hours when no hour is given."""
        logit = self.reach_logit(member, channel, fatigue, trouble, stage)
        salaried = (self.people.occupation[member] == 0).astype(int)
        weight = _HOUR_WEIGHT[channel]
        works = self.people.works[member, channel]
        if hour is not None:
            return works * sigmoid(logit + weight * HOUR_LOGIT[salaried, hour - FIRST_HOUR])
        total = np.zeros(len(logit))
        for k in range(len(_HOURS)):
            total += sigmoid(logit + weight * HOUR_LOGIT[salaried, k])
        return works * total / len(_HOURS)

    def effect(
        self,
        member: np.ndarray,
        channel: np.ndarray,
        stage: np.ndarray,
        fatigue: np.ndarray,
        trouble: np.ndarray,
        pay_logit: np.ndarray,
        *,
        week: int,
    ) -> np.ndarray:
        """Change of the logit of paying once the person was reached; negative for those better left alone."""
        change = self.law.effect(member, channel, stage, fatigue, trouble, pay_logit)
        return change * np.array(self.settings.regime_effect)[channel] if self.in_regime(week) else change

    def sensed(self, member: np.ndarray, trouble: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """What collectors sense of a member and the tables do not show, from a standard normal draw each."""
        return 0.55 * self.people.level[member] - 0.8 * np.minimum(trouble, 2.0) + noise * 0.7

    def habit(
        self,
        member: np.ndarray,
        week: int,
        stage: np.ndarray,
        owed: np.ndarray,
        fatigue: np.ndarray,
        hidden: np.ndarray,
        known: np.ndarray,
        *,
        logged: bool,
    ) -> np.ndarray:
        """The institution's probabilities of doing nothing (column 0) or using each channel, one row per member owing.

        ``hidden`` is what collectors sense and the tables do not show. In the logged weeks the choice is flatter and
        mixed with a uniform one, so that everything permitted has some probability. Channels that nobody may use with
        the member, and those that the habit does not use at the stage (``habit_first_stage``, ``habit_last_stage``),
        have exactly 0 in both kinds of weeks.
        """
        s = self.settings
        hidden_weight = s.logged_hidden if logged else s.habit_hidden
        score = np.empty((len(member), len(CHANNELS) + 1))
        score[:, 0] = np.array(s.habit_none)[stage] + s.habit_fatigue * fatigue
        amount = np.log(np.maximum(owed, 100) / 15_000)
        score[:, 1:] = (
            np.array(s.habit_channel)
            + _HABIT_STAGE.T[stage]
            + hidden_weight * _HABIT_HIDDEN * hidden[:, None]
            + _HABIT_AMOUNT * amount[:, None]
        )
        if logged:
            score /= s.logged_temperature
        status = self.people.status[member]
        stopped = (status != 0) & (self.people.status_week[member] <= week)
        allowed = np.ones_like(score, bool)
        at = stage[:, None]
        used = (at >= np.array(s.habit_first_stage)) & (at <= np.array(s.habit_last_stage))
        allowed[:, 1:] = known & ~stopped[:, None] & used
        score = np.where(allowed, score, -np.inf)
        probability = np.exp(score - score.max(axis=1, keepdims=True))
        probability /= probability.sum(axis=1, keepdims=True)
        if logged:
            uniform = allowed / allowed.sum(axis=1, keepdims=True)
            probability = (1 - s.logged_floor) * probability + s.logged_floor * uniform
        return probability


def is_single(owed: np.ndarray, instalment: np.ndarray) -> np.ndarray:
    """Whether what is owed is about one instalment."""
    return owed <= 1.3 * instalment


def expected_payment(owed: np.ndarray, instalment: np.ndarray, remaining: np.ndarray) -> np.ndarray:
    """Expected cents brought by somebody who pays, given what is owed, one instalment and all that is left."""
    up = (owed + ROUND_TO - 1) // ROUND_TO * ROUND_TO
    ahead = np.minimum(owed + instalment, remaining)
    part = (PART_LOW + PART_HIGH) / 2
    a, b, c, d = SINGLE_SHARES
    single = a * owed + b * part * owed + c * ahead + d * up
    e, f, g, h = SEVERAL_SHARES
    several = e * owed + f * np.minimum(instalment, owed) + g * part * np.minimum(instalment, owed) + h * up
    return np.where(is_single(owed, instalment), single, several)


def drawn_payment(
    owed: np.ndarray, instalment: np.ndarray, remaining: np.ndarray, kind: np.ndarray, share: np.ndarray
) -> np.ndarray:
    """Cents brought, from two uniform draws per payer: which kind of payment, and how large a part of it."""
    up = (owed + ROUND_TO - 1) // ROUND_TO * ROUND_TO
    ahead = np.minimum(owed + instalment, remaining)
    part = PART_LOW + (PART_HIGH - PART_LOW) * share
    one = np.minimum(instalment, owed)
    edges = np.cumsum(SINGLE_SHARES)
    single = np.where(
        kind < edges[0],
        owed,
        np.where(kind < edges[1], np.maximum(part * owed, 1), np.where(kind < edges[2], ahead, up)),
    )
    edges = np.cumsum(SEVERAL_SHARES)
    several = np.where(
        kind < edges[0],
        owed,
        np.where(kind < edges[1], one, np.where(kind < edges[2], np.maximum(part * one, 1), up)),
    )
    return np.where(is_single(owed, instalment), single, several).astype(np.int64)
