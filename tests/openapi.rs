//! `openapi.yaml` describes what the service does, and nothing else: its statuses, headers, bodies,
//! parameters, paths and examples. The tests in `replay/` compare the answers to all events with it, too.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use delivery_center::endpoint::Endpoint;
use delivery_center::store::filters::FILTERS;
use jsonschema::Validator;
use serde_json::{Value, json};

use crate::support::{Answer, Tables};

/// `openapi.yaml`, parsed.
pub(crate) struct Description(Value);

impl Description {
    pub(crate) fn read() -> Self {
        Self(serde_yaml_ng::from_str(include_str!("../openapi.yaml")).unwrap())
    }

    /// What an answer has that the file does not describe, and what it lacks that the file describes.
    pub(crate) fn problems(&self, endpoint: Endpoint, answer: &Answer) -> Vec<String> {
        let response = self.resolve(&self.operation(endpoint)["responses"][answer.status.to_string()]);
        if response.is_null() {
            return vec![format!("status {} is not described", answer.status)];
        }
        let mut problems = self.header_problems(&response["headers"], answer);
        let media_types = response["content"].as_object();
        let media_type = answer.header("Content-Type").map(|value| value.split(';').next().unwrap());
        match (media_types, media_type) {
            (None, None) if answer.body.is_empty() => {}
            (Some(described), Some(media_type)) if described.contains_key(media_type) => {
                let body: Value = serde_json::from_str(&answer.body).unwrap();
                problems.extend(self.schema_problems(&described[media_type]["schema"], &body));
            }
            (_, media_type) => problems.push(format!("a body of the type {media_type:?} is not described")),
        }
        problems
    }

    /// The same of an answer to a `HEAD`, which has what `GET` would answer, without the body.
    pub(crate) fn problems_of_head(&self, endpoint: Endpoint, answer: &Answer) -> Vec<String> {
        let response = self.resolve(&self.operation(endpoint)["responses"][answer.status.to_string()]);
        assert!(!response.is_null() && answer.body.is_empty(), "{answer:?}");
        self.header_problems(&response["headers"], answer)
    }

    fn header_problems(&self, described: &Value, answer: &Answer) -> Vec<String> {
        let mut problems = Vec::new();
        let described: BTreeMap<_, _> = described.as_object().into_iter().flatten().collect();
        for (name, header) in &described {
            let header = self.resolve(header);
            let Some(text) = answer.header(name) else {
                if header["required"] == true {
                    problems.push(format!("the header {name} is missing"));
                }
                continue;
            };
            let schema = &header["schema"];
            let value =
                if schema["type"] == "integer" { json!(text.parse::<i64>().unwrap()) } else { json!(text) };
            problems.extend(
                self.schema_problems(schema, &value).into_iter().map(|problem| format!("{name}: {problem}")),
            );
        }
        // The file has the media type in `content`.
        let is_described = |name: &str| {
            name == "content-type" || described.keys().any(|described| described.eq_ignore_ascii_case(name))
        };
        let others = answer.headers.keys().filter(|name| !is_described(name));
        problems.extend(others.map(|name| format!("the header {name} is not described")));
        problems
    }

    fn operation(&self, endpoint: Endpoint) -> &Value {
        &self.0["paths"][endpoint.path()]["get"]
    }

    /// The names of an operation's query parameters.
    pub(crate) fn query_parameters(&self, endpoint: Endpoint) -> BTreeSet<String> {
        let parameters = self.operation(endpoint)["parameters"].as_array().unwrap();
        let parameters = parameters.iter().map(|parameter| self.resolve(parameter));
        let of_query = parameters.filter(|parameter| parameter["in"] == "query");
        of_query.map(|parameter| parameter["name"].as_str().unwrap().to_owned()).collect()
    }

