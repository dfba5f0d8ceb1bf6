"""Mapping of the PKDD'99 Discovery Challenge bank (Czech Republic, 1993-1998) to the landing files of the contract.

Here: how the bank's columns and codes read, and which contract column each one becomes. Not here: arrears, checks of
the rows (the door does that) and the data itself, which anyone who runs this brings along. README.md beside this file
explains every choice.

    python data/examples/berka/mapping.py SOURCE_DIR HOME --until 1994-03-31
"""

from __future__ import annotations

import argparse
import csv
import io
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import pandas as pd

DEFAULT_UNTIL = date(1994, 3, 31)  # the last day that the published part of the transactions covers
DUE_DAY = 12  # every visible loan payment was booked on the 12th (README, "The due day")
ROUNDING = Decimal("0.50")  # loan.asc holds the instalment rounded to the koruna
CENT = Decimal("0.01")

SOURCE_COLUMNS: dict[str, tuple[str, ...]] = {
    "account": ("account_id", "district_id", "frequency", "date"),
    "client": ("client_id", "birth_number", "district_id"),
    "disp": ("disp_id", "client_id", "account_id", "type"),
    "district": ("A1", "A2", "A3"),
    "loan": ("loan_id", "account_id", "date", "amount", "duration", "payments"),
    "order": ("order_id", "account_id", "amount", "k_symbol"),
    "trans": ("trans_id", "account_id", "date", "type", "operation", "amount", "k_symbol", "account"),
}

SETTINGS = """\
# The bank of the PKDD'99 Discovery Challenge, mapped by data/examples/berka/mapping.py.
institution:
  name: "Berka (PKDD'99)"
  country: CZ
  timezone: Europe/Prague
  currency: CZK
  language: es

landing:
  path: landing

# No interaction, contact point or collector is known, so nobody can be contacted and the channel model is off.
# The costs are placeholders in koruna, so that no default in another currency is used by mistake.
channels:
  call: {cost: 10}
  ivr: {cost: 1}
  whatsapp: {cost: 1.5}
  sms: {cost: 0.7}
  email: {cost: 0.1}
  visit: {cost: 100}
"""


class SourceError(Exception):
    """A source file is absent or does not read as the challenge's format; says which, where and what to do."""


@dataclass(frozen=True)
class Landing:
    """The landing tables as text frames, and counts of what the mapping saw and did not hand over."""

    tables: dict[str, pd.DataFrame]
    notes: dict[str, int]


# ---------------------------------------------------------------------------------------------- reading the sources


def without_cut_row(content: bytes, separator: bytes = b";") -> tuple[bytes, int]:
    r"""The content without a last row that was cut in the middle, and how many rows that were (0 or 1).

    A row is cut when no line end follows it and it has fewer fields than the header, or an open quote.

    >>> without_cut_row(b'a;b\r\n1;2\r\n3;"x')
    (b'a;b\r\n1;2\r\n', 1)
    >>> without_cut_row(b'a;b\r\n1;2')
    (b'a;b\r\n1;2', 0)
    """
    if content.endswith(b"\n") or b"\n" not in content:
        return content, 0
    start = content.rfind(b"\n") + 1
    header = content[: content.find(b"\n")]
    last = content[start:]
    is_cut = last.count(separator) < header.count(separator) or last.count(b'"') % 2 == 1
    return (content[:start], 1) if is_cut else (content, 0)


