"""Durable writes of the official Python SDK against a node with two replicas. Arguments: its
address, user and password, a name in CASES, and the processes of the replicas' sidecars. Ends with
1 if a case failed."""

import os
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from couchbase import exceptions
from couchbase.cluster import Cluster
from couchbase.durability import (
    ClientDurability,
    DurabilityLevel,
    PersistToExtended,
    ReplicateTo,
    ServerDurability,
)
from couchbase.options import (
    GetOptions,
    InsertOptions,
    RemoveOptions,
    ReplaceOptions,
    UpsertOptions,
)

from commands import AFTER, BEFORE, NEW, OLD, commands, prepare, value, values
from sdk import FAILED, case, options

LEVELS = (
    DurabilityLevel.MAJORITY,
    DurabilityLevel.MAJORITY_AND_PERSIST_TO_ACTIVE,
    DurabilityLevel.PERSIST_TO_MAJORITY,
)
MAJORITY = ServerDurability(DurabilityLevel.MAJORITY)
TIMEOUTS = (exceptions.AmbiguousTimeoutException, exceptions.UnAmbiguousTimeoutException)
PATIENCE = 60
# The SDK tells the node nine tenths of it: the tenth is for a busy machine.
SHORT = timedelta(seconds=10)
LONG = timedelta(seconds=60)
SECOND = timedelta(seconds=1)


def until(what, look):
    """Calls `look` until what it returns is true."""
    deadline = time.monotonic() + PATIENCE
    while not look():
        assert time.monotonic() < deadline, f"not in time: {what}"


def each_level(c, prefix, expected=None):
    """Each command at each level: it has its effect, or fails as expected and has none."""
    for level in LEVELS:
        at = f"{prefix}-{level.name}-"
        prepare(c, at)
        for name, act in commands(c, at, durability=ServerDurability(level)).items():
            case(f"{name} at {level.name}", act, expected)
        after = BEFORE if expected else AFTER
        case(f"after them at {level.name}", lambda: values(c, at), after)


def alone(both, _):
    """One copy is the majority of one. By its map the cluster has no replica."""
    for c in both:
        each_level(c, "alone")
    c = both[0]
    # Nine tenths of it are 65,535 ms, which is reserved; of longer ones the SDK sends 16 bits.
    never = UpsertOptions(durability=MAJORITY, timeout=timedelta(milliseconds=72_817))
    refused = exceptions.DurabilityInvalidLevelException
    case("a timeout that is none", lambda: c.upsert("k", NEW, never), refused)
    observed = UpsertOptions(durability=ClientDurability(ReplicateTo.ONE))
    refused = exceptions.DurabilityImpossibleException
    case("replicas that the map has not", lambda: c.upsert("k", NEW, observed), refused)


def impossible(both, _):
    for c in both:
        each_level(c, "impossible", exceptions.DurabilityImpossibleException)


def refusals(c, durability):
    """What is refused without durability is refused with it."""
    key, how = "levels-MAJORITY-upsert", {"durability": durability}
    for name, act, expected in (
        (
            "insert of what exists",
            lambda: c.insert(key, NEW, InsertOptions(**how)),
            exceptions.DocumentExistsException,
        ),
        (
            "replace with another CAS",
            lambda: c.replace(key, NEW, ReplaceOptions(cas=12345, **how)),
            exceptions.CasMismatchException,
        ),
        (
            "remove of nothing",
            lambda: c.remove("none", RemoveOptions(**how)),
            exceptions.DocumentNotFoundException,
        ),
    ):
        case(name, act, expected)


def levels(both, _):
    """All copies are there."""
    for c in both:
        each_level(c, "levels")
        for durability in map(ServerDurability, LEVELS):
            refusals(c, durability)
            hour = UpsertOptions(expiry=timedelta(hours=1), durability=durability)
            case("upsert with an expiry", lambda: c.upsert("e", NEW, hour))
            kept = UpsertOptions(preserve_expiry=True, durability=durability)
            case("an expiry that is kept", lambda: c.upsert("e", NEW, kept))
            expiry = lambda: c.get("e", GetOptions(with_expiry=True)).expiry_time
            case("it is there", expiry, lambda at: at is not None)
            many = {f"m{i}": {"i": i} for i in range(300)}
            how = UpsertOptions(durability=durability)
            case("many", lambda: c.upsert_multi(many, how).all_ok, True)
        for key, content in (("levels-MAJORITY-insert", NEW), ("m7", {"i": 7})):
            copies = lambda: [it.content_as[dict] for it in c.get_all_replicas(key)]
            until("all copies have it", lambda: copies() == [content] * 3)
            case(f"{key} on any copy", lambda: c.get_any_replica(key).content_as[dict], content)
        persisted = ClientDurability(ReplicateTo.TWO, PersistToExtended.TWO)
        observed = UpsertOptions(durability=persisted)
        case("observed on two replicas", lambda: c.upsert("observed", NEW, observed))


