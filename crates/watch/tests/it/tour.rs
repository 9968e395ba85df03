//! The example that uses everything.

use std::process::Command;

#[test]
fn the_tour_writes_a_trace_flame_graphs_and_hot_lines() {
    let dir = std::env::temp_dir().join(format!("lob-tour-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let output = Command::new(crate::example("tour")).arg(&dir).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read = |name: &str| std::fs::read_to_string(dir.join(name)).unwrap();
    let trace: serde_json::Value = serde_json::from_str(&read("trace.json")).unwrap();
    let events = trace["traceEvents"].as_array().unwrap();
    let calls = |name: &str| events.iter().filter(|event| event["name"] == name).count();
    assert_eq!((calls("render"), calls("embed")), (60, 60));
    assert!(read("flame.svg").contains("tour/render"));
    assert!(read("lines.svg").contains("tour::main"));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("tour.rs:") && said.contains("EURUSD"), "{said}");
    std::fs::remove_dir_all(&dir).unwrap();
}
