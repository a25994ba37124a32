//! A JSON document as it is stored: compressed once, when it is written, and copied unchanged into gzip
//! answers.
//!
//! A gzip member (RFC 1952) is a header of ten bytes, a deflate stream, and a trailer with the CRC-32 and the
//! length of the text. A deflate stream (RFC 1951) is a chain of blocks, the last of which is marked as
//! final. Usually such streams cannot be joined: a block refers back to earlier text, and ends in the middle
//! of a byte. Here they can:
//!
//! - [`Document::pack`] gives every document a compressor of its own, so that no block refers to text before
//!   the document, and ends it with a *full flush*, so that it ends at a byte's boundary and none of its
//!   blocks is marked as final. Packed documents can therefore follow one another in one deflate stream.
//!
//! `gzip_splice.rs` puts them together.

use crc32fast::Hasher;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// The version of the stored form that this version writes and reads. It is the first stored byte, so that a
/// form of a later version can be told from spoiled bytes.
pub const VERSION: u8 = 1;
/// The bytes before the packed ones: one byte of version, and three little-endian `u32`: a checksum of all
/// bytes behind it, the text's CRC-32, and the text's length.
const HEADER_BYTES: usize = 13;
/// The checksum covers all bytes from here on.
const CHECKED_FROM: usize = 5;

/// A document in its stored form. Its checksum was checked when it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The header and the packed text.
    stored: Vec<u8>,
    length: u32,
    crc32: u32,
}

/// Why stored bytes are not a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Spoiled {
    /// Fewer bytes than a document's header.
    #[error("its stored document is cut off")]
    CutOff,
    /// Another version of this service wrote them, or the first byte is spoiled.
    #[error("its stored document has version {0}, and this service reads version {VERSION}")]
    Version(u8),
    /// The bytes are not those that were stored.
    #[error("its stored document does not match its checksum")]
    Checksum,
    /// The bytes are those that were stored, but they do not inflate to what they should.
    #[error("its stored document cannot be decompressed")]
    Deflate,
}

/// Why a text cannot become a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{length} bytes are more than a document can hold ({} bytes)", u32::MAX)]
pub struct TooLong {
    /// The text's length in bytes.
    pub length: usize,
}

impl Document {
    /// The CRC-32 and the length of the text, for a text that this one is a piece of.
    pub(crate) fn checksum(&self) -> Hasher {
        Hasher::new_with_initial_len(self.crc32, u64::from(self.length))
    }

    /// Compresses a text at level 6. Level 9 was measured, and gains nothing on the YAML of deployments.
    ///
    /// # Errors
    /// The text has 4 GiB or more, which gzip's length field cannot hold.
    pub fn pack(text: &str) -> Result<Self, TooLong> {
        let length = u32::try_from(text.len()).map_err(|_| TooLong { length: text.len() })?;
        Ok(Self::new(&deflate(text.as_bytes()), length, crc32fast::hash(text.as_bytes())))
    }

    fn new(packed: &[u8], length: u32, crc32: u32) -> Self {
        let mut stored = Vec::with_capacity(HEADER_BYTES + packed.len());
        stored.push(VERSION);
        stored.extend_from_slice(&[0; CHECKED_FROM - 1]);
        stored.extend_from_slice(&crc32.to_le_bytes());
        stored.extend_from_slice(&length.to_le_bytes());
        stored.extend_from_slice(packed);
        let checksum = crc32fast::hash(&stored[CHECKED_FROM..]);
        stored[1..CHECKED_FROM].copy_from_slice(&checksum.to_le_bytes());
        Self { stored, length, crc32 }
    }

