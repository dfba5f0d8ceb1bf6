"""The pages that explain a decision and play with it: with a log, without one, with a damaged one, in both languages."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dashboards import decision_log
from puntual.audit.whatif import Change, what_if
from puntual.snapshot import Snapshot
from tests.dashboards.conftest import shown as shown_as_markdown
from tests.dashboards.logged_home import log_decision


@pytest.fixture(scope="module")
def logged_home(shared_home, tmp_path_factory):
    home = tmp_path_factory.mktemp("logged") / "home"
    shutil.copytree(shared_home, home, symlinks=True)
    return home, log_decision(home)


def shown(app) -> str:
    """As the reader sees it: without Markdown's escapes."""
    return shown_as_markdown(app).replace("\\", "")


def values(app) -> dict[str, str]:
    return {metric.label: metric.value.replace("\u00a0", " ") for metric in app.metric}


def test_a_member_is_explained_by_id(open_page, logged_home):
    home, outcome = logged_home
    app = open_page(home, "member")
    assert "Escriba el código de un socio" in shown(app)
    row = outcome.decisions[outcome.decisions["action"] == "call"].iloc[0]
    app.text_input(key="member").set_value(row["customer_id"]).run()
    assert not app.exception
    text = shown(app)
    assert "Se le contacta por llamada" in text
    channels = app.dataframe[0].value
    assert len(channels) == 6
    assert channels["channel"].tolist()[0] == "✓ Llamada"
    assert app.dataframe[1].value["member"].str.contains("este socio").sum() == 1


def test_a_member_who_is_not_contacted_and_one_who_was_not_considered(open_page, logged_home):
    home, outcome = logged_home
    idle = outcome.decisions.loc[outcome.decisions["blocked_by"] == '["capacity"]', "customer_id"].iloc[0]
    app = open_page(home, "member", "en")
    app.text_input(key="member").set_value(idle).run()
    assert "Not contacted today: it would be worth while" in shown(app)
    app.text_input(key="member").set_value("nobody").run()
    assert not app.exception
    assert "nobody is not among the" in app.info[0].value


def test_without_a_log_the_pages_say_so(open_page, shared_home):
    assert "sin bitácora" in shown(open_page(shared_home, "whatif"))
    app = open_page(shared_home, "member")
    app.text_input(key="member").set_value("M000001").run()
    assert "sin bitácora" in shown(app)


def test_a_damaged_log_is_said_and_not_shown(open_page, logged_home, tmp_path):
    home = tmp_path / "home"
    shutil.copytree(logged_home[0], home, symlinks=True)
    (file,) = (home / "audit" / "log").rglob("decisions.parquet")
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    app = open_page(home, "member")
    app.text_input(key="member").set_value("M000001").run()
    assert not app.exception
    assert any("was altered" in block.value for block in app.code)


def test_what_if_begins_where_the_day_was(open_page, logged_home):
    home, outcome = logged_home
    app = open_page(home, "whatif")
    assert not app.exception
    found = values(app)
    assert found["Socios que cambian"] == "0"
    assert found["Contactos"] == str(int((outcome.decisions["action"] != "none").sum()))
    assert app.slider(key="capacity ivr").value == 5
    assert app.slider(key="share").value == 10.0
    assert "La lista queda igual." in shown(app)
    assert "Nada se guardó" in shown(app)


def test_what_if_follows_its_sliders_and_agrees_with_the_decision(open_page, logged_home):
    home, _ = logged_home
    before = {file: file.read_bytes() for file in (home / "audit").rglob("*") if file.is_file()}
    app = open_page(home, "whatif")
    app.slider(key="capacity ivr").set_value(15).run()
    assert not app.exception
    snapshot = Snapshot.current(home)
    arguments = decision_log.day_arguments(str(snapshot.folder), 1)
    own = what_if(arguments, [Change.parse("channels.ivr.capacity=15")])
    assert values(app)["Socios que cambian"] == str(len(own.members())) != "0"
    assert "channels.ivr.capacity=15" in shown(app)
    app.slider(key="share").set_value(0.0).run()
    assert not app.exception
    assert "exploration_share=0.0000" in shown(app)
    assert before == {file: file.read_bytes() for file in (home / "audit").rglob("*") if file.is_file()}


def test_what_if_in_english_and_on_the_ladder(open_page, shared_home, tmp_path):
    home: Path = tmp_path / "home"
    shutil.copytree(shared_home, home, symlinks=True)
    log_decision(home, channel_scores=None)
    app = open_page(home, "whatif", "en")
    assert not app.exception
    assert app.title[0].value == "What if…?"
    assert "The channel model is off" in app.info[0].value
    assert "Value of the contacts" not in values(app)
