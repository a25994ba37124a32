//! Records releases: which services of a project were released, with which images.

use delivery_center::image_reference::without_scheme;
use delivery_center::position::UnixSeconds;
use serde_json::{Value, json};

use super::image::NamedImage;
use super::outcome::{FactError, FactOutcome, Recorded, refused, wait_after};
use crate::digest;
use crate::record::{Record, Release};
use crate::retries::Patience;
use crate::write::{PackedRelease, Writer};

/// A release that is to be recorded.
#[derive(Debug, Clone)]
pub struct NewRelease {
    /// The project.
    pub project: String,
    /// The version.
    pub version: String,
    /// The workflow; may be empty.
    pub workflow: String,
    /// The workflow's task; 0 where there is none.
    pub task_id: u64,
    /// Its description.
    pub description: String,
    /// Its labels.
    pub labels: Vec<String>,
    /// The environment, where it was released into one.
    pub environment: Option<Environment>,
    /// The services, in their order.
    pub services: Vec<ReleasedService>,
    /// Who made it.
    pub created_by: String,
    /// When it was made.
    pub created_at: UnixSeconds,
    /// When the deployment began.
    pub started: Option<UnixSeconds>,
    /// When the deployment ended.
    pub ended: Option<UnixSeconds>,
    /// Tells this release from others of its project. Without it, everything else that is given does.
    pub idempotency_key: Option<String>,
}

/// An environment.
#[derive(Debug, Clone)]
pub struct Environment {
    /// Its name.
    pub name: String,
    /// Its namespace; may be empty.
    pub namespace: String,
}

/// A service of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleasedService {
    /// The service's name.
    pub name: String,
    /// The image, as pushed.
    pub image: String,
    /// The container that runs it; may be empty.
    pub container: String,
    /// The manifests that were applied.
    pub yaml_contents: Vec<String>,
}

/// Makes a release. If several make the same one, the first makes it, and the others find it already made.
///
/// # Errors
/// [`FactError`]. One that may pass is tried again until `patience` ends.
pub async fn record_release(
    writer: &Writer,
    release: &NewRelease,
    patience: &mut Patience,
) -> Result<Recorded, FactError> {
    let release = release.checked()?;
    let packed = PackedRelease::new(&release)?;
    loop {
        match attempt(writer, &packed).await {
            Err(error) if error.is_unreachable() && wait_after(&error, patience).await => {}
            ended => return ended,
        }
    }
}

/// One attempt.
async fn attempt(writer: &Writer, release: &PackedRelease) -> Result<Recorded, FactError> {
    let is_new = writer.create_release(release).await?;
    let outcome = if is_new { FactOutcome::Made } else { FactOutcome::Already };
    let current = writer.current_release(release.release_id()).await?.ok_or(FactError::Contended)?;
    Ok(Recorded { outcome, id: release.release_id().to_owned(), json: current.json, remark: None })
}

impl NewRelease {
    fn checked(&self) -> Result<Box<Release>, FactError> {
        let json = self.json(&self.release_id()).to_string();
        match Record::check(json.as_bytes()) {
            Ok(Record::Release(release)) => Ok(release),
            Ok(Record::Artifact(_)) => Err(refused("the release has no versionInfo")),
            Err(source) => Err(FactError::Invalid { record: "release".to_owned(), source }),
        }
    }

    /// A digest of the project and the key; without a key, of everything but who made it and the times that
    /// were not given. So a release that is sent again has the same id.
    fn release_id(&self) -> String {
        if let Some(key) = &self.idempotency_key {
            return digest::of_texts(&["release", &self.project, key]);
        }
        let unstamped = Self {
            created_by: String::new(),
            created_at: self.started.or(self.ended).unwrap_or_default(),
            ..self.clone()
        };
        digest::of_texts(&["release", &unstamped.json("").to_string()])
    }

    fn json(&self, release_id: &str) -> Value {
        json!({
            "versionInfo": {
                "id": release_id,
                "version": self.version,
                "productName": self.project,
                "workflowName": self.workflow,
                "taskId": self.task_id,
                "desc": self.description,
                "labels": self.labels,
                "productEnvInfo": self.environment.as_ref().map(|environment| self.product_env_info(environment)),
                "createdBy": self.created_by,
                "created_at": self.created_at,
                "deleted_at": 0,
            },
            "buildInfo": [],
            "deployInfo": self.services.iter().map(|service| self.deploy(release_id, service)).collect::<Vec<_>>(),
            "testInfo": [],
            "distributeInfo": [],
            "securityStatsInfo": [],
        })
    }

    fn deploy(&self, release_id: &str, service: &ReleasedService) -> Value {
        let mut deploy = json!({
            "id": digest::of_texts(&["deploy", release_id, &service.name, &service.container]),
            "releaseId": release_id,
            "serviceName": service.name,
            "containerName": service.container,
            "image": service.image,
            "registry_id": "",
            "yamlContents": service.yaml_contents,
            "envs": [],
            "orderedServices": [self.service_names()],
            "start_time": self.started,
            "end_time": self.ended,
            "created_at": self.created_at,
            "deleted_at": 0,
        });
        if let Some(deploy) = deploy.as_object_mut() {
            deploy.retain(|_, value| !value.is_null());
        }
        deploy
    }

