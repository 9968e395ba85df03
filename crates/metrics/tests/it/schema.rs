//! The hand-written schema against real documents, by a checker of the keywords it uses.

#![allow(clippy::unwrap_used, reason = "a failed test is what a failed unwrap should be")]

use lob_metrics::run_schema;
use serde_json::{Value, json};

fn is_of(kind: &str, value: &Value) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("the checker does not know type {other}"),
    }
}

/// Every place where the value breaks the schema; with `closed`, also every key it does not name.
fn defects(schema: &Value, value: &Value, path: &str, closed: bool, found: &mut Vec<String>) {
    let kinds: Vec<&str> = match &schema["type"] {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => vec![],
    };
    if !kinds.is_empty() && !kinds.iter().any(|kind| is_of(kind, value)) {
        found.push(format!("{path}: {value} is not {kinds:?}"));
    }
    if let Some(names) = schema["enum"].as_array()
        && !names.contains(value)
    {
        found.push(format!("{path}: {value} is not one of {names:?}"));
    }
    if let Some(expected) = schema.get("const")
        && expected != value
    {
        found.push(format!("{path}: {value} is not {expected}"));
    }
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if value.is_object() && value.get(name).is_none() {
            found.push(format!("{path}: {name} is missing"));
        }
    }
    for (i, item) in value.as_array().into_iter().flatten().enumerate() {
        defects(&schema["items"], item, &format!("{path}[{i}]"), closed, found);
    }
    let (Some(properties), Some(fields)) = (schema["properties"].as_object(), value.as_object())
    else {
        return;
    };
    for (name, field) in fields {
        match (properties.get(name), schema.get("additionalProperties")) {
            (Some(inner), _) | (None, Some(inner)) => {
                defects(inner, field, &format!("{path}.{name}"), closed, found);
            }
            (None, None) if closed => found.push(format!("{path}: {name} is not described")),
            (None, None) => {}
        }
    }
}

fn check(value: &Value, closed: bool) -> Vec<String> {
    let mut found = Vec::new();
    defects(&run_schema(), value, "run", closed, &mut found);
    found
}

fn sample() -> Value {
    serde_json::from_str(&lob_fixtures::sample_run().to_json().unwrap()).unwrap()
}

#[test]
fn the_schema_describes_every_field_of_a_run() {
    assert_eq!(check(&sample(), true), Vec::<String>::new());
}

#[test]
fn the_schema_finds_what_is_wrong() {
    for (pointer, value) in [
        ("/schema_version", json!(1)),
        ("/host/gpu", json!("none")),
        ("/scenarios/0/status", json!("fine")),
        ("/scenarios/0/measurements/0/unit", json!("furlong")),
        ("/targets/0/verdict", json!("PASS")),
        ("/scenarios/1/scopes/0", json!({"path": "x"})),
    ] {
        let mut run = sample();
        *run.pointer_mut(pointer).expect("the sample has this field") = value;
        assert!(!check(&run, false).is_empty(), "{pointer}");
    }
    let mut run = sample();
    run.as_object_mut().unwrap().remove("roof");
    assert_eq!(check(&run, false), ["run: roof is missing"]);
    run["roof"] = json!({});
    run["added_later"] = json!(1);
    assert_eq!(check(&run, false), Vec::<String>::new());
}
