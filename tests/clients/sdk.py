"""The official Python SDK against one kvnode. Arguments: the port, and the command that changes its
collections, of which shop.orders and shop.short (100 s) are there. Ends with 1 if a case failed."""

import subprocess
import sys
import time
from datetime import timedelta

import couchbase.subdocument as subdoc
from couchbase.auth import PasswordAuthenticator
from couchbase.cluster import Cluster
from couchbase.diagnostics import ServiceType
from couchbase import exceptions
from couchbase.kv_range_scan import PrefixScan, RangeScan, SamplingScan, ScanTerm
from couchbase.options import (
    ClusterOptions,
    ClusterTimeoutOptions,
    DecrementOptions,
    DeltaValue,
    GetOptions,
    IncrementOptions,
    MutateInOptions,
    RemoveOptions,
    ReplaceOptions,
    SignedInt64,
    UpsertOptions,
)
from couchbase.transcoder import RawBinaryTranscoder

DOCUMENT = {"a": 1, "list": [1, 2], "count": 1}
FAILED = []


def case(name, act, expected=None):
    """Runs one case: what it returns is what is expected, or the exception is."""
    is_error = isinstance(expected, (type, tuple))
    is_check = callable(expected) and not is_error
    try:
        found = act()
        good = expected(found) if is_check else expected is None or found == expected
    except Exception as error:
        found = error
        good = is_error and isinstance(error, expected)
    print("ok  " if good else "FAIL", name, "" if good else repr(found)[:300])
    if not good:
        FAILED.append(name)


def options(user="Administrator", password="password"):
    return ClusterOptions(
        PasswordAuthenticator(user, password),
        timeout_options=ClusterTimeoutOptions(
            bootstrap_timeout=timedelta(seconds=20), kv_timeout=timedelta(seconds=10)
        ),
    )


def documents(c):
    case("upsert", lambda: c.upsert("d", DOCUMENT))
    case("get", lambda: c.get("d").content_as[dict], DOCUMENT)
    case("insert", lambda: c.insert("new", DOCUMENT))
    case("insert of what exists", lambda: c.insert("d", {}), exceptions.DocumentExistsException)
    case("replace", lambda: c.replace("d", DOCUMENT, ReplaceOptions(cas=c.get("d").cas)))
    case(
        "replace with another CAS",
        lambda: c.replace("d", {}, ReplaceOptions(cas=12345)),
        exceptions.CasMismatchException,
    )
    case("get of nothing", lambda: c.get("none"), exceptions.DocumentNotFoundException)
    case("exists", lambda: (c.exists("d").exists, c.exists("none").exists), (True, False))
    case("remove", lambda: c.remove("new"))
    case("remove of nothing", lambda: c.remove("new"), exceptions.DocumentNotFoundException)
    case(
        "remove with another CAS",
        lambda: c.remove("d", RemoveOptions(cas=12345)),
        exceptions.CasMismatchException,
    )
    case("many", lambda: c.upsert_multi({f"m{i}": {"i": i} for i in range(200)}).all_ok, True)
    case("get of many", lambda: c.get_multi([f"m{i}" for i in range(200)]).all_ok, True)
    big = {"x": "y" * (1 << 20)}
    case("a large one", lambda: c.upsert("big", big))
    case("get of a large one", lambda: c.get("big").content_as[dict], big)
    case("a replica or the active", lambda: c.get_any_replica("d").content_as[dict], DOCUMENT)
    case("all replicas", lambda: len(list(c.get_all_replicas("d"))), 1)


