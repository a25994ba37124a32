//! Everything that a dump's collections have of one release or artifact, and the record that it makes.

use std::collections::{BTreeMap, HashMap};

use super::batch::{Content, InputRecord};
use super::report::Journal;
use crate::input::join::Joined;
use crate::input::zadig_collections::Collection;
use crate::json::{Json, to_text};

/// The longest record that can be imported.
const MAX_RECORD_BYTES: usize = 64 << 20;

/// For releases and for artifacts, why a collection of their parts could not be read whole. The lost
/// documents may have belonged to any release or artifact, so that none of them can be taken for complete.
/// For releases of Zadig 4, why those of before could not be read whole: one of the lost may be the same
/// release.
#[derive(Default)]
pub(super) struct Damaged(HashMap<Collection, String>);

impl Damaged {
    /// Notes that a collection could not be read whole; `place` is that of the first document that could not
    /// be read.
    pub(super) fn note(&mut self, collection: Collection, place: &str) {
        let what_depends = match collection {
            Collection::Version => Collection::VersionV2,
            Collection::VersionV2 | Collection::Artifact => return,
            child => child.owner(),
        };
        let reason = || format!("{} could not be read whole: {place}", collection.name());
        self.0.entry(what_depends).or_insert_with(reason);
    }
}

/// All records of one release or artifact, as they come out of the join.
pub(super) struct Group {
    /// [`Collection::Version`] or [`Collection::Artifact`].
    family: Collection,
    /// The release's or artifact's id.
    owner: String,
    /// The collection that has the release or artifact itself, and its JSON.
    own: Option<(Collection, String)>,
    /// The collections that have children, and of each the id and the JSON of those that are not soft-deleted.
    children: BTreeMap<Collection, Vec<(String, String)>>,
    /// The record that was added last. The same one again means an earlier record of its id.
    last: Option<(Collection, String)>,
    is_owner_refused: bool,
    is_child_refused: bool,
    is_overlong: bool,
    bytes: usize,
}

impl Group {
    pub(super) fn new(first: &Joined<'_>) -> Self {
        Self {
            family: first.collection.owner(),
            owner: first.owner.to_owned(),
            own: None,
            children: BTreeMap::new(),
            last: None,
            is_owner_refused: false,
            is_child_refused: false,
            is_overlong: false,
            bytes: 0,
        }
    }

    pub(super) fn holds(&self, record: &Joined<'_>) -> bool {
        (self.family, self.owner.as_str()) == (record.collection.owner(), record.owner)
    }

    /// Adds the group's next record. Of an id that came before, the record is an earlier one, which the later
    /// one replaces. A refused record was counted when it was refused.
    pub(super) fn add(&mut self, record: &Joined<'_>, journal: &Journal) {
        let Joined { collection, id, json, .. } = *record;
        self.bytes += record.bytes();
        let is_child = collection.section().is_some();
        if self.last.as_ref().is_some_and(|(last, last_id)| *last == collection && last_id == id) {
            if json.is_some() {
                journal.count(collection.name(), 1, |counts| &mut counts.repeated);
            }
            return;
        }
        self.last = Some((collection, id.to_owned()));
        match json {
            None if is_child => self.is_child_refused = true,
            _ if !is_child && (self.own.is_some() || self.is_owner_refused) => {
                // A migrated database has the release in `delivery_version` too, whose record came first and
                // has more.
                if json.is_some() {
                    journal.count(collection.name(), 1, |counts| &mut counts.same_release);
                }
            }
            None => self.is_owner_refused = true,
            Some("") if is_child => {
                self.children.entry(collection).or_default();
                journal.count(collection.name(), 1, |counts| &mut counts.deleted);
            }
            Some(json) if is_child => {
                self.is_overlong |= self.bytes > MAX_RECORD_BYTES;
                // The id is kept even then: if the owner turns out to be missing, this child is reported as
                // an orphan.
                let json = if self.is_overlong { "" } else { json };
                self.children.entry(collection).or_default().push((id.to_owned(), json.to_owned()));
            }
            Some(json) => self.own = Some((collection, json.to_owned())),
        }
    }

