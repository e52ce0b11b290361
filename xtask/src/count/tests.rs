//! Figures at, above and below their limits; the file is read as it was written.

use super::limits::{Figure, Limits, written};
use super::{figure, figures};

const COMPILER: &str = "rustc 1.95.0 (59807616e 2026-04-14)";

fn of(case: &str, instructions: u64) -> Figure {
    Figure { path: "scan".to_owned(), case: case.to_owned(), instructions }
}

/// The judgement over figures whose limits are 1,000,000 each.
fn judge(figures: &[Figure], compiler: &str) -> (bool, String) {
    let limits = written(&[of("small", 1_000_000), of("large", 1_000_000)], COMPILER);
    let report = Limits::read(&limits).unwrap().judge(figures, compiler);
    (report.holds, report.text)
}

#[test]
fn a_figure_within_the_tolerance_holds() {
    let (holds, text) = judge(&[of("small", 1_029_000), of("large", 971_000)], COMPILER);
    assert!(holds && !text.contains("--accept"), "{text}");
}

#[test]
fn a_path_above_its_limit_fails_and_says_by_how_much() {
    let (holds, text) = judge(&[of("small", 1_082_000), of("large", 1_000_000)], COMPILER);
    assert!(!holds);
    assert!(
        text.contains("scan.small") && text.contains("+8.2 %  above the limit 1,000,000"),
        "{text}"
    );
    assert!(text.contains("cargo xtask count --accept"), "{text}");
}

#[test]
fn a_path_below_its_limit_holds_and_is_reported() {
    let (holds, text) = judge(&[of("small", 500_000), of("large", 1_000_000)], COMPILER);
    assert!(holds);
    assert!(text.contains("-50.0 %  below the limit 1,000,000"), "{text}");
    assert!(text.contains("cargo xtask count --accept"), "{text}");
}

#[test]
fn a_path_without_limit_and_a_limit_without_path_fail() {
    let (holds, text) =
        judge(&[of("small", 1_000_000), of("large", 1_000_000), of("new", 1)], COMPILER);
    assert!(!holds && text.contains("scan.new: has no limit"), "{text}");
    let (holds, text) = judge(&[of("small", 1_000_000)], COMPILER);
    assert!(!holds && text.contains("scan.large: was not counted"), "{text}");
}

#[test]
fn figures_of_another_compiler_are_reported_and_do_not_fail() {
    let (holds, text) = judge(&[of("small", 2_000_000), of("large", 1)], "rustc 1.96.0 (ab)");
    assert!(holds);
    assert!(text.contains("+100.0 %") && text.contains("for rustc 1.95.0 on"), "{text}");
}

#[test]
fn a_file_of_limits_with_nonsense_is_refused() {
    for text in ["[scan]\nsmall = 0", "[scan]\nsmall = \"1\"", "scan = 1", "[scan"] {
        assert!(Limits::read(text).is_err(), "{text}");
    }
}

#[test]
fn figures_are_taken_from_what_gungraun_prints() {
    let line = r#"{"function_name":"scan","id":"small","profiles":[{"data":{"total":{"metrics":
        {"Ir":{"values":{"new":12,"old":13}}}}}}]}"#
        .replace('\n', "");
    assert_eq!(figures(&format!("{line}\n\n")).unwrap(), [of("small", 12)]);
    assert!(figure(r#"{"function_name":"scan"}"#).is_err());
}
