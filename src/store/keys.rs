//! The keys of both tables: what an item is called, and how long a name may be.
//!
//! Releases table, `release_id` (hash) and `entry` (range):
//!
//! | entry | holds |
//! | --- | --- |
//! | `release` | the documents `brief` and `rest` (as much of them as one item holds), their `position`, `revision` and `lengths`, and the last `writer` |
//! | `part#<revision>#<number>` | what did not fit into `release` |
//! | `facet#<digest>` | one list in which the release stands: `facet`, `position`, `revision`, `lengths`; and what a search of this list compares: short digests of the terms of wider filters (`terms`), and the whole commits (`commits`) |
//!
//! Artifacts table, `image_digest` (hash) and `entry` (range):
//!
//! | hash key | entry | holds |
//! | --- | --- | --- |
//! | digest | `artifact#<position>` | **the artifact**: its `document` (as much of it as fits, and the number of `parts`), `image`, `repository`, `position`, `revision`; its last `writer`; its entries (`found_by`); and what pipelines `recorded` and `told` of it, and the `source` that an import brought (`tool/src/write/artifacts/stored.rs`) |
//! | `id:<id>` | `pointer` | the key of the artifact's item (`artifact_digest`, `artifact_entry`), or the id of the artifact that it `gave_way_to`; the last `writer` |
//! | `id:<id>` | `part#<writer>#<number>` | what does not fit into the item of that writer |
//! | `id:<id>` | `found-by#<digest>#<nonce>` | a commit, a pull request or an environment that the artifact is found by: `image` (a text that begins with `#`), `position`, `commits`, and the key of the artifact's item |
//! | `environment:<env_name>` | `<repository>#<namespace>` | the last deploy of a repository's images there: its `position` (the time, and the id of the artifact), `repository`, `namespace`, `until` where nothing of it runs there any more, and the last `writer` |
//! | `key:<digest>` | `key` | the `artifact_id` of the artifact for which a fact was recorded with an idempotency key |
//!
//! **The artifact's item decides**: a part, an entry or a key counts only where that item lists it, or the fact.
//!
//! An artifact without a digest is kept under `image:<image>`, and one without either under `id:<id>`. The
//! range keys of one digest sort as positions do, and so does the index `by_image`. So the newest artifact of
//! a digest or of an image is one Query of one item.

use aws_sdk_dynamodb::types::AttributeValue;
use hex_simd::AsciiCase;
use ring::digest::{SHA256, digest};

use super::items::Item;
use crate::image_reference::{ImageDigest, found_under};
pub use crate::position::MAX_RANGE_KEY_BYTES;
use crate::position::Position;

/// How many bytes a hash key may have in DynamoDB.
pub const MAX_HASH_KEY_BYTES: usize = 2048;

/// The index that finds releases.
pub const BY_FACET: &str = "by_facet";
/// The index that finds artifacts by image.
pub const BY_IMAGE: &str = "by_image";

/// The name of the hash key of the Releases table, an attribute that every item of it has.
pub const RELEASE_HASH: &str = "release_id";
/// The name of the hash key of the Artifacts table.
pub const ARTIFACT_HASH: &str = "image_digest";

/// The attributes in which pointers and entries name the hash key of an artifact's item, and its range key.
pub const ARTIFACT_DIGEST: &str = "artifact_digest";
/// See [`ARTIFACT_DIGEST`].
pub const ARTIFACT_ENTRY: &str = "artifact_entry";
/// The attribute of an item that names its last writer.
pub const WRITER: &str = "writer";

/// The range key of a release's item, which holds its documents.
pub const RELEASE_ENTRY: &str = "release";
/// How the range keys of parts begin, in both tables.
pub const PART_PREFIX: &str = "part#";
/// How the range keys of artifacts begin.
pub const ARTIFACT_PREFIX: &str = "artifact#";
/// The beginning of the range keys of `found-by` entries, which find artifacts by commit, pull request and
/// environment.
pub const FOUND_BY_PREFIX: &str = "found-by#";
const POINTER_ENTRY: &str = "pointer";
/// How the hash keys of what belongs to an artifact's id begin.
pub const ID_PREFIX: &str = "id:";
/// How the hash keys of last deploys begin.
pub const ENVIRONMENT_PREFIX: &str = "environment:";
/// How the hash keys of idempotency keys begin.
const KEY_PREFIX: &str = "key:";
/// What stands before the image in the hash key of an artifact without a digest.
const IMAGE_PREFIX: &str = "image:";

/// How many parts a record may have: their numbers have three digits.
pub const MAX_PARTS: usize = 999;

/// How long a release's id may be: the index's range key is a position, which holds the id. 64 bytes are more
/// than the rest of it needs.
pub const MAX_RELEASE_ID_BYTES: usize = MAX_RANGE_KEY_BYTES - 64;
/// How long an artifact's id may be: range keys are positions, which hold the id.
pub const MAX_ARTIFACT_ID_BYTES: usize = MAX_RANGE_KEY_BYTES - 64;
/// How long an artifact's image may be: a hash key may hold it.
pub const MAX_IMAGE_BYTES: usize = MAX_HASH_KEY_BYTES - IMAGE_PREFIX.len();

