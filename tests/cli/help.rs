//! `--help` of the program and of every subcommand.

use clap::{Command, CommandFactory as _};
use dcp_proxy::cli::Cli;

/// Compares the help of a command and of its subcommands with snapshots named after them.
fn compare(mut command: Command, name: &str) {
    let text = command.render_long_help().to_string();
    insta::assert_snapshot!(format!("help-{name}"), text);
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        let path = format!("{name}-{}", sub.get_name());
        compare(sub.clone(), &path);
    }
}

#[test]
fn every_help_is_as_it_was() {
    let mut command = Cli::command();
    command.build();
    compare(command, "dcp-proxy");
}
