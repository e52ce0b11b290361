//! The rules across sections: buckets against producers and embedded nodes.

use std::collections::{BTreeMap, BTreeSet};

use replica::plan::{Connections, Desired, VBUCKETS_MAX, VbSet};
use toml::Spanned;

use super::check::Checker;
use super::checked::Bucket;
use super::{file, rules};

impl Checker<'_, '_> {
    pub(super) fn buckets(&mut self, file: &file::File) -> Option<Vec<Bucket>> {
        if file.bucket.is_empty() {
            self.report(0..0, "bucket", "is missing: add [[bucket]] with what is to be replicated");
        }
        let buckets: Vec<_> = file.bucket.iter().map(|bucket| self.bucket(bucket, file)).collect();
        buckets.into_iter().collect()
    }

    fn bucket(&mut self, bucket: &file::Bucket, file: &file::File) -> Option<Bucket> {
        let key = |field: &str| format!("bucket {:?}: {field}", bucket.name.as_ref());
        let name = self.value(&key("name"), &bucket.name, |name| rules::bucket_name(name));
        let connections = match &bucket.connections {
            Some(written) => self.value(&key("connections"), written, |&count| {
                Connections::new(count).map_err(|error| error.to_string())
            }),
            None => Some(Connections::ONE),
        };
        if let Some(node) = &file.node {
            self.embedded_takes(&key("name"), bucket, &node.name, file);
        }
        let mut replicate = BTreeMap::new();
        for (producer, written) in &bucket.replicate {
            let key = key(&format!("replicate.{}", producer.as_ref()));
            if !file.producer.iter().any(|known| known.name.as_ref() == producer.as_ref()) {
                self.unknown_producer(&key, producer, file);
            }
            let rule = |text: &String| text.parse::<VbSet>().map_err(|error| error.to_string());
            if let Some(set) = self.value(&key, written, rule) {
                for node in file.node.iter().map(|node| &node.name).chain([producer]) {
                    self.embedded_has(&key, bucket, node.as_ref(), producer, &set, file);
                }
                replicate.insert(producer.as_ref().clone(), set);
            }
        }
        let desired = Desired::new(replicate)
            .map_err(|error| self.report(bucket.name.span(), &key("replicate"), error.to_string()));
        Some(Bucket { name: name?, connections: connections?, desired: desired.ok()? })
    }

    /// Reports a bucket that the embedded node of this name cannot receive.
    fn embedded_takes(
        &mut self,
        key: &str,
        bucket: &file::Bucket,
        name: &Spanned<String>,
        file: &file::File,
    ) {
        let Some(node) = find(file, name.as_ref()) else { return };
        self.embedded_has_bucket(key, bucket, node);
        if node.state.as_ref() == "active" {
            let name = node.name.as_ref();
            let text =
                format!("embedded node {name:?} is the consumer: give it state = \"replica\"");
            self.report(node.state.span(), key, text);
        }
    }

    /// Reports vBuckets that the embedded node `name` does not have.
    fn embedded_has(
        &mut self,
        key: &str,
        bucket: &file::Bucket,
        name: &str,
        written: &Spanned<String>,
        set: &VbSet,
        file: &file::File,
    ) {
        let Some(node) = find(file, name) else { return };
        self.embedded_has_bucket(key, bucket, node);
        let count = node.vbuckets.as_ref().map_or(u64::from(VBUCKETS_MAX), |count| *count.as_ref());
        if let Some(vb) = set.iter().find(|vb| u64::from(vb.0) >= count) {
            let (vb, last) = (vb.0, count.saturating_sub(1));
            let text = format!("vBucket {vb} is not on embedded node {name:?}: give 0 to {last}");
            self.report(written.span(), key, text);
        }
    }

    fn embedded_has_bucket(&mut self, key: &str, bucket: &file::Bucket, node: &file::EmbeddedNode) {
        let has = node.bucket.as_ref().map_or("default", |bucket| bucket.as_ref());
        if has != bucket.name.as_ref() {
            let text = format!("embedded node {:?} has only {has:?}", node.name.as_ref());
            self.report(bucket.name.span(), key, text);
        }
    }

    fn unknown_producer(&mut self, key: &str, producer: &Spanned<String>, file: &file::File) {
        let names = file.producer.iter().map(|known| known.name.as_ref().as_str());
        let mut seen = BTreeSet::new();
        let names: Vec<&str> = names.filter(|name| seen.insert(*name)).collect();
        // One whose name is missing may be the one that is meant.
        if names.iter().any(|name| name.starts_with('#')) {
            return;
        }
        let near = settings::nearest(producer.as_ref(), names.iter().copied());
        let text = match (names.as_slice(), near) {
            ([], _) => "unknown producer: add a [[producer]] of this name".to_owned(),
            (_, Some(near)) => format!("unknown producer: did you mean {near}?"),
            (names, None) => {
                format!("unknown producer: give one of {}, or add a [[producer]]", names.join(", "))
            }
        };
        self.report(producer.span(), key, text);
    }
}

fn find<'f>(file: &'f file::File, name: &str) -> Option<&'f file::EmbeddedNode> {
    let nodes = file.embedded.as_ref().map_or(&[][..], |embedded| &embedded.node);
    nodes.iter().find(|node| node.name.as_ref() == name)
}
