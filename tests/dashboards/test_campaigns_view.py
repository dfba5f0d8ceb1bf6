"""The page of campaigns: its counts, why messages are held back, how texts look, and where members moved."""

from __future__ import annotations

import json
import re

import pandas as pd

from dashboards import campaign_queries
from puntual.snapshot import Snapshot
from tests.dashboards.conftest import shown
from tests.dashboards.snapshot_factory import AS_OF, SnapshotFactory


def figures(app) -> dict[str, str]:
    return {metric.label: metric.value.replace("\u00a0", " ") for metric in app.metric}


def test_the_counts_add_up_on_the_page(open_page, shared_home):
    app = open_page(shared_home, "campaigns")
    assert not app.exception
    assert app.title[0].value == "Campañas"
    values = {name: value for name, value in figures(app).items() if name != "Costo"}
    selected, sent, held = (int(value.replace(".", "")) for value in values.values())
    assert list(values) == ["Seleccionados", "Se envían", "No se envían"]
    assert sent + held == selected and sent and held
    table = app.dataframe[0].value
    assert (table["sent_count"] + table["suppressed_count"] == table["selected_count"]).all()
    assert int(table["selected_count"].sum()) == selected


def test_reasons_are_said_in_words_and_add_up_for_one_campaign(open_page, shared_home):
    app = open_page(shared_home, "campaigns")
    counts = app.dataframe[0].value
    app.selectbox(key="campaign").set_value("early_whatsapp").run()
    assert not app.exception
    rules = app.dataframe[1].value
    held = int(counts.loc[counts["campaign"] == "Mora temprana por WhatsApp", "suppressed_count"].iloc[0])
    assert int(rules["suppressed_count"].sum()) == held
    assert "EC-BASE/hours" in rules["rule"].tolist()
    assert [button.key for button in app.get("download_button")] == ["download_sent", "download_suppressed"]


def test_texts_are_shown_by_step_without_anybodys_name(open_page, shared_home):
    app = open_page(shared_home, "campaigns")
    app.selectbox(key="campaign").set_value("early_sms").run()
    text = shown(app)
    assert all(step in text for step in ("Amable", "Firme", "Formal"))
    assert re.search(r"GSM.*7, 1 SMS", text)
    names = pd.read_parquet(Snapshot.current(shared_home).table_path("worklist"))["full_name"]
    assert not any(name in text for name in names)
    app = open_page(shared_home, "campaigns", language="en")
    assert "Friendly" in shown(app) and "Amable" not in shown(app)


def test_moves_between_segments_and_their_stability(open_page, shared_home, folder):
    app = open_page(shared_home, "campaigns")
    moves = campaign_queries.migration(folder, AS_OF, "day")
    stayed = moves.loc[moves["from_segment_code"] == moves["to_segment_code"], "member_count"].sum()
    assert f"{stayed} de {moves['member_count'].sum()} socios siguen en su segmento" in shown(app)
    app.segmented_control(key="comparison").set_value("month").run()
    assert "Todavía no hay una corrida anterior" in shown(app)
    assert not app.exception


def test_an_alarm_of_the_segments_is_shown(open_page, shared_home):
    assert "2 socios están en más de uno" in open_page(shared_home, "campaigns").warning[0].value.replace("\\", "")


def test_a_day_that_an_older_version_published_says_so(open_page, own_home):
    file = own_home / "published" / "current" / "manifest.json"
    manifest = json.loads(file.read_text(encoding="utf-8"))
    for name in [name for name in manifest["row_counts"] if name.startswith(("rpt_campaign", "rpt_segment"))]:
        del manifest["row_counts"][name]
    file.write_text(json.dumps(manifest), encoding="utf-8")
    app = open_page(own_home, "campaigns")
    assert not app.exception
    assert app.subheader[0].value == "No hay campañas publicadas"


def test_a_day_without_contacts_has_campaigns_that_send_nothing(open_page, tmp_path):
    SnapshotFactory(has_contacts=False).write(tmp_path)
    app = open_page(tmp_path, "campaigns")
    assert not app.exception
    assert figures(app)["Se envían"] == "0"
