"""The finished demo day, judged by the truth of its own world."""

from __future__ import annotations

import pandas as pd
import pytest

from models.lab.judge import capacities_from_prices, judge_home, main
from puntual.snapshot import Snapshot


@pytest.fixture(scope="module")
def judged(finished_home) -> tuple[pd.DataFrame, pd.DataFrame]:
    return judge_home(finished_home)


def test_the_choice_is_worth_a_share_of_the_best_possible(judged):
    contacts = judged[0].set_index("chooser")
    assert 0 < contacts.at["chosen", "share_of_best"] <= 1
    assert contacts.at["best possible", "net_amount"] >= contacts["net_amount"].max()
    assert {"largest arrears first", "random"} <= set(contacts.index)


def test_the_choice_keeps_within_the_capacities_that_bind_the_best(judged, finished_home):
    folder = Snapshot.current(finished_home).folder
    prices = pd.read_parquet(folder / "prices.parquet")
    assert (prices["used_count"] <= prices["capacity_count"]).all()
    decisions = pd.read_parquet(folder / "decisions.parquet", columns=["action"])
    room = capacities_from_prices(prices)
    for channel in ("call", "visit"):
        limit = sum(capacity.count for capacity in room if channel in capacity.channels)
        assert (decisions["action"] == channel).sum() <= limit
    assert judged[0].set_index("chooser").at["chosen", "contact_count"] == (decisions["action"] != "none").sum()


def test_default_risk_is_judged_beside_the_true_probability(judged):
    risk = judged[1].set_index("score")
    assert list(risk.index) == ["model", "true probability", "past-due days"]
    assert risk.at["model", "loan_count"] > 0
    assert risk["auc"].dropna().between(0, 1).all()


def test_the_printed_tables_are_not_cut(finished_home, capsys):
    main([str(finished_home)])
    printed = capsys.readouterr().out
    assert "…" not in printed
    assert "chosen, without exploration" in printed
    assert "share of best" in printed
    assert "mean absolute error" in printed
