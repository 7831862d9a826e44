//! Names and command lines that try to be markup.

#[path = "../examples/cluster/situation.rs"]
mod clusters;
#[path = "../examples/node/situation.rs"]
mod situation;

#[test]
fn names_stay_text() {
    let page = sexton_page::node(&situation::hostile().view());
    // Shown, as text:
    assert!(page.contains("&lt;script&gt;document.title"));
    assert!(page.contains("\\u{202e}") && page.contains("\\x1b[2J"));
    stays_text(&page);
}

#[test]
fn an_error_stays_text_and_shows_no_figures() {
    let agent = sexton_page::AgentState::default();
    let why = "/proc/<script>alert(1)</script>\u{202e}: denied";
    let page = sexton_page::look_failed(why, &agent, 0);
    assert!(page.contains("The last look failed."));
    assert!(page.contains("&lt;script&gt;alert(1)") && page.contains("\\u{202e}"));
    stays_text(&page);
}

#[test]
fn names_stay_text_in_a_cluster() {
    let page = sexton_page::cluster(&clusters::hostile());
    // In the title, the head, an alarm, and in each column of each table of text.
    let shown = page.matches("&lt;script&gt;alert(1)").count();
    assert!(shown > 60, "{shown}");
    assert!(page.contains("\\u{202e}") && page.contains("\\x1b[31m"));
    stays_text(&page);
}

fn stays_text(page: &str) {
    for markup in ["<script", "<img", "onerror=alert(1)>"] {
        assert!(!page.contains(markup), "{markup}");
    }
    let odd = |c: char| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c);
    assert_eq!(page.chars().find(|c| odd(*c)), None);
}

#[test]
fn nothing_comes_from_outside_and_nothing_runs() {
    for page in [
        sexton_page::node(&situation::busy().view()),
        sexton_page::node(&situation::quiet().view()),
        sexton_page::cluster(&clusters::cluster(60)),
        sexton_page::cluster(&clusters::cluster(1_000)),
        sexton_page::cluster(&clusters::quiet()),
    ] {
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
