//! Extended attributes of a document: they precede the body of a value with the datatype
//! [`Datatype::XATTR`](crate::Datatype::XATTR).
//!
//! Their length as a u32, then for each its length as a u32, its name and its value, each
//! terminated by a zero. Names that begin with `_` are the system's. Source: `docs/Document.md` of
//! couchbase/kv_engine.

/// Splits a value that is not compressed into its attributes, without their length, and the body.
/// `None` where the attributes are longer than the value.
#[must_use]
pub fn split(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = value.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

/// One attribute.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Xattr<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// Its value, which is JSON if its writer kept to the rules.
    pub value: &'a [u8],
    /// The whole attribute as it is stored: length, name, value, zeros.
    pub stored: &'a [u8],
}

/// Goes through attributes in their order. An item of `None`, the last one, says that the rest is
/// damaged.
#[must_use]
pub const fn each(attributes: &[u8]) -> Xattrs<'_> {
    Xattrs { rest: attributes }
}

/// See [`each`].
#[derive(Clone, Debug)]
pub struct Xattrs<'a> {
    rest: &'a [u8],
}

impl<'a> Xattrs<'a> {
    fn pair(&mut self) -> Option<Xattr<'a>> {
        let (length, rest) = self.rest.split_first_chunk::<4>()?;
        let length_bytes = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (pair, others) = rest.split_at_checked(length_bytes)?;
        let stored = self.rest.get(..length.len() + length_bytes)?;
        let name_bytes = pair.iter().position(|&byte| byte == 0)?;
        let (name, value) = pair.split_at_checked(name_bytes)?;
        let value = value.strip_prefix(&[0])?.strip_suffix(&[0])?;
        self.rest = others;
        Some(Xattr { name, value, stored })
    }
}

impl<'a> Iterator for Xattrs<'a> {
    type Item = Option<Xattr<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let pair = self.pair();
        if pair.is_none() {
            self.rest = &[];
        }
        Some(pair)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(pairs: &[(&str, &str)]) -> Vec<u8> {
        let pair = |(name, value): &(&str, &str)| {
            let length = u32::try_from(name.len() + value.len() + 2).unwrap();
            [&length.to_be_bytes()[..], name.as_bytes(), b"\0", value.as_bytes(), b"\0"].concat()
        };
        pairs.iter().flat_map(pair).collect()
    }

    fn names_and_values(attributes: &[u8]) -> Vec<Option<(&[u8], &[u8])>> {
        each(attributes).map(|xattr| xattr.map(|xattr| (xattr.name, xattr.value))).collect()
    }

    #[test]
    fn attributes_and_body_are_apart() {
        let attributes = stored(&[("_sync", "{\"a\":1}"), ("user", "2")]);
        let length = u32::try_from(attributes.len()).unwrap().to_be_bytes();
        let value = [&length[..], &attributes, b"body"].concat();
        assert_eq!(split(&value), Some((&attributes[..], &b"body"[..])));
        let pairs: [(&[u8], &[u8]); 2] = [(b"_sync", b"{\"a\":1}"), (b"user", b"2")];
        assert_eq!(names_and_values(&attributes), pairs.map(Some));
        let whole: Vec<u8> =
            each(&attributes).flat_map(|pair| pair.unwrap().stored).copied().collect();
        assert_eq!(whole, attributes);
        assert_eq!(names_and_values(&[]), []);
    }

    #[test]
    fn what_is_cut_off_is_damaged_at_every_length() {
        let attributes = stored(&[("a", "1")]);
        for length in 1..attributes.len() {
            assert_eq!(names_and_values(&attributes[..length]), [None], "{length}");
        }
        assert_eq!(split(&[0, 0, 0, 5, 1]), None);
        assert_eq!(split(&[0, 0, 0]), None);
        assert_eq!(names_and_values(b"\0\0\0\x02ab"), [None], "without zeros");
        let after_a_good_one = [&attributes[..], b"\0"].concat();
        assert_eq!(names_and_values(&after_a_good_one), [Some((&b"a"[..], &b"1"[..])), None]);
    }
}
