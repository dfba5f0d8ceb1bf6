"""Lists and campaigns: what they show, that nothing in them runs, and that equal rows give equal bytes."""

from __future__ import annotations

import csv
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from puntual.campaigns.plan import CampaignPlan, Costs, plan_campaigns
from puntual.campaigns.registry import load_campaigns
from puntual.campaigns.variables import Manner
from puntual.errors import RuleError
from puntual.lists.campaigns import PREVIEWS, going_out, write_campaigns, write_previews
from puntual.lists.files import csv_text, harmless
from puntual.lists.rows import WORKLIST_COLUMNS, ListSettings, contact_rows, file_stem, masked_worklist
from puntual.lists.texts import load_reason_texts, reason_sentences, texts
from puntual.lists.worklists import write_worklists
from tests.unit.decision import worlds
from tests.unit.decision.test_decide import book, run, team
from tests.unit.decision.worlds import POLICIES, TUESDAY, at

ATTACK = "=cmd|'/c calc'!A1"
SPANISH = ListSettings("Cooperativa Los Andes", "es", "USD", worlds.QUITO)
ENGLISH = ListSettings("Los Andes", "en", "USD", worlds.QUITO)
CAMPAIGNS = load_campaigns(
    POLICIES,
    None,
    country="EC",
    institution="Cooperativa Los Andes",
    channels=["call", "ivr", "whatsapp", "sms", "email", "visit"],
)
BUCKETS = pd.DataFrame({"bucket_code": ["0", "1-30", "31+"], "min_days": [0, 1, 31], "max_days": [0, 30, None]})


@pytest.fixture(scope="module")
def day() -> dict[str, Any]:
    inputs = book(60)
    inputs["collectors"] = team({"full_name": "+Ñusta"}, {"collector_id": "../boss", "full_name": "Luis"})
    inputs["interactions"] = worlds.events(
        {"customer_id": "m00000", "occurred_at": at("2026-06-01 10:00")},
        {"customer_id": "m00000", "occurred_at": at("2026-06-05 10:00"), "channel_code": "sms", "outcome_code": "read"},
    )
    scores = inputs["channel_scores"]
    scores["gain_amount"] = scores["gain_amount"].abs() + 5
    scores.loc[(scores["customer_id"] == "m00000") & (scores["channel_code"] == "call"), "gain_amount"] = 900.0
    outcome = run(inputs, exploration_share=0.1)
    customers = inputs["customers"].assign(
        full_name="José Peña", national_id="0102030405", city="Loja", occupation="salaried"
    )
    customers.loc[0, "full_name"] = ATTACK
    customers.loc[0, "national_id"] = "0000123456"
    loans = pd.DataFrame({"loan_id": inputs["features"]["loan_id"], "product_code": "microcredit", "branch_id": "B1"})
    frames = {name: inputs[name] for name in ("features", "contact_points", "collectors", "interactions", "promises")}
    return {
        "outcome": outcome,
        "frames": {**frames, "customers": customers, "loans": loans, "buckets": BUCKETS},
    }


def rows_of(day: dict[str, Any], settings: ListSettings) -> pd.DataFrame:
    return contact_rows(
        day["outcome"].decisions,
        day["outcome"].details,
        **day["frames"],
        reason_texts=load_reason_texts(POLICIES),
        settings=settings,
    )


def read_csv(path: Path, separator: str) -> list[dict[str, str]]:
    text = path.read_bytes().decode("utf-8-sig")
    return list(csv.DictReader(text.splitlines(), delimiter=separator))


