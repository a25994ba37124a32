//! A release as Zadig 4 and later keep and answer it: one object with its services, and their images in them.
//!
//! It becomes a release in the documented JSON. What that has no place for is kept under its stored name: in
//! `versionInfo`, or in the deploy that it belongs to.

use std::collections::BTreeSet;

use super::zadig_collections::members_shown;
use crate::digest;
use crate::json::{Json, Members, Path, Problem};
use crate::record::fields::{DEPLOY_INFO, DISTRIBUTE_INFO, Fields, VERSION_INFO};
use crate::record::required_text;

/// Whether an object of the API is such a release, or the entry of one in a list.
pub(crate) fn is_release(object: &Members<'_>) -> bool {
    ["project_name", "version"].iter().all(|name| object.contains_key(*name))
}

/// Whether an object of the API that is nothing else is such a release, but for its project.
pub(crate) fn lacks_project(object: &Members<'_>) -> bool {
    ["id", "version"].iter().all(|name| object.contains_key(*name))
        && !["versionInfo", "project_name"].iter().any(|name| object.contains_key(*name))
}

/// The release in the documented JSON. `release` has the names of Zadig's database.
pub(super) fn documented(release: Members<'_>) -> Result<Json<'_>, Problem> {
    let mut release = release;
    required_text(&release, "project_name", &Path::ROOT)?;
    let version = Path::ROOT.field("version");
    match release.get("version") {
        Some(Json::Text(_)) => {}
        Some(other) => return Err(other.unexpected("a string", &version)),
        None => return Err(version.problem("expected a string, found nothing")),
    }
    let renamed = VERSION_INFO.all().filter(|field| field.shown != field.stored).map(|field| field.shown);
    refuse(renamed.chain(["product_name", "product_env_info"]), &release, &Path::ROOT)?;
    let path = Path::ROOT.field("services");
    let services = release.shift_remove("services");
    let services = services.ok_or_else(|| path.problem("expected a list, found nothing"))?;
    let (mut deploys, mut distributions) = (Vec::new(), Vec::new());
    let mut parts = Parts { release: &release, ids: BTreeSet::new() };
    for (index, service) in elements(services, &path)?.into_iter().enumerate() {
        let path = path.index(index);
        let service = service.into_members(&path)?;
        distributions.extend(parts.chart_distribution(&service));
        deploys.append(&mut parts.service_deploys(service, &path)?);
    }
    Ok(Json::Object(Members::from_iter([
        ("versionInfo".into(), Json::Object(version_info(release))),
        ("deployInfo".into(), Json::List(deploys)),
        ("distributeInfo".into(), Json::List(distributions)),
    ])))
}

/// Refuses members with names that the documented JSON gives to something else: a value would be lost, or
/// would be taken for what it is not.
fn refuse(
    names: impl IntoIterator<Item = &'static str>,
    members: &Members<'_>,
    path: &Path<'_>,
) -> Result<(), Problem> {
    match names.into_iter().find(|name| members.get(*name).is_some_and(|value| !value.is_empty())) {
        Some(name) => Err(path
            .field(name)
            .problem("Zadig 4 has no such field here, and it cannot be told what it means")),
        None => Ok(()),
    }
}

fn version_info(release: Members<'_>) -> Members<'_> {
    let mut release = release;
    let project = release.shift_remove("project_name").unwrap_or(Json::Null);
    let env_name = release.shift_remove("env_name").filter(|name| !name.is_empty());
    let production = release.shift_remove("production").unwrap_or(Json::Boolean(false));
    release.insert("product_name".into(), project.clone());
    let mut version_info = members_shown(&VERSION_INFO, release);
    match env_name {
        Some(env_name) => {
            let environment = [("product_name", project), ("env_name", env_name), ("production", production)];
            let environment = environment.map(|(name, value)| (name.into(), value));
            version_info.insert("productEnvInfo".into(), Json::Object(Members::from_iter(environment)));
        }
        None => drop(version_info.shift_remove("productEnvInfo")),
    }
    version_info
}

/// Makes the records that belong to a release.
struct Parts<'r, 'a> {
    release: &'r Members<'a>,
    /// The ids that were given so far.
    ids: BTreeSet<String>,
}

impl<'a> Parts<'_, 'a> {
    /// The deploys of a service: one for each of its images, or one without an image.
    fn service_deploys(&mut self, service: Members<'a>, path: &Path<'_>) -> Result<Vec<Json<'a>>, Problem> {
        let mut service = service;
        let service_name = service.shift_remove("service_name").unwrap_or(Json::Null);
        if service_name.is_empty() {
            return Err(path.field("service_name").problem("expected a non-empty string"));
        }
        refuse(deploy_fields(), &service, path)?;
        let images_path = path.field("images");
        let images = service.shift_remove("images");
        let images = images.ok_or_else(|| images_path.problem("expected a list, found nothing"))?;
        let images = elements(images, &images_path)?.into_iter().enumerate();
        let images = images.map(|(index, image)| known_image(image, &images_path.index(index)));
        let mut images = images.collect::<Result<Vec<_>, _>>()?;
        if images.is_empty() {
            images.push(Members::new());
        }
        let mut deploys = Vec::with_capacity(images.len());
        for image in images {
            // The first deploy takes the service's YAML, and what else the service has.
            let mut service = std::mem::take(&mut service);
            let yaml = service.shift_remove("yaml_content").filter(|yaml| !yaml.is_empty());
            let target = value_of(&image, "target_image");
            let known = [
                ("service_name", service_name.clone()),
                ("container_name", value_of(&image, "container_name")),
                ("image", if target.is_empty() { value_of(&image, "source_image") } else { target }),
                ("registry_id", value_of(self.release, "image_registry_id")),
                ("yaml_contents", Json::List(yaml.into_iter().collect())),
            ];
            let others = with_service(image, service, path)?;
            deploys.push(self.part(
                &DEPLOY_INFO,
                ["deploy", "service_name", "container_name"],
                known,
                others,
            ));
        }
        Ok(deploys)
    }

    /// The distribution of a service's chart, where the chart was made.
    fn chart_distribution(&mut self, service: &Members<'a>) -> Option<Json<'a>> {
        let chart_name = value_of(service, "chart_name");
        if chart_name.is_empty() || value_of(service, "chart_status").as_text() != Some("passed") {
            return None;
        }
        let known = [
            ("service_name", value_of(service, "service_name")),
            ("distribute_type", Json::text("chart")),
            ("chart_name", chart_name),
            ("chart_version", value_of(service, "chart_version")),
            ("chart_repo_name", value_of(self.release, "chart_repo_name")),
        ];
        Some(self.part(&DISTRIBUTE_INFO, ["chart", "service_name", "chart_name"], known, Members::new()))
    }

    /// A record that belongs to the release: what is known of it, and whatever else is told. Zadig gives it
    /// no id. It gets one that is made of the release's id and of two of its fields, so that every import
    /// gives it the same one. Where several are equal in these, their number among them goes in, too.
    fn part<const N: usize>(
        &mut self,
        fields: &Fields,
        [kind, first, second]: [&str; 3],
        known: [(&'static str, Json<'a>); N],
        others: Members<'a>,
    ) -> Json<'a> {
        let mut part: Members<'a> = known.into_iter().map(|(name, value)| (name.into(), value)).collect();
        let release_id = value_of(self.release, "_id");
        let text = |value: Option<&Json<'a>>| value.and_then(Json::as_text).unwrap_or_default().to_owned();
        let [first, second] = [first, second].map(|name| text(part.get(name)));
        let made_of = [kind, &text(Some(&release_id)), &first, &second];
        let mut id = digest::of_texts(&made_of);
        let mut number = 1;
        while !self.ids.insert(id.clone()) {
            number += 1;
            id = digest::of_texts(&[&made_of[..], &[&number.to_string()]].concat());
        }
        part.insert("_id".into(), Json::text(id));
        part.insert("release_id".into(), release_id);
        part.insert("created_at".into(), value_of(self.release, "created_at"));
        for (name, value) in others {
            part.entry(name).or_insert(value);
        }
        Json::Object(members_shown(fields, part))
    }
}

