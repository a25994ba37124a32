//! A gzip answer, made of packed documents without inflating any of them.
//!
//! - Packed documents follow one another in one deflate stream: `document.rs` says why they can.
//! - The text between them (`[`, `,`, `]`) is written as *stored* blocks: five bytes, and then the text as it
//!   is. The last one is marked as final and ends the stream.
//! - The CRC-32 of the whole text is worked out from the CRC-32 and the length of each piece, in a few steps
//!   of arithmetic ([`Hasher::combine`]). A document is stored with both numbers, so its text is not needed
//!   for that.

use crc32fast::Hasher;

use crate::document::Document;

/// The bytes of a stored block before its text: three bits of header padded to a byte, the length, and its
/// complement.
const STORED_BLOCK_BYTES: usize = 5;
pub(crate) const MAX_STORED_BLOCK_LENGTH: usize = 0xffff;
/// Magic, deflate, no flags, no time, no hints, unknown system: ten bytes that never change.
const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
const GZIP_TRAILER_BYTES: usize = 8;

/// Builds a gzip member out of packed documents and the text between them.
pub struct GzipSplice {
    gzip: Vec<u8>,
    /// Text that is not in `gzip` yet; what follows it may still join its block.
    text: Vec<u8>,
    /// The CRC-32 and the length of everything that is in `gzip`.
    crc32: Hasher,
    length: u32,
}

impl GzipSplice {
    /// Begins a member that will have about `bytes` bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        let mut gzip = Vec::with_capacity(bytes);
        gzip.extend_from_slice(&GZIP_HEADER);
        Self { gzip, text: Vec::new(), crc32: Hasher::new(), length: 0 }
    }

    /// Appends a text, uncompressed; neighbouring texts share a block.
    pub fn text(&mut self, text: &str) {
        self.text.extend_from_slice(text.as_bytes());
    }

    /// Appends a document.
    pub fn document(&mut self, document: &Document) {
        self.flush_text(false);
        self.gzip.extend_from_slice(document.packed());
        self.crc32.combine(&document.checksum());
        self.add_length(document.length());
    }

    /// The whole member.
    pub fn finish(mut self) -> Vec<u8> {
        self.flush_text(true);
        self.gzip.extend_from_slice(&self.crc32.finalize().to_le_bytes());
        self.gzip.extend_from_slice(&self.length.to_le_bytes());
        self.gzip
    }

    /// Writes the text so far as stored blocks. The last flush marks its last block as final, and writes an
    /// empty one where there is no text.
    fn flush_text(&mut self, is_last: bool) {
        let text = std::mem::take(&mut self.text);
        self.crc32.update(&text);
        self.add_length(text.len());
        let blocks = text.len().div_ceil(MAX_STORED_BLOCK_LENGTH).max(usize::from(is_last));
        for block in 1..=blocks {
            let start = (block - 1) * MAX_STORED_BLOCK_LENGTH;
            let end = text.len().min(start + MAX_STORED_BLOCK_LENGTH);
            self.stored_block(&text[start..end], is_last && block == blocks);
        }
    }

    fn add_length(&mut self, length: usize) {
        #[expect(clippy::cast_possible_truncation, reason = "gzip's length field is modulo 2^32")]
        let length = length as u32;
        self.length = self.length.wrapping_add(length);
    }

    fn stored_block(&mut self, block: &[u8], is_final: bool) {
        let length = u16::try_from(block.len()).expect("a block was cut to what its length field holds");
        self.gzip.push(u8::from(is_final));
        self.gzip.extend_from_slice(&length.to_le_bytes());
        self.gzip.extend_from_slice(&(!length).to_le_bytes());
        self.gzip.extend_from_slice(block);
    }
}

/// How many bytes a gzip member has besides its documents and the text behind each of them: the header, the
/// opening text in a stored block of its own, and the trailer.
pub fn gzip_length_without_documents(opening: usize) -> usize {
    let opening = if opening == 0 { 0 } else { STORED_BLOCK_BYTES + opening };
    GZIP_HEADER.len() + opening + GZIP_TRAILER_BYTES
}

/// How many bytes a document adds to a gzip member, together with the text behind it in a stored block of its
/// own.
///
/// Every answer has this shape: an opening text, then each document with a text behind it, which is `]`
/// behind the last document of a list.
pub fn gzip_length_of_document(packed_length: usize, behind: usize) -> usize {
    packed_length + STORED_BLOCK_BYTES + behind
}