def expiry(c):
    hour = timedelta(hours=1)
    near = lambda at: abs(at.timestamp() - time.time() - 3600) < 60
    with_expiry = lambda: c.get("e", GetOptions(with_expiry=True)).expiry_time
    case("upsert with an expiry", lambda: c.upsert("e", DOCUMENT, UpsertOptions(expiry=hour)))
    case("get with the expiry", with_expiry, near)
    case(
        "an expiry that is kept",
        lambda: c.upsert("e", DOCUMENT, UpsertOptions(preserve_expiry=True)) and near(with_expiry()),
        True,
    )
    case("an expiry that is not kept", lambda: c.upsert("e", {}) and with_expiry(), lambda at: at is None)
    case("touch", lambda: c.touch("e", hour) and near(with_expiry()), True)
    case("get and touch", lambda: c.get_and_touch("e", hour).content_as[dict], {})
    case("get of parts", lambda: c.get("d", GetOptions(project=["a"])).content_as[dict], {"a": 1})


def locks(c):
    held = c.get_and_lock("d", timedelta(seconds=15))
    case("a locked document is read", lambda: c.get("d").content_as[dict], DOCUMENT)
    case(
        "a wrong unlock",
        lambda: c.unlock("d", 12345),
        exceptions.CouchbaseException,
    )
    case("unlock", lambda: c.unlock("d", held.cas))
    case(
        "unlock of what is not locked",
        lambda: c.unlock("d", held.cas),
        exceptions.DocumentNotLockedException,
    )
    held = c.get_and_lock("d", timedelta(seconds=15))
    case("the owner of a lock writes", lambda: c.replace("d", DOCUMENT, ReplaceOptions(cas=held.cas)))
    case("and it ends", lambda: c.upsert("d", DOCUMENT))


def bytes_and_counters(c):
    raw = RawBinaryTranscoder()
    case("bytes", lambda: c.upsert("raw", b"abc", UpsertOptions(transcoder=raw)))
    case("append", lambda: c.binary().append("raw", b"def"))
    case("prepend", lambda: c.binary().prepend("raw", b"000"))
    case("get of bytes", lambda: c.get("raw", GetOptions(transcoder=raw)).content_as[bytes], b"000abcdef")
    count = IncrementOptions(delta=DeltaValue(3), initial=SignedInt64(10))
    case("a new counter", lambda: c.binary().increment("n", count).content, 10)
    case("a counter", lambda: c.binary().increment("n", count).content, 13)
    down = DecrementOptions(delta=DeltaValue(1))
    case("a counter down", lambda: c.binary().decrement("n", down).content, 12)
    case("a counter of text", lambda: c.binary().increment("raw", count), exceptions.CouchbaseException)


def parts(c):
    look = lambda *specs: c.lookup_in("d", list(specs))
    case("lookup", lambda: look(subdoc.get("a"), subdoc.exists("list"), subdoc.count("list")).content_as[int](2), 2)
    case("exists of nothing", lambda: look(subdoc.exists("none")).exists(0), False)
    case(
        "get of nothing",
        lambda: look(subdoc.get("none")).content_as[int](0),
        exceptions.PathNotFoundException,
    )
    change = [subdoc.upsert("b", 5), subdoc.array_append("list", 3), subdoc.increment("count", 2)]
    case("changes", lambda: c.mutate_in("d", change))
    case(
        "after them",
        lambda: c.get("d").content_as[dict],
        {"a": 1, "list": [1, 2, 3], "count": 3, "b": 5},
    )
    case(
        "insert of what is there",
        lambda: c.mutate_in("d", [subdoc.insert("a", 1)]),
        exceptions.PathExistsException,
    )
    case("an attribute", lambda: c.mutate_in("d", [subdoc.upsert("meta.x", 5, xattr=True, create_parents=True)]))
    case("of it", lambda: look(subdoc.get("meta.x", xattr=True)).content_as[int](0), 5)
    case("a virtual attribute", lambda: look(subdoc.get("$document.exptime", xattr=True)).content_as[int](0), 0)
    upsert = MutateInOptions(store_semantics=subdoc.StoreSemantics.UPSERT)
    case("a change that makes a document", lambda: c.mutate_in("made", [subdoc.upsert("k", 1)], upsert))
    case("of it", lambda: c.get("made").content_as[dict], {"k": 1})
    case("a lookup anywhere", lambda: c.lookup_in_any_replica("d", [subdoc.get("b")]).content_as[int](0), 5)
    case("removals", lambda: c.mutate_in("d", [subdoc.remove("b"), subdoc.array_addunique("list", 9)]))


