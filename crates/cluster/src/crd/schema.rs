//! Structural schemas, as an API server asks for them, from the types' own.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

/// The schema of `T`, inlined, with its doc comments as descriptions.
pub(super) fn of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::openapi3().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value();
    make_structural(&mut schema);
    schema
}

/// A whole object whose parts are `properties`.
pub(super) fn object(description: &str, properties: Value) -> Value {
    json!({
        "description": description,
        "type": "object",
        "properties": properties,
    })
}

/// The node of `schema` at a path like `windows[].from`.
pub(super) fn at<'a>(schema: &'a mut Value, path: &str) -> &'a mut Value {
    path.split('.')
        .filter(|part| !part.is_empty())
        .fold(schema, |schema, part| match part.strip_suffix("[]") {
            Some(list) => &mut schema["properties"][list]["items"],
            None => &mut schema["properties"][part],
        })
}

/// Adds a CEL rule to a node. `field` is what the error speaks of, below the node.
pub(super) fn rule(node: &mut Value, rule: &str, message: &str, field: Option<&str>) {
    let mut entry = json!({"rule": rule, "message": message});
    if let Some(field) = field {
        entry["fieldPath"] = json!(field);
    }
    match &mut node["x-kubernetes-validations"] {
        Value::Array(rules) => rules.push(entry),
        none => *none = json!([entry]),
    }
}

fn make_structural(node: &mut Value) {
    let Some(node) = node.as_object_mut() else {
        return;
    };
    // What is null is as if it were not there: the API server drops it where it is not nullable.
    for key in ["$schema", "title", "components", "nullable"] {
        node.remove(key);
    }
    if node.get("default").is_some_and(Value::is_null) {
        node.remove("default");
    }
    // `additionalProperties` must not stand beside `properties`.
    if node
        .get("additionalProperties")
        .is_some_and(Value::is_boolean)
    {
        node.remove("additionalProperties");
    }
    unwrap_description(node);
    fold_enum(node);
    name_integer(node);
    if node.get("type").is_some_and(|of| of == "array") {
        node.entry("x-kubernetes-list-type")
            .or_insert_with(|| json!("atomic"));
    }
    if let Some(properties) = node.get_mut("properties").and_then(Value::as_object_mut) {
        properties.values_mut().for_each(make_structural);
    }
    for key in ["items", "additionalProperties"] {
        if let Some(below) = node.get_mut(key) {
            make_structural(below);
        }
    }
}

/// Lines of a doc comment are those of the source; kubectl breaks them where its terminal ends.
fn unwrap_description(node: &mut Map<String, Value>) {
    if let Some(Value::String(about)) = node.get_mut("description") {
        let paragraphs: Vec<String> = about
            .split("\n\n")
            .map(|paragraph| paragraph.replace('\n', " "))
            .collect();
        *about = paragraphs.join("\n");
    }
}

/// An enum with a description for each value comes as alternatives, which a structural schema has
/// no room for: the descriptions go into that of the field, where `kubectl explain` shows them.
fn fold_enum(node: &mut Map<String, Value>) {
    let Some(Value::Array(alternatives)) = node.remove("oneOf") else {
        return;
    };
    let mut values = Vec::new();
    let mut lines = Vec::new();
    for alternative in &alternatives {
        let Some(named) = alternative["enum"].as_array() else {
            continue;
        };
        values.extend(named.iter().cloned());
        if let (Some(name), Some(about)) = (
            named.first().and_then(Value::as_str),
            alternative["description"].as_str(),
        ) {
            lines.push(format!("- {name}: {}", about.replace('\n', " ")));
        }
    }
    let about = node
        .get("description")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let about = format!("{about}\n{}", lines.join("\n"));
    node.insert("description".to_owned(), json!(about.trim()));
    node.insert("type".to_owned(), json!("string"));
    node.insert("enum".to_owned(), Value::Array(values));
}

/// An API server knows `int32` and `int64`, and warns of every other format.
fn name_integer(node: &mut Map<String, Value>) {
    let (format, most) = match node.get("format").and_then(Value::as_str) {
        Some("uint8") => ("int32", Some(u64::from(u8::MAX))),
        Some("uint32") => ("int64", Some(u64::from(u32::MAX))),
        Some("uint64" | "uint") => ("int64", None),
        _ => return,
    };
    node.insert("format".to_owned(), json!(format));
    node.entry("minimum").or_insert_with(|| json!(0));
    if let Some(most) = most {
        node.entry("maximum").or_insert_with(|| json!(most));
    }
}
