"""What an arm does otherwise than the institution does today: as data, in words, and whether it is anything at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import Field, model_serializer, model_validator

from puntual.audit.texts import percent
from puntual.decision.change_keys import FEE, LADDER, MODEL, PROVISION
from puntual.decision.policies import Ladder
from puntual.settings import Share
from puntual.strict import Strict

KEYS_OF = {"puntual": (PROVISION, FEE, MODEL), "ladder": (LADDER,), "hold_out": ()}
"""What an arm of each policy may change."""

_NOTHING = {
    "es": {PROVISION: "no cuenta la provisión evitada", FEE: "no cuenta la tarifa de cobranza"},
    "en": {PROVISION: "the provision avoided does not count", FEE: "the collection fee does not count"},
}
_WORDS = {
    "es": {
        PROVISION: "cuenta el {value} de la provisión evitada",
        FEE: "cuenta el {value} de la tarifa de cobranza",
        MODEL: "modelo de canales {value}",
        LADDER: "escalera {value}",
    },
    "en": {
        PROVISION: "{value} of the provision avoided counts",
        FEE: "{value} of the collection fee counts",
        MODEL: "channel model {value}",
        LADDER: "ladder {value}",
    },
}


class Changes(Strict):
    """The keys that an arm changes, with what becomes of them; None: as today.

    ``channel_model`` is a version of contact_channel in the registry, whole. ``ladder`` is written as
    ``data/policies/ladder.yaml`` is.
    """

    provision_weight: Share | None = Field(default=None, alias=PROVISION)
    collection_fee_weight: Share | None = Field(default=None, alias=FEE)
    channel_model: str | None = Field(default=None, pattern=r"^[0-9A-Za-z._-]+$")
    ladder: Ladder | None = None

    @model_validator(mode="after")
    def _something(self) -> Changes:
        if not self.written():
            raise ValueError(f"changes nothing: give {', '.join((PROVISION, FEE, MODEL, LADDER))}, or leave it out")
        return self

    @model_serializer(mode="plain")
    def written(self) -> dict[str, Any]:
        """What is changed, by key, as it is written in the file; nothing of the rest."""
        ladder = None if self.ladder is None else self.ladder.model_dump(mode="json")
        all_of_it = {
            PROVISION: self.provision_weight,
            FEE: self.collection_fee_weight,
            MODEL: self.channel_model,
            LADDER: ladder,
        }
        return {key: value for key, value in all_of_it.items() if value is not None}

    def same_as(self, today: Mapping[str, Any]) -> list[str]:
        """Keys whose value is the one of ``today``, by key as :meth:`written` has them; of a ladder its steps count."""
        return [key for key, value in self.written().items() if _core(value) == _core(today.get(key))]


def _core(value: Any) -> Any:
    """Of a ladder what it does: its name and version decide nothing."""
    return value["steps"] if isinstance(value, Mapping) else value


def in_words(changes: Mapping[str, Any], language: str) -> str:
    """What an arm changes, in one line; ``changes`` as :meth:`Changes.written` has them, or a ladder by its name.

    >>> in_words({"decision.provision_weight": 0.5, "channel_model": "ab12"}, "en")
    '50.0% of the provision avoided counts; channel model ab12'
    """
    words, without = _WORDS[language], _NOTHING[language]
    return "; ".join(
        without[key] if key in without and not changes[key] else text.format(value=_shown(changes[key], language))
        for key, text in words.items()
        if key in changes
    )


def _shown(value: Any, language: str) -> str:
    if isinstance(value, Mapping):
        return f"{value['id']} v{value['version']}"
    return str(value) if isinstance(value, str) else percent(value, language)


def alike(changes: Changes | None, today: Mapping[str, Any]) -> str:
    """What an arm comes to beside ``today``: equal texts, equal policies."""
    same = [] if changes is None else changes.same_as(today)
    written = {} if changes is None else changes.written()
    different = {key: _core(value) for key, value in written.items() if key not in same}
    return json.dumps(different, sort_keys=True)
