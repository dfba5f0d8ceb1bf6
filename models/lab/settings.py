"""The dials of a simulated cooperative: how people pay, what contacts do, and how the institution chose them.

Everything that shapes a world stands here as data, so that another family of worlds is another settings object and
not another code path. Effects are on the logit scale of paying within one week unless said otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace

import yaml

from puntual.errors import UsageError

CHANNELS: tuple[str, ...] = ("call", "ivr", "whatsapp", "sms", "email", "visit")
CALL, IVR, WHATSAPP, SMS, EMAIL, VISIT = range(len(CHANNELS))
MESSAGE_CHANNELS: tuple[int, ...] = (WHATSAPP, SMS, EMAIL)

#: Upper ends of the past-due stages that a person passes through; the last stage is open (91 days and more).
STAGE_UPPER_DAYS: tuple[int, ...] = (0, 5, 15, 30, 60, 90)

WEEKS = 104
LOGGED_WEEKS = 16
DEFAULT_DAYS = 90
DEFAULT_WEEKS = 26
WRITE_OFF_DAYS = 360
TOLERANCE_CENTS = 1


def _per_channel(call: float, ivr: float, whatsapp: float, sms: float, email: float, visit: float) -> tuple[float, ...]:
    return (call, ivr, whatsapp, sms, email, visit)


@dataclass(frozen=True)
class CashflowDials:
    """The law ``cashflow``: when money comes, how fast it goes, and who forgets. Shares of a month's income."""

    instalment_share: float = 0.5  # of one instalment that the purse must hold, on top of the living
    living_share: float = 0.06
    kept_share: float = 0.5  # of the purse left after a week
    twice_a_month_share: float = 0.4  # of the salaried
    sales_chance: float = 0.7  # a week, of merchants, transport and artisans
    sales_share: float = 0.45
    lean_chance: float = 0.35  # a week, of farmers out of harvest
    trouble_chance: float = 0.25  # of the income that still comes in a spell of trouble
    forget_logit: float = -1.1
    forget_sd: float = 1.1
    willing_logit: float = 2.8
    willing_level: float = 1.3
    remind: tuple[float, ...] = _per_channel(0.85, 0.50, 0.75, 0.60, 0.45, 0.90)
    put_off: float = 0.45


@dataclass(frozen=True)
class TypesDials:
    """The law ``types``: reliable, forgetful, strategic, distressed, sleeping dogs, in this order in every tuple."""

    shares: tuple[float, ...] = (0.46, 0.24, 0.09, 0.09, 0.12)
    level_pull: tuple[float, ...] = (0.5, 0.1, -0.5, -0.6, 0.2)
    own_sd: float = 0.45
    pays: tuple[float, ...] = (0.88, 0.42, 0.55, 0.50, 0.85)
    pays_in_spell: tuple[float, ...] = (0.45, 0.25, 0.03, 0.06, 0.35)
    stage_slope: tuple[float, ...] = (0.15, 0.0, -0.10, -0.15, 0.05)
    spell_begins: tuple[float, ...] = (0.004, 0.012, 0.030, 0.025, 0.005)
    spell_ends: tuple[float, ...] = (0.25, 0.20, 0.035, 0.06, 0.20)
    # share of those who would not pay that is won; below 0, of those who would pay that is lost
    answer: tuple[tuple[float, ...], ...] = (
        _per_channel(0.05, 0.02, 0.05, 0.04, 0.02, 0.00),
        _per_channel(0.50, 0.38, 0.52, 0.45, 0.35, 0.45),
        _per_channel(0.35, 0.00, 0.00, 0.00, 0.00, 0.55),
        _per_channel(0.15, 0.00, 0.08, 0.02, 0.00, 0.20),
        _per_channel(-0.30, -0.35, -0.22, -0.15, -0.08, -0.45),
    )
    pressure_stage: int = 3


