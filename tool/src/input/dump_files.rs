//! Finds and reads the files of Zadig's collections: a directory of mongodump's, single files of it, or
//! mongoexport's files.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use memchr::memmem;

use super::bson_documents::{from_bson, from_json};
use super::splitting::{RawRecord, RecordReader};
use super::zadig_collections::Collection;
use crate::json::{Json, Problem};

const READ_BUFFER_BYTES: usize = 1 << 20;
/// How much of a file, inflated, may be blank before its first record begins.
const MAX_BLANK_BYTES: usize = 1 << 20;
/// How much of a file, inflated, is looked at for its first record.
const MAX_SNIFFED_BYTES: u64 = 65 << 20;
/// How much of a file, inflated, is looked at to tell what it is.
const HEAD_BYTES: usize = 512;
/// The method is deflate in every gzip file. Two bytes alone would be the length of a BSON document.
const GZIP_MAGIC: [u8; 3] = [0x1f, 0x8b, 8];
/// What `mongodump --archive` begins with.
const ARCHIVE_MAGIC: [u8; 4] = [0x6d, 0xe2, 0x99, 0x81];

/// A form that is not read: at which byte which bytes tell it, what it is, and what to do.
type OtherForm = (usize, &'static [u8], &'static str);
/// Forms of any file.
const OTHER_FORMS: [OtherForm; 6] = [
    (257, b"ustar", "a tar archive; unpack it (tar -xf), and give the directory"),
    (0, b"PK\x03\x04", "a zip archive; unpack it (unzip), and give the directory"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it, and give the directory"),
    (0, &GZIP_MAGIC, "compressed with gzip twice; decompress it (gunzip)"),
    (0, b"\x28\xb5\x2f\xfd", "compressed with zstd; decompress it (unzstd), or use gzip"),
    (0, b"\xfd7zXZ\0", "compressed with xz; decompress it (unxz), or use gzip"),
];
const CSV: &str = "CSV; export JSON instead (mongoexport --type=json), or make a dump (mongodump)";
/// Forms of a file that is no BSON: the length of a first BSON document may be such bytes.
const OTHER_TEXTS: [OtherForm; 2] = [
    (0, b"BZh", "compressed with bzip2; decompress it (bunzip2), or use gzip"),
    (0, b"<", "HTML or XML, and no JSON: perhaps the page on which to log in; ask for the API with a token"),
];
const NO_TEXT: &str =
    "no text in UTF-8, and no other form that is known; give a dump, an export, or the API's JSON";
/// Texts whose characters have more bytes: how many, the byte order mark, which of them holds ASCII, and what it is.
/// UTF-16's mark begins one of UTF-32's.
const WIDE_TEXTS: [(usize, &[u8], usize, &str); 4] = [
    (4, b"\xff\xfe\0\0", 0, UTF_32),
    (4, b"\0\0\xfe\xff", 3, UTF_32),
    (2, b"\xff\xfe", 0, UTF_16),
    (2, b"\xfe\xff", 1, UTF_16),
];
const UTF_32: &str =
    "UTF-32; convert it (iconv -f UTF-32 -t UTF-8; without a byte order mark, -f UTF-32LE or UTF-32BE)";
const UTF_16: &str = "UTF-16, as PowerShell's > writes it; write UTF-8 instead (| Out-File -Encoding utf8), or convert it \
                      (iconv -f UTF-16 -t UTF-8; without a byte order mark, -f UTF-16LE or UTF-16BE)";
/// What MongoDB's shell prints that JSON has not.
const MONGO_SHELL_MARKS: [&str; 3] = ["ObjectId(", "ISODate(", "NumberLong("];
const MONGO_SHELL: &str = "what MongoDB's shell prints, and no JSON; use mongoexport or mongodump";
/// MongoDB takes documents of up to 16 MiB from its callers, and stores slightly longer ones of its own.
const MAX_DOCUMENT_BYTES: usize = 64 << 20;
const MIN_DOCUMENT_BYTES: usize = 5;

/// One collection's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectionFile {
    /// The collection.
    pub collection: Collection,
    /// The file.
    pub path: PathBuf,
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Bson,
    Json,
}

/// What a file holds, by its name and its beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileContent {
    /// A collection with a part of releases or artifacts.
    Collection(CollectionFile),
    /// Presumably records in the API's JSON.
    Records,
    /// A collection with no part of a release or an artifact.
    OtherCollection,
}

