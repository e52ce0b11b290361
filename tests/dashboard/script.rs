//! One script in node that drives a browser, and asks its test for what it cannot do itself.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::{Mutex, MutexGuard, mpsc};
use tokio::time::timeout;

/// The deadline of a whole script: its own waits are shorter, and say what they wait for.
const SCRIPT_MAX: Duration = Duration::from_secs(240);
/// What a script has said and nobody has read yet, in lines.
const LINES_MAX: usize = 256;
/// Browsers share two cores with everything else of a test run: one at a time.
static BROWSER: Mutex<()> = Mutex::const_new(());

/// The programs that these tests need.
pub(crate) struct Tools {
    pub(crate) node: PathBuf,
    chromium: PathBuf,
    modules: PathBuf,
}

impl Tools {
    /// All of them; else says what is missing, and that the test is skipped.
    pub(crate) fn find() -> Option<Self> {
        let node = program(&["node"]).filter(|node| is_new_enough(node));
        let chromium = program(&["chromium", "chromium-browser", "google-chrome"]);
        // Beside the build, because the tree of sources has no place for what is downloaded.
        let modules = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("dashboard");
        let packages = modules.join("node_modules/playwright-core").is_dir()
            && modules.join("node_modules/axe-core").is_dir();
        if let (Some(node), Some(chromium), true) = (node.clone(), chromium.clone(), packages) {
            return Some(Self { node, chromium, modules });
        }
        let missing = [
            ("node 20 or newer (apt-get install nodejs)", node.is_none()),
            ("Chromium (apt-get install chromium)", chromium.is_none()),
            ("the packages of tests/dashboard/package.json (.ci/run installs them)", !packages),
        ];
        let missing: Vec<_> = missing.iter().filter(|(_, is)| *is).map(|(what, _)| *what).collect();
        eprintln!("skipped: not installed: {}", missing.join("; "));
        None
    }
}

/// The first of these programs in `PATH`.
fn program(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = |name: &&str| {
        std::env::split_paths(&path).map(|folder| folder.join(name)).find(|it| it.is_file())
    };
    names.iter().find_map(found)
}

/// Whether playwright runs with this node.
fn is_new_enough(node: &Path) -> bool {
    let said = Command::new(node).arg("--version").output().unwrap().stdout;
    let version = String::from_utf8_lossy(&said);
    let major = version.trim_start_matches('v').split('.').next();
    major.and_then(|major| major.parse().ok()).is_some_and(|major: u32| major >= 20)
}

/// What a script asks for: a word, and the words after it.
pub(crate) struct Wish(Vec<String>);

impl Wish {
    pub(crate) fn words(&self) -> Vec<&str> {
        self.0.iter().map(String::as_str).collect()
    }
}

/// A running script; it is killed, with its browser, when dropped.
pub(crate) struct Script {
    name: String,
    child: Child,
    input: ChildStdin,
    lines: mpsc::Receiver<String>,
    _folder: TempDir,
    _turn: MutexGuard<'static, ()>,
}

impl Script {
    /// Starts `NAME.mjs` with these arguments, when no other browser runs.
    pub(crate) async fn start(tools: &Tools, name: &str, arguments: &[&str]) -> Self {
        let turn = BROWSER.lock().await;
        let folder = tempfile::tempdir().unwrap();
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dashboard");
        let mut command = Command::new(&tools.node);
        command.arg(file.join(format!("{name}.mjs"))).args(arguments);
        command.env("CHROMIUM", &tools.chromium).env("DASHBOARD_MODULES", &tools.modules);
        // What a browser writes goes to the folder of the test.
        command.env("HOME", folder.path()).env("TMPDIR", folder.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel(LINES_MAX);
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.blocking_send(line).is_err() {
                    break;
                }
            }
        });
        Self { name: name.to_owned(), child, input, lines, _folder: folder, _turn: turn }
    }

    /// Serves the script until it ends, and fails if it has failed.
    pub(crate) async fn play(mut self, mut world: impl AsyncFnMut(Wish)) {
        let name = self.name.clone();
        let serve = async {
            while let Some(line) = self.lines.recv().await {
                match line.strip_prefix("wish ") {
                    Some(wish) => {
                        world(Wish(serde_json::from_str(wish).unwrap())).await;
                        self.input.write_all(b"done\n").unwrap();
                    }
                    None => eprintln!("{name}: {line}"),
                }
            }
        };
        timeout(SCRIPT_MAX, serve).await.expect("the script ends in time");
        assert!(self.child.wait().unwrap().success(), "{name} has failed, see above");
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        // It closes its browser when its input ends; an error means that it has ended already.
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
