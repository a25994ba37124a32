//! A release as Zadig 4 and later keep and answer it: one object with its services, and their images in them.
//!
//! It becomes a release in the documented JSON. What that has no place for is kept under its stored name: in
//! `versionInfo`, or in the deploy that it belongs to.

use std::borrow::Cow;
use std::iter;

use super::zadig_collections::members_shown;
use crate::digest;
use crate::json::{Json, Members, Path, Problem};
use crate::record::fields::{DEPLOY_INFO, DISTRIBUTE_INFO, Fields, VERSION_INFO};

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
    let path = Path::ROOT.field("services");
    let services = release.shift_remove("services");
    let services = services.ok_or_else(|| path.problem("expected a list, found nothing"))?;
    let (mut deploys, mut distributions) = (Vec::new(), Vec::new());
    for (index, service) in elements(services, &path)?.into_iter().enumerate() {
        let path = path.index(index);
        let service = service.into_members(&path)?;
        distributions.extend(chart_distribution(&release, &service));
        deploys.append(&mut service_deploys(&release, service, &path)?);
    }
    Ok(Json::Object(Members::from_iter([
        ("versionInfo".into(), Json::Object(version_info(release))),
        ("deployInfo".into(), Json::List(deploys)),
        ("distributeInfo".into(), Json::List(distributions)),
    ])))
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

/// The deploys of a service: one for each of its images, or one without an image.
fn service_deploys<'a>(
    release: &Members<'a>,
    service: Members<'a>,
    path: &Path<'_>,
) -> Result<Vec<Json<'a>>, Problem> {
    let mut service = service;
    let service_name = service.shift_remove("service_name").unwrap_or(Json::Null);
    if service_name.is_empty() {
        return Err(path.field("service_name").problem("expected a non-empty string"));
    }
    let path = path.field("images");
    let images = service.shift_remove("images").map_or(Ok(Vec::new()), |images| elements(images, &path))?;
    let images = images.into_iter().enumerate();
    let images = images.map(|(index, image)| image.into_members(&path.index(index)));
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
            ("registry_id", value_of(release, "image_registry_id")),
            ("yaml_contents", Json::List(yaml.into_iter().collect())),
        ];
        let others = image.into_iter().chain(service);
        deploys.push(part(
            release,
            &DEPLOY_INFO,
            ["deploy", "service_name", "container_name"],
            known,
            others,
        ));
    }
    Ok(deploys)
}

/// The distribution of a service's chart, where the chart was made.
fn chart_distribution<'a>(release: &Members<'a>, service: &Members<'a>) -> Option<Json<'a>> {
    let chart_name = value_of(service, "chart_name");
    if chart_name.is_empty() || value_of(service, "chart_status").as_text() != Some("passed") {
        return None;
    }
    let known = [
        ("service_name", value_of(service, "service_name")),
        ("distribute_type", Json::text("chart")),
        ("chart_name", chart_name),
        ("chart_version", value_of(service, "chart_version")),
        ("chart_repo_name", value_of(release, "chart_repo_name")),
    ];
    Some(part(release, &DISTRIBUTE_INFO, ["chart", "service_name", "chart_name"], known, iter::empty()))
}

/// A record that belongs to a release: what is known of it, and whatever else is told and not empty. Zadig
/// gives it no id. It gets one that is made of the release's id and of two of its fields, so that every
/// import gives it the same one.
fn part<'a, const N: usize>(
    release: &Members<'a>,
    fields: &Fields,
    [kind, first, second]: [&str; 3],
    known: [(&'static str, Json<'a>); N],
    others: impl Iterator<Item = (Cow<'a, str>, Json<'a>)>,
) -> Json<'a> {
    let mut part: Members<'a> = known.into_iter().map(|(name, value)| (name.into(), value)).collect();
    let release_id = value_of(release, "_id");
    let text = |value: Option<&Json<'a>>| value.and_then(Json::as_text).unwrap_or_default().to_owned();
    let [first, second] = [first, second].map(|name| text(part.get(name)));
    let id = digest::of_texts(&[kind, &text(Some(&release_id)), &first, &second]);
    part.insert("_id".into(), Json::text(id));
    part.insert("release_id".into(), release_id);
    part.insert("created_at".into(), value_of(release, "created_at"));
    for (name, value) in others.filter(|(_, value)| !value.is_empty()) {
        part.entry(name).or_insert(value);
    }
    Json::Object(members_shown(fields, part))
}

fn value_of<'a>(members: &Members<'a>, name: &str) -> Json<'a> {
    members.get(name).cloned().unwrap_or(Json::Null)
}

/// The elements of a list, which Go writes as `null` where it is empty.
fn elements<'a>(list: Json<'a>, path: &Path<'_>) -> Result<Vec<Json<'a>>, Problem> {
    if list == Json::Null { Ok(Vec::new()) } else { list.into_elements(path) }
}
