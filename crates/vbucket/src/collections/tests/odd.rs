//! Manifests that are refused, and what the client is told.

use super::super::{COLLECTIONS_MAX, MANIFEST_BYTES_MAX, Manifest};

/// A manifest with these scopes.
fn with_scopes(uid: &str, scopes: &str) -> String {
    format!(r#"{{"uid":{uid},"scopes":[{scopes}]}}"#)
}

/// A manifest of uid 9 whose default scope has these collections.
fn with(collections: &str) -> String {
    let scope = format!(r#"{{"name":"_default","uid":"0","collections":[{collections}]}}"#);
    with_scopes("\"9\"", &scope)
}

fn refused(json: &str) -> String {
    Manifest::parse(json.as_bytes()).unwrap_err().to_string()
}

const DEFAULT: &str = r#"{"name":"_default","uid":"0","collections":[]}"#;

#[test]
fn every_flaw_of_a_collection_is_named() {
    let same = r#"{"name":"a","uid":"8"},"#;
    for (collections, text) in [
        ("7", "a collection of scope \"_default\" is no object"),
        (r#"{"name":"a"}"#, "needs the member uid, a string"),
        (r#"{"name":7,"uid":"8"}"#, "needs the member name, a string"),
        (r#"{"name":"$a","uid":"8"}"#, "has the name \"$a\", expected 1 to 251"),
        (r#"{"name":"a","uid":"7"}"#, "uids 1 to 7 are reserved"),
        (r#"{"name":"a","uid":""}"#, "uid is \"\", expected 1 to 8 hexadecimal digits"),
        (r#"{"name":"a","uid":"+8"}"#, "uid is \"+8\""),
        (r#"{"name":"a","uid":"000000008"}"#, "uid is \"000000008\""),
        (r#"{"name":"a","uid":"0"}"#, "uid 0 is that of _default._default"),
        (r#"{"name":"a","uid":"8","maxTTL":2147483648}"#, "maxTTL is 2147483648, expected 0 to"),
        (r#"{"name":"a","uid":"8","maxTTL":1.0}"#, "maxTTL is 1.0"),
        (r#"{"name":"a","uid":"8","maxTTL":null}"#, "maxTTL is null"),
        (r#"{"name":"a","uid":"8","history":1}"#, "history is 1, expected true or false"),
        (r#"{"name":"a","uid":"8","metered":"true"}"#, "metered is \"true\""),
        (r#"{"name":"a","uid":"8","flush_uid":"a"}"#, "flush_uid a is above the manifest's uid 9"),
        (r#"{"name":"a","uid":"8","flush_uid":3}"#, "needs the member flush_uid, a string"),
        (&format!("{same}{}", r#"{"name":"a","uid":"9"}"#), "the collection \"a\" twice"),
        (&format!("{same}{}", r#"{"name":"b","uid":"8"}"#), "and \"a\" have the same uid 8"),
    ] {
        let error = refused(&with(collections));
        assert!(error.contains(text), "{collections}: {error}");
    }
}

#[test]
fn every_flaw_of_a_scope_is_named() {
    let default = DEFAULT;
    let system = r#"{"name":"_s","uid":"8","collections":[{"name":"a","uid":"8"}]}"#;
    let twice = r#"{"name":"_default","uid":"8","collections":[]}"#;
    let moved = r#"{"name":"s","uid":"8","collections":[{"name":"_default","uid":"0"}]}"#;
    for (scopes, text) in [
        ("[]".to_owned(), "a scope is no object"),
        (r#"{"name":"s","uid":"8"}"#.to_owned(), "needs the member collections, an array"),
        (r#"{"name":"s","uid":"0","collections":[]}"#.to_owned(), "uid 0 is that of the scope"),
        (r#"{"name":"s","uid":"8","collections":[]}"#.to_owned(), "no scope \"_default\" with"),
        (format!("{default},{default}"), "have the same uid 0"),
        (format!("{default},{twice}"), "scope \"_default\" is there twice"),
        (format!("{default},{system}"), "in a scope of the system"),
        (format!("{default},{moved}"), "uid 0 is that of _default._default"),
    ] {
        let error = refused(&with_scopes("\"9\"", &scopes));
        assert!(error.contains(text), "{scopes}: {error}");
    }
}

#[test]
fn every_flaw_of_the_whole_is_named() {
    let deep = "[".repeat(100_000);
    let long = " ".repeat(MANIFEST_BYTES_MAX + 1);
    for (json, text) in [
        ("", "the manifest is not JSON"),
        ("[]", "the manifest is no object"),
        (r#"{"uid":"1"}"#, "the manifest needs the member scopes, an array"),
        (r#"{"uid":"11112222333344445","scopes":[]}"#, "expected 1 to 16 hexadecimal digits"),
        (&deep, "recursion limit"),
        (&long, "has 2097153 bytes, at most 2097152"),
        (&with_scopes("\"0\"", DEFAULT), "a manifest of uid 0 has _default._default alone"),
    ] {
        let error = refused(json);
        assert!(error.contains(text), "{error}");
    }
    let flushed = with(r#"{"name":"_default","uid":"0","flush_uid":"0"}"#);
    assert!(
        refused(&flushed.replace("\"9\"", "\"0\"")).contains("flush_uid in a manifest of uid 0")
    );
}

#[test]
fn the_number_of_collections_is_bounded() {
    let many = |count: usize| {
        let one = |id| format!(r#"{{"name":"c{id}","uid":"{:x}"}}"#, id + 8);
        with(&(0..count).map(one).collect::<Vec<_>>().join(","))
    };
    let most = Manifest::parse(many(COLLECTIONS_MAX).as_bytes()).unwrap();
    assert_eq!(most.collections().count(), COLLECTIONS_MAX);
    let error = refused(&many(COLLECTIONS_MAX + 1));
    assert_eq!(error, "the manifest has 1201 collections, at most 1200");
}

#[test]
fn what_is_unusual_and_valid_is_taken() {
    let epoch = concat!(
        r#"{"scopes":[{"collections":[{"name":"_default","uid":"0"}],"#,
        r#""name":"_default","uid":"0"}],"uid":"0"}"#,
    );
    assert_eq!(Manifest::parse(epoch.as_bytes()), Ok(Manifest::default()));
    assert_eq!(Manifest::default().to_json(), epoch);
    let odd = with(concat!(
        r#"{"name":"_x","uid":"FF","maxTTL":0,"history":true,"metered":true,"#,
        r#""flush_uid":"009","new":{}}"#,
    ));
    let odd = Manifest::parse(odd.as_bytes()).unwrap();
    let collection = odd.collection(255).unwrap();
    assert_eq!((collection.max_ttl, collection.flush_uid), (Some(0), 9));
    assert_eq!(
        odd.to_json(),
        concat!(
            r#"{"scopes":[{"collections":[{"flush_uid":"9","history":true,"maxTTL":0,"#,
            r#""metered":true,"name":"_x","uid":"ff"}],"name":"_default","uid":"0"}],"uid":"9"}"#,
        )
    );
}

#[test]
fn what_has_an_id_keeps_its_name_and_scope() {
    let scope = |name: &str, collections: &str| {
        format!(r#"{{"name":"{name}","uid":"8","collections":[{collections}]}}"#)
    };
    let manifest = |uid: &str, scope: &str| {
        Manifest::parse(with_scopes(uid, &format!("{DEFAULT},{scope}")).as_bytes()).unwrap()
    };
    let old = manifest("\"1\"", &scope("s", r#"{"name":"a","uid":"8"}"#));
    let renamed = manifest("\"2\"", &scope("t", r#"{"name":"a","uid":"8"}"#));
    let refusal = renamed.may_follow(&old).unwrap_err();
    assert_eq!(refusal.status, mcbp::Status::CANNOT_APPLY_MANIFEST);
    assert!(refusal.text.starts_with("scope 0x8 is \"s\" and cannot become \"t\""), "{refusal}");
    let renamed = manifest("\"2\"", &scope("s", r#"{"name":"b","uid":"8"}"#));
    let refusal = renamed.may_follow(&old).unwrap_err();
    assert!(refusal.text.starts_with("collection 0x8 is \"a\" in scope 0x8 and"), "{refusal}");
    let changed = manifest("\"2\"", &scope("s", r#"{"name":"a","uid":"8","maxTTL":1}"#));
    assert_eq!(changed.may_follow(&old), Ok(()));
}
