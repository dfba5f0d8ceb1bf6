from pathlib import Path

import pytest

from puntual.errors import UsageError
from puntual.paths import Home
from puntual.settings import load_settings, settings_text


def write(folder: Path, text: str) -> Home:
    (folder / "puntual.yaml").write_text(text, encoding="utf-8")
    return Home(folder)


def test_the_template_is_valid_and_keeps_what_was_given(tmp_path):
    place = write(tmp_path, settings_text(name='Coop "Los Andes"', country="MX", timezone="America/Mexico_City"))
    settings = load_settings(place)
    assert settings.institution.name == 'Coop "Los Andes"'
    assert settings.institution.country == "MX"
    assert settings.channels["call"].cost == 0.45
    assert settings.channels["visit"].daily_capacity is None


def test_the_block_of_the_manual_is_accepted(tmp_path):
    place = write(
        tmp_path,
        """
institution: {name: Coop, country: EC, timezone: America/Guayaquil, currency: USD, language: es}
warehouse: {url: "duckdb:///warehouse/puntual.duckdb"}
landing: {path: landing}
channels: {call: {cost: 0.45}, whatsapp: {cost: 0.06, daily_capacity: 5000}}
decision: {response_window_days: 7, exploration_share: 0.05}
default_risk: {past_due_days: 90, horizon_days: 182}
""",
    )
    assert load_settings(place).decision.exploration_share == 0.05


@pytest.mark.parametrize(
    ("wrong", "right", "expected"),
    [
        pytest.param(
            "exploration_share", "explore_share", "line {line}: decision.explore_share: unknown key", id="misspelt key"
        ),
        pytest.param(
            "exploration_share: 0.05", "exploration_share: 5", "less than or equal to 1", id="share above one"
        ),
        pytest.param("America/Guayaquil", "America/Quito", "is not a time zone", id="unknown zone"),
        pytest.param("  call:", "  fax:", "'fax' is not a channel", id="unknown channel"),
        pytest.param("path: landing", "path: ../elsewhere", "lies outside the home", id="path outside the home"),
        pytest.param("duckdb:///warehouse", "mysql://warehouse", "must start with duckdb:///", id="unknown engine"),
        pytest.param("[fees, interest, principal]", "[fees, fees, principal]", "once each", id="component twice"),
    ],
)
def test_a_wrong_key_or_value_is_named(tmp_path, wrong, right, expected):
    text = settings_text().replace(wrong, right)
    assert text != settings_text()
    line = next((n for n, row in enumerate(text.splitlines(), 1) if right in row), None)
    with pytest.raises(UsageError) as error:
        load_settings(write(tmp_path, text))
    assert expected.format(line=line) in str(error.value)


def test_no_file_says_how_to_make_one(tmp_path):
    with pytest.raises(UsageError, match="puntual init"):
        load_settings(Home(tmp_path))


def test_text_that_is_not_yaml_is_an_error_and_not_a_traceback(tmp_path):
    with pytest.raises(UsageError, match="not valid YAML"):
        load_settings(write(tmp_path, "institution: {name: 'x"))
