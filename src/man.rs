//! Man pages of both programs and of every subcommand, from the definition of the command line.

use std::io::{self, Write};
use std::path::Path;

use clap::Command;
use clap_mangen::Man;

use crate::cli::Program;

/// The exit codes of every command, as lines of a definition list.
const EXIT_CODES: [(&str, &str); 3] = [
    ("0", "Done."),
    ("1", "Failed: the sidecar or a data node did not do it, or does not answer."),
    ("2", "Wrong usage, request, token or configuration."),
];
/// What 1 means where it says more than a failure.
const MORE: [(&str, &str); 3] = [
    ("dcp-proxy", "With --once, also where both nodes have different data."),
    ("dcp-proxy-status", "Also where replication is not ready."),
    (
        "dcp-proxy-events",
        "With --follow, not where the sidecar is away for a while; 0 after Ctrl-C.",
    ),
];

/// Returns the pages of a program and of all its subcommands, by the name of their files.
///
/// # Errors
/// None but a defect of the renderer.
pub fn pages(mut command: Command) -> io::Result<Vec<(String, Vec<u8>)>> {
    command = command.disable_help_subcommand(true);
    command.build();
    let mut pages = Vec::new();
    add(&command, &mut pages)?;
    Ok(pages)
}

fn add(command: &Command, pages: &mut Vec<(String, Vec<u8>)>) -> io::Result<()> {
    let version = env!("CARGO_PKG_VERSION");
    // Without it the foot of a subcommand's page is "set ".
    let source = format!("{} {version}", command.get_display_name().unwrap_or_default());
    let man = Man::new(command.clone()).source(source.trim_start());
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    let mut page = Vec::new();
    man.render(&mut page)?;
    exit_codes(&name, &mut page)?;
    pages.push((man.get_filename(), page));
    command.get_subcommands().filter(|it| !it.is_hide_set()).try_for_each(|it| add(it, pages))
}

fn exit_codes(name: &str, page: &mut Vec<u8>) -> io::Result<()> {
    writeln!(page, ".SH \"EXIT STATUS\"")?;
    for (code, meaning) in EXIT_CODES {
        let more = MORE.iter().find(|(command, _)| *command == name && code == "1");
        let more = more.map_or_else(String::new, |(_, more)| format!(" {more}"));
        let text = format!("{meaning}{more}").replace('-', "\\-");
        writeln!(page, ".TP\n\\fB{code}\\fR\n{text}")?;
    }
    Ok(())
}

/// Prints the page of the sidecar.
///
/// # Errors
/// That of `out`.
pub fn print(out: &mut impl Write) -> io::Result<()> {
    if let Some((_, page)) = pages(Program::DcpProxy.command())?.first() {
        out.write_all(page)?;
    }
    out.flush()
}

/// Writes the pages of both programs to a folder, which is made if it is not there. Returns how
/// many.
///
/// # Errors
/// The OS error, with the folder or file.
pub fn write(folder: &Path) -> io::Result<usize> {
    let named = |path: &Path, error: io::Error| {
        io::Error::new(error.kind(), format!("{} could not be written: {error}", path.display()))
    };
    std::fs::create_dir_all(folder).map_err(|error| named(folder, error))?;
    let mut count = 0;
    for program in [Program::DcpProxy, Program::Kvnode] {
        for (name, page) in pages(program.command())? {
            let path = folder.join(name);
            std::fs::write(&path, page).map_err(|error| named(&path, error))?;
            count += 1;
        }
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::Cli;

    fn count(command: &Command) -> usize {
        1 + command.get_subcommands().map(count).sum::<usize>()
    }

    #[test]
    fn every_subcommand_has_a_page_with_exit_codes() {
        let pages = pages(Cli::command()).unwrap();
        let page = |name: &str| {
            let found = pages.iter().find(|(file, _)| file == name);
            String::from_utf8(found.unwrap_or_else(|| panic!("no {name}")).1.clone()).unwrap()
        };
        let names =
            Cli::command().get_subcommands().map(|it| it.get_name().to_owned()).collect::<Vec<_>>();
        for name in &names {
            let text = page(&format!("dcp-proxy-{name}.1"));
            assert!(text.contains(".SH \"EXIT STATUS\""), "{text}");
            let foot = format!(" 1  \"dcp-proxy-{name} {}\" ", env!("CARGO_PKG_VERSION"));
            assert!(text.replace("\\-", "-").contains(&foot), "{text}");
            assert!(text.contains(&format!("dcp\\-proxy {}", name.replace('-', "\\-"))), "{text}");
        }
        assert_eq!(pages.len(), count(&Cli::command()), "one for each, nested ones too");
        assert!(page("dcp-proxy.1").contains("With \\-\\-once"));
        assert!(page("dcp-proxy-status.1").contains("not ready"));
        for (name, _) in MORE {
            page(&format!("{name}.1"));
        }
    }

    #[test]
    fn a_folder_has_the_pages_of_both_programs_and_an_error_names_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let pages = folder.path().join("share/man1");
        write(&pages).unwrap();
        assert!(pages.join("kvnode.1").exists() && pages.join("dcp-proxy-events.1").exists());
        let error = write(&pages.join("kvnode.1")).unwrap_err();
        assert!(error.to_string().contains("kvnode.1 could not be written"), "{error}");
    }
}
