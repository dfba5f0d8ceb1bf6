import pytest

from puntual import cli


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
