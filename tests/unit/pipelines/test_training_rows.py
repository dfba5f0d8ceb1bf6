"""What models were trained on, kept and published: whole members, no identifiers, nothing from after the date."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from models.datasets import thinned
from models.features import LOAN_FEATURES
from pipelines.steps import training_rows as steps
from puntual.paths import Home
from puntual.snapshot import Snapshot

DAYS = ("2025-10-01", "2025-11-01")


@dataclass(frozen=True)
class Day:
    """What the step reads of a day."""

    home: Home
    as_of: date


def frames(members: int = 40) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two loans per member on two dates, with labels for all of them."""
    random = np.random.default_rng(0)
    keys = pd.DataFrame(
        [(pd.Timestamp(day), f"L{m}-{n}", f"C{m}") for day in DAYS for m in range(members) for n in (1, 2)],
        columns=["as_of_date", "loan_id", "customer_id"],
    )
    columns: dict[str, Any] = {}
    for column in LOAN_FEATURES.columns:
        if column.name in keys:
            columns[column.name] = keys[column.name]
        elif column.type == "number":
            columns[column.name] = random.random(len(keys))
        else:
            columns[column.name] = [True] * len(keys) if column.type == "boolean" else ["a"] * len(keys)
    labels = keys[["as_of_date", "loan_id"]].assign(is_default=random.random(len(keys)) < 0.3, is_matured=True)
    return pd.DataFrame(columns), labels


def test_rows_carry_labels_and_no_identifier(tmp_path: Path) -> None:
    features, labels = frames()
    day = Day(Home(tmp_path), date(2026, 6, 30))
    assert steps.keep_training_rows(day, "default_risk", features, labels) == 160  # type: ignore[arg-type]
    file = tmp_path / "artifacts" / "training" / "default_risk" / "2026-06-30.parquet"
    rows = pd.read_parquet(file)
    assert not {"customer_id", "loan_id", "is_score", "is_risk_training"} & set(rows.columns)
    assert b"L1-1" not in file.read_bytes()
    assert rows.groupby("member_number").size().tolist() == [4] * 40
    assert rows["loan_number"].nunique() == 80
    assert set(rows["as_of_date"].astype(str)) == set(DAYS)
    joined = features.merge(labels, on=["as_of_date", "loan_id"])
    assert sorted(rows["annual_rate"] + rows["is_default"]) == sorted(joined["annual_rate"] + joined["is_default"])
    before = file.read_bytes()
    steps.keep_training_rows(day, "default_risk", features.sample(frac=1, random_state=1), labels)  # type: ignore[arg-type]
    assert file.read_bytes() == before


def test_a_large_panel_is_thinned_by_whole_members() -> None:
    features, _ = frames(members=500)
    some = thinned(features, 1000)
    assert 800 < len(some) <= 1000
    assert (some.groupby("customer_id").size() == 4).all()
    assert thinned(features, 2000) is features
    assert len(thinned(features, 3)) == 0


def test_a_snapshot_has_the_newest_rows_that_its_date_knew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels = frames()
    monkeypatch.setattr(steps, "KEPT", 2)
    home = Home(tmp_path)
    for month in (4, 5, 6):
        day = Day(home, date(2026, month, 30 if month != 5 else 31))
        steps.keep_training_rows(day, "default_risk", features.assign(annual_rate=float(month)), labels)  # type: ignore[arg-type]
    kept = sorted(file.name for file in (tmp_path / "artifacts" / "training" / "default_risk").iterdir())
    assert kept == ["2026-05-31.parquet", "2026-06-30.parquet"]
    for as_of, month in ((date(2026, 6, 29), 5), (date(2026, 6, 30), 6), (date(2026, 8, 1), 6)):
        folder = tmp_path / "published" / as_of.isoformat()
        folder.mkdir(parents=True)
        assert steps.publish_training_rows(Day(home, as_of), folder) == ["default_risk"]  # type: ignore[arg-type]
        rows = pd.read_parquet(Snapshot(folder, {"as_of_date": as_of.isoformat()}).table_path("training_default_risk"))
        assert set(rows["annual_rate"]) == {float(month)}
    earlier = tmp_path / "published" / "earlier"
    earlier.mkdir()
    assert steps.publish_training_rows(Day(home, date(2026, 5, 1)), earlier) == []  # type: ignore[arg-type]
    assert list(earlier.iterdir()) == []


def test_a_disk_without_links_gets_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OSError("no links here")

    features, labels = frames()
    day = Day(Home(tmp_path), date(2026, 6, 30))
    steps.keep_training_rows(day, "default_risk", features, labels)  # type: ignore[arg-type]
    monkeypatch.setattr(Path, "hardlink_to", refuse)
    steps.publish_training_rows(day, tmp_path)  # type: ignore[arg-type]
    assert len(pd.read_parquet(tmp_path / "training" / "default_risk.parquet")) == 160
