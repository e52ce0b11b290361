//! Turns the file as written into the checked configuration, one section at a time.
//!
//! Every problem is reported, and the check goes on after it. `embedded` and `limits` check these
//! sections, `tls` that table, `links` the rules across sections.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Range, RangeInclusive};
use std::path::Path;

use invariant::broken;
use relay::{Endpoint, Secret};
use toml::Spanned;

use super::checked::{Admin, Config, MapSource, Node};
use super::problem::{Problem, Problems, line_of};
use super::{Environment, file, rules};

/// The default port of the admin API: none that Couchbase or another usual program listens on.
pub(super) const ADMIN_PORT: u16 = 4870;
/// The default share of wanted streams for `/ready`: all of them, so that no failure is hidden.
const READY_PERCENT: u8 = 100;

pub(super) fn check(
    path: &Path,
    text: &str,
    file: &file::File,
    environment: Environment<'_>,
) -> Result<Config, Problems> {
    with_checker(path, text, environment, |checker| checker.config(path, file))
}

/// Checks `[admin]` and nothing else.
pub(super) fn admin(
    path: &Path,
    text: &str,
    file: &file::File,
    environment: Environment<'_>,
) -> Result<Admin, Problems> {
    with_checker(path, text, environment, |checker| checker.admin(&file.admin))
}

/// Checks `[desired]` and nothing else.
pub(super) fn source(
    path: &Path,
    text: &str,
    file: &file::File,
    environment: Environment<'_>,
) -> Result<MapSource, Problems> {
    with_checker(path, text, environment, |checker| checker.source(file))
}

fn with_checker<T>(
    path: &Path,
    text: &str,
    environment: Environment<'_>,
    check: impl FnOnce(&mut Checker<'_>) -> Option<T>,
) -> Result<T, Problems> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut checker =
        Checker { text, folder, environment, problems: Vec::new(), warnings: Vec::new() };
    let checked = check(&mut checker);
    let mut list = checker.problems;
    list.sort_by_key(|problem| problem.line);
    match checked {
        Some(checked) if list.is_empty() => return Ok(checked),
        None if list.is_empty() => {
            let broken = broken!("a configuration is refused without a problem");
            list.push(Problem { line: 0, key: String::new(), text: broken.to_string() });
        }
        _ => {}
    }
    Err(Problems { path: path.to_owned(), list })
}

