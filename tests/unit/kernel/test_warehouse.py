from datetime import date

import pandas as pd
import pytest

from puntual.errors import UsageError, WarehouseError
from puntual.warehouse import Warehouse
from puntual.warehouse.connect import qualified

DAY = date(2026, 6, 30)


@pytest.fixture
def warehouse(tmp_path):
    return Warehouse.open("duckdb:///warehouse/book.duckdb", tmp_path)


def frame(value=1.5):
    return pd.DataFrame(
        {
            "as_of_date": [DAY, DAY],
            "name": ['José; "x"', None],
            "amount": [value, None],
            "count": [1, 2],
            "paid_at": pd.to_datetime(["2026-06-30 10:00:00", None]),
            "is_late": [True, False],
        }
    )


def test_a_slice_written_twice_is_there_once(warehouse):
    warehouse.replace_slice("ml.scores", frame(), as_of_date=DAY)
    warehouse.replace_slice("ml.scores", frame(2.5), as_of_date=DAY)
    rows = warehouse.read_table("ml.scores", order_by=["count"])
    assert rows["amount"].tolist()[0] == 2.5
    assert len(rows) == 2


def test_another_day_is_left_alone(warehouse):
    warehouse.replace_slice("ml.scores", frame(), as_of_date=DAY)
    other = frame().assign(as_of_date=date(2026, 7, 1))
    warehouse.replace_slice("ml.scores", other, as_of_date=date(2026, 7, 1))
    assert len(warehouse.read_table("ml.scores")) == 4


def test_values_come_back_as_they_went_in(warehouse):
    warehouse.replace_table("ml.scores", frame())
    rows = warehouse.read_table("ml.scores", order_by=["count"])
    assert rows["name"].tolist() == ['José; "x"', None]
    assert rows["paid_at"].iloc[0] == pd.Timestamp("2026-06-30 10:00:00")
    assert rows["is_late"].tolist() == [True, False]


def test_an_error_in_a_block_undoes_all_of_it(warehouse):
    warehouse.replace_table("ml.scores", frame())
    with pytest.raises(ValueError, match="stop"), warehouse.connection():
        warehouse.execute("delete from ml.scores")
        raise ValueError("stop")
    assert len(warehouse.read_table("ml.scores")) == 2


def test_a_file_held_by_another_process_is_said(warehouse, tmp_path):
    import subprocess
    import sys

    warehouse.replace_table("ml.scores", frame())
    code = f"import duckdb,sys; c=duckdb.connect({str(warehouse.path)!r}); print('held', flush=True); sys.stdin.read()"
    holder = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert holder.stdout.readline().strip() == b"held"
        with pytest.raises(WarehouseError, match="another run or a database tool"):
            warehouse.read_table("ml.scores")
    finally:
        holder.communicate(b"")


@pytest.mark.parametrize("name", ["scores", "ml.scores; drop table x", 'ml."x"', "ML.Scores", "a.b.c"])
def test_a_hostile_table_name_is_refused(name):
    with pytest.raises(UsageError):
        qualified(name)


def test_exported_rows_are_the_same_bytes_each_time(warehouse, tmp_path):
    warehouse.replace_table("ml.scores", frame())
    sql = "select * from ml.scores order by count"
    assert warehouse.export_parquet(sql, tmp_path / "a.parquet") == 2
    warehouse.export_parquet(sql, tmp_path / "b.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