    /// Reads a document from its stored form and checks that nothing in it was spoiled.
    ///
    /// # Errors
    /// [`Spoiled`], where the bytes are not those that [`Document::stored`] gave.
    pub fn from_stored(mut stored: Vec<u8>) -> Result<Self, Spoiled> {
        let (header, _) = stored.split_first_chunk::<HEADER_BYTES>().ok_or(Spoiled::CutOff)?;
        let [version, numbers @ ..] = header;
        if *version != VERSION {
            return Err(Spoiled::Version(*version));
        }
        let (numbers, _) = numbers.as_chunks();
        let [checksum, crc32, length] = [0, 1, 2].map(|index| u32::from_le_bytes(numbers[index]));
        if crc32fast::hash(&stored[CHECKED_FROM..]) != checksum {
            return Err(Spoiled::Checksum);
        }
        // The document cache may keep these bytes, so that spare capacity would be lost memory.
        stored.shrink_to_fit();
        Ok(Self { stored, length, crc32 })
    }

    /// The bytes to store.
    pub fn stored(&self) -> &[u8] {
        &self.stored
    }

    pub(crate) fn packed(&self) -> &[u8] {
        &self.stored[HEADER_BYTES..]
    }

    /// How many bytes the document adds to a gzip answer.
    pub fn packed_length(&self) -> usize {
        self.packed().len()
    }

    /// The text's length in bytes.
    pub fn length(&self) -> usize {
        self.length as usize
    }

    /// The text.
    ///
    /// # Errors
    /// The same as those of [`Inflater::append`].
    pub fn unpack(&self) -> Result<String, Spoiled> {
        let mut text = Vec::new();
        Inflater::default().append(self, &mut text)?;
        String::from_utf8(text).map_err(|_| Spoiled::Deflate)
    }
}

/// Unpacks one document after another. It is reused, since making its window costs more than unpacking a
/// small document.
pub struct Inflater(Decompress);

impl Default for Inflater {
    fn default() -> Self {
        Self(Decompress::new(false))
    }
}

impl Inflater {
    /// Appends a document's text, in UTF-8.
    ///
    /// Nobody checks again that it is UTF-8: it was a text when it was packed, and the checksum shows that
    /// the packed bytes are unchanged.
    ///
    /// # Errors
    /// [`Spoiled::Deflate`], where the bytes do not inflate to the length they should.
    pub fn append(&mut self, document: &Document, text: &mut Vec<u8>) -> Result<(), Spoiled> {
        let (packed, before) = (document.packed(), text.len());
        self.0.reset(false);
        // With one byte to spare the decompressor reads on through the flush, and a text that is too long is
        // noticed.
        text.reserve(document.length() + 1);
        while self.read() < packed.len() {
            let read = self.read();
            let status = self
                .0
                .decompress_vec(&packed[read..], text, FlushDecompress::None)
                .map_err(|_| Spoiled::Deflate)?;
            let is_stuck = self.read() == read;
            if status == Status::StreamEnd || is_stuck {
                return Err(Spoiled::Deflate);
            }
        }
        if text.len() - before != document.length() {
            return Err(Spoiled::Deflate);
        }
        Ok(())
    }

    fn read(&self) -> usize {
        usize::try_from(self.0.total_in()).expect("a document's length fits into 32 bits")
    }
}

