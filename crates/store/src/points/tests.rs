//! Points stay few, are exact near the newest one, and grow sparser with distance.

use super::*;

#[test]
fn few_points_are_exact() {
    let mut points = Points::default();
    for seqno in [3, 7, 7, 5, 9] {
        points.push(seqno);
    }
    assert_eq!(points.as_slice(), [3, 7, 9]);
    assert_eq!([2, 3, 8, 99].map(|to| points.at_or_below(to)), [None, Some(3), Some(7), Some(9)]);
    points.cut_above(8);
    points.cut_below(4);
    assert_eq!(points.as_slice(), [7]);
}

#[test]
fn a_rollback_overshoots_by_a_part_of_its_distance() {
    let mut points = Points::default();
    const NEWEST: u64 = 100_000;
    for seqno in 1..=NEWEST {
        points.push(seqno);
        assert!(points.as_slice().len() <= POINTS_MAX);
    }
    for distance in [0, 1, 2, 5, 10, 100, 1_000, 10_000, 50_000] {
        let found = points.at_or_below(NEWEST - distance).unwrap();
        let overshoot = NEWEST - distance - found;
        assert!(overshoot <= distance + 1, "{distance} back: {overshoot} too far, {points:?}");
    }
}
