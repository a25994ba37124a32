//! `diff`: what changed between two releases, as a person reads it.

use serde_json::{Value, json};

use crate::running::{ago, fits_or_is_one_word, run_in_columns, run_on, shown};
use crate::support::{Tables, lines, release};

const DAY: i64 = 24 * 3600;

fn shop(id: &str, version: &str, created_at: i64) -> Value {
    let mut release = release(id, created_at.try_into().unwrap());
    let info = &mut release["versionInfo"];
    info["productName"] = json!("shop");
    info["version"] = json!(version);
    info["workflowName"] = json!("shop-release");
    release
}

fn environment(name: &str, images: &[(&str, &str)]) -> Value {
    let service = |(name, image): &(&str, &str)| json!({ "service_name": name, "containers": [{ "name": name, "image": format!("r.example.com/shop/{image}") }] });
    json!({ "env_name": name, "namespace": "shop", "services": [images.iter().map(service).collect::<Vec<_>>()] })
}

fn deploy(service: &str, image: &str, yaml: &str) -> Value {
    json!({
        "serviceName": format!("{service}/{service}"), "containerName": service,
        "image": format!("r.example.com/shop/{image}"), "yamlContents": [yaml],
    })
}

fn build(service: &str, image: &str, digest: char, commit: &str, message: &str, pr: u64) -> Value {
    json!({
        "serviceName": service, "imageName": format!("r.example.com/shop/{image}"),
        "imageInfo": { "imageDigest": format!("sha256:{}", digest.to_string().repeat(64)) },
        "commits": [{
            "repo_owner": "acme", "repo_name": "shop", "branch": "main", "pr": pr,
            "commit_id": commit.repeat(5), "commit_message": message,
        }],
    })
}

/// Two releases: cart was built and pushed again under its tag, catalog is unchanged, promo went and wishes
/// came.
fn two(before: i64, after: i64) -> [Value; 2] {
    let mut old = shop("a", "1.3.0", before);
    old["versionInfo"]["productEnvInfo"] = environment(
        "dev",
        &[("cart", "cart:1"), ("catalog", "catalog:1"), ("promo", "promo:1"), ("web", "web:1")],
    );
    old["versionInfo"]["labels"] = json!(["beta", "shop"]);
    old["deployInfo"] = json!([deploy("cart", "cart:1", "kind: Deployment\nreplicas: 1\nname: cart\n")]);
    old["buildInfo"] = json!([build("cart", "cart:1", 'a', "0a1b2c3d", "First cart\n\nBody", 0)]);
    let mut new = shop("b", "1.4.0", after);
    new["versionInfo"]["productEnvInfo"] = environment(
        "prod",
        &[("cart", "cart:1"), ("catalog", "catalog:1"), ("wishes", "wishes:1"), ("web", "web:2")],
    );
    new["versionInfo"]["labels"] = json!(["shop", "stable"]);
    new["deployInfo"] =
        json!([deploy("cart", "cart:1", "kind: Deployment\nreplicas: 3\nname: cart\u{9b}\n")]);
    new["buildInfo"] = json!([
        build("cart", "cart:1", 'b', "4e5f6a7b", "Second cart", 118),
        build("web", "web:2", 'c', "8c9d0e1f", "A new web", 0),
    ]);
    [old, new]
}

async fn with_two(before: i64, after: i64) -> Tables {
    let tables = Tables::empty().await;
    assert_eq!(tables.import(&lines(&two(before, after))).await.stored, 2);
    tables
}

