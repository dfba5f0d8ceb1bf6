"""Each page in each state: normal, empty, stale, damaged, filtered to nothing, and in English."""

from __future__ import annotations

import json
import re
from datetime import date

import pandas as pd
import pytest

from dashboards import components
from dashboards.language import load_texts
from puntual.decision.duty_alarms import alarm_lines
from puntual.snapshot import SCREEN_LIST, Snapshot
from tests.dashboards.conftest import shown
from tests.dashboards.snapshot_factory import SnapshotFactory

PAGES = ("portfolio", "kpis", "audit", "today", "routes", "campaigns", "member", "whatif", "operation")


def figures(app) -> dict[str, str]:
    return {metric.label: metric.value.replace("\u00a0", " ") for metric in app.metric}


@pytest.mark.parametrize("page", PAGES)
def test_page_opens_and_says_whose_data_of_which_day(open_page, shared_home, page):
    app = open_page(shared_home, page)
    assert not app.exception
    text = shown(app) + "".join(str(element.proto) for element in app.get("html"))
    assert "30 de junio de 2026" in text


def test_portfolio_shows_its_key_figures_in_spanish_numbers(open_page, shared_home):
    values = figures(open_page(shared_home))
    assert list(values) == ["PAR30", "Monto vencido", "Socios en mora", "Cartera bruta"]
    assert re.fullmatch(r"\d+,\d\d %", values["PAR30"])
    assert re.fullmatch(r"USD \d{1,3}(\.\d{3})+", values["Cartera bruta"])


def test_portfolio_in_english(open_page, shared_home):
    app = open_page(shared_home, language="en")
    values = figures(app)
    assert list(values) == ["PAR30", "Past due amount", "Members in arrears", "Gross portfolio"]
    assert re.fullmatch(r"\d+\.\d\d%", values["PAR30"])
    assert "Where arrears come from" in shown(app)
    assert "Mora" not in shown(app)


def test_language_switch_changes_the_page(open_page, shared_home):
    app = open_page(shared_home, "today")
    assert app.title[0].value == "Lista de hoy"
    app.segmented_control(key="lang").set_value("en").run()
    assert app.title[0].value == "Today's list"


def test_portfolio_follows_its_filters(open_page, shared_home):
    app = open_page(shared_home)
    whole = figures(app)["Cartera bruta"]
    app.multiselect(key="branches").set_value(["B1"]).run()
    part = figures(app)["Cartera bruta"]
    assert not app.exception
    assert int(part.strip("USD .").replace(".", "")) < int(whole.strip("USD .").replace(".", ""))


def test_portfolio_measures_and_periods_can_be_changed(open_page, shared_home):
    app = open_page(shared_home)
    for measure in ("outstanding_principal_amount", "loan_count"):
        app.segmented_control(key="measure").set_value(measure).run()
        assert not app.exception
    app.selectbox(key="period").set_value((date(2025, 6, 30), date(2025, 7, 31))).run()
    assert not app.exception
    assert not app.error


def test_movement_that_does_not_add_up_is_said(open_page, own_home):
    file = own_home / "published" / "current" / "bi" / "rpt_arrears_movement.parquet"
    frame = pd.read_parquet(file)
    frame["cured_amount"] += 1.0
    frame.to_parquet(file, index=False)
    assert "no cuadra" in open_page(own_home).error[0].value


def test_nothing_published_says_what_to_run(open_page, tmp_path):
    for page in PAGES:
        app = open_page(tmp_path, page)
        assert not app.exception
        assert app.subheader[0].value == "Todavía no hay nada publicado"
        assert app.code[0].value == f"puntual run {tmp_path} --as-of FECHA"


def test_no_home_says_how_to_open_the_pages(open_page):
    app = open_page(None)
    assert not app.exception
    assert app.subheader[0].value == "Falta indicar la institución"
    assert app.code[0].value == "puntual dash HOME"


def test_nothing_published_in_english(open_page, tmp_path):
    app = open_page(tmp_path, language="en")
    assert app.subheader[0].value == "Nothing is published yet"
    assert app.code[0].value == f"puntual run {tmp_path} --as-of DATE"


