//! Scripts about values: refused, too long, too many, deleted.

use super::*;

#[test]
fn nonsense_is_refused_once_with_key_value_and_reason() {
    start()
        .up(&[item("default", 7, ALPHA_5), item("other", 8, "{}")])
        .on(
            Event::Changed(vec![item("default", 11, r#"{"gamma":"5"}"#)]),
            &[concat!(
                r#"default at 11 refused: /p/maps/beta/default {"gamma":"5"} "#,
                r#"unknown producer "gamma""#
            )],
        )
        .on(Event::Changed(vec![item("default", 11, r#"{"gamma":"5"}"#)]), &[])
        .on(
            Event::Known(known(&["default", "other"], &["alpha", "gamma"])),
            &[r#"default at 11: {"connections":1,"replicate":{"gamma":"5"}}"#],
        )
        .on(
            Event::Changed(vec![item("nobody", 12, "{}")]),
            &["nobody at 12 refused: /p/maps/beta/nobody {} the configuration has no"],
        )
        .on(Event::Changed(vec![deleted("nobody", 13)]), &["nobody missing: /p/maps/beta/nobody"])
        .on(
            Event::Changed(vec![item("a/b", 14, "x")]),
            &["a/b at 14 refused: /p/maps/beta/a/b x not the key of a map: gi"],
        );
}

#[test]
fn a_long_value_is_neither_kept_nor_repeated() {
    let long = "x".repeat(100_000);
    let mut script = start();
    script.up(&[]);
    let told =
        script.follower.on(Event::Changed(vec![item("default", 11, &long)]), 1_000, 1.0).remove(0);
    let Effect::Tell(Update::Refused { value, reason, .. }) = told else {
        panic!("not refused: {told:?}")
    };
    assert!(value.len() < 200 && value.starts_with("xxxx"), "{value}");
    assert!(reason.starts_with("100000 bytes are too many"), "{reason}");
    assert!(format!("{:?}", script.follower).len() < 5_000, "it is kept");
}

#[test]
fn keys_beyond_the_bound_are_not_kept_but_those_of_buckets_are() {
    let mut script = start();
    let strays: Vec<_> = (0..2_000).map(|n| item(&format!("stray{n}"), 20 + n, "{}")).collect();
    script.up(&[]);
    let told = script.follower.on(Event::Changed(strays), 1_000, 1.0);
    assert_eq!(told.len(), KEYS_MAX);
    script.on(
        Event::Changed(vec![item("other", 3_000, "{}")]),
        &[r#"other at 3000: {"connections":1,"replicate":{}}"#],
    );
}

#[test]
fn a_deleted_key_is_told_and_older_events_do_not_count() {
    start()
        .up(&[item("default", 7, ALPHA_5), item("other", 8, "{}")])
        .on(Event::Changed(vec![deleted("default", 6), item("other", 3, ALPHA_5)]), &[])
        .on(
            Event::Changed(vec![deleted("default", 11)]),
            &["default missing: /p/maps/beta/default"],
        )
        .on(
            Event::Changed(vec![item("default", 12, ALPHA_5)]),
            &[r#"default at 12: {"connections":1,"replicate":{"alpha":"5"}}"#],
        );
}