#[tokio::test]
async fn a_difference_of_the_yaml_can_be_seen() {
    for (before, after, said, shown) in [
        (
            "kind: A\r\nn: 1\r\n",
            "kind: A\nn: 1\n",
            "+2 -2 lines, of which only the line ends differ",
            "-kind: A\\u{d}\n",
        ),
        (
            "kind: A\nn: 1\n",
            "kind: A\r\nn: 1",
            "+2 -2 lines, of which only the line ends differ",
            "+kind: A\\u{d}\n",
        ),
        (
            "kind: A\nn: 1\n",
            "kind: A\nn: 1",
            "+1 -1 lines, of which only the line ends differ",
            "+n: 1\n\\ No newline at end of file\n",
        ),
        (
            "kind: A  \nn: 1\n",
            "kind: A\nn: 1\n",
            "+1 -1 lines, of which only white space differs",
            "-kind: A  \n",
        ),
        (
            "n: \"a b\"\n",
            "n: \"a\u{a0}b\"\n",
            "+1 -1 lines, of which only white space differs",
            "-n: \"a b\"\n",
        ),
        ("kind: A\r\nn: 1\r\n", "kind: A\nn: 2\n", "+2 -2 lines", "-n: 1\\u{d}\n"),
        ("\u{feff}kind: A\n", "kind: A\n", "+1 -1 lines", "-\\u{feff}kind: A\n"),
        ("kind: A\n", "kind: A\u{200b}\n", "+1 -1 lines", "+kind: A\\u{200b}\n"),
    ] {
        let tables = Tables::empty().await;
        let mut releases = [shop("a", "1", 1), shop("b", "2", 2)];
        releases[0]["deployInfo"] = json!([deploy("web", "web:1", before)]);
        releases[1]["deployInfo"] = json!([deploy("web", "web:1", after)]);
        assert_eq!(tables.import(&lines(&releases)).await.stored, 2);
        let told = run_in_columns(&tables, 100, &["diff", "--project", "shop", "1", "2"]).await.out;
        assert!(told.contains(&format!("  web  {said}; --yaml shows them\n")), "{told}");
        let told = run_in_columns(&tables, 100, &["diff", "--project", "shop", "1", "2", "--yaml"]).await.out;
        assert!(told.contains(&format!("  web  {said}\n")), "{told}");
        assert!(told.contains(&format!("\n{shown}")), "{told}");
        let json = run_on(&tables, &["diff", "--project", "shop", "1", "2", "--json"]).await.out;
        let only = match said.split("only ").nth(1) {
            Some("the line ends differ") => json!("line_ends"),
            Some(_) => json!("white_space"),
            None => json!(null),
        };
        let json: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["yaml"][0]["only_differs"], only, "{json}");
    }
}

#[tokio::test]
async fn images_are_compared_by_what_container_engines_mean() {
    let digest = |letter: &str| format!("sha256:{}", letter.repeat(64));
    let held = |image: &str| json!({ "serviceName": "web/web", "containerName": "web", "image": image });
    let built = |image: &str, letter: &str| json!([{ "serviceName": "web", "imageName": image, "imageInfo": { "imageDigest": digest(letter) } }]);
    let with_digest = format!("index.docker.io/acme/shop:1@{}", digest("a"));
    for (from, to, digests, is_same) in [
        ("docker.io/acme/shop:1", "acme/shop:1", ["a", "a"], true),
        ("docker.io/library/nginx:1", "nginx:1", ["a", "a"], true),
        ("acme/shop:1", with_digest.as_str(), ["a", "a"], true),
        ("docker.io/acme/shop:1", "acme/shop:1", ["a", "b"], false),
        ("docker.io/acme/shop:1", &with_digest, ["b", "b"], false),
        ("docker.io/acme/shop:1", "acme/shop:2", ["a", "a"], false),
        ("reg.example.com/acme/shop:1", "acme/shop:1", ["a", "a"], false),
    ] {
        let tables = Tables::empty().await;
        let mut releases = [shop("a", "1", 1), shop("b", "2", 2)];
        for ((release, image), letter) in releases.iter_mut().zip([from, to]).zip(digests) {
            release["deployInfo"] = json!([held(image)]);
            // The build may have named the image in another way than the deploy.
            release["buildInfo"] = built(image.strip_prefix("docker.io/").unwrap_or(image), letter);
            let service = json!({ "service_name": "web", "containers": [{ "name": "c", "image": to }] });
            release["versionInfo"]["productEnvInfo"] = json!({ "env_name": "e", "services": [[service]] });
            if !is_same {
                release["versionInfo"]["productEnvInfo"] = json!(null);
            }
        }
        assert_eq!(tables.import(&lines(&releases)).await.stored, 2);
        let told = run_on(&tables, &["diff", "--project", "shop", "1", "2"]).await.out;
        assert_eq!(told.contains("Nothing else differs."), is_same, "{from} {to}: {told}");
    }
}

