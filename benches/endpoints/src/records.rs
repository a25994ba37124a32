//! Makes the records that the functions are asked for. They have deployments' YAML of a given size, which
//! compresses as real YAML does.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// Numbers that are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn hex(&mut self, digits: usize) -> String {
        let mut hex = String::new();
        while hex.len() < digits {
            write!(hex, "{:016x}", self.next()).expect("writing into a String cannot fail");
        }
        hex.truncate(digits);
        hex
    }
}

/// A release whose JSON has about `bytes` bytes. Tasks are numbered within their workflow, and each makes a
/// release of both projects.
pub(crate) fn release(number: u32, bytes: usize) -> Value {
    let numbers = &mut Numbers(0x9e37_79b9_7f4a_7c15 ^ (u64::from(number) << 20 | 1));
    let id = format!("{:08x}{}", 0x619d_0000 + number, numbers.hex(16));
    let created_at = 1_637_000_000 + u64::from(number) * 60;
    let mut deploys = Vec::new();
    let mut written = 700;
    while deploys.is_empty() || written + 1500 < bytes {
        let service = match deploys.len() {
            0 => format!("service-{}", number / 8 % 2),
            more => format!("part-{more}"),
        };
        let deploy = deploy(&id, &service, numbers, (bytes.saturating_sub(written + 500)).min(6000));
        written += deploy.to_string().len();
        deploys.push(deploy);
    }
    json!({
        "versionInfo": {
            "id": id, "version": format!("1.{number}.0"),
            "productName": format!("project-{}", number % 2), "workflowName": format!("workflow-{}", number / 2 % 2),
            "taskId": number / 4 + 1, "desc": "", "labels": [], "productEnvInfo": null,
            "created_by": "admin", "created_at": created_at, "deleted_at": 0,
        },
        "buildInfo": [], "deployInfo": deploys, "testInfo": [], "distributeInfo": [], "securityStatsInfo": [],
    })
}

/// Each of these filters finds half of the releases, but for the task: that finds four. All four together
/// find one.
pub(crate) const FILTERS: [&str; 4] =
    ["projectName=project-1", "workflowName=workflow-1", "taskId=4", "serviceName=service-1"];

/// The same release with values for the newer filters. Each of [`SEARCHES`] finds half of such releases, or
/// fewer.
pub(crate) fn searchable(number: u32, bytes: usize) -> Value {
    let mut release = release(number, bytes);
    release["versionInfo"]["labels"] = json!([format!("label-{}", number / 16 % 2)]);
    release["versionInfo"]["productEnvInfo"] = json!({"env_name": format!("env-{}", number / 32 % 2)});
    release["versionInfo"]["version"] = json!(format!("1.{}.0", number / 64 % 2));
    release["buildInfo"] = json!([{
        "imageName": format!("registry.example.com/shop/cart:{}", number / 128 % 2),
        "imageInfo": {"imageDigest": format!("sha256:{:064x}", number / 128 % 2)},
        "commits": [{"commit_id": commit(number)}],
    }]);
    release
}

/// The commit that a release or an artifact was built from. The digits that are indexed have one of two
/// values.
fn commit(number: u32) -> String {
    format!("4b15c4{}{number:033x}", number / 256 % 2)
}

/// The newer filters: each alone, some within a time, and some together with one of Zadig's own four.
pub(crate) const SEARCHES: [&str; 10] = [
    "image=registry.example.com/shop/cart:1",
    "image=registry.example.com/shop/cart@sha256:0000000000000000000000000000000000000000000000000000000000000001",
    "commit=4b15c41",
    "label=label-1",
    "envName=env-1",
    "version=1.1.0",
    "since=1637000000&until=1637054000",
    "envName=env-1&since=1637000000",
    "image=registry.example.com/shop/cart:1&projectName=project-1",
    "envName=env-1&projectName=project-1",
];

