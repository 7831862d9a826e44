//! The frame of a page, and what keeps hostile text harmless in it.
//!
//! Three walls, each enough by itself against a command line that tries to be markup: maud
//! escapes all text and attributes; no script is allowed to run, whoever wrote it ([`csp`]);
//! and characters that reorder or hide text are spelled out in the finished document, where no
//! caller can forget it.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use sexton_core::text::safe;

const STYLE: &str = include_str!("style.css");

/// The value of the header `Content-Security-Policy` with which a page is to be served.
#[must_use]
pub fn csp() -> &'static str {
    concat!(
        "default-src 'none'; style-src 'sha256-",
        env!("STYLE_SHA256"),
        "'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

/// A whole document. `refresh` is the number of seconds after which it is loaded anew.
pub(crate) fn document(title: &str, refresh: Option<u32>, body: &Markup) -> String {
    let html = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                @if let Some(seconds) = refresh {
                    meta http-equiv="refresh" content=(seconds);
                }
                title { (title) }
                link rel="icon" href=(ICON);
                style { (PreEscaped(STYLE)) }
            }
            body { (body) }
        }
    };
    visible(&html.into_string())
}

/// A headstone.
pub(crate) fn mark() -> Markup {
    html! {
        svg.mark viewBox="0 0 24 24" aria-hidden="true" {
            path d="M6 20V10a6 6 0 0 1 12 0v10" {}
            path d="M3 20.5h18M9.5 10.5h5M12 8v7" {}
        }
    }
}

const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' \
    viewBox='0 0 24 24' fill='none' stroke='%23a3541f' stroke-width='2.4' stroke-linecap='round'%3E\
    %3Cpath d='M6 20V10a6 6 0 0 1 12 0v10M3 20.5h18M9.5 10.5h5M12 8v7'/%3E%3C/svg%3E";

/// The document with every character spelled out that could reorder or hide what is shown.
/// Its own lines end in `\n`, which stays.
fn visible(html: &str) -> String {
    let mut lines = html.split('\n').map(safe);
    let mut out = String::with_capacity(html.len());
    out.push_str(&lines.next().unwrap_or_default());
    for line in lines {
        out.push('\n');
        out.push_str(&line);
    }
    out
}

/// Text in which words between backticks are code.
pub(crate) fn with_code(text: &str) -> Markup {
    let parts: Vec<&str> = text.split('`').collect();
    // An odd one out has no partner: then they are only characters.
    if parts.len().is_multiple_of(2) {
        return html! { (text) };
    }
    html! {
        @for (i, part) in parts.iter().enumerate() {
            @if i % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reorders_text_is_spelled_out_and_lines_stay() {
        assert_eq!(
            visible("<pre>a\u{202e}b\nc\u{0}\u{1b}[2J\td\u{feff}</pre>"),
            "<pre>a\\u{202e}b\nc\\x00\\x1b[2J\\td\\u{feff}</pre>"
        );
    }

    #[test]
    fn the_style_sheet_needs_no_spelling_out() {
        // Else the hash of what is sent would not be that of the file.
        assert_eq!(visible(STYLE), STYLE);
        assert!(!STYLE.contains("</"), "it would end the element");
        assert!(!STYLE.contains("url(") && !STYLE.contains("@import"));
    }

    #[test]
    fn backticks_make_code_only_in_pairs() {
        assert_eq!(
            with_code("run `a <b>` now").into_string(),
            "run <code>a &lt;b&gt;</code> now"
        );
        assert_eq!(with_code("a ` b").into_string(), "a ` b");
    }
}
