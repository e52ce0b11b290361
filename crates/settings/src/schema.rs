//! What a setting is: its name, kind, default, description, and what a change of it needs.

use std::ops::RangeInclusive;

/// One key of a file, or a table of keys.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The key.
    pub name: &'static str,
    /// What its value is.
    pub kind: Kind,
    /// What applies where it is not written.
    pub fallback: Fallback,
    /// What a change needs.
    pub reload: Reload,
    /// What it is for; whole sentences.
    pub doc: &'static str,
    /// A value in TOML for the default file, where there is no default.
    pub example: Option<&'static str>,
    /// What is allowed, where the kind does not say it.
    pub allowed: Option<&'static str>,
    /// Whether it stands in the default file, and not only as a comment.
    pub shown: bool,
}

/// What the value of a setting is.
#[derive(Clone, Debug)]
pub enum Kind {
    /// A text.
    Text,
    /// A text that names a file or folder.
    Path,
    /// A whole number.
    Number(RangeInclusive<u64>),
    /// `true` or `false`.
    Flag,
    /// One of a few texts; `noun` is what each of them is.
    Choice {
        /// Such as `level`.
        noun: &'static str,
        /// What is allowed.
        values: Vec<&'static str>,
    },
    /// A text, or a table with the file or the environment variable that holds it.
    Secret,
    /// A table with the file that holds a secret; a literal one is refused.
    SecretFile,
    /// A list of texts.
    List,
    /// Texts by the names of other tables.
    Map {
        /// What messages call one of these tables: the label of their array.
        label: &'static str,
    },
    /// A table.
    Table(Vec<Setting>),
    /// An array of tables, each with a key `name`.
    Tables {
        /// What messages call one of them.
        label: &'static str,
        /// The keys of each.
        settings: Vec<Setting>,
    },
}

/// What applies where a setting is not written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fallback {
    /// It must be written.
    Required,
    /// A value, in TOML; empty for a table whose keys have defaults.
    Value(String),
    /// No value; the text says what follows from that.
    Unset(&'static str),
}

/// What a change of a setting needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reload {
    /// A reload.
    Enough,
    /// A reload if it is set before and after; setting it newly, or removing it, needs a restart.
    Replaced,
    /// A restart.
    Restart,
}

impl Setting {
    /// A setting that need not be written and has no default.
    #[must_use]
    pub const fn new(name: &'static str, kind: Kind, doc: &'static str) -> Self {
        let (fallback, reload) = (Fallback::Unset("not set"), Reload::Restart);
        Self { name, kind, fallback, reload, doc, example: None, allowed: None, shown: false }
    }

    /// A text.
    #[must_use]
    pub const fn text(name: &'static str, allowed: &'static str, doc: &'static str) -> Self {
        let mut setting = Self::new(name, Kind::Text, doc);
        setting.allowed = Some(allowed);
        setting
    }

    /// A file or folder.
    #[must_use]
    pub const fn path(name: &'static str, doc: &'static str) -> Self {
        Self::new(name, Kind::Path, doc)
    }

    /// A whole number.
    #[must_use]
    pub const fn number(name: &'static str, range: RangeInclusive<u64>, doc: &'static str) -> Self {
        Self::new(name, Kind::Number(range), doc)
    }

    /// Something that is so or not; not so where it is not written.
    #[must_use]
    pub fn flag(name: &'static str, doc: &'static str) -> Self {
        let mut setting = Self::new(name, Kind::Flag, doc);
        setting.fallback = Fallback::Value(false.to_string());
        setting
    }

    /// A choice of texts.
    #[must_use]
    pub fn choice(
        name: &'static str,
        noun: &'static str,
        values: &[&'static str],
        doc: &'static str,
    ) -> Self {
        Self::new(name, Kind::Choice { noun, values: values.to_vec() }, doc)
    }

    /// It must be written; `example` is for the default file.
    #[must_use]
    pub fn required(mut self, example: &'static str) -> Self {
        self.fallback = Fallback::Required;
        self.shown(example)
    }

    /// It stands in the default file with this value; of a table the text may be empty.
    #[must_use]
    pub const fn shown(mut self, example: &'static str) -> Self {
        self.shown = true;
        self.example(example)
    }

    /// Its default, a number.
    #[must_use]
    pub fn default_number(mut self, number: impl TryInto<u64>) -> Self {
        self.fallback = Fallback::Value(number.try_into().unwrap_or(u64::MAX).to_string());
        self
    }

    /// Its default, a text.
    #[must_use]
    pub fn default_text(mut self, text: impl Into<String>) -> Self {
        self.fallback = Fallback::Value(toml::Value::String(text.into()).to_string());
        self
    }

    /// A table that is there even if it is not written.
    #[must_use]
    pub fn always(mut self) -> Self {
        self.fallback = Fallback::Value(String::new());
        self.shown = true;
        self
    }

    /// What follows where it is not set.
    #[must_use]
    pub fn unset(mut self, what: &'static str) -> Self {
        self.fallback = Fallback::Unset(what);
        self
    }

    /// What is allowed, where the kind does not say it.
    #[must_use]
    pub const fn allowed(mut self, allowed: &'static str) -> Self {
        self.allowed = Some(allowed);
        self
    }

    /// A value in TOML for the default file.
    #[must_use]
    pub const fn example(mut self, example: &'static str) -> Self {
        self.example = Some(example);
        self
    }

    /// What a change needs; of a table: of every key in it.
    #[must_use]
    pub fn reload(mut self, reload: Reload) -> Self {
        self.reload = reload;
        if let Kind::Table(settings) | Kind::Tables { settings, .. } = &mut self.kind {
            *settings = std::mem::take(settings).into_iter().map(|it| it.reload(reload)).collect();
        }
        self
    }

    /// What may be given, shorter than [`Setting::may_be`].
    #[must_use]
    pub fn range(&self) -> String {
        match &self.kind {
            Kind::Number(range) => format!("{} to {}", range.start(), range.end()),
            _ => self.may_be(),
        }
    }

    /// What may be given, for messages and the reference.
    #[must_use]
    pub fn may_be(&self) -> String {
        if let Some(allowed) = self.allowed {
            return allowed.to_owned();
        }
        match &self.kind {
            Kind::Text => "a text in quotes".to_owned(),
            Kind::Path => "a path in quotes".to_owned(),
            Kind::Number(range) => {
                format!("a whole number from {} to {}, without quotes", range.start(), range.end())
            }
            Kind::Flag => "true or false, without quotes".to_owned(),
            Kind::Choice { values, .. } => one_of(values),
            Kind::Secret => "a text in quotes, { file = \"...\" } or { env = \"...\" }".to_owned(),
            Kind::SecretFile => "{ file = \"...\" }".to_owned(),
            Kind::List => "a list such as [\"a\", \"b\"]".to_owned(),
            Kind::Map { .. } => "a table such as { name = \"...\" }".to_owned(),
            Kind::Table(_) => "a table".to_owned(),
            Kind::Tables { .. } => format!("[[{}]], once for each", self.name),
        }
    }
}

/// Such as `a, b or c`.
pub(crate) fn one_of(names: &[&str]) -> String {
    match names {
        [rest @ .., last] if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        names => names.join(", "),
    }
}

/// A name as it stands in an environment variable: letters and digits in capitals, anything else
/// an underscore.
#[must_use]
pub fn variable_of(name: &str) -> String {
    let word = |char: char| match char {
        char if char.is_ascii_alphanumeric() => char.to_ascii_uppercase(),
        _ => '_',
    };
    name.chars().map(word).collect()
}
