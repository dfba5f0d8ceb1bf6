"""The laboratory's table over families and seeds."""

import numpy as np
import pandas as pd
import pytest

from pipelines.lab import _teams, play_all, play_and_judge, summarise, tables
from puntual.errors import UsageError


def results(values):
    row = {"family": "types", "part": "best channel", "people": "own teams", "budget": 0.25, "chooser": "model"}
    return pd.DataFrame([{**row, "measure": "share_of_best", "seed": k, "value": v} for k, v in enumerate(values)])


def test_the_interval_over_seeds_by_hand():
    # 1, 2, 3: mean 2, standard deviation 1, t of 2 degrees of freedom 4.302653, half width 4.302653 / sqrt(3)
    (row,) = summarise(results([1.0, 2.0, 3.0])).to_dict("records")
    assert row["mean"] == 2.0
    assert row["high"] - 2.0 == pytest.approx(2.484138, abs=1e-5)
    assert 2.0 - row["low"] == pytest.approx(2.484138, abs=1e-5)
    assert row["seed_count"] == 3


def test_one_seed_has_no_interval_and_is_still_shown():
    summary = summarise(results([0.8]))
    assert np.isnan(summary["low"].iloc[0])
    (table,) = tables(summary)
    assert list(table.columns[2].cells) == ["0.800"]
    assert table.title == "best channel, own teams, budget 25%"


def test_risk_rows_without_a_budget_are_summed_up_too():
    rows = results([0.9, 0.9]).assign(part="default risk", people="", budget=np.nan, measure="auc")
    summary = summarise(rows)
    assert summary["mean"].tolist() == [0.9]
    assert tables(summary)[0].title == "default risk"


def test_teams_are_the_collectors_at_work_and_each_counts_once():
    people = pd.DataFrame(
        {
            "collector_id": ["a", "b", "c", "d"],
            "channels": ["call", "call,visit", "visit", "call"],
            "zone": None,
            "languages": None,
            "daily_capacity": [20, 5, 3, 50],
            "active_from": pd.NaT,
            "active_to": [pd.NaT, pd.NaT, pd.NaT, pd.Timestamp(2026, 1, 1)],
        }
    )
    # b counts as a caller; d has left
    found = _teams(people, ["call", "sms", "visit"], pd.Timestamp(2026, 6, 30).date())
    assert found == {"call": 25, "visit": 3}
    assert _teams(people.head(0), ["call"], pd.Timestamp(2026, 6, 30).date()) is None


def test_an_unknown_family_is_refused(tmp_path):
    with pytest.raises(UsageError, match="unknown family moon"):
        play_all(tmp_path, ["moon"], [1], members=100)


def test_a_folder_of_somebody_else_is_left_alone(tmp_path):
    precious = tmp_path / "types-1" / "thesis.txt"
    precious.parent.mkdir()
    precious.write_text("five years")
    with pytest.raises(UsageError, match="no world of the laboratory"):
        play_and_judge(precious.parent, "types", members=100, seed=1)
    assert precious.read_text() == "five years"


@pytest.mark.slow
def test_a_small_world_is_played_run_and_judged(tmp_path):
    result = play_and_judge(tmp_path / "w", "cashflow", members=900, seed=1, budgets=[0.25])
    found = result.set_index(["part", "people", "chooser", "measure"])["value"]
    assert found["default risk", "", "oracle", "auc_share"] == 1.0
    assert 0.5 < found["default risk", "", "model", "auc"] <= 1.0
    for people in ("same share", "own teams"):
        shares = found.xs("share_of_best", level="measure").xs(people, level="people").droplevel("part")
        assert set(shares.index) == {"oracle", "model", "response model", "largest arrears first", "random"}
        assert (shares <= 1.0 + 1e-9).all()
    assert found["best channel", "as many contacts", "own habit", "share_of_best"] < 1.0
    assert sorted(path.name for path in (tmp_path / "w").iterdir()) == ["truth"]
