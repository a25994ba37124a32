//! A JSON document as it is stored: compressed once when it is written, spliced into gzip answers as it is.
//!
//! Packed means raw deflate (RFC 1951) that ends in a full flush: byte-aligned, not final, referring to nothing
//! before it. Any sequence of packed documents and stored blocks is therefore one valid deflate stream, and a gzip
//! member (RFC 1952) needs only a header, a final block, and the combined CRC-32 and length.
//!
//! DynamoDB gives bytes in base64, and Lambda takes them so. What is packed has whole groups of three bytes, with empty
//! stored blocks behind it that make it so: the base64 that is read is the base64 that is answered, never decoded.

use base64_simd::STANDARD;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use crate::crc32::Shift;
use crate::response::Base64Body;

/// What stands before the packed bytes in the stored form: CRC-32, length and checksum, little-endian `u32` each.
const HEADER_BYTES: usize = 12;
/// The same in base64.
const HEADER_CHARACTERS: usize = 16;
/// The CRC-32 and the length, which the checksum covers together with the base64 of the packed bytes.
const DESCRIPTION_BYTES: usize = 8;
/// A stored block's own bytes: three bits of header padded to a byte, the length, and its complement.
const STORED_BLOCK_BYTES: usize = 5;
const MAX_STORED_BLOCK_LENGTH: usize = 0xffff;
/// A stored block of nothing, not the last one.
const EMPTY_BLOCK: [u8; STORED_BLOCK_BYTES] = [0, 0, 0, 0xff, 0xff];
/// Magic, deflate, no flags, no time, no hints, unknown system: ten bytes that never change.
const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
const GZIP_TRAILER_BYTES: usize = 8;

/// A document's stored bytes, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// In base64, header included.
    stored: Vec<u8>,
    length: u32,
    crc32: u32,
    /// Over the length.
    shift: Shift,
}

/// Why stored bytes are not a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Spoiled {
    /// Fewer bytes than a document's header.
    #[error("its stored document is cut off")]
    CutOff,
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
    /// Compresses a text, at the level that was measured to be enough (9 gains nothing on deployments' YAML).
    ///
    /// # Errors
    /// A text of 4 GiB or more: gzip's length field could not name it.
    pub fn pack(text: &str) -> Result<Self, TooLong> {
        let length = u32::try_from(text.len()).map_err(|_| TooLong { length: text.len() })?;
        Ok(Self::new(&deflate(text.as_bytes()), length, crc32fast::hash(text.as_bytes())))
    }

    /// A document of packed bytes, which are whole groups of three.
    fn new(packed: &[u8], length: u32, crc32: u32) -> Self {
        let mut description = [0; DESCRIPTION_BYTES];
        description[..4].copy_from_slice(&crc32.to_le_bytes());
        description[4..].copy_from_slice(&length.to_le_bytes());
        let base64 = STANDARD.encode_type::<Vec<u8>>(packed);
        let mut header = [0; HEADER_BYTES];
        header[..DESCRIPTION_BYTES].copy_from_slice(&description);
        header[DESCRIPTION_BYTES..].copy_from_slice(&checksum(description, &base64).to_le_bytes());
        let mut stored = STANDARD.encode_type::<Vec<u8>>(&header);
        stored.extend_from_slice(&base64);
        Self { stored, length, crc32, shift: Shift::over(length) }
    }

    /// Reads a document from the base64 of its stored form and checks that nothing in it was spoiled.
    ///
    /// # Errors
    /// [`Spoiled`], where the bytes are not those that [`Document::to_stored`] gave.
    pub fn from_stored(stored: Vec<u8>) -> Result<Self, Spoiled> {
        let (header, base64) = stored.split_first_chunk::<HEADER_CHARACTERS>().ok_or(Spoiled::CutOff)?;
        let header = STANDARD.decode_to_vec(header).map_err(|_| Spoiled::Checksum)?;
        let (description, expected) = header.split_first_chunk().ok_or(Spoiled::CutOff)?;
        if checksum(*description, base64).to_le_bytes() != *expected {
            return Err(Spoiled::Checksum);
        }
        let number = |bytes: &[u8]| bytes.try_into().map(u32::from_le_bytes).map_err(|_| Spoiled::CutOff);
        let (crc32, length) = (number(&description[..4])?, number(&description[4..])?);
        Ok(Self { stored, length, crc32, shift: Shift::over(length) })
    }

    /// The bytes to store.
    #[must_use]
    pub fn to_stored(&self) -> Vec<u8> {
        STANDARD.decode_to_vec(&self.stored).expect("it was encoded here, or has the checksum of what was")
    }

    /// How many bytes of memory it takes.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.stored.capacity()
    }

    fn base64(&self) -> &[u8] {
        &self.stored[HEADER_CHARACTERS..]
    }

    /// How many bytes the document adds to a gzip answer.
    #[must_use]
    pub fn packed_length(&self) -> usize {
        self.base64().len() / 4 * 3
    }

    /// The text's length in bytes.
    #[must_use]
    pub fn length(&self) -> usize {
        self.length as usize
    }

    /// The text.
    ///
    /// # Errors
    /// As [`Inflater::text`].
    pub fn unpack(&self) -> Result<String, Spoiled> {
        let text = Inflater::default().text(self)?.to_vec();
        String::from_utf8(text).map_err(|_| Spoiled::Deflate)
    }
}

