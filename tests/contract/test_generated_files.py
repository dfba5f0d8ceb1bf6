"""What is generated from the contract is what is committed."""

import pytest
import yaml

from puntual.contracts.generate import generated_files
from puntual.contracts.render import LINEAGE_TYPES
from puntual.contracts.schema import load_contract
from puntual.landing.raw import REJECTED
from puntual.paths import PROJECT_ROOT


@pytest.mark.parametrize("relative", sorted(generated_files()), ids=str)
def test_committed_file_is_the_generated_one(relative):
    committed = (PROJECT_ROOT / relative).read_text(encoding="utf-8")
    assert committed == generated_files()[relative], (
        f"{relative} is out of date; run: python -c 'from puntual.contracts.generate import *; write_generated()'"
    )


def test_dbt_sources_have_every_table_with_lineage_and_the_control_tables():
    text = next(text for path, text in generated_files().items() if path.suffix == ".yml")
    sources = {source["name"]: source for source in yaml.safe_load(text)["sources"]}
    assert set(sources) == {"raw", "control"}
    contract = load_contract()
    tables = {table["name"]: table for table in sources["raw"]["tables"]}
    assert set(tables) == {*contract, "rejected_rows"}
    for name, table in contract.items():
        assert [column["name"] for column in tables[name]["columns"]] == [*table.column_names, *LINEAGE_TYPES]
    rejected = {column["name"]: column["data_type"] for column in tables["rejected_rows"]["columns"]}
    assert rejected == REJECTED
    assert [table["name"] for table in sources["control"]["tables"]] == ["run_parameters", "as_of_dates"]