@pytest.mark.parametrize(
    ("days", "said", "is_stale"),
    [(0, "de hoy", False), (1, "de ayer", False), (2, "de hace 2 días", False), (3, "de hace 3 días", True)],
)
def test_age_of_the_data_is_plain_and_stale_after_two_days(open_page, on_the_day, shared_home, days, said, is_stale):
    on_the_day(days)
    app = open_page(shared_home)
    assert said in "".join(str(element.proto) for element in app.get("html"))
    assert any("No son los datos de hoy" in caption.value for caption in app.caption) is is_stale


@pytest.mark.parametrize(
    ("page", "table"),
    [
        ("portfolio", "rpt_portfolio"),
        ("portfolio", "fct_loan_as_of"),
        ("today", "worklist"),
        ("kpis", "fct_kpi"),
        ("kpis", "kpi_status"),
        ("audit", "rpt_arrears_movement"),
    ],
)
def test_missing_table_is_named_and_says_what_to_run(open_page, tmp_path, page, table):
    SnapshotFactory(loans=200, without=(table,)).write(tmp_path)
    app = open_page(tmp_path, page)
    assert not app.exception
    assert "No se puede leer lo publicado" in shown(app)
    assert f"puntual run {tmp_path} --as-of FECHA" in shown(app)
    assert f"no table '{table}'" in shown(app)


def test_unreadable_manifest_is_said(open_page, own_home):
    (own_home / "published" / "current" / "manifest.json").write_text("{", encoding="utf-8")
    app = open_page(own_home)
    assert not app.exception
    assert app.subheader[0].value == "No se puede leer lo publicado"


def test_empty_portfolio_says_so(open_page, tmp_path):
    SnapshotFactory(loans=0).write(tmp_path)
    app = open_page(tmp_path)
    assert not app.exception
    assert "La cartera publicada está vacía" in shown(app)


def test_first_day_has_figures_without_a_change_and_no_movement(open_page, own_home):
    bi = own_home / "published" / "current" / "bi"
    for name in ("fct_loan_as_of", "rpt_portfolio", "rpt_arrears_movement"):
        frame = pd.read_parquet(bi / f"{name}.parquet")
        newest = frame["as_of_date"] == frame["as_of_date"].max()
        (frame[newest] if name != "rpt_arrears_movement" else frame.iloc[:0]).to_parquet(bi / f"{name}.parquet")
    app = open_page(own_home)
    assert not app.exception
    assert [metric.delta for metric in app.metric] == [""] * 4
    assert "Aún no hay dos cortes" in shown(app)


def test_today_shows_the_contacts_with_reasons_in_the_readers_language(open_page, shared_home):
    spanish, english = open_page(shared_home, "today"), open_page(shared_home, "today", "en")
    assert spanish.dataframe[0].value["reasons"].str.contains("pagar cuando le llaman").all()
    assert english.dataframe[0].value["reasons"].str.contains("pays when called").all()
    assert list(figures(spanish)) == [
        "Contactos",
        "Recuperación adicional esperada",
        "Monto vencido en la lista",
        "Exploración",
    ]


def test_today_filters_by_collector_channel_bucket_and_text(open_page, shared_home):
    app = open_page(shared_home, "today")
    app.selectbox(key="collector").set_value("C01").run()
    assert set(app.dataframe[0].value["collector_name"]) == {"Ana Torres Peña"}
    app.selectbox(key="channel").set_value("visit").run()
    assert set(app.dataframe[0].value["channel_label"]) == {"Visita"}
    app.selectbox(key="collector").set_value("*").run()
    app.selectbox(key="channel").set_value("*").run()
    app.selectbox(key="bucket").set_value("31-60").run()
    assert set(app.dataframe[0].value["bucket_label"]) == {"31 a 60 días"}
    app.selectbox(key="bucket").set_value("*").run()
    app.text_input(key="search").set_value("perez").run()
    assert app.dataframe[0].value["full_name"].str.contains("Pérez").all()
    assert not app.exception


