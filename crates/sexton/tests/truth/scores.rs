//! How many answers were right, by category.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use sexton_lab::Skip;

use crate::scenario::{Category, Scenario, Verdict};

const BEGIN: &str = "<!-- truth: made by `make truth`; do not edit -->";
const END: &str = "<!-- /truth -->";

/// Less than this share of right causes fails the test.
const GOAL_PERCENT: usize = 98;
/// The same of the times that are left.
const TIMES_GOAL_PERCENT: usize = 95;

#[derive(Clone, Copy, Default)]
struct Score {
    right: usize,
    wrong: usize,
    skipped: usize,
}

/// The scores of one pass.
#[derive(Default)]
pub(crate) struct Scores {
    by_category: BTreeMap<Category, Score>,
    wrong: Vec<String>,
    high_and_wrong: Vec<String>,
    /// Times that were said with high confidence and were wrong.
    sure_of_time: Vec<String>,
    accused: Vec<String>,
}

impl Scores {
    pub(crate) fn skip(&mut self, scenario: &Scenario, reason: &Skip) {
        eprintln!("SKIP: {}: {reason}", scenario.name);
        self.by_category
            .entry(scenario.category)
            .or_default()
            .skipped += 1;
    }

    pub(crate) fn count(&mut self, scenario: &Scenario, verdict: Verdict) {
        let score = self.by_category.entry(scenario.category).or_default();
        let line = format!("{}: {}", scenario.name, verdict.said);
        let word = if verdict.right { "right" } else { "wrong" };
        println!("{word}  {line}");
        if verdict.high_and_wrong {
            let list = match scenario.category {
                Category::TimeLeft => &mut self.sure_of_time,
                _ => &mut self.high_and_wrong,
            };
            list.push(line.clone());
        }
        if verdict.right {
            score.right += 1;
        } else {
            score.wrong += 1;
            if scenario.category == Category::Healthy {
                self.accused.push(line.clone());
            }
            self.wrong.push(line);
        }
    }

    /// As Markdown.
    pub(crate) fn table(&self) -> String {
        let mut text = String::from(
            "| Situations | Set up | Answered right | Could not be set up |\n\
             | --- | ---: | ---: | ---: |\n",
        );
        let mut all = Score::default();
        for (category, score) in &self.by_category {
            row(&mut text, category.label(), *score);
            all.right += score.right;
            all.wrong += score.wrong;
            all.skipped += score.skipped;
        }
        row(&mut text, "all", all);
        let _ = write!(
            text,
            "\nFalse with high confidence: {}. Healthy programs accused: {}.\n",
            self.high_and_wrong.len() + self.sure_of_time.len(),
            self.accused.len()
        );
        text
    }

    /// Puts the table into the file whose path `SEXTON_TRUTH` holds.
    pub(crate) fn write_if_asked(&self) {
        if std::env::var_os("SEXTON_TRUTH").is_none() {
            return;
        }
        let text = fs::read_to_string(document()).unwrap();
        let (before, rest) = text.split_once(BEGIN).unwrap();
        let (_, after) = rest.split_once(END).unwrap();
        let new = format!("{before}{BEGIN}\n\n{}\n{END}{after}", self.table());
        fs::write(document(), new).unwrap();
    }

    /// Right and wrong answers of these categories.
    fn sum(&self, of: impl Fn(Category) -> bool) -> (usize, usize) {
        let scores = self.by_category.iter();
        scores
            .filter(|(category, _)| of(**category))
            .fold((0, 0), |(r, w), (_, s)| (r + s.right, w + s.wrong))
    }

    /// Times are measured: on a machine that does other things at the same time a leak that forks by
    /// a timer is not what it was set up to be. So they decide only when the machine is asked for
    /// nothing else, by `make truth`.
    pub(crate) fn assert(&self) {
        let alone = std::env::var_os("SEXTON_TRUTH").is_some();
        let enough = |(right, wrong): (usize, usize), goal| right * 100 >= goal * (right + wrong);
        let causes = self.sum(|category| category != Category::TimeLeft);
        let times = self.sum(|category| category == Category::TimeLeft);
        let list = |lines: &[String]| lines.join("\n  ");
        assert!(
            enough(causes, GOAL_PERCENT)
                && (!alone || enough(times, TIMES_GOAL_PERCENT) && self.sure_of_time.is_empty())
                && self.high_and_wrong.is_empty()
                && self.accused.is_empty(),
            "causes, right and wrong: {causes:?}; times left: {times:?}\nwrong:\n  {}\nhigh and wrong:\n  {}\n  {}\naccused:\n  {}",
            list(&self.wrong),
            list(&self.high_and_wrong),
            list(&self.sure_of_time),
            list(&self.accused),
        );
    }
}

fn row(text: &mut String, label: &str, score: Score) {
    let _ = writeln!(
        text,
        "| {label} | {} | {} | {} |",
        score.right + score.wrong,
        score.right,
        score.skipped
    );
}

fn document() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/assurance.md")
}

/// The table of the document is that of the scenarios that exist.
#[test]
fn the_document_has_every_category_with_its_number_of_scenarios() {
    let mut there: BTreeMap<&str, usize> = BTreeMap::new();
    for scenario in crate::scenarios() {
        *there.entry(scenario.category.label()).or_default() += 1;
    }
    let text = fs::read_to_string(document()).unwrap();
    let (_, rest) = text.split_once(BEGIN).unwrap();
    let (block, _) = rest.split_once(END).unwrap();
    let mut told = BTreeMap::new();
    for line in block.lines() {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let [_, label, set_up, _, skipped, _] = cells.as_slice() else {
            continue;
        };
        if let (Ok(set_up), Ok(skipped)) = (set_up.parse::<usize>(), skipped.parse::<usize>()) {
            told.insert(*label, set_up + skipped);
        }
    }
    assert_eq!(told.remove("all"), Some(there.values().sum()));
    assert_eq!(told, there, "make truth writes it anew");
}
