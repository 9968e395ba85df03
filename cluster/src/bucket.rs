//! A prefix in a bucket of an S3-compatible store: list, read, write.

mod explain;
#[cfg(test)]
pub(crate) mod flaky;
mod transfer;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result};
use futures::TryStreamExt;
use object_store::{
    ObjectMeta, ObjectStore, ObjectStoreExt, RetryConfig, aws::AmazonS3Builder, path::Path as Key,
};

use crate::place::Object;

/// How long a request is repeated before it counts as failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Patience {
    /// A person waits for the answer, or the request matters little.
    Short,
    /// A file's conversion depends on it.
    Long,
}

/// A prefix in a bucket. Names are relative to it; the empty name is the prefix itself, as a key.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    store: Arc<dyn ObjectStore>,
    at: Object,
    /// Bytes of a part of a transfer.
    part_bytes: u64,
}

/// Clients keep connections open, so that one serves all tasks of a process.
static CLIENTS: Mutex<BTreeMap<(String, Patience), Arc<dyn ObjectStore>>> =
    Mutex::new(BTreeMap::new());

impl Bucket {
    /// The place, by the `AWS_*` variables of the environment. Sends nothing.
    ///
    /// # Errors
    /// A variable has no valid value.
    pub(crate) fn open(at: &Object, patience: Patience) -> Result<Self> {
        let key = (at.bucket.clone(), patience);
        let mut clients = CLIENTS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = clients.get(&key) {
            return Ok(Self::over(Arc::clone(store), at));
        }
        let retry = match patience {
            Patience::Short => RetryConfig {
                max_retries: 2,
                retry_timeout: Duration::from_secs(10),
                ..RetryConfig::default()
            },
            Patience::Long => RetryConfig::default(),
        };
        let store = AmazonS3Builder::from_env()
            .with_bucket_name(&at.bucket)
            .with_retry(retry)
            .build()
            .with_context(|| format!("`{at}`: the AWS_* variables of the environment"))?;
        let store: Arc<dyn ObjectStore> = Arc::new(store);
        clients.insert(key, Arc::clone(&store));
        Ok(Self::over(store, at))
    }

    /// The place in a store that is there already.
    pub(crate) fn over(store: Arc<dyn ObjectStore>, at: &Object) -> Self {
        Self { store, at: at.clone(), part_bytes: transfer::PART_BYTES }
    }

    /// What messages call an object.
    pub(crate) fn url(&self, name: &str) -> String {
        let slash = if name.is_empty() || self.at.key.as_ref().is_empty() { "" } else { "/" };
        format!("{}{slash}{name}", self.at)
    }

    /// Whether the place is a whole bucket.
    pub(crate) fn is_whole(&self) -> bool {
        self.at.key.as_ref().is_empty()
    }

    fn key(&self, name: &str) -> Result<Key> {
        let text = match (self.is_whole(), name.is_empty()) {
            (_, true) => return Ok(self.at.key.clone()),
            (true, false) => name.to_owned(),
            (false, false) => format!("{}/{name}", self.at.key),
        };
        Key::parse(text).with_context(|| format!("`{}` is no valid key", self.url(name)))
    }

    fn failed(&self, name: &str, error: object_store::Error) -> anyhow::Error {
        explain::explain(&self.url(name), error)
    }

    /// Fails unless the bucket answers and may be listed.
    ///
    /// # Errors
    /// No answer, no such bucket, or it is refused; the message says what to do.
    pub(crate) async fn probe(&self) -> Result<()> {
        let first = self.store.list(Some(&self.at.key)).try_next().await;
        first.map(drop).map_err(|error| self.failed("", error))
    }

    /// Everything below a folder of the place, sorted by name, with names relative to the place.
    pub(crate) async fn list(&self, folder: &str) -> Result<BTreeMap<String, ObjectMeta>> {
        let below = self.key(folder)?;
        let skip = match self.at.key.as_ref().len() {
            0 => 0,
            len => len + 1,
        };
        self.store
            .list(Some(&below))
            .map_ok(|meta| (meta.location.as_ref()[skip..].to_owned(), meta))
            .try_collect()
            .await
            .map_err(|error| self.failed(folder, error))
    }

