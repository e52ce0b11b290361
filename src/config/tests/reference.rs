//! `docs/configuration.md` is generated from the tables of settings, and must not be out of date.

use super::*;

/// What stands before the generated tables.
const HEAD: &str = include_str!("reference.md");

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
        "docs/configuration.md: run UPDATE_REFERENCE=1 cargo test -p dcp-proxy reference"
    );
}
