"""One head an experiment: who may take a lease over, and what its old holder can still do."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from db.errors import DatabaseUnavailable, LeaseLost
from db.sql import leases
from db.sql.engine import open_existing, translated
from db.sql.leases import Holder, Lease
from db.sql.reading import activity
from db.sql.store import Store
from db.sql.tables import HeadLease, table_of
from orchestrator import lease
from orchestrator.cluster.local import process_start
from orchestrator.errors import HeadAliveError, HeadwayError
from orchestrator.spec.experiment import Timing
from tests.db.sql.kinds import only
from tests.db.sql.samples import Sample

TIMING = Timing()


def put_lease(sample: Sample, holder: Holder, *, seconds: float) -> None:
    """Let `holder` have the lease, with so much time left."""
    store = sample.store
    with sample.engine.begin() as connection:
        old = leases.find(connection, store.experiment_id)
        leases.take(connection, store.experiment_id, holder=holder, old=old, seconds=seconds)


def acquire(sample: Sample) -> int:
    with sample.engine.begin() as connection:
        epoch, _ = lease.acquire(connection, sample.store.experiment_id, timing=TIMING)
    return epoch


def current(sample: Sample) -> Lease:
    with sample.engine.begin() as connection:
        found = leases.find(connection, sample.store.experiment_id)
    assert found is not None
    return found


@pytest.fixture
def sleeper() -> Iterator[Holder]:
    """Another process of this host that is alive."""
    process = subprocess.Popen(
        [sys.executable, "-S", "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE
    )
    start = process_start(process.pid)
    assert start is not None
    yield replace(lease.this_process(), pid=process.pid, process_started=start)
    process.communicate()


def test_a_dead_holder_on_this_host_is_taken_over_at_once(sample: Sample) -> None:
    process = subprocess.Popen([sys.executable, "-S", "-c", ""])
    dead = replace(
        lease.this_process(), pid=process.pid, process_started=process_start(process.pid) or 1
    )
    process.wait()
    put_lease(sample, dead, seconds=1000)
    epoch = current(sample).epoch
    assert acquire(sample) == epoch + 1
    assert current(sample).holder == lease.this_process()


def test_a_process_that_only_has_the_same_number_is_not_the_holder(
    sample: Sample, sleeper: Holder
) -> None:
    put_lease(sample, replace(sleeper, process_started=sleeper.process_started - 1), seconds=1000)
    assert acquire(sample) > 0


def test_a_holder_from_before_a_reboot_is_dead(sample: Sample, sleeper: Holder) -> None:
    put_lease(sample, replace(sleeper, boot_id="an earlier one"), seconds=1000)
    assert acquire(sample) > 0


def test_a_living_holder_on_this_host_is_refused(sample: Sample, sleeper: Holder) -> None:
    put_lease(sample, sleeper, seconds=1000)
    with pytest.raises(HeadAliveError, match=f"process {sleeper.pid} on ") as caught:
        acquire(sample)
    assert caught.value.exit_code == 5
    assert current(sample).holder == sleeper


def test_a_holder_on_another_host_is_waited_for(sample: Sample, sleeper: Holder) -> None:
    elsewhere = replace(sleeper, host="elsewhere", pid=os.getpid())
    put_lease(sample, elsewhere, seconds=1000)
    with pytest.raises(HeadAliveError, match=r"on elsewhere.*try again in (999|1000) s"):
        acquire(sample)
    put_lease(sample, elsewhere, seconds=-0.1)
    assert acquire(sample) == current(sample).epoch


def test_the_expiry_goes_by_the_clock_of_the_database(sample: Sample) -> None:
    column = table_of(HeadLease).c.expires_at
    put_lease(sample, lease.this_process(), seconds=30)
    with sample.engine.begin() as connection:
        left = connection.execute(sa.select(column)).scalar_one() - leases.database_time(connection)
    assert 28 < left.total_seconds() <= 30
    assert 28 < current(sample).seconds_left <= 30


def test_the_epoch_grows_with_every_holder(sample: Sample, sleeper: Holder) -> None:
    epochs = [current(sample).epoch]
    for _ in range(3):
        put_lease(sample, sleeper, seconds=-1)
        epochs.append(current(sample).epoch)
        epochs.append(acquire(sample))
        with sample.engine.begin() as connection:
            leases.release(connection, sample.store.experiment_id, epoch=epochs[-1])
    assert epochs == sorted(set(epochs))


def test_a_released_lease_is_free_at_once_and_keeps_its_epoch(sample: Sample) -> None:
    first = acquire_after_sample(sample)
    with sample.engine.begin() as connection:
        leases.release(connection, sample.store.experiment_id, epoch=first)
    found = current(sample)
    assert found.epoch == first
    assert found.seconds_left <= 0
    assert acquire(sample) == first + 1


def acquire_after_sample(sample: Sample) -> int:
    """Take the lease from the holder that the sample was stored with."""
    put_lease(sample, lease.this_process(), seconds=-1)
    return acquire(sample)


def test_a_head_that_lost_its_lease_writes_nothing_more(sample: Sample) -> None:
    late = sample.store
    epoch = acquire_after_sample(sample)
    with pytest.raises(LeaseLost, match="another head has taken experiment"):
        write_owner(late, "late")
    assert owner(sample) == "me@here"
    write_owner(Store(sample.engine, late.experiment_id, epoch), "new")
    assert owner(sample) == "new"


def write_owner(store: Store, text: str) -> None:
    with store.write() as connection:
        connection.execute(sa.text("UPDATE experiment SET owner = :text"), {"text": text})


def owner(sample: Sample) -> str:
    with sample.store.read() as connection:
        return str(connection.execute(sa.text("SELECT owner FROM experiment")).scalar_one())


def test_a_head_that_lost_its_lease_cannot_renew_or_release_it(sample: Sample) -> None:
    key, old = sample.store.experiment_id, sample.store.epoch
    epoch = acquire_after_sample(sample)
    with sample.engine.begin() as connection, pytest.raises(LeaseLost):
        leases.renew(connection, key, epoch=old, seconds=30)
    with sample.engine.begin() as connection:
        leases.release(connection, key, epoch=old)
    assert current(sample).epoch == epoch
    assert current(sample).seconds_left > 20


def test_renewing_puts_the_expiry_off(sample: Sample, tmp_path: Path) -> None:
    timing = Timing(lease_renew_seconds=0.001, lease_expire_seconds=500)
    renewal = lease.Renewal(
        sample.store, timing, lock=lease.HeadLock(tmp_path, timing, is_binding=False)
    )
    while current(sample).seconds_left < 400:
        renewal.renew()
    assert current(sample).epoch == sample.store.epoch


def told(sample: Sample) -> object:
    """What is on record of the head."""
    with sample.engine.begin() as connection:
        row = activity.lease(connection, sample.store.experiment_id)
    assert row is not None
    return row.vitals


def test_a_head_tells_of_itself_whenever_it_renews(sample: Sample, tmp_path: Path) -> None:
    timing = Timing(lease_renew_seconds=0.001, lease_expire_seconds=500)
    renewal = lease.Renewal(
        sample.store, timing, lock=lease.HeadLock(tmp_path, timing, is_binding=False)
    )
    assert told(sample) is None
    for vitals in ({"times": 1}, {"times": 2}):
        while told(sample) != vitals:
            renewal.renew(vitals.copy)
    assert acquire_after_sample(sample) > sample.store.epoch
    assert told(sample) is None, "another head is not the one that told it"


def test_what_a_head_told_last_is_kept_when_it_lets_go(sample: Sample) -> None:
    key, epoch = sample.store.experiment_id, sample.store.epoch
    with sample.engine.begin() as connection:
        leases.renew(connection, key, epoch=epoch, seconds=30, vitals={"times": 1})
        leases.renew(connection, key, epoch=epoch, seconds=30)
        leases.release(connection, key, epoch=epoch)
    assert told(sample) == {"times": 1}


def look(sample: Sample) -> lease.Hold | None:
    with sample.engine.begin() as connection:
        return lease.find_hold(connection, sample.store.experiment_id)


def test_a_head_that_cannot_be_seen_is_waited_for_until_its_lease_ends(
    sample: Sample, sleeper: Holder
) -> None:
    put_lease(sample, replace(sleeper, host="elsewhere"), seconds=2)
    told: list[str] = []
    lease.wait_until_free(lambda: look(sample), tell=told.append)
    (line,) = told
    assert f"process {sleeper.pid} on elsewhere" in line
    assert acquire(sample) > 0


def test_a_head_that_cannot_be_seen_and_renews_is_alive(sample: Sample, sleeper: Holder) -> None:
    elsewhere = replace(sleeper, host="elsewhere")
    put_lease(sample, elsewhere, seconds=1000)
    epoch = current(sample).epoch

    def renew(_: str) -> None:
        with sample.engine.begin() as connection:
            leases.renew(connection, sample.store.experiment_id, epoch=epoch, seconds=1000)

    with pytest.raises(HeadAliveError, match="on elsewhere"):
        lease.wait_until_free(lambda: look(sample), tell=renew)


def test_a_living_head_of_this_host_is_not_waited_for(sample: Sample, sleeper: Holder) -> None:
    put_lease(sample, sleeper, seconds=1000)
    told: list[str] = []
    with pytest.raises(HeadAliveError, match=f"process {sleeper.pid} on "):
        lease.wait_until_free(lambda: look(sample), tell=told.append)
    assert not told


def test_a_head_whose_commit_got_no_answer_takes_the_lease_again(sample: Sample) -> None:
    first = acquire_after_sample(sample)
    assert acquire(sample) == first + 1


def test_of_two_heads_that_start_at_once_without_any_lease_one_wins(
    sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    me = lease.this_process()
    # Each thread is a host of its own.
    monkeypatch.setattr(
        lease, "this_process", lambda: replace(me, host=f"login{threading.get_ident()}")
    )
    with sample.engine.begin() as connection:
        connection.execute(table_of(HeadLease).delete())
    both = threading.Barrier(2)

    def take(_: int) -> int | None:
        both.wait(30)
        try:
            with translated(), sample.engine.begin() as connection:
                if sample.engine.dialect.name != "sqlite":  # there the second one cannot look yet
                    both.wait(30)
                return lease.acquire(connection, sample.store.experiment_id, timing=TIMING)[0]
        except (LeaseLost, HeadAliveError, DatabaseUnavailable):  # MariaDB calls it a deadlock
            return None

    with ThreadPoolExecutor(2) as threads:
        assert sorted(map(str, threads.map(take, range(2)))) == ["1", "None"]


@only("postgres", "mysql")
def test_a_commit_that_is_still_under_way_is_waited_for(sample: Sample) -> None:
    """As after a connection that broke: the server may commit what it has got."""
    begun, done = threading.Event(), threading.Event()

    def commit_late() -> None:
        with sample.store.write() as connection:
            connection.execute(sa.text("UPDATE experiment SET owner = 'late'"))
            begun.set()
            time.sleep(2)
        done.set()

    with ThreadPoolExecutor(1) as threads:
        late = threads.submit(commit_late)
        assert begun.wait(30)
        sample.store.await_last_write()
        assert owner(sample) == "late"
        late.result()


@only("postgres")
def test_the_server_ends_a_head_that_stands_still_in_a_transaction(sample: Sample) -> None:
    frozen = open_existing(sample.engine.url.render_as_string(hide_password=False))
    store = Store(frozen, sample.store.experiment_id, sample.store.epoch)
    with pytest.raises(DatabaseUnavailable):
        stand_still(store, until=sample.store.await_last_write)
    frozen.dispose()


def stand_still(store: Store, *, until: Callable[[], None]) -> None:
    """Begin a transaction that holds the lease, and do nothing in it until something is so."""
    limits = "idle_in_transaction_session_timeout", "lock_timeout", "statement_timeout"
    with store.write() as connection:
        found = [connection.exec_driver_sql(f"SHOW {name}").scalar_one() for name in limits]
        assert found == ["1min", "20s", "10min"]
        connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = '1s'")
        until()  # the lease is free, although this connection is still open
        connection.exec_driver_sql("SELECT 1")


@only("sqlite")
def test_a_head_whose_file_was_moved_stops_and_makes_no_new_one(
    sample: Sample, tmp_path: Path
) -> None:
    timing = Timing(lease_renew_seconds=0.001)
    lock = lease.HeadLock(tmp_path, timing, is_binding=False)
    renewal = lease.Renewal(sample.store, timing, lock=lock)
    file = tmp_path / "database.db"
    file.rename(tmp_path / "elsewhere.db")
    with pytest.raises(HeadwayError, match=r"database\.db is not the file any more"):
        renewal.check_file()
    sample.engine.dispose()
    with pytest.raises(DatabaseUnavailable, match="is not there any more"), sample.store.read():
        pass
    assert not file.exists()
    (tmp_path / "elsewhere.db").rename(file)
    renewal.check_file()
