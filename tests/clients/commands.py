"""Each command of the Python SDK that takes a durability level, each but the last of a pair on a
document of its own, and what readers find before and after all of them."""

import couchbase.subdocument as subdoc
from couchbase import exceptions
from couchbase.options import (
    AppendOptions,
    DecrementOptions,
    DeltaValue,
    GetOptions,
    IncrementOptions,
    InsertOptions,
    MutateInOptions,
    PrependOptions,
    RemoveOptions,
    ReplaceOptions,
    UpsertOptions,
)
from couchbase.transcoder import RawBinaryTranscoder

OLD, NEW = {"v": "old"}, {"v": "new"}
RAW = RawBinaryTranscoder()

BEFORE = {"upsert": "old", "insert": None, "replace": "old", "remove": "old", "part": "old"}
BEFORE |= {"made": None, "n": 10, "raw": b"b"}
AFTER = {"upsert": "new", "insert": "new", "replace": "new", "remove": None, "part": "new"}
AFTER |= {"made": "new", "n": 10, "raw": b"abc"}


def prepare(c, prefix):
    """Writes the documents that are to be there before, without durability."""
    for name in ("upsert", "replace", "remove", "part"):
        c.upsert(prefix + name, OLD)
    c.upsert(prefix + "raw", b"b", UpsertOptions(transcoder=RAW))
    c.upsert(prefix + "n", 10)


def commands(c, prefix, **how):
    binary, count = c.binary(), {"delta": DeltaValue(3), **how}
    x = subdoc.upsert("x.a", 1, xattr=True, create_parents=True)
    made = MutateInOptions(store_semantics=subdoc.StoreSemantics.UPSERT, **how)
    part = lambda key, specs, options: c.mutate_in(prefix + key, specs, options)
    return {
        "upsert": lambda: c.upsert(prefix + "upsert", NEW, UpsertOptions(**how)),
        "insert": lambda: c.insert(prefix + "insert", NEW, InsertOptions(**how)),
        "replace": lambda: c.replace(prefix + "replace", NEW, ReplaceOptions(**how)),
        "remove": lambda: c.remove(prefix + "remove", RemoveOptions(**how)),
        "change of parts": lambda: part(
            "part", [x, subdoc.replace("v", "new")], MutateInOptions(**how)
        ),
        "parts of nothing": lambda: part("made", [subdoc.upsert("v", "new")], made),
        "increment": lambda: binary.increment(prefix + "n", IncrementOptions(**count)),
        "append": lambda: binary.append(prefix + "raw", b"c", AppendOptions(**how)),
        "decrement": lambda: binary.decrement(prefix + "n", DecrementOptions(**count)),
        "prepend": lambda: binary.prepend(prefix + "raw", b"a", PrependOptions(**how)),
    }


def value(c, key, options=GetOptions()):
    """The document; `None` if there is none."""
    try:
        return c.get(key, options).value
    except exceptions.DocumentNotFoundException:
        return None


def values(c, prefix):
    """What a reader finds of all of them, as in `BEFORE` and `AFTER`."""
    found = {}
    for name in ("upsert", "insert", "replace", "remove", "part", "made"):
        found[name] = (value(c, prefix + name) or {}).get("v")
    found["n"] = value(c, prefix + "n")
    found["raw"] = value(c, prefix + "raw", GetOptions(transcoder=RAW))
    return found
