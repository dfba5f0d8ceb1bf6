"""The effect of contacts on any frame: the learners and the judge of the pipeline's model, for notebooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from scipy.special import expit
from sklearn.utils import Tags
from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d

from models.contact_channel.amounts import AmountModel, fit_amount
from models.contact_channel.evaluate import compare
from models.contact_channel.judge import bootstrap_mean, doubly_robust, overlap, r_gain
from models.contact_channel.learners import ChannelFit, fit_learner
from models.contact_channel.nuisance import Nuisance, fit_propensity
from models.contact_channel.plans import plan_by_week
from models.contact_channel.policy_tree import PolicyTree
from models.contact_channel.rows import NONE, ChannelRows, bin_rows, draw, tuned, with_channel
from models.contact_channel.settings import INTENTION_TO_TREAT, THROUGH_REACH, ContactChannelSettings
from models.datasets import member_fold
from models.estimators import booster_text, contributions, probabilities, raw_score
from models.features import Feature, FeatureSpec
from models.frames.base import FrameEstimator
from models.frames.columns import amounts_of, flags_of


class ContactEffect(FrameEstimator):
    """What a contact through each channel adds to what a member pays, against leaving the member alone.

    As in the pipeline: the learner is chosen on later dates that nobody learnt from, its claims are scaled by what
    those dates say of them, and then it learns from everything.

    Args:
        treatment: column with the channel of the contact, or ``none``; texts, or numbers such as those of an arm 0 / 1,
            which are read as the texts of whole numbers (``1``, ``1.0`` and ``True`` are the channel ``"1"``).
        amount: column with the money that followed; None when ``fit`` and ``evaluate`` are given it as ``y``.
        reached: column that says whether the contact reached the member: True or False, 1 or 0, nothing for no; None
            when it is not known.
        propensity: column with the logged probability of the action taken; NaN or None where it was not drawn.
        date: column with the date of the decision; None when all rows are of one date.
        member: column that says who a row belongs to; None when every row is someone else.
        size: a learnt column with the money that a payment is measured by, such as the instalment; None for no such.
        none: the value of ``treatment`` for members who were left alone; a text or a number.
        response_window_days: how long after the date the money counts; the gap between learning and judging.
        least_attempts: a channel with fewer rows has no effect of its own and gains 0.
        allow_protected: columns whose names speak of gender, age or marital state and that are learnt from all the
            same; the note of every evaluation names them.
        n_jobs: threads.
        seed: of everything drawn; the same rows and seed give the same bytes.

    Attributes:
        channels_: the channels as texts, in the order of the columns of :meth:`predict`; numbers by their size.
        learner_: the learner that later dates chose.
        usual_size_: the median of ``size`` in the learnt rows, used for a row without one.
        backtest_: what the judge said of every learner, with intervals; or why nothing could be judged. Days are dates,
            and what could not be measured is NaN, also after :meth:`from_files`.
    """

    ROLES: ClassVar[tuple[str, ...]] = ("treatment", "amount", "reached", "propensity", "date", "member")
    NAME = "ContactEffect"
    FORMAT = "frame_contact_effect/3"
    LEAST: ClassVar[Mapping[str, int]] = {"response_window_days": 1, "least_attempts": 1}

    def __init__(
        self,
        treatment: str = "channel_code",
        amount: str | None = None,
        reached: str | None = None,
        propensity: str | None = None,
        date: str | None = None,
        member: str | None = None,
        size: str | None = None,
        none: str | float = "none",
        response_window_days: int = 7,
        least_attempts: int = 200,
        allow_protected: Sequence[str] | None = None,
        n_jobs: int = 1,
        seed: int = 0,
    ) -> None:
        self.treatment = treatment
        self.amount = amount
        self.reached = reached
        self.propensity = propensity
        self.date = date
        self.member = member
        self.size = size
        self.none = none
        self.response_window_days = response_window_days
        self.least_attempts = least_attempts
        self.allow_protected = allow_protected
        self.n_jobs = n_jobs
        self.seed = seed

    def fit(self, X: pd.DataFrame, y: Any = None) -> Self:
        """Learn from rows with their contacts and the money that followed (column ``amount``, else ``y``).

        Raises:
            ValueError: a column is missing or cannot be learnt from, a channel is spelt in two ways, or there are too
                few contacts, too few rows without one, nobody reached, or no payment.
        """
        frame, matrix = self._learn(X)
        given = frame[self.treatment]
        if given.isna().any():
            raise ValueError(
                f"{self.NAME}: {int(given.isna().sum())} rows have no {self.treatment!r}; give {self.none!r}."
            )
        codes = _codes(given)
        twice = _spelt_twice(codes)
        if twice:
            raise ValueError(
                f"{self.NAME}: {self.treatment!r} has {twice}, which differ by capitals or blanks alone and would be "
                "channels of their own. Write each in one way, such as "
                f"frame[{self.treatment!r}].str.strip().str.lower()."
            )
        self.last_date_ = self._dates(frame).max() if self.date is not None else None
        self.channels_ = sorted((code for code in codes.unique() if code != _code(self.none)), key=_by_size)
        if len(self.channels_) == codes.nunique():
            raise ValueError(
                f"{self.NAME}: no row of {self.treatment!r} is {self.none!r}, the value of who was left alone; it has "
                f"{self.channels_[:8]}. Name that value by the parameter none."
            )
        self.usual_size_ = self._median_size(frame)
        rows = self._rows(frame, matrix, y)
        contacts = int((rows.treatment != NONE).sum())
        if min(contacts, len(rows) - contacts) < self.least_attempts:
            raise ValueError(
                f"{self.NAME}: {contacts} rows with a contact and {len(rows) - contacts} without; at least "
                f"{self.least_attempts} of each are needed to tell them apart (parameter least_attempts)."
            )
        if not rows.reached.any():
            raise ValueError(
                f"{self.NAME}: by {self.reached!r} none of {contacts} contacts reached anybody, so nothing can be "
                "learnt through it. Give the column that says who was reached, or reached=None when it is not known."
            )
        if not rows.paid.any():
            raise ValueError(f"{self.NAME}: nobody paid anything, so there is no effect to learn.")
        settings = self._settings()
        binned = bin_rows(rows.matrix, settings, seed=self.seed)
        self.backtest_ = compare(rows, self.channels_, settings, seed=self.seed, binned=binned)
        usual = THROUGH_REACH if self.reached else INTENTION_TO_TREAT
        self.learner_ = str(self.backtest_.get("chosen", usual))
        amount = fit_amount(rows, binned, settings, seed=self.seed)
        unsplit = self.backtest_.get("by_attempt", ())
        found = fit_learner(
            self.learner_, rows, binned, self.channels_, settings, amount=amount, seed=self.seed, by_attempt=unsplit
        )
        scale = self.backtest_.get("scale", {})
        self.fit_ = replace(
            found,
            scale={channel: scale.get(channel, 1.0) for channel in found.constants},
            told_apart=self.backtest_.get("told_apart", 1.0),
        )
        some = draw(np.arange(len(rows)), settings.support_rows, seed=self.seed)
        count = len(self.channels_) + 1
        self.propensity_ = fit_propensity(rows, binned, some, count, settings, seed=self.seed)
        wide = bin_rows(with_channel(rows.matrix, rows.treatment), settings, seed=self.seed, channel=True)
        some = draw(np.arange(len(rows)), settings.booster_rows, seed=self.seed)
        grown = tuned(settings.base, settings, self.seed, len(some))
        self.response_ = wide.grow(rows.paid[some], rows=some, settings=grown)
        return self

    def predict(self, X: pd.DataFrame) -> pd.DataFrame:
        """Expected extra money of a contact, one column per channel, with the rows and index of the frame.

        Where the past hardly ever used a channel for such members (see :meth:`supported`), the smaller of the model's
        gain and the channel's constant one.
        """
        frame, matrix = self._read(X)
        gain = self._gain(frame, matrix)
        return pd.DataFrame(gain, columns=self.channels_, index=frame.index)

    def supported(self, X: pd.DataFrame) -> pd.DataFrame:
        """Whether the past used each channel for members like these often enough; one column per channel."""
        frame, matrix = self._read(X)
        return pd.DataFrame(self._support(matrix), columns=self.channels_, index=frame.index)

    def evaluate(self, X: pd.DataFrame, y: Any = None, *, draws: int = 400) -> pd.DataFrame:
        """Doubly robust value of the plan on rows that were not learnt from; value, low and high (95 %, by members).

        The plan makes as many contacts per channel and date as the rows did. Rows of the result, in money per row:
        ``habit`` (what was done), ``plan``, ``plan_against_habit``, and ``r_gain`` (how much better the gains explain
        what the contacts changed than no gains do; above 0 is good). ``attrs`` holds the overlap: ``supported_share``
        by channel and ``effective_sample``, how many rows the log is worth for the plan's contacts; ``note`` says when
        the rows begin before the money of the learnt ones had been counted, and which protected attributes were learnt
        from.

        Raises:
            ValueError: there are no rows, or a column says something that cannot be read.
        """
        frame, matrix = self._read(X)
        self._check_some(frame)
        rows = self._rows(frame, matrix, y)
        settings = self._settings()
        nuisance = self._nuisance(rows, settings)
        gain, supported = self._gain(frame, matrix), self._support(matrix)
        plan = plan_by_week(np.where(supported, gain, -np.inf), rows)
        steady = replace(rows, paid_amount=rows.paid * nuisance.expected_amount)
        value = doubly_robust(steady, nuisance, plan, clip=settings.weight_clip)
        samples = {
            "habit": steady.paid_amount,
            "plan": value,
            "plan_against_habit": value - steady.paid_amount,
            "r_gain": r_gain(rows, nuisance, gain),
        }
        found = pd.DataFrame(bootstrap_mean(samples, rows.member, draws=draws, seed=self.seed)).T
        found.index.name = "metric"
        found.attrs["effective_sample"] = overlap(rows, nuisance, plan, self.channels_)["effective_sample"]
        found.attrs["supported_share"] = dict(zip(self.channels_, supported.mean(axis=0).tolist(), strict=True))
        found.attrs["note"] = self._note(frame, self.response_window_days)
        return found

    def explain(self, X: pd.DataFrame, channel: str | float | None = None) -> pd.DataFrame:
        """Exact tree SHAP values of the effect of a contact as its learner grew it; the frame's index.

        On the log odds of paying for the learners by odds and the responses (S, T), on its probability for X, R, DR and
        the causal forest. Of a policy tree, in money per contact: what each split on the way to a row's segment adds,
        put down to its column; ``channel`` is what the channel is worth before any split.

        One column per feature, and ``channel``: what the channel itself adds to the mean over its trees; of a learner
        without trees its one number. For the channel with the most gain over the rows when none is named.

        Raises:
            ValueError: the channel is not known, or it has no effect of its own.
        """
        frame, matrix = self._read(X)
        columns = [*self.spec_.names, "channel"]
        if channel is None:
            if len(frame) == 0:
                return pd.DataFrame(np.zeros((0, len(columns))), columns=columns, index=frame.index)
            channel = self.channels_[int(self._gain(frame, matrix).sum(axis=0).argmax())]
        channel = _code(channel)
        boosters = [b for b in (self.fit_.effect_all, self.fit_.effect_one.get(channel)) if b is not None]
        if channel not in self.fit_.constants:
            raise ValueError(f"{self.NAME}: {channel!r} has no effect by features; channels are {self.channels_}.")
        place = self.channels_.index(channel)
        wide = with_channel(matrix, np.full(len(matrix), place))
        values = np.zeros(wide.shape)
        if len(frame) == 0:
            return pd.DataFrame(values, columns=columns, index=frame.index)
        if self.fit_.tree is not None:
            values = self.fit_.tree.contributions(matrix, place)
        elif not boosters:  # one number for everybody: no feature moves it
            values[:, -1] = self.fit_.constants[channel]
        for booster in boosters:
            width = booster.num_feature()
            values[:, :width] += contributions(booster, wide[:, :width], n_jobs=self.n_jobs) / len(boosters)
        return pd.DataFrame(values, columns=columns, index=frame.index)

    # --- pieces --------------------------------------------------------------------------------------------------

    def _settings(self) -> ContactChannelSettings:
        safe = tuple(
            Feature(name, column.type, column.why)
            for name, column in zip(self._safe_names(), self.spec_.columns, strict=True)
        )
        return ContactChannelSettings(
            response_window_days=self.response_window_days,
            least_attempts=self.least_attempts,
            least_reached=max(1, self.least_attempts // 2),
            n_jobs=self.n_jobs,
            spec=FeatureSpec(self.NAME, "the frame", safe, ()),
        )

    def _rows(self, frame: pd.DataFrame, matrix: np.ndarray, y: Any) -> ChannelRows:
        """The frame as rows to learn from or to judge."""
        wanted = [name for name in (self.treatment, self.amount, self.reached, self.propensity, self.date) if name]
        missing = [name for name in wanted if name not in frame.columns]
        if missing:
            raise ValueError(f"{self.NAME}: the frame lacks {missing}, which say what was done and what followed.")
        if (self.amount is None) == (y is None):
            raise ValueError(f"{self.NAME}: give the money either as y or by the parameter amount, and not both.")
        if y is None:
            money = amounts_of(self.NAME, f"the column {self.amount!r}", frame[self.amount])
        else:
            given = y if isinstance(y, pd.Series) else pd.Series(column_or_1d(y))
            money = amounts_of(self.NAME, "y", given)
        check_consistent_length(frame, money)
        if not np.isfinite(money).all():
            raise ValueError(f"{self.NAME}: {int((~np.isfinite(money)).sum())} rows have no amount; 0 where none came.")
        codes = _codes(frame[self.treatment])
        treatment = pd.Index(self.channels_, dtype="object").get_indexer(codes)
        unknown = sorted(set(codes[(treatment < 0) & (codes != _code(self.none)).to_numpy()]))
        if unknown:
            raise ValueError(f"{self.NAME}: {unknown} are not channels that were learnt; known are {self.channels_}.")
        contacted = treatment != NONE
        reached = contacted if self.reached is None else flags_of(self.NAME, self.reached, frame[self.reached])
        logged = np.full(len(frame), np.nan)
        if self.propensity is not None:
            logged = amounts_of(self.NAME, f"the column {self.propensity!r}", frame[self.propensity])
        wrong = np.flatnonzero((logged <= 0) | (logged > 1))
        if len(wrong):
            raise ValueError(
                f"{self.NAME}: {len(wrong)} rows have a propensity outside (0, 1] in {self.propensity!r}, the first is "
                f"{logged[wrong[0]]:g}. It is the probability with which the action taken was drawn; leave it empty "
                "where nothing was drawn, and divide percentages by 100."
            )
        size = self._size(frame)
        money = np.maximum(money, 0.0)
        return ChannelRows(
            matrix=matrix,
            collectable=size,
            installment=size,
            treatment=treatment.astype(np.int64),
            reached=contacted & reached,
            paid=(money > 0).astype(float),
            paid_amount=money,
            propensity=logged,
            week=self._dates(frame).to_numpy(),
            member=pd.factorize(self._members(frame), sort=True)[0],
        )

    def _median_size(self, frame: pd.DataFrame) -> float:
        if self.size is None:
            return 1.0
        if self.size not in self.spec_.names:
            raise ValueError(f"{self.NAME}: the frame has no column {self.size!r}, which the parameter size names.")
        size = amounts_of(self.NAME, f"the column {self.size!r}", frame[self.size])
        if not (size > 0).any():
            raise ValueError(f"{self.NAME}: no row has a {self.size!r} above 0, so payments cannot be measured by it.")
        return float(np.median(size[size > 0]))

    def _size(self, frame: pd.DataFrame) -> np.ndarray:
        if self.size is None:
            return np.ones(len(frame))
        size = amounts_of(self.NAME, f"the column {self.size!r}", frame[self.size])
        return np.where(size > 0, size, self.usual_size_)

    def _support(self, matrix: np.ndarray) -> np.ndarray:
        known = np.array([channel in self.fit_.constants for channel in self.channels_], dtype=bool)
        if len(matrix) == 0:
            return np.zeros((0, len(known)), dtype=bool)
        chosen = probabilities(self.propensity_, matrix, n_jobs=self.n_jobs)[:, 1:]
        return (chosen >= self._settings().support_propensity) & known

    def _gain(self, frame: pd.DataFrame, matrix: np.ndarray) -> np.ndarray:
        size = self._size(frame)
        gains = self.fit_.gains(matrix, size, size)
        return np.where(self._support(matrix), gains.gain, np.minimum(gains.gain, gains.constant_gain))

    def _nuisance(self, rows: ChannelRows, settings: ContactChannelSettings) -> Nuisance:
        """Mean outcomes from the response learnt before; propensities of these rows, each half by the other."""
        money = self.fit_.amount.of(rows, n_jobs=self.n_jobs)
        count = len(self.channels_) + 1
        outcomes = np.empty((len(rows), count))
        wide = with_channel(rows.matrix, np.full(len(rows), NONE))
        for place in range(count):
            wide[:, -1] = np.nan if place == 0 else place - 1
            outcomes[:, place] = expit(raw_score(self.response_, wide, n_jobs=self.n_jobs)) * money
        own = bin_rows(rows.matrix, settings, seed=self.seed)
        fold = member_fold(pd.Series(rows.member).astype(str), 2)
        propensity = probabilities(self.propensity_, rows.matrix, n_jobs=self.n_jobs)
        for half in (0, 1):
            there, here = np.flatnonzero(fold != half), np.flatnonzero(fold == half)
            if len(here) and len(there) >= self.least_attempts:
                booster = fit_propensity(rows, own, there, count, settings, seed=self.seed)
                propensity[here] = probabilities(booster, rows.matrix[here], n_jobs=self.n_jobs)
        estimated = propensity[np.arange(len(rows)), rows.treatment + 1]
        taken = np.where(np.isnan(rows.propensity), estimated, rows.propensity)
        return Nuisance(propensity, outcomes, money, taken)

    def _state(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        check_is_fitted(self, "fit_")
        found = self.fit_
        boosters = {"base": found.base, "amount": found.amount.booster, "effect_all": found.effect_all}
        boosters |= {"propensity": self.propensity_, "response": self.response_}
        for kind, by_channel in (("reach", found.reach), ("effect", found.effect_one)):
            boosters |= {f"{kind}_{self.channels_.index(name)}": booster for name, booster in by_channel.items()}
        state = {
            "channels": self.channels_,
            "learner": self.learner_,
            "fitted": found.learner,
            "amount": [found.amount.of_one, found.amount.of_more],
            "level": found.level,
            "constants": found.constants,
            "scale": found.scale,
            "told_apart": found.told_apart,
            "reach": sorted(found.reach),
            "effect_one": sorted(found.effect_one),
            "tree": None if found.tree is None else found.tree.to_json(),
            "usual_size": self.usual_size_,
            "backtest": self.backtest_,
            "last_date": None if self.last_date_ is None else self.last_date_.isoformat(),
        }
        return state, {f"{name}.txt": booster_text(b).encode() for name, b in boosters.items() if b is not None}

    def _restore(self, state: Mapping[str, Any], boosters: Mapping[str, Any]) -> None:
        self.channels_ = list(state["channels"])
        self.learner_ = state["learner"]
        self.usual_size_ = state["usual_size"]
        self.backtest_ = _as_judged(state["backtest"])
        self.last_date_ = None if state["last_date"] is None else pd.Timestamp(state["last_date"])
        place: Sequence[str] = self.channels_
        self.fit_ = ChannelFit(
            learner=state["fitted"],
            channels=tuple(self.channels_),
            base=boosters["base"],
            amount=AmountModel(boosters["amount"], *state["amount"]),
            level=state["level"],
            constants=state["constants"],
            reach={name: boosters[f"reach_{place.index(name)}"] for name in state["reach"]},
            effect_all=boosters.get("effect_all"),
            effect_one={name: boosters[f"effect_{place.index(name)}"] for name in state["effect_one"]},
            scale=state["scale"],
            told_apart=state.get("told_apart", 1.0),  # files of a release before believed them whole
            n_jobs=self.n_jobs,
            tree=PolicyTree.from_json(state["tree"]) if state["tree"] else None,
        )
        self.propensity_, self.response_ = boosters["propensity"], boosters["response"]

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.target_tags.required = False
        return tags


def _code(value: Any) -> str:
    """A value of the treatment as text; whole numbers and booleans alike, in whatever dtype they came."""
    # numpy's booleans are no Real, as Python's own are
    if isinstance(value, Real | Decimal | np.bool_) and float(value).is_integer():
        return str(int(float(value)))
    return str(value)


def _codes(values: pd.Series) -> pd.Series:
    """:func:`_code` of each value."""
    known = {value: _code(value) for value in values.astype("object").unique()}
    return values.astype("object").map(known)


def _spelt_twice(codes: pd.Series) -> list[list[str]]:
    """Codes that differ by capitals or blanks alone, together."""
    alike: dict[str, list[str]] = {}
    for code in sorted(codes.unique()):
        alike.setdefault(" ".join(code.casefold().split()), []).append(code)
    return [spellings for spellings in alike.values() if len(spellings) > 1]


def _as_judged(stored: Any, name: str = "") -> Any:
    """What the judge said, as he said it: JSON has texts for dates and null for what could not be measured."""
    if isinstance(stored, Mapping):
        return {key: _as_judged(value, key) for key, value in stored.items()}
    if isinstance(stored, list):
        return [date.fromisoformat(one) if name.endswith("_weeks") else _as_judged(one) for one in stored]
    return np.nan if stored is None and name != "split" else stored


def _by_size(code: str) -> tuple[bool, float, str]:
    """Numbers by their size, then texts."""
    try:
        return False, float(code), code
    except ValueError:
        return True, 0.0, code
