"""What Slurm can never run is refused before anything is made, as far as it tells what there is."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.app.heads import make_cluster
from orchestrator.cluster.gpus import most_gpus, read_gpus
from orchestrator.errors import UsageError
from tests.scheduler.test_fakes import Site, site
from tests.steps.specs import make_spec

__all__ = ["site"]

HOSTS = """node1|alpha*|4096|8|idle|infinite|n/a
node2|alpha*|16384|2|down*|infinite|n/a
node1|short|4096|8|idle|1:00:00|30:00
node2|short|16384|2|down*|1:00:00|30:00
"""
GPUS = """node1|alpha*|gpu:2
node2|alpha*|gpu:a100:4(S:0-1),mps:400
node1|short|gpu:2
node2|short|gpu:a100:4(S:0-1),mps:400
"""
PARTITIONS = """PartitionName=alpha Default=YES MaxNodes=UNLIMITED MaxTime=UNLIMITED State=UP
PartitionName=short Default=NO MaxNodes=1 MaxTime=01:00:00 State=UP
PartitionName=long Default=NO MaxNodes=4 MaxTime=2-00:00:00 State=UP
"""
CONFIG = """ClusterName = c
AccountingStorageEnforce = associations,limits,qos
AccountingStorageType = accounting_storage/slurmdbd
JobSubmitPlugins = (null)
"""
FLAGS = "normal|\nlong|PartitionTimeLimit,PartitionMaxNodes\n"
ASSOCIATIONS = """biology|root||normal,long|normal||||
chemistry|root|short|normal|normal||||
"""


@pytest.fixture(autouse=True)
def _site(site: Site) -> None:
    answers(site)


def answers(site: Site, *, config: str = CONFIG) -> None:
    """Let Slurm tell what there is."""
    formats = {"%R": "alpha\nshort\nlong\n", "%N|%P|%G": GPUS}
    cases = "".join(f"*'{each}') cat <<'END'\n{text}END\n;;\n" for each, text in formats.items())
    site.command("sinfo", f"case \"$*\" in {cases}*) cat <<'END'\n{HOSTS}END\n;; esac")
    texts = f"*config*) cat <<'END'\n{config}END\n;; *) cat <<'END'\n{PARTITIONS}END\n;;"
    site.command("scontrol", f'case "$*" in {texts} esac')
    tables = f"*'show qos'*) cat <<'END'\n{FLAGS}END\n;; *) cat <<'END'\n{ASSOCIATIONS}END\n;;"
    site.command("sacctmgr", f'case "$*" in {tables} esac')


def refused(**changes: Any) -> str:
    """Return what is said of a request; empty: it may be tried."""
    minutes = changes.get("minutes")
    values = {"worker_timeout_seconds": minutes * 60 - 120} if minutes else {}
    site = changes.pop("site", {})
    try:
        make_cluster(make_spec(resources=changes, site=site, **values))
    except UsageError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (
            {"partition": "short", "minutes": 90, "qos": "normal"},
            (
                "--worker_timeout: 88 min for a trial make 90 min for its job, and partition short "
                "gives 60 min at most; 58 would fit. Partitions that give more: alpha (no limit), "
                "long (2880 min)."
            ),
        ),
        (
            {"memory_mb": 20480},
            "--mem_gb: 20 asked for, and no host of the default partition gives a job more than 16.",
        ),
        (
            {"partition": "alpha", "cpus": 16},
            "--cpus_per_task: 16 asked for, and no host of partition alpha has more than 8.",
        ),
        ({"gpus": 5}, "--gpus: 5 asked for, and no host of the default partition has more than 4."),
        (
            {"gpus": 3, "site": {"gpu_type": "h100"}},
            (
                "--gpus: 3 of type h100 asked for, and no host of the default partition has more than "
                "2."
            ),
        ),
        ({"nodes": 3}, "--nodes_per_job: 3 asked for, and the default partition has 2 hosts."),
        (
            {"nodes": 2, "exclude": ["node2"]},
            "--nodes_per_job: 2 asked for, and the default partition has 1 host left.",
        ),
        (
            {"nodes": 2, "partition": "short", "qos": "normal"},
            "--nodes_per_job: 2 asked for, and partition short gives 1.",
        ),
        (
            {"memory_mb": 8192, "cpus": 4, "gpus": 1},
            (
                "--cpus_per_task, --mem_gb, --gpus: no host of the default partition has 4 CPUs and "
                "8 GB and 1 GPU together."
            ),
        ),
        (
            {"account": "biologie"},
            (
                "--account: you may not use 'biologie' here (but biology, chemistry). Did you mean "
                "biology?"
            ),
        ),
        (
            {"account": "chemistry", "partition": "alpha"},
            "--account: 'chemistry' is for other partitions (short), not partition alpha.",
        ),
        (
            {"qos": "lang"},
            "--qos: you may not use 'lang' here (but long, normal). Did you mean long?",
        ),
        (
            {"qos": "long", "account": "chemistry", "partition": "short"},
            "--qos: you may not use 'long' here with account chemistry (but normal).",
        ),
    ],
)
def test_what_is_nowhere_to_be_had_is_refused(asked: dict[str, Any], says: str) -> None:
    assert refused(**asked) == says


@pytest.mark.parametrize(
    "asked",
    [
        {"minutes": 90},
        {"partition": "short", "minutes": 60},
        {"partition": "short,alpha", "minutes": 90},
        {"memory_mb": 16384, "cpus": 2, "gpus": 4},
        {"gpus": 4, "site": {"gpu_type": "a100"}},
        {"nodes": 2, "memory_mb": 4096},
        {"account": "Biology", "qos": "long"},
        {"account": "chemistry", "partition": "alpha,short"},
        {"memory_mb": 20480, "site": {"omit": ["mem"]}},
        {"gpus": 5, "site": {"omit": ["gpus-per-node"]}},
        # A QOS lets jobs pass the limits of partitions; one of them may be the default.
        {"partition": "short", "minutes": 90, "qos": "long"},
        {"partition": "short", "minutes": 90},
        {"partition": "short", "nodes": 2, "qos": "Long"},
        # They go to the partition of the reservation.
        {"memory_mb": 20480, "reservation": "mine"},
    ],
)
def test_what_some_host_could_give_may_be_tried_also_if_it_is_down_now(
    asked: dict[str, Any],
) -> None:
    assert refused(**asked) == ""


@pytest.mark.parametrize("plugins", ["lua", "all_partitions", None])
def test_where_a_plugin_may_choose_the_partition_only_a_named_one_counts(
    site: Site, plugins: str | None
) -> None:
    line = f"JobSubmitPlugins = {plugins}\n" if plugins else ""
    answers(site, config=CONFIG.replace("JobSubmitPlugins = (null)\n", line))
    assert refused(memory_mb=20480) == ""
    assert "--mem_gb" in refused(memory_mb=20480, partition="alpha")


def test_a_time_is_refused_only_where_it_is_known_what_may_lift_its_limit(site: Site) -> None:
    site.fails("sacctmgr", "Unable to contact slurmdbd")
    assert refused(partition="short", minutes=90) == ""
    answers(site, config=CONFIG.replace("slurmdbd", "none"))
    assert "--worker_timeout" in refused(partition="short", minutes=90)


def test_a_search_that_goes_on_is_not_refused() -> None:
    make_cluster(make_spec(resources={"memory_mb": 20480}), is_new=False)


def test_an_account_is_left_to_sbatch_where_slurm_enforces_none(site: Site) -> None:
    answers(site, config="ClusterName = c\nAccountingStorageEnforce = none\n")
    assert refused(account="anything", qos="anything") == ""
    answers(site, config="ClusterName = c\nAccountingStorageEnforce = associations\n")
    assert refused(qos="anything") == ""
    assert "--account" in refused(account="anything")


@pytest.mark.parametrize("command", ["sacctmgr", "scontrol"])
def test_what_slurm_does_not_tell_is_left_to_sbatch(site: Site, command: str) -> None:
    site.fails(command, "Unable to contact")
    assert refused(account="anything", qos="anything", partition="short") == ""


def test_only_what_is_needed_is_asked_for(site: Site) -> None:
    assert refused(partition="short", minutes=30) == ""
    assert [line.split()[0] for line in site.calls()] == ["sinfo", "sinfo", "scontrol"]


def test_gpus_are_read_among_other_words() -> None:
    hosts = read_gpus(
        "n1|p|gpu:a100:2(S:0,1),gpu:h100:1,license:9\nn2|p|(null)\nbad\nn3|q|gpu:9\n", "p"
    )
    assert hosts == {"n1": {"a100": 2, "h100": 1}, "n2": {}}
    assert read_gpus("n1|p|gpu,shard:8\nn2|p|gpu:a100\n", "p") == {"n1": {"": 1}, "n2": {"a100": 1}}
    assert (most_gpus(hosts, None), most_gpus(hosts, "h100"), most_gpus({}, None)) == (3, 1, 0)