/// Unpacks one document after another: its window costs more to make than a small document to read.
pub struct Inflater {
    decompressor: Decompress,
    packed: Vec<u8>,
    text: Vec<u8>,
}

impl Default for Inflater {
    fn default() -> Self {
        Self { decompressor: Decompress::new(false), packed: Vec::new(), text: Vec::new() }
    }
}

impl Inflater {
    /// A document's text in UTF-8, until the next one is asked for.
    ///
    /// It was a text when it was packed, and the checksum says that these are the bytes it was packed to.
    ///
    /// # Errors
    /// [`Spoiled::Deflate`], where the bytes do not inflate to the length they should.
    pub fn text(&mut self, document: &Document) -> Result<&[u8], Spoiled> {
        self.decompressor.reset(false);
        self.packed.clear();
        STANDARD.decode_append(document.base64(), &mut self.packed).map_err(|_| Spoiled::Deflate)?;
        self.text.clear();
        // The byte to spare lets the decompressor read on to the flush and shows a text that is too long.
        self.text.reserve(document.length() + 1);
        while self.read() < self.packed.len() {
            let read = self.read();
            let status = self
                .decompressor
                .decompress_vec(&self.packed[read..], &mut self.text, FlushDecompress::None)
                .map_err(|_| Spoiled::Deflate)?;
            let is_stuck = self.read() == read;
            if status == Status::StreamEnd || is_stuck {
                return Err(Spoiled::Deflate);
            }
        }
        if self.text.len() != document.length() {
            return Err(Spoiled::Deflate);
        }
        Ok(&self.text)
    }

    fn read(&self) -> usize {
        usize::try_from(self.decompressor.total_in()).expect("a document's length fits into 32 bits")
    }
}

/// The checksum of a stored document.
fn checksum(description: [u8; DESCRIPTION_BYTES], base64: &[u8]) -> u32 {
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(&description);
    checksum.update(base64);
    checksum.finalize()
}

/// How many empty stored blocks behind so many bytes make whole groups of three of them.
fn blocks_to_align(bytes: usize) -> usize {
    // A block has five bytes, which are two more than a group.
    bytes % 3
}

/// So many bytes and the empty stored blocks that they need.
fn aligned(bytes: usize) -> usize {
    bytes + blocks_to_align(bytes) * STORED_BLOCK_BYTES
}

