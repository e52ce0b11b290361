//! The two text formats of metrics, and the choice by the header `Accept`.
//!
//! The encoder writes OpenMetrics. The classic format differs in few lines: a counter is named
//! `..._total` in its comments too, and the page has no end mark.

use std::fmt::{self, Write as _};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

/// A text format of metrics.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// Prometheus' own, version 0.0.4; every scraper reads it.
    Classic,
    /// OpenMetrics 1.0.0, for those who ask for it.
    OpenMetrics,
}

impl Format {
    /// Returns the format for a request with these values of `Accept`: OpenMetrics where it is
    /// named with a weight that is not less than that of plain text, else the classic one, which is
    /// also the answer to a request that accepts neither.
    #[must_use]
    pub fn negotiate<'a>(accept: impl IntoIterator<Item = &'a str>) -> Self {
        let (mut classic, mut open_metrics) = (0, 0);
        for range in accept.into_iter().flat_map(|value| value.split(',')) {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
            let (mut weight, mut version) = (1000, None);
            for (name, value) in parts.filter_map(|part| part.split_once('=')) {
                let value = value.trim().trim_matches('"');
                match name.trim().to_ascii_lowercase().as_str() {
                    "q" => weight = thousandths(value),
                    "version" => version = Some(value),
                    _ => {}
                }
            }
            match (kind.as_str(), version) {
                ("application/openmetrics-text", None | Some("1.0.0")) => {
                    open_metrics = weight.max(open_metrics);
                }
                ("text/plain", None | Some("0.0.4")) | ("text/*" | "*/*", _) => {
                    classic = weight.max(classic);
                }
                _ => {}
            }
        }
        if open_metrics > 0 && open_metrics >= classic { Self::OpenMetrics } else { Self::Classic }
    }

    /// Returns the value of `Content-Type`.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Classic => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// Returns the page with the metrics of `content`.
    ///
    /// # Errors
    /// That of `content`.
    pub fn page(self, content: impl Collector) -> Result<String, fmt::Error> {
        let (mut registry, mut text) = (Registry::default(), String::new());
        registry.register_collector(Box::new(content));
        encode(&mut text, &registry)?;
        match self {
            Self::Classic => classic(&text),
            Self::OpenMetrics => Ok(text),
        }
    }
}

/// A weight such as `0.5`; 0 for what is no number.
fn thousandths(weight: &str) -> u16 {
    let (whole, part) = weight.split_once('.').unwrap_or((weight, ""));
    let digits = format!("{whole}{part:0<3.3}");
    digits.parse().map_or(0, |weight: u16| weight.min(1000))
}

/// Turns a page of OpenMetrics into the classic format.
fn classic(page: &str) -> Result<String, fmt::Error> {
    let mut out = String::with_capacity(page.len() + 1024);
    let mut lines = page.lines().peekable();
    while let Some(line) = lines.next() {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some("HELP"), Some(name), help) => {
                let next = lines.peek().and_then(|next| next.strip_prefix("# TYPE "));
                let is_counter =
                    next.and_then(|next| next.split_once(' ')) == Some((name, "counter"));
                let suffix = if is_counter { "_total" } else { "" };
                writeln!(out, "# HELP {name}{suffix} {}", help.unwrap_or_default())?;
            }
            (Some("#"), Some("TYPE"), Some(name), Some("counter")) => {
                writeln!(out, "# TYPE {name}_total counter")?;
            }
            (Some("#"), Some("EOF"), ..) => {}
            _ => writeln!(out, "{line}")?,
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use Format::{Classic, OpenMetrics};

    use super::*;

    #[test]
    fn open_metrics_is_for_those_who_ask_for_it() {
        let table = [
            ("", Classic),
            ("*/*", Classic),
            ("application/json", Classic),
            ("text/plain;version=0.0.4", Classic),
            // Telegraf and Datadog: protobuf and the classic text.
            (
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;\
                 encoding=delimited;q=0.7,text/plain;version=0.0.4;q=0.3",
                Classic,
            ),
            // Prometheus 2 and 3.
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;\
                 version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                OpenMetrics,
            ),
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
                 text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;q=0.2,*/*;q=0.1",
                OpenMetrics,
            ),
            ("Application/OpenMetrics-Text; Version=\"1.0.0\"; charset=utf-8", OpenMetrics),
            ("application/openmetrics-text;q=0.4, text/plain", Classic),
            ("application/openmetrics-text;q=0, */*", Classic),
            ("application/openmetrics-text;q=0", Classic),
            ("application/openmetrics-text;version=9.0.0", Classic),
            ("application/openmetrics-text;q=high", Classic),
        ];
        for (accept, want) in table {
            assert_eq!(Format::negotiate([accept]), want, "{accept}");
        }
        assert_eq!(Format::negotiate([]), Classic);
        assert_eq!(Format::negotiate(["text/plain", "application/openmetrics-text"]), OpenMetrics);
    }

    #[test]
    fn a_counter_has_its_full_name_in_the_classic_format() {
        let page = "# HELP a_b Bytes, of all.\n# TYPE a_b counter\na_b_total{x=\"# HELP\"} 1\n\
                    # HELP c Now.\n# TYPE c gauge\nc 2\n# HELP d_seconds Took.\n\
                    # TYPE d_seconds histogram\nd_seconds_sum 0.5\n# EOF\n";
        let want = "# HELP a_b_total Bytes, of all.\n# TYPE a_b_total counter\n\
                    a_b_total{x=\"# HELP\"} 1\n# HELP c Now.\n# TYPE c gauge\nc 2\n\
                    # HELP d_seconds Took.\n# TYPE d_seconds histogram\nd_seconds_sum 0.5\n";
        assert_eq!(classic(page).unwrap(), want);
    }
}
