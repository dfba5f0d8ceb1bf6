"""The mapping of the PKDD'99 bank, on a handful of rows written here with the traps of the real files."""

from __future__ import annotations

import importlib.util
import sys
from datetime import date
from decimal import Decimal
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from puntual.contracts.schema import load_contract
from puntual.paths import Home
from puntual.settings import load_settings

SCRIPT = Path(__file__).parents[3] / "data" / "examples" / "berka" / "mapping.py"
UNTIL = date(1994, 3, 31)

# Loan 11: an exact standing order of 100.30, granted on the 11th. Loan 12: granted on a 12th, no matching order.
# Loan 13: repaid in full. Loan 14: granted after UNTIL. Account 5 has no loan but a UVER transaction.
FILES = {
    "account.asc": '"account_id";"district_id";"frequency";"date"\n1;1;"POPLATEK MESICNE";930101\n'
    '2;69;"POPLATEK TYDNE";930215\n3;1;"POPLATEK MESICNE";930301\n4;1;"POPLATEK MESICNE";940331\n'
    '5;1;"POPLATEK MESICNE";930401\n6;1;"POPLATEK MESICNE";940401\n',
    "client.asc": '"client_id";"birth_number";"district_id"\n21;"706213";69\n22;"450204";1\n23;"116231";1\n'
    '24;"870101";1\n25;"505101";69\n26;"400101";1\n27;"400102";1\n',
    "disp.asc": '"disp_id";"client_id";"account_id";"type"\n1;21;1;"OWNER"\n2;22;2;"OWNER"\n3;23;3;"OWNER"\n'
    '4;24;4;"OWNER"\n5;25;5;"OWNER"\n6;26;1;"DISPONENT"\n7;27;6;"OWNER"\n',
    "district.asc": 'A1;A2;A3;A4;A12\n1;"Hl.m. Praha";"Prague";1204953;0.29\n69;"Jesenik";"north Moravia";42821;?\n',
    "loan.asc": '"loan_id";"account_id";"date";"amount";"duration";"payments";"status"\n'
    '11;1;940111;1200;12;100.00;"B"\n12;2;940212;600;12;50.00;"D"\n13;3;930605;300;3;100.00;"A"\n'
    '14;4;940401;120;12;10.00;"C"\n',
    "order.asc": '"order_id";"account_id";"bank_to";"account_to";"amount";"k_symbol"\n'
    '1;1;"YZ";"87144583";2452.00;"SIPO"\n2;1;"ST";"89597016";100.30;"UVER"\n3;1;"ST";"1";100.30;" "\n'
    '4;2;"ST";"2";77.00;"UVER"\n5;3;"ST";"3";100.00;"UVER"\n',
    "trans_prefix_1.asc": '"trans_id";"account_id";"date";"type";"operation";"amount";"balance";"k_symbol";"bank";'
    '"account"\n'
    '900;1;940112;"VYDAJ";"PREVOD NA UCET";100.30;1.00;"UVER";"ST";"89597016"\n'
    '100;1;940212;"VYBER";"VYBER";100.30;1.00;"UVER";;0\n'  # the third type; a smaller id on a later day
    '101;1;940213;"PRIJEM";"VKLAD";100.30;1.00;"UVER";;0\n'  # money in is not a loan payment
    '102;1;940214;"VYDAJ";"VYBER";5.00;1.00;"";;\n'
    '103;1;940214;"VYDAJ";"VYBER";5.00;1.00;" ";;\n'
    '104;1;940214;"VYDAJ";"VYBER";5.00;1.00;;;\n'
    '200;3;930612;"VYDAJ";"PREVOD NA UCET";100.00;1.00;"UVER";"ST";"3"\n'
    '201;3;930712;"VYDAJ";"PREVOD NA UCET";100.00;1.00;"UVER";"ST";"3"\n'
    '202;3;930812;"VYDAJ";"PREVOD NA UCET";100.00;1.00;"UVER";"ST";"3"\n'
    '300;5;940112;"VYDAJ";"PREVOD NA UCET";9.00;1.00;"UVER";"ST";"5"\n'
    '400;1;940412;"VYDAJ";"PREVOD NA UCET";100.30;1.00;"UVER";"ST";"89597016"\n'  # after UNTIL
    '500;1;940331;"PRIJE',  # cut in the middle
}