def read_source(file: Path, columns: tuple[str, ...]) -> tuple[pd.DataFrame, int]:
    """Rows of one source file as text, and the number of rows left out because the file was cut there.

    ``;``-separated, quoted, CRLF or LF. A blank ('', ' ' or nothing at all) and '?' are missing (None).

    Raises:
        SourceError: a column is absent, or a row in the middle does not have the fields of the header.
    """
    content, cut_count = without_cut_row(file.read_bytes())
    try:
        text = io.StringIO(content.decode("utf-8"), newline="")
        header, *rows = csv.reader(text, delimiter=";", strict=True)
    except (csv.Error, UnicodeDecodeError, ValueError) as error:
        raise SourceError(f"{file} does not read as ';'-separated UTF-8 text: {error}. Take a fresh copy.") from error
    absent = [column for column in columns if column not in header]
    if absent:
        raise SourceError(f"{file} has no column {', '.join(absent)}; it has {', '.join(header)}.")
    # pandas would fill a short row up without a word, so the fields are counted here.
    for line, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise SourceError(f"{file}, line {line}: {len(row)} fields under {len(header)} columns. Take a fresh copy.")
    positions = [header.index(column) for column in columns]
    cells = ([row[position].strip() for position in positions] for row in rows)
    values = [[None if cell in ("", "?") else cell for cell in row] for row in cells]
    return pd.DataFrame(values, columns=list(columns), dtype=object), cut_count


def transaction_files(folder: Path) -> list[Path]:
    """The bank's transactions: ``trans.asc`` when it is whole, else the ``trans_prefix*.asc`` parts.

    Raises:
        SourceError: there is neither.
    """
    whole = folder / "trans.asc"
    files = [whole] if whole.exists() else sorted(folder.glob("trans_prefix*.asc"))
    if not files:
        raise SourceError(f"{folder} has neither trans.asc nor trans_prefix*.asc; payments come from there.")
    return files


def read_sources(folder: Path) -> tuple[dict[str, pd.DataFrame], dict[str, int]]:
    """All source tables of ``folder`` and the notes about them.

    Raises:
        SourceError: a file is absent or unreadable.
    """
    sources: dict[str, pd.DataFrame] = {}
    cut_count = 0
    for name, columns in SOURCE_COLUMNS.items():
        files = transaction_files(folder) if name == "trans" else [folder / f"{name}.asc"]
        parts = []
        for file in files:
            if not file.exists():
                raise SourceError(f"{file} does not exist; the challenge's files are listed in README.md.")
            rows, cut = read_source(file, columns)
            parts.append(rows)
            cut_count += cut
        sources[name] = pd.concat(parts, ignore_index=True)
    # Account 0 is the bank's way to say that the other side is not known.
    other_side = sources["trans"]["account"]
    sources["trans"]["account"] = other_side.where(other_side != "0", None)
    return sources, {"source rows cut in the middle, left out": cut_count}


# --------------------------------------------------------------------------------------------- how one value reads


def calendar_date(yymmdd: str | None) -> date:
    """The day that a yymmdd text names; the century is always 19. A time of day after it is dropped.

    >>> calendar_date("930101"), calendar_date("931107 00:00:00")
    (datetime.date(1993, 1, 1), datetime.date(1993, 11, 7))
    """
    if yymmdd is None or not re.fullmatch(r"\d{6}( 00:00:00)?", yymmdd):
        raise SourceError(f"{yymmdd!r} is not a date of this bank; it writes yymmdd, such as 930101.")
    # Not strptime's %y: it would read a birth year below 69 as 20xx.
    return datetime.strptime("19" + yymmdd[:6], "%Y%m%d").date()  # noqa: DTZ007 - a calendar day has no zone


def birth_date_and_gender(birth_number: str) -> tuple[date, str]:
    """Birth date and gender (F or M) of a Czech birth number: women have 50 added to the month.

    >>> birth_date_and_gender("706213")
    (datetime.date(1970, 12, 13), 'F')
    >>> birth_date_and_gender("450204")
    (datetime.date(1945, 2, 4), 'M')
    """
    month = int(birth_number[2:4])
    if month <= 50:
        return calendar_date(birth_number), "M"
    return calendar_date(f"{birth_number[:2]}{month - 50:02d}{birth_number[4:]}"), "F"


def first_due_date(granted: date) -> date:
    """The first 12th of a month after the day of the grant; a loan granted on a 12th starts a month later.

    >>> first_due_date(date(1994, 3, 11)), first_due_date(date(1994, 3, 12)), first_due_date(date(1993, 12, 13))
    (datetime.date(1994, 3, 12), datetime.date(1994, 4, 12), datetime.date(1994, 1, 12))
    """
    return granted.replace(day=DUE_DAY) if granted.day < DUE_DAY else months_later(granted.replace(day=DUE_DAY), 1)


