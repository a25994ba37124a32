//! Records that want to harm whoever looks at them: all of it can be written into a commit message, a tag, or a
//! manifest.

use serde_json::{Value, json};

use crate::support::{artifact, deploy, release};

/// Would run if it became part of the document, or of an attribute that is put together as a text.
pub(super) const MARKUP: &str = "<script>harmed=1</script><img src=x onerror=harmed=2>\
    <svg onload=harmed=3><a href=javascript:harmed=4>x</a>\" onmouseover=\"harmed=5\" ' autofocus \
    onfocus='harmed=6' <iframe srcdoc='<script>parent.harmed=7</script>'></iframe>\
    <style>*{display:none}</style>{{harmed=8}}${harmed=9}";
/// Turns around what is behind it, ends a line, rings, colours, and cannot be seen.
pub(super) const CONTROLS: &str =
    "safe\u{202e}gpj.exe\u{2066}\u{1b}[31mred\u{7}\u{0}\u{9b}1m\u{200b}\u{feff}\r\nnext\u{2028}last";
/// How the page shows the beginning of [`CONTROLS`].
pub(super) const CONTROLS_SHOWN: &str = "safe\\u{202e}gpj.exe\\u{2066}\\u{1b}[31mred";

/// Where links must not lead.
pub(super) const ADDRESSES: [&str; 6] = [
    "javascript:harmed=10",
    "JaVaScRiPt:harmed=11//https://ci.example.com",
    "\u{1}java\nscript:harmed=12",
    "data:text/html,<script>harmed=13</script>",
    "vbscript:harmed=14",
    "//evil.example/\"onclick=\"harmed=15",
];

pub(super) const DIGEST: &str = "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// An image with a tag of 200 characters.
pub(super) fn image() -> String {
    format!("registry.example.com/hostile/{}:{}", "service-".repeat(10), "t".repeat(200))
}

/// The name of an environment, with which everything above runs somewhere.
pub(super) const ENVIRONMENT: &str = "<img src=x onerror=harmed=20>";

/// An artifact in which every text is hostile.
pub(super) fn hostile_artifact() -> Value {
    let mut record = artifact("hostile", &image(), DIGEST, 1_650_000_000);
    for field in ["name", "created_by", "architecture", "os", "docker_file"] {
        record[field] = json!(MARKUP);
    }
    let commit = |message: &str, number: usize| {
        json!({
            "address": ADDRESSES[number % ADDRESSES.len()], "source": MARKUP, "repo_owner": format!("{MARKUP}{number}"),
            "repo_name": CONTROLS, "branch": "b".repeat(200), "pr": 736, "tag": MARKUP, "author_name": CONTROLS,
            "commit_id": "0123456789abcdef0123456789abcdef01234567", "commit_message": message,
        })
    };
    let messages = [MARKUP, CONTROLS, &"m".repeat(5_000), "", "first line\n\nsecond\u{202e}"];
    let commits: Vec<_> = messages.iter().enumerate().map(|(number, text)| commit(text, number)).collect();
    let mut activities = Vec::new();
    for (number, kind) in
        ["build", "test", "deploy", "publish", "distribute", "undeploy", "deploy"].iter().enumerate()
    {
        let time = 1_650_000_000 + 60 * number;
        activities.push(json!({
            "type": kind, "content": format!("{MARKUP}{CONTROLS}"), "url": ADDRESSES[number % ADDRESSES.len()],
            "commits": if *kind == "build" { json!(commits) } else { json!([]) }, "issues": [MARKUP, ADDRESSES[0]],
            "namespace": format!("{CONTROLS}{number}"), "env_name": ENVIRONMENT,
            "publish_hosts": [MARKUP, "h".repeat(200)], "publish_namespaces": [CONTROLS],
            "remote_file_key": MARKUP, "dist_storage_url": ADDRESSES[1], "src_storage_url": ADDRESSES[0],
            "start_time": time, "end_time": time + 30, "created_by": MARKUP, "created_time": time + 40,
        }));
    }
    record["activities"] = json!(activities);
    record
}