fn deflate(text: &[u8]) -> Vec<u8> {
    let mut compressor = Compress::new(Compression::new(6), false);
    // Deflate's worst case is stored blocks; the flush adds an empty one.
    let mut packed = Vec::with_capacity(text.len() + text.len() / 1000 + 64);
    loop {
        let read = usize::try_from(compressor.total_in()).expect("a text in memory has a length in memory");
        compressor
            .compress_vec(&text[read..], &mut packed, FlushCompress::Full)
            .expect("deflating from memory into memory cannot fail");
        // Room to spare after a flush means that the flush is complete (zlib's own rule).
        if compressor.total_in() == text.len() as u64 && packed.len() < packed.capacity() {
            for _ in 0..blocks_to_align(packed.len()) {
                packed.extend_from_slice(&EMPTY_BLOCK);
            }
            return packed;
        }
        packed.reserve(64 + text.len() / 8);
    }
}

/// A gzip member in the making: documents as they are stored, text between them.
pub struct GzipSplice {
    gzip: Base64Body,
    text: Vec<u8>,
    crc32: u32,
    length: u32,
}

impl GzipSplice {
    /// A splice that will grow to `bytes`.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        let mut gzip = Base64Body::with_capacity(bytes);
        gzip.push(&GZIP_HEADER);
        Self { gzip, text: Vec::new(), crc32: 0, length: 0 }
    }

    /// Appends a text, uncompressed; neighbouring texts share a block.
    pub fn text(&mut self, text: &str) {
        self.text.extend_from_slice(text.as_bytes());
    }

    /// Appends a document.
    pub fn document(&mut self, document: &Document) {
        self.flush_text(false);
        self.gzip.push_base64(document.base64());
        self.crc32 = document.shift.combine(self.crc32, document.crc32);
        self.length = self.length.wrapping_add(document.length);
    }

    /// The whole member.
    #[must_use]
    pub fn finish(mut self) -> Base64Body {
        self.flush_text(true);
        self.gzip.push(&self.crc32.to_le_bytes());
        self.gzip.push(&self.length.to_le_bytes());
        self.gzip
    }

    /// Writes the texts so far, with what makes whole groups of three bytes of all that there is.
    fn flush_text(&mut self, is_last: bool) {
        let mut text = std::mem::take(&mut self.text);
        let mut crc32 = crc32fast::Hasher::new_with_initial(self.crc32);
        crc32.update(&text);
        self.crc32 = crc32.finalize();
        // Gzip's length field is modulo 2^32.
        #[expect(clippy::cast_possible_truncation, reason = "gzip's length field is modulo 2^32")]
        let length = text.len() as u32;
        self.length = self.length.wrapping_add(length);
        let blocks = text.len().div_ceil(MAX_STORED_BLOCK_LENGTH).max(usize::from(is_last));
        let bytes = self.gzip.length() + text.len() + blocks * STORED_BLOCK_BYTES;
        for _ in 0..blocks_to_align(bytes) {
            self.gzip.push(&EMPTY_BLOCK);
        }
        for block in 1..=blocks {
            let start = (block - 1) * MAX_STORED_BLOCK_LENGTH;
            let end = text.len().min(start + MAX_STORED_BLOCK_LENGTH);
            self.stored_block(&text[start..end], is_last && block == blocks);
        }
        text.clear();
        self.text = text;
    }

    fn stored_block(&mut self, block: &[u8], is_final: bool) {
        let length = u16::try_from(block.len()).expect("a block was cut to what its length field holds");
        self.gzip.push(&[u8::from(is_final)]);
        self.gzip.push(&length.to_le_bytes());
        self.gzip.push(&(!length).to_le_bytes());
        self.gzip.push(block);
    }
}

