//! `docs/configuration.md` is generated from the tables of settings, and must not be out of date.

use super::*;

const HEAD: &str = "\
# Configuration

Every setting of `dcp-proxy` and of `kvnode`. This file is generated from the tables of settings that the
programs check files with; `UPDATE_REFERENCE=1 cargo test -p dcp-proxy reference` writes it anew.

`dcp-proxy config --default` and `kvnode --print-config default` print a whole file with comments;
`dcp-proxy config --effective` and `kvnode --print-config effective` print the values that are in force, with where
each comes from. All mistakes of a file are reported in one run, each with file, line, column, key, the value found
and what is allowed; `dcp-proxy check` warns of settings that contradict each other.

## Environment variables

A variable overrides a key of the file: the name of the program, the section and the key in capitals, with two
underscores between them. `DCP_PROXY__LIMITS__STALL_MS=30000` sets `stall_ms` of `[limits]`.

- Whatever is neither a letter nor a digit is an underscore: the node `node-1.example` is `NODE_1_EXAMPLE`.
- One of several sections is named by its `name`: `DCP_PROXY__PRODUCER__ALPHA__ADDRESS`. Its number, from 0, does it
  too, and the number after the last one adds a section: `DCP_PROXY__PRODUCER__1__NAME=gamma`.
- `DCP_PROXY__BUCKET__DEFAULT__REPLICATE__ALPHA=0-511` sets what comes from one producer.
- A list is separated by commas: `DCP_PROXY__DESIRED__ETCD__ENDPOINTS=a:2379,b:2379`.
- The value of a password or token is taken as it is; `__FILE` and `__ENV` after the key name the place that holds it.
- A variable that names no setting is an error, with the nearest one that does. An error of a value that came from a
  variable names the variable.
- The command line takes precedence over variables, and variables over the file.

`DCP_PROXY_TOKEN`, with one underscore, is no setting: it is the token that subcommands send.

## Reload

SIGHUP reads the file again. The last column says whether a change of a key is applied then, or at the next start
only. Secrets and certificates in files need neither: they are read again once the files have changed.

## dcp-proxy
";

fn generated() -> String {
    let own = ::settings::reference(&settings(), VARIABLES);
    format!("{HEAD}{own}\n## kvnode\n{}", kvnode::cli::reference())
}

#[test]
fn the_reference_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        std::fs::write(&path, generated()).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap();
    assert!(
        written == generated(),
        "docs/configuration.md is out of date: UPDATE_REFERENCE=1 cargo test -p dcp-proxy reference"
    );
}
