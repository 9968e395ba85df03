//! Inputs and store in a bucket, against a real server.
//!
//! `LOB_S3_PYTHON` names a Python that has moto (`pip install 'moto[server]'`); a server is started
//! with it. `LOB_S3_ENDPOINT` and `LOB_S3_BUCKET` name a server and a bucket that are there already,
//! with credentials in the `AWS_*` variables. Without either these tests say so.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt, aws::AmazonS3Builder, path::Path as Key};

use crate::lab::{FLAGS, Lab, port, summary, synth, wait_until};

/// A server of one test.
struct Server {
    endpoint: String,
    bucket: String,
    child: Option<Child>,
}

impl Server {
    /// `None`, with a line that says so, if there is nothing to test against.
    fn start() -> Option<Self> {
        let of = |name: &str| std::env::var(name).ok();
        if let (Some(endpoint), Some(bucket)) = (of("LOB_S3_ENDPOINT"), of("LOB_S3_BUCKET")) {
            return Some(Self { endpoint, bucket, child: None });
        }
        let Some(python) = of("LOB_S3_PYTHON") else {
            eprintln!("skipped: neither LOB_S3_PYTHON nor LOB_S3_ENDPOINT is set");
            return None;
        };
        let port = port();
        let child = Command::new(python)
            .args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self {
            endpoint: format!("http://127.0.0.1:{port}"),
            bucket: "ticks".to_owned(),
            child: Some(child),
        };
        wait_until("the object store listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let head = "PUT /ticks HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n";
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        write!(stream, "{head}Connection: close\r\n\r\n").unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
        Some(server)
    }

    fn environment(&self) -> Vec<(String, String)> {
        let mut pairs = vec![("AWS_ENDPOINT", &*self.endpoint), ("AWS_ALLOW_HTTP", "true")];
        if self.child.is_some() {
            pairs.extend([
                ("AWS_ACCESS_KEY_ID", "test"),
                ("AWS_SECRET_ACCESS_KEY", "test"),
                ("AWS_REGION", "us-east-1"),
            ]);
        }
        pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// A place of its own in the bucket.
    fn bucket(&self) -> Bucket {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let mut builder = AmazonS3Builder::from_env().with_bucket_name(&self.bucket);
        for (name, value) in self.environment() {
            builder = builder.with_config(name.to_ascii_lowercase().parse().unwrap(), value);
        }
        Bucket {
            name: self.bucket.clone(),
            prefix: format!("test-{}-{n}", std::process::id()),
            store: Arc::new(builder.build().unwrap()),
            environment: self.environment(),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// A place in a bucket, seen from the test.
pub(crate) struct Bucket {
    name: String,
    prefix: String,
    store: Arc<dyn ObjectStore>,
    environment: Vec<(String, String)>,
}

impl Bucket {
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        self.environment.clone()
    }

    pub(crate) fn url(&self, name: &str) -> String {
        format!("s3://{}/{}/{name}", self.name, self.prefix)
    }

    fn key(&self, name: &str) -> Key {
        Key::parse(format!("{}/{name}", self.prefix)).unwrap()
    }

    pub(crate) fn put(&self, name: &str, bytes: Vec<u8>) {
        wait(async { self.store.put(&self.key(name), bytes.into()).await.unwrap() });
    }

    /// All objects below a folder by their name from there.
    pub(crate) fn below(&self, folder: &str) -> BTreeMap<String, Vec<u8>> {
        wait(async {
            let folder = self.key(folder);
            let listed: Vec<_> = self.store.list(Some(&folder)).try_collect().await.unwrap();
            let mut found = BTreeMap::new();
            for meta in listed {
                let bytes = self.store.get(&meta.location).await.unwrap().bytes().await.unwrap();
                let name = &meta.location.as_ref()[folder.as_ref().len() + 1..];
                found.insert(name.to_owned(), bytes.to_vec());
            }
            found
        })
    }
}

/// One runtime for all: connections of a client belong to it.
fn wait<T>(what: impl Future<Output = T>) -> T {
    static RUNTIME: std::sync::OnceLock<tokio::runtime::Runtime> = std::sync::OnceLock::new();
    RUNTIME.get_or_init(|| tokio::runtime::Runtime::new().unwrap()).block_on(what)
}

/// Nothing of a task is left on the disk of the executors.
fn assert_scratch_is_empty(lab: &Lab) {
    for folder in fs::read_dir(lab.path("scratch")).unwrap().map(|entry| entry.unwrap().path()) {
        if folder.is_dir() {
            assert_eq!(fs::read_dir(&folder).unwrap().count(), 0, "{}", folder.display());
        }
    }
}

#[test]
fn a_bucket_holds_what_one_machine_writes() {
    let Some(server) = Server::start() else { return };
    let mut lab = Lab::new(12, 0.2);
    lab.move_to(server.bucket());
    lab.start(&["a", "b"]);
    let (code, found) = summary(&lab.submit().wait_with_output().unwrap());
    assert_eq!((code, &found["converted"]), (0, &12.into()), "{found}");
    assert_eq!(found["workers"].as_object().unwrap().len(), 2, "both executors work: {found}");
    assert_eq!(lab.starts(), 12, "each file once");
    lab.assert_same_as_one_machine();
    assert_scratch_is_empty(&lab);

    // Once more: everything is there already, and no input is fetched to see that.
    let (code, again) = summary(&lab.submit().wait_with_output().unwrap());
    assert_eq!((code, &again["resumed"], &again["rows"]), (0, &12.into(), &found["rows"]));
    assert_eq!((&again["downloaded_bytes"], &again["uploaded_bytes"]), (&0.into(), &0.into()));

    // Another delivery of one input: what was made of the first goes.
    let input = lab.path("in/000.mbp-10.dbn.zst");
    fs::remove_file(&input).unwrap();
    synth(&input, 99);
    lab.bucket().put("in/000.mbp-10.dbn.zst", fs::read(&input).unwrap());
    let (code, third) = summary(&lab.submit().wait_with_output().unwrap());
    assert_eq!((code, &third["resumed"]), (0, &11.into()), "{third}");
    fs::remove_dir_all(lab.path("alone")).unwrap();
    lab.assert_same_as_one_machine();
}

#[test]
fn a_killed_executor_with_a_bucket() {
    let Some(server) = Server::start() else { return };
    let mut lab = Lab::new(16, 1.0);
    lab.move_to(server.bucket());
    lab.start(&["a", "b"]);
    let submit = lab.submit();
    lab.wait_for_starts(6);
    lab.signal("b", "KILL");
    let (code, found) = summary(&submit.wait_with_output().unwrap());
    assert_eq!((code, &found["converted"]), (0, &16.into()), "{found}");
    assert!(lab.starts() > 16, "what the executor had at hand is started again");
    lab.assert_same_as_one_machine();
    // What the killed one left is swept when one starts.
    lab.start_executor("c");
    assert_scratch_is_empty(&lab);
}

/// Paths on one side and a bucket on the other.
#[test]
fn one_file_between_a_disk_and_a_bucket() {
    let Some(server) = Server::start() else { return };
    let mut lab = Lab::new(1, 0.0);
    lab.move_to(server.bucket());
    let (here, there) = (lab.path("in/000.mbp-10.dbn.zst"), "in/000.mbp-10.dbn.zst");
    let pairs = [
        (here.display().to_string(), lab.bucket().url("out")),
        (lab.bucket().url(there), lab.path("out").display().to_string()),
    ];
    for (input, out) in &pairs {
        for is_resumed in [false, true] {
            let mut command = lab.command();
            command.args(["one", input, "--out", out, "--lob"]).arg(lab.path("lob-slow"));
            let (code, row) = summary(&command.arg("--").args(FLAGS).output().unwrap());
            assert_eq!((code, &row["records"]), (0, &1_500.into()), "{row}");
            assert_eq!(row["resumed"], is_resumed, "{row}");
        }
        let mut command = lab.command();
        let checked = command.args(["check", "--deep", out, "--inputs", input]).output().unwrap();
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
    }
}

#[test]
fn wrong_places_are_one_clear_line() {
    let Some(server) = Server::start() else { return };
    let mut lab = Lab::new(1, 0.0);
    lab.move_to(server.bucket());
    let (url, missing) = (lab.bucket().url("in"), "s3://no-such-bucket-here/in".to_owned());
    let empty = lab.bucket().url("nothing");
    for (input, out, variable, expected) in [
        (&missing, &url, ("A", "b"), "make the bucket or correct the URL"),
        (&url, &missing, ("A", "b"), "make the bucket or correct the URL"),
        (&empty, &url, ("A", "b"), "holds no `.dbn`"),
        (&url, &url, ("AWS_ALLOW_HTTP", "false"), "set AWS_ALLOW_HTTP=true"),
        (&url, &url, ("AWS_ENDPOINT", "http://127.0.0.1:9"), "correct AWS_ENDPOINT"),
    ] {
        let mut command = lab.command();
        command.args(["submit", "--wait", "0", "--scheduler", &lab.scheduler]);
        let output =
            command.args([input, "--out", out]).env(variable.0, variable.1).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains(expected) && text.lines().count() == 1, "{text}");
    }
}
