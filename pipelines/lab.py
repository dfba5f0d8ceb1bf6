"""The laboratory's table: families of worlds are played, run as far as scores, and judged by their truth.

``python -m pipelines.lab --homes lab --families all --seeds 3 --members 4000`` plays every family with every seed, lets
the road learn and score (landing, plan, dbt, training, scores; no rules, no exploration), and holds the contest of
:mod:`models.lab.contest`. ``python -m pipelines.lab --home HOME --truth FILE`` judges a home that was run already.
How to read the table stands in ``docs/lab.md``.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import date
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from models.features import CUSTOMER_FEATURES, LOAN_FEATURES
from models.lab.baselines import response_scores, risk_scores, taught_gains, taught_the_truth
from models.lab.contest import BUDGETS, CHANNEL, MODEL, contest
from models.lab.settings import FAMILIES, with_dials
from models.lab.write import write_demo
from pipelines.day import Day
from pipelines.run import run_day
from pipelines.steps.champions import CHANNEL_MODEL, PROMISE_MODEL, RECOVERY_MODEL, RISK_MODEL, champion
from pipelines.steps.feature_rows import feature_rows
from pipelines.steps.learning import risk_settings
from pipelines.steps.scoring import score_contact_channel, score_default_risk
from puntual.decision.capacity import COLLECTOR_CHANNELS, roster
from puntual.errors import PuntualError, UsageError
from puntual.homes import create_home
from puntual.lock import exclusive
from puntual.paths import Home
from puntual.settings import ChannelSettings, quiet_environment

AS_OF = date(2026, 6, 30)
MEMBERS = 4000
CARD = "card"
"""The part of the result that no truth judges: what the models of the world say of themselves in their cards."""
PROMOTED = "promoted"
_WORDS_OF_CHANNEL = "contact channel"
_CARDS = {"kept promise": PROMISE_MODEL, "recovery": RECOVERY_MODEL}
_OF_CARD = ("auc", "brier", "ece", "portfolio_error", "portfolio_covered", "member_coverage_")
_SUBJECT = ["part", "people", "budget", "chooser", "measure"]
_SHOWN = {
    "auc": 3,
    "auc_share": 3,
    "brier": 4,
    "ece": 4,
    "brier_to_truth": 4,
    "ece_to_truth": 4,
    "mean_absolute_error": 4,
    "contact_count": 0,
    "share_of_best": 3,
    "claim_ratio": 2,
    "portfolio_error": 3,
    "portfolio_covered": 3,
    "member_coverage_80%": 3,
    "member_coverage_90%": 3,
}


def judge_home(
    home: Path, truth_file: Path | None = None, budgets: Sequence[float] = BUDGETS, *, seed: int = 0
) -> pd.DataFrame:
    """The contest on a home whose warehouse holds the scores of its last run; the long frame of ``contest``.

    Raises:
        UsageError: the truth is not there, or the home was never run.
    """
    place = Home(home.resolve())
    truth_path = truth_file or place.truth / "truth.parquet"
    if not truth_path.exists():
        raise UsageError(f"{truth_path} is not there; give the truth of this home's world with --truth FILE")
    return _judge(Day.of(place.root, _date_of(place), "lab"), truth_path, budgets, seed)


def play_and_judge(
    home: Path,
    family: str,
    *,
    members: int,
    seed: int,
    as_of: date = AS_OF,
    budgets: Sequence[float] = BUDGETS,
    lives: int | None = None,
    dials: Sequence[str] = (),
    keep: bool = False,
) -> pd.DataFrame:
    """Play one world into ``home``, run the road as far as scores, and hold the contest.

    The channel model scores whether or not the written rule would promote it: here the truth judges, not the rule.
    ``lives``: how many lives the true probability of default is counted over; the family's own number when not given.
    ``dials``: of the family, moved as ``name=value``.
    Without ``keep`` the warehouse, the models and the files are removed again; the truth and the result stay.

    Raises:
        UsageError: the folder holds something that is not a world of the laboratory, or a dial is not known; nothing in
            it was touched.
    """
    quiet_environment()
    begun = time.perf_counter()
    world = with_dials(FAMILIES[family], dials)
    if lives is not None:
        world = replace(world, default_replications=lives)
    _clear(home)
    summary = write_demo(home, members=members, seed=seed, as_of=as_of, settings=world)
    place = create_home(
        home,
        name=f"Cooperativa {family}",
        country="EC",
        timezone="America/Guayaquil",
        currency="USD",
        language="es",
        channels={name: ChannelSettings(**values) for name, values in summary.channels.items()},
    )
    played = time.perf_counter()
    run_day(place, as_of, until="models")
    day = Day.of(place.root, as_of, "lab")
    with exclusive(place):
        trained = day.registry.list(CHANNEL_MODEL)
        if trained and day.registry.row_for(CHANNEL_MODEL, as_of) is None:
            day.registry.promote(CHANNEL_MODEL, trained[-1]["version"], reason="laboratory", decided_on=as_of)
        score_default_risk(day)
        score_contact_channel(day)
    scored = time.perf_counter()
    result = _judge(day, place.truth / "truth.parquet", budgets, seed)
    result = result.assign(family=family, seed=seed, members=members, played_seconds=played - begun)
    result = result.assign(run_seconds=scored - played)
    result.to_csv(place.truth / "contest.csv", index=False)
    if not keep:
        for path in place.root.iterdir():
            if path != place.truth:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    return result


def _clear(home: Path) -> None:
    """An empty folder with the mark that it is the laboratory's, so that the next time it may be made anew."""
    marker = home / "truth" / ".lab"
    if home.exists() and not marker.exists() and any(home.iterdir()):
        raise UsageError(f"{home} holds something that is no world of the laboratory; choose another --homes folder")
    shutil.rmtree(home, ignore_errors=True)
    marker.parent.mkdir(parents=True)
    marker.touch()


