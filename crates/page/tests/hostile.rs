//! Names and command lines that try to be markup.

#[path = "../examples/node/situation.rs"]
mod situation;

#[test]
fn names_stay_text() {
    let page = sexton_page::node(&situation::hostile().view());
    // Shown, as text:
    assert!(page.contains("&lt;script&gt;document.title"));
    for markup in ["<script", "<img", "onerror=alert(1)>"] {
        assert!(!page.contains(markup), "{markup}");
    }
    assert!(page.contains("\\u{202e}") && page.contains("\\x1b[2J"));
    let odd = |c: char| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c);
    assert_eq!(page.chars().find(|c| odd(*c)), None);
}

#[test]
fn nothing_comes_from_outside_and_nothing_runs() {
    for situation in [situation::busy(), situation::quiet()] {
        let page = sexton_page::node(&situation.view());
        // The policy has no word for a style attribute, and would refuse it.
        for refused in [
            " style=",
            "<script",
            " src=",
            "@import",
            "javascript:",
            " on",
        ] {
            let found = page.match_indices(refused).find(|(at, _)| {
                // Within a tag; text may say what it likes.
                page[..*at].rfind('<') > page[..*at].rfind('>')
            });
            assert_eq!(found, None, "{refused}");
        }
    }
    let quiet = sexton_page::node(&situation::quiet().view());
    assert!(quiet.contains("No zombies."));
    assert!(sexton_page::csp().starts_with("default-src 'none'; style-src 'sha256-"));
}
