"""What was decided from comes back as it was, whatever the decision takes today or tomorrow."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from puntual.audit.archive import Archive
from puntual.audit.inputs import Arguments, complete, dump, load
from puntual.decision.decide import decide
from puntual.errors import AuditError
from tests.unit.audit import logged


def through(arguments: dict[str, Any], folder) -> dict[str, Any]:
    archive = Archive(folder / "archive", folder / "draft")
    stored = dump(decide, arguments, archive)
    archive.take_over(stored.objects)
    return load(decide, Arguments.model_validate_json(stored.model_dump_json()), Archive(folder / "archive"))


def test_every_argument_of_the_decision_is_carried_and_decides_the_same(tmp_path):
    arguments = logged.arguments(120)
    back = through(arguments, tmp_path)
    assert set(back) == set(inspect.signature(decide).parameters)
    for name, value in complete(decide, arguments).items():
        if isinstance(value, pd.DataFrame):
            pd.testing.assert_frame_equal(back[name], value, check_exact=True)
        elif name != "policies":
            assert back[name] == value, name
    assert back["policies"].rules == arguments["policies"].rules
    first, second = decide(**arguments), decide(**back)
    for table in ("decisions", "details", "prices"):
        pd.testing.assert_frame_equal(getattr(first, table), getattr(second, table), check_exact=True)
    assert first.summary == second.summary


def test_an_argument_that_cannot_be_carried_is_an_error_and_not_left_out(tmp_path):
    def takes_anything(*, frame: pd.DataFrame, what: object) -> None: ...

    archive = Archive(tmp_path / "a", tmp_path / "d")
    with pytest.raises(TypeError):
        dump(takes_anything, {"frame": pd.DataFrame()}, archive)
    with pytest.raises(AuditError, match="what"):
        dump(takes_anything, {"frame": pd.DataFrame(), "what": lambda: None}, archive)


@dataclass(frozen=True)
class Duties:
    planned: pd.DataFrame
    until: date
    codes: frozenset[str]


def with_duties(*, duties: Duties | None = None, share: float = 0.5) -> None: ...


def test_dataclasses_with_frames_are_taken_apart_and_put_together(tmp_path):
    archive = Archive(tmp_path / "a", tmp_path / "d")
    duties = Duties(pd.DataFrame({"a": [1, 2]}), date(2026, 7, 1), frozenset({"x", "y"}))
    stored = dump(with_duties, {"duties": duties}, archive)
    back = load(with_duties, stored, archive)
    pd.testing.assert_frame_equal(back["duties"].planned, duties.planned)
    assert (back["duties"].until, back["duties"].codes, back["share"]) == (duties.until, duties.codes, 0.5)
    assert load(with_duties, dump(with_duties, {}, archive), archive)["duties"] is None


def test_what_an_older_release_stored_and_this_one_does_not_take_is_said(tmp_path):
    archive = Archive(tmp_path / "a", tmp_path / "d")
    stored = Arguments(frames={}, values={"duties": None, "mood": 3})
    with pytest.raises(AuditError, match="mood"):
        load(with_duties, stored, archive)
    assert load(with_duties, Arguments(frames={}, values={"duties": None}), archive) == {"duties": None}


def test_the_digest_is_the_same_in_every_process(tmp_path):
    """Sets have another order in each process."""
    program = (
        "import sys; from pathlib import Path\n"
        "from puntual.audit.archive import Archive\n"
        "from puntual.audit.inputs import dump\n"
        "from puntual.decision.decide import decide\n"
        "from tests.unit.audit import logged\n"
        "folder = Path(sys.argv[1])\n"
        "print(dump(decide, logged.arguments(5), Archive(folder / 'a', folder / 'd')).model_dump_json())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True,
        env={"PYTHONHASHSEED": "1", "PATH": "", "PYTHONPATH": "."},
    )  # fmt: skip
    here = dump(decide, logged.arguments(5), Archive(tmp_path / "a", tmp_path / "d"))
    there = Arguments.model_validate_json(done.stdout)
    assert {name: frame.digest for name, frame in there.frames.items()} == {
        name: frame.digest for name, frame in here.frames.items()
    }
    assert there.values == json.loads(here.model_dump_json())["values"]
    assert there.digest == here.digest


texts = st.one_of(st.none(), st.text(max_size=5))
columns = st.fixed_dictionaries(
    {
        "text": st.lists(texts, min_size=6, max_size=6).map(lambda v: pd.Series(v, dtype=object)),
        "number": st.lists(st.floats(allow_infinity=False), min_size=6, max_size=6).map(pd.Series),
        "count": st.lists(st.one_of(st.just(pd.NA), st.integers(-(2**62), 2**62)), min_size=6, max_size=6).map(
            lambda v: pd.Series(v, dtype="Int64")
        ),
        "flag": st.lists(st.one_of(st.none(), st.booleans()), min_size=6, max_size=6).map(
            lambda v: pd.Series(v, dtype=object)
        ),
        "day": st.lists(st.one_of(st.none(), st.dates(date(1970, 1, 1), date(2100, 1, 1))), min_size=6, max_size=6).map(
            lambda v: pd.Series(v, dtype=object)
        ),
        "moment": st.lists(st.one_of(st.none(), st.datetimes(pd.Timestamp("1980-01-01"), pd.Timestamp("2100-01-01"))),
                           min_size=6, max_size=6).map(lambda v: pd.Series(pd.to_datetime(v)).astype("datetime64[us]")),
    }
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(columns, st.integers(0, 6))
def test_any_frame_comes_back_as_it_was(tmp_path_factory, made, size):
    frame = pd.DataFrame(made).head(size).reset_index(drop=True)
    folder = tmp_path_factory.mktemp("frame")
    archive = Archive(folder / "a", folder / "d")
    pd.testing.assert_frame_equal(archive.get(archive.put(frame)), frame, check_exact=True)


def test_tomorrow_shares_what_did_not_change(tmp_path):
    archive = Archive(tmp_path / "a", tmp_path / "d")
    random = np.random.default_rng(1)
    size = 60_000
    events = pd.DataFrame({"id": [f"i{n:07d}" for n in range(size)], "value": random.random(size)})
    today = archive.put(events.iloc[:50_000])
    tomorrow = archive.put(events.iloc[1_000:51_000].reset_index(drop=True))  # the window moved by two per cent
    shared = {piece.sha256 for piece in today.pieces} & {piece.sha256 for piece in tomorrow.pieces}
    assert len(shared) >= 0.6 * len(today.pieces)
    new = sum(piece.rows for piece in tomorrow.pieces if piece.sha256 not in shared)
    assert new < 0.4 * 50_000
    pd.testing.assert_frame_equal(archive.get(tomorrow), events.iloc[1_000:51_000].reset_index(drop=True))


def test_an_altered_or_missing_object_is_an_error(tmp_path):
    archive = Archive(tmp_path / "a", tmp_path / "d")
    frame = archive.put(pd.DataFrame({"a": [1]}))
    archive.take_over([frame.pieces[0].sha256])
    file = archive.place(frame.pieces[0].sha256)
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(AuditError, match="altered"):
        archive.get(frame)
    file.unlink()
    with pytest.raises(AuditError, match="missing"):
        archive.get(frame)
    assert file.parent.stat().st_mode & 0o077 == 0


def test_a_newer_date_is_another_day(tmp_path):
    archive = Archive(tmp_path / "a", tmp_path / "d")
    one = dump(decide, logged.arguments(5), archive).digest
    other = dump(decide, logged.arguments(5, as_of=logged.DAY + timedelta(days=1)), archive).digest
    assert one != other