#[tokio::test]
async fn a_diff_tells_what_changed() {
    let (before, after) = (ago(5 * DAY + DAY / 2), ago(2 * DAY + DAY / 2));
    let tables = with_two(before, after).await;
    let minute = |time| shown(time, "%Y-%m-%d %H:%M");
    let (before, after) = (minute(before), minute(after));
    let ran = run_in_columns(&tables, 100, &["diff", "--project", "shop", "1.3.0", "1.4.0"]).await;
    assert_eq!((ran.status, ran.err.as_str()), (Some(0), ""));
    assert_eq!(
        ran.out,
        format!(
            "\
shop 1.3.0 → 1.4.0
  time         {before} (5 d ago) → {after} (2 d ago)
  by           admin
  workflow     shop-release 1
  environment  dev (shop) → prod (shop)

Services
  promo   - shop/promo:1
  wishes  + shop/wishes:1

Images
  cart  - shop/cart:1  sha256:aaaaaaaaaaaa
        + shop/cart:1  sha256:bbbbbbbbbbbb
  web   - shop/web:1
        + shop/web:2  sha256:cccccccccccc

Commits
  cart  - 0a1b2c3d0a1b  First cart  (main of acme/shop)
        + 4e5f6a7b4e5f  Second cart  #118  (main of acme/shop)
  web   - not built in 1.3.0
        + 8c9d0e1f8c9d  A new web  (main of acme/shop)

Labels
  - beta
  + stable

YAML
  cart  +2 -2 lines; --yaml shows them

Images without a registry are in r.example.com.
"
        )
    );
    let with_yaml = run_on(&tables, &["diff", "--project", "shop", "1.3.0", "1.4.0", "--yaml"]).await;
    let unified = "
--- cart 1.3.0
+++ cart 1.4.0
@@ -1,3 +1,3 @@
 kind: Deployment
-replicas: 1
-name: cart
+replicas: 3
+name: cart\\u{9b}
";
    assert!(with_yaml.out.ends_with(unified), "{}", with_yaml.out);
    for columns in [20, 40, 60] {
        let ran = run_in_columns(&tables, columns, &["diff", "--project", "shop", "1.3.0", "1.4.0"]).await;
        for line in ran.out.lines() {
            assert!(fits_or_is_one_word(line, columns), "{columns}: {line:?}");
        }
    }
}

#[tokio::test]
async fn its_json_says_the_same_in_full() {
    let (before, after) = (ago(5 * DAY), ago(2 * DAY));
    let tables = with_two(before, after).await;
    let json = async |arguments: &[&str]| {
        let arguments = [&["diff", "--project", "shop", "1.3.0", "1.4.0", "--json"], arguments].concat();
        let ran = run_on(&tables, &arguments).await;
        assert_eq!(ran.status, Some(0), "{ran:?}");
        serde_json::from_str::<Value>(&ran.out).unwrap()
    };
    let commit = |id: &str, message: &str, pull_requests: &[u64]| {
        json!({
            "repository": "acme/shop", "branch": "main", "commit_id": id.repeat(5), "pull_requests": pull_requests,
            "message": message, "author": "",
        })
    };
    let image = |image: &str, digest: &str| {
        let digest = if digest.is_empty() { String::new() } else { format!("sha256:{}", digest.repeat(64)) };
        json!({ "image": format!("r.example.com/shop/{image}"), "digest": digest })
    };
    let expected = json!({
        "project": "shop",
        "from": {
            "id": "a", "version": "1.3.0", "created_at": before, "created_by": "admin", "workflow": "shop-release 1",
            "env_name": "dev", "namespace": "shop",
        },
        "to": {
            "id": "b", "version": "1.4.0", "created_at": after, "created_by": "admin", "workflow": "shop-release 1",
            "env_name": "prod", "namespace": "shop",
        },
        "with_environment": true,
        "services": {
            "added": [{ "service": "wishes", "images": ["r.example.com/shop/wishes:1"] }],
            "removed": [{ "service": "promo", "images": ["r.example.com/shop/promo:1"] }],
        },
        "images": [
            { "service": "cart", "container": "cart", "from": image("cart:1", "a"), "to": image("cart:1", "b") },
            { "service": "web", "container": "web", "from": image("web:1", ""), "to": image("web:2", "c") },
        ],
        "builds": [
            {
                "service": "cart",
                "from": [commit("0a1b2c3d", "First cart", &[])],
                "to": [commit("4e5f6a7b", "Second cart", &[118])],
            },
            { "service": "web", "from": [], "to": [commit("8c9d0e1f", "A new web", &[])] },
        ],
        "labels": { "added": ["stable"], "removed": ["beta"] },
        "yaml": [{ "service": "cart", "added_lines": 2, "removed_lines": 2 }],
    });
    assert_eq!(json(&[]).await, expected);
    let unified = json(&["--yaml"]).await["yaml"][0]["unified"].clone();
    assert!(unified.as_str().unwrap().contains("\n-replicas: 1\n"), "{unified}");
}

