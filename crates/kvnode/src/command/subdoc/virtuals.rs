//! Virtual attributes: `$document`, `$vbucket` and `$XTOC`, JSON that is computed. Pure.

use mcbp::{Datatype, Seqno, Status, VbUuid};
use memchr::memmem;
use vbucket::{Kind, Row};

use super::crc32c::crc32c;
use super::document::Document;
use crate::command::xattrs;

/// A second of the clock of CAS values.
const SECOND_NS: u64 = 1_000_000_000;

/// What is known of a document beside its value; of one that does not exist yet zeros.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Metadata {
    pub(super) cas: u64,
    pub(super) seqno: Seqno,
    pub(super) rev: u64,
    pub(super) expiry: u32,
    pub(super) flags: u32,
    /// As it is stored.
    pub(super) datatype: Datatype,
    /// Of its vBucket.
    pub(super) uuid: VbUuid,
    /// The highest CAS of its vBucket.
    pub(super) max_cas: u64,
    /// The wall clock in nanoseconds since 1970.
    pub(super) now_ns: u64,
}

impl Metadata {
    /// The same, about a version of the document.
    pub(super) const fn with_row(mut self, row: &Row) -> Self {
        (self.expiry, self.flags) = match row.kind {
            Kind::Document { flags, expiry } => (expiry, flags),
            Kind::Deleted { at } | Kind::Expired { at } => (at, 0),
            _ => (0, 0),
        };
        (self.cas, self.seqno, self.rev) = (row.cas, row.seqno, row.rev);
        self.datatype = row.datatype;
        self
    }

    /// Returns the value of a virtual attribute, at least as much of it as `path` asks for.
    ///
    /// # Errors
    /// [`Status::SUBDOC_XATTR_UNKNOWN_VATTR`].
    pub(super) fn attribute(
        &self,
        name: &[u8],
        path: &[u8],
        document: &Document,
    ) -> Result<String, Status> {
        match name {
            b"$document" => Ok(self.document(path, document)),
            b"$XTOC" => Ok(xattrs::names(&document.attributes)),
            b"$vbucket" => Ok(self.vbucket()),
            _ => Err(Status::SUBDOC_XATTR_UNKNOWN_VATTR),
        }
    }

    /// The fields that the path names, of an empty path all: the checksum takes time.
    fn document(&self, path: &[u8], document: &Document) -> String {
        let mut json = String::from("{");
        let mut put = |name: &str, value: &dyn Fn() -> String| {
            if path.is_empty() || memmem::find(path, name.as_bytes()).is_some() {
                let comma = if json.len() > 1 { "," } else { "" };
                json.push_str(&format!("{comma}\"{name}\":{}", value()));
            }
        };
        put("CAS", &|| hex(self.cas));
        put("datatype", &|| datatypes(self.datatype));
        put("deleted", &|| document.is_deleted.to_string());
        put("exptime", &|| self.expiry.to_string());
        put("flags", &|| self.flags.to_string());
        put("last_modified", &|| format!("\"{}\"", self.cas / SECOND_NS));
        put("revid", &|| format!("\"{}\"", self.rev));
        put("seqno", &|| hex(self.seqno.0));
        put("value_bytes", &|| document.body.len().to_string());
        put("value_crc32c", &|| format!("\"0x{:08x}\"", crc32c(&document.body)));
        put("vbucket_uuid", &|| hex(self.uuid.0));
        json.push('}');
        json
    }

    /// The clock of CAS values: the wall clock, unless a CAS is ahead of that.
    fn vbucket(&self) -> String {
        let mode = if self.max_cas > self.now_ns { "logical" } else { "real" };
        let seconds = self.max_cas.max(self.now_ns) / SECOND_NS;
        format!("{{\"HLC\":{{\"mode\":\"{mode}\",\"now\":\"{seconds}\"}}}}")
    }
}

fn hex(number: u64) -> String {
    format!("\"0x{number:016x}\"")
}

fn datatypes(datatype: Datatype) -> String {
    let names = [
        (Datatype::SNAPPY, "\"snappy\""),
        (Datatype::JSON, "\"json\""),
        (Datatype::XATTR, "\"xattr\""),
    ];
    let names = names.iter().filter(|(bit, _)| datatype.contains(*bit));
    let names: Vec<_> = names.map(|(_, name)| *name).collect();
    if names.is_empty() { "[\"raw\"]".to_owned() } else { format!("[{}]", names.join(",")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_gets_its_field_alone() {
        let metadata = Metadata { cas: 5 * SECOND_NS, max_cas: 9, ..Metadata::default() };
        let document = Document { body: "{}".into(), is_json: true, ..Document::default() };
        let get = |name: &str, path: &str| {
            metadata.attribute(name.as_bytes(), path.as_bytes(), &document)
        };
        assert_eq!(get("$document", "value_bytes").as_deref(), Ok("{\"value_bytes\":2}"));
        assert_eq!(get("$document", "last_modified").as_deref(), Ok("{\"last_modified\":\"5\"}"));
        assert_eq!(get("$document", "nope").as_deref(), Ok("{}"));
        assert_eq!(get("$document", "").unwrap().matches(':').count(), 11);
        let clock = "{\"HLC\":{\"mode\":\"logical\",\"now\":\"0\"}}";
        assert_eq!(get("$vbucket", "").as_deref(), Ok(clock));
        assert_eq!(get("$XTOC", "").as_deref(), Ok("[]"));
        assert_eq!(get("$nope", ""), Err(Status::SUBDOC_XATTR_UNKNOWN_VATTR));
    }

    #[test]
    fn every_datatype_has_its_names() {
        for (bits, expected) in [
            (0, "[\"raw\"]"),
            (1, "[\"json\"]"),
            (5, "[\"json\",\"xattr\"]"),
            (7, "[\"snappy\",\"json\",\"xattr\"]"),
        ] {
            assert_eq!(datatypes(Datatype(bits)), expected);
        }
    }
}