@dataclass(frozen=True)
class WorldSettings:
    """One family of worlds. Tuples over channels follow ``CHANNELS``; tuples over stages have seven entries.

    ``law`` is the shape (``models.lab.laws``): ``logit``, ``cashflow`` or ``types``. What stands under paying and under
    what a contact does belongs to ``logit``, unless another law says that it uses it; the rest is common to all.
    """

    name: str = "cooperative"
    law: str = "logit"
    cashflow: CashflowDials = CashflowDials()
    types: TypesDials = TypesDials()

    # paying
    base_logit: float = 1.38
    level_sd: float = 1.22
    stage_logit: tuple[float, ...] = (0.1, -0.1, -0.4, -0.5, -0.6, -0.7, -1.0)
    trouble_enter_rate: float = 0.005
    trouble_exit_rate: float = 0.055
    trouble_mean_depth: float = 1.5
    macro_sd: float = 0.05
    macro_drift: float = -0.12
    season_amplitude: float = 0.22
    promise_logit: float = 0.45

    # another regime in the last weeks before the as-of date: less is paid, and contacts change less
    regime_weeks: int = 0
    regime_logit: float = 0.0
    regime_effect: tuple[float, ...] = _per_channel(1.0, 1.0, 1.0, 1.0, 1.0, 1.0)

    # what a contact does to somebody who was reached
    effect: tuple[float, ...] = _per_channel(2.1, 1.15, 1.9, 1.05, 1.05, 3.4)
    stage_effect: tuple[tuple[float, ...], ...] = (
        (0.45, 0.85, 1.15, 1.25, 1.10, 0.85, 0.55),
        (0.80, 0.90, 0.55, 0.35, 0.15, 0.10, 0.00),
        (0.75, 1.15, 1.05, 0.80, 0.45, 0.25, 0.15),
        (1.00, 0.85, 0.60, 0.35, 0.20, 0.10, 0.05),
        (1.05, 0.80, 0.55, 0.35, 0.20, 0.15, 0.10),
        (0.00, 0.20, 0.50, 0.90, 1.30, 1.40, 1.10),
    )
    effect_spread: float = 0.50
    persuadable_centre: float = -0.1
    persuadable_width: float = 1.8
    trouble_damping: float = 0.5
    fatigue_damping: float = 0.30
    fatigue_decay: float = 0.72
    reactant_share: float = 0.12
    reactance: tuple[float, ...] = _per_channel(0.50, 0.75, 0.75, 0.55, 0.45, 0.90)
    annoyance: tuple[float, ...] = _per_channel(0.25, 0.22, 0.18, 0.12, 0.10, 0.40)

    # reaching somebody
    reach_logit: tuple[float, ...] = _per_channel(-0.10, -0.75, 0.05, -0.05, -1.05, 0.35)
    reach_spread: tuple[float, ...] = _per_channel(0.85, 0.70, 0.90, 0.60, 0.85, 0.70)
    reach_fatigue: float = 0.10
    reach_trouble: float = 0.35
    hidden_read_share: float = 0.10

    # the habit: how the institution used to choose
    habit_channel: tuple[float, ...] = _per_channel(-0.35, -1.05, -0.25, -0.55, -1.45, -2.3)
    habit_none: tuple[float, ...] = (1.0, 0.1, -0.2, -0.2, -0.1, 0.1, 0.6)
    habit_hidden: float = 0.9
    habit_fatigue: float = 0.25
    logged_temperature: float = 2.2
    logged_floor: float = 0.18
    logged_hidden: float = 0.45
    # the past-due stages (counted from 0, see STAGE_UPPER_DAYS) from and up to which the habit uses a channel at all;
    # outside of them its probability is 0, in the logged weeks too: the files then say nothing of what it would do
    habit_first_stage: tuple[float, ...] = _per_channel(0, 0, 0, 0, 0, 0)
    habit_last_stage: tuple[float, ...] = _per_channel(6, 6, 6, 6, 6, 6)

    logged_weeks: int = LOGGED_WEEKS  # the newest weeks whose contacts carry their probability; 0: none does

    # what goes wrong in the files, and costs
    error_share: float = 0.0005  # bad rows beside the good ones, for the door to turn away
    lost_share: float = 0.0  # of calls and visits: nobody wrote them down, and no door can tell
    unnoted_share: float = 0.0  # of calls and visits that reached the member: noted as not answered
    balance_difference_share: float = 0.015
    cost: Mapping[str, float] = field(
        default_factory=lambda: {
            "call": 0.45,
            "ivr": 0.04,
            "whatsapp": 0.06,
            "sms": 0.03,
            "email": 0.004,
            "visit": 4.5,
        }
    )
    default_replications: int = 48

    def with_changes(self, **changes: object) -> WorldSettings:
        """The same world with some dials moved."""
        return replace(self, **changes)  # type: ignore[arg-type]


