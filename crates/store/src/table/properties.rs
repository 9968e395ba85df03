//! How the columns of tables are encoded.

use parquet::{
    basic::{Compression as Codec, Encoding, ZstdLevel},
    errors::ParquetError,
    file::properties::{EnabledStatistics, WriterProperties, WriterVersion},
    schema::types::ColumnPath,
};

use super::{Column, ColumnKind, PAGE_ROWS};

/// For other programs: as small as it gets.
pub(super) fn properties(columns: &[Column]) -> Result<WriterProperties, ParquetError> {
    let mut builder = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .set_created_by(format!("loblab version {}", env!("CARGO_PKG_VERSION")))
        .set_compression(Codec::ZSTD(ZstdLevel::try_new(1)?))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_statistics_enabled(EnabledStatistics::None);
    for column in columns {
        let path = ColumnPath::new(vec![column.name.clone()]);
        let encoding = match column.kind {
            ColumnKind::I64 | ColumnKind::U64 | ColumnKind::Timestamp => {
                Encoding::DELTA_BINARY_PACKED
            }
            // Neighbouring numbers share their high bytes: apart, those compress.
            ColumnKind::F32 | ColumnKind::F64 => Encoding::BYTE_STREAM_SPLIT,
            ColumnKind::Utf8 => Encoding::PLAIN,
        };
        let is_text = column.kind == ColumnKind::Utf8;
        builder = builder
            .set_column_dictionary_enabled(path.clone(), is_text)
            .set_column_encoding(path.clone(), encoding);
        if column.kind == ColumnKind::Timestamp {
            builder = builder.set_column_statistics_enabled(path, EnabledStatistics::Chunk);
        }
    }
    Ok(builder.build())
}

/// For our own readers: pages are cut by rows alone, values are plain, and a dictionary, which the columns
/// of these names have, has room for its row group.
pub(super) fn plain_properties(
    columns: &[Column],
    dictionaries: &[&str],
) -> Result<WriterProperties, ParquetError> {
    let mut builder = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .set_created_by(format!("loblab version {}", env!("CARGO_PKG_VERSION")))
        .set_compression(Codec::ZSTD(ZstdLevel::try_new(1)?))
        .set_encoding(Encoding::PLAIN)
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_write_batch_size(PAGE_ROWS)
        .set_data_page_size_limit(usize::MAX)
        .set_dictionary_page_size_limit(usize::MAX)
        .set_statistics_enabled(EnabledStatistics::None);
    for column in columns {
        let has_dictionary = dictionaries.contains(&column.name.as_str());
        let path = ColumnPath::new(vec![column.name.clone()]);
        builder = builder.set_column_dictionary_enabled(path, has_dictionary);
    }
    Ok(builder.build())
}