def test_there_is_one_row_per_contact_and_a_file_per_collector(day: dict[str, Any], tmp_path: Path):
    rows = rows_of(day, SPANISH)
    contacts = day["outcome"].decisions
    assert len(rows) == (contacts["action"] != "none").sum()
    written = write_worklists(rows, tmp_path, SPANISH, TUESDAY)
    names = [path.relative_to(tmp_path).as_posix() for path in written]
    assert names == [
        *(f"worklists/{file_stem('../boss')}.{kind}" for kind in ("xlsx", "csv", "parquet")),
        *(f"worklists/g0.{kind}" for kind in ("xlsx", "csv", "parquet")),
        "worklists/all.csv",
        "worklists/all.parquet",
    ]
    assert {path.parent for path in written} == {tmp_path / "worklists"}
    assert {path.stat().st_mode & 0o777 for path in written} == {0o600}, "they name people"
    assert len(read_csv(tmp_path / "worklists" / "all.csv", ";")) == len(rows)
    assert len(pd.read_parquet(tmp_path / "worklists" / "all.parquet")) == len(rows)
    personal = contacts["action"].isin(["call", "visit"]).sum()
    books = [path for path in written if path.suffix == ".xlsx"]
    assert sum(openpyxl.load_workbook(path).worksheets[0].max_row - 1 for path in books) == personal
    assert sum(len(read_csv(path.with_suffix(".csv"), ";")) for path in books) == personal
    assert sum(len(pd.read_parquet(path.with_suffix(".parquet"))) for path in books) == personal


def test_what_no_line_of_a_list_has_takes_no_room_on_it(day: dict[str, Any], tmp_path: Path):
    """The order of a route and the hour that is suggested; their columns come back with the first line that has them."""
    rows = rows_of(day, SPANISH)
    first = rows.index[rows["collector_id"] == "g0"][0]
    names = {"Orden en la ruta": "route_order", "Llegada prevista": "planned_arrival_local"}
    shown = {}
    for order, arrival in ((pd.NA, None), (1, "08:10")):
        rows.loc[first, "route_order"], rows.loc[first, "planned_arrival_local"] = order, arrival
        folder = tmp_path / f"{arrival}"
        write_worklists(rows, folder, SPANISH, TUESDAY)
        sheet = openpyxl.load_workbook(folder / "worklists" / "g0.xlsx")["Lista"]
        columns = {cell.value: cell.column_letter for cell in sheet[1]}
        assert set(names) < set(columns), "the file keeps its columns"
        shown[arrival] = [name for name in names if not sheet.column_dimensions[columns[name]].hidden]
    assert shown == {None: [], "08:10": list(names)}


def test_the_workbook_is_formatted_filterable_and_ready_to_fill(day: dict[str, Any], tmp_path: Path):
    rows = rows_of(day, SPANISH)
    write_worklists(rows, tmp_path, SPANISH, TUESDAY)
    book = openpyxl.load_workbook(tmp_path / "worklists" / "g0.xlsx")
    assert book.sheetnames == ["Lista", "Acerca de", "Códigos"]
    assert book["Códigos"].sheet_state == "hidden"
    sheet = book["Lista"]
    headings = [cell.value for cell in sheet[1]]
    assert headings[:4] == ["N.º", "Socio", "Documento", "Monto vencido"]
    assert sheet.freeze_panes == "C2" and sheet.auto_filter.ref.startswith("A1:")
    place = {heading: position for position, heading in enumerate(headings)}
    first = next(row for row in sheet.iter_rows(min_row=2) if row[place["Código del socio"]].value == "m00000")
    assert first[place["Documento"]].value == "0000123456" and first[place["Documento"]].data_type == "s"
    assert first[place["Teléfono o dirección"]].value == "+593990000001"
    assert first[place["Monto vencido"]].number_format == "#,##0.00"
    assert first[place["Socio"]].value == ATTACK and first[place["Socio"]].data_type == "s"
    assert first[place["Últimos contactos"]].value == "2026-06-05 SMS: Leído\n2026-06-01 Llamada: No contesta"
    assert (first[place["Desde"]].value, first[place["Hasta"]].value) == ("07:00", "20:00")
    assert headings[-1] == "Código de fila" and sheet.column_dimensions[first[-1].column_letter].hidden
    # a count at the edge of its cell would touch the word in the next one
    assert {first[place[name]].alignment.horizontal for name in ("N.º", "Días de mora")} == {"center"}
    about = {row[0].value: row[1].value for row in book["Acerca de"].iter_rows()}
    assert about["Código de la lista"] == "2026-06-30-g0" and len(about["Huella de la lista"]) == 16
    assert sheet.page_setup.orientation == "landscape" and sheet.print_title_rows == "$1:$1"
    lists = [check for check in sheet.data_validations.dataValidation if check.type == "list"]
    assert lists and all(check.formula1.startswith("'Códigos'!$A$") for check in lists)
    assert not any(cell.data_type == "f" for row in sheet.iter_rows() for cell in row)


