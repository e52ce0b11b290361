//! From the address of a node to its login.

use std::time::Duration;

use relay::Mechanism;

use super::expiry;
use crate::doctor::facts::{NodeFacts, TlsFacts, Tried};
use crate::doctor::failure::Failure;
use crate::doctor::finding::{Check, Finding, Place};

pub(super) fn reach(node: &NodeFacts, now_s: i64) -> Vec<Finding> {
    let place = Place::node(node.side, &node.name);
    let mut findings = addresses(node, &place);
    if let Some(tls) = &node.tls {
        findings.extend(encrypted(tls, &place, now_s));
    }
    if let Some(mechanisms) = &node.mechanisms {
        findings.push(mechanism(mechanisms, node, &place));
    }
    if let Some(login) = &node.login {
        findings.push(match login {
            Ok(_) => Finding::ok(Check::Login, &place, "the user is accepted"),
            Err(failure) => failed(Check::Login, &place, failure),
        });
    }
    if let Some(limit) = node.unfinished {
        let what = format!("the checks of this node did not end within {limit:?}");
        findings.push(slow(&place, what));
    }
    findings
}

fn addresses(node: &NodeFacts, place: &Place) -> Vec<Finding> {
    let tried = match &node.addresses {
        None => return Vec::new(),
        Some(Err(why)) => {
            let what = format!("the name in {:?} has no address: {why}", node.address);
            let remedy = "correct the address in the configuration, or the name service";
            return vec![Finding::error(Check::Address, place, what, remedy)];
        }
        Some(Ok(tried)) => tried,
    };
    let listed: Vec<_> = tried.iter().map(|tried| tried.address.to_string()).collect();
    let what = format!("{} is {}", node.address, listed.join(", "));
    let mut findings = vec![Finding::ok(Check::Address, place, what)];
    let is_any_up = tried.iter().any(|tried| tried.connected.is_ok());
    findings.extend(tried.iter().map(|tried| connected(tried, is_any_up, place)));
    findings
}

fn connected(tried: &Tried, is_any_up: bool, place: &Place) -> Finding {
    let Tried { address, connected, .. } = tried;
    match connected {
        Ok(took) => {
            Finding::ok(Check::Connect, place, format!("{address} accepts in {}", ms(*took)))
        }
        Err(why) if is_any_up => {
            let what = format!("{address} accepts no connection: {why}");
            let remedy = "remove this address from the name, or let the node listen on it";
            Finding::warning(Check::Connect, place, what, remedy)
        }
        Err(why) => {
            let what = format!("{address} accepts no connection: {why}");
            let remedy = "start the node, or correct address and port; look for a firewall between";
            Finding::error(Check::Connect, place, what, remedy)
        }
    }
}

fn ms(took: Duration) -> String {
    format!("{:.1} ms", took.as_secs_f64() * 1000.0)
}

fn encrypted(tls: &Result<TlsFacts, Failure>, place: &Place, now_s: i64) -> Vec<Finding> {
    let tls = match tls {
        Ok(tls) => tls,
        Err(failure) => return vec![failed(Check::Tls, place, failure)],
    };
    let TlsFacts { version, server_name, expires_s } = tls;
    let what = format!("{version}, the certificate is valid for {server_name}");
    let mut findings = vec![Finding::ok(Check::Tls, place, what)];
    let remedy = "renew the certificate of this node";
    findings.push(match expires_s {
        Some(expires_s) => expiry(place, "the node's certificate", *expires_s, now_s, remedy),
        None => {
            let what = "when the node's certificate expires is unknown";
            Finding::note(Check::Certificate, place, what)
        }
    });
    findings
}

fn mechanism(
    mechanisms: &Result<Vec<String>, Failure>,
    node: &NodeFacts,
    place: &Place,
) -> Finding {
    let offered = match mechanisms {
        Ok(offered) => offered,
        Err(failure) if failure.is_answer() => {
            let what = format!("its mechanisms are unknown: {}", failure.sentence());
            return Finding::note(Check::Mechanism, place, what);
        }
        Err(failure) => return failed(Check::Mechanism, place, failure),
    };
    let names = offered.join(" ");
    let what = format!("the node offers {}", if names.is_empty() { "nothing" } else { &names });
    if Mechanism::strongest(&names).is_some() {
        return Finding::ok(Check::Mechanism, place, what);
    }
    // A node that names none may still have PLAIN, and a login tries that.
    if !offered.is_empty() && !offered.iter().any(|name| name == "PLAIN") {
        let remedy =
            "enable SCRAM-SHA512 at this node (sasl_mechanisms, with TLS ssl_sasl_mechanisms)";
        return Finding::error(Check::Mechanism, place, what, remedy);
    }
    if node.has_tls || !is_elsewhere(node) {
        return Finding::ok(Check::Mechanism, place, what);
    }
    if node.allow_plain {
        let what = format!("{what}: the password is sent to another machine unencrypted");
        let remedy = "give this node tls = { ca = \"...\" } and the address of its TLS port, or \
                      enable SCRAM-SHA512 at it";
        return Finding::warning(Check::Mechanism, place, what, remedy);
    }
    let what = format!("{what}: the password would be sent to another machine unencrypted");
    let remedy = "give this node tls = { ca = \"...\" } and the address of its TLS port, enable \
                  SCRAM-SHA512 at it, or set allow_plain = true";
    Finding::error(Check::Mechanism, place, what, remedy)
}

/// Whether an address of the node is that of another machine.
fn is_elsewhere(node: &NodeFacts) -> bool {
    let tried = node.addresses.as_ref().and_then(|found| found.as_ref().ok());
    tried.is_some_and(|tried| tried.iter().any(|tried| !tried.is_here))
}

/// The finding of a step that failed.
pub(super) fn failed(check: Check, place: &Place, failure: &Failure) -> Finding {
    let remedy = match failure {
        Failure::Silent(_) => return slow(place, failure.sentence()),
        Failure::Connect(_) => "start the node, or correct address and port",
        Failure::Tls(_) => {
            "correct certificates and tls settings at this node or in the configuration"
        }
        Failure::Login(_) => {
            "give the node's user and password in username and password of the configuration, or \
             create that user at the node"
        }
        Failure::Mechanism(_) => {
            "enable SCRAM-SHA512 at this node (sasl_mechanisms, with TLS ssl_sasl_mechanisms)"
        }
        Failure::NoBucket(_) => {
            "create the bucket at this node, correct [[bucket]] name, or give the user access to it"
        }
        Failure::Features(_) => "enable the features, or use a version of the node that has them",
        Failure::WarmingUp => "wait until the node has loaded its data, and run this again",
        Failure::Refused(status, _) if *status == mcbp::Status::EACCESS => {
            "give the user the privilege for this request"
        }
        Failure::Refused(..) => "see the log of the node for the reason",
        Failure::Broken(_) => "check that the address is that of a data node, and see its log",
    };
    Finding::error(check, place, failure.sentence(), remedy)
}

/// A node that does not answer in time.
pub(super) fn slow(place: &Place, what: String) -> Finding {
    let remedy = "see whether the node hangs, is stopped or overloaded; a slow one may need \
                  a longer --timeout";
    Finding::error(Check::Answers, place, what, remedy)
}
