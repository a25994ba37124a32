//! Measures how fast the tool imports, and in how much memory; run with
//! `cargo test --profile fast -p delivery-center-tool import_speed -- --ignored --nocapture --test-threads 1`.

#![expect(clippy::cast_precision_loss, reason = "rates are for people")]

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufWriter, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::{PutRequest, WriteRequest};
use bson::doc;
use futures_util::stream::{self, StreamExt as _};

use crate::running::tool;
use crate::support::{Tables, number_of};
use crate::zadig_collections::made_id;

/// What one run of the tool cost.
struct Cost {
    elapsed: Duration,
    cpu: Duration,
    peak_kilobytes: u64,
}

async fn cost(mut tool: Command, exit_status: i32) -> Cost {
    tokio::task::spawn_blocking(move || {
        let started = Instant::now();
        let mut child = tool.stdout(Stdio::piped()).spawn().unwrap();
        let peak = std::thread::spawn({
            let id = child.id();
            move || peak_kilobytes(id)
        });
        let mut out = String::new();
        child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        let elapsed = started.elapsed();
        println!("{out}");
        let (cpu, peak_kilobytes) = (cpu(&child), peak.join().unwrap());
        assert_eq!(child.wait().unwrap().code(), Some(exit_status));
        Cost { elapsed, cpu, peak_kilobytes }
    })
    .await
    .unwrap()
}

/// The highest `VmHWM` that was seen until the process ended.
fn peak_kilobytes(process: u32) -> u64 {
    let mut peak = 0;
    while let Ok(status) = fs::read_to_string(format!("/proc/{process}/status")) {
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let Some(kilobytes) = line.and_then(|line| line.split_whitespace().next()?.parse().ok()) else {
            break;
        };
        peak = kilobytes;
        std::thread::sleep(Duration::from_millis(20));
    }
    peak
}