def test_what_is_filled_in_is_guided_by_choices_and_limits(day: dict[str, Any], tmp_path: Path):
    rows = rows_of(day, SPANISH)
    write_worklists(rows, tmp_path, SPANISH, TUESDAY)
    sheet = openpyxl.load_workbook(tmp_path / "worklists" / "g0.xlsx")["Lista"]
    place = {cell.value: cell.column_letter for cell in sheet[1]}
    issued = rows.set_index("customer_id")

    def rule(heading: str, line: int = 2) -> Any:
        at = f"{place[heading]}{line}"
        (found,) = [check for check in sheet.data_validations.dataValidation if at in check.sqref]
        assert found.errorTitle == heading and found.error and found.prompt
        return found

    assert rule("Resultado").type == "list"
    # dates are days since 30 December 1899: 30 June 2026 is 46203, a year later 366 days more
    assert [rule("Fecha de la promesa").formula1, rule("Fecha de la promesa").formula2] == ["46203", "46569"]
    member = sheet[f"{place['Código del socio']}2"].value
    assert float(rule("Monto de la promesa").formula2) == pytest.approx(issued.loc[member, "promise_limit_amount"])
    assert issued.loc[member, "promise_limit_amount"] == pytest.approx(500 + issued.loc[member, "collectable_amount"])
    assert rule("Hora del contacto").type == "time"
    red = [rule.formula[0] for group in sheet.conditional_formatting for rule in group.rules]
    assert len(red) == 2 and all('"Promete pagar"' in formula for formula in red)


def test_a_row_has_the_same_id_in_every_file_and_no_other_row_has_it(day: dict[str, Any], tmp_path: Path):
    rows = rows_of(day, SPANISH)
    write_worklists(rows, tmp_path, SPANISH, TUESDAY)
    folder = tmp_path / "worklists"
    assert rows["row_id"].is_unique and rows["row_id"].str.fullmatch(r"20260630-[A-Z2-7]{16}").all()
    assert not any(member in one for member, one in zip(rows["customer_id"], rows["row_id"], strict=True))
    in_all = pd.read_parquet(folder / "all.parquet").set_index("row_id")["customer_id"]
    assert in_all.to_dict() == dict(zip(rows["row_id"], rows["customer_id"], strict=True))
    assert [row["Código de fila"] for row in read_csv(folder / "all.csv", ";")] == rows["row_id"].tolist()
    mine = in_all[in_all.index.isin([row["Código de fila"] for row in read_csv(folder / "g0.csv", ";")])]
    assert mine.index.tolist() == pd.read_parquet(folder / "g0.parquet")["row_id"].tolist() and len(mine)


def test_the_parquet_list_says_codes_and_not_which_contacts_were_drawn(day: dict[str, Any], tmp_path: Path):
    write_worklists(rows_of(day, SPANISH), tmp_path, SPANISH, TUESDAY)
    table = pd.read_parquet(tmp_path / "worklists" / "all.parquet")
    assert set(table["channel_code"]) <= set(worlds.CHANNELS) and not {"propensity", "is_exploration"} & set(table)
    assert not table["reasons"].str.contains("al azar").any()
    assert table.loc[table["customer_id"] == "m00000", "national_id"].item() == "0000123456"


@pytest.mark.parametrize(
    ("separator", "decimal", "expected"),
    [(None, None, (";", ",")), (",", None, (",", ".")), (";", None, (";", ",")), (None, ".", (",", "."))],
)
def test_the_separator_of_a_csv_is_a_setting_and_never_the_decimal_sign(
    separator: str | None, decimal: str | None, expected: tuple[str, str]
):
    settings = ListSettings("A", "es", "USD", worlds.QUITO, separator, decimal)
    assert (settings.separator, settings.decimal) == expected


