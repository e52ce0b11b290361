//! This machine: the configuration's warnings, descriptors, folders, certificates, etcd's members.

use super::{bytes, expiry};
use crate::config::Config;
use crate::doctor::facts::{Folder, Machine, Member};
use crate::doctor::finding::{Check, Finding, Place};

/// The state of run-time changes is small; less than this, 64 MiB, and the disk is about to be
/// full.
const FREE_WARNING_BYTES: u64 = 64 << 20;
/// Less than this, 1 MiB, and the next change cannot be written.
const FREE_ERROR_BYTES: u64 = 1 << 20;

pub(super) fn machine(facts: &Machine, config: &Config, now_s: i64) -> Vec<Finding> {
    let here = Place::here();
    let mut findings = configuration(config);
    findings.push(match &facts.descriptors {
        Ok(()) => Finding::ok(Check::Descriptors, &here, "the limit of open files is high enough"),
        Err(error) => {
            let text = error.to_string();
            let (what, remedy) = text.split_once(": ").unwrap_or((&text, "raise the limit"));
            Finding::error(Check::Descriptors, &here, what, remedy)
        }
    });
    findings.extend(facts.folders.iter().map(folder));
    for (node, key, path, expires_s) in &facts.certificates {
        // A file without a certificate is an error of the configuration.
        let Some(expires_s) = expires_s else { continue };
        let what = format!("{} (tls.{key} of {node})", path.display());
        let remedy =
            format!("write a new one to {}: it is read again without a restart", path.display());
        findings.push(expiry(&here, &what, *expires_s, now_s, &remedy));
    }
    findings
}

/// The warnings of `check`. That of a password that is sent in plain text is left out: here it is
/// decided by the addresses of the node.
fn configuration(config: &Config) -> Vec<Finding> {
    let here = Place::here();
    let file = config.path.display();
    let warnings = config.warnings.iter().filter(|problem| !problem.key.ends_with(": tls"));
    let mut findings: Vec<_> = warnings
        .map(|problem| {
            let said = problem.within(&config.path);
            let (what, remedy) = said.rsplit_once(": ").unwrap_or((&said, ""));
            let what = what.to_owned();
            let remedy = if remedy.is_empty() { "see dcp-proxy check" } else { remedy };
            Finding::warning(Check::Configuration, &here, what, remedy)
        })
        .collect();
    if findings.is_empty() {
        let what = format!("{file} is valid, its files are readable");
        findings.push(Finding::ok(Check::Configuration, &here, what));
    }
    findings
}

fn folder(folder: &Folder) -> Finding {
    let (here, key) = (Place::here(), folder.key);
    let (path, existing) = (folder.path.display(), folder.existing.display());
    if let Err(why) = &folder.writable {
        let what = format!("{key} {path}: no file can be created in {existing}: {why}");
        let remedy =
            format!("give the user of the sidecar write access to {existing}, or set {key}");
        return Finding::error(Check::Disk, &here, what, remedy);
    }
    let created = if folder.path == folder.existing { "" } else { " (will be created)" };
    let Some(free) = folder.free_bytes else {
        let what = format!("{key} {path}{created} is writable, its free space is unknown");
        return Finding::note(Check::Disk, &here, what);
    };
    let what = format!("{key} {path}{created} is writable, {} free", bytes(free));
    let remedy = format!("free space on the disk of {existing}, or set {key} to another disk");
    match free {
        0..FREE_ERROR_BYTES => Finding::error(Check::Disk, &here, what, remedy),
        FREE_ERROR_BYTES..FREE_WARNING_BYTES => Finding::warning(Check::Disk, &here, what, remedy),
        FREE_WARNING_BYTES.. => Finding::ok(Check::Disk, &here, what),
    }
}

/// One member is enough for replication to follow the map, so a part that is away is a warning.
pub(super) fn etcd(members: &[Member]) -> Vec<Finding> {
    let here = Place::here();
    let is_any_up = members.iter().any(|member| member.connected.is_ok());
    let finding = |member: &Member| {
        let at = &member.address;
        match &member.connected {
            Ok(()) => Finding::ok(Check::Etcd, &here, format!("{at} accepts connections")),
            Err(why) => {
                let what = format!("{at} accepts no connection: {why}");
                let remedy = "start this member, or correct [desired] etcd.endpoints";
                if is_any_up {
                    Finding::warning(Check::Etcd, &here, what, remedy)
                } else {
                    Finding::error(Check::Etcd, &here, what, remedy)
                }
            }
        }
    };
    let mut findings: Vec<_> = members.iter().map(finding).collect();
    if !members.is_empty() {
        let what = "the desired maps come from etcd and are not read: states and topologies are \
                    not checked";
        findings.push(Finding::note(Check::Etcd, &here, what));
    }
    findings
}
