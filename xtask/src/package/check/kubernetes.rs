//! Manifest and chart, by Helm's own library and the schemas of Kubernetes.

use std::io;
use std::process::Command;

use super::{Holds, Outcome, Places, Skipped};
use crate::process::{self, command};

/// The Python libraries that the script needs.
const LIBRARIES: &str = "helm-python-sdk, kubernetes-validate and pyyaml";

pub(super) fn check(places: &Places) -> io::Result<Outcome> {
    let Some(mut script) = script(places) else { return Ok(Skipped(missing())) };
    let said = process::expect(script.arg("--programs").arg(places.built()), 0)?;
    Ok(Holds(said))
}

/// Writes deploy/kubernetes/sidecar.yaml anew, from the chart.
pub(crate) fn update(places: &Places) -> io::Result<()> {
    let mut script = script(places).ok_or_else(|| io::Error::other(missing()))?;
    process::run(script.arg("--update"))
}

fn missing() -> String {
    format!("no Python with {LIBRARIES}: install them in target/tools/venv as `.ci/run` does")
}

/// The script, where a Python has its libraries.
fn script(places: &Places) -> Option<Command> {
    let python = places.tool("python3")?;
    let libraries = ["-c", "import helm_python, kubernetes_validate, yaml"];
    process::expect(&mut command(&python, &libraries), 0).ok()?;
    let mut script = command(&python, &[places.root.join("deploy/kubernetes/check.py")]);
    script.env("PYTHONDONTWRITEBYTECODE", "1");
    Some(script)
}
