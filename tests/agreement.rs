//! Each endpoint has one name, on which template, binaries, routes, modules, events and tests agree. Pages list
//! the filters that there are.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use delivery_center::endpoint::Endpoint;
use delivery_center::store::filters::FILTERS;
use serde_yaml_ng::Value;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn names(folder: &Path, wanted: impl Fn(&Path) -> bool) -> BTreeSet<String> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files
        .filter(|path| wanted(path))
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect()
}

/// `list-releases` as `ListReleases`.
fn pascal(name: &str) -> String {
    let word = |word: &str| word[..1].to_uppercase() + &word[1..];
    name.split('-').map(word).collect()
}

/// A value without its CloudFormation tag.
fn plain(value: &Value) -> &Value {
    match value {
        Value::Tagged(tagged) => plain(&tagged.value),
        value => value,
    }
}

fn text(value: &Value) -> String {
    match plain(value) {
        Value::String(text) => text.clone(),
        Value::Sequence(parts) => parts.iter().map(text).collect::<Vec<_>>().join(" "),
        other => panic!("no text: {other:?}"),
    }
}

#[test]
fn every_endpoint_has_one_name_everywhere() {
    let template: Value =
        serde_yaml_ng::from_str(&std::fs::read_to_string(root().join("template.yaml")).unwrap()).unwrap();
    let resources = template["Resources"].as_mapping().unwrap();
    let of_type = |kind: &str| {
        let is_kind = |resource: &Value| resource["Type"].as_str() == Some(kind);
        resources
            .iter()
            .filter(|(_, resource)| is_kind(resource))
            .map(|(name, _)| name.as_str().unwrap().to_owned())
            .collect::<BTreeSet<_>>()
    };
    let all = |suffix: &str| {
        Endpoint::ALL.iter().map(|endpoint| pascal(endpoint.name()) + suffix).collect::<BTreeSet<_>>()
    };
    assert_eq!(of_type("AWS::Serverless::Function"), all("Function"));
    assert_eq!(of_type("AWS::ApiGatewayV2::Route"), &all("Route") | &all("HeadRoute"));
    let binaries: BTreeSet<_> = Endpoint::ALL.iter().map(|endpoint| endpoint.name().to_owned()).collect();
    // Cargo finds the binaries by their files.
    assert_eq!(names(&root().join("src/bin"), Path::is_file), binaries);
    assert_eq!(names(&root().join("events"), Path::is_dir), binaries);
    for endpoint in Endpoint::ALL {
        let (name, module) = (endpoint.name(), endpoint.name().replace('-', "_"));
        let resource = |suffix: &str| &resources[pascal(name) + suffix];
        assert_eq!(text(&resource("Function")["Metadata"]["BuildProperties"]["Binary"]), name);
        assert_eq!(text(&resource("Function")["Metadata"]["BuildMethod"]), "rust-cargolambda");
        let route = text(&resource("Route")["Properties"]["RouteKey"]);
        assert_eq!(route, format!("UseCors GET {0} ANY {0}", endpoint.path()));
        // Where a route takes GET alone, another takes HEAD.
        let head = resource("HeadRoute");
        assert_eq!(head["Condition"].as_str(), Some("UseCors"));
        assert_eq!(
            head["Properties"]["RouteKey"].as_str(),
            Some(format!("HEAD {}", endpoint.path()).as_str())
        );
        assert_eq!(head["Properties"]["Target"], resource("Route")["Properties"]["Target"]);
        assert!(text(&resource("Permission")["Properties"]["SourceArn"]).ends_with(endpoint.path()));
        for file in [
            format!("src/{module}.rs"),
            format!("tests/replay/{module}.rs"),
            format!("tests/replay/expected/{name}.json"),
        ] {
            assert!(root().join(&file).is_file(), "{file}");
        }
    }
}

#[test]
fn the_pages_that_list_the_filters_list_all_of_them() {
    let page = |name: &str| std::fs::read_to_string(root().join(name)).unwrap();
    let (readme, api, terminal) = (page("README.md"), page("docs/api.md"), page("docs/terminal.md"));
    for filter in FILTERS {
        assert!(readme.contains(&format!("`{}`", filter.parameter)), "README.md: {}", filter.parameter);
        assert!(api.contains(&format!("\n| `{}` | ", filter.parameter)), "docs/api.md: {}", filter.parameter);
        assert!(terminal.contains(&format!("--{} ", filter.name)), "docs/terminal.md: {}", filter.name);
    }
}

#[test]
fn no_route_is_open_and_no_function_may_write() {
    let template: Value =
        serde_yaml_ng::from_str(&std::fs::read_to_string(root().join("template.yaml")).unwrap()).unwrap();
    let resources = &template["Resources"];
    let is_route = |resource: &&Value| resource["Type"].as_str() == Some("AWS::ApiGatewayV2::Route");
    let routes: Vec<_> = resources.as_mapping().unwrap().values().filter(is_route).collect();
    assert_eq!(routes.len(), 2 * Endpoint::ALL.len());
    for route in routes {
        assert_eq!(text(&route["Properties"]["AuthorizationType"]), "UseJwt JWT AWS_IAM");
    }
    for endpoint in Endpoint::ALL {
        let name = pascal(endpoint.name());
        let role = &resources[format!("{name}Role")]["Properties"];
        let managed = plain(&role["ManagedPolicyArns"]).as_sequence().unwrap();
        let managed: Vec<_> = managed.iter().map(text).collect();
        assert_eq!(
            managed,
            ["UseTracing", "arn:${AWS::Partition}:iam::aws:policy/AWSXRayDaemonWriteAccess", "AWS::NoValue"]
        );
        let policies = role["Policies"].as_sequence().unwrap();
        let statements =
            policies.iter().flat_map(|policy| policy["PolicyDocument"]["Statement"].as_sequence().unwrap());
        let actions: BTreeSet<_> = statements
            .flat_map(|statement| match &statement["Action"] {
                Value::Sequence(actions) => actions.iter().map(text).collect::<Vec<_>>(),
                action => vec![text(action)],
            })
            .collect();
        let allowed =
            ["dynamodb:BatchGetItem", "dynamodb:Query", "logs:CreateLogStream", "logs:PutLogEvents"];
        assert_eq!(actions, allowed.map(str::to_owned).into(), "{name}");
    }
}
