//! Commands within a text: their subcommands and options exist.

use clap::Command;
use dcp_proxy::cli::Program;
use pulldown_cmark::{Event, Options, Parser};

/// What is wrong with the commands in the text of a page: `dcp-proxy ...` and `kvnode ...`.
pub(crate) fn unknown(text: &str) -> Vec<String> {
    let events = Parser::new_ext(text, Options::ENABLE_TABLES).into_offset_iter();
    let codes = events.filter_map(|(event, range)| match event {
        Event::Code(code) => Some((text[..range.start].lines().count(), code.to_string())),
        _ => None,
    });
    let wrong =
        codes.filter_map(|(line, code)| Some(format!("{line}: `{code}`: {}", flaw(&code)?)));
    wrong.collect()
}

/// What of a command does not exist.
fn flaw(code: &str) -> Option<String> {
    let mut words = code.split_whitespace();
    let program = match words.next()? {
        "dcp-proxy" => Program::DcpProxy,
        "kvnode" => Program::Kvnode,
        _ => return None,
    };
    let mut command = program.command().disable_help_subcommand(true);
    command.build();
    let mut options = names(&command);
    let mut is_value = false;
    for word in words.take_while(|word| !["|", ">", "&", "&&"].contains(word)) {
        if std::mem::take(&mut is_value) && !word.starts_with("--") {
            continue;
        }
        if let Some(option) = word.strip_prefix("--") {
            is_value = !option.contains('=');
            let name = option.split('=').next().unwrap_or_default();
            let is_there = name.is_empty() || options.iter().any(|known| known == name);
            if !is_there {
                return Some(format!("no option --{name}"));
            }
        } else if let Some(found) = command.find_subcommand(word).cloned() {
            options.extend(names(&found));
            command = found;
        } else if command.has_subcommands() && is_subcommand(word) {
            return Some(format!("no subcommand {word}"));
        }
    }
    None
}

/// The long options of a command.
fn names(command: &Command) -> Vec<String> {
    let longs = command.get_arguments().filter_map(|it| it.get_long());
    longs.map(str::to_owned).chain(["help".to_owned(), "version".to_owned()]).collect()
}

/// Whether a word looks like a subcommand and not like a value.
fn is_subcommand(word: &str) -> bool {
    word.len() > 2 && word.chars().all(|c| c.is_ascii_lowercase() || c == '-')
}

#[test]
fn a_subcommand_or_option_that_does_not_exist_is_found() {
    let page = "`dcp-proxy config diff`, `dcp-proxy streams --failed`, `kvnode get KEY`,\n\
                `dcp-proxy stream`, `dcp-proxy streams --fail`,\n\
                `kvnode vbuckets 0-511 --set-stat replica`\n";
    let want = [
        "1: `dcp-proxy stream`: no subcommand stream",
        "2: `dcp-proxy streams --fail`: no option --fail",
        "2: `kvnode vbuckets 0-511 --set-stat replica`: no option --set-stat",
    ];
    let found = unknown(page);
    assert_eq!(found.len(), want.len(), "{found:?}");
    for (found, want) in found.iter().zip(want) {
        let (_, words) = want.split_once(": ").unwrap();
        assert!(found.ends_with(words), "{found}");
    }
}
