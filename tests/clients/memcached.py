"""python-binary-memcached and pylibmc against one kvnode that selects the bucket with the user's name.
Arguments: the port. Ends with 1 if a case failed."""

import sys

import bmemcached
import pylibmc

FAILED = []


def case(name, act, expected):
    try:
        found = act()
    except Exception as error:
        found = error
    good = found == expected
    print("ok  " if good else "FAIL", name, "" if good else repr(found)[:300])
    if not good:
        FAILED.append(name)


def binary_memcached(address):
    c = bmemcached.Client((address,), "default", "password")
    case("bmemcached set", lambda: c.set("b1", "v1"), True)
    case("bmemcached get", lambda: c.get("b1"), "v1")
    case("bmemcached add of what exists", lambda: c.add("b1", "x"), False)
    case("bmemcached replace", lambda: c.replace("b1", "v2"), True)
    case("bmemcached cas", lambda: c.cas("b1", "v3", c.gets("b1")[1]), True)
    case("bmemcached delete", lambda: c.delete("b1"), True)
    case("bmemcached get of nothing", lambda: c.get("b1"), None)
    case("bmemcached incr", lambda: c.incr("bc", 2, default=5), 5)
    case("bmemcached decr", lambda: c.decr("bc", 1), 4)
    many = {f"x{i}": str(i) for i in range(50)}
    case("bmemcached set_multi", lambda: c.set_multi(many), [])
    case("bmemcached get_multi", lambda: c.get_multi(list(many)), many)
    case("bmemcached delete_multi", lambda: c.delete_multi(["x1", "x2"]), True)
    case("bmemcached large", lambda: c.set("bb", "y" * 500_000) and len(c.get("bb")), 500_000)
    case("bmemcached stats", lambda: len(list(c.stats().values())[0]) > 20, True)


def libmemcached(address):
    c = pylibmc.Client(
        [address],
        binary=True,
        username="default",
        password="password",
        behaviors={"tcp_nodelay": True, "cas": True},
    )
    case("pylibmc set", lambda: c.set("l1", "v1"), True)
    case("pylibmc get", lambda: c.get("l1"), "v1")
    case("pylibmc cas", lambda: c.cas("l1", "v2", c.gets("l1")[1]), True)
    case("pylibmc add of what exists", lambda: c.add("l1", "x"), False)
    case("pylibmc replace", lambda: c.replace("l1", "v3"), True)
    case("pylibmc append", lambda: c.append("l1", "z"), True)
    case("pylibmc prepend", lambda: c.prepend("l1", "a"), True)
    case("pylibmc get after them", lambda: c.get("l1"), "av3z")
    case("pylibmc incr", lambda: c.set("lc", "5") and c.incr("lc", 2), 7)
    case("pylibmc decr", lambda: c.decr("lc", 1), 6)
    many = {f"y{i}": str(i) for i in range(100)}
    case("pylibmc set_multi", lambda: c.set_multi(many), [])
    case("pylibmc get_multi", lambda: c.get_multi(list(many)), many)
    case("pylibmc delete", lambda: c.delete("l1"), True)
    case("pylibmc get of nothing", lambda: c.get("l1"), None)
    case("pylibmc touch", lambda: c.touch("lc", 100), True)
    case("pylibmc large", lambda: c.set("lb", "q" * 800_000) and len(c.get("lb")), 800_000)
    case("pylibmc stats", lambda: len(c.get_stats()[0][1]) > 20, True)


def main():
    address = f"127.0.0.1:{sys.argv[1]}"
    binary_memcached(address)
    libmemcached(address)
    return 1 if FAILED else 0


if __name__ == "__main__":
    sys.exit(main())
