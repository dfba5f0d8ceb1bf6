"""The laboratory's table over families and seeds."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from pipelines.lab import _cards, _teams, play_all, play_and_judge, summarise, tables
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
    assert list(table.columns[2].cells) == ["1/1"]
    assert list(table.columns[3].cells) == ["0.800"]
    assert table.title == "best channel, own teams, budget 25%"


def test_risk_rows_without_a_budget_are_summed_up_too():
    rows = results([0.9, 0.9]).assign(part="default risk", people="", budget=np.nan, measure="auc")
    summary = summarise(rows)
    assert summary["mean"].tolist() == [0.9]
    assert tables(summary)[0].title == "default risk"


def cells(table):
    """The printed table as rows of {column: text}."""
    names = [str(column.header) for column in table.columns]
    return [dict(zip(names, row, strict=True)) for row in zip(*(column.cells for column in table.columns), strict=True)]


def test_a_family_whose_channel_model_is_off_in_a_world_is_not_shown_as_if_complete():
    row = {"family": "types", "people": "", "budget": np.nan}
    rows = [
        {**row, "seed": seed, "part": "default risk", "chooser": "model", "measure": "auc", "value": 0.9}
        for seed in (1, 2, 3)
    ]
    # of three worlds the second has no channel model, and the rule would have promoted that of the third alone
    for seed, share, promoted in ((1, 0.6, 0.0), (2, None, 0.0), (3, 0.8, 1.0)):
        if share is not None:
            own = {"part": "best channel", "people": "own teams", "budget": 0.25, "measure": "share_of_best"}
            rows += [{**row, "seed": seed, **own, "chooser": name, "value": share} for name in ("model", "random")]
        card = {"part": "card", "chooser": "contact channel", "measure": "promoted", "value": promoted}
        rows.append({**row, "seed": seed, **card})
    for seed, covered in ((1, 0.8), (2, 0.9), (3, 1.0)):
        card = {"part": "card", "chooser": "recovery", "measure": "portfolio_covered", "value": covered}
        rows.append({**row, "seed": seed, **card})
    summary = summarise(pd.DataFrame(rows))
    assert set(summary["world_count"]) == {3}
    assert summary.loc[summary["part"] == "best channel", "seed_count"].tolist() == [2, 2]
    risk, channel, card = tables(summary)
    assert cells(risk)[0]["worlds"] == "3/3" and "promoted" not in cells(risk)[0]
    model, random = cells(channel)
    assert (model["worlds"], model["promoted"], model["share of best"][:5]) == ("2/3", "1/3", "0.700")
    assert (random["worlds"], random["promoted"]) == ("2/3", "")
    by_model = {one["model"]: one for one in cells(card)}
    assert card.title == "card"
    assert (by_model["contact channel"]["worlds"], by_model["contact channel"]["promoted"]) == ("3/3", "1/3")
    assert by_model["recovery"]["portfolio covered"][:5] == "0.900" and by_model["recovery"]["promoted"] == ""


def test_the_cards_of_the_models_in_force_are_rows_of_the_result(monkeypatch):
    kept = {"auc": 0.8, "brier": 0.15, "ece": 0.02}
    recovery = {"portfolio_error": 0.05, "portfolio_covered": 1.0, "member_coverage_80%": 0.82, "branch_covered": 0.9}
    recovery |= {"member_coverage_90%": None}  # what a card could not measure is no row
    in_force = {
        "kept_promise": SimpleNamespace(card={"metrics": kept}),
        "recovery": SimpleNamespace(card={"metrics": recovery}),
        "contact_channel": SimpleNamespace(card={"decision": {"promote": True}}),
    }
    monkeypatch.setattr("pipelines.lab.champion", lambda _day, name: in_force.get(name))
    found = _cards(None).set_index(["chooser", "measure"])["value"].to_dict()
    assert found == {("kept promise", name): value for name, value in kept.items()} | {
        ("recovery", "portfolio_error"): 0.05,
        ("recovery", "portfolio_covered"): 1.0,
        ("recovery", "member_coverage_80%"): 0.82,
        ("contact channel", "promoted"): 1.0,
    }
    in_force.clear()
    off = _cards(None)
    assert off[["part", "chooser", "measure", "value"]].to_numpy().tolist() == [
        ["card", "contact channel", "promoted", 0.0]
    ]


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
        plain = {"oracle", "model", "response model", "largest arrears first", "random"}
        assert set(shares.index) == plain | {"model where supported", "taught the truth"}
        assert (shares <= 1.0 + 1e-9).all()
    assert found["best channel", "as many contacts", "own habit", "share_of_best"] < 1.0
    assert sorted(path.name for path in (tmp_path / "w").iterdir()) == ["truth"]
