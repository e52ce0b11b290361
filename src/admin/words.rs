//! What is wrong with a request, in words for people instead of those of the parsers. Pure.

use serde::de::DeserializeOwned;
use serde_json::error::Category;

use crate::config::plain;

/// Parses a body, which is a JSON object.
///
/// # Errors
/// What is wrong with it.
pub(super) fn object<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    // The parser would also take a list of the values.
    match body.trim_ascii_start().first() {
        None => return Err("the body is empty: give a JSON object".to_owned()),
        Some(b'{') => {}
        Some(_) => return Err("invalid body: give a JSON object, which is in braces".to_owned()),
    }
    serde_json::from_slice(body).map_err(|error| match error.classify() {
        Category::Eof => {
            let (line, column) = (error.line(), error.column());
            format!(
                "invalid body: it ends too early, at line {line} column {column}: give a whole \
                 JSON object"
            )
        }
        Category::Syntax => format!("invalid body: it is not JSON: {error}"),
        Category::Data | Category::Io => format!("invalid body: {}", people(&error.to_string())),
    })
}

/// What is wrong with a query, with what is allowed.
pub(super) fn query(error: &str, allowed: &str) -> String {
    let error = error.strip_prefix("Query deserialize error: ").unwrap_or(error);
    let text = people(error);
    let text = text.split_once(": give ").map_or(text.as_str(), |(what, _)| what);
    format!("invalid query: {text}: {allowed}")
}

/// The words of a parser about fields and their types.
fn people(error: &str) -> String {
    let field = |words: &str| error.strip_prefix(words)?.strip_prefix(" field `")?.split_once('`');
    if let Some((name, at)) = field("missing") {
        return format!("{name:?} is missing{at}");
    }
    if let Some((name, at)) = field("duplicate") {
        return format!("{name:?} is given twice{at}");
    }
    if let Some((name, allowed)) = field("unknown") {
        let allowed = allowed.replace(", expected one of ", ": give one of ");
        let allowed = allowed.replace(", expected ", ": give ").replace('`', "");
        return format!("unknown field {name:?}{allowed}");
    }
    const WORDS: [(&str, &str); 5] = [
        ("wrong type: sequence", "wrong type: a list"),
        ("wrong type: map", "wrong type: an object"),
        ("expected a map", "expected an object"),
        ("expected a boolean", "expected true or false"),
        ("provided string was not `true` or `false`", "a value is neither true nor false"),
    ];
    WORDS.iter().fold(plain(error), |text, (raw, word)| text.replace(raw, word))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        #[serde(rename = "from")]
        _from: String,
        #[serde(rename = "count")]
        _count: Option<u64>,
        #[serde(rename = "all", default)]
        _all: bool,
    }

    #[test]
    fn a_wrong_body_is_told_without_words_of_rust() {
        let braces = "invalid body: give a JSON object, which is in braces";
        for (body, said) in [
            ("", "the body is empty: give a JSON object"),
            (" \n", "the body is empty: give a JSON object"),
            ("[]", braces),
            ("null", braces),
            ("7", braces),
            (
                "{\"from\":",
                "invalid body: it ends too early, at line 1 column 8: give a whole JSON object",
            ),
            ("{from}", "invalid body: it is not JSON: key must be a string at line 1 column 2"),
            ("{}", "invalid body: \"from\" is missing at line 1 column 2"),
            (
                r#"{"from":"a","from":"b"}"#,
                "invalid body: \"from\" is given twice at line 1 column 18",
            ),
            (
                r#"{"form":"a"}"#,
                "invalid body: unknown field \"form\": give one of from, count, all at line 1 \
                 column 7",
            ),
            (
                r#"{"from":[]}"#,
                "invalid body: wrong type: a list, expected a text in quotes at line 1 column 8",
            ),
            (
                r#"{"from":"a","count":"1"}"#,
                "invalid body: wrong type: the text \"1\", expected a whole number, without \
                 quotes at line 1 column 23",
            ),
            (
                r#"{"from":"a","all":1}"#,
                "invalid body: wrong type: the number `1`, expected true or false at line 1 \
                 column 19",
            ),
        ] {
            assert_eq!(object::<Sample>(body.as_bytes()).unwrap_err(), said, "{body}");
        }
    }

    #[test]
    fn a_wrong_query_is_told_with_what_is_allowed() {
        use actix_web::web::Query;
        for (text, said) in [
            ("from=a&from=b", "invalid query: \"from\" is given twice: give from"),
            ("from=a&form=b", "invalid query: unknown field \"form\": give from"),
            ("from=a&all=1", "invalid query: a value is neither true nor false: give from"),
        ] {
            let error = Query::<Sample>::from_query(text).unwrap_err().to_string();
            assert_eq!(query(&error, "give from"), said);
        }
    }
}