    /// What the store says of an object; `None` if there is none.
    pub(crate) async fn head(&self, name: &str) -> Result<Option<ObjectMeta>> {
        match self.store.head(&self.key(name)?).await {
            Ok(meta) => Ok(Some(meta)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed(name, error)),
        }
    }

    /// The whole of a small text object; `None` if there is none.
    pub(crate) async fn read(&self, name: &str) -> Result<Option<String>> {
        let found = match self.store.get(&self.key(name)?).await {
            Ok(found) => found.bytes().await,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => Err(error),
        };
        let found = found.map_err(|error| self.failed(name, error))?;
        let text = String::from_utf8(found.into());
        Ok(Some(text.with_context(|| format!("`{}` is no text", self.url(name)))?))
    }

    /// Writes a small object in one request: it is there whole or not at all.
    pub(crate) async fn write(&self, name: &str, text: String) -> Result<()> {
        let put = self.store.put(&self.key(name)?, text.into()).await;
        put.map(drop).map_err(|error| self.failed(name, error))
    }

    /// Removes an object; one that is not there is no error.
    pub(crate) async fn remove(&self, name: &str) -> Result<()> {
        match self.store.delete(&self.key(name)?).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.failed(name, error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{flaky::Flaky, *};
    use std::fs;

    fn bucket(store: &Arc<Flaky>) -> Bucket {
        let at = Object { bucket: "b".to_owned(), key: Key::from("pre/fix") };
        // Parts so small that short files have many.
        Bucket { part_bytes: 10, ..Bucket::over(Arc::clone(store) as _, &at) }
    }

    fn bytes(len: usize) -> Vec<u8> {
        (0..len).map(|n| u8::try_from(n % 251).unwrap()).collect()
    }

    #[tokio::test]
    async fn files_come_back_as_they_went() {
        let folder = tempfile::tempdir().unwrap();
        let bucket = bucket(&Arc::new(Flaky::default()));
        for len in [0, 1, 9, 10, 11, 20, 99, 1_003] {
            let (from, to) = (folder.path().join("from"), folder.path().join(format!("{len}")));
            fs::write(&from, bytes(len)).unwrap();
            let name = format!("day=2024-01-02/{len}.parquet");
            assert_eq!(bucket.upload(&name, &from).await.unwrap(), len as u64);
            let meta = bucket.head(&name).await.unwrap().unwrap();
            bucket.download(&name, &meta, &to).await.unwrap();
            assert_eq!(fs::read(to).unwrap(), bytes(len));
            let whole: Vec<_> =
                sha2::Digest::finalize(<sha2::Sha256 as sha2::Digest>::new_with_prefix(bytes(len)))
                    .iter()
                    .map(|byte| format!("{byte:02x}"))
                    .collect();
            assert_eq!(bucket.hash(&name, &meta).await.unwrap(), whole.concat());
        }
        assert_eq!(bucket.list("day=2024-01-02").await.unwrap().len(), 8);
    }

    #[tokio::test]
    async fn an_object_that_changes_is_no_mixture() {
        let folder = tempfile::tempdir().unwrap();
        let bucket = bucket(&Arc::new(Flaky::default()));
        bucket.write("a", "x".repeat(40)).await.unwrap();
        let meta = bucket.head("a").await.unwrap().unwrap();
        bucket.write("a", "y".repeat(40)).await.unwrap();
        let error = bucket.download("a", &meta, &folder.path().join("a")).await.unwrap_err();
        assert!(error.to_string().contains("another ETag"), "{error}");
    }

    #[tokio::test]
    async fn an_upload_that_fails_is_taken_back() {
        let folder = tempfile::tempdir().unwrap();
        let from = folder.path().join("from");
        fs::write(&from, bytes(95)).unwrap();
        let store = Arc::new(Flaky::default());
        let bucket = bucket(&store);
        for part in [0, 5, 9] {
            store.fail_part(part);
            assert!(bucket.upload("a", &from).await.is_err());
            assert!(bucket.head("a").await.unwrap().is_none(), "a part is no object");
        }
        assert_eq!(store.aborts(), 3);
        store.fail_part(usize::MAX);
        bucket.upload("a", &from).await.unwrap();
        assert_eq!((store.aborts(), bucket.head("a").await.unwrap().unwrap().size), (3, 95));
    }
}