def test_today_shows_suggested_hours_where_a_contact_has_one(open_page, shared_home):
    app = open_page(shared_home, "today")
    app.selectbox(key="channel").set_value("call").run()
    assert set(app.dataframe[0].value["suggested_hour_local"]) == {"10:00"}
    app.selectbox(key="channel").set_value("sms").run()
    assert "suggested_hour_local" not in app.dataframe[0].value
    assert not app.exception


def test_today_pages_through_a_long_list(open_page, shared_home):
    app = open_page(shared_home, "today")
    first = app.dataframe[0].value["customer_id"].tolist()
    app.number_input[0].set_value(2).run()
    second = app.dataframe[0].value["customer_id"].tolist()
    assert len(first) == 100
    assert not set(first) & set(second)
    app.selectbox(key="order").set_value("full_name").run()
    assert app.number_input[0].value == 1  # another list starts at its first page
    assert not app.exception


def test_today_orders_by_what_the_reader_chooses(open_page, shared_home):
    app = open_page(shared_home, "today")
    app.selectbox(key="order").set_value("arrears_amount").run()
    assert app.dataframe[0].value["arrears_amount"].is_monotonic_decreasing


def test_today_offers_the_excel_of_the_chosen_collector_and_the_campaign_of_the_chosen_channel(open_page, shared_home):
    app = open_page(shared_home, "today")
    assert [button.key for button in app.get("download_button")] == ["download_all"]
    app.selectbox(key="collector").set_value("C02").run()
    assert [button.key for button in app.get("download_button")] == [
        "download_collector",
        "download_collector_csv",
        "download_all",
    ]
    assert "José Núñez" in app.get("download_button")[0].label
    app.selectbox(key="collector").set_value("*").run()
    app.selectbox(key="channel").set_value("sms").run()
    assert [button.key for button in app.get("download_button")] == [
        *(f"download_campaign_{number}" for number in range(3)), "download_all",
    ]  # fmt: skip


def test_today_says_when_a_filter_leaves_nothing(open_page, shared_home):
    app = open_page(shared_home, "today")
    app.text_input(key="search").set_value("nadie se llama así").run()
    assert not app.exception
    assert app.subheader[0].value == "Ninguna fila cumple los filtros"


def test_portfolio_says_when_a_filter_leaves_nothing(open_page, own_home):
    file = own_home / "published" / "current" / "bi" / "rpt_portfolio.parquet"
    frame = pd.read_parquet(file)
    frame[~((frame["branch_id"] == "B4") & (frame["product_code"] == "education"))].to_parquet(file, index=False)
    app = open_page(own_home)
    app.multiselect(key="branches").set_value(["B4"]).run()
    app.multiselect(key="products").set_value(["education"]).run()
    assert not app.exception
    assert app.subheader[0].value == "Ninguna fila cumple los filtros"


def test_a_day_without_contacts_says_so(open_page, tmp_path):
    SnapshotFactory(loans=200, has_contacts=False).write(tmp_path)
    app = open_page(tmp_path, "today")
    assert not app.exception
    assert app.subheader[0].value == "No hay contactos para este día"


def test_channel_model_that_is_off_is_said_with_its_reason(open_page, tmp_path):
    off = {"status": "off", "reason": "no interactions were delivered"}
    SnapshotFactory(loans=200, channel_model=off).write(tmp_path)
    worklist = tmp_path / "published" / "current" / SCREEN_LIST
    frame = pd.read_parquet(worklist)
    frame.assign(expected_gain_amount=float("nan")).to_parquet(worklist, index=False)
    app = open_page(tmp_path, "today")
    assert not app.exception
    assert "no interactions were delivered" in app.info[0].value  # a snapshot of an older release has one language
    assert figures(app)["Recuperación adicional esperada"] == "—"


def test_why_the_channel_model_is_off_is_said_in_the_language_of_the_page(open_page, tmp_path):
    off = {"status": "off", "reason": "only 12 contacts", "reason_es": "solo 12 contactos"}
    SnapshotFactory(loans=200, channel_model=off).write(tmp_path)
    app = open_page(tmp_path, "today")
    assert "El modelo de canal está apagado: solo 12 contactos. " in app.info[0].value
    assert "only 12" not in app.info[0].value