/// What a directory holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Directory {
    /// The collections, in their own order.
    pub collections: Vec<CollectionFile>,
    /// Files whose names say that they are of the delivery centre, too, and which are not known.
    pub unknown: Vec<PathBuf>,
    /// How many other collections there are, with no part of a release or an artifact.
    pub others: usize,
}

/// Why a file of the delivery centre is not taken that is not known.
pub const UNKNOWN: &str = "its name says that it is of Zadig's delivery centre, but no such collection is known, or not in \
                           this form, so nothing of it is read; look for a newer delivery-center, or remove it where \
                           nobody needs it";

/// Why files cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// The operating system refused.
    #[error("{path} cannot be read")]
    Read {
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// An archive, which interleaves its collections.
    #[error(
        "{path} is a mongodump archive; a directory is needed. Make one from the database: `mongodump --uri=mongodb://HOST --db=zadig --out=dump`, or, from the archive, `mongorestore --archive={path}{gzip}` into a scratch MongoDB first"
    )]
    Archive {
        /// The path.
        path: PathBuf,
        /// mongorestore's option for a compressed archive.
        gzip: &'static str,
    },
    /// A directory, a pipe or a device where a collection's file should be.
    #[error("{0} is named after a collection, but is not a file; remove or rename it")]
    NotAFile(PathBuf),
    /// A file that is named after a collection and holds something else.
    #[error(
        "{0} is named after a collection, but does not begin with a MongoDB document; remove or rename it"
    )]
    NoDocuments(PathBuf),
    /// A file in a form that is not read.
    #[error("{path} is {form}")]
    OtherForm {
        /// The path.
        path: PathBuf,
        /// What it is, and what to do.
        form: &'static str,
    },
    /// A file of the delivery centre that is not known.
    #[error("{0}: {UNKNOWN}")]
    Unknown(PathBuf),
    /// Nothing, or nothing but blanks.
    #[error("{0} is empty")]
    Empty(PathBuf),
    /// So many blanks at the beginning that no program would have written them before a record.
    #[error("{0} holds nothing but blanks in its first MiB")]
    Blank(PathBuf),
    /// Documents of MongoDB in a file whose name does not say which collection they are from.
    #[error(
        "{0} looks like a file of mongoexport's or mongodump's, but is not named after its collection; name it one of \
         {names}, and .json or .bson",
        names = names()
    )]
    Unnamed(PathBuf),
    /// Nothing to read.
    #[error("{0} holds none of Zadig's collections ({names}, as .bson, .bson.gz, .json or .jsonl)", names = names())]
    Nothing(PathBuf),
    /// More than one database.
    #[error("{first} and {second} hold the same collection; give the directory of one database")]
    TwoDatabases {
        /// A collection's file.
        first: PathBuf,
        /// The file of the same collection in another directory.
        second: PathBuf,
    },
}

fn names() -> String {
    Collection::ALL.map(Collection::name).join(", ")
}

fn read_error(path: &Path) -> impl FnOnce(io::Error) -> FilesError {
    let path = path.to_owned();
    |source| FilesError::Read { path, source }
}

/// Recognizes a file by its name and by how it begins.
///
/// # Errors
/// [`FilesError`].
pub fn recognize(path: &Path) -> Result<FileContent, FilesError> {
    let open = || File::open(path).map_err(read_error(path));
    let name = FileName::of(path);
    let is_unknown = name.collection.is_none() && name.is_of_delivery_center;
    if name.format == Some(Format::Bson) {
        head(path, open()?, HEAD_BYTES)?;
        return match name.collection_file(path) {
            Some(file) => Ok(FileContent::Collection(file)),
            None if is_unknown => Err(FilesError::Unknown(path.to_owned())),
            None => Ok(FileContent::OtherCollection),
        };
    }
    match (Beginning::of(path, open()?)?, name.collection_file(path)) {
        (Beginning::Exported | Beginning::NoRecord | Beginning::Nothing, Some(file)) => {
            Ok(FileContent::Collection(file))
        }
        (Beginning::Exported, None) if is_unknown => Err(FilesError::Unknown(path.to_owned())),
        (Beginning::Exported, _) => Err(FilesError::Unnamed(path.to_owned())),
        (Beginning::Nothing, _) => Err(FilesError::Empty(path.to_owned())),
        (Beginning::NoRecord | Beginning::Other, _) => Ok(FileContent::Records),
    }
}

