"""Arms of experiments that change something, on a day: whether it can honour them, and what they need to be decided.

What cannot be honoured stops the day before anything is decided: an arm that silently did as the product does would be
counted as if it had not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd

from models.features import CUSTOMER_FEATURES
from pipelines.day import Day
from pipelines.steps.champions import CHANNEL_MODEL, OUTDATED, champion_row, fits
from pipelines.steps.feature_rows import feature_rows
from puntual.decision.change_keys import FEE, MODEL, PROVISION
from puntual.decision.variants import SCORE_COLUMNS, Variant, Variants
from puntual.errors import ModelError
from puntual.experiments.assign import chances
from puntual.experiments.registry import Arm, ExperimentError, Registered

_STOP = (
    "To go on without it, end the experiment: set its end to a day that has passed (enabled: false if it never ran)."
)


class AtStake(NamedTuple):
    """What a contact may be worth beyond the money it recovers, and which of its two parts can be anything at all.

    ``has_provisions``: by the rating table in force a roll can ask for more. ``has_fees``: a fee stands in the table of
    the country; ``is_chargeable``: a rule in force lets a contact through some channel be charged.
    """

    stakes: pd.DataFrame | None
    has_provisions: bool
    has_fees: bool
    is_chargeable: bool


def changed_arms(day: Day, registered: Sequence[Registered]) -> list[tuple[Registered, Arm]]:
    """The arms that hold on the date and change something, by experiment and in their written order."""
    return [(one, arm) for one in registered if one.experiment.holds(day.as_of) for arm in one.experiment.changed_arms]


def models_of_arms(day: Day, registered: Sequence[Registered]) -> dict[str, Any]:
    """The channel models that arms ask for on the date, by version, loaded and with their bytes checked.

    Raises:
        ExperimentError: a version is not registered, saw the date's future, no longer fits today's columns, or its
            files are not those that were registered.
    """
    found: dict[str, Any] = {}
    for one, arm in changed_arms(day, registered):
        version = arm.changes.channel_model if arm.changes else None
        if version is not None and version not in found:
            found[version] = _model(day, one, arm, version)
    return found


def variants_of(
    day: Day, registered: Sequence[Registered], exposures: pd.DataFrame, at_stake: AtStake
) -> Variants | None:
    """The arms of the date that change something, who may follow them, and what their models say; None: no such arm.

    Args:
        day: the business date.
        registered: every experiment.
        exposures: of the date, :func:`puntual.experiments.assign.expose`.
        at_stake: what provisions and fees there can be.

    Raises:
        ExperimentError: as :func:`models_of_arms`; the channel model is off, so that the product is the ladder; or a
            weight is changed of what the tables and rules in force let be nothing for everybody.
    """
    arms = changed_arms(day, registered)
    if not arms:
        return None
    models = models_of_arms(day, registered)
    plans = []
    for one, arm in arms:
        changes = arm.changes
        assert changes is not None
        if changes.ladder is None and champion_row(day, CHANNEL_MODEL) is None:
            key = next(iter(changes.written()))
            raise _refusal(
                one,
                arm,
                key,
                f"the channel model is off on {day.as_of}: the product is the written ladder, and that knows no {key}",
                f"Compare two ladders instead, or promote a model (puntual models promote {day.home.root}).",
            )
        for key, weight, is_known, lacks, what_to_do in (
            (
                PROVISION,
                changes.provision_weight,
                at_stake.has_provisions,
                "no rating table of {country} that asks for more provision as a loan grows older",
                "Name one in kpis.rating_table of puntual.yaml; where this release has none of the country, leave the "
                "weight out.",
            ),
            (
                FEE,
                changes.collection_fee_weight,
                at_stake.has_fees,
                "no table of collection fees of {country}",
                "The tables come with the release: where it has none of the country, leave the weight out.",
            ),
            (
                FEE,
                changes.collection_fee_weight,
                at_stake.is_chargeable,
                "no rule of {country} that lets a contact be charged",
                "If the institution may charge one, say so by a rule of kind fee (policies of the home, "
                "docs/contact_rules.md); otherwise leave the weight out.",
            ),
        ):
            if weight is not None and not is_known:
                lacking = lacks.format(country=day.settings.institution.country)
                why = f"{lacking} is in force on {day.as_of}, so that the weight would change nothing"
                raise _refusal(one, arm, key, why, what_to_do)
        plans.append(
            Variant(
                experiment_id=one.experiment.id,
                arm_code=arm.code,
                provision_weight=changes.provision_weight,
                fee_weight=changes.collection_fee_weight,
                channel_model=changes.channel_model,
                ladder=changes.ladder,
            )
        )
    chance = chances([one for one in registered if one.experiment.holds(day.as_of)], exposures)
    return Variants(tuple(plans), chance, _scores(day, plans, chance, models))


def _model(day: Day, one: Registered, arm: Arm, version: str) -> Any:
    rows = {row["version"]: row for row in day.registry.list(CHANNEL_MODEL)}
    choose = f"Choose one that is there (puntual models list {day.home.root})."
    if version not in rows:
        there = ", ".join(rows) or "none"
        raise _refusal(one, arm, MODEL, f"there is no version {version} of {CHANNEL_MODEL}; there are: {there}", choose)
    if rows[version]["trained_as_of"] > day.as_of.isoformat():
        trained = rows[version]["trained_as_of"]
        raise _refusal(one, arm, MODEL, f"the version {version} was trained on {trained}, after {day.as_of}", choose)
    try:
        if not fits(day, CHANNEL_MODEL, version):
            raise _refusal(one, arm, MODEL, f"the version {version} cannot be used: {OUTDATED}", choose)
        return day.registry.load(CHANNEL_MODEL, version)
    except ModelError as error:
        raise _refusal(one, arm, MODEL, f"the version {version} cannot be used: {error}", choose) from error


def _scores(day: Day, plans: Sequence[Variant], chance: pd.DataFrame, models: dict[str, Any]) -> pd.DataFrame | None:
    """What the versions that are not in force say of the members who may follow their arms; None: there are none."""
    in_force = champion_row(day, CHANNEL_MODEL)
    parts = []
    for version, model in sorted(models.items()):
        if in_force is not None and version == in_force["version"]:
            continue
        codes = [one.code for one in plans if one.channel_model == version]
        concerned = chance.loc[chance["plan_code"].isin(codes) & (chance["probability"] > 0.0), "customer_id"]
        if concerned.empty:
            continue
        rows = feature_rows(day, CUSTOMER_FEATURES, "is_score", model.willingness_version)
        rows = rows[rows["customer_id"].isin(concerned)].reset_index(drop=True)
        parts.append(model.predict(rows, list(day.settings.channels))[list(SCORE_COLUMNS)])
    return pd.concat(parts, ignore_index=True) if parts else None


def _refusal(one: Registered, arm: Arm, key: str, why: str, what_to_do: str) -> ExperimentError:
    return ExperimentError(
        f"{one.file}: the arm {arm.code} of the experiment {one.experiment.id} cannot be decided on this day "
        f"(changes.{key}): {why}. {what_to_do} {_STOP}"
    )