/// The key of an item of the Releases table.
pub fn release_key(release_id: &str, entry: &str) -> Item {
    key(RELEASE_HASH, release_id, entry)
}

/// The range key of one of the parts of a release.
pub fn release_part_entry(revision: &str, number: usize) -> String {
    format!("{PART_PREFIX}{revision}#{number:03}")
}

/// The key of an item of the Artifacts table.
pub fn artifact_key(hash_key: &str, entry: &str) -> Item {
    key(ARTIFACT_HASH, hash_key, entry)
}

/// The hash key of an artifact: its digest, or else the digest that its image names, or else the image, or
/// else the id.
pub fn artifact_hash_key(image_digest: &str, image: &str, artifact_id: &str) -> String {
    let named = || image.split_once('@').and_then(|(_, digest)| ImageDigest::parse(digest));
    match ImageDigest::parse(image_digest).or_else(named) {
        Some(digest) => digest.as_str().to_owned(),
        None if image.is_empty() => id_hash_key(artifact_id),
        None => image_hash_key(image),
    }
}

/// The hash key of an artifact that has an image and no digest.
pub fn image_hash_key(image: &str) -> String {
    format!("{IMAGE_PREFIX}{}", found_under(image))
}

/// The hash key of an artifact's pointer, and of an artifact with neither digest nor image.
pub fn id_hash_key(artifact_id: &str) -> String {
    format!("{ID_PREFIX}{artifact_id}")
}

/// The range key of an artifact's item.
pub fn artifact_entry(position: &Position) -> String {
    format!("{ARTIFACT_PREFIX}{position}")
}

/// The position that an artifact's range key names; `None` where the key has another form.
pub fn artifact_position(entry: &str) -> Option<Position> {
    entry.strip_prefix(ARTIFACT_PREFIX).and_then(Position::parse)
}

/// The key of one of the parts that a writer put beside an artifact's item.
pub fn artifact_part_key(artifact_id: &str, writer: &str, number: usize) -> Item {
    artifact_key(&id_hash_key(artifact_id), &format!("{PART_PREFIX}{writer}#{number:03}"))
}

/// An image as the index `by_image` lists it. The other texts in that index begin with one `#`, so an image
/// that begins with `#` gets one more.
pub fn indexed_image(image: &str) -> String {
    let image = found_under(image);
    if image.starts_with('#') { format!("#{image}") } else { image.to_owned() }
}

/// The key of an artifact's pointer.
pub fn pointer_key(artifact_id: &str) -> Item {
    artifact_key(&id_hash_key(artifact_id), POINTER_ENTRY)
}

/// The key of the item that tells which artifact a fact with an idempotency key was recorded of.
pub fn idempotency_key(digest: &str) -> Item {
    artifact_key(&format!("{KEY_PREFIX}{digest}"), "key")
}

/// The hash key of the last deploys to an environment.
pub fn environment_hash_key(env_name: &str) -> String {
    let key = format!("{ENVIRONMENT_PREFIX}{env_name}");
    if key.len() <= MAX_HASH_KEY_BYTES {
        return key;
    }
    format!("{ENVIRONMENT_PREFIX}#sha256={}", sha256(env_name))
}

/// The range key of a repository's last deploy to a namespace of an environment. With an empty namespace, all of
/// the repository's begin with it.
pub fn last_deploy_entry(repository: &str, namespace: &str) -> String {
    // Each has half of the key, and what is longer is a digest. A `#` ends the repository.
    let fitted = |name: &str| {
        let name = name.replace('%', "%25").replace('#', "%23");
        if name.len() < MAX_RANGE_KEY_BYTES / 2 { name } else { format!("%sha256={}", sha256(&name)) }
    };
    format!("{}#{}", fitted(found_under(repository)), fitted(namespace))
}

/// The key of an artifact's item, as its pointer and its entries name it.
pub fn artifact_key_in(item: &Item) -> Option<Item> {
    let text = |name: &str| item.get(name)?.as_s().ok();
    Some(artifact_key(text(ARTIFACT_DIGEST)?, text(ARTIFACT_ENTRY)?))
}

/// The digest that stands for a text which is too long for a key.
pub(super) fn sha256(text: &str) -> String {
    hex_simd::encode_to_string(digest(&SHA256, text.as_bytes()).as_ref(), AsciiCase::Lower)
}

fn key(hash_name: &str, hash_key: &str, entry: &str) -> Item {
    Item::from([
        (hash_name.to_owned(), AttributeValue::S(hash_key.to_owned())),
        ("entry".to_owned(), AttributeValue::S(entry.to_owned())),
    ])
}