def test_the_same_rows_give_the_same_bytes(day: dict[str, Any], tmp_path: Path):
    first = write_worklists(rows_of(day, SPANISH), tmp_path / "a", SPANISH, TUESDAY)
    first += write_campaigns(
        campaigns_of(day), rows_of(day, SPANISH), day["outcome"].details, tmp_path / "a", SPANISH, CAMPAIGNS, TUESDAY
    )
    time.sleep(2.1)  # zip archives count time in steps of two seconds
    second = write_worklists(rows_of(day, SPANISH), tmp_path / "b", SPANISH, TUESDAY)
    second += write_campaigns(
        campaigns_of(day), rows_of(day, SPANISH), day["outcome"].details, tmp_path / "b", SPANISH, CAMPAIGNS, TUESDAY
    )
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def campaigns_of(day: dict[str, Any], language: str = "es") -> CampaignPlan:
    """The plan of the day: everybody in the step friendly, and in no segment, so in the campaigns for all."""
    frames, decisions = day["frames"], day["outcome"].decisions
    features = frames["features"][["customer_id", "collectable_amount", "active_loan_count"]]
    people = decisions.merge(features, on="customer_id").merge(
        frames["customers"][["customer_id", "full_name", "timezone", "language_code"]], on="customer_id"
    )
    return plan_campaigns(
        people.assign(
            step_code="friendly", next_due_in_days=2, branch_id="B1", promise_date=None, promised_amount=None
        ),
        day["outcome"].details,
        pd.DataFrame({"customer_id": [], "set_id": [], "segment_code": []}, dtype=object),
        data=CAMPAIGNS,
        rule_sources={},
        costs=Costs({"sms": 0.03}),
        manner=Manner("Cooperativa Los Andes", "USD", "EC"),
        language=language,
        timezone=worlds.QUITO,
        as_of=TUESDAY,
    )


def test_a_campaign_writes_what_it_sends_and_what_it_holds_back(day: dict[str, Any], tmp_path: Path):
    outcome, plan = day["outcome"], campaigns_of(day)
    assert plan.problems() == []
    rows = going_out(rows_of(day, SPANISH), plan)
    written = write_campaigns(plan, rows, outcome.details, tmp_path, SPANISH, CAMPAIGNS, TUESDAY)
    counts = plan.counts.set_index("campaign_id")
    for channel in ("ivr", "whatsapp", "sms", "email"):
        stem = tmp_path / "campaigns" / f"rest_{channel}"
        raw = stem.with_suffix(".csv").read_bytes()
        assert raw.startswith(b"\xef\xbb\xbf"), "spreadsheets read accents only with it"
        sent = read_csv(stem.with_suffix(".csv"), ";")
        assert (
            len(sent) == (outcome.decisions["action"] == channel).sum() == counts.loc[f"rest_{channel}", "sent_count"]
        )
        held = read_csv(tmp_path / "campaigns" / f"rest_{channel}_suppressed.csv", ";")
        assert len(held) == counts.loc[f"rest_{channel}", "suppressed_count"]
        assert all(row["Por qué no se envía"] and row["Fuente"] for row in held)
        for ending, rows_there in (("", sent), ("_suppressed", held)):
            table = pq.read_table(tmp_path / "campaigns" / f"rest_{channel}{ending}.parquet")
            assert table.num_rows == len(rows_there)
            assert all(
                table.schema.field(name).type == pa.string()
                for name in ("customer_id", "loan_id", "national_id")
                if name in table.column_names
            )
    total = sum(len(read_csv(path, ";")) for path in written if path.suffix == ".csv")
    assert total == len(outcome.decisions), "everybody is in one file, once"
    one = read_csv(tmp_path / "campaigns" / "rest_whatsapp.csv", ";")[0]
    assert one["Plantilla"] == "whatsapp_friendly_es_v1" and one["Plantilla aprobada"] == "puntual_recordatorio_amable"
    assert "Cooperativa Los Andes" in one["Mensaje"] and "USD" in one["Mensaje"]
    assert one["Teléfono o dirección"] == "+593990000001" and one["Documento"].startswith("0")
    assert {path.stat().st_mode & 0o777 for path in written} == {0o600}, "they name people"
    named = rows[rows["channel_code"] == "sms"]["file"].unique().tolist()
    assert named == ["campaigns/rest_sms.csv"]


