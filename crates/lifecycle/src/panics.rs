//! The report of a panic: a file in the program's own folder with what somebody needs who was not
//! there, bounded to the newest few.

use std::backtrace::Backtrace;
use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::panic::PanicHookInfo;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{OnceLock, PoisonError, RwLock};
use std::time::Instant;

use jiff::Timestamp;
use logline::value;

use crate::arguments::shown;

/// Reports that are kept in a folder, and that one process writes.
const KEPT: usize = 5;
/// What the name of a report begins and ends with.
const NAME: (&str, &str) = ("panic-", ".txt");

/// Who writes reports.
#[derive(Clone, Copy, Debug)]
struct Program {
    target: &'static str,
    name: &'static str,
    version: &'static str,
    started: Instant,
}

static PROGRAM: OnceLock<Program> = OnceLock::new();
static FOLDER: RwLock<Option<PathBuf>> = RwLock::new(None);
static WRITTEN: AtomicUsize = AtomicUsize::new(0);

/// Reports every panic from now on: to the folder given to [`reports_in`], and to the log, which
/// says where the report is. Calls `then` last. Only the first call has an effect.
pub fn report(
    target: &'static str,
    name: &'static str,
    version: &'static str,
    then: impl Fn() + Send + Sync + 'static,
) {
    if PROGRAM.set(Program { target, name, version, started: Instant::now() }).is_ok() {
        std::panic::set_hook(Box::new(move |panic| {
            told(panic);
            then();
        }));
    }
}

/// Reports of panics go to `folder` from now on. Logs which of earlier ones are there.
pub fn reports_in(folder: &Path) {
    // A folder that cannot be read is told by whoever needs it.
    if let Some(newest) = reports(folder).unwrap_or_default().pop() {
        let newest = folder.join(newest);
        log::warn!(
            "an earlier run ended with a panic, read the report, send it to the maintainers and \
             delete it report={}",
            value(newest.display())
        );
    }
    *FOLDER.write().unwrap_or_else(PoisonError::into_inner) = Some(folder.to_owned());
}

fn told(panic: &PanicHookInfo<'_>) {
    let Some(program) = PROGRAM.get() else { return };
    let backtrace = Backtrace::force_capture().to_string();
    // The thread that panics may hold the lock; nobody waits for it.
    let folder = FOLDER.try_read().ok().and_then(|folder| folder.clone());
    let text = text(program, panic, &backtrace);
    let written = folder.map(|folder| write(&folder, &text));
    let place = match &written {
        Some(Ok(path)) => format!(" report={}", value(path.display())),
        Some(Err(error)) => format!(" report_not_written={}", value(error)),
        None => String::new(),
    };
    logger::fatal(program.target, format_args!("panic: {panic}{place}"));
    if !matches!(written, Some(Ok(_))) {
        for (number, frame) in backtrace.lines().enumerate() {
            let frame = value(frame.trim());
            logger::fatal(program.target, format_args!("backtrace line={number} text={frame}"));
        }
    }
    logger::finish();
}

fn text(program: &Program, panic: &PanicHookInfo<'_>, backtrace: &str) -> String {
    let Program { name, version, started, .. } = program;
    let message = panic.payload_as_str().unwrap_or("(no text)");
    let place = panic.location().map_or_else(|| "unknown".to_owned(), ToString::to_string);
    let thread = std::thread::current();
    let arguments: Vec<_> = std::env::args_os().collect();
    let arguments: Vec<_> = arguments.iter().map(|argument| argument.to_string_lossy()).collect();
    let mut text = format!("{name} {version} panicked. This is a defect.\n");
    // Writing to a string does not fail.
    _ = writeln!(text, "message: {message}");
    _ = writeln!(text, "place: {place}");
    _ = writeln!(text, "thread: {}", thread.name().unwrap_or("unnamed"));
    _ = writeln!(text, "time: {:.3}", Timestamp::now());
    _ = writeln!(text, "uptime_s: {}", started.elapsed().as_secs());
    _ = writeln!(text, "pid: {}", std::process::id());
    _ = writeln!(text, "command: {}", shown(arguments.iter().map(AsRef::as_ref)));
    _ = writeln!(text, "\nbacktrace:\n{backtrace}");
    _ = writeln!(text, "last lines of the log:");
    logger::recent().iter().for_each(|line| text.push_str(line));
    text
}

/// Writes a report and removes the oldest ones.
fn write(folder: &Path, text: &str) -> io::Result<PathBuf> {
    let count = WRITTEN.fetch_add(1, Ordering::Relaxed);
    if count >= KEPT {
        return Err(io::Error::other(format!("this process has written {KEPT} reports")));
    }
    fs::create_dir_all(folder)?;
    let (time, pid) = (Timestamp::now().strftime("%Y%m%dT%H%M%SZ"), std::process::id());
    let again = if count == 0 { String::new() } else { format!("-{}", count + 1) };
    let path = folder.join(format!("{}{time}-{pid}{again}{}", NAME.0, NAME.1));
    let mut options = OpenOptions::new();
    let mut file = options.create(true).write(true).truncate(true).mode(0o600).open(&path)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    if let Err(error) = written {
        // Half a report, such as on a full disk, would look like one.
        _ = fs::remove_file(&path);
        return Err(error);
    }
    for old in reports(folder)?.iter().rev().skip(KEPT) {
        // What cannot be removed stays: the report counts.
        _ = fs::remove_file(folder.join(old));
    }
    Ok(path)
}

/// The names of the reports in a folder, the newest last.
fn reports(folder: &Path) -> io::Result<Vec<String>> {
    let names =
        fs::read_dir(folder)?.flatten().filter_map(|file| file.file_name().into_string().ok());
    let is_report = |name: &String| name.starts_with(NAME.0) && name.ends_with(NAME.1);
    let mut names: Vec<_> = names.filter(is_report).collect();
    // Their names begin with the time.
    names.sort_unstable();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_reports_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..7 {
            let name = format!("panic-2020010{number}T000000Z-9.txt");
            fs::write(folder.path().join(name), "old").unwrap();
        }
        fs::write(folder.path().join("desired.json"), "other").unwrap();
        let path = write(folder.path(), "new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        let left = reports(folder.path()).unwrap();
        assert_eq!(left.len(), KEPT);
        assert_eq!(left[0], "panic-20200103T000000Z-9.txt");
        assert!(path.ends_with(left.last().unwrap()), "{left:?}");
        assert!(folder.path().join("desired.json").exists());
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(write(&file, "new").is_err());
    }
}
