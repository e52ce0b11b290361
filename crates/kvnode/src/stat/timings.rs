//! The group `timings`: how long commands took, by kinds of commands, with the names and texts of
//! kv_engine. Kinds that this node does not have are left out.

use mcbp::Opcode;

use crate::bucket::Bucket;

/// A name, and the opcodes whose times it has.
const KINDS: [(&str, &[Opcode]); 8] = [
    ("get_cmd", &[Opcode::GET, Opcode::GETQ, Opcode::GETK, Opcode::GETKQ]),
    (
        "store_cmd",
        &[
            Opcode::SET,
            Opcode::SETQ,
            Opcode::ADD,
            Opcode::ADDQ,
            Opcode::REPLACE,
            Opcode::REPLACEQ,
            Opcode::APPEND,
            Opcode::APPENDQ,
            Opcode::PREPEND,
            Opcode::PREPENDQ,
        ],
    ),
    ("arith_cmd", &[Opcode::INCREMENT, Opcode::INCREMENTQ, Opcode::DECREMENT, Opcode::DECREMENTQ]),
    (
        "set_with_meta",
        &[
            Opcode::SET_WITH_META,
            Opcode::SETQ_WITH_META,
            Opcode::ADD_WITH_META,
            Opcode::ADDQ_WITH_META,
        ],
    ),
    ("get_stats_cmd", &[Opcode::STAT]),
    ("get_vb_cmd", &[Opcode::GET_VBUCKET]),
    ("set_vb_cmd", &[Opcode::SET_VBUCKET]),
    ("del_vb_cmd", &[Opcode::DEL_VBUCKET]),
];

pub(super) fn lines(bucket: &Bucket) -> Vec<(String, String)> {
    let timings = &bucket.counters().timings;
    let line = |(name, opcodes): &(&str, &[Opcode])| {
        ((*name).to_owned(), timings.of(opcodes.iter().copied()).to_string())
    };
    KINDS.iter().map(line).collect()
}
