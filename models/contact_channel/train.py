"""Training of the channel model: the learner is chosen on held-out weeks, then fitted on all that has matured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from models.contact_channel.amounts import fit_amount
from models.contact_channel.card import build_card
from models.contact_channel.evaluate import compare
from models.contact_channel.learners import fit_learner
from models.contact_channel.nuisance import fit_propensity
from models.contact_channel.rows import NONE, ChannelRows, bin_rows, draw
from models.contact_channel.score import ChannelModelOff, ContactChannelModel
from models.contact_channel.settings import THROUGH_REACH, ContactChannelSettings
from models.datasets import training_rows
from models.estimators import BinnedMatrix
from models.features import CUSTOMER_FEATURES, check_spec, encode, learn_categories, number

LEAST_PAYING_ROWS = 50


@dataclass(frozen=True)
class Learning:
    """What the channel model is learnt from: matured customer-weeks as arrays, binned once for every booster."""

    as_of: date
    channels: list[str]
    settings: ContactChannelSettings
    categories: dict[str, list[str]]
    rows: ChannelRows
    binned: BinnedMatrix
    seed: int

    def judge(self) -> dict[str, Any]:
        """The contest of the learners on held-out weeks: which is chosen, what it is worth, how far it is believed."""
        return compare(self.rows, self.channels, self.settings, seed=self.seed, binned=self.binned)

    def fit(self, judged: Mapping[str, Any]) -> ContactChannelModel | ChannelModelOff:
        """The chosen learner on all weeks, with its limits of support; without a card."""
        rows, binned, settings, seed = self.rows, self.binned, self.settings, self.seed
        amount = fit_amount(rows, binned, settings, seed=seed)
        learner = judged.get("chosen", THROUGH_REACH)
        unsplit = judged.get("by_attempt", ())
        found = fit_learner(
            learner, rows, binned, self.channels, settings, amount=amount, seed=seed, by_attempt=unsplit
        )
        if not found.constants:
            tried, reached = settings.least_attempts, settings.least_reached
            return ChannelModelOff(
                f"no channel has {tried} attempts with {reached} people reached",
                f"ningún canal tiene {tried} intentos con {reached} personas contactadas",
            )
        scale = judged.get("scale", {})
        found = replace(
            found,
            scale={channel: scale.get(channel, 1.0) for channel in found.constants},
            told_apart=judged.get("told_apart", 1.0),
        )
        places = newest(rows, settings.support_rows, seed=seed)
        propensity = None
        if len(np.unique(rows.treatment[places])) > 1:
            propensity = fit_propensity(rows, binned, places, len(self.channels) + 1, settings, seed=seed)
        return ContactChannelModel(self.as_of, settings, self.categories, found, propensity)


def train(
    features: pd.DataFrame,
    labels: pd.DataFrame,
    *,
    as_of: date,
    channels: Sequence[str],
    settings: ContactChannelSettings | None = None,
    seed: int = 0,
) -> ContactChannelModel | ChannelModelOff:
    """The channel model trained on everything that has matured by ``as_of``, or why there is none.

    Arguments and errors as in :func:`learning`.
    """
    given = learning(features, labels, as_of=as_of, channels=channels, settings=settings, seed=seed)
    if isinstance(given, ChannelModelOff):
        return given
    judged = given.judge()
    model = given.fit(judged)
    return model if isinstance(model, ChannelModelOff) else with_card(model, given, judged)


def with_card(model: ContactChannelModel, given: Learning, judged: dict[str, Any]) -> ContactChannelModel:
    """The model with its card, and whether the written rule would promote it."""
    card = build_card(model, given.rows, judged)
    return replace(model, card=card, promote=card["decision"]["promote"], decision=card["decision"]["reason"])


def learning(
    features: pd.DataFrame,
    labels: pd.DataFrame,
    *,
    as_of: date,
    channels: Sequence[str],
    settings: ContactChannelSettings | None = None,
    seed: int = 0,
) -> Learning | ChannelModelOff:
    """The rows that the channel model is learnt from, or why they cannot carry one.

    Args:
        features: rows of ``feat_customer__as_of``; those with ``is_channel_training`` and ``is_eligible`` are used.
        labels: rows of ``label_customer__contact_response``.
        as_of: the run's date; a week counts when its response window ends on or before it.
        channels: the candidate channels. Weeks whose first contact went through another one are left out.
        settings: size of the model, limits of support, judging.
        seed: seed of everything drawn.

    Raises:
        ModelError: the columns are not those of the tables, a key repeats, or a row is later than ``as_of``.
    """
    check_spec(CUSTOMER_FEATURES)
    settings = settings or ContactChannelSettings()
    channels = sorted(set(channels))
    frame = training_frame(features, labels, as_of=as_of)
    frame = _matured(frame, as_of=as_of, channels=channels, window=settings.response_window_days)
    off = why_off(frame, settings)
    if off is not None:
        return off
    table = frame.loc[:, list(CUSTOMER_FEATURES.names)]
    categories = learn_categories(CUSTOMER_FEATURES, table)
    rows = channel_rows(frame, encode(CUSTOMER_FEATURES, table, categories), channels)
    return Learning(as_of, channels, settings, categories, rows, bin_rows(rows.matrix, settings, seed=seed), seed)


def training_frame(features: pd.DataFrame, labels: pd.DataFrame, *, as_of: date) -> pd.DataFrame:
    """Eligible rows with ``is_channel_training``, beside their labels, in the order of date and member.

    Raises:
        ModelError: the columns are not those of the table, a key repeats, or a row is later than ``as_of``.
    """
    return training_rows(
        CUSTOMER_FEATURES.check(features),
        labels,
        on=("as_of_date", "customer_id"),
        flags=("is_channel_training", "is_eligible"),
        as_of=as_of,
        model="contact_channel",
    )


def why_off(frame: pd.DataFrame, settings: ContactChannelSettings) -> ChannelModelOff | None:
    """Why there can be no channel model on these rows; None when there can be one."""
    if frame.empty:
        return ChannelModelOff(
            "no eligible member-week with a matured response window",
            "ninguna semana de un socio con deuda tiene ya completos sus días de respuesta",
        )
    contacted, least = frame["channel_code"].ne("none"), settings.least_attempts
    if not contacted.any():
        return ChannelModelOff(
            "no outbound contact is recorded, so no effect of a contact can be learnt",
            "no hay gestiones registradas, así que no se puede aprender qué cambia un contacto",
        )
    if contacted.sum() < least:
        return ChannelModelOff(
            f"only {int(contacted.sum())} contacts in the history, fewer than {least}",
            f"solo {int(contacted.sum())} contactos en la historia, menos de {least}",
        )
    if (~contacted).sum() < least:
        return ChannelModelOff(
            "almost everybody was contacted, so there is nothing to compare with",
            "se contactó a casi todos, así que no hay con quién comparar",
        )
    if frame["paid_7d_amount"].gt(0).sum() < LEAST_PAYING_ROWS:
        return ChannelModelOff(
            f"fewer than {LEAST_PAYING_ROWS} member-weeks with a payment",
            f"menos de {LEAST_PAYING_ROWS} semanas de socios con un pago",
        )
    return None


def channel_rows(frame: pd.DataFrame, matrix: np.ndarray, channels: Sequence[str]) -> ChannelRows:
    """The joined frame as arrays; a week's net repayment below zero (a reversal) counts as no payment."""
    spec = CUSTOMER_FEATURES
    treatment = pd.Index(list(channels)).get_indexer(frame["channel_code"].astype("object"))
    money = np.maximum(np.nan_to_num(number(spec, frame["paid_7d_amount"])), 0.0)
    return ChannelRows(
        matrix=matrix,
        collectable=number(spec, frame["collectable_amount"]),
        installment=number(spec, frame["installment_amount"]),
        treatment=np.where(frame["channel_code"].to_numpy() == "none", NONE, treatment).astype(np.int64),
        reached=frame["was_reached"].fillna(False).to_numpy(dtype=bool),
        paid=(money > 0).astype(float),
        paid_amount=money,
        propensity=number(spec, frame["propensity"]),
        week=frame["as_of_date"].to_numpy(),
        member=pd.factorize(frame["customer_id"].astype("object"), sort=True)[0],
    )


def newest(rows: ChannelRows, most: int, *, seed: int) -> np.ndarray:
    """Places of rows of the newest half of the weeks, at most ``most`` of them drawn, in order."""
    weeks = np.unique(rows.week)
    return draw(np.flatnonzero(rows.week >= weeks[len(weeks) // 2]), most, seed=seed)


def _matured(frame: pd.DataFrame, *, as_of: date, channels: Sequence[str], window: int) -> pd.DataFrame:
    whole = frame["as_of_date"] + pd.Timedelta(days=window) <= pd.Timestamp(as_of)
    code = frame["channel_code"].astype("object")
    keep = whole & frame["is_matured"].fillna(False).astype(bool) & (code.eq("none") | code.isin(list(channels)))
    return frame.loc[keep].reset_index(drop=True)
