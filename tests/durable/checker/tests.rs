//! Histories that the checker has to accept, and others that it has to refuse.

use fastrand::Rng;

use super::{Needs, Refusal, State, Step, check};

fn read(start: u64, end: u64, state: State) -> Step {
    Step { start, end: Some(end), needs: Needs::Is(state), sets: None }
}

fn write(start: u64, end: u64, value: u64) -> Step {
    Step { start, end: Some(end), needs: Needs::Nothing, sets: Some(Some(value)) }
}

fn swap(start: u64, end: u64, old: u64, new: u64) -> Step {
    Step { needs: Needs::Is(Some(old)), ..write(start, end, new) }
}

fn drop_all(start: u64, end: u64) -> Step {
    Step { sets: Some(None), ..write(start, end, 0) }
}

fn ambiguous(step: Step) -> Step {
    Step { end: None, ..step }
}

fn refused(step: Step, needs: Needs) -> Step {
    Step { needs, sets: None, ..step }
}

#[test]
fn histories_of_a_register_are_accepted() {
    let histories = [
        vec![],
        vec![read(1, 2, None)],
        vec![write(1, 2, 7), read(3, 4, Some(7))],
        // Either order of two writes at the same time, and readers who tell which one it was.
        vec![write(1, 6, 7), write(2, 5, 8), read(3, 4, Some(8)), read(7, 8, Some(7))],
        vec![write(1, 6, 7), write(2, 5, 8), read(7, 8, Some(8))],
        // It is read before it is acknowledged.
        vec![write(1, 9, 7), read(2, 3, None), read(4, 5, Some(7))],
        vec![write(1, 2, 7), swap(3, 4, 7, 8), refused(write(5, 6, 9), Needs::Not(Some(7)))],
        vec![write(1, 2, 7), drop_all(3, 6), read(4, 5, Some(7)), read(7, 8, None)],
        // Nobody knows of it: never, or late.
        vec![write(1, 2, 7), ambiguous(write(3, 4, 8)), read(5, 6, Some(7))],
        vec![
            write(1, 2, 7),
            ambiguous(write(3, 4, 8)),
            read(5, 6, Some(7)),
            write(7, 8, 9),
            read(9, 10, Some(9)),
            read(11, 12, Some(8)),
        ],
        // A swap is refused because of a write that nobody has acknowledged.
        vec![
            write(1, 2, 7),
            ambiguous(write(3, 4, 8)),
            refused(write(5, 6, 9), Needs::Not(Some(7))),
        ],
    ];
    for history in histories {
        assert_eq!(check(None, &history), Ok(()), "{history:#?}");
    }
    assert_eq!(check(Some(3), &[read(1, 2, Some(3))]), Ok(()));
}

#[test]
fn other_histories_are_refused() {
    let histories = [
        ("a lost write", vec![write(1, 2, 7), read(3, 4, None)]),
        ("a lost update", vec![write(1, 2, 7), write(3, 4, 8), read(5, 6, Some(7))]),
        (
            "a stale read",
            vec![write(1, 2, 7), write(3, 8, 8), read(4, 5, Some(8)), read(6, 7, Some(7))],
        ),
        ("a value of nobody", vec![write(1, 2, 7), read(3, 4, Some(9))]),
        ("a value from the future", vec![read(1, 2, Some(7)), write(3, 4, 7)]),
        ("two swaps of one version", vec![write(1, 2, 7), swap(3, 6, 7, 8), swap(4, 5, 7, 9)]),
        ("back after a drop", vec![write(1, 2, 7), drop_all(3, 4), read(5, 6, Some(7))]),
        (
            "seen, then never done",
            vec![
                write(1, 2, 7),
                ambiguous(write(3, 4, 8)),
                read(5, 6, Some(8)),
                read(7, 8, Some(7)),
            ],
        ),
        (
            "done twice",
            vec![
                ambiguous(write(1, 2, 7)),
                read(3, 4, Some(7)),
                write(5, 6, 8),
                read(7, 8, Some(8)),
                read(9, 10, Some(7)),
            ],
        ),
        (
            "refused without a reason",
            vec![write(1, 2, 7), refused(write(3, 4, 8), Needs::Not(Some(7)))],
        ),
    ];
    for (what, history) in histories {
        let refusal = check(None, &history).expect_err(what);
        assert!(matches!(refusal, Refusal::NoOrder { .. }), "{what}: {refusal:?}");
    }
}

#[test]
fn a_refusal_shows_where_the_longest_order_ends() {
    let history = [write(1, 2, 7), write(3, 4, 8), read(5, 6, Some(7)), read(7, 8, Some(8))];
    let refusal = Refusal::NoOrder { state: Some(8), next: vec![2] };
    assert_eq!(check(None, &history), Err(refusal));
}

/// Operations of a register, each at one moment: whatever is known of these moments fits. Then one
/// of the reads is changed to an older value than it can have seen.
#[test]
fn random_histories_are_accepted_and_a_seeded_stale_read_is_found() {
    for seed in 0..30 {
        let mut rng = Rng::with_seed(seed);
        let (mut history, mut state, mut values) = (Vec::new(), None, vec![None]);
        for at in 1..=100_u64 {
            let (start, end) = (at * 100 - rng.u64(..400).min(at * 99), at * 100 + rng.u64(..400));
            let mut step = match rng.u8(..10) {
                0..=4 => read(start, end, state),
                5 | 6 => write(start, end, at),
                7 => Step { needs: Needs::Is(state), ..write(start, end, at) },
                8 => refused(write(start, end, at), Needs::Not(Some(u64::MAX))),
                _ => drop_all(start, end),
            };
            state = step.sets.unwrap_or(state);
            if step.sets.is_some() {
                values.push(state);
                if rng.u8(..16) == 0 {
                    step.end = None;
                }
            }
            history.push(step);
        }
        assert_eq!(check(None, &history), Ok(()), "seed {seed}");
        history.extend([write(40_000, 40_001, 1_000), read(40_002, 40_003, values[1])]);
        // A write that nobody knows of may explain it.
        let late = history.iter().any(|step| step.end.is_none() && step.sets == Some(values[1]));
        assert!(late || check(None, &history).is_err(), "seed {seed}");
    }
}