/// An artifact for the look-ups of [`ARTIFACT_SEARCHES`]: built from a commit and a pull request, and
/// deployed.
pub(crate) fn searchable_artifact(number: u32) -> Value {
    let numbers = &mut Numbers(0x517c_c1b7_2722_0a95 ^ u64::from(number));
    let (id, created_time) =
        (format!("{:08x}{}", 0x719d_0000 + number, numbers.hex(16)), 1_637_000_000 + number);
    let build = json!({
        "artifact_id": id, "type": "build", "created_by": "admin", "created_time": created_time,
        "commits": [{"repo_owner": "acme", "repo_name": "shop", "branch": "main", "pr": 1 + number % 2, "commit_id": commit(number)}],
    });
    let deploy = json!({
        "artifact_id": id, "type": "deploy", "created_by": "admin", "created_time": created_time + 60,
        "namespace": "shop-env-prod", "env_name": "prod",
    });
    json!({
        "id": id, "name": "cart", "type": "image", "image": format!("registry.example.com/shop/cart:{number}"),
        "image_tag": number.to_string(), "image_digest": format!("sha256:{}", numbers.hex(64)),
        "created_by": "admin", "created_time": created_time, "activities": [deploy, build],
    })
}

/// The look-ups of artifacts. The artifact of the last one runs nowhere any more.
pub(crate) const ARTIFACT_SEARCHES: [&str; 6] = [
    "image=registry.example.com/shop/cart:1",
    "commit=4b15c40",
    "commit=4b15c40&repo=acme/shop",
    "pr=1&repo=acme/shop",
    "image=registry.example.com/shop/cart&envName=prod",
    "image=registry.example.com/shop/cart:1&include=environments",
];

fn deploy(release_id: &str, service: &str, numbers: &mut Numbers, bytes: usize) -> Value {
    let image = format!("registry.example.com/shop/{service}:2021120310{:04}-main", numbers.next() % 10_000);
    let mut yaml = format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {service}\n  labels:\n    app: {service}\nspec:\n  replicas: 2\n"
    );
    while yaml.len() < bytes {
        let (name, digest, secret) = (numbers.hex(5), numbers.hex(64), numbers.hex(96));
        let (port, memory) = (8000 + numbers.next() % 1000, 64 << (numbers.next() % 5));
        write!(
            yaml,
            "      - name: {name}\n        image: registry.example.com/shop/{name}@sha256:{digest}\n        imagePullPolicy: IfNotPresent\n        \
             env:\n        - name: POD_NAME\n          valueFrom:\n            fieldRef:\n              fieldPath: metadata.name\n        \
             - name: TOKEN\n          value: \"{secret}\"\n        ports:\n        - containerPort: {port}\n          protocol: TCP\n        \
             resources:\n          limits:\n            cpu: 500m\n            memory: {memory}Mi\n          requests:\n            cpu: 10m\n            \
             memory: {memory}Mi\n        readinessProbe:\n          httpGet:\n            path: /ready\n            port: {port}\n          \
             periodSeconds: 10\n"
        )
        .expect("writing into a String cannot fail");
    }
    json!({
        "id": numbers.hex(24), "releaseId": release_id, "serviceName": service, "containerName": "", "image": image,
        "yamlContents": [yaml], "envs": [], "orderedServices": [],
    })
}

/// The image of [`artifact`].
pub(crate) const IMAGE: &str = "registry.example.com/shop/checkout:20211203101907-1-main";

/// An artifact that was built and deployed a few times. Its activities are in the order in which they are
/// answered, newest first.
pub(crate) fn artifact() -> Value {
    let numbers = &mut Numbers(1);
    let activity = |number: u64| {
        json!({
            "artifact_id": "61a9816bc528c2182225f001", "type": if number == 0 { "build" } else { "deploy" },
            "url": format!("/v1/projects/detail/shop/pipelines/multi/shop-dev/{number}"),
            "created_by": "admin", "created_time": 1_638_500_000 + number, "namespace": "shop-env-dev", "env_name": "dev",
            "start_time": 1_638_500_000, "end_time": 1_638_500_300,
        })
    };
    json!({
        "id": "61a9816bc528c2182225f001", "name": "checkout", "type": "image", "source": "zadig", "image": IMAGE,
        "image_tag": "20211203101907-1-main", "image_digest": format!("sha256:{}", numbers.hex(64)), "image_size": 31_415_926,
        "architecture": "amd64", "os": "linux", "created_by": "admin", "created_time": 1_638_500_000,
        "activities": (0..8).rev().map(activity).collect::<Vec<_>>(),
    })
}