/// Checks that an input without a name can hold records in the API's JSON; errors call it `shown`. Gives the
/// whole input back.
///
/// # Errors
/// [`FilesError`].
pub fn check_unnamed(shown: &Path, input: Box<dyn Read + Send>) -> Result<Box<dyn Read + Send>, FilesError> {
    let mut input = RememberedRead { input, read: Vec::new() };
    match Beginning::of(shown, &mut input)? {
        Beginning::Exported => Err(FilesError::Unnamed(shown.to_owned())),
        Beginning::Nothing => Err(FilesError::Empty(shown.to_owned())),
        Beginning::NoRecord | Beginning::Other => {
            Ok(Box::new(io::Cursor::new(input.read).chain(input.input)))
        }
    }
}

/// An input that remembers what was read from it.
struct RememberedRead<R> {
    input: R,
    read: Vec<u8>,
}

impl<R: Read> Read for RememberedRead<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.read.extend_from_slice(&buffer[..read]);
        Ok(read)
    }
}

/// Whether a path has the name of a collection's file.
pub fn is_named_after_a_collection(path: &Path) -> bool {
    FileName::of(path).collection_file(path).is_some()
}

/// Finds the collections in a directory: directly in it, or one level below, where mongodump puts a database.
///
/// # Errors
/// [`FilesError`].
pub fn find_collections(directory: &Path) -> Result<Directory, FilesError> {
    let mut found = Directory::default();
    for path in entries(directory)? {
        if path.is_dir() && !is_named_after_a_collection(&path) {
            for path in entries(&path)? {
                found.add(&path)?;
            }
        } else {
            found.add(&path)?;
        }
    }
    if found.collections.is_empty() {
        let unknown = found.unknown.into_iter().next().map(FilesError::Unknown);
        return Err(unknown.unwrap_or_else(|| FilesError::Nothing(directory.to_owned())));
    }
    found.collections.sort_by_key(|file| file.collection);
    for pair in found.collections.windows(2) {
        if pair[0].collection == pair[1].collection {
            let [first, second] = [&pair[0].path, &pair[1].path].map(Clone::clone);
            return Err(FilesError::TwoDatabases { first, second });
        }
    }
    Ok(found)
}

fn entries(directory: &Path) -> Result<Vec<PathBuf>, FilesError> {
    let entries = fs::read_dir(directory).map_err(read_error(directory))?;
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<Vec<_>>>()
        .map_err(read_error(directory))?;
    paths.sort();
    Ok(paths)
}

