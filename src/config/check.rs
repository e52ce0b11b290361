//! Turns the file as written into the checked configuration, one section at a time.
//!
//! Keys, types and ranges have been checked by the table of settings. Every problem is reported,
//! and the check goes on after it. `embedded` and `limits` check these sections, `tls` that table,
//! `links` the rules across sections.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use invariant::broken;
use relay::{Endpoint, Secret};
use settings::{Document, Entry, Findings, Place, Problem, Problems, Source, Span};
use toml::Spanned;

use super::checked::{Admin, Config, MapSource, Node};
use super::schema::{VARIABLES, settings};
use super::{Environment, READY_PERCENT, file, rules};

/// Where a configuration comes from.
#[derive(Clone, Copy)]
pub(super) struct Given<'a> {
    pub(super) path: &'a Path,
    pub(super) text: &'a str,
    pub(super) environment: Environment<'a>,
    /// The variables that override the file.
    pub(super) overrides: &'a [(String, String)],
}

pub(super) fn check(given: Given<'_>) -> Result<Config, Problems> {
    let (mut config, warnings, entries) =
        with_checker(given, |checker, file| checker.config(given.path, file))?;
    config.warnings = warnings;
    config.entries = entries;
    Ok(config)
}

/// Checks `[admin]` and nothing else but keys, types and ranges.
pub(super) fn admin(given: Given<'_>) -> Result<(Admin, PathBuf), Problems> {
    let path = given.path;
    let (read, ..) = with_checker(given, |checker, file| {
        Some((checker.admin(&file.admin)?, checker.state(path, &file.state)))
    })?;
    Ok(read)
}

/// Checks `[desired]` and nothing else.
pub(super) fn source(given: Given<'_>) -> Result<MapSource, Problems> {
    let (source, ..) = with_checker(given, |checker, file| checker.source(file))?;
    Ok(source)
}

fn with_checker<T>(
    given: Given<'_>,
    check: impl FnOnce(&mut Checker<'_, '_>, &file::File) -> Option<T>,
) -> Result<(T, Vec<Problem>, Vec<Entry>), Problems> {
    let settings = settings();
    let source = Source::new(given.path, given.text, given.overrides);
    let mut document = Document::read(&source, &settings, VARIABLES)?;
    let written = document.written::<file::File>();
    let checked = written.and_then(|written| {
        let folder = given.path.parent().unwrap_or(Path::new(""));
        let findings = &mut document.findings;
        let mut checker = Checker { findings, folder, environment: given.environment };
        check(&mut checker, &written)
    });
    match checked {
        Some(checked) if document.findings.is_good() => {
            let entries = document.entries();
            let (_, warnings) = document.findings.into_parts();
            return Ok((checked, warnings, entries));
        }
        None if document.findings.is_good() => {
            let broken = broken!("a configuration is refused without a problem");
            document.findings.report(&(0..0), "", broken.to_string());
        }
        _ => {}
    }
    Err(document.into_problems())
}

/// Collects problems while the sections are checked.
pub(super) struct Checker<'c, 'a> {
    findings: &'c mut Findings<'a>,
    pub(super) folder: &'c Path,
    environment: Environment<'c>,
}

impl Checker<'_, '_> {
    /// Records a problem of the text at `at`; `0..0` stands for the file as a whole.
    pub(super) fn report(&mut self, at: Span, key: &str, text: impl Into<String>) {
        self.findings.report(&at, key, text);
    }

    /// Records what is allowed at `at`, and probably not meant.
    pub(super) fn warn(&mut self, at: &Span, key: &str, text: impl Into<String>) {
        self.findings.warn(at, key, text);
    }

    /// An environment variable.
    pub(super) fn environment(&self, name: &str) -> Option<String> {
        (self.environment)(name)
    }

    /// A place in words, such as `line 3`.
    pub(super) fn words(&self, at: &Span) -> String {
        self.findings.source().words(at)
    }

    /// A place where something is missing; the file as a whole where the place is a variable.
    fn in_file(&self, at: Span) -> Span {
        match self.findings.source().place(&at) {
            Place::Variable(_) => 0..0,
            _ => at,
        }
    }

