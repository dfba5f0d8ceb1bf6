"""Day after day on what the day before left equals everything built anew, row by row, whatever is corrected in between."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.dbt.book import AS_OF, Book, full_book, utc
from tests.dbt.warehouses import (
    MODELS_ONLY,
    control_rows,
    create_database,
    duckdb_environment,
    insert,
    load_duckdb,
    load_postgres,
    postgres_environment,
    run_dbt,
    source_columns,
)

pytestmark = pytest.mark.long

Rows = dict[str, Counter[tuple[Any, ...]]]
DELIVERED_ON = AS_OF - timedelta(days=3)


@dataclass
class Chain:
    """A warehouse that is carried on from day to day, and a second one for the full build that it must equal."""

    folder: Path
    url: str | None = None
    built: Book | None = None

    @property
    def environment(self) -> dict[str, str]:
        return postgres_environment(self.url) if self.url else duckdb_environment(self.folder / "warehouse.duckdb")

    def connect(self) -> Any:
        if self.url:
            import psycopg2

            return psycopg2.connect(self.url)
        import duckdb

        return duckdb.connect(str(self.folder / "warehouse.duckdb"), config={"storage_compatibility_version": "v1.5.0"})

    def build(self, book: Book, *, anew: bool = False) -> Rows:
        """Bring the warehouse to the book: everything anew, or an increment on what was built before."""
        if anew:
            self.built = None
        if self.built is None and not anew:
            (load_postgres(book, self.url) if self.url else load_duckdb(book, self.folder / "warehouse.duckdb"))
        else:
            self._deliver(book)
        refresh = ["--full-refresh"] if self.built is None else []
        run_dbt([*MODELS_ONLY, *refresh], self.environment, self.folder)
        self.built = deepcopy(book)
        return self.rows()

    def _deliver(self, book: Book) -> None:
        """The raw rows of the book and the control tables of its run, without dropping what views stand on."""
        rows = {name if "." in name else f"raw.{name}": table for name, table in book.tables.items()}
        rows |= control_rows(book, self.built)
        marker = "%s" if self.url else "?"
        connection = self.connect()
        try:
            cursor = connection.cursor()
            for table, columns in source_columns().items():
                cursor.execute(f"delete from {table}")
                values = [tuple(row.get(name) for name in columns) for row in rows.get(table, [])]
                if values:
                    sql = f"insert into {table} values ({', '.join([marker] * len(columns))})"
                    (cursor.executemany if self.url else partial(insert, cursor))(sql, values)
            connection.commit()
        finally:
            connection.close()

    def rows(self) -> Rows:
        """Every row of every table that lasts from day to day: facts, reports, and whatever is built incrementally."""
        manifest = json.loads((self.folder / "target" / "manifest.json").read_text(encoding="utf-8"))
        lasting = [
            f"{node['schema']}.{node['alias']}"
            for node in manifest["nodes"].values()
            if node["resource_type"] == "model"
            and (
                node["config"]["materialized"] == "incremental"
                or node["schema"] in {"staging", "marts", "features", "kpis", "reporting"}
            )
        ]
        found: Rows = {}
        connection = self.connect()
        try:
            for table in sorted(lasting):
                cursor = connection.cursor()
                cursor.execute(f"select * from {table}")
                found[table] = Counter(tuple(_comparable(value) for value in row) for row in cursor.fetchall())
        finally:
            connection.close()
        return found


def _comparable(value: Any) -> Any:
    """Doubles to ten digits: a sum in another order differs in the last ones."""
    return float(f"{value:.10g}") if isinstance(value, float) else value


def different(left: Rows, right: Rows) -> dict[str, tuple[list[Any], list[Any]]]:
    """By table, rows on one side only (at most three are shown)."""
    assert left.keys() == right.keys()
    return {
        table: (list((left[table] - right[table]).elements())[:3], list((right[table] - left[table]).elements())[:3])
        for table in left
        if left[table] != right[table]
    }


# ---------------------------------------------------------------- the days


def asked(book: Book, as_of: date) -> Book:
    """The book at another date: history of the last five days, two Sundays and month ends, training dates unchanged."""
    book.as_of = as_of
    training = {day: flags & {"is_risk_training", "is_channel_training"} for day, flags in book.spine.items()}
    book.spine = {day: flags for day, flags in training.items() if flags}
    book.ask(as_of, "is_score")
    for age in range(5):
        book.ask(as_of - timedelta(days=age), "is_day")
    sunday = as_of - timedelta(days=as_of.isoweekday() % 7)
    book.ask(sunday, "is_week_end")
    book.ask(sunday - timedelta(days=7), "is_week_end")
    month_end = as_of.replace(day=1) - timedelta(days=1)
    for _ in range(8):
        book.ask(month_end, "is_month_end")
        month_end = month_end.replace(day=1) - timedelta(days=1)
    return book


def newest(book: Book, table: str, **key: Any) -> dict[str, Any]:
    """The newest version of a row of the book."""
    rows = [row for row in book.tables[table] if all(row.get(name) == value for name, value in key.items())]
    return max(rows, key=lambda row: (row["_load_id"], row["_source_row"]))


def correct(book: Book, table: str, load: int, key: dict[str, Any], **changes: Any) -> None:
    """A newer version of a row, or with ``_is_deleted`` its deletion, which carries the key alone."""
    version = key if changes.get("_is_deleted") else newest(book, table, **key)
    book.add(table, **{**version, "_load_id": load, "_source_row": len(book.tables[table]), **changes})


def payment_of(book: Book, loan_id: str, number: int = 0) -> str:
    return [row["payment_id"] for row in book.tables["payments"] if row.get("loan_id") == loan_id][number]


def first_day(book: Book) -> None:
    """The base, three days before the end; the dates of training stay in the past.

    Of two messages nobody has answered yet: one was delivered on the last day on which receipts are waited for, of the
    other there is no receipt.
    """
    asked(book, AS_OF - timedelta(days=3))
    message = book.contact("C-promises", DELIVERED_ON - timedelta(days=30), "whatsapp", "sent", campaign_id="late")
    book.add(
        "message_events", message_event_id="M-late", interaction_id=message, status="delivered", at=utc(DELIVERED_ON)
    )
    book.contact("C-prepaid", AS_OF - timedelta(days=75), "sms", "sent", campaign_id="timeless")
    for name, outcome in (("a", "no_answer"), ("b", "promise"), ("c", "right_party"), ("d", "promise")):
        listed(book, name, outcome, AS_OF - timedelta(days=5))


LISTED = "puntual-worklist:"


def listed(book: Book, name: str, outcome: str, day: date) -> None:
    """A contact of a filled work list (in truth a member has one a day), of which only the day is known, and its promise."""
    key = LISTED + name
    loan = f"L-{PROMISED.get(name, 'tie-a')}"
    given = {"interaction_id": key, "loan_id": loan, "collector_id": "G1", "campaign_id": f"worklist:{day}"}
    contact = newest(
        book, "interactions", interaction_id=book.contact("C-tie", day, CHANNEL.get(name, "call"), outcome, hour=0)
    )
    contact |= given
    if outcome == "promise":
        given = {"promise_id": key, "interaction_id": key, "loan_id": loan, "made_at": utc(day, 0)}
        book.add("promises", **given, due_on=day + timedelta(days=9), amount=Decimal("25.00"))


CHANNEL = {"d": "visit"}
PROMISED = {"b": "tie-b", "d": "tie-a"}
"""The loan of each listed promise."""


def told_by_the_core(book: Book, load: int, name: str, **changes: Any) -> str:
    """The core's own row of a listed contact, at an hour that only the core knows."""
    row = newest(book, "interactions", interaction_id=LISTED + name)
    key = f"core-{name}"
    told = {"interaction_id": key, "occurred_at": utc(AS_OF - timedelta(days=5), 16), "campaign_id": None}
    place = {"_load_id": load, "_source_row": len(book.tables["interactions"])}
    book.add("interactions", **{**row, **told, **place, **changes})
    return key


