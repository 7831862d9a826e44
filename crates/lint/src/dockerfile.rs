//! Dockerfiles: instructions with their lines, and stages. Only what is asked of them here.

/// An instruction.
#[derive(Clone, Debug)]
pub(crate) struct Instruction {
    /// The line on which it begins, from 1.
    pub(crate) line: u64,
    /// In upper case.
    pub(crate) name: String,
    /// What follows, its lines joined.
    pub(crate) rest: String,
}

/// How a command is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// `["app", "--flag"]`
    Exec(Vec<String>),
    /// `app --flag`
    Shell(String),
}

impl Form {
    pub(crate) fn of(text: &str) -> Self {
        let words = text
            .trim_start()
            .starts_with('[')
            .then(|| serde_json::from_str(text));
        match words {
            Some(Ok(words)) => Self::Exec(words),
            // Docker takes a list that is wrong for a shell's text, too.
            _ => Self::Shell(text.trim().to_owned()),
        }
    }

    /// The words with which the container starts.
    pub(crate) fn words(&self) -> Vec<String> {
        match self {
            Self::Exec(words) => words.clone(),
            Self::Shell(text) => ["/bin/sh", "-c", text].map(str::to_owned).to_vec(),
        }
    }
}

/// A stage: what is between one `FROM` and the next.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stage {
    pub(crate) from: String,
    name: Option<String>,
    /// How many of its instructions are of the stage that it stands on.
    inherited: usize,
    pub(crate) instructions: Vec<Instruction>,
}

impl Stage {
    /// The last instruction of this name, which is the one that counts.
    pub(crate) fn last(&self, name: &str) -> Option<&Instruction> {
        self.instructions.iter().rev().find(|one| one.name == name)
    }
}

/// The last stage, which is the image, with all that it takes over from stages before it.
pub(crate) fn image(text: &str) -> Option<Stage> {
    let mut stages: Vec<Stage> = Vec::new();
    for instruction in instructions(text) {
        if instruction.name == "FROM" {
            let words = instruction.rest.split_ascii_whitespace();
            let words: Vec<&str> = words.filter(|word| !word.starts_with("--")).collect();
            let from = words.first().copied().unwrap_or("");
            let name = words.get(1).filter(|word| word.eq_ignore_ascii_case("as"));
            let base = stages
                .iter()
                .find(|stage| stage.name.as_deref() == Some(from));
            let mut stage = base.cloned().unwrap_or_else(|| Stage {
                from: from.to_owned(),
                ..Stage::default()
            });
            stage.inherited = stage.instructions.len();
            stage.name = name
                .and_then(|_| words.get(2))
                .map(|name| (*name).to_owned());
            stages.push(stage);
        } else if let Some(stage) = stages.last_mut() {
            // A new entry point takes the command of the stage before away.
            if instruction.name == "ENTRYPOINT" {
                let own = stage.instructions.split_off(stage.inherited);
                stage.instructions.retain(|one| one.name != "CMD");
                stage.inherited = stage.instructions.len();
                stage.instructions.extend(own);
            }
            stage.instructions.push(instruction);
        }
    }
    stages.pop()
}

/// Instructions in their order.
fn instructions(text: &str) -> Vec<Instruction> {
    let mut found = Vec::new();
    let mut lines = text.lines().zip(1_u64..);
    while let Some((first, line)) = lines.next() {
        let first = first.trim();
        if first.is_empty() || first.starts_with('#') {
            continue;
        }
        let mut whole = String::new();
        let mut part = first;
        loop {
            let goes_on = part.ends_with('\\');
            whole.push_str(part.trim_end_matches('\\'));
            if !goes_on {
                break;
            }
            whole.push(' ');
            // Comments and empty lines between its lines are left out.
            let next = lines.by_ref().map(|(line, _)| line.trim());
            let mut next = next.skip_while(|line| line.is_empty() || line.starts_with('#'));
            match next.next() {
                Some(line) => part = line,
                None => break,
            }
        }
        let (name, rest) = whole
            .split_once(char::is_whitespace)
            .unwrap_or((&whole, ""));
        let name = name.to_ascii_uppercase();
        if matches!(name.as_str(), "RUN" | "COPY" | "ADD") {
            for end in here_documents(rest) {
                let _ = lines.by_ref().find(|(line, _)| line.trim() == end);
            }
        }
        found.push(Instruction {
            line,
            rest: rest.trim().to_owned(),
            name,
        });
    }
    found
}

/// The words that end the here-documents of an instruction.
fn here_documents(rest: &str) -> Vec<&str> {
    let words = rest.split("<<").skip(1).map(|text| {
        let text = text.trim_start_matches(['-', '"', '\'']);
        text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .next()
            .unwrap_or("")
    });
    words
        .filter(|word| word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_'))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_joined_and_here_documents_are_passed_over() {
        let text = "# x\nFROM a AS b\nRUN one \\\n # between\n  two\nRUN <<EOF\nCMD no\nEOF\nFROM b\nCMD [\"x\"]\n";
        let image = image(text).expect("it has a stage");
        assert_eq!(image.from, "a");
        let names: Vec<(&str, u64)> = image
            .instructions
            .iter()
            .map(|one| (one.name.as_str(), one.line))
            .collect();
        assert_eq!(names, [("RUN", 3), ("RUN", 6), ("CMD", 10)]);
        assert!(image.instructions[0].rest.contains("two"));
    }

    #[test]
    fn forms_are_told_apart() {
        assert_eq!(
            Form::of("[\"a\", \"b\"]"),
            Form::Exec(vec!["a".into(), "b".into()])
        );
        assert_eq!(Form::of("['a']"), Form::Shell("['a']".into()));
    }
}
