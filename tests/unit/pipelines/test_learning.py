"""What the registry is told of a channel model: promoted only where the log says enough, and why."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import date
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from models.provenance import label_definition
from pipelines.dbt import dbt_vars
from pipelines.steps import learning
from puntual.settings import Settings, settings_text

VARIABLES = dbt_vars(Settings.model_validate(yaml.safe_load(settings_text())))


@dataclass
class Registry:
    """Remembers what was decided."""

    decided: list[tuple[str, str]] = field(default_factory=list)

    def register(self, name: str, model: Any, *, label: dict[str, Any]) -> str:
        self.card, self.label = model.card, label
        return "1"

    def promote(self, name: str, version: str, *, reason: str, decided_on: date) -> None:
        self.decided.append(("promoted", reason))

    def decline(self, name: str, version: str, *, reason: str, decided_on: date) -> None:
        self.decided.append(("declined", reason))


@dataclass(frozen=True)
class Model:
    """A trained model, as far as the step reads it."""

    card: dict[str, Any]
    promote: bool = False
    decision: str = ""
    willingness_version: str = ""


def _stub(monkeypatch: pytest.MonkeyPatch, **own: Any) -> None:
    """What a step of learning calls gives these results; those that every step calls have theirs."""
    shared = {
        "_is_planned": True,
        "training_version": "",
        "feature_rows": None,
        "_note_off": None,
        "dbt_vars": VARIABLES,
    }
    for name, result in (shared | own).items():
        monkeypatch.setattr(learning, name, lambda *args, _result=result, **kwargs: _result)


def _learnt(monkeypatch: pytest.MonkeyPatch, proof: str, *, worth: float, low: float) -> Registry:
    judged = {
        "split": "time_with_gap",
        "chosen": "x_learner",
        "overlap": {"effective_sample": worth, "planned_count": 10_000, "share": worth / 10_000, "by_channel": {}},
        "against_habit": {"x_learner": {"value": 1.0, "low": low, "high": 2.0}},
    }
    model = Model({"learner": "x_learner", "evaluation": judged, "decision": {"promote": low > 0, "reason": "before"}})
    _stub(monkeypatch, keep_training_rows=None, train_contact_channel=model, champion_row=None)
    registry = Registry()
    day: Any = SimpleNamespace(
        as_of=date(2026, 6, 30),
        registry=registry,
        warehouse=SimpleNamespace(read_table=lambda *args, **kwargs: None),
        settings=SimpleNamespace(
            channels={"call": None},
            runtime=SimpleNamespace(threads=1),
            decision=SimpleNamespace(seed=0),
            institution=SimpleNamespace(currency="USD"),
            contact_channel=SimpleNamespace(promotion=proof, least_effective_sample=100),
        ),
    )
    learning.learn_contact_channel(day)
    return registry


@pytest.mark.parametrize(
    ("proof", "worth", "low", "what", "says"),
    [
        ("certain", 500.0, 0.1, "promoted", ("Mejor que el modo actual sin duda", "Surely better")),
        ("certain", 500.0, -0.1, "declined", ("No reemplaza: no es seguro", "not surely better")),
        ("likely", 500.0, -0.1, "promoted", ("solo por la estimación", "by the estimate alone")),
        ("likely", 3.0, -0.1, "declined", ("10.000 contactos equivalen a 3 observados", "worth 3 observed ones")),
        ("likely", 3.0, 0.1, "declined", ("10.000 contactos equivalen a 3 observados", "worth 3 observed ones")),
    ],
)
def test_the_registry_is_told_the_decision_and_its_reason(
    monkeypatch: pytest.MonkeyPatch, proof: str, worth: float, low: float, what: str, says: tuple[str, str]
) -> None:
    registry = _learnt(monkeypatch, proof, worth=worth, low=low)
    ((decided, reason),) = registry.decided
    assert decided == what
    for text in says:
        assert text in reason
    assert ("No reemplaza" in reason) == (what == "declined")
    assert registry.card["decision"]["promote"] == (what == "promoted")
    assert registry.card["decision"]["proof"] == proof


@pytest.mark.parametrize("name", ["kept_promise", "recovery", "contact_channel"])
@pytest.mark.parametrize("is_held", [False, True])
def test_no_training_replaces_what_somebody_went_back_to(
    monkeypatch: pytest.MonkeyPatch, name: str, is_held: bool
) -> None:
    row = {"version": "ab12", "reason": "odd amounts", "decided_on": "2026-06-29"}
    row |= {"held_since": "2026-06-29"} if is_held else {}
    monkeypatch.setattr(learning, "champion_row", lambda day, name: row)
    monkeypatch.setattr(learning, "_note_off", lambda *args: None)
    monkeypatch.setattr(learning, "dbt_vars", lambda settings: VARIABLES)
    registry = Registry()
    day: Any = SimpleNamespace(as_of=date(2026, 6, 30), registry=registry, settings=None)
    said = learning._registered(day, name, Model({}), promote=True, why="the newest model", why_es="el más nuevo")
    ((decided, reason),) = registry.decided
    assert decided == ("declined" if is_held else "promoted")
    assert ("ab12" in reason and "odd amounts" in reason) is is_held
    es, en = reason.split(" · ")
    assert es.endswith("el más nuevo") and en.endswith("the newest model")
    assert ("La regla lo habría reemplazado: el más nuevo" in es) is is_held
    assert ("The rule would have replaced it: the newest model" in en) is is_held
    assert registry.label == label_definition(name, VARIABLES)
    assert said["status"] == ("trained, not promoted" if is_held else "trained and promoted")


@pytest.mark.parametrize(
    ("learn", "train", "model"),
    [
        ("learn_kept_promise", "train_kept_promise", SimpleNamespace(card={}, kind="boosted")),
        ("learn_recovery", "train_recovery", Model({})),
    ],
)
def test_the_models_that_are_always_renewed_keep_to_a_rollback_too(
    monkeypatch: pytest.MonkeyPatch, learn: str, train: str, model: Any
) -> None:
    held = {"version": "ab12", "reason": "odd amounts", "held_since": "2026-06-29"}
    _stub(monkeypatch, recovery_frame=None, champion_row=held, **{train: model})
    registry = Registry()
    day: Any = SimpleNamespace(
        as_of=date(2026, 6, 30),
        registry=registry,
        warehouse=SimpleNamespace(read_table=lambda *args, **kwargs: None, connection=nullcontext),
        settings=SimpleNamespace(
            runtime=SimpleNamespace(threads=1),
            decision=SimpleNamespace(seed=0),
            expected_recovery=SimpleNamespace(horizon_days=30, confidence=0.8),
        ),
    )
    getattr(learning, learn)(day)
    ((decided, reason),) = registry.decided
    assert decided == "declined" and "ab12" in reason
    es, en = reason.split(" · ")
    assert "La regla lo habría reemplazado: el modelo más nuevo" in es
    assert "The rule would have replaced it: the newest model" in en
