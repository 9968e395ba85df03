//! Files to and from objects, in parts: memory stays the same however large they are.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use futures::{
    StreamExt,
    stream::{self, BoxStream, FuturesUnordered},
};
use object_store::{GetOptions, GetRange, MultipartUpload, ObjectMeta, ObjectStoreExt, PutPayload};
use sha2::{Digest, Sha256};
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncWriteExt},
};

use super::Bucket;

/// Bytes of a part: above the 5 MiB that S3 asks for.
pub(super) const PART_BYTES: u64 = 8 << 20;
/// Parts on their way at the same time. With the part at hand, at most 40 MiB a file.
const IN_FLIGHT: usize = 4;
/// S3 takes 10,000 parts at most.
const MOST_PARTS: u64 = 10_000;

impl Bucket {
    /// Copies the object that `meta` describes to a new file.
    ///
    /// # Errors
    /// A request fails, the object changes meanwhile, its size is not the one listed, or the disk
    /// refuses.
    pub(crate) async fn download(&self, name: &str, meta: &ObjectMeta, to: &Path) -> Result<()> {
        let context = || format!("write `{}`", to.display());
        let mut file = File::create_new(to).await.with_context(context)?;
        let mut parts = self.parts(name, meta);
        let mut bytes = 0;
        while let Some(part) = parts.next().await {
            let part = part?;
            file.write_all(&part).await.with_context(context)?;
            bytes += part.len() as u64;
        }
        file.flush().await.with_context(context)?;
        self.check_size(name, meta.size, bytes)
    }

    /// SHA-256 of an object, in hexadecimal digits.
    pub(crate) async fn hash(&self, name: &str, meta: &ObjectMeta) -> Result<String> {
        let (mut hash, mut bytes) = (Sha256::new(), 0);
        let mut parts = self.parts(name, meta);
        while let Some(part) = parts.next().await {
            let part = part?;
            hash.update(&part);
            bytes += part.len() as u64;
        }
        self.check_size(name, meta.size, bytes)?;
        Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    fn check_size(&self, name: &str, expected: u64, found: u64) -> Result<()> {
        ensure!(
            found == expected,
            "`{}` gave {found} bytes, expected {expected}; submit again when nobody writes to it",
            self.url(name)
        );
        Ok(())
    }

    /// The parts of an object in order, a few ahead. Every request asks for the same ETag, so that
    /// an object that is replaced meanwhile is an error and no mixture.
    fn parts<'a>(&'a self, name: &'a str, meta: &'a ObjectMeta) -> BoxStream<'a, Result<Vec<u8>>> {
        let get = async move |start: u64| {
            let end = meta.size.min(start.saturating_add(self.part_bytes));
            let options = GetOptions {
                if_match: meta.e_tag.clone(),
                range: Some(GetRange::Bounded(start..end)),
                ..GetOptions::default()
            };
            let found = match self.store.get_opts(&self.key(name)?, options).await {
                Ok(found) => found.bytes().await,
                Err(error) => Err(error),
            };
            let found: Vec<u8> = found.map_err(|error| self.failed(name, error))?.into();
            self.check_size(name, end - start, found.len() as u64)?;
            Ok(found)
        };
        let starts = (0..meta.size.div_ceil(self.part_bytes)).map(|n| n * self.part_bytes);
        stream::iter(starts).map(get).buffered(IN_FLIGHT).boxed()
    }

    /// Writes an object from a file and asks the store for its size afterwards. A reader sees the
    /// object whole or not at all; parts of an upload that fails are taken back.
    ///
    /// # Errors
    /// A request fails, the disk refuses, or the store has another size than the file.
    pub(crate) async fn upload(&self, name: &str, from: &Path) -> Result<u64> {
        let context = || format!("read `{}`", from.display());
        let mut file = File::open(from).await.with_context(context)?;
        let bytes = file.metadata().await.with_context(context)?.len();
        let key = self.key(name)?;
        if bytes <= self.part_bytes {
            let mut whole = Vec::new();
            file.read_to_end(&mut whole).await.with_context(context)?;
            let put = self.store.put(&key, whole.into()).await;
            put.map_err(|error| self.failed(name, error))?;
        } else {
            let upload = self.store.put_multipart(&key).await;
            let mut upload = upload.map_err(|error| self.failed(name, error))?;
            let sent = self.send_parts(name, &mut *upload, file, bytes).await;
            let sent = match sent {
                Ok(()) => upload.complete().await.map_err(|error| self.failed(name, error)),
                Err(error) => Err(error),
            };
            if let Err(error) = sent {
                // Parts that stay cost money until a rule of the bucket removes them.
                if let Err(kept) = upload.abort().await {
                    log::warn!("parts of `{}` may be left over: {kept}", self.url(name));
                }
                return Err(error);
            }
        }
        let found = self.head(name).await?.map_or(0, |meta| meta.size);
        ensure!(
            found == bytes,
            "`{}` has {found} bytes after the upload of {bytes}; submit again",
            self.url(name)
        );
        Ok(bytes)
    }

    async fn send_parts(
        &self,
        name: &str,
        upload: &mut dyn MultipartUpload,
        mut file: File,
        bytes: u64,
    ) -> Result<()> {
        // Parts grow when there would be too many.
        let part_bytes = self.part_bytes.max(bytes.div_ceil(MOST_PARTS));
        let mut sending = FuturesUnordered::new();
        let mut left = bytes;
        while left > 0 {
            let mut part = Vec::new();
            let n = left.min(part_bytes);
            let read = (&mut file).take(n).read_to_end(&mut part).await;
            let read = read.with_context(|| format!("read what becomes `{}`", self.url(name)))?;
            ensure!(read as u64 == n, "the file for `{}` has shrunk", self.url(name));
            left -= n;
            sending.push(upload.put_part(PutPayload::from(part)));
            if sending.len() == IN_FLIGHT
                && let Some(sent) = sending.next().await
            {
                sent.map_err(|error| self.failed(name, error))?;
            }
        }
        while let Some(sent) = sending.next().await {
            sent.map_err(|error| self.failed(name, error))?;
        }
        Ok(())
    }
}
