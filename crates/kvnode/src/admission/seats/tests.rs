//! Scripts of connections that come, log in and go.

use super::*;

const A: Network = Network::V4(1);
const B: Network = Network::V4(2);

const LIMITS: SeatLimits = SeatLimits { total: 6, users: 4, strangers: 4, of_network: 3 };

/// What happens, by the number of the connection, and what is expected of it.
enum Step {
    /// A connection comes from a network; the older one that loses its seat.
    Enter(Network, Option<u64>),
    Refused(Network),
    LogIn(u64),
    LogOut(u64),
    Replicate(u64),
    Leave(u64),
    /// Seats taken, and how many of them by strangers.
    Taken(usize, usize),
}

use Step::{Enter, Leave, LogIn, LogOut, Refused, Replicate, Taken};

fn play(steps: &[Step]) {
    let mut seats = Seats::new(LIMITS);
    for (at, step) in steps.iter().enumerate() {
        match *step {
            Enter(network, expected) => {
                let next = SeatId(seats.next);
                let evicted = expected.map(SeatId);
                let entry = seats.enter(network);
                assert_eq!(entry, Entry::Seated { id: next, evicted }, "step {at}");
            }
            Refused(network) => assert_eq!(seats.enter(network), Entry::Refused, "step {at}"),
            LogIn(id) => seats.log_in(SeatId(id)),
            LogOut(id) => seats.log_out(SeatId(id)),
            Replicate(id) => seats.replicate(SeatId(id)),
            Leave(id) => seats.leave(SeatId(id)),
            Taken(taken, strangers) => {
                assert_eq!((seats.taken(), seats.strangers()), (taken, strangers), "step {at}");
            }
        }
    }
}

#[test]
fn the_oldest_stranger_goes_first() {
    play(&[
        Enter(A, None),
        Enter(B, None),
        Enter(A, None),
        Enter(B, None),
        Taken(4, 4),
        Enter(A, Some(0)),
        Enter(B, Some(1)),
        Taken(4, 4),
        Leave(0),
        Leave(2),
        Enter(A, None),
    ]);
}

#[test]
fn a_network_displaces_only_its_own_strangers() {
    play(&[
        Enter(B, None),
        Enter(A, None),
        Enter(A, None),
        Enter(A, None),
        Enter(A, Some(1)),
        Enter(A, Some(2)),
        Enter(A, Some(3)),
        Taken(4, 4),
    ]);
}

#[test]
fn whoever_logs_in_is_never_displaced() {
    play(&[
        Enter(A, None),
        LogIn(0),
        Enter(A, None),
        LogIn(1),
        Enter(A, None),
        LogIn(2),
        Enter(A, None),
        LogIn(3),
        Taken(4, 0),
        Enter(A, None),
        Enter(B, None),
        Taken(6, 2),
        Enter(B, Some(4)),
        Enter(B, Some(5)),
        Taken(6, 2),
    ]);
}

#[test]
fn users_leave_seats_for_replication() {
    play(&[
        Enter(A, None),
        LogIn(0),
        Enter(A, None),
        LogIn(1),
        Enter(A, None),
        LogIn(2),
        Enter(A, None),
        LogIn(3),
        Enter(A, None),
        // A fifth user finds no seat of users, and stays a stranger until it opens DCP.
        LogIn(4),
        Taken(5, 1),
        Replicate(4),
        Taken(5, 0),
        Enter(B, None),
        Enter(B, Some(5)),
        LogIn(6),
        Replicate(6),
        Taken(6, 0),
        Refused(B),
        // Somebody who leaves makes room for the next.
        Leave(0),
        Enter(B, None),
        LogIn(7),
        Taken(6, 0),
    ]);
}

#[test]
fn a_failed_login_makes_a_stranger_again() {
    play(&[Enter(A, None), LogIn(0), LogOut(0), Taken(1, 1), LogIn(0), Taken(1, 0), Leave(0)]);
}

#[test]
fn a_connection_that_is_closing_is_not_displaced_twice_nor_counted() {
    play(&[
        Enter(A, None),
        Enter(A, None),
        Enter(A, None),
        Enter(A, Some(0)),
        LogIn(0),
        Replicate(0),
        Taken(3, 3),
        Enter(A, Some(1)),
        Leave(0),
        Leave(0),
        Leave(1),
        Taken(3, 3),
    ]);
}

#[test]
fn a_flood_that_is_faster_than_the_ends_of_connections_is_refused() {
    let mut seats = Seats::new(LIMITS);
    let entries: Vec<_> = (0..1000).map(|_| seats.enter(A)).collect();
    let refused = entries.iter().filter(|entry| **entry == Entry::Refused).count();
    assert_eq!(refused, 1000 - LIMITS.of_network - CLOSING_MAX);
    assert!(seats.holders.len() <= LIMITS.total + CLOSING_MAX);
    seats.leave(SeatId(0));
    assert_ne!(seats.enter(A), Entry::Refused);
}

#[test]
fn any_number_of_seats_serves_somebody() {
    for total in 0..200 {
        let limits = SeatLimits::of(total);
        let SeatLimits { total, users, strangers, of_network } = limits;
        assert!((1..=total).contains(&users), "{limits:?}");
        assert!((1..=total).contains(&strangers), "{limits:?}");
        assert!((1..=strangers).contains(&of_network), "{limits:?}");
    }
}
