//! Processes of a cluster, and files for it.

use std::{
    collections::BTreeMap,
    fs,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU16, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::s3::Bucket;

/// Flags that suit short files.
pub(crate) const FLAGS: [&str; 10] = [
    "--ticks-per-bin",
    "20",
    "--lookback",
    "100",
    "--lookforward",
    "80",
    "--offset",
    "10",
    "--label-classes",
    "5",
];

/// Tests run one at a time: each is about what happens when.
static ALONE: Mutex<()> = Mutex::new(());

/// A folder with inputs, a slowed-down `lob`, and the processes of one test.
pub(crate) struct Lab {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) scheduler: String,
    processes: BTreeMap<String, Child>,
    /// Where inputs and store are instead of in the folder.
    bucket: Option<Bucket>,
    /// Flags of conversions beside [`FLAGS`].
    more: Vec<String>,
    _alone: MutexGuard<'static, ()>,
}

impl Lab {
    /// Files of synthetic markets; each conversion takes `delay_s` longer than it would.
    pub(crate) fn new(files: u32, delay_s: f64) -> Self {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = tempfile::tempdir().unwrap();
        let lab = Self {
            scheduler: format!("127.0.0.1:{}", port()),
            folder,
            processes: BTreeMap::new(),
            bucket: None,
            more: Vec::new(),
            _alone: alone,
        };
        fs::create_dir(lab.path("in")).unwrap();
        for n in 0..files {
            synth(&lab.path(&format!("in/{n:03}.mbp-10.dbn.zst")), n);
        }
        // A conversion that ends at once could not be killed in the middle.
        let script = format!(
            "#!/bin/sh\ncase \"$*\" in\n*poison*) kill -ABRT $$ ;;\n*convert*) sleep {delay_s} ;;\n\
             esac\nexec '{}' \"$@\"\n",
            lob().display()
        );
        let slow = lab.path("lob-slow");
        fs::write(&slow, script).unwrap();
        let made = Command::new("chmod").arg("+x").arg(slow).status().unwrap();
        assert!(made.success());
        lab
    }

    /// Fits class edges to the first input; all conversions from here on read them.
    pub(crate) fn fit_edges(&mut self) {
        let edges = self.path("edges.json").display().to_string();
        let fitted = Command::new(lob())
            .args(["--quiet", "convert", "--fit-edges"])
            .arg(self.path("in/000.mbp-10.dbn.zst"))
            .args(["--out", &edges])
            .args(FLAGS)
            .output()
            .unwrap();
        assert!(fitted.status.success(), "{}", String::from_utf8_lossy(&fitted.stderr));
        self.more = vec!["--label-edges".to_owned(), edges];
    }

    /// A lab whose scheduler and executors run and whose job is submitted.
    pub(crate) fn submitted(files: u32, delay_s: f64, executors: &[&str]) -> (Self, Child) {
        let mut lab = Self::new(files, delay_s);
        lab.start(executors);
        let submit = lab.submit();
        (lab, submit)
    }

    /// Starts the scheduler and executors of these names.
    pub(crate) fn start(&mut self, executors: &[&str]) {
        self.start_scheduler();
        for name in executors {
            self.start_executor(name);
        }
    }