    /// The environment in Zadig's form, with as much of it as a pipeline knows.
    fn product_env_info(&self, environment: &Environment) -> Value {
        let render = json!({ "name": "", "revision": 0, "product_tmpl": self.project, "description": "" });
        let services: Vec<_> = self.service_names().iter().map(|name| self.service(name, &render)).collect();
        json!({
            "id": "000000000000000000000000",
            "product_name": self.project,
            "create_time": 0,
            "update_time": 0,
            "namespace": environment.namespace,
            "status": "",
            "revision": 0,
            "enabled": false,
            "env_name": environment.name,
            "update_by": "",
            "auth": [],
            "visibility": "",
            "services": [services],
            "render": render,
            "error": "",
            "vars": [],
            "isPublic": false,
            "roleIds": [],
            "recycle_day": 0,
            "source": "",
            "is_opensource": false,
        })
    }

    fn service(&self, name: &str, render: &Value) -> Value {
        let containers = self.services.iter().filter(|service| service.name == name);
        let containers: Vec<_> =
            containers.map(|service| json!({ "name": service.container, "image": service.image })).collect();
        json!({
            "service_name": name,
            "product_name": self.project,
            "type": "k8s",
            "revision": 0,
            "containers": containers,
            "render": render,
        })
    }

    /// The names of the services, each once, in the order of the services.
    fn service_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for service in &self.services {
            if !names.contains(&service.name.as_str()) {
                names.push(&service.name);
            }
        }
        names
    }
}

impl ReleasedService {
    /// Reads `NAME=IMAGE`, or `NAME=IMAGE:CONTAINER`. The image has a tag or a digest.
    ///
    /// After the last slash, the first colon belongs to the tag or the digest, and a second one begins the
    /// container.
    ///
    /// # Errors
    /// [`FactError::Refused`], where it cannot be read. The error names the service and quotes nothing else:
    /// a text that is no image may hold a password.
    pub fn parse(service: &str) -> Result<Self, FactError> {
        let (name, rest) = service.split_once('=').unwrap_or(("", service));
        let is_shown =
            name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
        let unreadable = |reason: &str| {
            let shown = if is_shown && !name.is_empty() { format!(" {name}") } else { String::new() };
            refused(format!(
                "--service{shown}: {reason} (--service takes NAME=IMAGE:TAG or NAME=IMAGE@DIGEST, and :CONTAINER may follow)"
            ))
        };
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(unreadable(if service.contains('=') {
                "the service has no name"
            } else {
                "there is no ="
            }));
        }
        let (image, container) = split_container(without_scheme(rest)).map_err(unreadable)?;
        let named = NamedImage::parse(&image, None).map_err(|error| unreadable(&error.to_string()))?;
        if named.repository.is_empty() {
            return Err(unreadable("the image has no name"));
        }
        Ok(Self { name: name.to_owned(), image, container, yaml_contents: Vec::new() })
    }
}

/// Splits `IMAGE:CONTAINER` into the image and the container, which is empty where there is none.
fn split_container(text: &str) -> Result<(String, String), &'static str> {
    let last_component = text.rfind('/').map_or(0, |slash| slash + 1);
    let (path, last) = text.split_at(last_component);
    let digest = last.find('@');
    if digest.is_some_and(|digest| last[..digest].matches(':').count() > 1) {
        return Err("the container has to come after the digest");
    }
    // The first colon from here is the one in the digest, or the one in front of the tag.
    let start = digest.unwrap_or(0);
    let (image, container) = match last[start..].match_indices(':').nth(1) {
        Some((colon, _)) => (&last[..start + colon], Some(&last[start + colon + 1..])),
        None => (last, None),
    };
    if container.is_some_and(|container| !is_container(container)) {
        return Err("what follows the tag or the digest is not the name of a container");
    }
    Ok((format!("{path}{image}"), container.unwrap_or_default().to_owned()))
}

/// A container's name is a DNS label.
fn is_container(name: &str) -> bool {
    (1..=63).contains(&name.len())
        && !name.starts_with('-')
        && !name.ends_with('-')
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:1d9ddf94feb5ff9ca9d76248ad51dd2a95210895d0dbf1e87bd66cc471c41f0e";

    fn service(text: &str) -> Option<(String, String)> {
        ReleasedService::parse(text).ok().map(|service| (service.image, service.container))
    }

    #[test]
    fn a_services_image_is_told_from_its_container() {
        let pair = |image: &str, container: &str| Some((image.to_owned(), container.to_owned()));
        for (text, expected) in [
            ("web=nginx", None),
            ("web=nginx:1.25", pair("nginx:1.25", "")),
            ("web=nginx:1.25:app", pair("nginx:1.25", "app")),
            ("web=nginx::app", None),
            ("web=host:5000/a/nginx", None),
            ("web=host:5000/a/nginx:1", pair("host:5000/a/nginx:1", "")),
            ("web=host:5000/a/nginx:1:app", pair("host:5000/a/nginx:1", "app")),
            ("web=host:5000/a/nginx:a=b", None),
            ("web=", None),
            ("=nginx", None),
            ("nginx:1", None),
            ("web=nginx:1:app:more", None),
            ("web=nginx:1:", None),
            ("web=nginx:", None),
            ("web=nginx:1:App", None),
            ("web=host:5000/a:1:b/c:1", None),
        ] {
            assert_eq!(service(text), expected, "{text}");
        }
        assert_eq!(service(&format!("w=a/b@{DIGEST}")), pair(&format!("a/b@{DIGEST}"), ""));
        assert_eq!(service(&format!("w=a/b:1@{DIGEST}:app")), pair(&format!("a/b:1@{DIGEST}"), "app"));
        assert_eq!(service(&format!("w=a/b:1:app@{DIGEST}")), None);
        assert_eq!(service("w=a/b@sha256:00"), None);
        assert_eq!(service(&format!("w={DIGEST}")), None);
        let said = ReleasedService::parse("web=user:secret@reg/x:").expect_err("no image").to_string();
        assert!(said.starts_with("--service web: ") && !said.contains("secret"), "{said}");
    }
}