    /// Parses what is written with `rule`; reports a problem and returns `None` where it fails.
    pub(super) fn value<W, T>(
        &mut self,
        key: &str,
        written: &Spanned<W>,
        rule: impl FnOnce(&W) -> Result<T, String>,
    ) -> Option<T> {
        self.findings.value(key, written, rule)
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
        self.warn_of_contradictions(file, &limits);
        Some(Config {
            certificates: self.certificates(file),
            warnings: Vec::new(),
            entries: Vec::new(),
            path: path.to_owned(),
            node: node?,
            producers: producers.into_iter().collect::<Option<_>>()?,
            buckets: buckets?,
            admin: admin?,
            log,
            capture_ring: capture_ring(&file.capture),
            limits,
            verify: Self::verify(&file.verify),
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
        let allowed = node.allow_plain.as_ref().filter(|allowed| *allowed.as_ref());
        let given = [
            ("address", node.address.as_ref().map(Spanned::span)),
            ("username", node.username.as_ref().map(Spanned::span)),
            ("password", node.password.as_ref().map(Spanned::span)),
            ("tls", node.tls.as_ref().map(Spanned::span)),
            // Its default may stand there, as in what `config --effective` prints.
            ("allow_plain", allowed.map(Spanned::span)),
            ("consumer_name", node.consumer_name.as_ref().map(Spanned::span)),
        ];
        for (field, span) in &given {
            let why = "must not be set: this node is embedded, and its own value is used";
            if let Some(span) = span {
                self.report(span.clone(), &format!("{key}: {field}"), why);
            }
        }
        let is_good = given.iter().all(|(_, span)| span.is_none());
        is_good.then(|| Node::Embedded(node.name.as_ref().clone()))
    }

    fn remote_node(&mut self, key: &str, node: &file::Node) -> Option<Node> {
        let name = self.value(&format!("{key}: name"), &node.name, |name| rules::node_name(name));
        let at = self.in_file(node.name.span());
        let mut missing = |field: &str, what: &str| {
            let text = format!("is missing: give {what}, or name a node of [embedded]");
            self.report(at.clone(), &format!("{key}: {field}"), text);
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
            (Some(written), Some(address)) => {
                self.tls(&format!("{key}: "), written, address).map(Some)
            }
            (Some(_), None) => None,
            (None, _) => Some(None),
        };
        let allow_plain = node.allow_plain.as_ref().is_some_and(|allowed| *allowed.as_ref());
        let consumer_name = match &node.consumer_name {
            None => None,
            Some(written) => {
                let named = format!("{key}: consumer_name");
                Some(self.value(&named, written, |name| rules::node_name(name))?)
            }
        };
        let endpoint = Endpoint::new(name?, address?, username?, password?);
        let endpoint = endpoint.with_plain(allow_plain).with_consumer_name(consumer_name);
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
        let mut places = BTreeMap::new();
        for name in names {
            let place = self.words(&name.span());
            if let Some(first) = places.insert(name.as_ref(), place) {
                let text = format!("duplicate name, first used in {first}");
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
            // One that is there and wrong is reported.
            && !self.findings.has(&written.span(), "admin: token")
        {
            let text = format!("{address} can be reached from other machines: give a token too");
            self.report(written.span(), "admin: listen", text);
        }
        let ready_percent = number(admin.ready_percent.as_ref(), READY_PERCENT);
        Some(Admin { listen: listen?, token: token.flatten(), ready_percent })
    }
}

/// A number, of which the range is checked; `default` where it is not written.
pub(super) fn number<N: TryFrom<u64>>(written: Option<&Spanned<u64>>, default: N) -> N {
    written.and_then(|written| N::try_from(*written.as_ref()).ok()).unwrap_or(default)
}

/// The setting `[capture] ring_bytes`, whose range is in the table of settings.
fn capture_ring(capture: &file::Capture) -> usize {
    let bytes = capture.ring_bytes.as_ref().map_or(0, |bytes| *bytes.as_ref());
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
