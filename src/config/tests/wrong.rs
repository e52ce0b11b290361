//! Wrong values: what is said about each, with line, key and remedy.

use super::*;

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn each_wrong_value_is_named_with_line_key_and_remedy() {
    let table = [
        (
            "0-511,600",
            "0-2000",
            19,
            "bucket \"default\": replicate.alpha: vbucket 2000 is out of range: give 0 to \
             1023",
        ),
        (
            "512-599",
            "511-599",
            17,
            "bucket \"default\": replicate: vb:511 is wanted from both alpha and gamma: give it \
             to one of them",
        ),
        (
            "gamma = \"512-599\"",
            "delta = \"512-599\"",
            19,
            "bucket \"default\": replicate.delta: unknown producer: give one of alpha, gamma, \
             or add a [[producer]]",
        ),
        (
            "connections = 4",
            "connections = 65",
            18,
            "bucket \"default\": connections: 65 connections for each producer: give 1 to 64",
        ),
        (
            "name = \"beta\"",
            "name = \"alpha\"",
            7,
            "producer \"alpha\": name: duplicate name, first used in line 2",
        ),
        (
            "address = \"127.0.0.1:11310\"\n",
            "",
            2,
            "node: address: is missing: give host:port, or name a node of [embedded]",
        ),
        (
            "127.0.0.1:11310",
            "127.0.0.1",
            3,
            "node: address: \"127.0.0.1\" is not an address: give host:port, such as \
             127.0.0.1:11210",
        ),
        (
            "127.0.0.1:11310",
            "::1:11310",
            3,
            "node: address: \"::1:11310\" is not an address: give host:port, such as \
             127.0.0.1:11210",
        ),
        (
            "name = \"beta\"",
            "name = \"be ta\"",
            2,
            "node: name: \"be ta\" is not a name: give 1 to 100 letters, digits or any of \
             -_.%@:[]",
        ),
        (
            "ALPHA_PASSWORD",
            "OTHER",
            10,
            "producer \"alpha\": password: environment variable OTHER is not set",
        ),
        (
            "{ env = \"ALPHA_PASSWORD\" }",
            "{ file = \"no/such\" }",
            10,
            "producer \"alpha\": password: file no/such could not be read: No such file or \
             directory (os error 2)",
        ),
        (
            "password = \"secret\"",
            "password = \"\"",
            5,
            "node: password: the text is empty or has a zero byte: give a secret of at least \
             1 byte",
        ),
        (
            "127.0.0.1:4870",
            "0.0.0.0:4870",
            21,
            "admin: listen: 0.0.0.0:4870 can be reached from other machines: give a token too",
        ),
        (
            "[limits]",
            "ready_percent = 101\n[limits]",
            22,
            "admin: ready_percent: 101 is out of range: give 0 to 100",
        ),
        (
            "setup_ms = 5000",
            "setup_ms = 5",
            23,
            "limits: setup_ms: 5 is out of range: give 100 to 600000",
        ),
        (
            "setup_ms = 5000",
            "retry_ms_min = 60000",
            23,
            "limits: retry_ms_min: the first pause is longer than the longest: give \
             retry_ms_min <= retry_ms_max",
        ),
        (
            "setup_ms = 5000",
            "stall_ms = 1500",
            23,
            "limits: stall_ms: lag is measured too rarely to detect a stall: give \
             lag_interval_ms <= stall_ms / 2",
        ),
        (
            "setup_ms = 5000",
            "loop_failures = 1",
            23,
            "limits: loop_failures: 1 is out of range: give 2 to 1000",
        ),
        (
            "listen = ",
            "lisen = ",
            21,
            "unknown field `lisen`, expected one of `listen`, `token`, `ready_percent`",
        ),
        (
            "{ env = \"ALPHA_PASSWORD\" }",
            "{ evn = \"ALPHA_PASSWORD\" }",
            10,
            "unknown variant `evn`, expected `file` or `env`",
        ),
        (
            "connections = 4",
            "connections = \"4\"",
            18,
            "wrong type: the text \"4\", expected a whole number, without quotes",
        ),
    ];
    for (from, to, line, want) in table {
        assert_eq!(problems(GOOD, from, to), format!("proxy.toml:{line}: {want}"), "for {to:?}");
    }
}

#[test]
fn embedded_nodes_must_fit_what_is_replicated() {
    let table = [
        (
            "[[producer]]\nname = \"alpha\"",
            "[[producer]]\nname = \"alpha\"\naddress = \"127.0.0.1:11210\"",
            5,
            "producer \"alpha\": address: must not be set: this node is embedded, and its own \
             value is used",
        ),
        (
            "0-63",
            "0-64",
            7,
            "bucket \"default\": replicate.alpha: vBucket 64 is not on embedded node \
             \"alpha\": give 0 to 63",
        ),
        (
            "state = \"replica\"",
            "state = \"active\"",
            17,
            "bucket \"default\": name: embedded node \"beta\" is the consumer: give it \
             state = \"replica\"",
        ),
        (
            "state = \"replica\"",
            "state = \"dead\"",
            17,
            "embedded node \"beta\": state: \"dead\" is not a state: give active or replica",
        ),
        (
            "state = \"replica\"",
            "state = \"replica\"\ndocuments = 5",
            18,
            "embedded node \"beta\": documents: must not be set: a replica accepts no documents \
             from clients",
        ),
        (
            "vbuckets = 64\ndocuments",
            "vbuckets = 64\nbucket = \"other\"\ndocuments",
            6,
            "bucket \"default\": replicate.alpha: embedded node \"alpha\" has only \"other\"",
        ),
    ];
    for (from, to, line, want) in table {
        let want = format!("proxy.toml:{line}: {want}");
        assert_eq!(problems(EMBEDDED, from, to), want, "for {to:?}");
    }
}