def months_later(day: date, months: int) -> date:
    """The same day of the month ``months`` later, or the last day of that month when it has no such day.

    >>> months_later(date(1994, 1, 31), 1), months_later(date(1993, 12, 12), 12)
    (datetime.date(1994, 2, 28), datetime.date(1994, 12, 12))
    """
    return (pd.Timestamp(day) + pd.DateOffset(months=months)).date()


def money(text: str) -> Decimal:
    """The amount with two decimals, exact.

    >>> money("3373"), money("3372.70")
    (Decimal('3373.00'), Decimal('3372.70'))
    """
    return Decimal(text).quantize(CENT, rounding=ROUND_HALF_UP)


# --------------------------------------------------------------------------------------- the tables handed over


def map_branches(district: pd.DataFrame) -> pd.DataFrame:
    """One row per district: the bank has one branch in each; the district's region is the province."""
    branches = district.rename(columns={"A1": "branch_id", "A2": "name", "A3": "province"})
    return branches[["branch_id", "name", "province"]]


def map_customers(
    client: pd.DataFrame, disp: pd.DataFrame, account: pd.DataFrame, district: pd.DataFrame, *, until: date
) -> pd.DataFrame:
    """One row per owner of an account that was opened up to ``until``, that day included.

    Those who may only dispose of an account (DISPONENT) owe nothing and are not members.
    """
    opened = account.assign(member_since=account["date"].map(calendar_date))
    opened = opened[opened["member_since"] <= until].rename(columns={"district_id": "branch_id"})
    owners = disp[disp["type"] == "OWNER"][["client_id", "account_id"]]
    customers = (
        owners.merge(opened[["account_id", "branch_id", "member_since"]], on="account_id")
        .merge(client, on="client_id", how="left")
        .merge(district.rename(columns={"A1": "district_id", "A2": "city", "A3": "province"}), how="left")
    )
    born = [
        birth_date_and_gender(number) if isinstance(number, str) else (None, None)
        for number in customers["birth_number"]
    ]
    customers["birth_date"] = [birth_date for birth_date, _ in born]
    customers["gender"] = [gender for _, gender in born]
    customers["customer_id"], customers["status"] = customers["client_id"], "active"
    columns = ["customer_id", "birth_date", "gender", "province", "city", "member_since", "branch_id", "status"]
    return in_order(customers, ["customer_id"])[columns]


def map_installments(loan: pd.DataFrame, order: pd.DataFrame, *, until: date) -> tuple[pd.DataFrame, int]:
    """The schedule of every loan granted up to ``until``, and how many loans had no matching standing order.

    An instalment is the loan's standing order (k_symbol UVER), which is exact to the haler, when it rounds to the
    instalment in loan.asc; else that instalment. The last one brings the sum to the loan's amount. All principal.
    """
    orders = order[order["k_symbol"] == "UVER"].groupby("account_id")["amount"].agg(list)
    rows = []
    unordered_count = 0
    for entry in granted_loans(loan, until=until).itertuples(index=False):
        rounded = money(entry.payments)
        matching = [money(text) for text in orders.get(entry.account_id, []) if abs(money(text) - rounded) <= ROUNDING]
        unordered_count += not matching
        instalment = matching[0] if matching else rounded
        term = int(entry.duration)
        last = money(entry.amount) - instalment * (term - 1)
        if last <= 0:
            raise SourceError(
                f"loan.asc, loan {entry.loan_id}: {term} instalments of {instalment} exceed the amount {entry.amount}."
            )
        first = first_due_date(entry.granted)
        rows += [
            (entry.loan_id, number, months_later(first, number - 1), last if number == term else instalment)
            for number in range(1, term + 1)
        ]
    installments = pd.DataFrame(rows, columns=["loan_id", "installment_no", "due_on", "principal_due"])
    installments["interest_due"] = installments["fees_due"] = Decimal("0.00")
    return installments, unordered_count


