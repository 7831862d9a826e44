//! A YAML document as a tree in which everything knows its place.
//!
//! Types are read from the tree rather than from the text, so that an error carries both its
//! place and the path of its field, and so that one document can have many errors.

mod fault;
mod read;

use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

pub(crate) use fault::Fault;

/// Line and column, both from 1; a column counts characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// From 1.
    pub line: u64,
    /// From 1, in characters.
    pub column: u64,
}

impl From<serde_saphyr::Location> for Place {
    fn from(location: serde_saphyr::Location) -> Self {
        Self {
            line: location.line(),
            column: location.column(),
        }
    }
}

/// One step from a node to one below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    Key(String),
    Index(usize),
}

/// The path of a field: `spec.windows[0].to`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Path(pub(crate) Vec<Segment>);

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Key(key) if i == 0 => f.write_str(key)?,
                Segment::Key(key) => write!(f, ".{key}")?,
                Segment::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// A node and where it begins.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where it begins.
    pub at: Place,
    value: Value,
}

#[derive(Clone, Debug)]
enum Value {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
    /// Taken out, so that the rest can be read.
    Wrong,
}

#[derive(Clone, Debug)]
struct Key {
    name: String,
    at: Place,
}

impl Node {
    /// How many nodes it is, with all below it.
    pub(crate) fn count(&self) -> usize {
        match &self.value {
            Value::List(nodes) => 1 + nodes.iter().map(Self::count).sum::<usize>(),
            Value::Map(entries) => {
                1 + entries
                    .iter()
                    .map(|(_, node)| 1 + node.count())
                    .sum::<usize>()
            }
            _ => 1,
        }
    }

    /// The text of a field at the top.
    #[must_use]
    pub fn text(&self, field: &str) -> Option<&str> {
        self.get(field).and_then(Self::as_str)
    }

    /// A field at the top.
    #[must_use]
    pub fn get(&self, field: &str) -> Option<&Self> {
        self.fields()
            .find_map(|(name, node)| (name == field).then_some(node))
    }

    /// Names and values of a map; none of anything else.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &Self)> {
        let entries = match &self.value {
            Value::Map(entries) => entries.as_slice(),
            _ => &[],
        };
        entries.iter().map(|(key, node)| (key.name.as_str(), node))
    }

    /// The members of a list; none of anything else.
    #[must_use]
    pub fn items(&self) -> &[Self] {
        match &self.value {
            Value::List(nodes) => nodes,
            _ => &[],
        }
    }

    /// Its text, if it is one.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Its number, if it is one that is not negative.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        match &self.value {
            Value::Unsigned(number) => Some(*number),
            _ => None,
        }
    }

    /// Its truth, if it is one.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match &self.value {
            Value::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// Where the field of this path is; of one that is not there, where the nearest above it is.
    pub(crate) fn find(&self, path: &str) -> Place {
        let mut node = self;
        for part in path.split(['.', '[']) {
            let next = match &node.value {
                Value::Map(entries) => entries
                    .iter()
                    .find(|(key, _)| key.name == part)
                    .map(|(_, node)| node),
                Value::List(nodes) => part
                    .strip_suffix(']')
                    .and_then(|index| nodes.get(index.parse::<usize>().ok()?)),
                _ => None,
            };
            match next {
                Some(next) => node = next,
                None => break,
            }
        }
        node.at
    }

    /// Fields that say nothing: without a value, and empty lists. What was meant cannot be told,
    /// and an empty selector would cover more than its writer thought.
    pub(crate) fn empty_fields(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        match &self.value {
            Value::Map(entries) => {
                for (key, node) in entries {
                    let segment = Segment::Key(key.name.clone());
                    faults.extend(
                        node.empty_fields()
                            .into_iter()
                            .map(|f| f.below(segment.clone())),
                    );
                    if let Some(message) = node.says_nothing() {
                        let fault = de::Error::custom(message);
                        faults.push(Fault::below(fault, segment).at(key.at));
                    }
                }
            }
            Value::List(nodes) => {
                for (index, node) in nodes.iter().enumerate() {
                    let below = node.empty_fields().into_iter();
                    faults.extend(below.map(|fault| fault.below(Segment::Index(index))));
                }
            }
            _ => {}
        }
        faults
    }

    fn says_nothing(&self) -> Option<&'static str> {
        match &self.value {
            Value::Null => Some("it has no value: leave it out, or give it one"),
            Value::List(nodes) if nodes.is_empty() => {
                Some("the list is empty: leave it out, or name something")
            }
            _ => None,
        }
    }

    /// Takes out what is at `path`; `false` when that is not there, was taken out before, or is
    /// the whole.
    pub(crate) fn take_out(&mut self, path: &Path) -> bool {
        let mut node = self;
        for segment in &path.0 {
            match node.child_mut(segment) {
                Some(next) => node = next,
                None => return false,
            }
        }
        let there = !path.0.is_empty() && !matches!(node.value, Value::Wrong);
        if there {
            node.value = Value::Wrong;
        }
        there
    }

    fn child_mut(&mut self, segment: &Segment) -> Option<&mut Self> {
        match (&mut self.value, segment) {
            (Value::Map(entries), Segment::Key(name)) => entries
                .iter_mut()
                .find(|(key, _)| key.name == *name)
                .map(|(_, node)| node),
            (Value::List(nodes), Segment::Index(index)) => nodes.get_mut(*index),
            _ => None,
        }
    }

    /// What it is, for a message.
    fn unexpected(&self) -> de::Unexpected<'_> {
        match &self.value {
            Value::Null | Value::Wrong => de::Unexpected::Unit,
            Value::Bool(value) => de::Unexpected::Bool(*value),
            Value::Unsigned(value) => de::Unexpected::Unsigned(*value),
            Value::Signed(value) => de::Unexpected::Signed(*value),
            Value::Float(value) => de::Unexpected::Float(*value),
            Value::Text(text) => de::Unexpected::Str(text),
            Value::List(_) => de::Unexpected::Seq,
            Value::Map(_) => de::Unexpected::Map,
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Build)
    }
}

impl From<Spanned<Value>> for Node {
    fn from(value: Spanned<Value>) -> Self {
        Self {
            at: value.referenced.into(),
            value: value.value,
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Spanned::<Value>::deserialize(deserializer).map(Self::from)
    }
}

struct Build;

impl<'de> Visitor<'de> for Build {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("YAML")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Unsigned(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(u64::try_from(value).map_or(Value::Signed(value), Value::Unsigned))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = access.next_element()? {
            nodes.push(node);
        }
        Ok(Value::List(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(name) = access.next_key::<Spanned<String>>()? {
            let key = Key {
                at: name.referenced.into(),
                name: name.value,
            };
            entries.push((key, access.next_value()?));
        }
        Ok(Value::Map(entries))
    }
}
