//! A store in memory that keeps an account and fails when told to.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use async_trait::async_trait;
use futures::{FutureExt, stream::BoxStream};
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
    memory::InMemory, path::Path,
};

#[derive(Debug)]
pub(crate) struct Flaky {
    inner: InMemory,
    puts: Mutex<Vec<String>>,
    /// Writes of keys with this text fail.
    bad_key: Mutex<Option<String>>,
    bad_part: AtomicUsize,
    aborts: Arc<AtomicUsize>,
}

impl Default for Flaky {
    fn default() -> Self {
        Self {
            inner: InMemory::new(),
            puts: Mutex::default(),
            bad_key: Mutex::default(),
            bad_part: AtomicUsize::new(usize::MAX),
            aborts: Arc::default(),
        }
    }
}

fn broken() -> Error {
    Error::Generic { store: "flaky", source: "out of order".into() }
}

impl Flaky {
    /// Keys in the order in which they were written.
    pub(crate) fn puts(&self) -> Vec<String> {
        self.puts.lock().unwrap().clone()
    }

    pub(crate) fn fail_key(&self, text: Option<&str>) {
        *self.bad_key.lock().unwrap() = text.map(str::to_owned);
    }

    /// The part of this number of each upload fails.
    pub(crate) fn fail_part(&self, n: usize) {
        self.bad_part.store(n, SeqCst);
    }

    pub(crate) fn aborts(&self) -> usize {
        self.aborts.load(SeqCst)
    }
}

impl std::fmt::Display for Flaky {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("flaky")
    }
}

#[async_trait]
impl ObjectStore for Flaky {
    async fn put_opts(&self, at: &Path, data: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let is_bad = |text: &String| at.as_ref().contains(text.as_str());
        if self.bad_key.lock().unwrap().as_ref().is_some_and(is_bad) {
            return Err(broken());
        }
        self.puts.lock().unwrap().push(at.to_string());
        self.inner.put_opts(at, data, opts).await
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let inner = self.inner.put_multipart_opts(at, opts).await?;
        let (bad_part, aborts) = (self.bad_part.load(SeqCst), Arc::clone(&self.aborts));
        Ok(Box::new(FlakyUpload { inner, bad_part, part: 0, aborts }))
    }

    async fn get_opts(&self, at: &Path, opts: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(at, opts).await
    }

    fn delete_stream(
        &self,
        all: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(all)
    }

    fn list(&self, below: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(below)
    }

    async fn list_with_delimiter(&self, below: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(below).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, opts: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, opts).await
    }
}

#[derive(Debug)]
struct FlakyUpload {
    inner: Box<dyn MultipartUpload>,
    bad_part: usize,
    part: usize,
    aborts: Arc<AtomicUsize>,
}

#[async_trait]
impl MultipartUpload for FlakyUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let n = self.part;
        self.part += 1;
        if n == self.bad_part {
            return async { Err(broken()) }.boxed();
        }
        self.inner.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.inner.complete().await
    }

    async fn abort(&mut self) -> Result<()> {
        self.aborts.fetch_add(1, SeqCst);
        self.inner.abort().await
    }
}
