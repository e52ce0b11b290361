//! The value of a change: attributes and body, as JSON, text or base64.

use std::io;

use mcbp::{Datatype, xattr};

use super::json;
use super::text::{base64, string};

/// Writes the fields of a value that is not empty, each with a comma before it.
pub(super) fn write(
    datatype: Datatype,
    value: &[u8],
    raw: bool,
    out: &mut impl io::Write,
) -> io::Result<()> {
    // It cannot be looked into. No node sends it, as it was not agreed on.
    if raw || datatype.contains(Datatype::SNAPPY) {
        out.write_all(b",\"value_base64\":")?;
        return base64(value, out);
    }
    if !datatype.contains(Datatype::XATTR) {
        return body(datatype, value, out);
    }
    match xattr::split(value) {
        Some((attributes, rest)) => {
            write_attributes(attributes, out)?;
            if rest.is_empty() { Ok(()) } else { body(datatype, rest, out) }
        }
        None => {
            out.write_all(b",\"value_base64\":")?;
            base64(value, out)
        }
    }
}

fn body(datatype: Datatype, body: &[u8], out: &mut impl io::Write) -> io::Result<()> {
    if datatype.contains(Datatype::JSON) {
        if let Some(shape) = json::check(body) {
            out.write_all(b",\"value\":")?;
            return json::write(body, shape, out);
        }
        // A node that takes the word of its clients. As a string it would look like JSON.
    } else if let Ok(text) = std::str::from_utf8(body) {
        out.write_all(b",\"value\":")?;
        return string(text, out);
    }
    out.write_all(b",\"value_base64\":")?;
    base64(body, out)
}

/// Writes attributes as an object, or as base64 where that cannot be made of them.
fn write_attributes(attributes: &[u8], out: &mut impl io::Write) -> io::Result<()> {
    if attributes.is_empty() {
        return Ok(());
    }
    let is_object = xattr::each(attributes).all(|attribute| {
        attribute.is_some_and(|it| {
            std::str::from_utf8(it.name).is_ok() && json::check(it.value).is_some()
        })
    });
    if !is_object {
        out.write_all(b",\"xattrs_base64\":")?;
        return base64(attributes, out);
    }
    out.write_all(b",\"xattrs\":{")?;
    for (at, attribute) in xattr::each(attributes).flatten().enumerate() {
        if at > 0 {
            out.write_all(b",")?;
        }
        string(&String::from_utf8_lossy(attribute.name), out)?;
        out.write_all(b":")?;
        json::write(attribute.value, json::Shape::SeveralLines, out)?;
    }
    out.write_all(b"}")
}
