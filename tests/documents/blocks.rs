//! The blocks of code of a page, each with the comment before it that says what becomes of it.

use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};

/// A block of code.
pub(crate) struct Block {
    /// The line of the page at which its text begins.
    pub(crate) line: usize,
    /// `sh`, `text`, `toml`...
    pub(crate) language: String,
    pub(crate) text: String,
    /// The heading that it belongs to, as the end of a link to it.
    pub(crate) anchor: String,
    /// The comment directly before it.
    pub(crate) note: Option<Note>,
}

/// What a comment before a block says of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Note {
    /// `not run: REASON`.
    NotRun(String),
    /// `new shell`, or `new shell, after PAGE#ANCHOR`: what follows is a session of its own, which
    /// begins with the block that is named.
    NewShell(Option<String>),
    /// `runs until Ctrl-C`: it goes on while the blocks after it run.
    Background,
    /// `exit code N`: that of the last command.
    ExitCode(i32),
    /// `file NAME`: its text is written to this file before the block after it runs.
    File(String),
    /// `prints`: a text that the block before it writes to standard output.
    Prints,
}

impl Note {
    /// Parses a comment; `None` for one that is for people.
    pub(crate) fn parse(html: &str) -> Option<Self> {
        let text = html.trim().strip_prefix("<!--")?.strip_suffix("-->")?.trim();
        match text.split_once([':', ',']) {
            Some(("not run", reason)) => return Some(Self::NotRun(reason.trim().to_owned())),
            Some(("new shell", rest)) => {
                return Some(Self::NewShell(Some(rest.trim().strip_prefix("after ")?.to_owned())));
            }
            _ => {}
        }
        match text {
            "new shell" => Some(Self::NewShell(None)),
            "runs until Ctrl-C" => Some(Self::Background),
            "prints" => Some(Self::Prints),
            _ => match text.strip_prefix("file ") {
                Some(name) => Some(Self::File(name.to_owned())),
                None => text.strip_prefix("exit code ")?.parse().ok().map(Self::ExitCode),
            },
        }
    }
}

/// The blocks of a page, in its order.
pub(crate) fn of(text: &str) -> Vec<Block> {
    let (mut blocks, mut note, mut anchor) = (Vec::<Block>::new(), None, String::new());
    let (mut open, mut in_heading) = (false, false);
    for (event, range) in Parser::new(text).into_offset_iter() {
        match event {
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(language))) => {
                let line = text[..range.start].lines().count() + 2;
                let (language, text) = (language.to_string(), String::new());
                let (anchor, note) = (anchor.clone(), note.take());
                blocks.push(Block { line, language, text, anchor, note });
                open = true;
            }
            Event::End(TagEnd::CodeBlock) => open = false,
            Event::Text(more) if open => {
                if let Some(block) = blocks.last_mut() {
                    block.text.push_str(&more);
                }
            }
            Event::Start(Tag::Heading { .. }) => (in_heading, anchor) = (true, String::new()),
            Event::End(TagEnd::Heading(_)) => in_heading = false,
            Event::Text(more) | Event::Code(more) if in_heading => {
                anchor.push_str(&slug(&more));
            }
            Event::Html(html) => note = Note::parse(&html),
            Event::Start(Tag::Paragraph | Tag::Table(_) | Tag::Item) => note = None,
            _ => {}
        }
    }
    blocks
}

/// A heading as the end of a link: letters, digits and dashes.
fn slug(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

#[test]
fn a_note_is_of_the_block_that_follows_it_directly() {
    let page = "# A page\n\n<!-- not run: needs docker -->\n```sh\na\n```\n\n<!-- prints -->\n\nAn \
                aside.\n\n```text\nb\n```\n\n## Of `it`, too\n\n<!-- new shell, after R.md#x -->\n\
                ```sh\nc\nd\n```\n<!-- exit code 1 -->\n```sh\ne\n```\n";
    let blocks = of(page);
    let found: Vec<_> =
        blocks.iter().map(|b| (b.line, b.language.as_str(), b.text.as_str())).collect();
    assert_eq!(
        found,
        [(5, "sh", "a\n"), (13, "text", "b\n"), (20, "sh", "c\nd\n"), (25, "sh", "e\n")]
    );
    let notes: Vec<_> = blocks.iter().map(|block| block.note.clone()).collect();
    let after = Note::NewShell(Some("R.md#x".to_owned()));
    let not_run = Note::NotRun("needs docker".to_owned());
    assert_eq!(notes, [Some(not_run), None, Some(after), Some(Note::ExitCode(1))]);
    assert_eq!((blocks[0].anchor.as_str(), blocks[3].anchor.as_str()), ("a-page", "of-it-too"));
}
