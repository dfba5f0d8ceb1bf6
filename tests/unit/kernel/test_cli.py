from datetime import date
from types import SimpleNamespace

import pytest

from puntual import cli, console


def run_main(monkeypatch, capsys, *arguments):
    """Exit code and standard error of ``puntual`` with these arguments."""
    monkeypatch.setattr("sys.argv", ["puntual", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return end.value.code, capsys.readouterr().err


@pytest.mark.parametrize("command", ["dash", "dagster"])
@pytest.mark.parametrize("port", ["0", "99999"])
def test_a_port_that_does_not_exist_is_a_usage_error(monkeypatch, capsys, tmp_path, command, port):
    code, shown = run_main(monkeypatch, capsys, command, str(tmp_path), "--port", port)
    assert code == 2
    assert "--port" in shown


def test_what_the_system_refuses_is_said_with_its_path_and_reason(monkeypatch, capsys, tmp_path):
    home = tmp_path / ("x" * 300)
    code, shown = run_main(monkeypatch, capsys, "init", str(home))
    assert code == 1
    assert f"{home}" in shown
    assert "File name too long" in shown


def test_a_system_error_without_a_path_is_said_too(monkeypatch, capsys):
    def broken():
        raise OSError("the network went away")

    monkeypatch.setattr(cli, "app", broken)
    code, shown = run_main(monkeypatch, capsys)
    assert code == 1
    assert "Error: the network went away." in shown


def test_alarms_and_warnings_of_the_day_are_told_at_its_end(monkeypatch, tmp_path):
    summary = {
        "members_considered": 2, "contacts_by_channel": {"call": 1}, "contact_cost_amount": 0.45,
        "expected_recovery_amount": None, "expected_gain_amount": None, "response_window_days": 7,
        "members_in_arrears": 1, "arrears_amount": 9.5, "par30_rate": None,
    }  # fmt: skip
    late = {"severity": "alarm", "text_en": "a duty is [overdue]"}
    idle = {"severity": "warning", "text_en": "a band is idle"}
    manifest = {
        "summary": summary, "institution": {"currency": "USD", "name": "Coop"}, "models": {}, "duty_alarms": [late],
        "plan_warnings": [idle],
    }  # fmt: skip
    snapshot = SimpleNamespace(manifest=manifest, folder=tmp_path)
    monkeypatch.setattr("puntual.snapshot.Snapshot.at", lambda folder: snapshot)
    said: list[str] = []
    monkeypatch.setattr(console, "say", said.append)
    published = {"folder": str(tmp_path), "is_new": True, "is_current": True}
    console.day_summary(tmp_path, SimpleNamespace(metadata={"serving/snapshot": published}, as_of=date(2026, 6, 30)))
    assert said[0] == "[red]alarm[/red] a duty is \\[overdue]" and said[1] == "[yellow]warning[/yellow] a band is idle"
    del manifest["plan_warnings"]  # published by an earlier version
    said.clear()
    console.day_summary(tmp_path, SimpleNamespace(metadata={"serving/snapshot": published}, as_of=date(2026, 6, 30)))
    assert said[0].startswith("[red]") and not any("idle" in line for line in said)
