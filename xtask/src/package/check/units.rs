//! The services: systemd must understand every line of them, and find them well confined.

use std::fs;
use std::io;

use super::{Holds, Outcome, Places, Scratch, Skipped, ensure};
use crate::package::PROGRAMS;
use crate::process::{self, command};

/// The services, with an instance for the template.
const UNITS: [&str; 3] = ["dcp-proxy.service", "dcp-proxy@beta.service", "kvnode.service"];
/// The greatest exposure, in tenths, that `systemd-analyze security` may find: 2.5 of 10.
const EXPOSURE_MAX: &str = "--threshold=25";

pub(super) fn check(places: &Places) -> io::Result<Outcome> {
    let Some(analyze) = places.tool("systemd-analyze") else {
        return Ok(Skipped("systemd-analyze is missing (Debian: systemd)".to_owned()));
    };
    let scratch = Scratch::new(places, "units")?;
    for unit in UNITS {
        // The programs are not installed here; everything else stays as it is.
        let file = unit.replace("beta", "");
        let mut text = fs::read_to_string(places.root.join("deploy/systemd").join(file))?;
        for program in PROGRAMS {
            let built = places.built().join(program);
            text =
                text.replace(&format!("=/usr/bin/{program} "), &format!("={} ", built.display()));
        }
        fs::write(scratch.path().join(unit), text)?;
    }
    let files = UNITS.map(|unit| scratch.path().join(unit));
    let mut verify = command(&analyze, &["verify", "--man=no"]);
    let said = process::expect(verify.args(&files), 0)?;
    ensure(said.is_empty(), || format!("systemd-analyze verify: {said}"))?;
    let mut found = Vec::new();
    for file in &files {
        let mut security = command(&analyze, &["security", "--offline=true", EXPOSURE_MAX]);
        let said = process::expect(security.arg("--no-pager").arg(file), 0)?;
        found.push(exposure(&said).unwrap_or_else(|| "?".to_owned()));
    }
    ensure(found.iter().all(|it| it != "?"), || "systemd-analyze names no exposure".to_owned())?;
    Ok(Holds(format!("no complaint of {}, exposure {}", UNITS.join(", "), found.join(", "))))
}

/// The figure in "Overall exposure level for x.service: 1.2 OK".
fn exposure(said: &str) -> Option<String> {
    let line = said.lines().find(|line| line.contains("Overall exposure level"))?;
    let figure = line.split(".service: ").nth(1)?.split_whitespace().next()?;
    figure.parse::<f64>().is_ok().then(|| figure.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(name: &str) -> String {
        fs::read_to_string(crate::root().join("deploy/systemd").join(name)).unwrap()
    }

    fn value<'a>(unit: &'a str, key: &str) -> &'a str {
        let mut lines = unit.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        lines.next().unwrap_or_else(|| panic!("no {key}"))
    }

    #[test]
    fn the_figure_is_found_in_what_systemd_says() {
        let said = "x\n\n-> Overall exposure level for dcp-proxy.service: 1.2 OK";
        assert_eq!(exposure(said).as_deref(), Some("1.2"));
        assert_eq!(exposure("-> Overall exposure level for x.service: ?"), None);
        assert_eq!(exposure(""), None);
    }

    #[test]
    fn the_template_differs_from_the_service_in_names_alone() {
        let service = unit("dcp-proxy.service");
        let template = unit("dcp-proxy@.service");
        let plain = template
            .split_once("[Unit]")
            .map(|(_, rest)| format!("[Unit]{rest}"))
            .unwrap()
            .replace("the data node %i", "a data node")
            .replace("%i.toml", "proxy.toml")
            .replace("=dcp-proxy/%i\n", "=dcp-proxy\n")
            .replace(
                "After=network-online.target\n",
                "After=network-online.target kvnode.service\n",
            );
        assert_eq!(plain, service);
    }

    #[test]
    fn a_stop_may_take_as_long_as_the_programs_need_by_default() {
        let seconds = |name: &str| value(&unit(name), "TimeoutStopSec").parse::<u64>().unwrap();
        // shutdown_ms and the rest of a stop; shutdown_s.
        assert!(seconds("dcp-proxy.service") > 10 + 9);
        assert!(seconds("kvnode.service") > 20);
    }

    #[test]
    fn a_wrong_configuration_is_not_tried_again() {
        for name in ["dcp-proxy.service", "dcp-proxy@.service", "kvnode.service"] {
            assert_eq!(value(&unit(name), "RestartPreventExitStatus"), "2", "{name}");
            assert_eq!(value(&unit(name), "Restart"), "on-failure", "{name}");
        }
    }
}