def map_payments(trans: pd.DataFrame, loan: pd.DataFrame, *, until: date) -> tuple[pd.DataFrame, dict[str, int]]:
    """Loan payments booked up to ``until``, that day included, and counts of what the symbol UVER named besides.

    A loan payment is money that left the account (VYDAJ, or VYBER, a second word for it) with the symbol UVER.
    The bank gives the day only; noon stands for it, the same day in every zone of Europe and never in a clock change.
    """
    marked = trans[trans["k_symbol"] == "UVER"]
    marked = marked.assign(paid_on=marked["date"].map(calendar_date))
    marked = marked[marked["paid_on"] <= until]
    left = marked[marked["type"].isin(["VYDAJ", "VYBER"])]
    payments = left.merge(loan[["account_id", "loan_id"]], on="account_id")
    notes = {
        "UVER transactions that put money in, not payments": len(marked) - len(left),
        "UVER transactions of an account without a loan": int((~left["account_id"].isin(loan["account_id"])).sum()),
    }
    payments = payments.assign(
        payment_id=payments["trans_id"],
        paid_at=payments["paid_on"].map(lambda day: f"{day.isoformat()} 12:00:00"),
        amount=payments["amount"].map(money),
        method=payments["operation"].map({"PREVOD NA UCET": "transfer", "VYBER": "branch", "VYBER KARTOU": "card"}),
    )
    # The bank's trans_id does not follow time, so the order of the rows comes from the day first.
    payments = in_order(payments, ["paid_on", "payment_id"])
    return payments[["payment_id", "loan_id", "paid_at", "amount", "method"]], notes


def map_loans(
    loan: pd.DataFrame, disp: pd.DataFrame, account: pd.DataFrame, payments: pd.DataFrame, *, until: date
) -> pd.DataFrame:
    """One row per loan granted up to ``until``, as it stood at the end of that day.

    The letters A-D of the source say what had become of a loan by the end of 1998, so they are not used: a loan is
    closed once its payments reach its amount (less the haler that the rounded instalments leave), on that day.
    """
    owners = disp[disp["type"] == "OWNER"].rename(columns={"client_id": "customer_id"})
    loans = (
        granted_loans(loan, until=until)
        .merge(owners[["account_id", "customer_id"]], on="account_id", how="left")
        .merge(account[["account_id", "district_id"]], on="account_id", how="left")
        .rename(columns={"district_id": "branch_id", "duration": "term_months", "granted": "disbursed_on"})
    )
    paid = payments.assign(total=payments.groupby("loan_id")["amount"].transform(lambda amounts: amounts.cumsum()))
    closed: list[date | None] = []
    maturity: list[date] = []
    for entry in loans.itertuples(index=False):
        enough = money(entry.amount) - ROUNDING * int(entry.term_months)
        repaid = paid[(paid["loan_id"] == entry.loan_id) & (paid["total"] >= enough)]
        closed.append(date.fromisoformat(repaid["paid_at"].iloc[0][:10]) if len(repaid) else None)
        maturity.append(months_later(first_due_date(entry.disbursed_on), int(entry.term_months) - 1))
    loans["principal"] = loans["amount"].map(money)
    loans["currency"] = "CZK"
    loans["maturity_on"], loans["closed_on"] = maturity, closed
    loans["status"] = ["closed" if day else "active" for day in closed]
    columns = ["loan_id", "customer_id", "branch_id", "currency", "principal", "term_months"]
    return loans[[*columns, "disbursed_on", "maturity_on", "status", "closed_on"]]


def granted_loans(loan: pd.DataFrame, *, until: date) -> pd.DataFrame:
    """The loans granted up to ``until``, that day included, with the day in ``granted``, by loan_id."""
    loans = loan.assign(granted=loan["date"].map(calendar_date))
    return in_order(loans[loans["granted"] <= until], ["loan_id"])