def test_data_is_never_read_as_markup(open_page, tmp_path):
    hostile = "[clic](http://evil.example) **x** <img src=x onerror=alert(1)>"
    folder = SnapshotFactory(loans=200, hostile_name=hostile).write(tmp_path)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    manifest["institution"]["name"] = "<script>alert(1)</script>"
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    app = open_page(tmp_path, "today")
    assert not app.exception
    assert hostile in set(app.dataframe[0].value["full_name"])
    assert "<script>" not in "".join(str(element.proto) for element in app.get("html"))


def test_a_new_publication_is_shown_at_the_next_click(open_page, own_home):
    app = open_page(own_home, "operation")
    before = figures(app)["Fecha de los datos"]
    SnapshotFactory(loans=200, as_of=date(2026, 7, 15)).write(own_home)
    app.run()
    assert (before, figures(app)["Fecha de los datos"]) == ("30 jun 2026", "15 jul 2026")


@pytest.mark.parametrize(("language", "text"), [("es", "Se nombra al remitente"), ("en", "The sender is named")])
def test_operation_lists_the_obligations_that_nobody_checks_in_the_readers_language(
    open_page, own_home, language, text
):
    file = own_home / "published" / "current" / "manifest.json"
    manifest = json.loads(file.read_text(encoding="utf-8"))
    told = {"id": "SMS/sender", "text": "The sender is named", "reason": "Wording"}
    told |= {"text_es": "Se nombra al remitente", "reason_es": "Redacción"}
    older = {"id": "OWN/older", "text": "As it was *published*", "reason": "One language"}
    file.write_text(json.dumps({**manifest, "rules_not_enforced": [told, older]}), encoding="utf-8")
    app = open_page(own_home, "operation", language=language)
    assert not app.exception
    (table,) = app.table
    reason = "Redacción" if language == "es" else "Wording"
    assert table.value.to_numpy().tolist() == [
        ["SMS/sender", text, reason],
        ["OWN/older", r"As it was \*published\*", "One language"],
    ]


def test_operation_shows_the_alarms_of_the_models(open_page, own_home):
    file = next((own_home / "published").glob("2*")) / "manifest.json"
    manifest = json.loads(file.read_text(encoding="utf-8"))
    alarm = {
        "model_name": "default_risk",
        "severity": "warning",
        "text_es": "PSI: 0,4. Revise.",
        "text_en": "PSI: 0.4.",
    }
    file.write_text(json.dumps({**manifest, "model_alarms": [alarm]}), encoding="utf-8")
    app = open_page(own_home, "operation")
    assert not app.exception
    assert "Alarmas de los modelos" in [heading.value for heading in app.subheader]
    assert any("PSI: 0,4. Revise." in frame.value.to_string() for frame in app.dataframe)  # as written, no Markdown


def with_duty_alarms(home) -> None:
    """The snapshot as it is when a duty of one member is overdue and that of another may wait."""
    row = {
        "as_of_date": date(2026, 6, 30),
        "rule_id": "CL-21320/first_notice",
        "sources": '["S2-69"]',
        "due_date": date(2026, 6, 14),
        "due_on": date(2026, 6, 29),
        "blocked_by": "[]",
    }
    alarms = pd.DataFrame(
        [
            row | {"customer_id": "C2", "state_code": "no_capacity", "severity": "warning"},
            row | {"customer_id": "C1", "state_code": "overdue", "severity": "alarm"},
        ]
    )
    folder = next((home / "published").glob("2*"))
    alarms.to_parquet(folder / "duty_alarms.parquet")
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    written = {**manifest, "duty_alarms": alarm_lines(alarms)}
    (folder / "manifest.json").write_text(json.dumps(written), encoding="utf-8")


def test_duties_that_nobody_met_are_named_on_the_list_and_on_the_operation_page(open_page, own_home):
    with_duty_alarms(own_home)
    app = open_page(own_home, "operation")
    assert not app.exception
    assert "Deberes de contacto sin cumplir" in [heading.value for heading in app.subheader]
    table = next(frame.value for frame in app.dataframe if "due_on" in frame.value)
    assert table["customer_id"].tolist() == ["C1", "C2"]
    assert table["state"].tolist() == ["Plazo vencido", "Sin cupo"] and table["sources"].tolist() == ["S2-69", "S2-69"]
    for page in ("operation", "today"):
        app = open_page(own_home, page, language="en")
        assert "the time ended on" in app.error[0].value and "C1" in app.error[0].value
        assert "no capacity was left today" in app.warning[0].value


