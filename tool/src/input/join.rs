//! Joins records to their owners whatever the order they come in, in bounded memory: sorted runs in a temporary file,
//! then one merge in which everything of one release or artifact stands together.
//!
//! The file has no name, so that whatever ends the process also ends the file.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::fs::File;
use std::io::{self, BufWriter, Read as _, Seek as _, SeekFrom};

use super::collection::{Collection, CollectionRecord};

/// How much is held before it is sorted and written out.
const RUN_BYTES: usize = 64 << 20;
/// What an entry takes beside its texts.
const ENTRY_BYTES: usize = 160;
/// How much all runs' read buffers may take together, and one at least.
const READ_BUFFERS_BYTES: usize = 32 << 20;
const MIN_READ_BUFFER_BYTES: usize = 16 << 10;
const MAX_READ_BUFFER_BYTES: usize = 1 << 20;
/// The longest record that can be imported.
const MAX_RECORD_BYTES: usize = 64 << 20;

/// What entries are sorted by: the owner, what it is of it, its own id, and when it came.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    family: Collection,
    owner: String,
    collection: Collection,
    id: String,
    sequence: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    key: Key,
    /// JSON; empty for a soft-deleted child.
    json: String,
}

/// Takes records in any order.
pub struct Join {
    held: Vec<Entry>,
    held_bytes: usize,
    run_bytes: usize,
    sequence: u64,
    bytes: u64,
    file: Option<BufWriter<File>>,
    written: u64,
    runs: Vec<(u64, u64)>,
}

impl Default for Join {
    fn default() -> Self {
        Self::with_run_bytes(RUN_BYTES)
    }
}

impl Join {
    fn with_run_bytes(run_bytes: usize) -> Self {
        Self {
            held: Vec::new(),
            held_bytes: 0,
            run_bytes,
            sequence: 0,
            bytes: 0,
            file: None,
            written: 0,
            runs: Vec::new(),
        }
    }

    /// Takes a record that belongs to `owner`.
    ///
    /// # Errors
    /// The temporary file's.
    pub fn add(&mut self, collection: Collection, owner: String, record: CollectionRecord) -> io::Result<()> {
        let is_gone = record.is_deleted && collection.section().is_some();
        let json = if is_gone { String::new() } else { record.json };
        self.sequence += 1;
        let bytes = ENTRY_BYTES + owner.len() + record.id.len() + json.len();
        self.held_bytes += bytes;
        self.bytes += bytes as u64;
        let key =
            Key { family: collection.owner(), owner, collection, id: record.id, sequence: self.sequence };
        self.held.push(Entry { key, json });
        if self.held_bytes < self.run_bytes {
            return Ok(());
        }
        self.write_run()
    }

    fn write_run(&mut self) -> io::Result<()> {
        self.held.sort_unstable();
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(BufWriter::with_capacity(1 << 20, tempfile::tempfile()?)),
        };
        let start = self.written;
        for entry in self.held.drain(..) {
            self.written += entry.write(file)?;
        }
        self.runs.push((start, self.written));
        self.held_bytes = 0;
        Ok(())
    }

    /// How many bytes the groups will count together.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Everything of one release or artifact after another.
    ///
    /// # Errors
    /// The temporary file's.
    pub fn groups(mut self) -> io::Result<Groups> {
        self.held.sort_unstable();
        let mut file = None;
        if let Some(writer) = self.file {
            file = Some(writer.into_inner().map_err(io::IntoInnerError::into_error)?);
        }
        let buffer_bytes =
            (READ_BUFFERS_BYTES / (self.runs.len() + 1)).clamp(MIN_READ_BUFFER_BYTES, MAX_READ_BUFFER_BYTES);
        let mut merge = Merge { file, runs: Vec::new(), next: BinaryHeap::new(), buffer_bytes };
        merge.runs.push(Run::held(self.held));
        merge.runs.extend(self.runs.into_iter().map(|(start, end)| Run::written(start, end)));
        for run in 0..merge.runs.len() {
            if let Some(entry) = merge.read(run)? {
                merge.next.push(Reverse((entry, run)));
            }
        }
        Ok(Groups { merge })
    }
}

impl Entry {
    fn write(&self, file: &mut impl io::Write) -> io::Result<u64> {
        let Key { family, owner, collection, id, sequence } = &self.key;
        let mut head = [0; HEAD_BYTES];
        head[0] = number_of(*family);
        head[1] = number_of(*collection);
        head[2..10].copy_from_slice(&sequence.to_le_bytes());
        let texts = [owner, id, &self.json];
        for (place, text) in head[10..].chunks_exact_mut(4).zip(texts) {
            let length = u32::try_from(text.len()).map_err(io::Error::other)?;
            place.copy_from_slice(&length.to_le_bytes());
        }
        file.write_all(&head)?;
        for text in texts {
            file.write_all(text.as_bytes())?;
        }
        Ok((HEAD_BYTES + texts.iter().map(|text| text.len()).sum::<usize>()) as u64)
    }
}

