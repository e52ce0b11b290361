//! Made trees, with circles and without.

use super::super::{Complaint, File, Tree};
use super::check;

/// A crate of these files, by their paths within `src`.
fn tree(files: &[(&str, &str)]) -> Tree {
    let file = |(name, text): &(&str, &str)| File {
        path: format!("crates/a/src/{name}"),
        text: (*text).to_owned(),
    };
    Tree { files: files.iter().map(file).collect(), ..Tree::default() }
}

fn complaints(files: &[(&str, &str)]) -> Vec<String> {
    check(&tree(files)).iter().map(Complaint::to_string).collect()
}

#[track_caller]
fn is_free(files: &[(&str, &str)]) {
    assert_eq!(complaints(files), Vec::<String>::new());
}

/// One circle of `modules`.
#[track_caller]
fn has_circle(files: &[(&str, &str)], modules: &str) {
    let found = complaints(files);
    let [complaint] = found.as_slice() else { panic!("{found:#?}") };
    assert!(complaint.contains(&format!("the modules {modules} use each other")), "{complaint}");
}

const TWO: &str = "mod b;\nmod c;";

#[test]
fn a_circle_is_shown_with_a_place_for_each_use() {
    let found = complaints(&[
        ("lib.rs", "mod b;\nmod c;\nmod d;"),
        ("b.rs", "\nuse crate::c::C;\npub struct B;"),
        ("c/mod.rs", "mod inner;\npub struct C;"),
        ("c/inner.rs", "fn make() {\n    let d = crate::d::D;\n}"),
        ("d.rs", "pub struct D(super::b::B);"),
    ]);
    assert_eq!(
        found,
        ["crates/a/src/b.rs:2: the modules b, c, d of `crate` use each other in a circle\n    \
          b -> c (crates/a/src/b.rs:2)\n    \
          c -> d (crates/a/src/c/inner.rs:2)\n    \
          d -> b (crates/a/src/d.rs:1)"]
    );
}

#[test]
fn one_direction_is_no_circle() {
    is_free(&[("lib.rs", TWO), ("b.rs", "use crate::c::C;"), ("c.rs", "pub struct C;")]);
    // Nor is another crate of the same name, or what only a visibility names.
    is_free(&[
        ("lib.rs", TWO),
        ("b.rs", "use crate::c::C;"),
        ("c.rs", "use ::b::B;\nuse b::B2;\npub(in crate::b) struct C;"),
    ]);
}

#[test]
fn a_parent_and_its_children_may_use_each_other() {
    is_free(&[
        ("lib.rs", "mod b;\nuse b::B;\npub struct A;"),
        ("b.rs", "use super::A;\npub struct B;\nfn f(_: crate::A) {}"),
    ]);
}

#[test]
fn a_name_that_the_parent_imports_is_the_siblings() {
    let of_b = "use super::C;\npub struct B;";
    let of_c = "use super::b::B;\npub struct C;";
    for import in ["use c::C;", "pub use self::c::C;", "use c::*;", "use c::{C as X, C};"] {
        has_circle(
            &[("lib.rs", &format!("{TWO}\n{import}")), ("b.rs", of_b), ("c.rs", of_c)],
            "b, c of `crate`",
        );
    }
}

#[test]
fn a_circle_inside_a_folder_is_found() {
    has_circle(
        &[
            ("lib.rs", "mod a;"),
            ("a/mod.rs", "mod b;\nmod c;"),
            ("a/b.rs", "use crate::a::c::C;\npub struct B;"),
            ("a/c.rs", "use super::b;\npub struct C;"),
        ],
        "b, c of `crate::a`",
    );
}

#[test]
fn uses_are_seen_in_types_expressions_and_macros() {
    let of_b = "pub struct B;\npub fn make() -> crate::c::C { panic!() }";
    for use_of_b in [
        "fn f() { super::b::make(); }",
        "type T = super::b::B;",
        "impl super::b::B {}",
        "fn f() { println!(\"{}\", super::b::make()); }",
        "fn f() { use super::b::B; }",
        "mod within { use super::super::b::B; }",
        "fn f(x: u8) { matches!(x, crate::b::B); }",
        "use super::*;\nfn f() { b::make(); }",
    ] {
        let of_c = format!("{use_of_b}\npub struct C;");
        has_circle(&[("main.rs", TWO), ("b.rs", of_b), ("c.rs", &of_c)], "b, c of `crate`");
    }
}

#[test]
fn tests_may_look_inside() {
    let of_b = "use crate::c::C;\npub struct B;";
    for use_of_b in [
        "#[cfg(test)]\nmod looks { use crate::b::B; }",
        "#[cfg(test)]\nuse crate::b::B;",
        "#[cfg(test)]\nimpl C { fn f(_: crate::b::B) {} }",
        "impl C { #[cfg(test)] fn f(_: crate::b::B) {} }",
        "#[cfg(all(test, unix))]\nfn f(_: crate::b::B) {}",
        "mod tests;",
    ] {
        let of_c = format!("{use_of_b}\npub struct C;");
        let of_tests = ("c/tests.rs", "use crate::b::B;");
        is_free(&[("lib.rs", TWO), ("b.rs", of_b), ("c.rs", &of_c), of_tests]);
    }
}

#[test]
fn imports_in_a_circle_come_to_an_end() {
    is_free(&[
        ("lib.rs", TWO),
        ("b.rs", "use self::x as y;\nuse self::y as x;\nfn f() { x::z(); }"),
        ("c.rs", "use super::c::*;\nfn f() { gone::z(); }"),
    ]);
}

#[test]
fn what_cannot_be_read_is_a_failure() {
    let found = complaints(&[("lib.rs", "\nfn {")]);
    assert!(matches!(found.as_slice(), [one] if one.contains("lib.rs:2: cannot be parsed")));
}
