//! `GET /`: the dashboard, one page that asks nobody but this sidecar.
//!
//! Its parts are files of plain HTML, CSS and JavaScript in `page/`, put together at compile time.
//! The page has no data in it, so it is answered without a token; what it asks for is not. The
//! policy of the answer lets the browser run exactly this script, load nothing from elsewhere, and
//! make no markup out of strings.

use actix_web::HttpResponse;
use actix_web::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::contract as api;
use super::error::{ApiError, ErrorBody};
use crate::random;

const PAGE: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/style.css");
/// The files share the scope of one module, in this order.
const SCRIPT: &str = concat!(
    include_str!("page/text.js"),
    include_str!("page/sets.js"),
    include_str!("page/contact.js"),
    include_str!("page/ask.js"),
    include_str!("page/headline.js"),
    include_str!("page/table.js"),
    include_str!("page/tables.js"),
    include_str!("page/history.js"),
    include_str!("page/plot.js"),
    include_str!("page/glyphs.js"),
    include_str!("page/grid.js"),
    include_str!("page/grids.js"),
    include_str!("page/detail.js"),
    include_str!("page/events.js"),
    include_str!("page/desired.js"),
    include_str!("page/token.js"),
    include_str!("page/actions.js"),
    include_str!("page/dialog.js"),
    include_str!("page/main.js"),
);
/// Random bytes of a nonce: it cannot be guessed, and no two answers have the same.
const NONCE_BYTES: usize = 16;

/// `GET /`: the dashboard, for browsers. It has no data in it, and needs no token.
#[utoipa::path(get, path = "/", operation_id = "dashboard", tag = "process", security(()),
    responses((status = 200, description = "A page of HTML", body = String,
        content_type = "text/html; charset=utf-8"),
        (status = 503, description = "The system has no random numbers, or too many requests are \
            in progress", body = ErrorBody), api::Probe))]
pub(super) async fn page() -> Result<HttpResponse, ApiError> {
    let bytes = random::bytes::<NONCE_BYTES>().map_err(|error| {
        ApiError::NotNow(format!("the system has no random numbers for the page: {error}"))
    })?;
    let nonce = URL_SAFE_NO_PAD.encode(bytes);
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((CONTENT_SECURITY_POLICY, policy(&nonce)))
        .insert_header((REFERRER_POLICY, "no-referrer"))
        .body(assemble(&nonce)))
}

fn policy(nonce: &str) -> String {
    format!(
        "default-src 'none'; connect-src 'self'; script-src 'nonce-{nonce}'; \
         style-src 'nonce-{nonce}'; img-src data:; frame-ancestors 'none'; base-uri 'none'; \
         form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )
}

/// The nonce comes first, because style and script may contain anything.
fn assemble(nonce: &str) -> String {
    PAGE.replace("@NONCE@", nonce).replacen("@STYLE@", STYLE, 1).replacen("@SCRIPT@", SCRIPT, 1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_file_is_in_the_page_once_and_cannot_end_its_element() {
        let page = assemble("abc");
        assert_eq!(page.matches("nonce=\"abc\"").count(), 2, "of the style and of the script");
        assert_eq!(page.matches("<script").count(), 1);
        for marker in ["@NONCE@", "@STYLE@", "@SCRIPT@"] {
            assert_eq!(PAGE.matches(marker).count(), if marker == "@NONCE@" { 2 } else { 1 });
            assert!(!page.contains(marker), "{marker}");
        }
        assert!(!STYLE.contains("</"), "it would end the element");
        let script = SCRIPT.to_ascii_lowercase();
        for word in ["</script", "<script", "<!--"] {
            assert!(!script.contains(word), "{word} would end the element, or hide its end");
        }
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/admin/page");
        for file in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let text = std::fs::read_to_string(file.path()).unwrap();
            if file.path().extension().is_some_and(|extension| extension == "js") {
                let name = file.file_name();
                assert_eq!(page.matches(&text).count(), 1, "{name:?} is missing in SCRIPT");
            }
        }
    }

    #[test]
    fn no_part_of_the_page_is_from_elsewhere_and_none_makes_markup_of_strings() {
        // The name of the XML namespace of SVG is no address that is asked.
        let script = SCRIPT.replace("http://www.w3.org/2000/svg", "");
        for (part, text) in [("page", PAGE), ("style", STYLE), ("script", script.as_str())] {
            for word in ["http:", "https:", "url(", "@import", " src=", "innerHTML", "eval("] {
                assert!(!text.contains(word), "{part} has {word}");
            }
        }
    }

    #[test]
    fn each_answer_has_a_nonce_of_its_own_in_its_policy() {
        let ask = || actix_web::rt::System::new().block_on(page()).unwrap();
        let policies: BTreeSet<String> = (0..3)
            .map(|_| {
                let answer = ask();
                let policy = answer.headers().get(CONTENT_SECURITY_POLICY).unwrap();
                policy.to_str().unwrap().to_owned()
            })
            .collect();
        assert_eq!(policies.len(), 3, "{policies:?}");
        assert!(policies.iter().all(|policy| policy.starts_with("default-src 'none'; ")));
    }
}
