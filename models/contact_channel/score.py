"""A trained channel model: the gain of every channel for every member who can be collected from, and its files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from functools import cached_property
from typing import Any

import lightgbm as lgb
import numpy as np
import pandas as pd

from models.artifacts import content_version, json_bytes
from models.contact_channel.amounts import AmountModel
from models.contact_channel.learners import ChannelFit
from models.contact_channel.outline import EffectOutline
from models.contact_channel.policy_tree import PolicyTree
from models.contact_channel.settings import ContactChannelSettings
from models.datasets import as_dates
from models.estimators import BoosterSettings, booster_from_text, booster_text, probabilities
from models.features import CUSTOMER_FEATURES, encode, number
from puntual.errors import ModelError

FORMAT = "contact_channel/4"


def over_loans(gain: np.ndarray, alone: np.ndarray, amount: np.ndarray, loans: np.ndarray) -> np.ndarray:
    """The gains of members with several loans, whom a contact moves to pay each of them; others' stay as they are.

    The learners see whether anything was paid. Of two loans the second payment no longer changes that, though it is
    money: with loans paid independently of each other at the chance q, something is paid at 1 - (1 - q)^n, and what is
    expected grows as q does.

    >>> gain = np.array([[9.0], [9.0]])
    >>> over_loans(gain, np.array([0.75, 0.75]), np.array([100.0, 100.0]), np.array([1.0, 2.0])).round(2).tolist()
    [[9.0], [15.0]]
    """
    count = np.where(loans > 1, loans, 1.0)[:, None]
    before = np.clip(alone, 1e-4, 1 - 1e-4)[:, None]
    after = np.clip(before + gain / np.maximum(amount, 0.01)[:, None], 1e-4, 1 - 1e-4)
    each_before, each_after = (1 - (1 - chance) ** (1 / count) for chance in (before, after))
    moved = (each_after - each_before) / each_before * before * amount[:, None]
    return np.asarray(np.where(count > 1, moved, gain))


@dataclass(frozen=True)
class ChannelModelOff:
    """There is no channel model, and why, in English and in Spanish; the written ladder decides instead."""

    reason: str
    reason_es: str


@dataclass(frozen=True)
class ContactChannelModel:
    """The chosen learner with its limits of support.

    ``promote`` says whether the plan beat the institution's present habit on held-out weeks beyond doubt, and
    ``decision`` why; both are in the card. Nothing is promoted here.

    ``willingness_version``: of the willingness that it was trained with and must be given; empty when it had none.
    """

    trained_as_of: date
    settings: ContactChannelSettings
    categories: dict[str, list[str]]
    fit: ChannelFit
    propensity: lgb.Booster | None
    card: dict[str, Any] = field(default_factory=dict, compare=False)
    promote: bool = field(default=False, compare=False)
    decision: str = field(default="", compare=False)
    willingness_version: str = ""

    name = "contact_channel"

    @cached_property
    def version(self) -> str:
        """Digest of the model's files."""
        return content_version(self.to_files())

    @property
    def channels(self) -> tuple[str, ...]:
        """The channels that the model was trained for."""
        return self.fit.channels

    def predict(self, features: pd.DataFrame, channels: Sequence[str]) -> pd.DataFrame:
        """One row per eligible row of the feature table and channel, sorted by as_of_date, customer_id and channel.

        1. ``gain_amount``: expected extra money within the response window from contacting through the channel today,
           against leaving the member alone; in the currency of the loans; the cost of the contact is not in it.
        2. ``reach_probability``: of reaching the member; 1 for the intention-to-treat learner, which does not split it
           off.
        3. ``pay_probability``: of paying something within the window when left alone.
        4. ``expected_amount``: if something is paid.
        5. ``is_supported``: whether the past used the channel for members like this one often enough. Where not, the
           gain is the smaller of the model's and the channel's constant effect; a channel hardly ever used has gain 0.

        Raises:
            ModelError: the columns are not those that the model was trained on.
        """
        spec = CUSTOMER_FEATURES
        checked = spec.check(features)
        rows = checked.loc[checked["is_eligible"].to_numpy(dtype=bool)]
        rows = rows.assign(as_of_date=as_dates(rows["as_of_date"])).sort_values(
            ["as_of_date", "customer_id"], kind="stable"
        )
        matrix = encode(spec, rows, self.categories)
        collectable, installment = number(spec, rows["collectable_amount"]), number(spec, rows["installment_amount"])
        gains = self.fit.gains(matrix, collectable, installment)
        supported = self._support(matrix)
        gain = np.where(supported, gains.gain, np.minimum(gains.gain, gains.constant_gain))
        gain = over_loans(gain, gains.pay_probability, gains.amount, number(spec, rows["active_loan_count"]))
        wanted = sorted(channels)
        places = [self.channels.index(channel) if channel in self.channels else None for channel in wanted]

        def pick(values: np.ndarray, missing: float | bool) -> np.ndarray:
            columns = [np.full(len(rows), missing) if place is None else values[:, place] for place in places]
            return np.column_stack(columns).ravel() if columns else np.zeros(0)

        repeat = len(wanted)
        return pd.DataFrame(
            {
                "as_of_date": np.repeat(rows["as_of_date"].to_numpy(), repeat),
                "customer_id": np.repeat(rows["customer_id"].to_numpy(), repeat),
                "channel_code": np.tile(np.array(wanted, dtype=object), len(rows)),
                "gain_amount": pick(gain, 0.0),
                "reach_probability": pick(gains.reach, 0.0),
                "pay_probability": np.repeat(gains.pay_probability, repeat),
                "expected_amount": np.repeat(gains.amount, repeat),
                "is_supported": pick(supported, False).astype(bool),
                "model_version": self.version,
            }
        )

    def _support(self, matrix: np.ndarray) -> np.ndarray:
        known = np.array([channel in self.fit.constants for channel in self.channels])
        if self.propensity is None or len(matrix) == 0:
            return np.tile(known & (self.propensity is not None), (len(matrix), 1))
        chosen = probabilities(self.propensity, matrix, n_jobs=self.settings.n_jobs)[:, 1:]
        return (chosen >= self.settings.support_propensity) & known

    def to_files(self) -> dict[str, bytes]:
        """The model as LightGBM text and JSON; :meth:`from_files` reads it back."""
        fit = self.fit
        boosters = {
            "base": fit.base,
            "amount": fit.amount.booster,
            "effect_all": fit.effect_all,
            "propensity": self.propensity,
        }
        boosters |= {f"reach_{channel}": booster for channel, booster in fit.reach.items()}
        boosters |= {f"effect_{channel}": booster for channel, booster in fit.effect_one.items()}
        head = {
            "format": FORMAT,
            "trained_as_of": self.trained_as_of,
            "schema_hash": CUSTOMER_FEATURES.schema_hash(),
            "settings": asdict(self.settings),
            "categories": self.categories,
            "learner": fit.learner,
            "channels": fit.channels,
            "amount": [fit.amount.of_one, fit.amount.of_more],
            "level": fit.level,
            "constants": fit.constants,
            "scale": fit.scale,
            "told_apart": fit.told_apart,
            "reach": sorted(fit.reach),
            "effect_one": sorted(fit.effect_one),
            "outline": None if fit.outline is None else asdict(fit.outline),
            "points": fit.points,
            "tree": None if fit.tree is None else fit.tree.to_json(),
            "willingness_version": self.willingness_version,
        }
        files = {f"{name}.txt": booster_text(b).encode() for name, b in boosters.items() if b is not None}
        return files | {"model.json": json_bytes(head)}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], card: dict[str, Any] | None = None) -> ContactChannelModel:
        """The model that :meth:`to_files` wrote.

        Raises:
            ModelError: it was trained on other columns than the present ones.
        """
        head = json.loads(files["model.json"])
        if head["format"] != FORMAT:
            raise ModelError(
                f"contact_channel: the stored model has format {head['format']}, not {FORMAT}; train again."
            )
        if head["schema_hash"] != CUSTOMER_FEATURES.schema_hash():
            raise ModelError(
                "contact_channel: the stored model was trained on other columns than today's; train again."
            )

        def read(name: str) -> lgb.Booster | None:
            content = files.get(f"{name}.txt")
            return None if content is None else booster_from_text(content.decode())

        def must(name: str) -> lgb.Booster:
            booster = read(name)
            if booster is None:
                raise ModelError(f"contact_channel: the stored model lacks {name}.txt; train again.")
            return booster

        stored = head["settings"].items()
        plain: dict[str, Any] = {k: BoosterSettings(**v) if isinstance(v, dict) else v for k, v in stored}
        plain["candidates"] = tuple(plain["candidates"])
        settings = ContactChannelSettings(**plain)
        fit = ChannelFit(
            learner=head["learner"],
            channels=tuple(head["channels"]),
            base=must("base"),
            amount=AmountModel(must("amount"), *head["amount"]),
            level=head["level"],
            constants=head["constants"],
            reach={channel: must(f"reach_{channel}") for channel in head["reach"]},
            effect_all=read("effect_all"),
            effect_one={channel: must(f"effect_{channel}") for channel in head["effect_one"]},
            scale=head["scale"],
            told_apart=head.get("told_apart", 1.0),  # a model of a release before believed them whole
            n_jobs=settings.n_jobs,
            outline=EffectOutline.from_json(head["outline"]) if head["outline"] else None,
            tree=PolicyTree.from_json(head["tree"]) if head["tree"] else None,
            points={channel: tuple(places) for channel, places in head["points"].items()},
        )
        card = card or {}
        decision = card.get("decision", {})
        return cls(
            trained_as_of=date.fromisoformat(head["trained_as_of"]),
            settings=settings,
            categories=head["categories"],
            fit=fit,
            propensity=read("propensity"),
            card=card,
            promote=bool(decision.get("promote", False)),
            decision=str(decision.get("reason", "")),
            willingness_version=head["willingness_version"],
        )
