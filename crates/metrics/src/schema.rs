//! The published JSON Schema of the Run document, written by hand beside the types it describes.

use serde_json::{Map, Value, json};

use crate::SCHEMA_VERSION;

/// JSON Schema (draft 2020-12) of [`crate::Run`]; `lob schema` prints it.
///
/// Objects stay open: a newer program may add fields without raising the schema version.
#[must_use]
pub fn run_schema() -> Value {
    let mut schema = object(
        &[
            ("schema_version", json!({"const": SCHEMA_VERSION})),
            ("id", described("string", "Unique name, sortable by time")),
            ("started_at", json!({"type": "string", "format": "date-time"})),
            ("elapsed_s", seconds()),
            ("title", string()),
            ("tool", tool()),
            ("host", host()),
            ("roof", roof()),
            ("inputs", array(input())),
            ("scenarios", array(scenario())),
            ("targets", array(target_result())),
            ("recommendations", array(object(&[("text", string()), ("evidence", string())], &[]))),
            ("overhead", overhead()),
        ],
        &[("notes", array(string())), ("settings", json!({"type": "object"}))],
    );
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("loblab Run document");
    schema
}

fn object(required: &[(&str, Value)], optional: &[(&str, Value)]) -> Value {
    let all = required.iter().chain(optional);
    let properties: Map<String, Value> =
        all.map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
    let names: Vec<&str> = required.iter().map(|(name, _)| *name).collect();
    json!({"type": "object", "required": names, "properties": properties})
}

fn string() -> Value {
    json!({"type": "string"})
}

fn nullable(kind: &str) -> Value {
    json!({"type": [kind, "null"]})
}

fn boolean() -> Value {
    json!({"type": "boolean"})
}

fn whole() -> Value {
    json!({"type": "integer", "minimum": 0})
}

/// A number that could not be had is written as `null`.
fn number() -> Value {
    nullable("number")
}

fn seconds() -> Value {
    json!({"type": ["number", "null"], "description": "Seconds"})
}

fn described(kind: &str, description: &str) -> Value {
    json!({"type": kind, "description": description})
}

fn array(items: Value) -> Value {
    json!({"type": "array", "items": items})
}

fn one_of(names: &[&str]) -> Value {
    json!({"type": "string", "enum": names})
}

fn interval() -> Value {
    json!({"type": ["array", "null"], "items": {"type": "number"}, "minItems": 2, "maxItems": 2})
}

fn unit() -> Value {
    one_of(&[
        "s",
        "B",
        "count",
        "fraction",
        "1",
        "samples/s",
        "records/s",
        "values/s",
        "B/s",
        "FLOP/s",
        "degC",
        "W",
        "J",
    ])
}

fn direction() -> Value {
    one_of(&["higher_is_better", "lower_is_better", "neutral"])
}

fn tool() -> Value {
    let required = [
        ("name", string()),
        ("version", string()),
        ("features", array(string())),
        ("command", array(string())),
    ];
    object(&required, &[("revision", nullable("string")), ("revision_unknown", nullable("string"))])
}

fn host() -> Value {
    let required = [("gpu", array(string())), ("fingerprint", string())];
    let optional = [
        ("cpu", nullable("string")),
        ("cores", nullable("integer")),
        ("memory_bytes", nullable("integer")),
        ("kernel", nullable("string")),
        ("governor", nullable("string")),
        ("compiler", nullable("string")),
    ];
    object(&required, &optional)
}

fn roof() -> Value {
    let optional = [
        ("fill_bytes_per_s", number()),
        ("copy_bytes_per_s", number()),
        ("zstd_decode_bytes_per_s", number()),
        ("gemm_flop_per_s", number()),
        ("fsync_s", number()),
    ];
    let mut roof = object(&[], &optional);
    roof["additionalProperties"] = number();
    roof
}

fn input() -> Value {
    let required = [
        ("path", string()),
        ("sha256", string()),
        ("bytes", whole()),
        ("records", whole()),
        ("schema", string()),
    ];
    object(&required, &[("fingerprint", string()), ("mbp10_updates", whole())])
}

fn scenario() -> Value {
    let required = [
        ("id", string()),
        ("suite", string()),
        ("title", string()),
        ("config", json!({"type": "object"})),
        ("status", one_of(&["passed", "partly", "failed", "timed_out", "skipped"])),
        ("elapsed_s", seconds()),
        ("measurements", array(measurement())),
        ("scopes", array(scope())),
        ("timeline", array(timeline())),
        ("findings", array(finding())),
    ];
    object(&required, &[("reason", nullable("string")), ("artifacts", array(artifact()))])
}