def test_what_a_campaign_holds_back_is_on_no_list(day: dict[str, Any], tmp_path: Path):
    plan, rows = campaigns_of(day), rows_of(day, SPANISH)
    texts_sent = rows[rows["channel_code"] == "sms"]
    kept = texts_sent["customer_id"].iloc[0]
    members = plan.members.assign(is_sent=plan.members["is_sent"] & (plan.members["customer_id"] != kept))
    call = texts_sent.iloc[[0]].assign(channel_code="call", rank=99, file="worklists/g0.xlsx", row_id="x")
    out = going_out(pd.concat([rows, call], ignore_index=True), replace(plan, members=members))
    assert len(out) == len(rows)
    # the call of the member whose message is held back is made
    assert out.loc[out["customer_id"] == kept, "channel_code"].tolist() == ["call"]
    assert out["file"].notna().all()
    write_worklists(out, tmp_path, SPANISH, TUESDAY)
    table = pd.read_parquet(tmp_path / "worklists" / "all.parquet")
    assert (kept, "sms") not in set(zip(table["customer_id"], table["channel_code"], strict=True))
    assert len(read_csv(tmp_path / "worklists" / "all.csv", ";")) == len(out)


def test_a_member_who_is_called_too_gets_the_message_once_and_to_its_own_number(day: dict[str, Any], tmp_path: Path):
    plan, rows = campaigns_of(day), rows_of(day, SPANISH)
    message = rows[rows["channel_code"] == "whatsapp"].iloc[[0]]
    call = message.assign(channel_code="call", contact_value="+593911111111", rank=99, file="worklists/g0.xlsx")
    both = going_out(pd.concat([call, rows], ignore_index=True), plan)
    write_campaigns(plan, both, day["outcome"].details, tmp_path, SPANISH, CAMPAIGNS, TUESDAY)
    sent = pd.read_parquet(tmp_path / "campaigns" / "rest_whatsapp.parquet")
    mine = sent[sent["customer_id"] == message["customer_id"].iloc[0]]
    assert mine[["contact_value", "rank"]].to_numpy().tolist() == message[["contact_value", "rank"]].to_numpy().tolist()


def test_a_preview_shows_a_members_figures_and_nobodys_name(day: dict[str, Any], tmp_path: Path):
    plan = campaigns_of(day)
    people = day["outcome"].decisions.merge(day["frames"]["features"][["customer_id", "collectable_amount"]]).assign(
        full_name="José Peña", next_due_in_days=2, active_loan_count=1, branch_id="B1", promise_date=None,
        promised_amount=None,
    )  # fmt: skip
    manner = Manner("Cooperativa Los Andes", "USD", "EC")
    count = write_previews(tmp_path, plan, people, CAMPAIGNS, manner, TUESDAY)
    previews = pd.read_parquet(tmp_path / PREVIEWS)
    assert len(previews) == count > 40
    real = previews[(previews["campaign_id"] == "rest_whatsapp") & ~previews["is_example"]]
    assert real["message"].iloc[0].startswith("Hola, J***.")
    assert not previews["message"].str.contains("José|Peña").any()
    assert previews[previews["campaign_id"] == "preventive_sms"]["is_example"].all()


def test_lists_speak_the_language_of_the_institution(day: dict[str, Any], tmp_path: Path):
    write_worklists(rows_of(day, ENGLISH), tmp_path, ENGLISH, TUESDAY)
    rows = read_csv(tmp_path / "worklists" / "all.csv", ",")
    assert rows[0]["Member"] and "Overdue amount" in rows[0] and rows[0]["Channel"] in {"Call", "Visit"}