def summarise(results: pd.DataFrame, *, level: float = 0.95) -> pd.DataFrame:
    """Mean over seeds and its t interval, one row per family, part, people, budget, chooser and measure.

    With one seed the interval is NaN. Columns: mean, low, high, seed_count (worlds that have the measure; one whose
    channel model is off has none of it) and world_count (worlds of the family that were played).
    """
    grouped = results.groupby(["family", *_SUBJECT], sort=False, dropna=False)["value"]
    frame = grouped.agg(["mean", "std", "count"]).reset_index().rename(columns={"count": "seed_count"})
    count = frame["seed_count"].to_numpy(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        half = stats.t.ppf(0.5 + level / 2, count - 1) * frame["std"] / np.sqrt(count)
    seeds = results if "seed" in results else results.assign(seed=0)
    frame["world_count"] = frame["family"].map(seeds.groupby("family")["seed"].nunique()).astype(int)
    return frame.assign(low=frame["mean"] - half, high=frame["mean"] + half).drop(columns="std")


def _judge(day: Day, truth_path: Path, budgets: Sequence[float], seed: int) -> pd.DataFrame:
    warehouse, settings = day.warehouse, day.settings
    with warehouse.connection():
        channel = warehouse.read_table("ml.channel_scores", where={"as_of_date": day.as_of})
        risk = warehouse.read_table("ml.default_risk_scores", where={"as_of_date": day.as_of})
        collectors = warehouse.read_table("marts.dim_collectors", order_by=["collector_id"])
        known = {name: _willingness_of(day, name) for name in (CHANNEL_MODEL, RISK_MODEL)}
        today = feature_rows(day, CUSTOMER_FEATURES, "is_score", known[CHANNEL_MODEL])
        past = feature_rows(day, CUSTOMER_FEATURES, "is_channel_training", known[CHANNEL_MODEL])
        outcomes = warehouse.read_table(
            "features.label_customer__contact_response", order_by=["as_of_date", "customer_id"]
        )
        loans = feature_rows(day, LOAN_FEATURES, "is_score", known[RISK_MODEL])
        plain = risk_scores(
            feature_rows(day, LOAN_FEATURES, "is_risk_training", known[RISK_MODEL]),
            warehouse.read_table("features.label_loan__default", order_by=["as_of_date", "loan_id"]),
            loans,
            as_of=day.as_of,
            settings=risk_settings(day),
            seed=seed,
            n_jobs=settings.runtime.threads,
        )
    today, past = (frame[frame["is_eligible"].astype(bool)].reset_index(drop=True) for frame in (today, past))
    channels = sorted(settings.channels)
    response = None
    if len(past) and len(channel):
        response = response_scores(past, outcomes, today, channels, seed=seed, n_jobs=settings.runtime.threads)
    truth = pd.read_parquet(truth_path)
    taught = taught_the_truth(loans, risk, truth, seed=seed, n_jobs=settings.runtime.threads) if len(risk) else {}
    corrected = None
    if len(channel):
        corrected = taught_gains(today, channel, truth, seed=seed, n_jobs=settings.runtime.threads)
    habit_path = truth_path.with_name("truth_habit.parquet")
    judged = contest(
        channel if len(channel) else None,
        risk,
        truth,
        {name: given.cost for name, given in settings.channels.items()},
        budgets,
        teams=_teams(collectors, channels, day.as_of),
        response_scores=response if response is not None and len(response) else None,
        taught=corrected,
        risk_baselines={**plain, **taught},
        habit=pd.read_parquet(habit_path) if habit_path.exists() else None,
        seed=seed,
    )
    return pd.concat([judged, _cards(day)], ignore_index=True)


def _cards(day: Day) -> pd.DataFrame:
    """What the models say of themselves, as rows of the result; for the channel model, whether the rule promotes it."""
    found: list[tuple[str, str, float]] = []
    for words, name in _CARDS.items():
        model = champion(day, name)
        for measure, value in (model.card.get("metrics", {}) if model is not None else {}).items():
            # None: the card could not measure it, as in too small a book
            if measure.startswith(_OF_CARD) and value is not None:
                found.append((words, measure, float(value)))
    channel = champion(day, CHANNEL_MODEL)
    is_promoted = channel is not None and bool(channel.card["decision"]["promote"])
    found.append((_WORDS_OF_CHANNEL, PROMOTED, float(is_promoted)))
    frame = pd.DataFrame(found, columns=["chooser", "measure", "value"])
    return frame.assign(part=CARD, people="", budget=np.nan)[[*_SUBJECT, "value"]]


def _willingness_of(day: Day, name: str) -> str:
    """The version of the willingness that the model in force was trained with; empty without such a model."""
    model = champion(day, name)
    return "" if model is None else str(model.willingness_version)


def _teams(collectors: pd.DataFrame, channels: Sequence[str], as_of: date) -> dict[str, int] | None:
    """Contacts that the collectors at work can make, by channel; who does both counts for the first that is offered."""
    if collectors.empty:
        return None
    people = roster(collectors, channels, as_of)
    first = people["channels"].str[0]
    return {
        code: int(people.loc[first == code, "daily_capacity"].sum()) for code in COLLECTOR_CHANNELS if code in channels
    }


def _date_of(place: Home) -> date:
    day = Day.of(place.root, AS_OF, "lab")
    if not day.warehouse.table_exists("ml.default_risk_scores"):
        raise UsageError(f"{place.root} holds no scores; run it first: puntual run {place.root} --as-of DATE")
    built = day.warehouse.read_table("control.run_parameters", ["as_of_date"])["as_of_date"]
    return built.iloc[0].date()


def _play(arguments: dict[str, Any]) -> pd.DataFrame:
    return play_and_judge(**arguments)


def play_all(
    homes: Path,
    families: Sequence[str],
    seeds: Sequence[int],
    *,
    members: int,
    budgets: Sequence[float] = BUDGETS,
    jobs: int = 1,
    lives: int | None = None,
    dials: Sequence[str] = (),
    keep: bool = False,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Every family with every seed; the long results and their summary, also written below ``homes``.

    Files: results.csv (one row per family, seed and measure), summary.csv and summary.json (means and intervals).
    Each world is a process of its own, so that none sees what another left in memory.

    Raises:
        UsageError: a family is not known.
    """
    unknown = sorted(set(families) - set(FAMILIES))
    if unknown:
        raise UsageError(f"unknown family {', '.join(unknown)}; choose from {', '.join(FAMILIES)}, or all")
    for family in families:
        with_dials(FAMILIES[family], dials)
    homes.mkdir(parents=True, exist_ok=True)
    tasks = [
        {"home": homes / f"{family}-{seed}", "family": family, "members": members, "seed": seed, "budgets": budgets}
        | {"lives": lives, "dials": tuple(dials), "keep": keep}
        for seed in seeds
        for family in families
    ]
    found: list[pd.DataFrame] = []
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        for one in pool.map(_play, tasks):
            found.append(one)
            # half an hour of worlds: whoever stops it keeps what is played, a round of all families after the other
            pd.concat(found, ignore_index=True).to_csv(homes / "results.csv", index=False)
    results = pd.concat(found, ignore_index=True)
    summary = summarise(results)
    summary.to_csv(homes / "summary.csv", index=False)
    (homes / "summary.json").write_text(
        json.dumps(json.loads(summary.to_json(orient="records")), indent=1), encoding="utf-8"
    )
    return results, summary


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; see the module."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.lab", description="Scores judged by a known truth.")
    parser.add_argument("--homes", type=Path, default=Path("lab"), help="folder for the worlds and the results")
    parser.add_argument("--families", nargs="+", default=["all"], help=f"all, or of: {', '.join(FAMILIES)}")
    parser.add_argument("--seeds", type=int, default=3, help="seeds 1 to N of every family")
    parser.add_argument("--members", type=int, default=MEMBERS)
    parser.add_argument("--lives", type=int, help="lives that the true probability of default is counted over")
    parser.add_argument("--set", nargs="+", default=[], metavar="DIAL=VALUE", help="move dials of every family")
    parser.add_argument("--jobs", type=int, default=1, help="worlds at a time")
    parser.add_argument("--keep", action="store_true", help="keep warehouses and files of the worlds")
    parser.add_argument("--home", type=Path, help="judge this home, which was run already")
    parser.add_argument("--truth", type=Path, help="truth of --home; its own truth/truth.parquet when not given")
    parser.add_argument("--budget", type=float, nargs="+", default=list(BUDGETS))
    parser.add_argument("--out", type=Path, help="with --home: write the result to this CSV")
    given = parser.parse_args(arguments)
    quiet_environment()
    from rich.console import Console

    console = Console(width=150)
    try:
        if given.home is not None:
            result = judge_home(given.home, given.truth, given.budget)
            if given.out is not None:
                result.to_csv(given.out, index=False)
            summary = summarise(result.assign(family=given.home.name))
        else:
            families = list(FAMILIES) if given.families == ["all"] else given.families
            seeds = range(1, given.seeds + 1)
            options = {"members": given.members, "budgets": given.budget, "jobs": given.jobs, "lives": given.lives}
            options["dials"] = given.set
            _, summary = play_all(given.homes, families, list(seeds), **options, keep=given.keep)
    except PuntualError as error:
        console.print(f"[red]{error}[/red]")
        raise SystemExit(error.exit_code) from error
    for table in tables(summary):
        console.print(table)


def tables(summary: pd.DataFrame) -> list[Any]:
    """The summary as printed tables: default risk, the channel by people and budget, and what the cards say.

    ``worlds``: in how many of the family's worlds there is such a chooser, over how many were played; the means are of
    the former. ``promoted``: in how many of those played the product's own rule would have promoted the channel model.
    """
    from rich.table import Table

    told = summary[(summary["part"] == CARD) & (summary["measure"] == PROMOTED)].set_index("family")
    promoted = {
        str(family): f"{round(row.mean_ * row.seed_count)}/{row.world_count}"
        for family, row in zip(told.index, told.rename(columns={"mean": "mean_"}).itertuples(), strict=True)
    }
    made = []
    for (part, people, budget), rows in summary.groupby(["part", "people", "budget"], sort=False, dropna=False):
        words = [part, people, "" if np.isnan(budget) else f"budget {budget:.0%}"]
        shown = [name for name in _SHOWN if name in set(rows["measure"])]
        is_channel = part in {CHANNEL, CARD} and bool(promoted)
        table = Table(title=", ".join(word for word in words if word))
        for name in ("family", "model" if part == CARD else "chooser"):
            table.add_column(name)
        for name in ("worlds", *([PROMOTED] if is_channel else []), *shown):
            table.add_column(name.replace("_", " "), justify="right")
        for (family, chooser), one in rows.groupby(["family", "chooser"], sort=False):
            found = one.set_index("measure")
            worlds = f"{int(one['seed_count'].max())}/{int(one['world_count'].max())}"
            says = [promoted.get(family, "") if chooser in {MODEL, _WORDS_OF_CHANNEL} else ""] if is_channel else []
            table.add_row(family, chooser, worlds, *says, *[_cell(found, name) for name in shown])
        made.append(table)
    return made


def _cell(found: pd.DataFrame, name: str) -> str:
    if name not in found.index or np.isnan(found.at[name, "mean"]):
        return ""
    digits = _SHOWN[name]
    half = found.at[name, "high"] - found.at[name, "mean"]
    mean = f"{found.at[name, 'mean']:,.{digits}f}"
    return mean if np.isnan(half) or digits == 0 else f"{mean} ±{half:.{digits}f}"


if __name__ == "__main__":
    main()