def in_order(rows: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """The rows by ``keys``; keys of digits sort as numbers."""
    return rows.sort_values(
        keys, key=lambda column: column.map(int) if column.name.endswith("_id") else column, kind="stable"
    ).reset_index(drop=True)


def map_bank(sources: dict[str, pd.DataFrame], *, until: date) -> Landing:
    """The landing tables of the bank as it stood at the end of ``until``.

    Raises:
        SourceError: the transactions end before ``until``; loans would look unpaid that were paid.
    """
    last_day = max(map(calendar_date, sources["trans"]["date"].unique()), default=None)
    if last_day is None or last_day < until:
        raise SourceError(
            f"The transactions end on {last_day}, before {until}: every loan paid later would look unpaid. "
            f"Take an earlier --until, or the whole trans.asc."
        )
    loan, disp, account = sources["loan"], sources["disp"], sources["account"]
    installments, unordered_count = map_installments(loan, sources["order"], until=until)
    payments, payment_notes = map_payments(sources["trans"], loan, until=until)
    tables = {
        "branches": map_branches(sources["district"]),
        "customers": map_customers(sources["client"], disp, account, sources["district"], until=until),
        "loans": map_loans(loan, disp, account, payments, until=until),
        "installments": installments,
        "payments": payments,
    }
    notes = {
        "loans granted later, not handed over": len(loan) - len(tables["loans"]),
        "loans without a standing order, instalment from loan.asc": unordered_count,
        **payment_notes,
    }
    return Landing(tables, notes)


# -------------------------------------------------------------------------------------------- writing the home


def write_whole(file: Path, write: Callable[[Path], None]) -> None:
    """``file`` as ``write`` leaves it: written beside and put in place in one step, so no reader sees half of it."""
    beside = file.with_name(f".{file.name}.new")
    write(beside)
    beside.replace(file)


def write_home(landing: Landing, home: Path) -> bool:
    """Write ``landing/<table>.csv`` and, when the home has none yet, ``puntual.yaml``; True if that was written."""
    folder = home / "landing"
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in landing.tables.items():
        write_whole(
            folder / f"{name}.csv",
            lambda beside, rows=rows: rows.to_csv(beside, index=False, lineterminator="\n", quoting=csv.QUOTE_MINIMAL),
        )
    settings = home / "puntual.yaml"
    if settings.exists():
        return False
    write_whole(settings, lambda beside: beside.write_text(SETTINGS, encoding="utf-8"))
    return True


def main(arguments: list[str] | None = None) -> int:
    """Map SOURCE_DIR to HOME and say what was written; 0 when done, 1 when the sources do not read."""
    parser = argparse.ArgumentParser(
        description="Map the PKDD'99 bank to the landing files of Puntual.",
        epilog="Example: python data/examples/berka/mapping.py ~/pkdd99 berka --until 1994-03-31",
    )
    parser.add_argument("source", type=Path, metavar="SOURCE_DIR", help="folder with account.asc, loan.asc, ...")
    parser.add_argument("home", type=Path, metavar="HOME", help="home of the institution; made when absent")
    parser.add_argument(
        "--until", type=date.fromisoformat, default=DEFAULT_UNTIL, metavar="YYYY-MM-DD",
        help="last day that is handed over (default: %(default)s)",
    )  # fmt: skip
    options = parser.parse_args(arguments)
    try:
        sources, source_notes = read_sources(options.source)
        landing = map_bank(sources, until=options.until)
        has_new_settings = write_home(landing, options.home)
    except (SourceError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    lines = [f"{name}.csv: {len(rows)} rows" for name, rows in landing.tables.items()]
    lines += [f"{count} {note}" for note, count in {**source_notes, **landing.notes}.items()]
    lines += ["puntual.yaml: " + ("written" if has_new_settings else "was there, left as it is")]
    lines += [f"next: puntual run {options.home} --as-of {options.until}"]
    sys.stdout.write(os.linesep.join(lines) + os.linesep)
    return 0


if __name__ == "__main__":
    sys.exit(main())
