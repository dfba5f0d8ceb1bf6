"""Tables in parts are the tables: whatever the size of a part, the rows and their faults are the same."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.lab import tables, write
from models.lab.faults import Faults
from models.lab.tables import each_table, row_counts


def whole(history):
    return {name: pa.concat_tables(parts).combine_chunks() for name, parts in each_table(history)}


def test_the_size_of_the_parts_changes_nothing(history, monkeypatch):
    at_once = whole(history)
    monkeypatch.setattr(tables, "ROWS_AT_ONCE", 997)
    monkeypatch.setattr(tables, "_LOANS_AT_ONCE", 97)
    in_parts = whole(history)
    assert list(in_parts) == list(at_once)
    for name, table in at_once.items():
        assert in_parts[name].equals(table), name
    assert len(at_once["installments"]) > 5 * 997


def test_sizes_are_known_before_the_tables_are_made(history):
    made = whole(history)
    for name, count in row_counts(history).items():
        assert len(made[name]) == count, name


def test_workplaces_and_references_come_after_the_members_own_contact_points(history):
    points = whole(history)["contact_points"].to_pandas()
    is_own = points["party"].isna() & points["place"].ne("work")
    assert is_own.is_monotonic_decreasing and not is_own.all()
    assert points["contact_point_id"].is_monotonic_increasing
    extra = points[~is_own]
    assert set(extra["kind"]) == {"mobile", "address"}
    assert extra.loc[extra["kind"] == "mobile", "party"].eq("reference").all()
    # nobody depends on them: everyone has a home of their own
    homes = points[points["place"] == "home"]
    assert homes["customer_id"].is_unique and set(homes["customer_id"]) == set(points["customer_id"])


@pytest.mark.parametrize("step", [10_000, 7])
def test_faulty_rows_are_made_from_the_picked_ones_whatever_the_parts(step):
    table = pa.table({"interaction_id": ["a", "b", "c"] * 5, "promise_id": [f"P{i}" for i in range(15)]})
    table = table.append_column("amount", pa.array([1.0] * 15).cast(pa.decimal128(14, 2)))
    counts = dict.fromkeys(("payments", "installments", "interactions", "promises", "contact_points"), 15)
    faults = Faults(counts, share=0.3, seed=5, last_day=20_000)
    for start in range(0, 15, step):
        faults.see("promises", table.slice(start, step), start)
    twin, zero = faults.rows("promises")
    # 15 rows, a share of .3 in two kinds: round(2.25) = 2 of each
    assert (len(twin), len(zero)) == (2, 2)
    assert set(twin["promise_id"].to_pylist()) <= set(table["promise_id"].to_pylist())
    assert zero["promise_id"].to_pylist() == ["PX1000000", "PX1000001"]
    assert [str(value) for value in zero["amount"].to_pylist()] == ["0.00", "0.00"]
    other = Faults(counts, share=0.3, seed=5, last_day=20_000)
    other.see("promises", table, 0)
    assert other.rows("promises")[0].equals(twin)


def test_a_share_of_nothing_adds_nothing():
    faults = Faults({}, share=0.0, seed=5, last_day=20_000)
    faults.see("payments", pa.table({"payment_id": ["T1"]}), 0)
    assert faults.rows("payments") == []


def test_a_file_in_parts_holds_all_rows_in_order(tmp_path, monkeypatch):
    monkeypatch.setattr(write, "ROWS_AT_ONCE", 4)
    parts = iter(
        [pa.table({"x": [0, 1, 2, 3]}), pa.table({"x": [4, 5, 6, 7]}), pa.table({"x": [8]}), pa.table({"x": [9]})]
    )
    assert write.write_parts(parts, tmp_path / "t.parquet") == 10
    file = pq.ParquetFile(tmp_path / "t.parquet")
    assert file.read()["x"].to_pylist() == list(range(10))
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [4, 4, 2]
