"""Files of experiments: what is refused and where, places in a layer, and that a begun one stays what it was."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from puntual.experiments.registry import (
    Experiment,
    ExperimentError,
    check_unchanged,
    load_experiments,
    log_frame,
)

PLAIN: dict[str, Any] = {
    "id": "one",
    "title": {"es": "Uno", "en": "One"},
    "salt": "s1",
    "arms": [
        {"code": "product", "share": 0.8, "policy": "puntual"},
        {"code": "held", "share": 0.2, "policy": "hold_out"},
    ],
    "control": "held",
    "start": date(2026, 7, 1),
    "end": date(2026, 9, 30),
}


def write(folder: Path, name: str = "one", **changes: Any) -> Path:
    file = folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump(PLAIN | {"id": name} | changes, sort_keys=False, allow_unicode=True), "utf-8")
    return file


def test_a_file_is_read_with_its_defaults_and_dates(tmp_path: Path) -> None:
    write(tmp_path)
    (only,) = load_experiments(tmp_path)
    one = only.experiment
    assert (one.layer, one.traffic, one.metric.window_days, one.alpha) == ("main", 1.0, 28, 0.05)
    assert one.last_entry == date(2026, 9, 2)  # 30 September less 28 days
    days = [date(2026, 6, 30), date(2026, 7, 1), date(2026, 9, 3), date(2026, 9, 30), date(2026, 10, 1)]
    assert [one.status(day) for day in days] == ["planned", "enrolling", "following", "following", "ended"]
    assert [one.holds(day) for day in days] == [False, True, True, True, False]
    assert load_experiments(tmp_path / "nowhere") == ()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colour": "red"}, r"one\.yaml, line 16: colour: unknown key"),
        ({"arms": [PLAIN["arms"][0] | {"weight": 1}, PLAIN["arms"][1]]}, r"line 10: arms\.0\.weight: unknown key"),
        ({"arms": [PLAIN["arms"][0], PLAIN["arms"][1] | {"share": 0.3}]}, r"must sum to 1, not 1\.1"),
        ({"arms": [PLAIN["arms"][0], PLAIN["arms"][1] | {"policy": "habit"}]}, r"arms\.1\.policy: .*'ladder'"),
        ({"arms": PLAIN["arms"][:1]}, "needs two arms at least"),
        ({"control": "nobody"}, r"control 'nobody' is none of the arms product, held"),
        ({"end": date(2026, 6, 30)}, r"end 2026-06-30 is before start 2026-07-01"),
        ({"population": {"min_past_due_days": 9, "max_past_due_days": 3}}, r"max_past_due_days is less"),
        ({"title": {"es": "Uno"}}, r"title\.en: is missing"),
        ({"id": "other"}, r"the id other must be the name of the file"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    write(tmp_path, **changes)
    with pytest.raises(ExperimentError, match=message):
        load_experiments(tmp_path)


def test_every_bad_file_is_named_at_once(tmp_path: Path) -> None:
    write(tmp_path, "one", colour=1)
    write(tmp_path, "two", shape=2)
    with pytest.raises(ExperimentError, match=r"(?s)one\.yaml.*colour.*two\.yaml.*shape"):
        load_experiments(tmp_path)


def test_a_layer_is_shared_out_and_never_twice(tmp_path: Path) -> None:
    write(tmp_path, "a", traffic=0.5)
    write(tmp_path, "b", traffic=0.3, start=date(2026, 8, 1))
    write(tmp_path, "c", traffic=0.5, start=date(2026, 10, 1), end=date(2026, 12, 31))  # a and b are over
    write(tmp_path, "d", traffic=1.0, layer="other")
    found = {one.experiment.id: (one.slot_from, one.slot_to) for one in load_experiments(tmp_path)}
    assert found == {"a": (0.0, 0.5), "b": (0.5, 0.8), "c": (0.0, 0.5), "d": (0.0, 1.0)}
    write(tmp_path, "e", traffic=0.3, start=date(2026, 8, 2))
    with pytest.raises(ExperimentError, match=r"main has no room for e \(0\.3\).*a \(0\.5\), b \(0\.3\)"):
        load_experiments(tmp_path)


def test_only_the_end_may_change_once_it_has_begun(tmp_path: Path) -> None:
    write(tmp_path)
    begun = load_experiments(tmp_path)
    logged = log_frame(begun, date(2026, 7, 10))
    assert logged["experiment_id"].tolist() == ["one"]
    write(tmp_path, end=date(2026, 12, 31))
    check_unchanged(load_experiments(tmp_path), logged, date(2026, 7, 11))
    for changes in ({"salt": "s2"}, {"alpha": 0.1}, {"traffic": 0.5}, {"population": {"min_past_due_days": 1}}):
        write(tmp_path, **changes)
        with pytest.raises(ExperimentError, match=r"was running on 2026-07-10 and has been changed"):
            check_unchanged(load_experiments(tmp_path), logged, date(2026, 7, 11))


def test_a_later_file_does_not_move_a_begun_experiment(tmp_path: Path) -> None:
    write(tmp_path, "b", traffic=0.5)
    logged = log_frame(load_experiments(tmp_path), date(2026, 7, 1))
    write(tmp_path, "a", traffic=0.5, start=date(2026, 7, 2))
    check_unchanged(load_experiments(tmp_path), logged, date(2026, 7, 2))
    write(tmp_path, "a", traffic=0.5, start=date(2026, 6, 20))  # as if it had begun before b
    with pytest.raises(ExperimentError, match=r"b\.yaml.*changed since.*put before it"):
        check_unchanged(load_experiments(tmp_path), logged, date(2026, 7, 2))


def test_a_begun_experiment_neither_vanishes_nor_comes_back(tmp_path: Path) -> None:
    file = write(tmp_path)
    logged = log_frame(load_experiments(tmp_path), date(2026, 7, 10))
    write(tmp_path, enabled=False)
    with pytest.raises(ExperimentError, match="switched off"):
        check_unchanged(load_experiments(tmp_path), logged, date(2026, 7, 11))
    file.unlink()
    with pytest.raises(ExperimentError, match="its file is gone"):
        check_unchanged((), logged, date(2026, 7, 11))
    check_unchanged((), logged, date(2026, 10, 1))  # it was over: the file may go
    write(tmp_path, end=date(2026, 8, 5))
    stopped = log_frame(load_experiments(tmp_path), date(2026, 8, 6))
    write(tmp_path, end=date(2026, 9, 30))
    with pytest.raises(ExperimentError, match="ended on 2026-08-05 and cannot be taken up again"):
        check_unchanged(load_experiments(tmp_path), pd.concat([logged, stopped]), date(2026, 8, 7))
    write(tmp_path, end=date(2026, 12, 31))
    with pytest.raises(ExperimentError, match="ended on 2026-09-30 and cannot be taken up again"):
        check_unchanged(load_experiments(tmp_path), logged, date(2026, 10, 1))


def test_a_window_must_fit_but_in_an_experiment_that_was_stopped(tmp_path: Path) -> None:
    write(tmp_path)
    logged = log_frame(load_experiments(tmp_path), date(2026, 7, 3))
    write(tmp_path, end=date(2026, 7, 28))
    for day in (date(2026, 6, 30), date(2026, 7, 28)):
        with pytest.raises(
            ExperimentError, match=r"one\.yaml: end 2026-07-28 .*window_days \(28\).*nobody's window would"
        ):
            check_unchanged(load_experiments(tmp_path), logged, day)
    write(tmp_path, end=date(2026, 7, 3))  # two days after it began: stopped at once
    check_unchanged(load_experiments(tmp_path), logged, date(2026, 7, 4))
    assert not load_experiments(tmp_path)[0].experiment.holds(date(2026, 7, 4))


def test_the_log_has_only_experiments_that_have_begun(tmp_path: Path) -> None:
    write(tmp_path, "one")
    write(tmp_path, "off", enabled=False, layer="off")
    assert log_frame(load_experiments(tmp_path), date(2026, 6, 30)).empty
    frame = log_frame(load_experiments(tmp_path), date(2026, 7, 1))
    assert Experiment.model_validate_json(frame["definition"].iloc[0]).id == "one"
    assert pd.isna(frame["fingerprint"]).sum() == 0 and len(frame) == 1