def promised_to_the_core(book: Book, load: int) -> None:
    """The core's own row of the listed promise d, which names no contact."""
    given = {"promise_id": "core-d", "loan_id": "L-tie-a", "made_at": utc(AS_OF - timedelta(days=5), 16)}
    book.add("promises", **given, due_on=AS_OF, amount=Decimal("20.00"), _load_id=load)


def late_and_corrected(book: Book) -> None:
    """Money that came three days late, amounts and days put right, a payment moved, a schedule rewritten."""
    asked(book, AS_OF - timedelta(days=2))
    book.pay("L-no-payment", AS_OF - timedelta(days=5), "115.00", _load_id=4)
    key = {"payment_id": payment_of(book, "L-partial-fees")}
    correct(book, "payments", 4, key, amount=Decimal("115.00"))
    key = {"payment_id": payment_of(book, "L-paid-on-due-date")}
    correct(book, "payments", 4, key, paid_at=utc(date(2026, 4, 25)))
    key = {"payment_id": payment_of(book, "L-two-cents-short")}
    correct(book, "payments", 4, key, loan_id="L-partial-interest")
    key = {"payment_id": payment_of(book, "L-prepaid")}
    correct(book, "payments", 4, key, _is_deleted=True)
    for number in (1, 2):
        key = {"loan_id": "L-cent-short", "installment_no": number}
        correct(book, "installments", 4, key, due_on=date(2026, 5, 20) + timedelta(days=30 * number))
    correct(book, "installments", 4, {"loan_id": "L-cent-short", "installment_no": 3}, _is_deleted=True)
    book.pay("L-promises", AS_OF - timedelta(days=4), "12.34", _load_id=4)
    told_by_the_core(book, 4, "a")
    told_by_the_core(book, 4, "b", collector_id=None)
    told_by_the_core(book, 4, "b", interaction_id="core-b-again")
    told_by_the_core(book, 4, "c", outcome="refusal")