impl Directory {
    fn add(&mut self, path: &Path) -> Result<(), FilesError> {
        let name = FileName::of(path);
        let is_ours = name.collection_file(path).is_some();
        if is_ours && !path.metadata().map_err(read_error(path))?.is_file() {
            return Err(FilesError::NotAFile(path.to_owned()));
        }
        if !path.is_file() || name.is_of_mongodump {
            return Ok(());
        }
        if !is_ours && name.is_of_delivery_center {
            if let Err(error @ (FilesError::OtherForm { .. } | FilesError::Archive { .. })) = recognize(path)
            {
                return Err(error);
            }
            self.unknown.push(path.to_owned());
            return Ok(());
        }
        if !is_ours && name.format == Some(Format::Json) {
            self.others += 1;
            return Ok(());
        }
        // An archive may have any name, so every file is looked at.
        match recognize(path) {
            Ok(FileContent::Collection(file)) => self.collections.push(file),
            Ok(FileContent::OtherCollection) => self.others += 1,
            Ok(FileContent::Records) if is_ours => {
                return Err(FilesError::NoDocuments(path.to_owned()));
            }
            Err(error) if is_ours => return Err(error),
            // A file of another name is not ours, whatever it holds.
            Ok(FileContent::Records)
            | Err(
                FilesError::Unnamed(_)
                | FilesError::OtherForm { .. }
                | FilesError::Empty(_)
                | FilesError::Blank(_),
            ) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// What the name of a file says of it.
struct FileName {
    /// The collection that it is named after: `delivery_build.bson.gz`, and `zadig.delivery_build.json` too,
    /// whose name begins with the database's.
    collection: Option<Collection>,
    format: Option<Format>,
    /// Whether a part of it is the name of a collection of the delivery centre, known or not.
    is_of_delivery_center: bool,
    /// Whether mongodump writes such a file beside the collections.
    is_of_mongodump: bool,
}

impl FileName {
    fn of(path: &Path) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = name.strip_suffix(".gz").unwrap_or(&name);
        let formats = [
            (".bson", Format::Bson),
            (".json", Format::Json),
            (".jsonl", Format::Json),
            (".ndjson", Format::Json),
        ];
        let found = formats.iter().find_map(|(suffix, format)| Some((name.strip_suffix(suffix)?, *format)));
        let (stem, format) = found.map_or((name, None), |(stem, format)| (stem, Some(format)));
        let is_known = |part| Collection::named(part).is_some();
        Self {
            collection: Collection::named(stem.rsplit_once('.').map_or(stem, |(_, last)| last)),
            format,
            is_of_delivery_center: name
                .split('.')
                .any(|part| part.starts_with("delivery_") || is_known(part)),
            is_of_mongodump: stem == "prelude" || stem.ends_with(".metadata"),
        }
    }

    /// The collection's file, where it is named after one, and after a format too.
    fn collection_file(&self, path: &Path) -> Option<CollectionFile> {
        let (collection, format) = (self.collection?, self.format?);
        Some(CollectionFile { collection, path: path.to_owned(), format })
    }
}

/// Reads the beginning of a file, inflated, and gives it with the rest of the input: at most so many bytes,
/// and no more than has come when something but blanks is among them, since a pipe may wait for its writer.
///
/// Where the file ends or fails earlier, there are fewer bytes and no error here: whoever reads on meets the
/// failure. An archive, and any other form that is not read, is an error here.
fn head<'a>(
    path: &Path,
    file: impl Read + 'a,
    bytes: usize,
) -> Result<(Vec<u8>, Box<dyn BufRead + 'a>), FilesError> {
    let mut file = BufReader::new(file);
    let is_gzip = file.fill_buf().map_err(read_error(path))?.starts_with(&GZIP_MAGIC);
    let mut input = inflated(file).map_err(read_error(path))?;
    let mut head = Vec::new();
    let is_blank = |head: &[u8]| without_mark(head).trim_ascii().is_empty();
    while head.len() < ARCHIVE_MAGIC.len().min(bytes) || (head.len() < bytes && is_blank(&head)) {
        let Ok(come) = input.fill_buf() else { break };
        let taken = come.len().min(bytes - head.len());
        if taken == 0 {
            break;
        }
        head.extend_from_slice(&come[..taken]);
        input.consume(taken);
    }
    if head.starts_with(&ARCHIVE_MAGIC) {
        let gzip = if is_gzip { " --gzip" } else { "" };
        return Err(FilesError::Archive { path: path.to_owned(), gzip });
    }
    refuse_forms(&OTHER_FORMS, path, &head)?;
    refuse_form(path, Some(CSV).filter(|_| is_csv(&head)))?;
    Ok((head, input))
}

/// An error where a file that begins so has one of these forms.
fn refuse_forms(forms: &[OtherForm], path: &Path, head: &[u8]) -> Result<(), FilesError> {
    let is_form =
        |(place, bytes, _): &&OtherForm| head.get(*place..).is_some_and(|rest| rest.starts_with(bytes));
    refuse_form(path, forms.iter().find(is_form).map(|(.., form)| *form))
}

fn refuse_form(path: &Path, form: Option<&'static str>) -> Result<(), FilesError> {
    form.map_or(Ok(()), |form| Err(FilesError::OtherForm { path: path.to_owned(), form }))
}

/// Whether the first line has names of fields, with commas between them.
fn is_csv(head: &[u8]) -> bool {
    let line = without_mark(head).split(|byte| *byte == b'\n').next().unwrap_or_default().trim_ascii_end();
    let is_name = |name: &[u8]| {
        let name = name.strip_prefix(b"\"").and_then(|name| name.strip_suffix(b"\"")).unwrap_or(name);
        name.first().is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_')
            && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(byte))
    };
    line.contains(&b',') && line.split(|byte| *byte == b',').all(is_name)
}