@pytest.fixture(scope="module")
def mapping() -> ModuleType:
    spec = importlib.util.spec_from_file_location("berka_mapping", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["berka_mapping"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def source(tmp_path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    for name, text in FILES.items():
        (folder / name).write_bytes(text.replace("\n", "\r\n").encode())
    return folder


@pytest.fixture
def landing(mapping, source):
    sources, _ = mapping.read_sources(source)
    return mapping.map_bank(sources, until=UNTIL)


def test_the_doctests_of_the_mapping_hold(mapping):
    import doctest

    outcome = doctest.testmod(mapping)
    assert outcome.attempted > 5
    assert outcome.failed == 0


def test_a_last_row_cut_in_the_middle_is_left_out_and_counted(mapping, source):
    sources, notes = mapping.read_sources(source)
    assert notes == {"source rows cut in the middle, left out": 1}
    assert "500" not in set(sources["trans"]["trans_id"])


def test_blanks_question_marks_and_account_0_are_missing(mapping, source):
    sources, _ = mapping.read_sources(source)
    trans = sources["trans"].set_index("trans_id")
    assert trans.loc[["102", "103", "104"], "k_symbol"].isna().all()
    assert trans.at["100", "account"] is None
    assert trans.at["900", "account"] == "89597016"
    district, _ = mapping.read_source(source / "district.asc", ("A1", "A12"))
    assert district["A12"].tolist() == ["0.29", None]


def test_every_column_is_one_of_the_contract_and_no_required_one_is_left_out(landing):
    contract = load_contract()
    assert {name for name, table in contract.items() if table.required} <= set(landing.tables)
    for name, rows in landing.tables.items():
        assert set(rows.columns) <= set(contract[name].column_names)
        required = [column.name for column in contract[name].columns if column.required]
        assert rows[required].notna().all(axis=None), name
        assert not rows.duplicated(list(contract[name].key)).any()


def test_customers_are_owners_of_accounts_opened_by_then(landing):
    customers = landing.tables["customers"].set_index("customer_id")
    assert customers.index.tolist() == ["21", "22", "23", "24", "25"]  # 26 only disposes, 27 opened a day too late
    assert customers.at["21", "birth_date"] == date(1970, 12, 13)
    assert customers["gender"].tolist() == ["F", "M", "F", "M", "F"]
    assert customers.at["23", "birth_date"] == date(1911, 12, 31)  # the century is 19 for the oldest as well
    assert (customers.at["21", "city"], customers.at["21", "province"]) == ("Jesenik", "north Moravia")
    assert customers.at["21", "branch_id"] == "1"  # the branch is that of the account, not of the home


def test_instalments_are_the_standing_order_on_every_12th_and_sum_to_the_amount(landing):
    schedule = landing.tables["installments"]
    loan_11 = schedule[schedule["loan_id"] == "11"]
    assert loan_11["due_on"].iloc[0] == date(1994, 1, 12)  # granted on the 11th
    assert loan_11["due_on"].iloc[-1] == date(1994, 12, 12)
    # 11 x 100.30 = 1103.30 and 1200.00 - 1103.30 = 96.70
    assert loan_11["principal_due"].tolist() == [Decimal("100.30")] * 11 + [Decimal("96.70")]
    assert loan_11["interest_due"].eq(0).all() and loan_11["fees_due"].eq(0).all()


def test_a_loan_without_a_matching_order_takes_the_instalment_of_the_loan_file(landing):
    schedule = landing.tables["installments"]
    loan_12 = schedule[schedule["loan_id"] == "12"]
    assert loan_12["principal_due"].tolist() == [Decimal("50.00")] * 12
    assert loan_12["due_on"].iloc[0] == date(1994, 3, 12)  # granted on a 12th: a month later
    assert landing.notes["loans without a standing order, instalment from loan.asc"] == 1


def test_payments_are_money_out_with_the_symbol_uver_up_to_the_day(landing):
    payments = landing.tables["payments"]
    # By day, not by id: 900 was booked a month before 100.
    assert payments["payment_id"].tolist() == ["200", "201", "202", "900", "100"]
    assert payments["paid_at"].iloc[-1] == "1994-02-12 12:00:00"
    assert payments["method"].tolist() == ["transfer"] * 4 + ["branch"]
    assert landing.notes["UVER transactions that put money in, not payments"] == 1
    assert landing.notes["UVER transactions of an account without a loan"] == 1


def test_the_state_of_a_loan_comes_from_its_payments_and_not_from_the_letters_of_1998(mapping, source, landing):
    loans = landing.tables["loans"].set_index("loan_id")
    assert loans["status"].to_dict() == {"11": "active", "12": "active", "13": "closed"}
    assert loans.at["13", "closed_on"] == date(1993, 8, 12)
    assert loans.at["11", "maturity_on"] == date(1994, 12, 12)  # the last instalment
    sources, _ = mapping.read_sources(source)
    earlier = mapping.map_bank(sources, until=date(1993, 8, 11)).tables["loans"]
    assert earlier["status"].tolist() == ["active"]  # a day before the last payment


def test_what_is_handed_over_for_a_day_does_not_change_when_later_rows_are_known(mapping, source, landing):
    text = (source / "trans_prefix_1.asc").read_bytes()
    rows = text.split(b"\r\n")
    # Only what was booked by the end of March is left in the file, in another order.
    known = [row for row in rows[1:-1] if row.split(b";")[2] <= b"940331"]
    known.append(b'999;6;940331;"PRIJEM";"VKLAD";1.00;1.00;"";;')
    (source / "trans_prefix_1.asc").write_bytes(b"\r\n".join([rows[0], *reversed(known)]) + b"\r\n")
    sources, _ = mapping.read_sources(source)
    again = mapping.map_bank(sources, until=UNTIL)
    for name, rows in landing.tables.items():
        pd.testing.assert_frame_equal(rows, again.tables[name])


def test_the_whole_transaction_file_is_preferred_to_its_parts(mapping, source):
    header = FILES["trans_prefix_1.asc"].splitlines()[0]
    (source / "trans.asc").write_text(header + '\n1;1;940401;"PRIJEM";"VKLAD";1.00;1.00;"";;\n')
    assert mapping.transaction_files(source) == [source / "trans.asc"]
    sources, _ = mapping.read_sources(source)
    landing = mapping.map_bank(sources, until=UNTIL)
    assert len(landing.tables["payments"]) == 0
    assert landing.tables["loans"]["status"].eq("active").all()


def test_a_day_that_the_transactions_do_not_reach_is_refused(mapping, source):
    sources, _ = mapping.read_sources(source)
    mapping.map_bank(sources, until=date(1994, 4, 12))  # the last row of the file
    with pytest.raises(mapping.SourceError, match="end on 1994-04-12, before 1994-04-13"):
        mapping.map_bank(sources, until=date(1994, 4, 13))


def test_a_home_that_the_settings_accept_is_written_the_same_twice(mapping, source, tmp_path, capsys):
    home = tmp_path / "home"
    arguments = [str(source), str(home), "--until", "1994-03-31"]
    assert mapping.main(arguments) == 0
    assert "loans.csv: 3 rows" in capsys.readouterr().out
    settings = load_settings(Home(home))
    assert (settings.institution.country, settings.institution.currency) == ("CZ", "CZK")
    first = {file.name: file.read_bytes() for file in (home / "landing").iterdir()}
    assert set(first) == {"branches.csv", "customers.csv", "loans.csv", "installments.csv", "payments.csv"}
    (home / "puntual.yaml").write_text("mine: true\n")
    assert mapping.main(arguments) == 0
    assert {file.name: file.read_bytes() for file in (home / "landing").iterdir()} == first
    assert (home / "puntual.yaml").read_text() == "mine: true\n"  # what people changed stays


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        pytest.param("loan.asc", None, "does not exist", id="file_absent"),
        pytest.param("trans_prefix_1.asc", None, "neither trans.asc nor", id="transactions_absent"),
        pytest.param("disp.asc", b'"disp_id";"client_id"\r\n1;2\r\n', "no column account_id, type", id="column_absent"),
        pytest.param("client.asc", b"client_id;birth_number;district_id\n1;2\n3;4;5\n", "line 2", id="short_row"),
        pytest.param("account.asc", b"account_id;district_id;frequency;date\n1;1;x;1993-01-01\n", "yymmdd", id="date"),
    ],
)
def test_a_source_that_does_not_read_says_which_and_writes_nothing(
    mapping, source, tmp_path, capsys, file, content, said
):
    (source / file).unlink()
    if content is not None:
        (source / file).write_bytes(content)
    assert mapping.main([str(source), str(tmp_path / "home")]) == 1
    assert said in capsys.readouterr().err
    assert not (tmp_path / "home").exists()
