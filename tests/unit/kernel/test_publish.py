import fcntl
import os
from datetime import date

import pytest

from puntual.errors import PublishError
from puntual.lock import exclusive
from puntual.paths import Home
from puntual.publish import publish, verify
from puntual.snapshot import Snapshot

DAY = date(2026, 6, 30)


def content(text="hello"):
    def fill(folder):
        (folder / "bi").mkdir()
        (folder / "bi" / "table.parquet").write_text(text)
        return {"as_of_date": DAY.isoformat(), "model_versions": {}, "rule_versions": {}}

    return fill


def put(home, day=DAY, text="hello", keep=7, run_id="r"):
    def fill(folder):
        return {**content(text)(folder), "as_of_date": day.isoformat()}

    return publish(home, day, fill, run_id=run_id, keep=keep)


def test_readers_see_the_snapshot_and_every_file_has_its_digest(tmp_path):
    home = Home(tmp_path)
    publication = put(home)
    snapshot = Snapshot.current(tmp_path)
    assert (publication.is_new, publication.is_current) == (True, True)
    assert snapshot.table_path("table").read_text() == "hello"
    assert verify(snapshot) == []
    snapshot.table_path("table").write_text("altered")
    assert verify(snapshot) == ["bi/table.parquet: altered"]


def test_the_same_content_again_writes_nothing(tmp_path):
    home = Home(tmp_path)
    first = put(home)
    before = (first.snapshot.folder / "manifest.json").stat().st_mtime_ns
    second = put(home, run_id="another")
    assert second.is_new is False
    assert second.snapshot.folder == first.snapshot.folder
    assert (first.snapshot.folder / "manifest.json").stat().st_mtime_ns == before
    assert [path.name for path in home.published.iterdir() if path.name.startswith(".")] == []


def test_a_failure_while_filling_leaves_yesterday(tmp_path):
    home = Home(tmp_path)
    put(home)

    def broken(folder):
        (folder / "half.parquet").write_text("half")
        raise ValueError("the model died")

    with pytest.raises(ValueError, match="the model died"):
        publish(home, date(2026, 7, 1), broken, run_id="x", keep=7)
    assert Snapshot.current(tmp_path).as_of_date == DAY
    assert len([path for path in home.published.iterdir() if path.is_dir() and not path.is_symlink()]) == 1


def test_a_full_disk_is_said_and_publishes_nothing(tmp_path):
    def full(folder):
        raise OSError(28, "No space left on device")

    with pytest.raises(PublishError, match="No space left"):
        publish(Home(tmp_path), DAY, full, run_id="x", keep=7)
    assert not Home(tmp_path).current.exists()


def test_what_a_killed_run_left_is_cleaned_and_not_shown(tmp_path):
    home = Home(tmp_path)
    (home.published / ".building-dead").mkdir(parents=True)
    put(home)
    assert not (home.published / ".building-dead").exists()


def test_an_older_date_is_kept_beside_but_not_shown(tmp_path):
    home = Home(tmp_path)
    put(home)
    older = put(home, day=date(2026, 5, 31))
    assert older.is_current is False
    assert Snapshot.current(tmp_path).as_of_date == DAY
    assert older.snapshot.as_of_date == date(2026, 5, 31)


def test_only_the_newest_snapshots_stay_and_the_current_one_always_does(tmp_path):
    home = Home(tmp_path)
    for number in range(5):
        put(home, day=date(2026, 6, 1 + number), text=str(number), keep=3)
    kept = [path for path in home.published.iterdir() if path.is_dir() and not path.is_symlink()]
    assert len(kept) == 3
    assert Snapshot.current(tmp_path).as_of_date == date(2026, 6, 5)


def kept_snapshots(home):
    """Business date and content of every snapshot that stayed, the oldest first."""
    folders = [path for path in home.published.iterdir() if path.is_dir() and not path.is_symlink()]
    snapshots = [Snapshot.at(folder) for folder in folders]
    return sorted((snapshot.as_of_date, snapshot.table_path("table").read_text()) for snapshot in snapshots)