/// Which text of wider characters begins so: with its mark, or with three ASCII characters.
fn wide_text(head: &[u8]) -> Option<&'static str> {
    let is_so = |(width, mark, place, _): &&(usize, &[u8], usize, _)| {
        let is_ascii = |char: &[u8]| char.iter().enumerate().all(|(at, byte)| (at == *place) == (*byte != 0));
        let begin = head.get(..3 * width);
        head.starts_with(mark) || begin.is_some_and(|begin| begin.chunks(*width).all(is_ascii))
    };
    WIDE_TEXTS.iter().find(is_so).map(|(.., form)| *form)
}

/// Whether a BSON document begins so: with its length, and the type and the name of its first field.
fn begins_with_document(head: &[u8]) -> bool {
    let is_length = head.first_chunk().is_some_and(|length| document_length(*length).is_some());
    let is_type = |byte: &u8| matches!(byte, 0..=0x13 | 0x7f | 0xff);
    is_length && head.get(4).is_none_or(is_type) && head.get(5) != Some(&0)
}

/// Whether a file begins as no text does. One that begins as JSON is a text in which some bytes are spoiled, and
/// so is one in which a record can be read.
fn is_no_text(head: &[u8]) -> bool {
    let begins_as_json = match without_mark(head).trim_ascii_start() {
        [b'{', rest @ ..] => matches!(rest.trim_ascii_start().first(), None | Some(b'"' | b'}')),
        [b'[', rest @ ..] => matches!(rest.trim_ascii_start().first(), None | Some(b'{' | b'[' | b']')),
        _ => false,
    };
    let is_control = |char: char| char.is_ascii_control() && !char.is_ascii_whitespace();
    // The last character may be cut off.
    let cut_off = str::from_utf8(head).err().filter(|error| error.error_len().is_none());
    let end = cut_off.map_or(head.len(), |error| error.valid_up_to());
    let is_text = str::from_utf8(&head[..end]).is_ok_and(|text| !text.contains(is_control));
    let is_record =
        |record: RawRecord| record.text.is_ok_and(|text| matches!(Json::read(&text), Ok(Json::Object(_))));
    !begins_as_json && !is_text && !RecordReader::new(head).any(is_record)
}

/// An error where what begins so is no text in UTF-8.
///
/// # Errors
/// [`FilesError::OtherForm`].
pub fn refuse_other_texts(path: &Path, head: &[u8]) -> Result<(), FilesError> {
    refuse_forms(&OTHER_TEXTS, path, head)?;
    refuse_form(path, wide_text(head))
}

/// Text without the byte order mark that it may begin with.
pub fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text)
}

/// How a file of JSON begins.
enum Beginning {
    /// There is nothing, or nothing but blanks.
    Nothing,
    /// There is something, but not a record: an empty array, or something that cannot be read.
    NoRecord,
    /// It begins with a document of MongoDB.
    Exported,
    /// It begins with another record.
    Other,
}

impl Beginning {
    fn of(path: &Path, file: impl Read) -> Result<Self, FilesError> {
        let (head, input) = head(path, file, MAX_BLANK_BYTES)?;
        refuse_other_texts(path, &head)?;
        if begins_with_document(&head) {
            return Err(FilesError::Unnamed(path.to_owned()));
        }
        if without_mark(&head).trim_ascii().is_empty() {
            let is_more = head.len() == MAX_BLANK_BYTES;
            return if is_more { Err(FilesError::Blank(path.to_owned())) } else { Ok(Self::Nothing) };
        }
        refuse_form(path, Some(NO_TEXT).filter(|_| is_no_text(&head)))?;
        let whole = head.as_slice().chain(input.take(MAX_SNIFFED_BYTES));
        let first = RecordReader::new(whole).next().map(|record| record.text);
        let first = first.as_ref().map(|text| text.as_deref().map(Json::read));
        // If it cannot be read, that is reported when the file is read.
        Ok(match first {
            Some(Ok(Ok(Json::Object(names))))
                if names.contains_key("_id") && !names.contains_key("versionInfo") =>
            {
                Self::Exported
            }
            Some(Ok(Ok(_))) => Self::Other,
            Some(_)
                if MONGO_SHELL_MARKS.iter().any(|mark| memmem::find(&head, mark.as_bytes()).is_some()) =>
            {
                return Err(FilesError::OtherForm { path: path.to_owned(), form: MONGO_SHELL });
            }
            Some(Ok(Err(_))) => Self::Other,
            None | Some(Err(_)) => Self::NoRecord,
        })
    }
}

