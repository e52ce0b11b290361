//! What a deletion keeps.

use super::*;

fn attribute(name: &str, value: &str) -> Vec<u8> {
    let pair = format!("{name}\0{value}\0");
    [&(pair.len() as u32).to_be_bytes(), pair.as_bytes()].concat()
}

fn with_attributes(attributes: &[Vec<u8>], body: &str) -> Vec<u8> {
    let attributes = attributes.concat();
    [&(attributes.len() as u32).to_be_bytes(), attributes.as_slice(), body.as_bytes()].concat()
}

#[test]
fn a_deletion_keeps_the_attributes_of_the_system_and_nothing_else() {
    let (sync, txn, user) =
        (attribute("_sync", "{}"), attribute("_txn", "1"), attribute("color", "\"red\""));
    let none = (Datatype::RAW, Bytes::new());
    let some =
        |attributes: &[Vec<u8>]| (Datatype::XATTR, Bytes::from(with_attributes(attributes, "")));
    let json = Datatype::XATTR.with(Datatype::JSON);
    let all = with_attributes(&[sync.clone(), user.clone(), txn.clone()], "{\"a\":1}");
    let kept = some(&[sync, txn]);
    assert_eq!(kept_by_deletion(json, &all.clone().into()), kept);
    let squeezed = snap::raw::Encoder::new().compress_vec(&all).unwrap();
    assert_eq!(kept_by_deletion(json.with(Datatype::SNAPPY), &squeezed.into()), kept);
    let users = with_attributes(&[user], "body");
    assert_eq!(kept_by_deletion(Datatype::XATTR, &users.into()), none);
    assert_eq!(kept_by_deletion(Datatype::XATTR, &with_attributes(&[], "body").into()), none);
    assert_eq!(kept_by_deletion(Datatype::JSON, &Bytes::from_static(b"{}")), none);
    // What is kept once is kept again.
    assert_eq!(kept_by_deletion(kept.0, &kept.1), kept);
}

#[test]
fn a_value_of_which_nothing_goes_is_kept_as_it_came() {
    let json = Datatype::XATTR.with(Datatype::JSON);
    let plain = Bytes::from(with_attributes(&[attribute("_sync", "{}")], ""));
    assert_eq!(kept_by_deletion(json, &plain), (Datatype::XATTR, plain.clone()));
    let squeezed = Bytes::from(snap::raw::Encoder::new().compress_vec(&plain).unwrap());
    let snappy = Datatype::XATTR.with(Datatype::SNAPPY);
    assert_eq!(kept_by_deletion(snappy, &squeezed), (snappy, squeezed.clone()));
}

#[test]
fn what_cannot_be_read_goes_with_the_body() {
    let none = (Datatype::RAW, Bytes::new());
    let whole = with_attributes(&[attribute("_sync", "{}")], "");
    for length in 0..whole.len() {
        let cut = Bytes::copy_from_slice(&whole[..length]);
        assert_eq!(kept_by_deletion(Datatype::XATTR, &cut), none, "{length}");
    }
    let snappy = Datatype::XATTR.with(Datatype::SNAPPY);
    assert_eq!(kept_by_deletion(snappy, &Bytes::from_static(b"\xff\xff\xff\xff\x0f")), none);
}