def test_every_word_exists_in_both_languages():
    for name, group in texts().items():
        if name == "outcomes_of_channel":
            continue
        for code, entry in group.items():
            assert set(entry) == {"es", "en"}, (name, code)
    for codes in texts()["outcomes_of_channel"].values():
        assert set(codes) <= set(texts()["outcomes"])


def test_a_reason_without_a_sentence_is_refused():
    assert reason_sentences(["DUE_SOON"], load_reason_texts(POLICIES), "en").startswith("Is up to date")
    with pytest.raises(RuleError, match="NO_SUCH"):
        reason_sentences(["NO_SUCH"], load_reason_texts(POLICIES), "es")


def test_who_works_the_list_does_not_see_that_a_contact_was_drawn(day: dict[str, Any]):
    rows = rows_of(day, SPANISH)
    drawn = rows[rows["is_exploration"]]
    assert len(drawn) and drawn["reasons"].str.contains("al azar").all()
    assert not rows["reasons_on_list"].str.contains("al azar").any()
    assert (rows["reasons_on_list"].str.len() > 0).all()


def test_the_list_says_whose_the_contact_point_is_when_it_is_not_the_members(day: dict[str, Any]):
    points = day["frames"]["contact_points"].assign(party_code=None)

    def listed(through: pd.DataFrame) -> pd.DataFrame:
        return rows_of(day | {"frames": day["frames"] | {"contact_points": through}}, SPANISH)

    before = listed(points)
    used = before["contact_point_id"].iloc[0]
    theirs = points.assign(party_code=np.where(points["contact_point_id"] == used, "guarantor", None))
    rows = listed(theirs)
    is_theirs = rows["contact_point_id"] == used
    assert is_theirs.any() and not is_theirs.all()
    for column, said in (
        ("reasons", "El dato de contacto es de un garante. "),
        ("reasons_en", "The contact point is that of a guarantor. "),
        ("reasons_on_list", "El dato de contacto es de un garante. "),
    ):
        assert (rows.loc[is_theirs, column] == said + before.loc[is_theirs, column]).all()
        assert rows.loc[~is_theirs, column].equals(before.loc[~is_theirs, column])
    own = points.assign(party_code="debtor")
    assert listed(own)["reasons"].equals(before["reasons"])


def test_the_screen_gets_masks_instead_of_documents_and_phones(day: dict[str, Any]):
    masked = masked_worklist(rows_of(day, SPANISH))
    assert tuple(masked.columns) == WORKLIST_COLUMNS
    first = masked[masked["customer_id"] == "m00000"].iloc[0]
    assert first["national_id_masked"] == "*******456"
    assert first["contact_value_masked"] == "**********001"
    assert first["file"].startswith("worklists/") and first["file"].endswith(".xlsx")
    text = masked.astype(str).to_csv()
    assert "0000123456" not in text and "+593990000001" not in text and "Calle" not in text


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (ATTACK, f"'{ATTACK}"),
        ("+593991234567", "+593991234567"),
        ("+593 99 123 4567", "+593 99 123 4567"),
        ("+1+cmd", "'+1+cmd"),
        ("-2+3", "'-2+3"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("Ana = 3", "Ana = 3"),
        ("", ""),
    ],
)
def test_a_text_that_a_spreadsheet_would_run_is_disarmed(given: str, expected: str):
    assert harmless(given) == expected


def test_csv_keeps_numbers_quotes_and_gaps():
    text = csv_text(
        ["a", "b", "c", "d"],
        [["x;y", 1234.5, None, True], ['say "hi"', -3.0, float("nan"), 7]],
        separator=";",
        decimal=",",
    )
    assert text == 'a;b;c;d\r\n"x;y";1234,5;;true\r\n"say ""hi""";-3;;7\r\n'


def test_file_names_cannot_leave_the_folder_nor_meet():
    names = [file_stem(one) for one in ("../boss", "..\\boss", "a/b", "a_b", "a:b", "", "CON.", "all", "Screen")]
    assert len(set(names)) == len(names)
    assert not {"all", "screen"} & {name.lower() for name in names}
    assert all("/" not in name and "\\" not in name and "." not in name and name for name in names)