def test_how_evenly_the_work_is_shared_is_on_the_operation_page(open_page, own_home):
    folder = next((own_home / "published").glob("2*"))
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    row = {
        "collector_count": 4, "contact_count": 30, "capacity_count": 40, "least_use_rate": 0.5,
        "greatest_use_rate": 1.0, "load_jain": 0.931, "value_jain": 0.72,
    }  # fmt: skip
    empty = row | {"contact_count": 0, "load_jain": None, "value_jain": None}
    given = {"contact_count": 30, "familiar_count": 9, "kept_collector_count": 4, "unassigned_count": 0}
    given["teams"] = [row | {"team": "Sierra"}, empty | {"team": ""}]
    manifest["summary"]["assignment"] = given
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    app = open_page(own_home, "operation")
    assert not app.exception
    assert "Reparto del trabajo entre gestores" in [heading.value for heading in app.subheader]
    shown = next(frame.value for frame in app.dataframe if "load_jain" in frame.value)
    assert shown["team"].tolist() == ["Sierra", "Sin equipo"]
    assert shown["load_jain"].iloc[0] == pytest.approx(0.931) or shown["load_jain"].iloc[0] == "0,93"
    assert any("9 son de quien ya conoce" in one.value for one in app.caption)
    assert "How the work is shared among collectors" in [
        heading.value for heading in open_page(own_home, "operation", language="en").subheader
    ]


def test_a_setting_that_did_nothing_today_is_said_on_the_list(open_page, own_home):
    folder = next((own_home / "published").glob("2*"))
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    said = {"severity": "warning", "text_es": "En la franja 19:00-20:00 nadie puede ser llamado.", "text_en": "Nobody."}
    (folder / "manifest.json").write_text(json.dumps({**manifest, "plan_warnings": [said]}), encoding="utf-8")
    app = open_page(own_home, "today")
    assert "nadie puede ser llamado" in app.warning[0].value


def test_operation_checks_the_files_against_their_digests(open_page, own_home):
    app = open_page(own_home, "operation")
    app.button(key="verify").click().run()
    assert "son los que se publicaron" in app.success[0].value
    (own_home / "published" / "current" / "worklists" / "all.csv").unlink()
    app.button(key="verify").click().run()
    assert "worklists/all.csv: absent" in shown(app)
    assert app.error[0].value.startswith("1 ")


def test_operation_shows_an_experiment_with_its_arms_verdict_and_money(open_page, shared_home):
    app = open_page(shared_home, "operation")
    assert not app.exception
    table = next(frame.value for frame in app.dataframe if "verdict" in frame.value)
    assert table["verdict"].tolist() == ["Mejor que el control", "Control"]
    assert table["policy"].tolist() == [
        "Decisión de Puntual (cuenta el 100,0 % de la provisión evitada)",
        "Sin contacto",
    ]
    assert table["matured_count"].tolist() == [400, 100]
    assert table["incremental_value"].iloc[0] == pytest.approx(2400.0)
    assert any("Reparto de socios correcto" in caption.value for caption in app.caption)
    english = open_page(shared_home, "operation", language="en")
    assert (
        "Better than the control"
        in next(frame.value for frame in english.dataframe if "verdict" in frame.value)["verdict"].tolist()
    )


def test_a_day_of_an_older_version_has_no_experiments(open_page, own_home):
    file = own_home / "published" / "current" / "manifest.json"
    manifest = json.loads(file.read_text(encoding="utf-8"))
    del manifest["row_counts"]["rpt_experiments"]
    file.write_text(json.dumps(manifest), encoding="utf-8")
    app = open_page(own_home, "operation")
    assert not app.exception
    assert any("Ningún experimento ha empezado" in caption.value for caption in app.caption)


def metric(app, label: str):
    return next(one for one in app.metric if one.label.startswith(label))