def nothing_new(book: Book) -> None:
    """No row; the calendar alone moves dues, promises and the history."""
    asked(book, AS_OF - timedelta(days=1))


def the_same_day_again(book: Book) -> None:
    """A second delivery for the same date: loans closed, reopened, moved; contacts, promises and members corrected."""
    asked(book, AS_OF - timedelta(days=1))
    undone = payment_of(book, "L-reversed-and-paid-again", 2)
    book.pay("L-reversed-and-paid-again", AS_OF - timedelta(days=2), "230.00", reverses_payment_id=undone, _load_id=5)
    correct(book, "loans", 5, {"loan_id": "L-closed"}, status="active", closed_on=None)
    correct(book, "loans", 5, {"loan_id": "L-closed-without-date"}, updated_at=utc(AS_OF))
    book.pay("L-closed-without-date", AS_OF - timedelta(days=2), "1.00", _load_id=5)
    correct(book, "loans", 5, {"loan_id": "L-no-payment"}, status="closed", closed_on=AS_OF - timedelta(days=2))
    correct(book, "loans", 5, {"loan_id": "L-overpaid"}, status="written_off", written_off_on=date(2026, 6, 2))
    correct(book, "loans", 5, {"loan_id": "L-tie-a"}, branch_id="B7", product="housing")
    correct(book, "loans", 5, {"loan_id": "L-many-b"}, customer_id="C-tie")
    correct(book, "loans", 5, {"loan_id": "L-prepaid"}, restructured_on=date(2026, 6, 20))
    correct(book, "loans", 5, {"loan_id": "L-nothing-due"}, _is_deleted=True)
    correct(book, "loans", 5, {"loan_id": "L-partial-principal"}, officer_id="O1", updated_at=utc(AS_OF))
    correct(book, "customers", 5, {"customer_id": "C-no-payment"}, branch_id="B3", full_name="Otro nombre")
    made = [row["interaction_id"] for row in book.tables["interactions"] if row.get("customer_id") == "C-no-payment"]
    correct(book, "interactions", 5, {"interaction_id": made[3]}, outcome="right_party", channel="visit")
    correct(book, "interactions", 5, {"interaction_id": made[4]}, occurred_at=utc(AS_OF - timedelta(days=40)))
    correct(book, "interactions", 5, {"interaction_id": made[5]}, _is_deleted=True)
    correct(book, "interactions", 5, {"interaction_id": made[6]}, loan_id="L-many-a", duration_s=93)
    promised = [row["promise_id"] for row in book.tables["promises"] if row.get("loan_id") == "L-promises"]
    correct(book, "promises", 5, {"promise_id": promised[0]}, amount=Decimal("500.00"))
    correct(book, "promises", 5, {"promise_id": promised[1]}, _is_deleted=True)
    correct(book, "promises", 5, {"promise_id": promised[3]}, due_on=date(2026, 5, 2), loan_id="L-prepaid")
    book.add("message_events", message_event_id="M1", interaction_id=made[0], status="sent", at=utc(AS_OF), _load_id=5)
    correct(book, "contact_points", 5, {"contact_point_id": "T1"}, valid=False)
    book.customer("C-new", _load_id=5)
    withdrawn = "puntual-worklist:withdrawn"
    correct(book, "interactions", 5, {"interaction_id": LISTED + "c"}, campaign_id=withdrawn, outcome="no_answer")
    correct(book, "interactions", 5, {"interaction_id": "core-b"}, _is_deleted=True)
    promised_to_the_core(book, 5)
    book.loan("L-new", "C-new", AS_OF - timedelta(days=20), _load_id=5)
    book.schedule("L-new", [(AS_OF - timedelta(days=3), "100.00", "1.00", "0.00")], _load_id=5)