/// The length of the BSON document that begins with these bytes, if one does. No text begins so.
fn document_length(begin: [u8; 4]) -> Option<usize> {
    let length = usize::try_from(i32::from_le_bytes(begin)).ok()?;
    (MIN_DOCUMENT_BYTES..=MAX_DOCUMENT_BYTES).contains(&length).then_some(length)
}

/// Reads a file, and inflates it where it begins as gzip does.
///
/// # Errors
/// The operating system's.
pub fn inflated<'a>(file: impl Read + 'a) -> io::Result<Box<dyn BufRead + 'a>> {
    let mut file = BufReader::with_capacity(READ_BUFFER_BYTES, file);
    if file.fill_buf()?.starts_with(&GZIP_MAGIC) {
        return Ok(Box::new(BufReader::with_capacity(READ_BUFFER_BYTES, MultiGzDecoder::new(file))));
    }
    Ok(Box::new(file))
}

impl CollectionFile {
    /// Its length on disk.
    ///
    /// # Errors
    /// The operating system's.
    pub fn length(&self) -> io::Result<u64> {
        Ok(fs::metadata(&self.path)?.len())
    }

    /// Its documents, in order; `count` is called with the number of bytes of every read from disk.
    ///
    /// # Errors
    /// The operating system's, where it cannot be opened.
    pub fn documents<'a>(
        &self,
        count: impl FnMut(u64) + 'a,
    ) -> io::Result<Box<dyn Iterator<Item = RawRecord> + 'a>> {
        let file = CountedRead { input: File::open(&self.path)?, count };
        let input = inflated(file)?;
        Ok(match self.format {
            Format::Bson => Box::new(BsonDocuments { input, offset: 0, ended: false }),
            Format::Json => Box::new(RecordReader::new(input)),
        })
    }

    /// Reads one of its documents.
    pub(crate) fn read<'a>(&self, bytes: &'a [u8]) -> Result<Json<'a>, Problem> {
        match self.format {
            Format::Bson => from_bson(bytes),
            Format::Json => from_json(bytes),
        }
    }
}

/// An input that counts the bytes that are read from it.
pub struct CountedRead<R, F> {
    /// The input.
    pub input: R,
    /// Called with the number of bytes of every read.
    pub count: F,
}

impl<R: Read, F: FnMut(u64)> Read for CountedRead<R, F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        (self.count)(read as u64);
        Ok(read)
    }
}

/// BSON documents one after another; each begins with its length.
struct BsonDocuments<R> {
    input: R,
    offset: u64,
    ended: bool,
}

impl<R: BufRead> BsonDocuments<R> {
    fn read(&mut self) -> Result<Option<Vec<u8>>, String> {
        let mut document = Vec::new();
        self.fill(&mut document, 4)?;
        let Some(length) = document.first_chunk() else {
            let is_whole = document.is_empty();
            return if is_whole {
                Ok(None)
            } else {
                Err("the file ends inside a document's length".to_owned())
            };
        };
        let Some(length) = document_length(*length) else {
            return Err("no BSON document begins here; the rest of the file could not be read".to_owned());
        };
        self.fill(&mut document, length)?;
        if document.len() < length {
            return Err(format!(
                "the file ends inside the document that begins here, {} of its {length} bytes later",
                document.len()
            ));
        }
        self.offset += length as u64;
        Ok(Some(document))
    }

    fn fill(&mut self, document: &mut Vec<u8>, length: usize) -> Result<(), String> {
        let missing = (length - document.len()) as u64;
        let read = self.input.by_ref().take(missing).read_to_end(document);
        read.map(drop).map_err(|error| format!("the file could not be read any further: {error}"))
    }
}

impl<R: BufRead> Iterator for BsonDocuments<R> {
    type Item = RawRecord;

    fn next(&mut self) -> Option<RawRecord> {
        if self.ended {
            return None;
        }
        let place = format!("byte {}", self.offset);
        let text = self.read().transpose()?;
        self.ended = text.is_err();
        Some(RawRecord { place, text })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_no_form_are_refused_as_a_whole_whatever_they_are() {
        let mut state = 1_u32;
        for number in 0..1_000 {
            let step = || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                state.to_be_bytes()[0]
            };
            let bytes: Vec<u8> = std::iter::repeat_with(step).take(600).collect();
            let checked = check_unnamed(Path::new("noise"), Box::new(io::Cursor::new(bytes)));
            assert!(checked.is_err(), "{number}");
        }
    }
}