def test_an_older_date_just_published_stays_even_where_one_is_kept(tmp_path):
    home = Home(tmp_path)
    put(home)
    past = put(home, day=date(2026, 5, 31), keep=1)
    assert past.snapshot.as_of_date == date(2026, 5, 31)
    assert verify(past.snapshot) == []
    assert Snapshot.current(tmp_path).as_of_date == DAY


def test_the_oldest_business_dates_go_first_whenever_they_were_written(tmp_path):
    home = Home(tmp_path)
    for number in (3, 4, 1, 2):  # the past is caught up later
        put(home, day=date(2026, 6, number), text=str(number))
    put(home, day=date(2026, 6, 5), text="5", keep=3)
    assert [text for _, text in kept_snapshots(home)] == ["3", "4", "5"]


def test_another_content_of_a_date_goes_before_another_day(tmp_path):
    home = Home(tmp_path)
    put(home, day=date(2026, 6, 1), text="first day")
    for number in range(3):
        manifest = put(home, day=date(2026, 6, 2), text=f"attempt {number}").snapshot.folder / "manifest.json"
        os.utime(manifest, (number, number))
    put(home, day=date(2026, 6, 3), text="third day", keep=4)
    assert [text for _, text in kept_snapshots(home)] == ["first day", "attempt 1", "attempt 2", "third day"]
    put(home, day=date(2026, 6, 4), text="fourth day", keep=4)
    assert [text for _, text in kept_snapshots(home)] == ["first day", "attempt 2", "third day", "fourth day"]


def test_a_folder_without_a_readable_manifest_goes_first(tmp_path):
    home = Home(tmp_path)
    put(home, day=date(2026, 6, 2), text="2")
    (put(home, day=date(2026, 6, 1), text="1").snapshot.folder / "manifest.json").write_text("[]")
    put(home, day=date(2026, 6, 3), text="3", keep=2)
    assert [text for _, text in kept_snapshots(home)] == ["2", "3"]


def test_a_reader_keeps_its_day_while_the_next_is_published(tmp_path):
    home = Home(tmp_path)
    put(home)
    reader = Snapshot.current(tmp_path)
    put(home, day=date(2026, 7, 1), text="new")
    assert reader.table_path("table").read_text() == "hello"


def test_nothing_published_says_what_to_run(tmp_path):
    with pytest.raises(PublishError, match="puntual run"):
        Snapshot.current(tmp_path)


def test_an_unreadable_manifest_is_an_error(tmp_path):
    home = Home(tmp_path)
    folder = put(home).snapshot.folder
    (folder / "manifest.json").write_text("{")
    with pytest.raises(PublishError, match=r"manifest\.json cannot be read"):
        Snapshot.current(tmp_path)


def test_two_runs_at_once_are_refused(tmp_path):
    from puntual.errors import PuntualError

    home = Home(tmp_path)
    with home.lock_file.open("w") as held_elsewhere:
        fcntl.flock(held_elsewhere, fcntl.LOCK_EX)
        with pytest.raises(PuntualError, match="Another run is working"), exclusive(home):
            pass
    with exclusive(home):
        pass


def test_another_place_changes_with_the_link_or_neither_does(tmp_path):
    from contextlib import contextmanager

    home = Home(tmp_path)
    seen = []

    @contextmanager
    def beside(name):
        seen.append((name[:10], home.current.exists()))
        yield
        seen.append(home.current.resolve().name == name)

    @contextmanager
    def refusing(name):
        raise PublishError("the server is gone")
        yield

    def fill(folder):
        (folder / "a.txt").write_text("a")
        return {"as_of_date": DAY.isoformat()}

    first = publish(home, DAY, fill, run_id="x", keep=7, together_with=beside)
    assert seen == [(DAY.isoformat(), False), True]
    later = date(2026, 7, 15)

    def fill_later(folder):
        (folder / "a.txt").write_text("b")
        return {"as_of_date": later.isoformat()}

    with pytest.raises(PublishError, match="server is gone"):
        publish(home, later, fill_later, run_id="y", keep=7, together_with=refusing)
    assert home.current.resolve() == first.snapshot.folder.resolve()