    /// The record that the group makes. A group that makes none is counted here.
    pub(super) fn finish(self, damaged: &Damaged, journal: &Journal) -> Option<InputRecord> {
        let bytes = self.bytes;
        let record = self.into_record(damaged, journal);
        if record.is_none() {
            journal.progress.bytes(bytes as u64);
        }
        record
    }

    fn into_record(self, damaged: &Damaged, journal: &Journal) -> Option<InputRecord> {
        let mut children_by_collection = self.children;
        let has_children = match &self.own {
            // Such a release has its parts in itself. Zadig shows no others.
            Some((collection, _)) => *collection != Collection::VersionV2,
            None => self.is_owner_refused,
        };
        if !has_children {
            for (collection, children) in std::mem::take(&mut children_by_collection) {
                for (id, _) in children {
                    journal.orphaned(collection.name(), &id, Some(&self.owner));
                }
            }
        }
        let counted = |(collection, live): (&Collection, &Vec<_>)| (*collection, live.len() as u64);
        let mut children: Vec<_> = children_by_collection.iter().map(counted).collect();
        let Some((collection, own)) = self.own else {
            let is_release = self.family == Collection::Version;
            let reason = if is_release { "its release was refused" } else { "its artifact was refused" };
            for (collection, children) in children_by_collection {
                for (id, _) in children {
                    journal.held_back(collection.name(), &id, reason);
                }
            }
            journal.count_children(&children, |counts| &mut counts.held_back);
            return None;
        };
        let row = collection.name();
        let place = format!("{row} {}", self.owner);
        if self.is_overlong && !self.is_child_refused {
            journal.refused(row, &place, "it is longer than 64 MiB with all that belongs to it");
            journal.count_children(&children, |counts| &mut counts.refused);
            return None;
        }
        let refused = self.is_child_refused.then_some("a record that belongs to it was refused");
        let damaged = || [self.family, collection].iter().find_map(|lost| damaged.0.get(lost));
        if let Some(reason) = refused.or_else(|| damaged().map(String::as_str)) {
            journal.held_back(row, &self.owner, reason);
            children.push((collection, 1));
            journal.count_children(&children, |counts| &mut counts.held_back);
            return None;
        }
        let text = record(collection, &own, children_by_collection);
        let content = Content::Text(text.into_bytes());
        Some(InputRecord { row: Some(row), place, bytes: self.bytes, content, children })
    }
}