    /// The value that a `$ref` leads to; any other value as it is.
    fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(reference) => {
                self.resolve(self.0.pointer(reference.strip_prefix('#').unwrap()).expect(reference))
            }
            None => value,
        }
    }

    fn validator(&self, schema: &Value) -> Validator {
        let rooted =
            json!({ "allOf": [schema], "components": { "schemas": self.0["components"]["schemas"] } });
        jsonschema::draft202012::new(&rooted).unwrap()
    }

    fn schema_problems(&self, schema: &Value, value: &Value) -> Vec<String> {
        let problem = |error: jsonschema::ValidationError| format!("{}: {error}", error.instance_path());
        self.validator(schema).iter_errors(value).map(problem).collect()
    }

    /// Every example, with the place where it stands and the schema beside it.
    fn examples(&self) -> Vec<(String, &Value, &Value)> {
        let mut found = Vec::new();
        self.collect_examples("", &self.0, &mut found);
        found
    }

    fn collect_examples<'a>(
        &'a self,
        path: &str,
        value: &'a Value,
        found: &mut Vec<(String, &'a Value, &'a Value)>,
    ) {
        if let Some(schema) = value.get("schema") {
            if let Some(example) = value.get("example") {
                found.push((path.to_owned(), schema, example));
            }
            for (name, example) in value["examples"].as_object().into_iter().flatten() {
                found.push((format!("{path}/{name}"), schema, &self.resolve(example)["value"]));
            }
        }
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    self.collect_examples(&format!("{path}/{name}"), member, found);
                }
            }
            Value::Array(elements) => {
                for (index, element) in elements.iter().enumerate() {
                    self.collect_examples(&format!("{path}/{index}"), element, found);
                }
            }
            _ => {}
        }
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn its_paths_are_the_templates_routes() {
    let template: serde_yaml_ng::Value = serde_yaml_ng::from_str(include_str!("../template.yaml")).unwrap();
    // `!If [UseCors, GET /path, ANY /path]`
    let route_keys = |resource: &serde_yaml_ng::Value| match &resource["Properties"]["RouteKey"] {
        serde_yaml_ng::Value::Tagged(choice) => choice.value.as_sequence().unwrap()[1..].to_vec(),
        key => vec![key.clone()],
    };
    let resources = template["Resources"].as_mapping().unwrap().values();
    let routes =
        resources.filter(|resource| resource["Type"] == "AWS::ApiGatewayV2::Route").flat_map(route_keys);
    let paths_routed: BTreeSet<_> =
        routes.map(|key| key.as_str().unwrap().split_once(' ').unwrap().1.to_owned()).collect();
    let description = Description::read();
    let paths = description.0["paths"].as_object().unwrap();
    assert_eq!(paths.keys().cloned().collect::<BTreeSet<_>>(), paths_routed);
    for endpoint in Endpoint::ALL {
        let methods: Vec<_> = paths[endpoint.path()].as_object().unwrap().keys().collect();
        assert_eq!(methods, ["get", "head"], "{endpoint:?}");
        let head = &paths[endpoint.path()]["head"];
        assert_eq!(head["parameters"], description.operation(endpoint)["parameters"], "{endpoint:?}");
        let name: String = description.operation(endpoint)["operationId"].as_str().unwrap().to_owned();
        assert_eq!(name.to_lowercase(), endpoint.name().replace('-', ""));
    }
}

#[tokio::test]
async fn faults_are_described() {
    let description = Description::read();
    let query = |endpoint| match endpoint {
        Endpoint::ListReleases => "",
        Endpoint::GetArtifact => "image=a",
    };
    for endpoint in Endpoint::ALL {
        let missing = Tables::missing();
        for (tables, status) in [(missing.through("http://127.0.0.1:9"), 503), (missing, 500)] {
            let answer = tables.get(endpoint, query(endpoint)).await;
            assert_eq!(answer.status, status);
            assert_eq!(description.problems(endpoint, &answer), [""; 0], "{endpoint:?} {status}");
        }
    }
}

#[test]
fn examples_are_as_they_are_described() {
    let description = Description::read();
    let examples = description.examples();
    assert!(examples.len() > 20, "they are found");
    for (path, schema, example) in examples {
        assert_eq!(description.schema_problems(schema, example), [""; 0], "{path}");
    }
    for operation in Endpoint::ALL.map(|endpoint| description.operation(endpoint)) {
        for response in operation["responses"].as_object().unwrap().values() {
            for media_type in description.resolve(response)["content"].as_object().into_iter().flatten() {
                assert!(!media_type.1["examples"].is_null(), "{response}");
            }
        }
    }
}

#[test]
fn the_answers_on_zadigs_page_are_its_examples() {
    let description = Description::read();
    let example = |name: &str| &description.0["components"]["examples"][name]["value"];
    let releases: Value = serde_json::from_str(include_str!("../samples/reference-release.json")).unwrap();
    assert_eq!(*example("ReferenceReleases"), releases);
    let artifact: Value = serde_json::from_str(include_str!("../samples/reference-artifact.json")).unwrap();
    assert_eq!(*example("ReferenceArtifact"), artifact);
}

/// Validates the body of an endpoint's 200.
fn accepts(description: &Description, endpoint: Endpoint) -> Validator {
    description.validator(
        &description.operation(endpoint)["responses"]["200"]["content"]["application/json"]["schema"],
    )
}