/// The names that the fields of a deploy have, stored and shown.
fn deploy_fields() -> impl Iterator<Item = &'static str> {
    DEPLOY_INFO.all().flat_map(|field| [field.stored, field.shown])
}

/// An image of a service, if it tells what was deployed, and has none of the deploy's fields but the container.
fn known_image<'a>(image: Json<'a>, path: &Path<'_>) -> Result<Members<'a>, Problem> {
    let image = image.into_members(path)?;
    refuse(deploy_fields().filter(|name| *name != "container_name"), &image, path)?;
    if ["target_image", "source_image"].iter().any(|name| image.contains_key(*name)) {
        Ok(image)
    } else {
        Err(path.problem("expected target_image or source_image, found neither"))
    }
}

/// What an image has, and what its service has, where it is not empty. A name that both have is the image's;
/// `error` is such a name. The service's value is then told apart by `service_` before the name.
fn with_service<'a>(
    image: Members<'a>,
    service: Members<'a>,
    path: &Path<'_>,
) -> Result<Members<'a>, Problem> {
    let told = |members: Members<'a>| members.into_iter().filter(|(_, value)| !value.is_empty());
    let mut all: Members<'a> = told(image).collect();
    let (both, one): (Vec<_>, Vec<_>) = told(service).partition(|(name, _)| all.contains_key(name));
    all.extend(one);
    for (name, value) in both {
        let renamed = format!("service_{name}");
        if all.contains_key(renamed.as_str()) {
            return Err(path
                .field(&name)
                .problem(format!("its image has {name}, too, and {renamed} is taken")));
        }
        all.insert(renamed.into(), value);
    }
    Ok(all)
}

fn value_of<'a>(members: &Members<'a>, name: &str) -> Json<'a> {
    members.get(name).cloned().unwrap_or(Json::Null)
}

/// The elements of a list, which Go writes as `null` where it is empty.
fn elements<'a>(list: Json<'a>, path: &Path<'_>) -> Result<Vec<Json<'a>>, Problem> {
    if list == Json::Null { Ok(Vec::new()) } else { list.into_elements(path) }
}