    /// Moves the inputs to a bucket and has the store there; of several labs each in its own place.
    pub(crate) fn move_to(&mut self, bucket: Bucket) {
        for entry in fs::read_dir(self.path("in")).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            bucket.put(&format!("in/{name}"), fs::read(&path).unwrap());
        }
        self.bucket = Some(bucket);
    }

    pub(crate) fn bucket(&self) -> &Bucket {
        self.bucket.as_ref().unwrap()
    }

    /// Path or URL of the inputs or the store.
    fn place(&self, name: &str) -> String {
        match &self.bucket {
            Some(bucket) => bucket.url(name),
            None => self.path(name).display().to_string(),
        }
    }

    /// `lob-cluster`, with what it needs to reach the bucket.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lob-cluster"));
        if let Some(bucket) = &self.bucket {
            command.envs(bucket.environment());
        }
        command
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn start_scheduler(&mut self) {
        let address = self.scheduler.clone();
        let args = ["scheduler", "--bind", &address, "--executor-timeout", "5"];
        self.spawn("scheduler", &[&args[..], &["--check-interval", "1"]].concat());
        wait_until("the scheduler listens", || TcpStream::connect(&address).is_ok());
    }

    /// An executor with two slots.
    pub(crate) fn start_executor(&mut self, name: &str) {
        let (port, grpc_port) = (port(), port());
        let slow = self.path("lob-slow").display().to_string();
        let scratch = self.path("scratch").display().to_string();
        let address = self.scheduler.clone();
        let ports = [port.to_string(), grpc_port.to_string()];
        let args = [
            "executor",
            "--scheduler",
            &address,
            "--port",
            &ports[0],
            "--grpc-port",
            &ports[1],
            "--slots",
            "2",
            "--heartbeat",
            "1",
            "--lob",
            &slow,
            "--scratch",
            &scratch,
        ];
        self.spawn(name, &args);
        wait_until("the executor listens", || TcpStream::connect(("127.0.0.1", grpc_port)).is_ok());
    }

    fn spawn(&mut self, name: &str, args: &[&str]) {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.path(&format!("{name}.log")))
            .unwrap();
        let child =
            self.command().args(args).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        self.processes.insert(name.to_owned(), child);
    }

    /// Sends a signal: `KILL`, `STOP`, `CONT`, `TERM`.
    pub(crate) fn signal(&mut self, name: &str, signal: &str) {
        let child = self.processes.get_mut(name).unwrap();
        let sent = Command::new("kill")
            .args([&format!("-{signal}"), &child.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
        if signal == "KILL" {
            child.wait().unwrap();
        }
    }

    pub(crate) fn is_running(&mut self, name: &str) -> bool {
        self.processes.get_mut(name).unwrap().try_wait().unwrap().is_none()
    }

    /// `submit`, started.
    pub(crate) fn submit(&self) -> Child {
        let mut command = self.command();
        command
            .args(["submit", "--json", "--scheduler", &self.scheduler, "--files-per-task", "1"])
            .args(["--out", &self.place("store"), "--input", &self.place("in")])
            .arg("--")
            .args(FLAGS)
            .args(&self.more)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    /// Waits until this many attempts have begun.
    pub(crate) fn wait_for_starts(&self, n: usize) {
        wait_until("conversions begin", || self.starts() >= n);
    }

    /// Attempts that have begun.
    pub(crate) fn starts(&self) -> usize {
        if let Some(bucket) = &self.bucket {
            let logs = bucket.below("store/.loblab-cluster");
            let count =
                |log: &Vec<u8>| String::from_utf8_lossy(log).matches("\"event\":\"start\"").count();
            return logs.values().map(count).sum();
        }
        let Ok(logs) = fs::read_dir(self.path("store/.loblab-cluster")) else { return 0 };
        let count = |text: String| text.matches("\"event\":\"start\"").count();
        logs.map(|log| count(fs::read_to_string(log.unwrap().path()).unwrap())).sum()
    }

    /// Asserts that the store is what one machine makes of the inputs, to the byte, with nothing
    /// beside it.
    pub(crate) fn assert_same_as_one_machine(&self) {
        let alone = self.path("alone");
        if !alone.exists() {
            // A store names its sources, so they must be called the same.
            let mut inputs = vec![self.place("in")];
            if let Some(bucket) = &self.bucket {
                let there = self.path(&bucket.url("in").replace("//", "/"));
                fs::create_dir_all(there.parent().unwrap()).unwrap();
                if !there.exists() {
                    std::os::unix::fs::symlink(self.path("in"), &there).unwrap();
                }
                let names = fs::read_dir(there).unwrap();
                let name = |file: std::io::Result<fs::DirEntry>| {
                    bucket.url(&format!("in/{}", file.unwrap().file_name().to_str().unwrap()))
                };
                inputs = names.map(name).collect();
                inputs.sort();
            }
            let done = Command::new(lob())
                .current_dir(self.folder.path())
                .args(["--quiet", "convert", "--keep-going", "--keep-duplicates", "--out"])
                .arg(&alone)
                .args(FLAGS)
                .args(&self.more)
                .args(inputs)
                .output()
                .unwrap();
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        }
        if let Some(bucket) = &self.bucket {
            drop(fs::remove_dir_all(self.path("store")));
            for (name, bytes) in bucket.below("store") {
                let path = self.path("store").join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, bytes).unwrap();
            }
        }
        let (ours, theirs) = (data(&self.path("store")), data(&alone));
        assert!(!theirs.is_empty());
        let names = |files: &BTreeMap<PathBuf, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&ours), names(&theirs));
        assert!(ours == theirs, "the files differ");
        let checked = self
            .command()
            .args(["check", "--deep", "--json", &self.place("store")])
            .args(["--inputs", &self.place("in")])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&checked.stdout);
        assert!(checked.status.success(), "{text}");
    }

    /// What the processes wrote to their logs.
    pub(crate) fn logs(&self) -> String {
        let mut text = String::new();
        for name in self.processes.keys() {
            let log = fs::read_to_string(self.path(&format!("{name}.log"))).unwrap_or_default();
            text += &format!("--- {name}\n{log}\n");
        }
        text
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for child in self.processes.values_mut() {
            drop(child.kill());
            drop(child.wait());
        }
        if std::thread::panicking() {
            eprintln!("{}", self.logs());
        }
    }
}

/// The document `submit --json` printed, and its exit code.
pub(crate) fn summary(output: &Output) -> (i32, Value) {
    let text = String::from_utf8_lossy(&output.stdout);
    let document = serde_json::from_str(&text).unwrap_or_else(|error| {
        panic!("{error}: `{text}` / {}", String::from_utf8_lossy(&output.stderr))
    });
    (output.status.code().unwrap(), document)
}

/// Writes a short synthetic market.
pub(crate) fn synth(file: &Path, seed: u32) {
    let made = Command::new(lob())
        .args(["--quiet", "synth", "--records", "1500", "--seed", &seed.to_string(), "--out"])
        .arg(file)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

/// Parquet files of a store by their place in it.
fn data(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    fn walk(root: &Path, folder: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(root, &path, found);
            } else if path.extension().is_some_and(|extension| extension == "parquet") {
                let name = path.strip_prefix(root).unwrap().to_owned();
                found.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(root, root, &mut found);
    found
}

fn lob() -> PathBuf {
    let path = std::env::var_os("LOB_BIN").map(PathBuf::from);
    let path = path.expect("LOB_BIN names the `lob` command; `cargo xtask cluster-test` sets it");
    assert!(path.is_file(), "no `lob` at {}", path.display());
    path
}

/// A free port below those the system gives to clients.
pub(crate) fn port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let start = u16::try_from(std::process::id() % 900).unwrap() * 12;
        let port = 20_000 + (start + n) % 12_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

pub(crate) fn wait_until(what: &str, mut check: impl FnMut() -> bool) {
    let start = Instant::now();
    while !check() {
        assert!(start.elapsed() < Duration::from_secs(60), "not within a minute: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
