//! What is wrong with a document, in the words of a person who writes YAML.

use std::fmt;

use serde::de;

use super::{Path, Place, Segment};

/// Something that is wrong with a document.
#[derive(Clone, Debug)]
pub struct Fault {
    /// From the inside out while it rises, so the last segment comes first.
    path: Vec<Segment>,
    pub(crate) at: Option<Place>,
    pub(crate) message: String,
}

impl Fault {
    /// The field that is wrong.
    pub(crate) fn path(&self) -> Path {
        Path(self.path.iter().rev().cloned().collect())
    }

    /// The field that it is part of; `None` at the top.
    pub(crate) fn parent(&self) -> Option<Path> {
        let mut path = self.path();
        path.0.pop()?;
        Some(path)
    }

    /// At `place`, unless its place is known more closely.
    pub(crate) fn at(mut self, place: Place) -> Self {
        self.at.get_or_insert(place);
        self
    }

    /// The same of a field below `segment`.
    pub(crate) fn below(mut self, segment: Segment) -> Self {
        self.path.push(segment);
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self {
            path: Vec::new(),
            at: None,
            message: message.to_string(),
        }
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let near = expected
            .iter()
            .map(|known| (distance(field, known), known))
            .min()
            .filter(|(distance, _)| *distance <= 2);
        Self::custom(match near {
            Some((_, known)) => format!("there is no field `{field}`; did you mean `{known}`?"),
            None => format!(
                "there is no field `{field}`; there are {}",
                expected.join(", ")
            ),
        })
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::custom(format!("`{variant}` is none of {}", expected.join(", ")))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::custom("it is missing").below(Segment::Key(field.to_owned()))
    }

    fn invalid_type(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let found = match found {
            de::Unexpected::Unit => "nothing".to_owned(),
            de::Unexpected::Map => "fields".to_owned(),
            de::Unexpected::Seq => "a list".to_owned(),
            de::Unexpected::Str(text) => format!("the text `{text}`"),
            de::Unexpected::Bool(value) => format!("{value}, which is not text without quotes"),
            de::Unexpected::Unsigned(number) => format!("the number {number}"),
            de::Unexpected::Signed(number) => format!("the number {number}"),
            de::Unexpected::Float(number) => format!("the number {number}"),
            other => other.to_string(),
        };
        Self::custom(format!("it is {found}; expected {}", Plain(expected)))
    }

    fn invalid_value(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let found = match found {
            de::Unexpected::Unsigned(number) => number.to_string(),
            de::Unexpected::Signed(number) => number.to_string(),
            other => other.to_string(),
        };
        Self::custom(format!(
            "{found} is out of range; expected {}",
            Plain(expected)
        ))
    }
}

/// What serde expects, in the words of a person who writes YAML.
struct Plain<'a>(&'a dyn de::Expected);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        f.write_str(match text.as_str() {
            "a string" => "text (in quotes)",
            "a sequence" => "a list",
            "a boolean" => "true or false",
            "u8" => "a number, 0 to 255",
            "u32" => "a number, 0 to 4294967295",
            text if text.starts_with("struct ") => "fields",
            "a map" => "fields",
            text => text,
        })
    }
}

/// Insertions, deletions and changes of one character between two short words.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let change = diagonal + usize::from(!from.eq_ignore_ascii_case(to));
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
