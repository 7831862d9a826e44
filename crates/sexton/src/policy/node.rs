//! A YAML document as a tree in which everything knows its place.
//!
//! Types are read from the tree rather than from the text, so that an error carries both its
//! place and the path of its field, and so that one document can have many errors.

use std::fmt;

use serde::de::{
    self, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor,
};
use serde::{Deserialize, forward_to_deserialize_any};
use serde_saphyr::Spanned;

/// Line and column, both from 1; a column counts characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub line: u64,
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
pub enum Segment {
    Key(String),
    Index(usize),
}

/// The path of a field: `spec.windows[0].to`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path(pub Vec<Segment>);

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

/// Something that is wrong with a document.
#[derive(Clone, Debug)]
pub struct Fault {
    /// From the inside out while it rises, so the last segment comes first.
    path: Vec<Segment>,
    pub at: Option<Place>,
    pub message: String,
}

impl Fault {
    /// The field that is wrong.
    pub fn path(&self) -> Path {
        Path(self.path.iter().rev().cloned().collect())
    }

    /// The field that it is part of; `None` at the top.
    pub fn parent(&self) -> Option<Path> {
        let mut path = self.path();
        path.0.pop()?;
        Some(path)
    }

    fn at(mut self, place: Place) -> Self {
        self.at.get_or_insert(place);
        self
    }

    /// The same of a field below `segment`.
    pub fn below(mut self, segment: Segment) -> Self {
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

impl Node {
    /// The text of a field at the top.
    pub fn text(&self, field: &str) -> Option<&str> {
        let Value::Map(entries) = &self.value else {
            return None;
        };
        entries.iter().find_map(|(key, node)| match &node.value {
            Value::Text(text) if key.name == field => Some(text.as_str()),
            _ => None,
        })
    }

    /// Where the field of this path is; of one that is not there, where the nearest above it is.
    pub fn find(&self, path: &str) -> Place {
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
    pub fn empty_fields(&self) -> Vec<Fault> {
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
    pub fn take_out(&mut self, path: &Path) -> bool {
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

impl<'de> Deserializer<'de> for &'de Node {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.value {
            // What was taken out is passed over by what is above it.
            Value::Null | Value::Wrong => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Unsigned(value) => visitor.visit_u64(*value),
            Value::Signed(value) => visitor.visit_i64(*value),
            Value::Float(value) => visitor.visit_f64(*value),
            Value::Text(text) => visitor.visit_str(text),
            Value::List(nodes) => visitor.visit_seq(Items(nodes.iter().enumerate())),
            Value::Map(entries) => visitor.visit_map(Entries {
                rest: entries.iter(),
                current: None,
            }),
        }
        .map_err(|fault: Fault| fault.at(self.at))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    /// A derived struct would take a list for its fields in their order.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match &self.value {
            Value::List(_) => {
                let fault: Fault = de::Error::invalid_type(self.unexpected(), &"fields");
                Err(fault.at(self.at))
            }
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let Value::Text(text) = &self.value else {
            let expected = format!("one of {}", variants.join(", "));
            let fault: Fault = de::Error::invalid_type(self.unexpected(), &expected.as_str());
            return Err(fault.at(self.at));
        };
        visitor
            .visit_enum(text.as_str().into_deserializer())
            .map_err(|fault: Fault| fault.at(self.at))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

struct Items<'de>(std::iter::Enumerate<std::slice::Iter<'de, Node>>);

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Fault> {
        let next = self.0.find(|(_, node)| !matches!(node.value, Value::Wrong));
        next.map(|(index, node)| {
            seed.deserialize(node)
                .map_err(|fault| fault.at(node.at).below(Segment::Index(index)))
        })
        .transpose()
    }
}

struct Entries<'de> {
    rest: std::slice::Iter<'de, (Key, Node)>,
    current: Option<&'de (Key, Node)>,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Fault> {
        self.current = self
            .rest
            .find(|(_, node)| !matches!(node.value, Value::Wrong));
        self.current
            .map(|(key, _)| {
                seed.deserialize(key.name.as_str().into_deserializer())
                    .map_err(|fault: Fault| fault.at(key.at).below(Segment::Key(key.name.clone())))
            })
            .transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let (key, node) = self
            .current
            .take()
            .expect("a value is asked for after its key");
        seed.deserialize(node)
            .map_err(|fault| fault.at(node.at).below(Segment::Key(key.name.clone())))
    }
}