/// Family, collection, sequence, and three lengths.
const HEAD_BYTES: usize = 1 + 1 + 8 + 3 * 4;

fn number_of(collection: Collection) -> u8 {
    let place = Collection::ALL.iter().position(|found| *found == collection);
    u8::try_from(place.unwrap_or_default()).unwrap_or_default()
}

/// A sorted sequence of entries.
enum Run {
    Held(std::vec::IntoIter<Entry>),
    Written { next: u64, end: u64, buffer: Vec<u8>, used: usize },
}

impl Run {
    fn held(entries: Vec<Entry>) -> Self {
        Self::Held(entries.into_iter())
    }

    fn written(start: u64, end: u64) -> Self {
        Self::Written { next: start, end, buffer: Vec::new(), used: 0 }
    }
}

struct Merge {
    file: Option<File>,
    runs: Vec<Run>,
    next: BinaryHeap<Reverse<(Entry, usize)>>,
    buffer_bytes: usize,
}

impl Merge {
    fn read(&mut self, run: usize) -> io::Result<Option<Entry>> {
        match &mut self.runs[run] {
            Run::Held(entries) => Ok(entries.next()),
            Run::Written { next, end, buffer, used } => {
                if *used == buffer.len() && next == end {
                    return Ok(None);
                }
                let file = self.file.as_mut().ok_or(io::ErrorKind::NotFound)?;
                let mut take = |length: usize| {
                    if buffer.len() - *used < length {
                        buffer.drain(..*used);
                        *used = 0;
                        let missing = (length - buffer.len()).max(self.buffer_bytes) as u64;
                        file.seek(SeekFrom::Start(*next))?;
                        let read = file.take(missing.min(*end - *next)).read_to_end(buffer)?;
                        *next += read as u64;
                    }
                    let taken =
                        buffer.get(*used..*used + length).ok_or(io::ErrorKind::UnexpectedEof)?.to_vec();
                    *used += length;
                    io::Result::Ok(taken)
                };
                let head = take(HEAD_BYTES)?;
                let length = |place: usize| {
                    let bytes = [head[place], head[place + 1], head[place + 2], head[place + 3]];
                    u32::from_le_bytes(bytes) as usize
                };
                let mut text = |length: usize| String::from_utf8(take(length)?).map_err(io::Error::other);
                let (owner, id, json) = (text(length(10))?, text(length(14))?, text(length(18))?);
                let mut sequence = [0; 8];
                sequence.copy_from_slice(&head[2..10]);
                let collection = |number: u8| Collection::ALL[usize::from(number) % Collection::ALL.len()];
                let key = Key {
                    family: collection(head[0]),
                    owner,
                    collection: collection(head[1]),
                    id,
                    sequence: u64::from_le_bytes(sequence),
                };
                Ok(Some(Entry { key, json }))
            }
        }
    }

    fn first(&self) -> Option<&Key> {
        self.next.peek().map(|Reverse((entry, _))| &entry.key)
    }

    fn take(&mut self) -> io::Result<Option<Entry>> {
        let Some(run) = self.next.peek().map(|Reverse((_, run))| *run) else { return Ok(None) };
        let following = self.read(run)?;
        let Some(mut first) = self.next.peek_mut() else { return Ok(None) };
        let Reverse((entry, _)) = match following {
            Some(following) => std::mem::replace(&mut *first, Reverse((following, run))),
            None => PeekMut::pop(first),
        };
        Ok(Some(entry))
    }
}

/// Everything of one release or artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// [`Collection::Version`] or [`Collection::Artifact`].
    pub family: Collection,
    /// The release's or artifact's id.
    pub owner: String,
    /// The record in the reference page's JSON.
    pub content: Content,
    /// What it is made of, by collection; in one without owner, what is nobody's.
    pub members: Vec<(Collection, Members)>,
    /// How many bytes it took, as [`Join::bytes`] counts them.
    pub bytes: u64,
}

/// What became of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// One record.
    Record(String),
    /// The release or artifact is not there; these are the ids of what belongs to it.
    Orphans(Vec<(Collection, String)>),
    /// It is longer than can be held.
    Overlong,
}

/// How many records of one collection a group has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Members {
    /// Those that share the owner's fate.
    pub live: u64,
    /// Soft-deleted ones.
    pub deleted: u64,
    /// Those whose id came again later.
    pub repeated: u64,
}