/// Collects problems while the sections are checked.
pub(super) struct Checker<'a> {
    text: &'a str,
    pub(super) folder: &'a Path,
    environment: Environment<'a>,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl Checker<'_> {
    /// Records a problem of the text at `at`; an empty range stands for the file as a whole.
    pub(super) fn report(&mut self, at: Range<usize>, key: &str, text: impl Into<String>) {
        let line = if at.is_empty() { 0 } else { self.line(&at) };
        self.problems.push(Problem { line, key: key.to_owned(), text: text.into() });
    }

    /// Records what is allowed at `at`, and probably not meant.
    pub(super) fn warn(&mut self, at: &Range<usize>, key: &str, text: impl Into<String>) {
        let line = self.line(at);
        self.warnings.push(Problem { line, key: key.to_owned(), text: text.into() });
    }

    /// An environment variable.
    pub(super) fn environment(&self, name: &str) -> Option<String> {
        (self.environment)(name)
    }

    pub(super) fn line(&self, at: &Range<usize>) -> usize {
        line_of(self.text, at)
    }

    /// Parses what is written with `rule`; reports a problem and returns `None` where it fails.
    pub(super) fn value<W, T>(
        &mut self,
        key: &str,
        written: &Spanned<W>,
        rule: impl FnOnce(&W) -> Result<T, String>,
    ) -> Option<T> {
        rule(written.as_ref()).map_err(|text| self.report(written.span(), key, text)).ok()
    }

    /// Parses a number; `default` where it is not written. A number out of range is reported, which
    /// refuses the file, and is replaced by `default` for the checks that follow.
    pub(super) fn number<N>(
        &mut self,
        key: &str,
        written: Option<&Spanned<u64>>,
        default: N,
        allowed: RangeInclusive<N>,
    ) -> N
    where
        N: TryFrom<u64> + PartialOrd + fmt::Display,
    {
        let rule = |&number: &u64| {
            let outside = || {
                format!("{number} is out of range: give {} to {}", allowed.start(), allowed.end())
            };
            N::try_from(number).ok().filter(|it| allowed.contains(it)).ok_or_else(outside)
        };
        written.and_then(|written| self.value(key, written, rule)).unwrap_or(default)
    }

    pub(super) fn secret(&mut self, key: &str, written: &Spanned<file::Secret>) -> Option<Secret> {
        let (folder, environment) = (self.folder, self.environment);
        self.warn_of_readers(key, written);
        self.value(key, written, |secret| rules::secret(secret, folder, environment))
    }

    fn config(&mut self, path: &Path, file: &file::File) -> Option<Config> {
        let embedded = match &file.embedded {
            Some(written) => self.embedded(written).map(Some),
            None => Some(None),
        };
        let inside = file.embedded.as_ref().map_or(&[][..], |embedded| &embedded.node);
        if file.node.is_none() {
            self.report(0..0, "node", "is missing: name the data node that this sidecar serves");
        }
        let node = file.node.as_ref().and_then(|node| self.node("node", node, inside));
        let producers: Vec<Option<Node>> = file
            .producer
            .iter()
            .map(|node| self.node(&format!("producer {:?}", node.name.as_ref()), node, inside))
            .collect();
        self.unique("producer", file.node.iter().chain(&file.producer).map(|node| &node.name));
        self.unique("bucket", file.bucket.iter().map(|bucket| &bucket.name));
        let buckets = self.buckets(file);
        let admin = self.admin(&file.admin);
        let log = self.log(&file.log);
        let limits = self.limits(&file.limits);
        let source = self.source(file);
        self.warn_of_use(file);
        let mut warnings = std::mem::take(&mut self.warnings);
        warnings.sort_by_key(|warning| warning.line);
        Some(Config {
            certificates: self.certificates(file),
            warnings,
            path: path.to_owned(),
            node: node?,
            producers: producers.into_iter().collect::<Option<_>>()?,
            buckets: buckets?,
            admin: admin?,
            log,
            limits,
            embedded: embedded?,
            state: self.state(path, &file.state),
            source: source?,
        })
    }

    fn node(
        &mut self,
        key: &str,
        node: &file::Node,
        inside: &[file::EmbeddedNode],
    ) -> Option<Node> {
        let is_embedded = inside.iter().any(|inside| inside.name.as_ref() == node.name.as_ref());
        if is_embedded { self.embedded_node_of(key, node) } else { self.remote_node(key, node) }
    }

    fn embedded_node_of(&mut self, key: &str, node: &file::Node) -> Option<Node> {
        let given = [
            ("address", node.address.as_ref().map(Spanned::span)),
            ("username", node.username.as_ref().map(Spanned::span)),
            ("password", node.password.as_ref().map(Spanned::span)),
            ("tls", node.tls.as_ref().map(Spanned::span)),
        ];
        let count = self.problems.len();
        for (field, span) in given {
            let why = "must not be set: this node is embedded, and its own value is used";
            if let Some(span) = span {
                self.report(span, &format!("{key}: {field}"), why);
            }
        }
        (self.problems.len() == count).then(|| Node::Embedded(node.name.as_ref().clone()))
    }

    fn remote_node(&mut self, key: &str, node: &file::Node) -> Option<Node> {
        let name = self.value(&format!("{key}: name"), &node.name, |name| rules::node_name(name));
        let mut missing = |field: &str, what: &str| {
            let text = format!("is missing: give {what}, or name a node of [embedded]");
            self.report(node.name.span(), &format!("{key}: {field}"), text);
        };
        if node.address.is_none() {
            missing("address", "host:port");
        }
        if node.username.is_none() {
            missing("username", "the user to log in as");
        }
        if node.password.is_none() {
            missing("password", "a text, { file = \"...\" } or { env = \"...\" }");
        }
        let address = node.address.as_ref().and_then(|address| {
            self.value(&format!("{key}: address"), address, |address| rules::address(address))
        });
        let password = node
            .password
            .as_ref()
            .and_then(|password| self.secret(&format!("{key}: password"), password));
        let username = node.username.as_ref().map(|username| username.as_ref().clone());
        // Without an address there is no name to verify the certificate against.
        let tls = match (&node.tls, &address) {
            (Some(written), Some(address)) => self.tls(key, written, address).map(Some),
            (Some(_), None) => None,
            (None, _) => Some(None),
        };
        let endpoint = Endpoint::new(name?, address?, username?, password?);
        Some(Node::Remote(match tls? {
            Some(tls) => endpoint.with_tls(tls),
            None => endpoint,
        }))
    }

    /// Reports every name that is used twice.
    pub(super) fn unique<'n>(
        &mut self,
        key: &str,
        names: impl Iterator<Item = &'n Spanned<String>>,
    ) {
        let mut lines = BTreeMap::new();
        for name in names {
            let line = self.line(&name.span());
            if let Some(first) = lines.insert(name.as_ref(), line) {
                let text = format!("duplicate name, first used in line {first}");
                self.report(name.span(), &format!("{key} {:?}: name", name.as_ref()), text);
            }
        }
    }

    fn admin(&mut self, admin: &file::Admin) -> Option<Admin> {
        let listen = match &admin.listen {
            Some(listen) => self.value("admin: listen", listen, |listen| rules::listen(listen)),
            None => Some(super::ADMIN_DEFAULT),
        };
        let token = admin.token.as_ref().map(|token| self.secret("admin: token", token));
        if let (Some(address), Some(written), None) = (listen, &admin.listen, &token)
            && !address.ip().is_loopback()
        {
            let text = format!("{address} can be reached from other machines: give a token too");
            self.report(written.span(), "admin: listen", text);
        }
        let (key, percent) = ("admin: ready_percent", admin.ready_percent.as_ref());
        let ready_percent = self.number(key, percent, READY_PERCENT, 0..=100);
        Some(Admin { listen: listen?, token: token.flatten(), ready_percent })
    }
}
