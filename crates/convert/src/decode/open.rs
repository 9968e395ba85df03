//! Opening files as streams of records.

use std::{path::Path, sync::Arc};

use dbn::{Mbp10Msg, Schema};
use lob_book::Replayer;
use rustc_hash::FxHashMap;

use super::{
    BUFFER_BYTES, BookSchema, Header, RecordLengths, RecordStream, Source, StreamCounts,
    book_schema, framing::Framing, header::record_fsm, read_header,
};
use crate::{
    ConvertError, InputHash, Progress,
    increments::Increments,
    input_file::InputFile,
    inputs::folder_symbols,
    instruments::Instruments,
    symbols::{SymbolMap, of_header},
};

impl RecordStream {
    /// Opens a file and reads its header. The file's SHA-256 and the fingerprint of its records are
    /// computed on the way.
    ///
    /// # Errors
    /// The file cannot be read, is no DBN file, is of a version or schema that is not accepted, or
    /// its last Zstandard frame is not complete.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ConvertError> {
        Self::open_alone(path.as_ref(), InputHash::Sha256, &|| false)
    }

    /// [`open`](Self::open) without the hashes, for readers that do not need them.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_unhashed(path: impl AsRef<Path>) -> Result<Self, ConvertError> {
        Self::open_alone(path.as_ref(), InputHash::None, &|| false)
    }

    /// [`open_unhashed`](Self::open_unhashed) that asks `is_cancelled` now and then while it takes
    /// in the symbols, of which a header may hold millions.
    ///
    /// # Errors
    /// As [`open`](Self::open), and [`ConvertError::Interrupted`] when it says so.
    pub fn open_cancellable(
        path: impl AsRef<Path>,
        is_cancelled: &dyn Fn() -> bool,
    ) -> Result<Self, ConvertError> {
        Self::open_alone(path.as_ref(), InputHash::None, is_cancelled)
    }

    /// A file with what its batch folder says about symbols, if it lies in one.
    fn open_alone(
        path: &Path,
        hash: InputHash,
        is_cancelled: &dyn Fn() -> bool,
    ) -> Result<Self, ConvertError> {
        let is_known = hash != InputHash::None;
        let stream = Self::open_with(path, hash, is_known, is_cancelled)?;
        let batch = folder_symbols(path.parent().unwrap_or(Path::new("")), is_cancelled)?;
        Ok(stream.with_batch(batch))
    }

    /// Opens a file whose content is known by `hash` and, if asked for, by a fingerprint.
    pub(crate) fn open_with(
        path: &Path,
        hash: InputHash,
        has_fingerprint: bool,
        is_cancelled: &dyn Fn() -> bool,
    ) -> Result<Self, ConvertError> {
        let input = InputFile::open(path)?;
        let mut source = Source::new(&input, hash)?;
        let header = read_header(&input, &mut source)?;
        if has_fingerprint {
            source.fingerprint_the_rest();
        }
        let schema = book_schema(path, &header.metadata)?;
        let symbols = of_header(&header.metadata, is_cancelled)?;
        Self::new(input, source, header, schema, symbols)
    }

    /// The file once more, from its start and without the hash, which must be the same still: for
    /// readers that need two passes.
    ///
    /// # Errors
    /// As [`open_cancellable`](Self::open_cancellable), and the file is another one than this
    /// stream's.
    pub fn open_again(&self, is_cancelled: &dyn Fn() -> bool) -> Result<Self, ConvertError> {
        let again = Self::open_cancellable(self.path(), is_cancelled)?;
        again.input.check_same(&self.input)?;
        Ok(again)
    }

    fn new(
        input: InputFile,
        source: Source,
        header: Header,
        schema: Option<BookSchema>,
        symbols: SymbolMap,
    ) -> Result<Self, ConvertError> {
        let fsm = record_fsm(input.path(), &header.metadata, BUFFER_BYTES)?;
        Ok(Self {
            input,
            source,
            lengths: RecordLengths::of(&header.metadata),
            instruments: Instruments::new(symbols, None),
            schema,
            fsm,
            framing: Framing::default(),
            replayer: Replayer::new(),
            replayed: Mbp10Msg::default(),
            cleared: FxHashMap::default(),
            counts: StreamCounts { decoded_bytes: header.bytes, ..StreamCounts::default() },
            filled_bytes: header.bytes,
            is_done: false,
            metadata: header.metadata,
        })
    }

    /// The price increments in files of definition records.
    pub(crate) fn increments_of_all<'p>(
        paths: impl Iterator<Item = &'p std::path::PathBuf>,
        progress: &dyn Progress,
    ) -> Result<Increments, ConvertError> {
        let mut all = Increments::default();
        for path in paths {
            all.extend(Self::increments(path, progress)?);
        }
        Ok(all)
    }

    /// The price increments in one of them, read to its end.
    fn increments(path: &Path, progress: &dyn Progress) -> Result<Increments, ConvertError> {
        let input = InputFile::open(path)?;
        let mut source = Source::new(&input, InputHash::None)?;
        let mut header = read_header(&input, &mut source)?;
        match header.metadata.schema.take() {
            // Without a schema of books, records of any kind are read and counted.
            None | Some(Schema::Definition) => {}
            Some(other) => {
                let (path, found) = (path.to_owned(), other.as_str().to_owned());
                return Err(ConvertError::NotDefinitions { path, found });
            }
        }
        let mut stream = Self::new(input, source, header, None, SymbolMap::default())?;
        while stream.next_unless_stopped(progress)?.is_some() {}
        Ok(stream.instruments.increments)
    }

    /// Adds the symbols of the batch that the file belongs to.
    pub(crate) fn with_batch(mut self, symbols: Option<Arc<SymbolMap>>) -> Self {
        self.instruments.batch = symbols;
        self
    }

    /// Reads and decompresses on a thread of its own from here on, at most 1.5 MiB ahead, so that
    /// this work and the caller's share two cores. What comes out is the same.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn read_ahead(self) -> Result<Self, ConvertError> {
        let source =
            self.source.ahead().map_err(ConvertError::io(self.input.path(), "read ahead in"))?;
        Ok(Self { source, ..self })
    }
}
