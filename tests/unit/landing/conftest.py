"""A cooperative of three members, whose landing folder the tests spoil."""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from puntual.landing.load import load_landing, validate_landing
from puntual.warehouse import Warehouse

AS_OF = date(2026, 6, 30)

FILES = {
    "customers.csv": """\
customer_id,national_id,full_name,status
007,0102030405,Ana Núñez,active
8,0203040506,Luis Peña,active
9,0304050607,Eva Toro,dispute
""",
    "loans.csv": """\
loan_id,customer_id,currency,principal,disbursed_on,status,updated_at
L1,007,USD,200.00,2026-01-10,active,2026-06-01 08:00:00
L2,8,USD,90.50,2026-02-10,active,2026-06-01 08:00:00
""",
    "installments.csv": """\
loan_id,installment_no,due_on,principal_due,interest_due,fees_due
L1,1,2026-02-10,100.00,3.00,0.00
L1,2,2026-03-10,100.00,1.50,0.00
L2,1,2026-03-10,90.50,1.25,0.25
""",
    "payments.csv": """\
payment_id,loan_id,paid_at,amount,method
P1,L1,2026-02-09 10:30:00,103.00,branch
P2,L1,2026-03-12 23:30:00,50.00,agent
P3,L2,2026-03-10T15:00:00Z,92.00,transfer
""",
}


@dataclass
class Cooperative:
    """A home with a landing folder; ``load`` runs the door on it, each time as the next run."""

    root: Path
    url: str = "duckdb:///warehouse/puntual.duckdb"
    timezone: str = "America/Guayaquil"
    runs: int = 0
    files: dict[str, str] = field(default_factory=lambda: dict(FILES))

    @property
    def landing(self) -> Path:
        return self.root / "landing"

    @property
    def warehouse(self) -> Warehouse:
        return Warehouse.open(self.url, self.root)

    def put(self, name, content, encoding="utf-8"):
        path = self.landing / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))

    def load(self, *, share=1.0, received_on=AS_OF, as_of=AS_OF):
        self.runs += 1
        return load_landing(
            self.root,
            self.landing,
            self.warehouse,
            as_of=as_of,
            received_on=received_on,
            run_id=f"run-{self.runs}",
            timezone=self.timezone,
            max_rejected_share=share,
            loaded_at=datetime.fromisoformat("2026-07-01") + timedelta(hours=self.runs),
        )

    def validate(self, *, share=1.0):
        return validate_landing(
            self.root, self.landing, as_of=AS_OF, received_on=AS_OF, timezone=self.timezone, max_rejected_share=share
        )

    def rows(self, table, columns, order="_load_id, _source_file, _source_row"):
        return [
            tuple(row)
            for row in self.warehouse.read(f"select {columns} from raw.{table} order by {order}").to_numpy().tolist()
        ]

    def count(self, table):
        return int(self.warehouse.read(f"select count(*) as n from raw.{table}")["n"][0])

    def counts(self):
        tables = ("customers", "loans", "installments", "payments", "rejected_rows", "loads")
        return {table: self.count(table) for table in tables}

    def rejected(self):
        """Of the newest load: (table, file, row) to the list of reasons."""
        frame = self.warehouse.read(
            "select table_name, source_file, source_row, reasons from raw.rejected_rows"
            " where load_id = (select max(load_id) from raw.loads)"
        )
        return {(r.table_name, r.source_file, int(r.source_row)): r.reasons for r in frame.itertuples()}


@pytest.fixture
def empty_cooperative(tmp_path):
    made = Cooperative(tmp_path / "home")
    made.landing.mkdir(parents=True)
    return made


@pytest.fixture
def cooperative(empty_cooperative):
    for name, content in FILES.items():
        empty_cooperative.put(name, content)
    return empty_cooperative