/// The groups, one after another.
pub struct Groups {
    merge: Merge,
}

impl Groups {
    fn group(&mut self) -> io::Result<Option<Group>> {
        let Some(first) = self.merge.first() else { return Ok(None) };
        let (family, owner) = (first.family, first.owner.clone());
        let mut group = Gathering::default();
        while self.merge.first().is_some_and(|key| key.family == family && key.owner == owner) {
            let Some(entry) = self.merge.take()? else { break };
            let is_repeated = self.merge.first().is_some_and(|next| {
                next.family == family
                    && next.owner == owner
                    && next.collection == entry.key.collection
                    && next.id == entry.key.id
            });
            group.add(entry, is_repeated);
        }
        Ok(Some(group.finish(family, owner)))
    }
}

impl Iterator for Groups {
    type Item = io::Result<Group>;

    fn next(&mut self) -> Option<io::Result<Group>> {
        self.group().transpose()
    }
}

/// A group while its entries come.
#[derive(Default)]
struct Gathering {
    members: Vec<(Collection, Members)>,
    owner: Option<String>,
    children: Vec<(Collection, String, String)>,
    bytes: usize,
    is_overlong: bool,
}

impl Gathering {
    fn add(&mut self, entry: Entry, is_repeated: bool) {
        let Entry { key, json } = entry;
        self.bytes += ENTRY_BYTES + key.owner.len() + key.id.len() + json.len();
        if self.members.last().is_none_or(|(collection, _)| *collection != key.collection) {
            self.members.push((key.collection, Members::default()));
        }
        let Some((_, members)) = self.members.last_mut() else { return };
        if is_repeated {
            members.repeated += 1;
        } else if key.collection.section().is_none() {
            members.live += 1;
            self.owner = Some(json);
        } else if json.is_empty() {
            members.deleted += 1;
        } else {
            members.live += 1;
            self.is_overlong |= self.bytes > MAX_RECORD_BYTES;
            // Its id is kept all the same: it may turn out to be nobody's.
            let json = if self.is_overlong { String::new() } else { json };
            self.children.push((key.collection, key.id, json));
        }
    }

    fn finish(self, family: Collection, owner: String) -> Group {
        let content = match &self.owner {
            None => {
                let orphans = self.children.into_iter().map(|(collection, id, _)| (collection, id));
                Content::Orphans(orphans.collect())
            }
            Some(_) if self.is_overlong => Content::Overlong,
            Some(json) => Content::Record(record(family, json, self.children)),
        };
        Group { family, owner, content, members: self.members, bytes: self.bytes as u64 }
    }
}

/// The reference page's record: the owner's JSON, and its children in their sections.
fn record(family: Collection, owner: &str, children: Vec<(Collection, String, String)>) -> String {
    let mut out = String::with_capacity(
        owner.len() + children.iter().map(|(.., json)| json.len() + 1).sum::<usize>() + 128,
    );
    if family == Collection::Version {
        out.push_str("{\"versionInfo\":");
        out.push_str(owner);
    } else {
        out.push_str(owner.strip_suffix('}').unwrap_or(owner));
    }
    let mut sections: Vec<(Collection, Vec<String>)> = Vec::new();
    for (collection, _, json) in children {
        match sections.last_mut() {
            Some((last, section)) if *last == collection => section.push(json),
            _ => sections.push((collection, vec![json])),
        }
    }
    for (collection, section) in sections {
        let section =
            if collection == Collection::Distribute { with_images_in_charts(&section) } else { section };
        out.push_str(",\"");
        out.push_str(collection.section().unwrap_or_default());
        out.push_str("\":[");
        out.push_str(&section.join(","));
        out.push(']');
    }
    out.push('}');
    out
}

/// What tells a chart's distribution from its images'.
#[derive(serde::Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Distributed {
    distribute_type: Option<String>,
    chart_name: Option<String>,
}

