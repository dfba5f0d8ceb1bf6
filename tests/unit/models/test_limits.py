from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
import yaml

from models.limits import Level, Measure, alarms, load_limits
from puntual.errors import ModelError


def _own(tmp_path: Path, content: object) -> Path:
    file = tmp_path / "models" / "default_risk.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    return tmp_path


def test_every_measure_has_a_shipped_limit_in_both_languages() -> None:
    limits = load_limits("default_risk")
    assert {limit.measure for limit in limits.alarms} == set(get_args(Measure))


def test_an_institution_replaces_what_it_names_and_keeps_the_rest(tmp_path: Path) -> None:
    own = _own(
        tmp_path,
        {
            "promotion": {"proof": "likely"},
            "alarms": [{"measure": "ece", "warning": {"above": 0.1}, "alarm": {"above": 0.2}}],
        },
    )
    found, shipped = load_limits("default_risk", own), load_limits("default_risk")
    assert found.promotion.proof == "likely"
    assert found.promotion.max_age_days == shipped.promotion.max_age_days
    by = {limit.measure: limit for limit in found.alarms}
    assert by["ece"].alarm.above == 0.2
    assert [limit for limit in found.alarms if limit.measure != "ece"] == [
        limit for limit in shipped.alarms if limit.measure != "ece"
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"promotion": {"proof": "perhaps"}}, "promotion.proof"),
        ({"promotions": {}}, "promotions"),
        ({"alarms": [{"measure": "moon", "warning": {"above": 1}}]}, "alarms"),
        ({"alarms": [{"measure": "ece", "warning": {"above": 0.5}}]}, "comes before the warning"),
        ({"alarms": [{"measure": "ece", "alarm": {}}]}, "give 'below', 'above' or both"),
        ({"alarms": {"ece": 1}}, "must be a list"),
        (["ece"], "must be a mapping"),
    ],
)
def test_a_wrong_file_is_refused_by_name_and_key(tmp_path: Path, content: object, message: str) -> None:
    with pytest.raises(ModelError, match=message) as found:
        load_limits("default_risk", _own(tmp_path, content))
    assert "default_risk.yaml" in str(found.value)


def test_a_level_is_crossed_only_beyond_its_ends() -> None:
    level = Level(below=0.8, above=1.25)
    assert [level.crossed(value) for value in (0.79, 0.8, 1.0, 1.25, 1.26)] == [0.8, None, None, None, 1.25]


def test_an_alarm_says_what_how_much_the_limit_and_what_to_do() -> None:
    limits = load_limits("default_risk")
    found = alarms(
        limits,
        "default_risk",
        "default",
        [
            ("psi_feature", "arrears_amount", 0.4),
            ("psi_feature", "past_due_days", 0.01),
            ("ece", None, 0.05),
            ("auc_drop", None, float("nan")),
        ],
        version="v1",
    )
    assert {a.row()["model_version"] for a in found} == {"v1"}
    assert [(a.measure, a.detail, a.severity, a.limit) for a in found] == [
        ("ece", None, "alarm", 0.04),
        ("psi_feature", "arrears_amount", "warning", 0.25),
    ]
    assert "0,050 (límite 0,04)" in found[0].text_es and "entrene de nuevo" in found[0].text_es
    assert "0.050 (limit 0.04)" in found[0].text_en and "train again" in found[0].text_en
    assert "arrears_amount: 0.400 (limit 0.25)" in found[1].text_en
    assert found[0].retrains and not found[1].retrains


def test_an_alarm_of_a_version_out_of_force_names_it_and_asks_for_no_training() -> None:
    limits = load_limits("default_risk")
    (found,) = alarms(limits, "default_risk", "default", [("ece", None, 0.05)], version="abc1", is_in_force=False)
    assert found.severity == "alarm" and not found.retrains
    assert "versión abc1, que ya no está en uso" in found.text_es and "entrene" not in found.text_es
    assert "version abc1, which is no longer in use" in found.text_en and "train again" not in found.text_en


def test_a_warning_never_retrains() -> None:
    limits = load_limits("default_risk")
    (warning,) = alarms(limits, "default_risk", "default", [("ece", None, 0.03)], version="v1")
    assert warning.severity == "warning"
    assert not warning.retrains