def scans(c):
    ids = lambda scan: sorted(it.id for it in c.scan(scan))
    many = sorted(f"m{i}" for i in range(200))
    case("a scan of a prefix", lambda: ids(PrefixScan("m")), many + ["made"])
    case("a scan of a range", lambda: ids(RangeScan(ScanTerm("m10"), ScanTerm("m12", True))), [
        it for it in many if "m10" <= it < "m12"
    ])
    case("a scan of all", lambda: set(many) <= set(ids(RangeScan())), True)
    case("a sample", lambda: len(ids(SamplingScan(10))), 10)


def collections(bucket):
    """The collections themselves: the documents in them are those of the other cases."""
    change = lambda *how: subprocess.run([*sys.argv[2:], *how], check=True, stdout=subprocess.DEVNULL)
    default = bucket.default_collection()
    orders, short = (bucket.scope("shop").collection(it) for it in ("orders", "short"))
    ids = lambda c: [it.id for it in c.scan(PrefixScan("same"))]
    case("a key in three collections", lambda: [c.upsert("same", {"n": n}) for n, c in enumerate((default, orders, short))])
    case("each has its own", lambda: [c.get("same").content_as[dict]["n"] for c in (default, orders, short)], [0, 1, 2])
    case("a scan of each", lambda: [ids(c) for c in (default, orders, short)], [["same"]] * 3)
    expires = lambda: short.get("same", GetOptions(with_expiry=True)).expiry_time
    case("the expiry of a collection", expires, lambda at: abs(at.timestamp() - time.time() - 100) < 60)
    case("removed from one", lambda: (orders.remove("same"), default.exists("same").exists)[1], True)
    short_wait = GetOptions(timeout=timedelta(seconds=1))
    none = bucket.scope("none").collection("orders")
    case("an unknown scope", lambda: none.get("same", short_wait), exceptions.ScopeNotFoundException)
    # The SDK asks again until its time is over: the collection may be new.
    none = bucket.scope("shop").collection("none")
    unknown = (exceptions.CollectionNotFoundException, exceptions.UnAmbiguousTimeoutException)
    case("an unknown collection", lambda: none.get("same", short_wait), unknown)
    case("write before the drop", lambda: orders.upsert("same", {}))
    case("drop", lambda: change("--drop", "shop.orders"))
    case("a dropped collection", lambda: orders.get("same", short_wait), unknown)
    case("create it again", lambda: change("--create", "shop.orders"))
    case("its documents are gone", lambda: orders.get("same"), exceptions.DocumentNotFoundException)
    case("it is written", lambda: orders.upsert("same", {}))


def main():
    cluster = Cluster.connect(f"couchbase://127.0.0.1:{sys.argv[1]}", options())
    bucket = cluster.bucket("default")
    for scope, name in (("_default", "_default"), ("shop", "orders")):
        print("in", scope, name)
        collection = bucket.scope(scope).collection(name)
        for group in (documents, expiry, locks, bytes_and_counters, parts, scans):
            group(collection)
    collections(bucket)
    case("ping", lambda: [it.state.value for it in bucket.ping().endpoints[ServiceType.KeyValue]], ["ok"])
    wrong = ClusterOptions(PasswordAuthenticator("Administrator", "wrong"))
    case(
        "a wrong password",
        lambda: Cluster.connect(f"couchbase://127.0.0.1:{sys.argv[1]}", wrong),
        exceptions.AuthenticationException,
    )
    cluster.close()
    return 1 if FAILED else 0


if __name__ == "__main__":
    sys.exit(main())