def test_kpis_show_value_light_target_date_and_kind(open_page, shared_home):
    app = open_page(shared_home, "kpis")
    par30, gross = metric(app, "PAR30"), metric(app, "Cartera bruta")
    assert "derivado" in par30.label
    assert re.fullmatch(r"\d+,\d\d.%", par30.value)
    assert "Meta 5,00" in par30.delta
    assert "oficial" in gross.label
    assert gross.delta == "al 30 jun 2026"  # no threshold, no light
    assert "Usa la tabla EC" in app.warning[0].value
    assert not app.exception


@pytest.mark.parametrize(
    ("direction", "value", "light"),
    [
        ("down", 0.05, "Dentro del límite"),
        ("down", 0.08, "Dentro del límite"),  # on the threshold is still within it
        ("down", 0.0801, "Vigilar"),
        ("down", 0.1, "Vigilar"),
        ("down", 0.11, "Fuera del límite"),
        ("up", 0.11, "Dentro del límite"),
        ("up", 0.09, "Vigilar"),
        ("up", 0.05, "Fuera del límite"),
    ],
)
def test_lights_follow_direction_and_thresholds(open_page, own_home, direction, value, light):
    bi = own_home / "published" / "current" / "bi"
    catalog, rows = pd.read_parquet(bi / "kpi_catalog.parquet"), pd.read_parquet(bi / "fct_kpi.parquet")
    mine = catalog["kpi_code"] == "K08_30"
    catalog.loc[mine, ["direction", "target", "amber", "red"]] = (
        [direction, 0.05, 0.08, 0.1] if direction == "down" else [direction, 0.2, 0.1, 0.08]
    )
    catalog.to_parquet(bi / "kpi_catalog.parquet", index=False)
    rows.loc[rows["kpi_code"] == "K08_30", "value"] = value
    rows.to_parquet(bi / "fct_kpi.parquet", index=False)
    assert light in metric(open_page(own_home, "kpis"), "PAR30").delta


def test_kpis_of_one_branch_are_those_of_that_branch(open_page, shared_home):
    app = open_page(shared_home, "kpis")
    whole = metric(app, "Cartera bruta").value
    app.selectbox(key="grain").set_value("branch").run()
    app.selectbox(key="member_branch").set_value("B4").run()
    part = metric(app, "Cartera bruta").value
    rows = pd.read_parquet(shared_home / "published" / "current" / "bi" / "fct_kpi.parquet")
    mine = rows[(rows["kpi_code"] == "K01") & (rows["branch_id"] == "B4")].sort_values("as_of_date")["value"].iloc[-1]
    assert whole != part
    assert re.sub(r"\D", "", part) == str(round(mine))
    assert not app.exception


@pytest.mark.parametrize("kpi", ["K01", "K24_RATE", "K11"])
def test_every_kind_of_kpi_can_be_opened(open_page, shared_home, kpi):
    """Also one that had no ratio in some months, and one that is only published by bucket."""
    app = open_page(shared_home, "kpis")
    app.selectbox(key="kpi").set_value(kpi).run()
    assert not app.exception
    assert app.get("plotly_chart")


@pytest.mark.parametrize("kpi", ["K12", "K17", "K18"])
def test_kpis_with_a_breakdown_of_their_own_show_it(open_page, shared_home, kpi):
    app = open_page(shared_home, "kpis")
    app.selectbox(key="family").set_value("movement").run()
    app.selectbox(key="kpi").set_value(kpi).run()
    assert not app.exception
    assert len(app.get("plotly_chart")) == 1


def test_kpis_that_are_off_or_silent_are_listed_with_the_reason(open_page, shared_home):
    app = open_page(shared_home, "kpis")
    assert any("El contrato no trae la cuenta 1499." in frame.value.to_string() for frame in app.dataframe)
    app.selectbox(key="family").set_value("recovery").run()
    assert "No hay cifras de esta familia" in shown(app)
    assert any("No hay casos." in frame.value.to_string() for frame in app.dataframe)


def test_kpis_without_a_single_figure_say_so(open_page, tmp_path):
    SnapshotFactory(loans=0).write(tmp_path)
    app = open_page(tmp_path, "kpis")
    assert not app.exception
    assert "No hay cifras de esta familia" in shown(app)


