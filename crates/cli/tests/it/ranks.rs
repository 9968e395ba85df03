//! Several real processes train one model.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use lob_contrastive::ModelFile;

use super::{json, lob, shown};

/// An address that nobody listens on.
fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// A run so small that a debug build takes a step in a few milliseconds, with dropout,
/// augmentation, a queue and evaluations.
fn start(steps: &str, more: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lob"));
    command.args(["train", "generated:complex", "--signals", "30", "--window", "16"]);
    command.args(["--encoder", "simple", "--embedding", "16", "--projection", "8"]);
    command.args(["--dropout", "0.2", "--batch-size", "16", "--loss", "infonce", "--queue", "32"]);
    command.args(["--learn-temperature", "--device", "cpu", "--seed", "4", "--steps", steps]);
    command.args(more).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn rank(rank: &str, address: &str, steps: &str, more: &[&str]) -> Child {
    let ranks = ["--rank", rank, "--world-size", "2", "--coordinator", address];
    start(steps, &[&ranks[..], more].concat())
}

fn done(child: Child) -> (Output, String) {
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, stderr)
}

fn losses(run: &Path) -> Vec<f64> {
    let log = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    log.lines().map(|line| json(line)["loss"].as_f64().unwrap()).collect()
}

fn weights(run: &Path) -> Vec<f32> {
    let file = ModelFile::load(run.join("model.safetensors")).unwrap();
    file.model.tensors.into_iter().flat_map(|t| t.values).collect()
}

#[test]
fn two_processes_train_the_model_of_one() {
    let folder = tempfile::tempdir().unwrap();
    let (alone, together) = (folder.path().join("alone"), folder.path().join("together"));
    let (output, stderr) = done(start("20", &["--checkpoint", shown(&alone), "--quiet"]));
    assert!(output.status.success(), "{stderr}");

    let address = free_address();
    let more = ["--checkpoint", shown(&together), "--json"];
    let guest = rank("1", &address, "20", &more);
    let (host, host_says) = done(rank("0", &address, "20", &more));
    let (guest, guest_says) = done(guest);
    assert!(host.status.success() && guest.status.success(), "{host_says}{guest_says}");
    assert!(guest.stdout.is_empty() && guest_says.is_empty(), "rank 0 talks for all");
    let document = json(&String::from_utf8(host.stdout).unwrap());
    assert_eq!(document["world_size"], 2);
    // Weights and gradients of every step, at the least.
    let parameters = document["parameters"].as_u64().unwrap();
    assert!(document["exchanged_bytes"].as_u64().unwrap() > 20 * 4 * parameters, "{document}");

    let (one, two) = (losses(&alone), losses(&together));
    assert_eq!((one.len(), two.len()), (20, 20));
    for (step, (a, b)) in one.iter().zip(&two).enumerate() {
        assert!((a - b).abs() <= 1e-5, "loss of step {step}: {a} and {b}");
    }
    let (one, two) = (weights(&alone), weights(&together));
    assert_eq!(one.len(), two.len());
    let differences = one.iter().zip(&two).map(|(a, b)| f64::from((a - b).abs()));
    let worst = lob_metrics::stats::largest(differences).unwrap();
    assert!(worst <= 1e-5, "weights are {worst} apart");
    assert!((one[0] - one[1]).abs() > 1e-5, "the test needs weights that differ");
}

/// Steps in the log of a run.
fn n_steps(run: &Path) -> usize {
    std::fs::read_dir(run).map_or(0, |entries| {
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("step-")).count()
    })
}

#[test]
fn a_killed_rank_ends_the_others_and_all_can_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    for (victim, signal) in [("1", "-KILL"), ("0", "-KILL"), ("1", "-STOP"), ("1", "-INT")] {
        let address = free_address();
        let more = ["--checkpoint", shown(&run), "--checkpoint-every", "1", "--resume"];
        let patience = if signal == "-STOP" { "3" } else { "120" };
        let more = [&more[..], &["--peer-timeout", patience]].concat();
        let before = n_steps_taken(&run);
        let mut ranks =
            [rank("0", &address, "100000", &more), rank("1", &address, "100000", &more)];
        // Until a step is on disk that was not there before.
        while n_steps_taken(&run) <= before {
            let ended = ranks.iter_mut().any(|rank| rank.try_wait().unwrap().is_some());
            assert!(!ended, "a rank ended by itself");
            std::thread::yield_now();
        }
        let index = usize::from(victim == "1");
        let id = ranks[index].id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
        if signal == "-STOP" {
            // Rank 0 gives up by itself; only then may the stopped one go.
            assert_eq!(ranks[0].wait().unwrap().code(), Some(2));
            ranks[index].kill().unwrap();
        }
        let [host, guest] = ranks.map(done);
        let (other, says) = if index == 1 { &host } else { &guest };
        assert_eq!(other.status.code(), Some(2), "{says}");
        match signal {
            "-KILL" => {
                let line = says.lines().last().unwrap_or_default();
                assert!(line.starts_with(&format!("error: lost rank {victim} (")), "{says}");
                assert!(!says.contains("panicked"), "{says}");
            }
            "-STOP" => {
                let line = says.lines().last().unwrap_or_default();
                assert!(line.starts_with("error: waited 3 s for rank 1, which did not"), "{says}");
            }
            _ => {
                assert!(says.contains("go on with:"), "all ranks stop in order: {says}");
                assert_eq!(guest.0.status.code(), Some(2), "{}", guest.1);
            }
        }
    }
    assert!(n_steps(&run) > 0);
}