#[test]
fn an_answer_without_a_member_that_is_always_there_is_not_described() {
    let description = Description::read();
    let releases: Value = serde_json::from_str(include_str!("../samples/reference-release.json")).unwrap();
    let artifact: Value = serde_json::from_str(include_str!("../samples/reference-artifact.json")).unwrap();
    for (endpoint, answer, members) in [
        (
            Endpoint::ListReleases,
            releases,
            "/0/versionInfo /0/buildInfo /0/deployInfo /0/testInfo /0/distributeInfo /0/securityStatsInfo \
             /0/versionInfo/id /0/versionInfo/labels /0/versionInfo/productEnvInfo/auth \
             /0/versionInfo/productEnvInfo/services /0/versionInfo/productEnvInfo/roleIds \
             /0/deployInfo/0/yamlContents /0/deployInfo/0/envs /0/deployInfo/0/orderedServices",
        ),
        (
            Endpoint::GetArtifact,
            artifact,
            "/id /name /type /source /image_tag /created_by /created_time /activities /sortedActivities \
             /activities/0/artifact_id /activities/0/type /activities/0/created_by /activities/0/created_time \
             /activities/0/commits/0/address /activities/0/commits/0/repo_owner \
             /activities/0/commits/0/repo_name /activities/0/commits/0/branch",
        ),
    ] {
        let validator = accepts(&description, endpoint);
        assert!(validator.is_valid(&answer));
        for member in members.split_whitespace() {
            let (object, name) = member.rsplit_once('/').unwrap();
            let mut without = answer.clone();
            let object = without.pointer_mut(object).unwrap().as_object_mut().unwrap();
            assert!(object.remove(name).is_some(), "{member}");
            assert!(!validator.is_valid(&without), "without {member}");
        }
    }
}

#[test]
fn no_value_of_another_type_is_described_and_unknown_members_are() {
    let description = Description::read();
    for (endpoint, answer) in [
        (Endpoint::ListReleases, include_str!("../samples/reference-release.json")),
        (Endpoint::GetArtifact, include_str!("../samples/reference-artifact.json")),
    ] {
        let answer: Value = serde_json::from_str(answer).unwrap();
        let validator = accepts(&description, endpoint);
        let mut pointers = Vec::new();
        collect_pointers(&answer, "", &mut pointers);
        for pointer in pointers {
            let mut spoiled = answer.clone();
            let place = spoiled.pointer_mut(&pointer).unwrap();
            let other = if place.is_object() || place.is_array() {
                json!("a text")
            } else {
                json!({ "an": "object" })
            };
            *place = other;
            assert!(!validator.is_valid(&spoiled), "{pointer} of another type");
            let mut extended = answer.clone();
            if let Some(object) = extended.pointer_mut(&pointer).unwrap().as_object_mut() {
                // A new member here is a new type of activities.
                let value =
                    if pointer == "/sortedActivities" { answer["activities"].clone() } else { json!({}) };
                object.insert("of a later version".to_owned(), value);
                assert!(validator.is_valid(&extended), "{pointer} with an unknown member");
            }
        }
    }
}

/// Collects JSON pointers to a value and to all values inside it.
fn collect_pointers(value: &Value, pointer: &str, found: &mut Vec<String>) {
    found.push(pointer.to_owned());
    let inside: Vec<(String, &Value)> = match value {
        Value::Object(members) => members.iter().map(|(name, member)| (name.clone(), member)).collect(),
        Value::Array(elements) => {
            elements.iter().enumerate().map(|(index, element)| (index.to_string(), element)).collect()
        }
        _ => Vec::new(),
    };
    for (name, value) in inside {
        collect_pointers(value, &format!("{pointer}/{name}"), found);
    }
}

/// The parameters that a file of the service reads, each as `query.first("name")`; and the filters' own.
fn parameters_read(file: &Path) -> BTreeSet<String> {
    let source = std::fs::read_to_string(file).unwrap();
    let source = source.split("#[cfg(test)]").next().unwrap();
    let literals = source.split("query.first(\"").skip(1).filter_map(|rest| rest.split('"').next());
    let of_filters = FILTERS.iter().map(|filter| filter.parameter);
    let of_filters = of_filters.filter(|_| source.contains("query.first(filter.parameter)"));
    literals.chain(of_filters).map(str::to_owned).collect()
}

#[test]
fn its_query_parameters_are_those_that_the_endpoints_read() {
    let files = |endpoint| match endpoint {
        Endpoint::ListReleases => ["list_releases.rs", "request/extent.rs", "store/filters.rs"].as_slice(),
        Endpoint::GetArtifact => &["get_artifact.rs", "request/artifact_lookup.rs"],
    };
    let source = root().join("src");
    for endpoint in Endpoint::ALL {
        let read = files(endpoint).iter().flat_map(|file| parameters_read(&source.join(file))).collect();
        assert_eq!(Description::read().query_parameters(endpoint), read, "{endpoint:?}");
    }
    let known: BTreeSet<_> =
        Endpoint::ALL.into_iter().flat_map(files).map(|file| source.join(file)).collect();
    let reading: BTreeSet<_> =
        rust_files(&source).into_iter().filter(|file| !parameters_read(file).is_empty()).collect();
    assert_eq!(reading, known, "files that read a parameter");
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = |path: PathBuf| if path.is_dir() { rust_files(&path) } else { vec![path] };
    entries
        .flat_map(files)
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}
