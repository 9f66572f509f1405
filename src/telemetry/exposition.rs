//! The two text formats of `/metrics`: OpenMetrics for a scraper that asks for it, and the classic one for all others.

use axum::http::{HeaderMap, header};

/// A text format of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    OpenMetrics,
    Classic,
}

const OPEN_METRICS: &str = "application/openmetrics-text";
const TEXT: &str = "text/plain";

impl Format {
    /// The format that `Accept` asks for (RFC 9110, section 12.5.1). Prometheus asks for OpenMetrics. curl, promtool
    /// and older scrapers do not, and most of these read only the classic format.
    pub(crate) fn accepted(headers: &HeaderMap) -> Self {
        let (mut open_metrics, mut text) = (0.0, 0.0);
        let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        for range in values.flat_map(|value| value.split(',')) {
            let mut parts = range.split(';').map(str::trim);
            let media_type = parts.next().unwrap_or_default();
            let (mut weight, mut version) = (1.0, "1.0.0");
            for (name, value) in parts.filter_map(|part| part.split_once('=')) {
                if name.trim().eq_ignore_ascii_case("q") {
                    weight = value.trim().parse().unwrap_or(0.0);
                } else if name.trim().eq_ignore_ascii_case("version") {
                    version = value.trim().trim_matches('"');
                }
            }
            if media_type.eq_ignore_ascii_case(OPEN_METRICS) && version == "1.0.0" {
                open_metrics = f32::max(open_metrics, weight);
            } else if media_type.eq_ignore_ascii_case(TEXT) {
                text = f32::max(text, weight);
            }
        }
        if open_metrics > 0.0 && open_metrics >= text { Format::OpenMetrics } else { Format::Classic }
    }

    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Format::Classic => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// Converts a page in OpenMetrics to this format.
    pub(crate) fn of(self, open_metrics: String) -> String {
        match self {
            Format::OpenMetrics => open_metrics,
            Format::Classic => classic(&open_metrics),
        }
    }
}

/// The page in the classic format: a family has the name of its samples, there is no type `info`, and no end marker.
fn classic(open_metrics: &str) -> String {
    let mut page = String::with_capacity(open_metrics.len());
    let mut help = "";
    for line in open_metrics.lines() {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some("HELP"), Some(_), Some(text)) => help = text,
            (Some("#"), Some("TYPE"), Some(name), Some(kind)) => {
                let (suffix, kind) = match kind {
                    "counter" => ("_total", kind),
                    "info" => ("_info", "gauge"),
                    "unknown" => ("", "untyped"),
                    _ => ("", kind),
                };
                for part in ["# HELP ", name, suffix, " ", help, "\n# TYPE ", name, suffix, " ", kind, "\n"] {
                    page.push_str(part);
                }
            }
            (Some("#"), ..) => {}
            _ => {
                page.push_str(line);
                page.push('\n');
            }
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_metrics_is_for_scrapers_that_ask_for_it() {
        for (accept, format) in [
            // Prometheus 2.42 and 3.0.
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                 text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                Format::OpenMetrics,
            ),
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                Format::OpenMetrics,
            ),
            ("application/openmetrics-text", Format::OpenMetrics),
            ("text/plain;version=0.0.4", Format::Classic),
            ("text/plain;q=0.9, Application/OpenMetrics-Text; Version=1.0.0; Q=0.8", Format::Classic),
            ("application/openmetrics-text;q=0", Format::Classic),
            ("application/openmetrics-text;version=2.0.0", Format::Classic),
            ("*/*", Format::Classic),
            ("text/html, application/json", Format::Classic),
            ("", Format::Classic),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT, accept.parse().expect("a value"))]);
            assert_eq!(Format::accepted(&headers), format, "{accept}");
        }
        assert_eq!(Format::accepted(&HeaderMap::new()), Format::Classic);
    }

    #[test]
    fn the_classic_page_says_the_same() {
        let open_metrics = "# HELP build The program.\n# TYPE build info\nbuild_info{version=\"1\"} 1\n\
            # HELP used Uses, by \"key # 1\".\n# TYPE used counter\n# UNIT used keys\nused_total{a=\"# b\"} 3\n\
            # HELP open Open.\n# TYPE open gauge\nopen 2\n# EOF\n";
        let classic = "# HELP build_info The program.\n# TYPE build_info gauge\nbuild_info{version=\"1\"} 1\n\
            # HELP used_total Uses, by \"key # 1\".\n# TYPE used_total counter\nused_total{a=\"# b\"} 3\n\
            # HELP open Open.\n# TYPE open gauge\nopen 2\n";
        assert_eq!(Format::Classic.of(open_metrics.to_owned()), classic);
        assert_eq!(Format::OpenMetrics.of(open_metrics.to_owned()), open_metrics);
    }
}