def gone_and_put_right(book: Book) -> None:
    """A loan is gone and its payment stays; a collector works for another agency, a branch lies in another province."""
    asked(book, AS_OF - timedelta(days=1))
    correct(book, "loans", 6, {"loan_id": "L-paid-a-day-late"}, _is_deleted=True)
    correct(book, "collectors", 6, {"collector_id": "G1"}, agency="Cobranzas del Sur")
    correct(book, "branches", 6, {"branch_id": "B1"}, province="Loja")
    correct(book, "interactions", 6, {"interaction_id": "core-a"}, outcome="third_party")
    correct(book, "interactions", 6, {"interaction_id": LISTED + "b"}, outcome="dispute")
    correct(book, "promises", 6, {"promise_id": "core-d"}, _is_deleted=True)
    told_by_the_core(book, 6, "d")


def answered_at_last(book: Book) -> None:
    """An answer two days after the last delivery that counts, and an old message's receipt that tells no time.

    Of the member of the lists no contact changes: the core tells a listed promise again, and its contact has one less.
    """
    asked(book, AS_OF - timedelta(days=1))
    day = DELIVERED_ON + timedelta(days=2)
    book.contact("C-promises", day, "whatsapp", "replied", direction="inbound", _load_id=7)
    message = newest(book, "interactions", campaign_id="timeless")["interaction_id"]
    book.add(
        "message_events", message_event_id="M-timeless", interaction_id=message, status="read", at=None, _load_id=7
    )
    promised_to_the_core(book, 7)


def three_days_on(book: Book) -> None:
    """No run for three days; what was dated ahead has come true, and the sample of the training is another one."""
    asked(book, AS_OF + timedelta(days=2))
    book.sample_below = "6"
    book.pay("L-disbursed-today", AS_OF + timedelta(days=1), "10.00", _load_id=8)
    correct(book, "loans", 8, {"loan_id": "L-no-payment"}, status="active", closed_on=None)


STEPS: list[Callable[[Book], None]] = [
    first_day,
    late_and_corrected,
    nothing_new,
    the_same_day_again,
    gone_and_put_right,
    answered_at_last,
    three_days_on,
]
COMPARED_ALWAYS = (late_and_corrected, gone_and_put_right, three_days_on)
"""Compared with a full build in each `make test`: each carries on what the steps before it, compared or not, left."""


@pytest.fixture(scope="module")
def increments(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[tuple[str, Book, Rows]]]:
    """The book and the tables after each step of the chain on DuckDB."""
    chain = Chain(tmp_path_factory.mktemp("chain"))
    yield list(walk(chain, STEPS))


def walk(chain: Chain, steps: list[Callable[[Book], None]]) -> Iterator[tuple[str, Book, Rows]]:
    book = full_book(loans=25)
    for step in steps:
        step(book)
        yield step.__name__, deepcopy(book), chain.build(book)


@pytest.fixture(scope="module")
def anew(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Book], Rows]:
    folder = tmp_path_factory.mktemp("anew")

    def build(book: Book) -> Rows:
        (folder / "warehouse.duckdb").unlink(missing_ok=True)
        return Chain(folder).build(book)

    return build


@pytest.mark.timeout(900)  # the first case builds every day twice
@pytest.mark.parametrize(
    "number",
    [
        pytest.param(number, id=step.__name__, marks=[] if step in COMPARED_ALWAYS else pytest.mark.slow)
        for number, step in enumerate(STEPS)
        if number
    ],
)
def test_an_increment_equals_a_full_build(
    increments: list[tuple[str, Book, Rows]], anew: Callable[[Book], Rows], number: int
) -> None:
    _, book, rows = increments[number]
    assert rows != increments[number - 1][2], "nothing changed: the comparison would prove nothing"
    assert different(rows, anew(book)) == {}


