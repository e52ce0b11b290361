//! The layout of the keys: `<prefix>/maps/<node>/<bucket>` and `<prefix>/status/<node>/<bucket>`.
//!
//! Names of nodes and buckets have no slash, so a key has one meaning.

/// The longest name of a node or bucket, in bytes, as in the configuration of a sidecar.
const NAME_BYTES_MAX: usize = 100;

/// The keys under one prefix.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Keys {
    prefix: String,
}

/// What a key is for.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Key {
    /// The desired map of a bucket of a node.
    Map {
        /// The node whose sidecar follows it.
        node: String,
        /// The bucket.
        bucket: String,
    },
    /// What the sidecar of a node reports of a bucket.
    Status {
        /// The node whose sidecar writes it.
        node: String,
        /// The bucket.
        bucket: String,
    },
}

impl Keys {
    /// All keys begin with this prefix; slashes at its end are left out.
    #[must_use]
    pub fn new(prefix: &str) -> Self {
        Self { prefix: prefix.trim_end_matches('/').to_owned() }
    }

    /// What all keys begin with.
    #[must_use]
    pub fn all(&self) -> String {
        format!("{}/", self.prefix)
    }

    /// What the keys of all maps begin with.
    #[must_use]
    pub fn maps(&self) -> String {
        format!("{}/maps/", self.prefix)
    }

    /// What the keys of the maps of a node begin with.
    #[must_use]
    pub fn maps_of(&self, node: &str) -> String {
        format!("{}/maps/{node}/", self.prefix)
    }

    /// The key of a map.
    #[must_use]
    pub fn map(&self, node: &str, bucket: &str) -> String {
        format!("{}/maps/{node}/{bucket}", self.prefix)
    }

    /// The key of a status.
    #[must_use]
    pub fn status(&self, node: &str, bucket: &str) -> String {
        format!("{}/status/{node}/{bucket}", self.prefix)
    }

    /// What a key is for; `None` where it is none of this layout.
    #[must_use]
    pub fn parse(&self, key: &[u8]) -> Option<Key> {
        let rest = std::str::from_utf8(key).ok()?.strip_prefix(&self.prefix)?.strip_prefix('/')?;
        let mut parts = rest.split('/');
        let (kind, node, bucket) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() || problem_of_name(node).or(problem_of_name(bucket)).is_some() {
            return None;
        }
        let (node, bucket) = (node.to_owned(), bucket.to_owned());
        match kind {
            "maps" => Some(Key::Map { node, bucket }),
            "status" => Some(Key::Status { node, bucket }),
            _ => None,
        }
    }
}

/// Why a text is no name of a node or bucket, if it is none.
pub(crate) fn problem_of_name(name: &str) -> Option<String> {
    let good = |char: char| char.is_ascii_graphic() && char != '/';
    if (1..=NAME_BYTES_MAX).contains(&name.len()) && name.chars().all(good) {
        return None;
    }
    let name = logline::value(name);
    Some(format!("{name} is not a name: give 1 to {NAME_BYTES_MAX} letters or digits, no slash"))
}

#[cfg(test)]
mod tests {
    //! Keys there and back, and what is none.

    use super::*;

    #[test]
    fn keys_are_read_as_they_are_written() {
        for prefix in ["/dcp-proxy", "/dcp-proxy//", "a/b"] {
            let keys = Keys::new(prefix);
            let (node, bucket) = ("beta".to_owned(), "a%20b".to_owned());
            let map = keys.map(&node, &bucket);
            assert!(map.starts_with(&keys.maps_of(&node)) && map.starts_with(&keys.maps()));
            let (at, of) = (node.clone(), bucket.clone());
            assert_eq!(keys.parse(map.as_bytes()), Some(Key::Map { node: at, bucket: of }));
            let status = keys.status(&node, &bucket);
            assert!(status.starts_with(&keys.all()));
            assert_eq!(keys.parse(status.as_bytes()), Some(Key::Status { node, bucket }));
        }
    }

    #[test]
    fn a_node_is_not_mistaken_for_one_whose_name_begins_alike() {
        let keys = Keys::new("/dcp-proxy");
        assert!(!keys.map("beta2", "default").starts_with(&keys.maps_of("beta")));
    }

    #[test]
    fn other_keys_are_none() {
        let keys = Keys::new("/dcp-proxy");
        let long = format!("/dcp-proxy/maps/beta/{}", "x".repeat(101));
        for key in [
            "",
            "/dcp-proxy",
            "/dcp-proxy/maps/beta",
            "/dcp-proxy/maps/beta/",
            "/dcp-proxy/maps//default",
            "/dcp-proxy/maps/beta/default/more",
            "/dcp-proxy/mapss/beta/default",
            "/dcp-proxy2/maps/beta/default",
            "/dcp-proxy/maps/beta/with blank",
            &long,
        ] {
            assert_eq!(keys.parse(key.as_bytes()), None, "{key}");
        }
        assert_eq!(keys.parse(b"/dcp-proxy/maps/beta/\xff"), None);
    }
}
