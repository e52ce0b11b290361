//! Server-sent events from lines. Pure.

/// What stands between two empty lines.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Frame {
    /// The position after it, where it names one.
    pub(super) id: Option<String>,
    /// Its data; `None` for a position alone.
    pub(super) data: Option<String>,
}

/// Collects the lines of a frame.
#[derive(Debug, Default)]
pub(super) struct Frames(Frame);

impl Frames {
    /// Takes a line without its end; returns the frame that it completes.
    pub(super) fn line(&mut self, line: &str) -> Option<Frame> {
        if line.is_empty() {
            return Some(std::mem::take(&mut self.0));
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => self.0.id = Some(value.to_owned()),
            "data" => match &mut self.0.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                data @ None => *data = Some(value.to_owned()),
            },
            // Comments, and what this program does not need: the data names the kind too.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_frames() {
        let mut frames = Frames::default();
        let text = "retry: 1000\n\nid: a-1\nevent: x\ndata: {\"b\":1}\n\n: keep-alive\nid:a-2\n\n\
                    data: one\ndata: two\nunknown\n\ndata: never complete";
        let frames: Vec<_> = text.lines().filter_map(|line| frames.line(line)).collect();
        let frame = |id: Option<&str>, data: Option<&str>| Frame {
            id: id.map(str::to_owned),
            data: data.map(str::to_owned),
        };
        assert_eq!(
            frames,
            [
                frame(None, None),
                frame(Some("a-1"), Some("{\"b\":1}")),
                frame(Some("a-2"), None),
                frame(None, Some("one\ntwo")),
            ]
        );
    }
}