/// Writes a record in the API's JSON: the own JSON of a release or an artifact of this collection, with its
/// children in their sections.
///
/// A section of a release in which every child is soft-deleted holds one soft-deleted record. It tells the
/// import that the section is empty on purpose, and may empty the stored one.
fn record(
    collection: Collection,
    own: &str,
    children: BTreeMap<Collection, Vec<(String, String)>>,
) -> String {
    let is_release = collection.owner() == Collection::Version;
    let length = children.values().flatten().map(|(_, json)| json.len() + 1).sum::<usize>();
    let mut out = String::with_capacity(own.len() + length + 128);
    if collection == Collection::Version {
        out.push_str("{\"versionInfo\":");
        out.push_str(own);
    } else {
        out.push_str(own.strip_suffix('}').unwrap_or(own));
    }
    for (collection, children) in children {
        let mut section: Vec<_> = children.into_iter().map(|(_, json)| json).collect();
        if section.is_empty() && is_release {
            section.push(r#"{"deleted_at":1}"#.to_owned());
        }
        if collection == Collection::Distribute {
            section = with_images_in_charts(&section);
        }
        out.push_str(",\"");
        out.push_str(collection.section().unwrap_or_default());
        out.push_str("\":[");
        out.push_str(&section.join(","));
        out.push(']');
    }
    out.push('}');
    out
}

/// Moves the images of a chart into the chart's record, as `subDistributes`, where Zadig answers them.
fn with_images_in_charts(section: &[String]) -> Vec<String> {
    let records: Vec<_> = section
        .iter()
        .map(|json| Json::read_text(json).expect("a collection's record was written as JSON"))
        .collect();
    let text = |record: &Json<'_>, name| record.member(name).and_then(Json::as_text).map(str::to_owned);
    let is_of_chart = |record: &Json<'_>, kind: &str, chart: &str| {
        text(record, "distributeType").as_deref() == Some(kind)
            && text(record, "chartName").as_deref() == Some(chart)
    };
    let chart_of = |record: &Json<'_>| {
        let chart = text(record, "chartName").filter(|chart| !chart.is_empty())?;
        let is_image = is_of_chart(record, "image", &chart);
        records.iter().position(|other| is_image && is_of_chart(other, "chart", &chart))
    };
    let charts: Vec<_> = records.iter().map(chart_of).collect();
    let mut answered = Vec::new();
    for (index, json) in section.iter().enumerate().filter(|(index, _)| charts[*index].is_none()) {
        let images = records.iter().zip(&charts).filter(|(_, chart)| **chart == Some(index));
        let images: Vec<_> = images.map(|(image, _)| image.clone()).collect();
        match records[index].clone() {
            Json::Object(mut chart) if !images.is_empty() => {
                // Its place in the table of fields is before this one, which every record from a collection
                // has.
                let place = chart.get_index_of("s3StorageID").unwrap_or(chart.len());
                chart.shift_insert(place, "subDistributes".into(), Json::List(images));
                answered.push(to_text(&Json::Object(chart)));
            }
            _ => answered.push(json.clone()),
        }
    }
    answered
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;
    use std::sync::Arc;

    use super::super::report::tests::Silent;
    use super::*;
    use crate::input::join::Join;

    /// Adds a record with this JSON.
    fn add(join: &mut Join, collection: Collection, owner: &str, id: usize, json: &str) {
        join.add(Joined { collection, owner, id: &format!("{id:04}"), json: Some(json) }).unwrap();
    }

    fn add_owner(join: &mut Join, family: Collection, id: &str) {
        let json = format!("{{\"id\":\"{id}\"}}");
        join.add(Joined { collection: family, owner: id, id, json: Some(&json) }).unwrap();
    }

    /// The records that the groups make, `None` for a group that makes none, and what was counted.
    fn joined(join: Join) -> (Vec<Option<String>>, Journal) {
        let (journal, damaged) = (Journal::new(Arc::new(Silent), None), Damaged::default());
        let mut groups: Vec<Group> = Vec::new();
        join.joined(|record| {
            if !groups.last().is_some_and(|group| group.holds(&record)) {
                groups.push(Group::new(&record));
            }
            groups.last_mut().unwrap().add(&record, &journal);
            ControlFlow::Continue(())
        })
        .unwrap();
        let made = groups.into_iter().map(|group| {
            let record = group.finish(&damaged, &journal)?;
            let Content::Text(text) = record.content else { panic!("it is not packed yet") };
            Some(String::from_utf8(text).unwrap())
        });
        (made.collect(), journal)
    }

    #[test]
    fn records_join_alike_in_any_order() {
        // Every owner `r0` to `r9` but `r5`, with ten builds and tests each. 211 is prime, so every step
        // visits all numbers below it but one.
        for step in [1, 7, 13, 101] {
            let mut join = Join::new().unwrap();
            for number in (0..210).map(|number| number * step % 211) {
                let name = format!("r{}", number % 10);
                match number / 10 {
                    0 if name == "r5" => {}
                    0 => add_owner(&mut join, Collection::Version, &name),
                    place @ 1..=10 => {
                        add(&mut join, Collection::Test, &name, place, &format!("{{\"t\":{place}}}"));
                    }
                    place => add(&mut join, Collection::Build, &name, place, &format!("{{\"b\":{place}}}")),
                }
            }
            let (made, journal) = joined(join);
            assert_eq!(made.len(), 10);
            let json = made[1].as_ref().unwrap();
            assert!(json.starts_with(r#"{"versionInfo":{"id":"r1"},"buildInfo":[{"b":11},"#), "{json}");
            assert_eq!(made[5], None);
            assert!(journal.finish().totals().orphaned >= 19);
        }
    }

    #[test]
    fn records_that_outgrow_the_cache_are_joined_from_disk() {
        let mut join = Join::new().unwrap();
        let long = format!("\"{}\"", "x".repeat(1 << 20));
        for number in (0..80).rev() {
            add(&mut join, Collection::Activity, &format!("a{}", number % 2), number, &long);
        }
        add_owner(&mut join, Collection::Artifact, "a0");
        add_owner(&mut join, Collection::Artifact, "a1");
        for made in joined(join).0 {
            assert_eq!(made.unwrap().matches(&long).count(), 40);
        }
    }

    #[test]
    fn the_last_record_of_an_id_counts_and_deleted_children_are_counted() {
        let mut join = Join::new().unwrap();
        add(&mut join, Collection::Build, "r", 1, "1");
        add(&mut join, Collection::Build, "r", 1, "2");
        add(&mut join, Collection::Deploy, "r", 2, "");
        add_owner(&mut join, Collection::Version, "r");
        let (made, journal) = joined(join);
        let record = r#"{"versionInfo":{"id":"r"},"buildInfo":[2],"deployInfo":[{"deleted_at":1}]}"#;
        assert_eq!(made, [Some(record.to_owned())]);
        let report = journal.finish();
        assert_eq!((report.counts("delivery_build").read, report.counts("delivery_build").repeated), (1, 1));
        assert_eq!((report.counts("delivery_deploy").read, report.counts("delivery_deploy").deleted), (1, 1));
    }

    #[test]
    fn the_owner_of_a_refused_record_is_incomplete() {
        let mut join = Join::new().unwrap();
        let refuse = |join: &mut Join, collection, owner: &str, id: &str| {
            join.add(Joined { collection, owner, id, json: None }).unwrap();
        };
        for name in ["a", "b", "c"] {
            add_owner(&mut join, Collection::Version, name);
            add(&mut join, Collection::Build, name, 1, "1");
        }
        refuse(&mut join, Collection::Test, "a", "t");
        // The last record of an id counts, whether it is refused or good.
        refuse(&mut join, Collection::Build, "b", "0001");
        refuse(&mut join, Collection::Build, "c", "0002");
        add(&mut join, Collection::Build, "c", 2, "2");
        add(&mut join, Collection::Build, "d", 1, "1");
        refuse(&mut join, Collection::Version, "d", "d");
        refuse(&mut join, Collection::Test, "e", "t");
        let (made, journal) = joined(join);
        let good = made[2].as_ref().unwrap();
        assert!(good.contains("[1,2]"), "{good}");
        assert_eq!(made.iter().flatten().count(), 1);
        let report = journal.finish();
        let held_back: Vec<_> =
            report.held_back().iter().map(|held| (held.row, held.records, held.reason.as_str())).collect();
        assert_eq!(
            held_back,
            [
                ("delivery_version", 2, "a record that belongs to it was refused"),
                // That of `d`, whose own refusal is told where it is read.
                ("delivery_build", 1, "its release was refused"),
            ]
        );
        assert_eq!(report.totals().orphaned, 0);
    }

    #[test]
    fn an_image_goes_into_its_charts_record() {
        let section = [
            r#"{"distributeType":"image","chartName":"c"}"#,
            r#"{"distributeType":"chart","chartName":"c","s3StorageID":"","deleted_at":0}"#,
            r#"{"distributeType":"image","chartName":"other"}"#,
            r#"{"distributeType":"image"}"#,
        ];
        assert_eq!(
            with_images_in_charts(&section.map(str::to_owned)),
            [
                r#"{"distributeType":"chart","chartName":"c","subDistributes":[{"distributeType":"image","chartName":"c"}],"s3StorageID":"","deleted_at":0}"#,
                r#"{"distributeType":"image","chartName":"other"}"#,
                r#"{"distributeType":"image"}"#,
            ]
        );
    }
}