def with_dials(settings: WorldSettings, given: Sequence[str]) -> WorldSettings:
    """The settings with dials moved as ``name=value``; values are written as in YAML, a list for every channel.

    Raises:
        UsageError: a dial is not known, or the value is not of its kind.
    """
    known = {field.name for field in fields(settings)} - {"name", "law"}
    moved: dict[str, object] = {}
    for text in given:
        name, _, value = text.partition("=")
        if name not in known:
            raise UsageError(f"--set {text}: the laboratory has no dial {name!r}; known are {', '.join(sorted(known))}")
        before = getattr(settings, name)
        found = yaml.safe_load(value) if value else None
        if isinstance(before, tuple) and isinstance(found, list):
            found = tuple(found)
        number = isinstance(before, int | float) and isinstance(found, int | float)
        alike = isinstance(before, tuple) and isinstance(found, tuple) and len(before) == len(found)
        if isinstance(found, bool) or not (number or alike):
            raise UsageError(f"--set {text}: {name} is now {before!r}; give a value of that kind")
        moved[name] = found
    return settings.with_changes(**moved)


#: Named families: three laws, and under the first of them other channels that work, other people they work for, other
#: habits of the past, and other turns that the times take.
FAMILIES: Mapping[str, WorldSettings] = {
    "cooperative": WorldSettings(),
    "digital": WorldSettings(
        name="digital",
        effect=_per_channel(0.75, 0.35, 1.35, 0.70, 0.85, 1.1),
        reach_logit=_per_channel(-0.7, -1.1, 0.75, 0.1, -0.3, -0.1),
        habit_channel=_per_channel(-1.1, -1.3, 0.1, -0.4, -0.7, -3.2),
    ),
    "rural": WorldSettings(
        name="rural",
        effect=_per_channel(0.95, 0.30, 0.60, 0.55, 0.20, 2.6),
        reach_logit=_per_channel(-0.5, -0.9, -0.6, -0.2, -2.0, 0.9),
        habit_channel=_per_channel(-0.4, -1.0, -0.9, -0.5, -2.6, -1.5),
        trouble_enter_rate=0.010,
        trouble_exit_rate=0.10,
        season_amplitude=0.5,
    ),
    "confounded": WorldSettings(
        name="confounded", habit_hidden=2.2, logged_hidden=0.9, logged_floor=0.08, logged_temperature=1.4
    ),
    "sleeping_dogs": WorldSettings(
        name="sleeping_dogs",
        reactant_share=0.30,
        annoyance=_per_channel(0.8, 0.7, 0.6, 0.5, 0.3, 1.0),
        fatigue_damping=0.55,
    ),
    "crisis": WorldSettings(name="crisis", macro_drift=-0.45, macro_sd=0.10, trouble_enter_rate=0.011),
    "turn": WorldSettings(
        name="turn",
        regime_weeks=8,
        regime_logit=-0.6,
        regime_effect=_per_channel(1.0, 0.7, 0.4, 0.7, 1.0, 1.2),
    ),
    "unlogged": WorldSettings(name="unlogged", logged_weeks=0),
    # nobody is visited up to day 30, and nobody is written to from day 61 on
    "no_overlap": WorldSettings(
        name="no_overlap",
        habit_first_stage=_per_channel(0, 0, 0, 0, 0, 4),
        habit_last_stage=_per_channel(6, 6, 4, 4, 4, 6),
    ),
    "careless": WorldSettings(name="careless", lost_share=0.08, unnoted_share=0.08, balance_difference_share=0.05),
    "cashflow": WorldSettings(name="cashflow", law="cashflow", season_amplitude=0.4),
    "types": WorldSettings(name="types", law="types"),
}