/// The length of a gzip member of documents, each followed by a text of its own, between an opening and the end.
///
/// That is the shape of every answer: `[`, then each document with what stands behind it (the last with the `]`).
/// Without documents it is the opening alone.
#[must_use]
pub fn gzip_length(opening: usize, documents: impl IntoIterator<Item = (usize, usize)>) -> usize {
    let opening = if opening == 0 { 0 } else { STORED_BLOCK_BYTES + opening };
    let documents =
        documents.into_iter().map(|(packed, behind)| packed + aligned(STORED_BLOCK_BYTES + behind));
    aligned(GZIP_HEADER.len() + opening) + documents.sum::<usize>() + GZIP_TRAILER_BYTES
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use proptest::prelude::*;

    use super::*;

    fn base64(bytes: &[u8]) -> Vec<u8> {
        STANDARD.encode_type(bytes)
    }

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
            let stored = document.to_stored();
            prop_assert_eq!(stored.len(), HEADER_BYTES + document.packed_length());
            prop_assert_eq!(stored.len() % 3, 0);
            let read = Document::from_stored(base64(&stored)).unwrap();
            prop_assert_eq!(&read, &document);
            prop_assert_eq!(read.unpack().unwrap(), text);
        }

        #[test]
        fn a_splice_is_one_gzip_member_of_the_length_foretold(texts in prop::collection::vec("\\PC{0,300}", 0..12)) {
            let documents: Vec<_> = texts.iter().map(|text| Document::pack(text).unwrap()).collect();
            let mut splice = GzipSplice::with_capacity(0);
            splice.text("[");
            for (index, document) in documents.iter().enumerate() {
                splice.document(document);
                splice.text(if index + 1 < documents.len() { "," } else { "]" });
            }
            let gzip = splice.finish().to_bytes();
            let lengths = documents.iter().map(|document| (document.packed_length(), 1));
            prop_assert_eq!(gzip.len(), gzip_length(1, lengths).max(gzip_length(1, [])));
            let closing = if documents.is_empty() { "" } else { "]" };
            prop_assert_eq!(gunzip(&gzip), format!("[{}{closing}", texts.join(",")));
        }

        #[test]
        fn no_spoiled_byte_goes_unnoticed(text in "[a-z ]{0,400}", place: prop::sample::Index, flip in 1_u8..) {
            let mut stored = Document::pack(&text).unwrap().to_stored();
            let place = place.index(stored.len());
            stored[place] ^= flip;
            prop_assert_eq!(Document::from_stored(base64(&stored)), Err(Spoiled::Checksum));
        }

        #[test]
        fn any_bytes_are_a_document_or_an_error(bytes: Vec<u8>) {
            prop_assert!(Document::from_stored(base64(&bytes)).is_err());
            prop_assert!(Document::from_stored(bytes).is_err());
        }
    }

    #[test]
    fn a_text_longer_than_one_stored_block_is_spliced_whole() {
        let text = "x".repeat(3 * MAX_STORED_BLOCK_LENGTH + 1);
        let mut splice = GzipSplice::with_capacity(0);
        splice.text(&text);
        assert_eq!(gunzip(&splice.finish().to_bytes()), text);
    }

    #[test]
    fn bytes_with_a_right_checksum_that_do_not_inflate_are_an_error() {
        let whole = Document::pack("some text, some text").unwrap();
        let packed = &whole.to_stored()[HEADER_BYTES..];
        let cut = Document::new(&packed[..6], whole.length, whole.crc32);
        let ended = Document::new(&[3, 0, 0], 0, 0);
        let [short, long] =
            [whole.length - 1, whole.length + 1].map(|length| Document::new(packed, length, whole.crc32));
        for broken in [short, long, cut, ended] {
            let read = Document::from_stored(base64(&broken.to_stored())).unwrap();
            assert_eq!(read.unpack(), Err(Spoiled::Deflate));
        }
    }

    #[test]
    fn a_cut_off_document_is_an_error() {
        let stored = Document::pack("text").unwrap().to_stored();
        for length in 0..stored.len() {
            assert!(Document::from_stored(base64(&stored[..length])).is_err(), "{length} bytes");
        }
    }
}