def freeze(process):
    os.kill(int(process), signal.SIGSTOP)
    state = lambda: open(f"/proc/{process}/stat").read().rpartition(")")[2].split()[0]
    until("it is frozen", lambda: state() == "T")


def thaw(sidecars):
    for process in sidecars:
        os.kill(int(process), signal.SIGCONT)


def is_refused(reason, act):
    """The SDK asks again until its time is over, and then says why."""
    try:
        act(SECOND)
        return False
    except TIMEOUTS as error:
        assert f"key_value_sync_write_{reason}" in error.context.retry_reasons, error
        return True


def given_up(c):
    """All at once: they are given up at about the same time."""
    with ThreadPoolExecutor(32) as threads:
        tried = []
        for level in LEVELS:
            at = f"frozen-{level.name}-"
            prepare(c, at)
            how = {"durability": ServerDurability(level), "timeout": SHORT}
            for name, act in commands(c, at, **how).items():
                # Of two commands on one document the second one would wait for the first.
                if name not in ("decrement", "prepend"):
                    tried.append((f"{name} at {level.name}, given up", threads.submit(act)))
        for name, act in tried:
            case(name, act.result, exceptions.DurabilitySyncWriteAmbiguousException)
    for level in LEVELS:
        case("after them", lambda: values(c, f"frozen-{level.name}-"), BEFORE)
        case("a write after them", lambda: c.upsert(f"frozen-{level.name}-upsert", NEW))


def undecided(c, key, threads):
    """A durable write that waits for replicas, as what its thread returns."""
    c.upsert(key, OLD)
    how = UpsertOptions(durability=MAJORITY, timeout=LONG)
    durable = threads.submit(lambda: c.upsert(key, NEW, how))
    plain = lambda timeout: c.upsert(key, OLD, UpsertOptions(timeout=timeout))
    until("a plain write is refused", lambda: is_refused("in_progress", plain))
    case("a read before it is decided", lambda: value(c, key), OLD)
    return durable


def frozen(both, sidecars):
    freeze(sidecars[1])
    for c in both:
        each_level(c, "one-frozen")
    freeze(sidecars[0])
    for c in both:
        given_up(c)
    with ThreadPoolExecutor(4) as threads:
        c = both[0]
        durable = undecided(c, "waits", threads)
        last = {"v": "last"}
        plain = threads.submit(lambda: c.upsert("waits", last, UpsertOptions(timeout=LONG)))
        thaw(sidecars)
        case("it is committed when replicas are back", durable.result)
        case("the plain write was after it", lambda: plain.result() and value(c, "waits"), last)
    for c in both:
        each_level(c, "thawed")


def leave(both, sidecars):
    """Leaves durable writes undecided, with frozen sidecars."""
    list(map(freeze, sidecars))
    threads = ThreadPoolExecutor(4)
    for c in both:
        undecided(c, "left", threads)
    sys.stdout.flush()
    # An orderly end would wait for their threads.
    os._exit(1 if FAILED else 0)


def recommit(both, sidecars):
    """The node has restarted meanwhile: nobody may see what was before, and nothing is given up."""
    for c in both:
        read = lambda timeout: c.get("left", GetOptions(timeout=timeout))
        case("a read is refused", lambda: is_refused("re_commit_in_progress", read), True)
        plain = lambda timeout: c.upsert("left", OLD, UpsertOptions(timeout=timeout))
        case("a write is refused", lambda: is_refused("in_progress", plain), True)
    thaw(sidecars)
    for c in both:
        case("a read waits", lambda: c.get("left", GetOptions(timeout=LONG)).content_as[dict], NEW)


CASES = {
    "alone": alone,
    "impossible": impossible,
    "levels": levels,
    "frozen": frozen,
    "leave": leave,
    "recommit": recommit,
}


def main():
    address, user, password, name, *sidecars = sys.argv[1:]
    cluster = Cluster.connect(f"couchbase://{address}", options(user, password))
    bucket = cluster.bucket("default")
    CASES[name]((bucket.default_collection(), bucket.scope("shop").collection("orders")), sidecars)
    cluster.close()
    return 1 if FAILED else 0


if __name__ == "__main__":
    sys.exit(main())
