//! Values: text or JSON of the same length, inside extended attributes and compression too.

use mcbp::{Datatype, MAX_BODY_BYTES, xattr};

use super::{Salt, key};

/// Returns another value of the same length that is what `datatype` says, if `value` was.
pub(super) fn redacted(value: &[u8], datatype: Datatype, names: bool, salt: &Salt) -> Vec<u8> {
    if datatype.contains(Datatype::SNAPPY) {
        return compressed(value, datatype, salt);
    }
    if datatype.contains(Datatype::XATTR) {
        return with_attributes(value, datatype, names, salt);
    }
    body(value, value.len(), datatype, salt)
}

/// Returns `length` bytes made from `value`: JSON where the datatype says so, else text.
fn body(value: &[u8], length: usize, datatype: Datatype, salt: &Salt) -> Vec<u8> {
    if !datatype.contains(Datatype::JSON) {
        return salt.letters(value, length);
    }
    match length {
        0..=3 => salt.digits(value, length),
        _ => [b"\"", &*salt.letters(value, length - 2), b"\""].concat(),
    }
}

fn with_attributes(value: &[u8], datatype: Datatype, names: bool, salt: &Salt) -> Vec<u8> {
    let Some((attributes, rest)) = xattr::split(value) else {
        // Damaged: the claimed length stays, so that it stays damaged.
        let (length, rest) = value.split_at_checked(4).unwrap_or((value, &[]));
        return [length, &salt.text(rest)].concat();
    };
    let mut out = value.get(..4).unwrap_or_default().to_vec();
    let mut whole = 0;
    for pair in xattr::each(attributes).flatten() {
        whole += pair.stored.len();
        out.extend_from_slice(pair.stored.get(..4).unwrap_or_default());
        out.extend(if names { attribute_name(pair.name, salt) } else { pair.name.to_vec() });
        out.push(0);
        out.extend(body(pair.value, pair.value.len(), Datatype::JSON, salt));
        out.push(0);
    }
    out.extend(salt.text(attributes.get(whole..).unwrap_or_default()));
    out.extend(body(rest, rest.len(), datatype, salt));
    out
}

/// A first character that says whose an attribute is: the system's, or computed by the node.
const MARKS: [u8; 2] = *b"_$";

/// Returns another name with the same mark, or without one.
fn attribute_name(name: &[u8], salt: &Salt) -> Vec<u8> {
    if let Some((mark, rest)) = name.split_first()
        && MARKS.contains(mark)
    {
        return [&[*mark], &*key::name(rest, salt)].concat();
    }
    // Going on from a name with a mark keeps different names different. Bounded, because a short
    // name that is not ASCII may have no other.
    let others =
        std::iter::successors(Some(key::name(name, salt)), |other| Some(key::name(other, salt)));
    let is_marked = |name: &Vec<u8>| name.first().is_some_and(|first| MARKS.contains(first));
    others.take(64).find(|other| !is_marked(other)).unwrap_or_else(|| vec![b'x'; name.len()])
}

/// Returns a compressed value of the same length: one literal, or two where one does not fit.
fn compressed(value: &[u8], datatype: Datatype, salt: &Salt) -> Vec<u8> {
    let claimed = snap::raw::decompress_len(value).ok();
    let is_bounded = claimed.is_some_and(|bytes| bytes <= MAX_BODY_BYTES as usize);
    let inflates = is_bounded && snap::raw::Decoder::new().decompress_vec(value).is_ok();
    let Some((length, first)) = inflates.then(|| literals(value.len())).flatten() else {
        // A length beyond 32 bits: this is not inflated by anybody.
        let mut damaged = salt.text(value);
        damaged.iter_mut().take(5).for_each(|byte| *byte = 0xff);
        return damaged;
    };
    let mut inflated = Vec::with_capacity(length);
    let mut rest = length;
    if datatype.contains(Datatype::XATTR) {
        let no_attributes = [0; 4];
        inflated.extend_from_slice(no_attributes.get(..length.min(4)).unwrap_or_default());
        rest = length.saturating_sub(4);
    }
    inflated.extend(body(value, rest, datatype, salt));
    let mut out = Vec::with_capacity(value.len());
    push_varint(&mut out, length);
    let (one, two) = inflated.split_at_checked(first).unwrap_or((&inflated, &[]));
    for part in [one, two].into_iter().filter(|part| !part.is_empty()) {
        push_literal_tag(&mut out, part.len());
        out.extend_from_slice(part);
    }
    out
}

/// How many bytes inflate from literals that are `total` bytes with their tags, and how many of
/// them are in the first one.
fn literals(total: usize) -> Option<(usize, usize)> {
    // Length and tags are at most ten bytes.
    for length in (total.saturating_sub(15)..total).rev() {
        let Some(tags) = total.checked_sub(varint_bytes(length) + length) else { continue };
        if length == 0 {
            return (tags == 0).then_some((0, 0));
        }
        if tags == tag_bytes(length) {
            return Some((length, length));
        }
        // A second literal of a few bytes, for lengths at which a tag grows.
        let second = (1..length.min(4)).find(|second| tags == tag_bytes(length - second) + 1);
        if let Some(second) = second {
            return Some((length, length - second));
        }
    }
    None
}

const fn varint_bytes(number: usize) -> usize {
    let bits = usize::BITS - number.leading_zeros();
    if bits == 0 { 1 } else { bits.div_ceil(7) as usize }
}

fn push_varint(out: &mut Vec<u8>, mut number: usize) {
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

/// The bytes in front of a literal of `length` bytes, which are 1 or more.
const fn tag_bytes(length: usize) -> usize {
    match length - 1 {
        0..60 => 1,
        60..0x100 => 2,
        0x100..0x1_0000 => 3,
        0x1_0000..0x100_0000 => 4,
        _ => 5,
    }
}

fn push_literal_tag(out: &mut Vec<u8>, length: usize) {
    let more = tag_bytes(length) - 1;
    let [one, two, three, four] = u32::try_from(length - 1).unwrap_or(u32::MAX).to_le_bytes();
    let code = if more == 0 { one } else { u8::try_from(59 + more).unwrap_or(u8::MAX) };
    out.push(code << 2);
    out.extend([one, two, three, four].into_iter().take(more));
}