/// The processor time of a child that ends, read before it is waited for.
fn cpu(child: &Child) -> Duration {
    loop {
        let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
        let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        if fields[0] == "Z" {
            // utime and stime, in hundredths of a second.
            let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
            return Duration::from_millis(ticks * 10);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Deployments' YAML that compresses about 5 to 1.
fn yaml(service: u64, release: u64, bytes: usize) -> String {
    let mut yaml = String::from("---\napiVersion: apps/v1\nkind: Deployment\nspec:\n");
    let mut state = release * 31 + service + 1;
    while yaml.len() < bytes {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        writeln!(yaml, "      - name: variable-{}\n        value: \"{:x}\"", yaml.len(), state >> 40)
            .unwrap();
    }
    yaml
}

fn write_releases(path: &Path, releases: u64) {
    let mut out = BufWriter::new(File::create(path).unwrap());
    for release in 0..releases {
        let deploys: Vec<_> = (0..3)
            .map(|service| {
                serde_json::json!({
                    "id": made_id(3, release * 3 + service).to_hex(), "releaseId": made_id(1, release).to_hex(),
                    "serviceName": format!("service-{service}"), "containerName": "main",
                    "image": format!("registry.example.com/shop/service-{service}:{release}"),
                    "yamlContents": [yaml(service, release, 2300)], "envs": [], "orderedServices": [["a"]],
                    "start_time": 1, "end_time": 2, "created_at": 1_700_000_000 + release, "deleted_at": 0,
                })
            })
            .collect();
        let record = serde_json::json!({
            "versionInfo": {
                "id": made_id(1, release).to_hex(), "version": format!("1.{release}"),
                "productName": format!("project-{}", release % 20), "workflowName": format!("workflow-{}", release % 50),
                "taskId": release, "desc": "", "labels": [], "productEnvInfo": null, "createdBy": "admin",
                "created_at": 1_700_000_000 + release, "deleted_at": 0,
            },
            "deployInfo": deploys,
        });
        writeln!(out, "{record}").unwrap();
    }
    out.flush().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it takes minutes"]
async fn releases_import_as_fast_as_the_store_takes_them() {
    let releases = number_of("RELEASES", 100_000);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("releases.jsonl");
    write_releases(&path, releases);
    println!("{} bytes a release", path.metadata().unwrap().len() / releases);
    let tables = Tables::empty().await;
    for (what, dry) in [("import", false), ("again", false), ("dry run", true)] {
        let mut import = tool(&tables.environment(), &["import", path.to_str().unwrap()]);
        if dry {
            import.arg("--dry-run");
        }
        let cost = cost(import, 0).await;
        let each = |duration: Duration| duration.as_secs_f64() * 1e6 / releases as f64;
        println!(
            "{what}: {:.1} s, {:.0} releases a second, {:.0} us of our CPU a release, peak {} MB",
            cost.elapsed.as_secs_f64(),
            1e6 / each(cost.elapsed),
            each(cost.cpu),
            cost.peak_kilobytes / 1024
        );
    }
    let mut items = Vec::new();
    let mut pages = tables.client.scan().table_name(&tables.names.releases).into_paginator().send();
    while let Some(page) = pages.next().await {
        items.extend(page.unwrap().items.unwrap_or_default());
        if items.len() > 400_000 {
            break;
        }
    }
    drop(tables);
    let empty = Tables::empty().await;
    let count = items.len();
    let started = Instant::now();
    stream::iter(items.chunks(25).map(<[_]>::to_vec))
        .map(|items| {
            let writes = items.into_iter().map(|item| {
                let put = PutRequest::builder().set_item(Some(item)).build().unwrap();
                WriteRequest::builder().put_request(put).build()
            });
            let write = empty.client.batch_write_item();
            let sent = write.request_items(&empty.names.releases, writes.collect()).send();
            async move { assert!(sent.await.unwrap().unprocessed_items.is_none_or(|left| left.is_empty())) }
        })
        .buffer_unordered(8)
        .collect::<Vec<()>>()
        .await;
    let rate = count as f64 / started.elapsed().as_secs_f64();
    println!("bare BatchWriteItem: {count} items, {rate:.0} items a second");
}

/// Writes releases that hardly compress, each several times; where `ends_badly`, the last one of each is bad.
fn write_repeated_releases(path: &Path, releases: u64, times: u64, ends_badly: bool) {
    let mut out = BufWriter::new(File::create(path).unwrap());
    for _ in 0..times {
        for release in 0..releases {
            let mut state = release + 1;
            let mut desc = String::new();
            while desc.len() < 50_000 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                write!(desc, "{:08x}", state >> 32).unwrap();
            }
            let id = made_id(1, release).to_hex();
            writeln!(out, r#"{{"versionInfo":{{"id":"{id}","desc":"{desc}"}}}}"#).unwrap();
        }
    }
    for release in (0..releases).filter(|_| ends_badly) {
        let id = made_id(1, release).to_hex();
        writeln!(out, r#"{{"versionInfo":{{"id":"{id}","desc":7}}}}"#).unwrap();
    }
    out.flush().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it takes minutes"]
async fn releases_that_come_twice_take_no_more_memory_than_once() {
    let releases = number_of("REPEATED", 3_000);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("releases.jsonl");
    let tables = Tables::empty().await;
    let mut peaks = Vec::new();
    for (times, ends_badly) in [(1, false), (2, false), (2, true)] {
        write_repeated_releases(&path, releases, times, ends_badly);
        let import = tool(&tables.environment(), &["import", "--dry-run", path.to_str().unwrap()]);
        let cost = cost(import, i32::from(ends_badly)).await;
        println!("{releases} releases, {times} times: peak {} MB", cost.peak_kilobytes / 1024);
        peaks.push(cost.peak_kilobytes);
    }
    let most = peaks[0] + 16 * 1024;
    assert!(peaks.iter().all(|peak| *peak < most), "{peaks:?} kB");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it takes minutes"]
async fn a_million_activities_are_joined_in_512_megabytes() {
    let activities = number_of("ACTIVITIES", 1_000_000);
    let artifacts = activities / 10;
    let directory = tempfile::tempdir().unwrap();
    let mut out = BufWriter::new(File::create(directory.path().join("activity.bson")).unwrap());
    for number in 0..activities {
        let activity = doc! {
            // Neighbours belong to owners far apart, so that no activity happens to come next to others of
            // its owner.
            "_id": made_id(7, number), "artifact_id": made_id(6, number * 7919 % artifacts), "type": "deploy",
            "url": format!("/v1/projects/detail/shop/pipelines/multi/shop-dev/{number}"), "namespace": "shop",
            "env_name": "dev", "commits": [{ "address": "https://github.com", "repo_owner": "o", "repo_name": "r",
            "branch": "main", "commit_id": "4b15c43b012e7a4a901fdcfe33736ad1c3b53f48",
            "commit_message": format!("change number {number} of the shop") }],
            "created_by": "admin", "created_time": 1_700_000_000 + i64::try_from(number).unwrap(),
        };
        out.write_all(&activity.to_vec().unwrap()).unwrap();
    }
    out.flush().unwrap();
    let mut out = BufWriter::new(File::create(directory.path().join("artifact.bson")).unwrap());
    for number in 0..artifacts {
        let artifact = doc! {
            "_id": made_id(6, number), "name": "n", "type": "image", "image": format!("registry/n:{number}"),
            "image_tag": number.to_string(), "image_digest": format!("sha256:{number:064x}"),
            "created_time": 1_700_000_000_i64,
        };
        out.write_all(&artifact.to_vec().unwrap()).unwrap();
    }
    out.flush().unwrap();
    let tables = Tables::empty().await;
    for dry in [true, false] {
        let mut import = tool(&tables.environment(), &["import", directory.path().to_str().unwrap()]);
        if dry {
            import.arg("--dry-run");
        }
        let cost = cost(import, 0).await;
        println!(
            "{activities} activities, {} MB of BSON: {:.0} s, {:.0} s of our CPU, peak {} MB",
            directory.path().join("activity.bson").metadata().unwrap().len() >> 20,
            cost.elapsed.as_secs_f64(),
            cost.cpu.as_secs_f64(),
            cost.peak_kilobytes / 1024
        );
        assert!(cost.peak_kilobytes < 512 * 1024);
    }
}