fn deflate(text: &[u8]) -> Vec<u8> {
    let mut compressor = Compress::new(Compression::new(6), false);
    // At worst, deflate makes stored blocks of everything; the flush adds an empty one.
    let mut packed = Vec::with_capacity(text.len() + text.len() / 1000 + 64);
    loop {
        let read = usize::try_from(compressor.total_in()).expect("a text in memory has a length in memory");
        compressor
            .compress_vec(&text[read..], &mut packed, FlushCompress::Full)
            .expect("deflating from memory into memory cannot fail");
        // Room to spare after a flush means that the flush is complete (zlib's own rule).
        if compressor.total_in() == text.len() as u64 && packed.len() < packed.capacity() {
            return packed;
        }
        packed.reserve(64 + text.len() / 8);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use proptest::prelude::*;

    use super::*;
    use crate::gzip_splice::*;

    fn gunzip(gzip: &[u8]) -> String {
        let mut text = String::new();
        let mut decoder = flate2::bufread::GzDecoder::new(gzip);
        decoder.read_to_string(&mut text).expect("a gzip member");
        let mut behind = Vec::new();
        decoder.into_inner().read_to_end(&mut behind).expect("a slice");
        assert!(behind.is_empty(), "one member and nothing behind it");
        text
    }

    proptest! {
        #[test]
        fn a_packed_text_unpacks_to_itself(text in "\\PC{0,2000}", times in 1_usize..40) {
            let text = text.repeat(times);
            let document = Document::pack(&text).unwrap();
            prop_assert_eq!(document.stored().len(), HEADER_BYTES + document.packed_length());
            let read = Document::from_stored(document.stored().to_vec()).unwrap();
            prop_assert_eq!(&read, &document);
            prop_assert_eq!(read.unpack().unwrap(), text);
        }

        #[test]
        fn a_splice_is_one_gzip_member_of_the_length_that_was_worked_out(texts in prop::collection::vec("\\PC{0,300}", 0..12)) {
            let documents: Vec<_> = texts.iter().map(|text| Document::pack(text).unwrap()).collect();
            let mut splice = GzipSplice::with_capacity(0);
            splice.text("[");
            for (index, document) in documents.iter().enumerate() {
                splice.document(document);
                splice.text(if index + 1 < documents.len() { "," } else { "]" });
            }
            let gzip = splice.finish();
            let lengths = documents.iter().map(|document| gzip_length_of_document(document.packed_length(), 1));
            prop_assert_eq!(gzip.len(), gzip_length_without_documents(1) + lengths.sum::<usize>());
            let closing = if documents.is_empty() { "" } else { "]" };
            prop_assert_eq!(gunzip(&gzip), format!("[{}{closing}", texts.join(",")));
        }

        #[test]
        fn no_spoiled_byte_goes_unnoticed(text in "[a-z ]{0,400}", place: prop::sample::Index, flip in 1_u8..) {
            let mut stored = Document::pack(&text).unwrap().stored().to_vec();
            let place = place.index(stored.len());
            stored[place] ^= flip;
            let expected = if place == 0 { Spoiled::Version(VERSION ^ flip) } else { Spoiled::Checksum };
            prop_assert_eq!(Document::from_stored(stored), Err(expected));
        }

        #[test]
        fn any_bytes_are_a_document_or_an_error(bytes: Vec<u8>) {
            prop_assert!(Document::from_stored(bytes).is_err());
        }
    }

    #[test]
    fn a_text_longer_than_one_stored_block_is_spliced_whole() {
        let text = "x".repeat(3 * MAX_STORED_BLOCK_LENGTH + 1);
        let mut splice = GzipSplice::with_capacity(0);
        splice.text(&text);
        assert_eq!(gunzip(&splice.finish()), text);
    }

    #[test]
    fn bytes_that_match_their_checksum_but_do_not_inflate_are_an_error() {
        let whole = Document::pack("some text, some text").unwrap();
        let packed = whole.packed();
        let cut = Document::new(&packed[..6], whole.length, whole.crc32);
        let ended = Document::new(&[3, 0, 0], 0, 0);
        let [short, long] =
            [whole.length - 1, whole.length + 1].map(|length| Document::new(packed, length, whole.crc32));
        for broken in [short, long, cut, ended] {
            let read = Document::from_stored(broken.stored().to_vec()).unwrap();
            assert_eq!(read.unpack(), Err(Spoiled::Deflate));
        }
    }

    #[test]
    fn a_cut_off_document_is_an_error() {
        let document = Document::pack("text").unwrap();
        let stored = document.stored();
        for length in 0..stored.len() {
            assert!(Document::from_stored(stored[..length].to_vec()).is_err(), "{length} bytes");
        }
    }
}
