"""The ordinary published home with a log of decisions behind its snapshot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from puntual.audit.record import Record, keep_inputs
from puntual.decision.decide import DecisionOutcome, decide
from puntual.paths import Home
from puntual.snapshot import Snapshot
from tests.unit.audit import logged


def log_decision(root: Path, size: int = 80, **changed: Any) -> DecisionOutcome:
    """Decide for the first ``size`` members of the published list and append it as what the snapshot shows."""
    home, snapshot = Home(root), Snapshot.current(root)
    listed = pd.read_parquet(snapshot.table_path("worklist"))["customer_id"].drop_duplicates().head(size).tolist()
    inputs = logged.arguments(len(listed), as_of=snapshot.as_of_date, **changed)
    for name, frame in inputs.items():
        if isinstance(frame, pd.DataFrame) and "customer_id" in frame:
            known = {f"m{number:05d}": customer for number, customer in enumerate(listed)}
            inputs[name] = frame.assign(customer_id=frame["customer_id"].map(known))
    outcome = decide(**inputs)
    digest = keep_inputs(home, snapshot.as_of_date, inputs)
    record = Record.of(home, logged.settings(), snapshot.as_of_date, "run")
    decided = {name: getattr(outcome, name) for name in ("decisions", "details", "prices", "second_contacts")}
    summary = {**outcome.summary, "inputs_sha256": digest, "rule_versions": inputs["policies"].digests}
    record.gather(decided, summary, {"default_risk": {"version": "v1"}}, logged.REASONS, {})
    with record.committed(snapshot.folder.name):
        pass
    return outcome
