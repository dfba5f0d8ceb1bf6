"""What doctor says of a PostgreSQL warehouse."""

from __future__ import annotations

from datetime import date

import pytest

from puntual.doctor import examine
from puntual.homes import create_home
from puntual.publish import publish
from puntual.warehouse import Warehouse
from puntual.warehouse.roles import prepare_database
from puntual.warehouse.serving import PublishedTable, staged_publication
from tests.dbt.warehouses import create_database

DAY = date(2026, 6, 30)


@pytest.fixture
def place(tmp_path, postgres_url, request):
    url = create_database(postgres_url, f"doctor_{abs(hash(request.node.name))}")
    place = create_home(
        tmp_path / "home", name="C", country="EC", timezone="America/Guayaquil", currency="USD", language="es"
    )
    text = place.settings_file.read_text(encoding="utf-8").replace("duckdb:///warehouse/puntual.duckdb", url)
    place.settings_file.write_text(text, encoding="utf-8")
    return place, Warehouse.open(url, place.root)


def found(place, subject):
    (finding,) = [finding for finding in examine(place.root) if finding.subject == subject]
    return finding.level, finding.text


def publish_day(place, warehouse, text="a"):
    warehouse.execute_many(
        ["create schema if not exists star", "create table if not exists star.dim_x as select 1 as n"]
    )
    tables = {"dim_x": PublishedTable("select * from star.dim_x", ["n"], ["n"])}

    def fill(folder):
        (folder / "a.txt").write_text(text)
        return {"as_of_date": DAY.isoformat()}

    def together(name):
        return staged_publication(warehouse, tables, DAY, name)

    return publish(place, DAY, fill, run_id="r", keep=7, together_with=together)


def test_roles_and_publication_are_looked_at(place):
    home, warehouse = place
    warehouse.execute("drop schema if exists bi cascade")
    assert found(home, "bi schema")[0] == "warning"
    prepare_database(warehouse)
    assert found(home, "roles")[0] == "ok"
    published = publish_day(home, warehouse)
    assert found(home, "bi schema") == ("ok", "as of 2026-06-30, read without an error")
    warehouse.execute("revoke select on bi.dim_x from puntual_bi")
    assert "may not read 1 of its views" in found(home, "bi schema")[1]
    warehouse.execute("grant select on bi.dim_x to puntual_bi")
    (schema,) = warehouse.read("select nspname from pg_namespace where nspname like 'serving%'")["nspname"]
    warehouse.execute(f"revoke select on {schema}.dim_x from puntual_reader")
    assert "puntual_reader may not read 1 of its views" in found(home, "bi schema")[1]
    warehouse.execute(f"grant select on {schema}.dim_x to puntual_reader")
    home.current.unlink()
    other = home.published / "2026-06-30_other"
    published.snapshot.folder.rename(other)
    home.current.symlink_to(other.name)
    level, text = found(home, "bi schema")
    assert level == "error"
    assert "2026-06-30_other" in text


def test_absent_roles_are_a_warning_with_the_command(place, monkeypatch):
    home, _ = place
    monkeypatch.setattr("puntual.doctor.ROLES", {"puntual_owner": "", "puntual_never": ""})
    level, text = found(home, "roles")
    assert level == "warning"
    assert "puntual init-db" in text


def test_an_old_server_is_an_error(place, monkeypatch):
    monkeypatch.setattr("puntual.doctor.server_version", lambda cursor: 14)
    assert found(place[0], "postgresql") == ("error", "version 14; upgrade to 15 or newer")
