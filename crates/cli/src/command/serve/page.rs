//! The status page: one HTML document without scripts and without anything from elsewhere.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::command::top::view::View;

/// Looks nearer than this to each other tell no rates.
const APART: Duration = Duration::from_millis(500);

const STYLE: &str = "\
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;\
color:#1d2733;background:#fbfcfd}h1{font-size:1.3rem}h2{font-size:1.05rem;margin:1.6rem 0 .4rem}\
table{border-collapse:collapse;width:100%}td,th{padding:.2rem .6rem;text-align:left;\
border-bottom:1px solid #dde3ea}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}\
.on{color:#b00020;font-weight:600}.off{color:#5b6b7b}\
@media(prefers-color-scheme:dark){body{color:#dfe6ee;background:#12181f}\
td,th{border-color:#2c3947}.on{color:#ff6b81}.off{color:#93a4b5}}";

/// The page, and what it showed before: counters say something only over time.
#[derive(Default)]
pub(super) struct StatusPage {
    before: Mutex<Option<(Instant, View)>>,
}

impl StatusPage {
    /// Draws the page of metrics for people. It asks the browser to come again every 5 seconds.
    pub(super) fn draw(&self, metrics: &str) -> String {
        let mut before = self.before.lock().unwrap_or_else(PoisonError::into_inner);
        let page = status_page(metrics, before.as_ref().map(|(_, view)| view));
        if before.as_ref().is_none_or(|(at, _)| at.elapsed() > APART) {
            *before = View::parse(metrics).ok().map(|view| (Instant::now(), view));
        }
        page
    }
}

fn status_page(metrics: &str, before: Option<&View>) -> String {
    let mut out = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta http-equiv=\"refresh\" content=\"5\"><title>lob serve</title>\
         <style>{STYLE}</style></head><body><h1>lob serve</h1>"
    );
    match View::parse(metrics) {
        Ok(view) => {
            for section in view.sections(before) {
                out.push_str(&format!("<h2>{}</h2><table>", escaped(&section.title)));
                for row in &section.rows {
                    let class = if row.alarming { "n on" } else { "n" };
                    out.push_str(&format!(
                        "<tr><td>{}</td><td class=\"{class}\">{}</td></tr>",
                        escaped(&row.name),
                        escaped(&row.value)
                    ));
                }
                out.push_str("</table>");
            }
            out.push_str("<h2>Unavailable</h2><table>");
            for (name, reason) in &view.unavailable {
                let (name, reason) = (escaped(name), escaped(reason));
                out.push_str(&format!("<tr><td>{name}</td><td class=\"off\">{reason}</td></tr>"));
            }
            out.push_str("</table>");
        }
        Err(error) => out.push_str(&format!("<p class=\"on\">{}</p>", escaped(&error.to_string()))),
    }
    out.push_str("<p><a href=\"/metrics\">/metrics</a></p></body></html>\n");
    out
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_label_holds_is_text() {
        let metrics = "lob_watch{file=\"<script>\",field=\"a&b\"} 1\n\
                       lob_sensor_unavailable_info{sensor=\"x\",reason=\"<i>\"} 1\n";
        let page = status_page(metrics, None);
        assert!(page.contains("&lt;script&gt;") && page.contains("a&amp;b"), "{page}");
        assert!(page.contains("&lt;i&gt;") && !page.contains("<script") && !page.contains("<i>"));
    }
}