fn measurement() -> Value {
    let required = [
        ("metric", string()),
        ("unit", unit()),
        ("direction", direction()),
        ("provenance", one_of(&["measured", "estimated", "unavailable"])),
        ("value", number()),
        ("role", one_of(&ROLES)),
    ];
    let optional = [
        ("over", over()),
        ("by", object(&[("figure", string()), ("means", one_of(&MEANS))], &[])),
        ("demand", object(&[("of", one_of(&["arithmetic", "memory"])), ("per_s", number())], &[])),
        ("repeats_within", number()),
        ("ci95", interval()),
        ("samples", array(number())),
        ("summary", summary()),
        ("reason", nullable("string")),
        ("share_of_limit", number()),
        ("limit_name", nullable("string")),
        ("share_is_at_most", boolean()),
    ];
    object(&required, &optional)
}

const MEANS: [&str; 5] = ["cpu", "gpu", "f32", "f16", "bf16"];

const ROLES: [&str; 9] = [
    "headline",
    "detail",
    "fact",
    "peak_rss",
    "cpu_time",
    "elapsed",
    "reference",
    "data_wait",
    "gpu_utilisation",
];

/// The point of a series over a size.
fn over() -> Value {
    let axes = ["batch", "window", "features", "workers", "threads", "cores", "jobs"];
    let n = json!({"type": "integer", "minimum": 1});
    object(&[("series", string()), ("axis", one_of(&axes)), ("n", n)], &[])
}

fn summary() -> Value {
    let fields = ["min", "median", "mean", "p95", "p99", "max", "mad"].map(|name| (name, number()));
    let required = [&[("n", whole()), ("outliers", whole())], &fields[..]].concat();
    let mut summary = object(&required, &[("ci95", interval())]);
    summary["type"] = json!(["object", "null"]);
    summary
}

fn scope() -> Value {
    let times = ["total_s", "self_s", "min_s", "max_s", "p50_s", "p95_s", "p99_s"];
    let fields = times.map(|name| (name, seconds()));
    object(&[&[("path", string()), ("calls", whole())], &fields[..]].concat(), &[])
}

fn timeline() -> Value {
    let required = [
        ("metric", string()),
        ("unit", unit()),
        ("t_s", array(seconds())),
        ("values", array(number())),
    ];
    object(&required, &[])
}

fn finding() -> Value {
    object(&[("severity", one_of(&["info", "warning", "critical"])), ("text", string())], &[])
}

/// Only `kind` and `title` are common to all kinds; a reader skips a kind it does not know.
fn artifact() -> Value {
    let optional = [
        ("rows", whole()),
        ("columns", whole()),
        ("values", array(number())),
        ("row_label", string()),
        ("column_label", string()),
        ("x_label", string()),
        ("y_label", string()),
        ("x", array(number())),
        ("y", array(number())),
        ("class", array(whole())),
        ("class_names", array(string())),
        ("groups", array(interval_group())),
        ("log_x", boolean()),
        ("curves", array(named_curve())),
        ("row_names", array(string())),
        ("column_names", array(string())),
        ("lanes", array(lane())),
        ("headings", array(object(&[("name", string())], &[("unit", unit())]))),
        ("cells", array(array(json!({"type": ["number", "string", "null"]})))),
    ];
    let kinds = ["heatmap", "line", "scatter", "intervals", "curves", "matrix", "lanes", "table"];
    object(&[("kind", one_of(&kinds)), ("title", string())], &optional)
}

fn interval_group() -> Value {
    let row = object(&[("name", string()), ("value", number())], &[("ci95", interval())]);
    object(&[("name", string()), ("rows", array(row))], &[("reference", number())])
}

fn lane() -> Value {
    let required = [
        ("name", string()),
        ("from_s", number()),
        ("to_s", array(number())),
        ("class", array(whole())),
    ];
    object(&required, &[])
}

fn named_curve() -> Value {
    let required = [("name", string()), ("x", array(number())), ("y", array(number()))];
    object(&required, &[("ci95", array(interval()))])
}

fn target_result() -> Value {
    let required = [
        ("metric", string()),
        ("unit", unit()),
        ("direction", direction()),
        ("value", number()),
        ("verdict", one_of(&["pass", "fail", "not_measured"])),
    ];
    let optional = [
        ("hard_limit", number()),
        ("goal", number()),
        ("required", json!({"type": "boolean"})),
        ("source", string()),
        ("floor", floor()),
        ("goal_reached", nullable("boolean")),
        ("floor_at", number()),
        ("floor_held", nullable("boolean")),
        ("reason", nullable("string")),
    ];
    object(&required, &optional)
}

/// In the target's unit, or in units of the reference workload.
fn floor() -> Value {
    let one = |name| object(&[(name, number())], &[]);
    json!({"anyOf": [one("value"), one("reference")]})
}

fn overhead() -> Value {
    object(&[], &[("profiler_share", number()), ("scope_cost_s", seconds())])
}
