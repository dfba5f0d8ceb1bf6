from pathlib import Path

import pytest

from puntual.errors import UsageError
from puntual.paths import Home
from puntual.settings import ChannelSettings, load_settings, settings_text


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


def refused(place):
    with pytest.raises(UsageError) as error:
        load_settings(place)
    return str(error.value).replace(f"{place.settings_file}, ", "").splitlines()


def line_of(text, start):
    return next(number for number, row in enumerate(text.splitlines(), 1) if row.strip().startswith(start))


@pytest.mark.parametrize(
    ("right", "wrong", "expected"),
    [
        pytest.param(
            "path: landing",
            "path: ../out",
            "landing.path: ../out lies outside the home; paths are relative to it",
            id="folder outside the home",
        ),
        pytest.param(
            'url: "duckdb:///warehouse/puntual.duckdb"',
            'url: "duckdb:////tmp/x"',
            "warehouse.url: /tmp/x lies outside the home; paths are relative to it",
            id="warehouse outside the home",
        ),
        pytest.param(
            "whatsapp:",
            "whatsap:",
            "channels.whatsap: 'whatsap' is not a channel that can be chosen; "
            "known: call, email, ivr, sms, visit, whatsapp",
            id="misspelt channel",
        ),
        pytest.param(
            "call: {cost: 0.45}",
            "call: 0.45",
            "channels.call: must hold keys of its own, written as 'key: value'",
            id="channel without keys",
        ),
        pytest.param(
            "allocation_order: [fees, interest, principal]",
            "allocation_order: [fees, fees, principal]",
            "arrears.allocation_order: must name fees, interest and principal once each",
            id="component twice",
        ),
        pytest.param(
            "past_due_days: 90",
            "early_past_due_days: 90\n  past_due_days: 60",
            "default_risk.early_past_due_days: 90 must be less than past_due_days, which is 60",
            id="early is not early",
        ),
        pytest.param(
            "timezone: America/Guayaquil",
            "timezone: America/Quito",
            "institution.timezone: 'America/Quito' is not a time zone; for example America/Guayaquil",
            id="unknown zone",
        ),
        pytest.param(
            "threads: 2",
            "threads: 2\n  threads: 8",
            "runtime.threads: written twice, first on line {before}",
            id="key twice",
        ),
        pytest.param(
            "publish:",
            "decision:",
            "decision: written twice, first on line {first}",
            id="block twice",
        ),
    ],
)
def test_every_problem_names_its_own_line_and_key_and_nothing_of_pydantic(tmp_path, right, wrong, expected):
    text = settings_text().replace(right, wrong)
    assert text != settings_text()
    line = line_of(settings_text(), right)
    if "written twice" in expected and "\n" in wrong:
        line += 1
    expected = expected.format(before=line - 1, first=line_of(text, "decision:"))
    assert refused(write(tmp_path, text)) == [f"line {line}: {expected}"]


def test_the_early_default_must_come_before_the_default_also_where_it_is_left_out(tmp_path):
    text = settings_text().replace("past_due_days: 90", "past_due_days: 30")
    [problem] = refused(write(tmp_path, text))
    assert problem.endswith("default_risk.early_past_due_days: 30 must be less than past_due_days, which is 30")


def test_a_key_repeated_through_an_alias_is_named_once(tmp_path):
    text = settings_text().replace("call: {cost: 0.45}", "call: &one {cost: 0.45, cost: 0.50}\n  sms: *one")
    text = "\n".join(row for row in text.splitlines() if not row.startswith("  sms: {"))
    line = line_of(text, "call:")
    [problem] = refused(write(tmp_path, text))
    assert problem.endswith(f".cost: written twice, first on line {line}")


def test_a_missing_block_is_said_plainly(tmp_path):
    assert refused(write(tmp_path, "landing: {path: landing}\n")) == ["line 1: institution: is missing"]


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_a_file_in_another_encoding_says_where_and_what_to_do(tmp_path, encoding):
    text = settings_text(name="Cooperativa Ñandú")
    (tmp_path / "puntual.yaml").write_bytes(text.encode(encoding))
    [problem] = refused(Home(tmp_path))
    assert problem.startswith("line 1: ")
    assert problem.endswith("save it as UTF-8")


def test_a_letter_further_down_names_its_line(tmp_path):
    text = settings_text() + "# año\n"
    (tmp_path / "puntual.yaml").write_bytes(text.encode("latin-1"))
    [problem] = refused(Home(tmp_path))
    assert problem.startswith(f"line {len(text.splitlines())}: ")


def test_a_date_that_does_not_exist_is_an_error_and_not_a_traceback(tmp_path):
    with pytest.raises(UsageError, match="not valid YAML"):
        load_settings(write(tmp_path, settings_text().replace('"Mi cooperativa"', "2026-02-31")))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("channels.sms.daily_capacity", 10**20),
        ("channels.sms.daily_capacity", 10**9 + 1),
        ("channels.sms.cost", ".inf"),
        ("channels.sms.cost", ".nan"),
        ("channels.sms.daily_budget", ".inf"),
        ("channels.sms.hour_bands", '{"08:00-10:00": 100000000000000000000}'),
        ("channels.sms.hour_bands", '{"08:00-08:14": 5}'),
        ("decision.daily_budget", ".inf"),
        ("decision.daily_budget", ".nan"),
        ("decision.daily_budget", 1e10),
        ("decision.stay_amount", ".nan"),
        ("decision.provision_weight", ".nan"),
        ("decision.exploration_max_cost", ".inf"),
        ("decision.exploration_max_cost_share", ".nan"),
    ],
)
def test_a_figure_without_end_or_sense_is_refused_under_its_key(tmp_path, key, value):
    assert_refused(tmp_path, key, value)
    if "capacity" in key:
        assert load_settings(write(tmp_path, asked(key, 10**9))).channels["sms"].daily_capacity == 10**9


def assert_refused(folder: Path, key: str, value: object) -> None:
    with pytest.raises(UsageError) as refused:
        load_settings(write(folder, asked(key, value)))
    assert key.rsplit(".", 1)[-1] in str(refused.value) and "puntual.yaml" in str(refused.value)


def asked(key: str, value: object) -> str:
    """Valid settings with one figure changed."""
    place = "institution: {name: Coop, country: EC, timezone: America/Guayaquil, currency: USD, language: es}\n"
    *above, name = key.split(".")
    cost = "" if name == "cost" else "cost: 0.03, "
    if above[0] == "channels":
        return f"{place}channels: {{sms: {{{cost}{name}: {value}}}}}\n"
    return f"{place}channels: {{sms: {{cost: 0.03}}}}\ndecision: {{{name}: {value}}}\n"


def test_a_band_of_the_least_minutes_is_accepted():
    assert ChannelSettings(cost=1, hour_bands={"08:00-08:15": 5}).hour_bands == {"08:00-08:15": 5}
