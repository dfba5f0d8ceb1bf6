"""DuckDB and PostgreSQL end with the same raw tables after the same history of deliveries."""

import pytest

from puntual.contracts.schema import load_contract
from puntual.errors import LandingError
from puntual.landing.raw import LOADS, REJECTED


def live_through(cooperative):
    """First delivery with bad rows, a correction with a rewritten schedule, a stopped one, and nothing new."""
    files = cooperative.files
    cooperative.put(
        "payments.csv",
        files["payments.csv"] + 'P4,L9,2026-03-10,1,branch\nP5,L1,soon,-1,"a ""quoted"", thing"\nP6,L1\n',
    )
    cooperative.put("customers.csv", files["customers.csv"].replace("Eva Toro", '"Eva\n\\N Toro"'))
    cooperative.load()
    cooperative.put("payments.csv", files["payments.csv"].replace("50.00", "55.00"))
    cooperative.put("installments.csv", files["installments.csv"].replace("L1,2,2026-03-10", "L1,3,2026-04-10"))
    cooperative.put(
        "loans.csv",
        files["loans.csv"].replace(
            "L1,007,USD,200.00,2026-01-10,active,2026-06", "L1,007,USD,210.00,2026-01-10,active,2026-05"
        ),
    )
    cooperative.put(
        "interactions.csv",
        "interaction_id,customer_id,occurred_at,channel,direction,outcome,cost,propensity\n"
        "I1,007,2026-03-01 09:00:00.25,sms,outbound,sent,0.0035,0.25\n",
    )
    cooperative.load()
    cooperative.put("payments.csv", files["payments.csv"].replace("L1", "L9"))
    with pytest.raises(LandingError, match="2 of 3 rows"):
        cooperative.load(share=0.5)
    cooperative.put("payments.csv", files["payments.csv"].replace("50.00", "55.00"))
    cooperative.load()


def test_both_engines_hold_the_same_rows(cooperative, postgres_url, tmp_path_factory):
    other = type(cooperative)(tmp_path_factory.mktemp("postgres") / "home", url=postgres_url)
    for name, content in cooperative.files.items():
        other.put(name, content)
    other.warehouse.execute("drop schema if exists raw cascade")
    live_through(cooperative)
    live_through(other)
    for table, columns in {
        **{
            name: [
                *contract.column_names,
                "_load_id",
                "_loaded_at",
                "_source_file",
                "_source_row",
                "_row_digest",
                "_is_deleted",
            ]
            for name, contract in load_contract().items()
        },
        "loads": list(LOADS),
        "rejected_rows": list(REJECTED),
    }.items():
        texts = ", ".join(f'cast("{column}" as text) as c{number}' for number, column in enumerate(columns))
        here, there = (
            sorted(map(tuple, each.warehouse.read(f"select {texts} from raw.{table}").fillna("∅").to_numpy().tolist()))
            for each in (cooperative, other)
        )
        assert here == there, table
        assert here or table not in {
            "customers",
            "loans",
            "installments",
            "payments",
            "interactions",
            "loads",
            "rejected_rows",
        }
    other.warehouse.execute("drop schema raw cascade")