/// The images of a chart stand inside its record, as `subDistributes`.
fn with_images_in_charts(section: &[String]) -> Vec<String> {
    let named: Vec<_> = section
        .iter()
        .map(|json| serde_json::from_str::<Distributed>(json).unwrap_or_default())
        .map(|found| {
            let chart = found.chart_name.filter(|name| !name.is_empty());
            (found.distribute_type.unwrap_or_default(), chart)
        })
        .collect();
    let place = |name: &Option<String>| {
        name.as_ref()?;
        named.iter().position(|(kind, chart)| kind == "chart" && chart == name)
    };
    let mut images: Vec<Vec<&str>> = vec![Vec::new(); section.len()];
    let mut is_inside = vec![false; section.len()];
    for (index, (kind, chart)) in named.iter().enumerate() {
        if kind == "image"
            && let Some(place) = place(chart)
        {
            images[place].push(&section[index]);
            is_inside[index] = true;
        }
    }
    let mut answered = Vec::new();
    for (index, json) in section.iter().enumerate() {
        if is_inside[index] {
            continue;
        }
        let Some(open) = json.strip_suffix('}').filter(|_| !images[index].is_empty()) else {
            answered.push(json.clone());
            continue;
        };
        answered.push(format!("{open},\"subDistributes\":[{}]}}", images[index].join(",")));
    }
    answered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn child(id: usize, json: &str) -> CollectionRecord {
        CollectionRecord {
            id: format!("{id:04}"),
            owner: None,
            is_deleted: false,
            json: json.to_owned(),
            credentials_dropped: 0,
        }
    }

    fn owner(id: &str) -> CollectionRecord {
        CollectionRecord { id: id.to_owned(), json: format!("{{\"id\":\"{id}\"}}"), ..child(0, "") }
    }

    /// Every owner `r0` to `r9` but `r5`, with ten builds and tests each, in an order that depends on `step`.
    fn groups(run_bytes: usize, step: usize) -> Vec<Group> {
        let mut join = Join::with_run_bytes(run_bytes);
        for number in (0..210).map(|number| number * step % 211) {
            let name = format!("r{}", number % 10);
            match number / 10 {
                0 if name == "r5" => {}
                0 => join.add(Collection::Version, name.clone(), owner(&name)).unwrap(),
                place @ 1..=10 => {
                    join.add(Collection::Test, name, child(place, &format!("{{\"t\":{place}}}"))).unwrap();
                }
                place => {
                    join.add(Collection::Build, name, child(place, &format!("{{\"b\":{place}}}"))).unwrap();
                }
            }
        }
        join.groups().unwrap().collect::<io::Result<Vec<_>>>().unwrap()
    }

    #[test]
    fn any_order_and_any_number_of_runs_join_alike() {
        let expected = groups(usize::MAX, 1);
        for (run_bytes, step) in [(1, 1), (500, 1), (3000, 7), (1, 101), (usize::MAX, 13)] {
            // 211 is prime: every step goes through the same numbers but one.
            let found = groups(run_bytes, step);
            assert_eq!(found.len(), expected.len());
            if step == 1 {
                assert_eq!(found, expected, "{run_bytes}");
            }
            assert!(matches!(&found[5].content, Content::Orphans(orphans) if orphans.len() >= 19));
            let Content::Record(json) = &found[1].content else { panic!("{found:?}") };
            assert!(json.starts_with(r#"{"versionInfo":{"id":"r1"},"buildInfo":[{"b":11},"#), "{json}");
        }
    }

    #[test]
    fn the_last_of_an_id_stays_and_deleted_children_are_counted() {
        let mut join = Join::with_run_bytes(1);
        join.add(Collection::Build, "r".to_owned(), child(1, "1")).unwrap();
        join.add(Collection::Build, "r".to_owned(), child(1, "2")).unwrap();
        join.add(Collection::Deploy, "r".to_owned(), CollectionRecord { is_deleted: true, ..child(2, "3") })
            .unwrap();
        join.add(Collection::Version, "r".to_owned(), owner("r")).unwrap();
        let groups: Vec<_> = join.groups().unwrap().map(Result::unwrap).collect();
        assert_eq!(groups.len(), 1);
        assert_eq!(
            groups[0].content,
            Content::Record(r#"{"versionInfo":{"id":"r"},"buildInfo":[2]}"#.to_owned())
        );
        let members = |live, deleted, repeated| Members { live, deleted, repeated };
        assert_eq!(
            groups[0].members,
            [
                (Collection::Version, members(1, 0, 0)),
                (Collection::Build, members(1, 0, 1)),
                (Collection::Deploy, members(0, 1, 0)),
            ]
        );
    }

    #[test]
    fn an_image_goes_into_its_charts_record() {
        let section = [
            r#"{"distributeType":"image","chartName":"c"}"#,
            r#"{"distributeType":"chart","chartName":"c"}"#,
            r#"{"distributeType":"image","chartName":"other"}"#,
            r#"{"distributeType":"image"}"#,
        ];
        assert_eq!(
            with_images_in_charts(&section.map(str::to_owned)),
            [
                r#"{"distributeType":"chart","chartName":"c","subDistributes":[{"distributeType":"image","chartName":"c"}]}"#,
                r#"{"distributeType":"image","chartName":"other"}"#,
                r#"{"distributeType":"image"}"#,
            ]
        );
    }
}