def test_what_the_core_tells_too_is_counted_once_and_what_is_withdrawn_not_at_all(
    increments: list[tuple[str, Book, Rows]],
) -> None:
    """Of filled lists: the same outcome gives way to the core's row, another stays beside it, and comes back with it."""

    def ids(table: str, place: int, *, column: int = 0) -> set[str]:
        rows = increments[place][2][f"marts.{table}"]
        return {str(row[column]).replace(LISTED, "list-") for row in rows if str(row[0]).startswith((LISTED, "core-"))}

    contacts = [ids("fct_interactions", place) for place in range(len(STEPS))]
    assert contacts[0] == {"list-a", "list-b", "list-c", "list-d"}
    # a and b are the core's, b twice; of c the core says something else, of d nothing
    assert contacts[1] == {"core-a", "core-b", "core-b-again", "core-c", "list-c", "list-d"}
    assert contacts[3] == {"core-a", "core-b-again", "core-c", "list-d"}  # c was withdrawn, of b one row
    # the core corrects a, so the list said something else; the list corrects b to what the core does not say; d is told
    assert contacts[4] == {"core-a", "list-a", "core-b-again", "list-b", "core-c", "core-d"}
    promises = [ids("fct_promises", place) for place in range(len(STEPS))]
    assert promises[0] == promises[1] == {"list-b", "list-d"}
    assert ids("fct_promises", 1, column=1) == {"core-b", "list-d"}, "a promise is of the contact that stays"
    assert promises[3] == {"list-b", "core-d"}
    assert "core-b-again" in ids("fct_promises", 3, column=1), "of two contacts of the core the other one stayed"
    assert promises[4] == {"list-d"}  # b promises nothing any more; the core took back what it had told of d
    assert ids("fct_promises", 4, column=1) == {"core-d"}
    assert promises[5] == {"core-d"}

    def counted(place: int) -> set[str]:
        """Contacts of the core with a promise: the column follows the cost."""
        rows = increments[place][2]["reporting.rpt_contacts"]
        return {str(row[0]) for row in rows if str(row[0]).startswith("core-") and row[14]}

    assert [counted(place) for place in (1, 3, 4, 5)] == [{"core-b"}, {"core-b-again"}, {"core-d"}, set()]


@pytest.mark.slow
def test_a_late_payment_changes_its_loan_from_its_day_on_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    chain = Chain(tmp_path_factory.mktemp("late"))
    book = full_book(loans=25)
    first_day(book)
    before = chain.build(book)
    paid_on = book.as_of - timedelta(days=3)
    book.pay("L-no-payment", paid_on, "115.00", _load_id=4)
    after = chain.build(book)
    changed = {table: (before[table] - after[table]) + (after[table] - before[table]) for table in before}
    changed = {table: rows for table, rows in changed.items() if rows}
    assert {"marts.fct_loan_as_of", "marts.fct_payments"} <= changed.keys()
    for table, rows in changed.items():
        if not table.startswith(("reporting.", "kpis.")):
            assert all({"L-no-payment", "C-no-payment"} & set(row) for row in rows), table
    days = {row[0] for row in changed["marts.fct_loan_as_of"]}
    assert days
    assert min(days) >= paid_on


@pytest.mark.slow
def test_what_a_crashed_run_left_is_put_right_by_the_next(
    tmp_path_factory: pytest.TempPathFactory, anew: Callable[[Book], Rows]
) -> None:
    """The crashed run wrote everything but its marker; then the source takes back what it had said."""
    chain = Chain(tmp_path_factory.mktemp("crash"))
    book = full_book(loans=25)
    first_day(book)
    chain.build(book)
    finished = deepcopy(book)
    asked(book, AS_OF - timedelta(days=2))
    closed = AS_OF - timedelta(days=20)
    correct(book, "loans", 4, {"loan_id": "L-no-payment"}, status="closed", closed_on=closed)
    correct(book, "loans", 4, {"loan_id": "L-tie-b"}, branch_id="B8")
    key = {"payment_id": payment_of(book, "L-partial-fees")}
    before = dict(newest(book, "payments", **key))
    correct(book, "payments", 4, key, loan_id="L-many-a", amount=Decimal("77.00"))
    chain.build(book)
    chain.built = finished
    asked(book, AS_OF - timedelta(days=1))
    correct(book, "loans", 5, {"loan_id": "L-no-payment"}, status="active", closed_on=None)
    correct(book, "loans", 5, {"loan_id": "L-tie-b"}, branch_id="B1")
    correct(book, "payments", 5, key, loan_id=before["loan_id"], amount=before["amount"])
    assert different(chain.build(book), anew(book)) == {}


@pytest.mark.slow
@pytest.mark.timeout(1800)  # every day on PostgreSQL, and alone on DuckDB too
def test_postgres_carries_the_days_on_as_duckdb_does(
    increments: list[tuple[str, Book, Rows]], postgres_url: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    url = create_database(postgres_url, "dbt_chain")
    chain = Chain(tmp_path_factory.mktemp("chain_postgres"), url)
    for (name, _, rows), (_, _, on_duckdb) in zip(walk(chain, STEPS), increments, strict=True):
        assert different(rows, on_duckdb) == {}, name
