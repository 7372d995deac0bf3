"""Which hosts the jobs of attempts avoid by now, on every database system."""

from __future__ import annotations

from db.sql import attempts
from tests.db.sql.samples import Sample


def test_other_hosts_to_avoid_take_the_place_of_those_before(sample: Sample) -> None:
    first, second, third = sample.attempt_ids
    for hosts in (["node1", "node2"], ["node3"], []):
        with sample.store.write() as connection:
            noted = attempts.note_exclusions(connection, [first, third], hosts)
            assert noted == {key: {"cpus": 1, "exclude": hosts} for key in (first, third)}
            assert attempts.requested(connection, first) == noted[first]
            assert attempts.requested(connection, third) == noted[third]
            assert attempts.requested(connection, second) == {"cpus": 1}


def test_nothing_to_note_is_no_error(sample: Sample) -> None:
    with sample.store.write() as connection:
        assert attempts.note_exclusions(connection, [], ["node1"]) == {}
        assert attempts.note_exclusions(connection, [999_999], ["node1"]) == {}