#[tokio::test]
async fn of_several_releases_of_a_version_the_newest_counts() {
    let (before, after) = (ago(5 * DAY), ago(2 * DAY));
    let tables = with_two(before, after).await;
    let mut again = shop("c", "1.3.0", ago(DAY + DAY / 2));
    again["deployInfo"] = json!([]);
    let mut of_another = shop("d", "1.3.0", ago(3600));
    of_another["versionInfo"]["productName"] = json!("other");
    assert_eq!(tables.import(&lines([&again, &of_another])).await.stored, 2);
    let ran = run_on(&tables, &["diff", "--project", "shop", "1.3.0", "1.4.0", "--json"]).await;
    assert_eq!(serde_json::from_str::<Value>(&ran.out).unwrap()["from"]["id"], "c");
    let told = "2 releases of \"shop\" have the version \"1.3.0\"; the newest counts, made ";
    assert!(ran.err.starts_with(told) && ran.err.ends_with("(36 h ago)\n"), "{}", ran.err);
}

#[tokio::test]
async fn releases_without_an_environment_are_compared_by_what_they_deployed() {
    let [mut old, mut new] = two(ago(5 * DAY), ago(2 * DAY));
    old["versionInfo"]["productEnvInfo"] = json!(null);
    new["deployInfo"].as_array_mut().unwrap().push(deploy("web", "web:2", ""));
    let tables = Tables::empty().await;
    tables.import(&lines([&old, &new])).await;
    let ran = run_on(&tables, &["diff", "--project", "shop", "1.3.0", "1.4.0"]).await;
    assert!(ran.out.contains("Services\n  web  + shop/web:2\n\n"), "{}", ran.out);
    assert!(ran.out.contains("  compared     what they deployed"), "{}", ran.out);
}

#[tokio::test]
async fn two_releases_that_do_not_differ_are_found_all_the_same() {
    let tables = with_two(ago(5 * DAY), ago(2 * DAY)).await;
    let ran = run_on(&tables, &["diff", "--project", "shop", "1.4.0", "1.4.0"]).await;
    assert_eq!(ran.status, Some(0));
    assert!(ran.out.ends_with("\n\nNothing else differs.\n"), "{}", ran.out);
}

#[tokio::test]
async fn a_version_that_no_release_has_is_3_and_a_failure_another() {
    let tables = with_two(ago(5 * DAY), ago(2 * DAY)).await;
    let unknown = run_on(&tables, &["diff", "--project", "shop", "1.3.0", "9"]).await;
    assert_eq!((unknown.status, unknown.out.as_str()), (Some(3), ""));
    assert_eq!(unknown.err, "no release of \"shop\" has the version \"9\"\n");
    let missing = Tables::missing().through(&tables.endpoint_url);
    assert_eq!(run_on(&missing, &["diff", "--project", "shop", "1", "2"]).await.status, Some(1));
    assert_eq!(run_on(&tables, &["diff", "1.3.0", "1.4.0"]).await.status, Some(2));
}