/// The newest checkpoint's step.
fn n_steps_taken(run: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(run) else { return 0 };
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let steps = names.filter_map(|name| {
        name.strip_prefix("step-")?.strip_suffix(".safetensors")?.parse::<u64>().ok()
    });
    steps.max().unwrap_or(0)
}

#[test]
fn ranks_that_do_not_come_and_wrong_numbers_are_named() {
    let address = free_address();
    for (me, expected) in [
        ("0", "for rank 1 of 2, which did not join"),
        ("1", "error: rank 0 was not reached at `127.0.0.1:"),
    ] {
        let (output, says) = done(rank(me, &address, "5", &["--join-timeout", "0.2"]));
        assert_eq!(output.status.code(), Some(2), "{says}");
        let line = says.lines().last().unwrap_or_default();
        assert!(line.starts_with("error: ") && line.contains(expected), "{says}");
    }
    for (args, expected) in [
        (&["--rank", "2", "--world-size", "2"][..], "`rank` is 2, expected below"),
        (&["--rank", "0", "--world-size", "0"], "`world size` is 0"),
        (&["--rank", "0"], "--world-size"),
        (&["--world-size", "2"], "--rank"),
        (&["--coordinator", "127.0.0.1:1"], "--rank"),
        (&["--rank", "0", "--world-size", "2", "--peer-timeout", "inf"], "`--peer-timeout` is inf"),
        (&["--rank", "0", "--world-size", "2", "--join-timeout", "0"], "`join timeout` is 0"),
    ] {
        let output = lob(&[&["train", "generated:simple"][..], args].concat());
        let says = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {says}");
        assert!(says.contains(expected), "{args:?}: {says}");
    }
    // A batch that cannot be shared out evenly: every rank says so by itself.
    let address = free_address();
    let more = ["--batch-size", "15", "--quiet"];
    let guest = rank_of(&address, "1", &more);
    let (host, says) = done(rank_of(&address, "0", &more));
    assert!(says.contains("`batch_size` is 15 for 2 ranks"), "{says}");
    assert_eq!((host.status.code(), done(guest).0.status.code()), (Some(2), Some(2)));
}

fn rank_of(address: &str, me: &str, more: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lob"));
    command.args(["train", "generated:simple", "--signals", "30", "--window", "8", "--rank", me]);
    command.args(["--world-size", "2", "--coordinator", address]).args(more);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// The key is in a file for one rank and in the environment for the other; what they say, their
/// arguments and their errors do not hold it.
#[test]
fn a_key_from_a_file_or_the_environment_joins_and_is_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let (key, file) = ("0123456789abcdef-secret", folder.path().join("key"));
    std::fs::write(&file, format!("{key}\n")).unwrap();
    let address = free_address();
    let rank = |rank: &'static str, key: &str, file: Option<&Path>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lob"));
        command.args(["train", "generated:simple", "--steps", "2", "--window", "8"]);
        command.args(["--signals", "60", "--batch-size", "4", "--world-size", "2"]);
        command.args(["--join-timeout", "60", "--rank", rank, "--coordinator", &address]);
        command.env("LOB_JOIN_KEY", key);
        if let Some(file) = file {
            command.arg("--join-key-file").arg(file);
        }
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let host = rank("0", key, None);
    // The file counts where both are given.
    let (refused, said) = done(rank("1", "another key of 24 bytes.", None));
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("it has another join key") && !said.contains("of 24"), "{said}");
    let guest = rank("1", "another key of 24 bytes.", Some(&file));
    let ((host, host_said), (guest, guest_said)) = (done(host), done(guest));
    assert!(host.status.success() && guest.status.success(), "{host_said}{guest_said}");
    for text in [host_said, guest_said, String::from_utf8(host.stdout).unwrap()] {
        assert!(!text.contains(key), "{text}");
    }
    let (short, said) = done(rank("1", "secret-short", None));
    assert_eq!(short.status.code(), Some(2), "{said}");
    let expected = "cannot use the join key of LOB_JOIN_KEY: `join key` is 12 bytes long";
    assert!(said.contains(expected) && !said.contains("secret"), "{said}");
    let (missing, said) = done(rank("1", key, Some(&folder.path().join("none"))));
    assert_eq!(missing.status.code(), Some(2), "{said}");
    assert!(said.contains("cannot read the join key `"), "{said}");
}

#[test]
fn without_a_key_no_other_machine_is_asked() {
    for rank in ["0", "1"] {
        let args =
            ["train", "generated:simple", "--steps", "1", "--window", "8", "--signals", "60"];
        let ranks = ["--batch-size", "4", "--world-size", "2", "--rank", rank];
        let output = Command::new(env!("CARGO_BIN_EXE_lob"))
            .args(args)
            .args(ranks)
            .args(["--coordinator", "192.0.2.1:29400"])
            .env_remove("LOB_JOIN_KEY")
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("there is no join key; set LOB_JOIN_KEY"), "{said}");
    }
}
