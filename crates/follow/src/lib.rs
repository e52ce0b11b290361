//! The rules of following the changes of a data node. Pure: no socket, clock or file here.
//!
//! - `track`: how far one vBucket was followed, and where to go back to after a rollback
//! - `machine`: the streams of one node, through loss, refusal and rollback
//! - `checkpoint`: tracks as a file; `target`: where to end
//! - `line`: one JSON line for a change; `notice`: one for anything else

mod checkpoint;
mod line;
mod machine;
mod notice;
mod target;
mod track;

pub use checkpoint::{Checkpoint, CheckpointError, Filter};
pub use line::{Change, LineOptions, Op};
pub use machine::{ABSENT_AFTER, Effect, End, Follow, Now, Refusal, Request};
pub use notice::Notice;
pub use target::{TargetError, targets};
pub use track::{Place, Track};
