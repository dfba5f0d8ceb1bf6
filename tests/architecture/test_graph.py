"""The graph as a reviewed picture: a changed key, dependency, group, owner, check, job or schedule shows in the diff.

After a wanted change write it again: ``python -m tests.architecture.test_graph``.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

SNAPSHOT = Path(__file__).with_name("graph_snapshot.json")


def graph() -> dict[str, Any]:
    from pipelines.graph import build_defs
    from puntual.homes import create_home

    with tempfile.TemporaryDirectory() as folder:
        home = create_home(
            Path(folder) / "home",
            name="Coop",
            country="EC",
            timezone="America/Guayaquil",
            currency="USD",
            language="es",
        )
        definitions = build_defs(home.root)
        assets = definitions.resolve_asset_graph()
        nodes = {}
        for key in sorted(assets.get_all_asset_keys()):
            node = assets.get(key)
            nodes[key.to_user_string()] = {
                "deps": sorted(parent.to_user_string() for parent in node.parent_keys),
                "group": node.group_name,
                "owners": sorted(node.owners),
                "kinds": sorted(node.kinds),
                "partitioned": node.is_partitioned,
            }
        checks = sorted(f"{key.asset_key.to_user_string()}: {key.name}" for key in assets.asset_check_keys)
        return {
            "assets": nodes,
            "checks": checks,
            "jobs": sorted(job.name for job in definitions.resolve_all_job_defs() if not job.name.startswith("__")),
            "schedules": {item.name: item.cron_schedule for item in definitions.schedules},
            "sensors": sorted(item.name for item in definitions.sensors),
        }


def test_the_graph_is_the_reviewed_one():
    assert graph() == json.loads(SNAPSHOT.read_text(encoding="utf-8"))


def test_everything_leads_to_the_snapshot_or_is_kept_for_reading():
    """No table is built that nobody reads, but for those that people read in the warehouse itself."""
    nodes = graph()["assets"]
    read = {parent for node in nodes.values() for parent in node["deps"]}
    # Coverage of each instalment is a view for people and notebooks; message events await the connectors.
    # The time spine is for whoever asks the semantic layer.
    kept = {
        "serving/snapshot",
        "raw/message_events",
        "intermediate/int_installments__coverage",
        "intermediate/int_changes__activity_dates",
        "measured/kpi_values",
        "kpis/kpi_time_spine",
    }
    idle = {name for name in nodes if name not in read and not name.startswith(("staging/", "marts/", "reporting/"))}
    assert idle <= kept


if __name__ == "__main__":
    SNAPSHOT.write_text(json.dumps(graph(), indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
    sys.stdout.write(f"{SNAPSHOT.name} written\n")