def audit(open_page, home, section, language="es"):
    app = open_page(home, "audit", language)
    return app.segmented_control(key="section").set_value(section).run()


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("movement", "al centavo"),
        ("reconciliation", "Causas de las diferencias"),
        ("promises", ""),
        ("completion", "ventana de respuesta"),
        ("blocked", "ninguna otra bloquea"),
        ("unmatched", ""),
        ("timeline", "Escriba el código"),
    ],
)
@pytest.mark.parametrize("language", ["es", "en"])
def test_each_audit_section_opens(open_page, shared_home, section, said, language):
    app = audit(open_page, shared_home, section, language)
    assert not app.exception
    assert not app.error
    assert (said if language == "es" else "") in shown(app)
    assert section == "timeline" or [button.proto.label for button in app.get("download_button")]


@pytest.mark.parametrize("column", ["cured_amount", "closing_count"])
def test_audit_says_which_lines_of_the_movement_do_not_add_up(open_page, own_home, column):
    file = own_home / "published" / "current" / "bi" / "rpt_arrears_movement.parquet"
    frame = pd.read_parquet(file)
    frame[column] += 1
    frame.to_parquet(file, index=False)
    assert "no cuadran" in audit(open_page, own_home, "movement").error[0].value


def test_audit_timeline_puts_one_person_in_order(open_page, shared_home):
    lives = pd.read_parquet(shared_home / "published" / "current" / "bi" / "rpt_promise_lives.parquet")
    person = lives.loc[lives["promise_status_code"] == "kept", "customer_id"].iloc[0]
    app = audit(open_page, shared_home, "timeline")
    app.text_input(key="person").set_value(f" {person} ").run()
    events = set(app.dataframe[0].value["event"])
    assert {"Contacto", "Compromiso tomado", "Compromiso cumplido", "Pago"} <= events
    app.text_input(key="person").set_value("' or 1=1 --").run()
    assert not app.exception
    assert app.subheader[0].value.startswith("No hay nada de")


@pytest.mark.parametrize("section", ["movement", "reconciliation", "promises", "completion", "blocked", "unmatched"])
def test_audit_of_an_empty_book_says_what_is_absent(open_page, tmp_path, section):
    SnapshotFactory(loans=0).write(tmp_path)
    app = audit(open_page, tmp_path, section)
    assert not app.exception
    assert app.info or app.success or app.subheader


def test_what_is_shown_is_exported_by_the_export_code_and_logged(open_page, own_home, monkeypatch):
    open_page(own_home, "audit")
    request = components.both_formats("movement", None, load_texts("es"))[1]
    content = components.exported_bytes(Snapshot.current(own_home), request)
    assert content.startswith(b"\xef\xbb\xbf")
    assert ";" in content.decode("utf-8-sig").splitlines()[0]
    log = (own_home / "exports" / "log.csv").read_text(encoding="utf-8-sig").splitlines()
    assert "(dashboard)" in log[1]


def test_routes_show_the_order_the_drawing_and_what_stays_out(open_page, shared_home):
    app = open_page(shared_home, "routes")
    assert not app.exception
    assert figures(app)["Visitas en la ruta"] == "3" and figures(app)["Fuera de la ruta"] == "1"
    assert figures(app)["Kilómetros"] == "27,4" and figures(app)["Sale – termina"] == "08:15 – 11:30"
    planned, others = (frame.value for frame in app.dataframe)
    assert planned["route_order"].tolist() == [1, 2, 3]
    assert others["reason_es"].tolist() == ["La dirección no tiene coordenadas."]
    assert open_page(shared_home, "routes", "en").dataframe[1].value["reason_en"].tolist() == [
        "The address has no coordinates."
    ]
    app.selectbox(key="route_collector").set_value("C02").run()
    assert not app.exception and figures(app)["Fuera de la ruta"] == "0"


def test_a_day_without_visits_has_no_routes_and_says_so(open_page, tmp_path):
    SnapshotFactory(has_contacts=False).write(tmp_path)
    assert "Hoy no hay visitas" in shown(open_page(tmp_path, "routes"))