/// An artifact to which a thousand things happened.
pub(super) fn busy_artifact() -> Value {
    let mut record = artifact("busy", "registry.example.com/busy/cart:1", "", 1_650_000_000);
    let activity = |number: u64| {
        json!({
            "type": if number.is_multiple_of(2) { "deploy" } else { "test" },
            "env_name": format!("env-{}", number % 40), "content": format!("activity number {number}"),
            "created_by": "ci", "created_time": 1_650_000_000 + number,
        })
    };
    record["activities"] = (0..1000).map(activity).collect();
    record
}

/// An artifact of which nothing is recorded but that there is one.
pub(super) fn bare_artifact() -> Value {
    json!({ "id": "bare", "image": "registry.example.com/bare/cart:1", "created_time": 0, "activities": [] })
}

/// A release in which every text is hostile.
pub(super) fn hostile_release(id: &str, created_at: u64) -> Value {
    let mut record = release(id, created_at);
    let version = &mut record["versionInfo"];
    version["version"] = json!(format!("{MARKUP}{id}"));
    version["productName"] = json!(MARKUP);
    version["workflowName"] = json!(CONTROLS);
    version["desc"] = json!(format!("{MARKUP}{CONTROLS}"));
    version["createdBy"] = json!("c".repeat(200));
    version["labels"] = json!([MARKUP, CONTROLS, "l".repeat(200), "__proto__", "constructor"]);
    version["productEnvInfo"] = json!({
        "env_name": ENVIRONMENT, "namespace": MARKUP, "product_name": MARKUP, "services": [[{
            "service_name": "__proto__", "containers": [{ "name": "constructor", "image": image() }],
        }]],
    });
    let service = |name: &str| {
        let mut of_service = deploy(id, "s");
        of_service["id"] = json!(format!("{id}{}", name.len()));
        of_service["serviceName"] = json!(name);
        of_service["containerName"] = json!(MARKUP);
        of_service["image"] = json!(image());
        of_service["yamlContents"] =
            json!([MARKUP, CONTROLS, format!("key: {}\u{9b}{id}\n", "y".repeat(3_000))]);
        of_service
    };
    record["deployInfo"] =
        json!([service(MARKUP), service(CONTROLS), service(&"s".repeat(200)), service("__proto__")]);
    record["buildInfo"] = json!([{
        "id": format!("{id}-build"), "releaseId": id, "serviceName": MARKUP, "imageName": image(),
        "imageInfo": { "repoName": MARKUP, "tagName": CONTROLS, "imageSize": 1, "imageDigest": DIGEST, "author": MARKUP },
        "issues": [ADDRESSES[0]],
        "commits": [{
            "address": ADDRESSES[0], "source": "github", "repo_owner": "o\"><script>harmed=21</script>", "repo_name": MARKUP,
            "branch": CONTROLS, "commit_id": "0123456789abcdef0123456789abcdef01234567", "commit_message": MARKUP,
            "author_name": MARKUP,
        }],
        "start_time": 1, "end_time": 2, "created_at": 3, "deleted_at": 0,
    }]);
    record
}

/// A release of five megabytes, most of which is a manifest.
pub(super) fn large_release(id: &str, created_at: u64) -> Value {
    let mut record = release(id, created_at);
    let line = format!("  - name: variable-{id}\n    value: <b>something that somebody set</b>\n");
    record["deployInfo"][0]["yamlContents"] =
        json!(["kind: ConfigMap\n", line.repeat(5_000_000 / line.len())]);
    record
}

/// A release with nothing in it.
pub(super) fn bare_release(id: &str, created_at: u64) -> Value {
    json!({
        "versionInfo": {
            "id": id, "version": "", "productName": "", "workflowName": "", "taskId": 0, "desc": "", "labels": null,
            "productEnvInfo": null, "createdBy": "", "created_at": created_at, "deleted_at": 0,
        },
        "buildInfo": [], "deployInfo": [], "testInfo": [], "distributeInfo": [], "securityStatsInfo": [],
    })
}
