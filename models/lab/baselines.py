"""What the product's models must beat: a response model as institutions buy it, and plain models of default."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import lightgbm as lgb
import numpy as np
import pandas as pd

from models.datasets import member_fold
from models.default_risk.settings import DefaultRiskSettings
from models.default_risk.train import target_rows, training_frame
from models.features import CUSTOMER_FEATURES, LOAN_FEATURES, encode, learn_categories
from models.lab.contest import DEFAULT_LIGHTGBM, OBSERVABLE, PAST_DUE, SCORECARD
from models.scorecard import Scorecard, default_lightgbm, past_due_curve

_KEYS = ("as_of_date", "customer_id")
_FLAGS = ("is_score", "is_channel_training", "is_eligible")
_ROWS = 300_000
_RISK_ROWS = 40_000
_PARAMETERS: dict[str, Any] = {
    "n_estimators": 150,
    "learning_rate": 0.08,
    "num_leaves": 31,
    "min_child_samples": 100,
    "force_row_wise": True,
    "deterministic": True,
    "verbosity": -1,
}

_FOLDS = 5
_LEAST_WEIGHT = 1e-9
_TAUGHT_ROUNDS = 200
_TAUGHT: dict[str, Any] = {
    "objective": "binary",
    "learning_rate": 0.05,
    "num_leaves": 15,
    "min_data_in_leaf": 40,
    "lambda_l2": 5.0,
    "feature_fraction": 0.5,
    "force_row_wise": True,
    "deterministic": True,
    "verbosity": -1,
}
_TAUGHT_GAIN = {**_TAUGHT, "objective": "regression", "num_leaves": 7, "learning_rate": 0.04, "feature_fraction": 0.4}


def response_scores(
    features: pd.DataFrame,
    labels: pd.DataFrame,
    today: pd.DataFrame,
    channels: Sequence[str],
    *,
    seed: int = 0,
    n_jobs: int = 1,
) -> pd.DataFrame:
    """Money expected within the response window from a member contacted through a channel, as past contacts went.

    One booster of paying and one of the amount if paid, on everyone contacted, with the channel as a feature among the
    numbers of the table: no comparison with those left alone. This is the baseline that a model of effects must beat.

    Args:
        features: past rows of ``feat_customer__as_of``.
        labels: rows of ``label_customer__contact_response``; those matured and contacted are learnt from.
        today: rows to score.
        channels: channels to score.
        seed: of the boosters and of the rows drawn.
        n_jobs: threads.

    Returns:
        customer_id, channel_code and score, one row per row of ``today`` and channel; nothing when nobody was
        contacted.
    """
    numbers = [name for name in features.columns if name not in (*_KEYS, *_FLAGS) and _is_number(features[name])]
    outcome = labels.loc[labels["is_matured"].astype(bool), [*_KEYS, "channel_code", "paid_7d_amount"]]
    rows = features.merge(outcome[outcome["channel_code"].isin(list(channels))], on=list(_KEYS), how="inner")
    if rows.empty:
        return pd.DataFrame({"customer_id": [], "channel_code": [], "score": []})
    if len(rows) > _ROWS:
        rows = rows.iloc[np.sort(np.random.default_rng(seed).choice(len(rows), _ROWS, replace=False))]
    code = pd.Index(list(channels)).get_indexer(rows["channel_code"].astype(object))
    matrix = np.column_stack([_matrix(rows, numbers), code])
    paid = np.maximum(rows["paid_7d_amount"].astype(float).to_numpy(), 0.0)
    fitted = {"seed": seed, "n_jobs": n_jobs, "categorical_feature": [len(numbers)], **_PARAMETERS}
    pays = lgb.train(*_task(matrix, paid > 0, "binary", fitted))
    amount = lgb.train(*_task(matrix[paid > 0], paid[paid > 0], "l2", fitted))
    scored = []
    for position, channel in enumerate(channels):
        asked = np.column_stack([_matrix(today, numbers), np.full(len(today), position)])
        money = np.asarray(pays.predict(asked)) * np.maximum(np.asarray(amount.predict(asked)), 0.0)
        scored.append(
            pd.DataFrame({"customer_id": today["customer_id"].to_numpy(), "channel_code": channel, "score": money})
        )
    return pd.concat(scored, ignore_index=True)


def risk_scores(
    features: pd.DataFrame,
    labels: pd.DataFrame,
    today: pd.DataFrame,
    *,
    as_of: date,
    settings: DefaultRiskSettings,
    seed: int = 0,
    n_jobs: int = 1,
) -> dict[str, pd.DataFrame]:
    """Probability of default by plain models, from the rows that the product's model learns from.

    Past-due days alone are calibrated: the rising curve of the rate over past-due days. The scorecard (weights of
    evidence) and LightGBM as it comes learn from at most 40,000 rows, drawn.

    Args:
        features: past rows of ``feat_loan__as_of`` with their willingness.
        labels: rows of ``label_loan__default``.
        today: rows to score.
        as_of: the run's date; a label counts when its horizon ends on or before it.
        settings: the definition of default.
        seed: of the rows drawn and of the booster.
        n_jobs: threads.

    Returns:
        By name, loan_id and default_probability, one row per row of ``today``; nothing without matured rows with and
        without the event.
    """
    frame = training_frame(features, labels, as_of=as_of)
    part = target_rows(frame, "default", as_of=as_of, settings=settings)
    if len(part.rows) == 0 or part.outcome.min() == part.outcome.max():
        return {}
    table = frame.loc[:, list(LOAN_FEATURES.names)]
    categories = learn_categories(LOAN_FEATURES, table)
    some = np.arange(len(part.rows))
    if len(some) > _RISK_ROWS:
        some = np.sort(np.random.default_rng(seed).choice(some, _RISK_ROWS, replace=False))
    matrix, outcome = encode(LOAN_FEATURES, table.iloc[part.rows[some]], categories), part.outcome[some]
    asked = encode(LOAN_FEATURES, LOAN_FEATURES.check(today), categories)
    days = today["past_due_days"].fillna(0).to_numpy(dtype=float)
    found = {
        PAST_DUE: past_due_curve(part.past_due_days, part.outcome).apply(days),
        SCORECARD: Scorecard().fit(matrix, outcome).predict(asked),
        DEFAULT_LIGHTGBM: default_lightgbm(matrix, outcome, asked, n_jobs=n_jobs, seed=seed),
    }
    return {
        name: pd.DataFrame({"loan_id": today["loan_id"].to_numpy(), "default_probability": value})
        for name, value in found.items()
    }


def taught_the_truth(
    today: pd.DataFrame, scores: pd.DataFrame, truth: pd.DataFrame, *, seed: int = 0, n_jobs: int = 1
) -> dict[str, pd.DataFrame]:
    """How near to the true probability of default a learner comes that is taught the truth of one day itself.

    A booster on the columns that the model sees, and on the model's own score, whose labels are the true
    probabilities of the day; every loan is scored by one that saw the truth of other members only. No model that learns
    from outcomes has such labels; it sees one day alone, and so a model of two years may be the better of the two: a
    mark, no bound.

    Args:
        today: rows of ``feat_loan__as_of`` with their willingness.
        scores: loan_id and default_probability of the model.
        truth: loan_id and p_default.
        seed: of the boosters.
        n_jobs: threads.

    Returns:
        By name, loan_id and default_probability of every loan that ``truth`` knows.
    """
    told = truth.loc[truth["p_default"].notna(), ["loan_id", "p_default"]]
    known = today.merge(told, on="loan_id").merge(scores[["loan_id", "default_probability"]], on="loan_id")
    table = known.loc[:, list(LOAN_FEATURES.names)]
    matrix = np.column_stack(
        [
            encode(LOAN_FEATURES, LOAN_FEATURES.check(table), learn_categories(LOAN_FEATURES, table)),
            known["default_probability"].astype(float),
        ]
    )
    exact = known["p_default"].to_numpy(float)
    fold = member_fold(known["customer_id"], _FOLDS)
    found = np.full(len(known), np.nan)
    for number in np.unique(fold):
        mine = fold == number
        # a probability as a label: both outcomes, each with its weight
        rows, chance = np.tile(matrix[~mine], (2, 1)), np.r_[exact[~mine], 1.0 - exact[~mine]]
        data = lgb.Dataset(rows, np.repeat([1.0, 0.0], (~mine).sum()), weight=chance + _LEAST_WEIGHT)
        booster = lgb.train({**_TAUGHT, "seed": seed, "num_threads": n_jobs}, data, _TAUGHT_ROUNDS)
        found[mine] = np.asarray(booster.predict(matrix[mine], num_threads=n_jobs))
    return {OBSERVABLE: pd.DataFrame({"loan_id": known["loan_id"].to_numpy(), "default_probability": found})}


def taught_gains(
    today: pd.DataFrame, scores: pd.DataFrame, truth: pd.DataFrame, *, seed: int = 0, n_jobs: int = 1
) -> pd.DataFrame:
    """How near to the true gains the model's gains come when the truth of one day itself corrects them.

    A booster per channel on the columns that the model sees and on what it says of the member, which begins at the
    model's gain and is taught the true one; every member is scored by one that saw the truth of others only. A
    mark that a learner with one day of truth reached, no bound: in some worlds it spoils the gains.

    Args:
        today: eligible rows of ``feat_customer__as_of`` with their willingness.
        scores: rows of the model: customer_id, channel_code, gain_amount, reach_probability, pay_probability,
            expected_amount.
        truth: one row per loan: customer_id, eligible and ``gain_<channel>``.
        seed: of the boosters.
        n_jobs: threads.

    Returns:
        customer_id, channel_code and gain_amount of every row of ``today`` that is scored, and channel of the scores.
    """
    channels = sorted(scores["channel_code"].unique())
    known = today[today["customer_id"].isin(set(scores["customer_id"]))].reset_index(drop=True)
    people = known["customer_id"]
    wide = scores.pivot(index="customer_id", columns="channel_code").reindex(people)
    exact = truth[truth["eligible"].astype(bool)].groupby("customer_id")[[f"gain_{code}" for code in channels]].sum()
    exact = exact.reindex(people).fillna(0.0)
    table = known.loc[:, list(CUSTOMER_FEATURES.names)]
    amount = np.maximum(wide["expected_amount"].iloc[:, 0].to_numpy(float), 1.0)
    said = wide["gain_amount"][channels].to_numpy(float) / amount[:, None]
    matrix = np.column_stack(
        [
            encode(CUSTOMER_FEATURES, CUSTOMER_FEATURES.check(table), learn_categories(CUSTOMER_FEATURES, table)),
            said,
            wide["reach_probability"][channels].to_numpy(float),
            wide["pay_probability"].iloc[:, 0].to_numpy(float),
            np.log(amount),
        ]
    )
    fold = member_fold(people, _FOLDS)
    weight = np.minimum(amount, np.quantile(amount, 0.99)) if len(amount) else amount
    found = said.copy()
    for place, code in enumerate(channels):
        target = exact[f"gain_{code}"].to_numpy(float) / amount - said[:, place]
        for number in np.unique(fold):
            mine = fold == number
            data = lgb.Dataset(matrix[~mine], target[~mine], weight=weight[~mine])
            booster = lgb.train({**_TAUGHT_GAIN, "seed": seed, "num_threads": n_jobs}, data, _TAUGHT_ROUNDS)
            found[mine, place] += np.asarray(booster.predict(matrix[mine], num_threads=n_jobs))
    return pd.DataFrame(
        {
            "customer_id": np.repeat(people.to_numpy(), len(channels)),
            "channel_code": np.tile(np.array(channels, dtype=object), len(people)),
            "gain_amount": (found * amount[:, None]).ravel(),
        }
    )


def _task(matrix: np.ndarray, target: np.ndarray, objective: str, fitted: dict[str, Any]) -> tuple[Any, ...]:
    parameters = {key: value for key, value in fitted.items() if key not in ("n_estimators", "categorical_feature")}
    data = lgb.Dataset(matrix, target.astype(float), categorical_feature=fitted["categorical_feature"])
    return {**parameters, "objective": objective}, data, fitted["n_estimators"]


def _matrix(frame: pd.DataFrame, names: Sequence[str]) -> np.ndarray:
    return np.column_stack([pd.to_numeric(frame[name]).astype(float).to_numpy() for name in names])


def _is_number(column: pd.Series) -> bool:
    if pd.api.types.is_numeric_dtype(column):
        return True
    known = column.dropna()
    return column.dtype == object and len(known) > 0 and type(known.iloc[0]).__name__ in {"Decimal", "bool"}
