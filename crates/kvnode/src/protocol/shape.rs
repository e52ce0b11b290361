//! What each request may carry beside its key. Pure.
//!
//! Source: kv_engine's `mcbp_validators.cc`, and what a real node answered in recording 17a of
//! `tests/data/wire`. Extras that have a layout are checked where they are decoded.

use mcbp::{Datatype, Frame, Opcode};

/// What a request carries although it must not, as text.
pub(crate) fn check(opcode: Opcode, frame: &Frame<'_>) -> Result<(), &'static str> {
    let shape = of(opcode);
    if !shape.extras && !frame.extras.is_empty() {
        return Err("the request must not have extras");
    }
    if !shape.value && !frame.value.is_empty() {
        return Err("the request must not have a value");
    }
    if !shape.cas && frame.header.cas != 0 {
        return Err("the request must not have a CAS");
    }
    if !shape.value && frame.header.datatype != Datatype::RAW {
        return Err("the request must not have a datatype: it has no value");
    }
    Ok(())
}

#[derive(Clone, Copy)]
struct Shape {
    extras: bool,
    value: bool,
    cas: bool,
}

/// The shape of a request by its opcode, which is not quiet.
const fn of(opcode: Opcode) -> Shape {
    let (extras, value, cas) = match opcode {
        Opcode::GET | Opcode::GETK | Opcode::GET_REPLICA | Opcode::EVICT_KEY => {
            (false, false, false)
        }
        Opcode::DELETE | Opcode::UNLOCK_KEY => (false, false, true),
        Opcode::SEQNO_PERSISTENCE => (true, false, true),
        Opcode::TOUCH
        | Opcode::GAT
        | Opcode::GET_META
        | Opcode::GET_LOCKED
        | Opcode::GET_CMD_TIMER => (true, false, false),
        Opcode::INCREMENT | Opcode::DECREMENT => (true, false, true),
        _ => (true, true, true),
    };
    Shape { extras, value, cas }
}

#[cfg(test)]
mod tests {
    use mcbp::FrameBuilder;

    use super::*;

    fn is_good(frame: FrameBuilder<'_>) -> bool {
        let bytes = frame.key(b"k").build();
        let frame = Frame::parse(&bytes).unwrap();
        check(frame.opcode(), &frame).is_ok()
    }

    #[test]
    fn a_get_is_a_key_alone() {
        let get = FrameBuilder::request(Opcode::GET);
        assert!(is_good(get));
        assert!(!is_good(get.extras(&[0; 4])));
        assert!(!is_good(get.value(b"v")));
        assert!(!is_good(get.cas(5)));
        assert!(!is_good(get.datatype(Datatype::JSON)));
    }

    #[test]
    fn a_deletion_may_have_a_cas_and_a_set_everything() {
        let delete = FrameBuilder::request(Opcode::DELETE);
        assert!(is_good(delete.cas(5)));
        assert!(!is_good(delete.extras(&[0; 4])));
        let set = FrameBuilder::request(Opcode::SET).extras(&[0; 8]).value(b"{}").cas(5);
        assert!(is_good(set.datatype(Datatype::JSON)));
    }
}
