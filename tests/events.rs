//! The same request is answered alike in every form of event, and only what an answer depends on can refuse
//! one.

use std::collections::BTreeSet;

use delivery_center::endpoint::Endpoint::{self, GetArtifact, ListReleases};
use delivery_center::lambda::event::answer_json;
use delivery_center::service::EndpointService;
use serde_json::{Value, json};

use crate::function::{Function, FunctionAnswer};
use crate::openapi::Description;
use crate::support::{Answer, Tables};

/// The forms of an event, as their senders make them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    HttpApi,
    RestApi,
    LoadBalancer,
}

impl Form {
    pub(crate) const ALL: [Self; 3] = [Self::HttpApi, Self::RestApi, Self::LoadBalancer];

    /// The parts that no answer depends on, as JSON pointers.
    pub(crate) fn unread(self) -> &'static [&'static str] {
        match self {
            Self::HttpApi => &[
                "/version",
                "/routeKey",
                "/cookies",
                "/body",
                "/isBase64Encoded",
                "/pathParameters",
                "/pathParameters/proxy",
                "/stageVariables",
                "/stageVariables/a",
                "/queryStringParameters",
                "/multiValueQueryStringParameters",
                "/headers/host",
                "/headers/x-forwarded-proto",
                "/headers/x-forwarded-port",
                "/headers/x y",
                "/requestContext/accountId",
                "/requestContext/apiId",
                "/requestContext/authentication",
                "/requestContext/authentication/clientCert",
                "/requestContext/authorizer",
                "/requestContext/authorizer/jwt/claims/email_verified",
                "/requestContext/authorizer/jwt/scopes",
                "/requestContext/authorizer/iam",
                "/requestContext/authorizer/lambda",
                "/requestContext/domainName",
                "/requestContext/domainPrefix",
                "/requestContext/http/path",
                "/requestContext/http/protocol",
                "/requestContext/http/sourceIp",
                "/requestContext/http/userAgent",
                "/requestContext/requestId",
                "/requestContext/routeKey",
                "/requestContext/stage",
                "/requestContext/time",
                "/requestContext/timeEpoch",
            ],
            Self::RestApi => &[
                "/version",
                "/resource",
                "/body",
                "/isBase64Encoded",
                "/pathParameters",
                "/pathParameters/proxy",
                "/stageVariables",
                "/stageVariables/a",
                "/headers/Host",
                "/headers/X-Forwarded-Proto",
                "/multiValueHeaders/Host",
                "/multiValueHeaders/X-Forwarded-Proto",
                "/multiValueHeaders/x y",
                "/queryStringParameters/unread",
                "/multiValueQueryStringParameters/unread",
                "/requestContext/accountId",
                "/requestContext/apiId",
                "/requestContext/authorizer",
                "/requestContext/authorizer/claims/email_verified",
                "/requestContext/domainName",
                "/requestContext/domainPrefix",
                "/requestContext/extendedRequestId",
                "/requestContext/httpMethod",
                "/requestContext/identity",
                "/requestContext/identity/sourceIp",
                "/requestContext/identity/clientCert/validity",
                "/requestContext/path",
                "/requestContext/protocol",
                "/requestContext/requestId",
                "/requestContext/requestTime",
                "/requestContext/requestTimeEpoch",
                "/requestContext/resourceId",
                "/requestContext/resourcePath",
                "/requestContext/stage",
            ],
            Self::LoadBalancer => &[
                "/version",
                "/body",
                "/isBase64Encoded",
                "/headers/host",
                "/headers/x-forwarded-proto",
                "/multiValueHeaders/host",
                "/multiValueHeaders/x-forwarded-proto",
                "/queryStringParameters/unread",
                "/multiValueQueryStringParameters/unread",
                "/requestContext/elb/targetGroupArn",
            ],
        }
    }

    /// The event of a request, with nothing in it that nobody reads. A header may have several lines.
    pub(crate) fn event(self, request: &Request) -> Value {
        let (method, path) = (request.method, &request.path);
        let mut headers = serde_json::Map::new();
        for (name, line) in &request.headers {
            let lines = headers.entry(*name).or_insert_with(|| json!([]));
            lines.as_array_mut().unwrap().push(json!(line));
        }
        // API Gateway joins the lines of a header for an HTTP API, and keeps the last for a REST API.
        let joined = |lines: &Value| {
            let lines: Vec<_> = lines.as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
            json!(lines.join(","))
        };
        let one_line = |of: &dyn Fn(&Value) -> Value| -> Value {
            headers
                .iter()
                .map(|(name, lines)| (name.clone(), of(lines)))
                .collect::<serde_json::Map<_, _>>()
                .into()
        };
        let pairs = || form_urlencoded::parse(request.query.as_bytes()).into_owned();
        let encoded = || request.query.split('&').filter_map(|pair| pair.split_once('='));
        let last = |lines: &Value| lines.as_array().unwrap().last().unwrap().clone();
        match self {
            Self::HttpApi => json!({
                "rawPath": path, "rawQueryString": request.query, "headers": one_line(&joined),
                "requestContext": { "http": { "method": method } },
            }),
            Self::RestApi => json!({
                "httpMethod": method, "path": path, "headers": one_line(&last), "multiValueHeaders": headers,
                "queryStringParameters": pairs().map(|(name, value)| (name, json!(value))).collect::<serde_json::Map<_, _>>(),
                "multiValueQueryStringParameters":
                    pairs().map(|(name, value)| (name, json!([value]))).collect::<serde_json::Map<_, _>>(),
                "requestContext": {},
            }),
            Self::LoadBalancer => json!({
                "httpMethod": method, "path": path, "multiValueHeaders": headers,
                "multiValueQueryStringParameters":
                    encoded().map(|(name, value)| (name.to_owned(), json!([value]))).collect::<serde_json::Map<_, _>>(),
                "requestContext": { "elb": {} },
            }),
        }
    }
}

/// A request, to be sent in every form.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) query: &'static str,
    pub(crate) headers: Vec<(&'static str, String)>,
}

impl Request {
    pub(crate) fn of(endpoint: Endpoint) -> Self {
        let query = match endpoint {
            ListReleases => "projectName=nginx2&verbosity=brief",
            GetArtifact => {
                "image=koderover.tencentcloudcr.com%2Fkoderover-demo%2Fpicket:20211214154446-70-main-pr-736"
            }
        };
        Self { method: "GET", path: endpoint.path().to_owned(), query, headers: Vec::new() }
    }

    fn with(self, name: &'static str, lines: &[&str]) -> Self {
        Self { headers: lines.iter().map(|line| (name, (*line).to_owned())).collect(), ..self }
    }
}

/// A value of every JSON type.
pub(crate) fn values_of_every_type() -> [Value; 13] {
    [
        nested(200),
        Value::Null,
        json!(true),
        json!(7),
        json!(-1.5),
        json!(""),
        json!("https, http"),
        json!("<url-id>\n"),
        json!([]),
        json!([null, "a", 7]),
        json!({}),
        json!({ "a": null, "b": [true] }),
        json!([[{}]]),
    ]
}

/// A list in a list and so on, deeper than `serde_json` reads values.
fn nested(depth: usize) -> Value {
    (0..depth).fold(Value::Null, |inner, _| Value::Array(vec![inner]))
}

/// Puts a value at a JSON pointer, and objects on the way to it where there are none.
pub(crate) fn put(event: &mut Value, pointer: &str, value: Value) {
    let mut place = event;
    for name in pointer.split('/').skip(1) {
        if !place.is_object() {
            *place = json!({});
        }
        place = &mut place[name];
    }
    *place = value;
}

#[tokio::test]
async fn what_no_part_of_an_answer_depends_on_cannot_refuse_a_request() {
    let tables = Tables::with_samples().await;
    for endpoint in Endpoint::ALL {
        let request = Request::of(endpoint);
        let answers = Form::ALL.map(|form| form.event(&request));
        let wanted = tables.invoke(endpoint, &answers[0]).await;
        assert_eq!(wanted.status, 200, "{}", wanted.body);
        for form in Form::ALL {
            let plain = form.event(&request);
            assert_eq!(tables.invoke(endpoint, &plain).await.body, wanted.body, "{form:?}");
            // Once the parts of a part come last, and once the part as a whole.
            let (mut parts_last, mut wholes_last) = (form.unread().to_vec(), form.unread().to_vec());
            parts_last.sort_unstable();
            wholes_last.sort_unstable_by(|one, other| other.cmp(one));
            for pointers in [parts_last, wholes_last] {
                for value in values_of_every_type() {
                    let mut event = plain.clone();
                    for pointer in &pointers {
                        put(&mut event, pointer, value.clone());
                    }
                    let answer = tables.invoke(endpoint, &event).await;
                    assert_eq!((answer.status, &answer.body), (200, &wanted.body), "{form:?} {event}");
                }
            }
        }
    }
}

#[tokio::test]
async fn every_line_of_a_repeated_header_counts_in_every_form() {
    let tables = Tables::with_samples().await;
    for endpoint in Endpoint::ALL {
        let etag = tables.invoke(endpoint, &Form::HttpApi.event(&Request::of(endpoint))).await;
        let etag = etag.header("ETag").unwrap().to_owned();
        for form in Form::ALL {
            for lines in [["gzip", "br"], ["br", "gzip"]] {
                let request = Request::of(endpoint).with("Accept-Encoding", &lines);
                let answer = tables.invoke(endpoint, &form.event(&request)).await;
                assert_eq!(answer.header("Content-Encoding"), Some("gzip"), "{form:?} {lines:?}");
            }
            for lines in [[etag.as_str(), "\"other\""], ["\"other\"", &etag]] {
                let request = Request::of(endpoint).with("If-None-Match", &lines);
                let answer = tables.invoke(endpoint, &form.event(&request)).await;
                assert_eq!((answer.status, answer.body.as_str()), (304, ""), "{form:?} {lines:?}");
            }
        }
    }
    // One of the two maps of a REST API's event is enough, and so are two spellings of one name.
    let plain = Form::RestApi.event(&Request::of(ListReleases));
    for (map, headers) in [
        ("headers", json!({ "Accept-Encoding": "gzip" })),
        ("multiValueHeaders", json!({ "accept-encoding": ["br"], "Accept-Encoding": ["gzip"] })),
    ] {
        let mut event = plain.clone();
        event["headers"] = Value::Null;
        event["multiValueHeaders"] = Value::Null;
        event[map] = headers;
        let answer = tables.invoke(ListReleases, &event).await;
        assert_eq!(answer.header("Content-Encoding"), Some("gzip"), "{event}");
    }
}

#[tokio::test]
async fn a_path_is_the_endpoints_where_it_ends_in_it_at_a_slash() {
    let tables = Tables::with_samples().await;
    for endpoint in Endpoint::ALL {
        let path = endpoint.path();
        let ask = async |form: Form, asked: &str| {
            tables
                .invoke(endpoint, &form.event(&Request { path: asked.to_owned(), ..Request::of(endpoint) }))
                .await
        };
        for form in Form::ALL {
            for (before, behind) in [
                ("/prod", ""),
                ("/delivery", ""),
                ("/a/b c", "/"),
                ("", "/"),
                ("", "//"),
                ("/", ""),
                ("/{x+}", ""),
            ] {
                let asked = format!("{before}{path}{behind}");
                let answer = ask(form, &asked).await;
                assert_eq!(answer.status, 200, "{form:?} {asked}: {}", answer.body);
            }
            let other = Endpoint::ALL.into_iter().find(|other| *other != endpoint).unwrap().path();
            for asked in [
                "",
                "/",
                "*",
                other,
                &format!("/x{}", &path[1..]),
                &format!("{path}x"),
                &format!("{path}/x"),
                &path[..path.len() - 1],
                &path[4..],
                &path.to_uppercase(),
            ] {
                assert_eq!(ask(form, asked).await.status, 404, "{form:?} {asked}");
                let post = Request { method: "POST", path: asked.to_owned(), ..Request::of(endpoint) };
                assert_eq!(tables.invoke(endpoint, &form.event(&post)).await.status, 404, "{form:?} {asked}");
            }
        }
    }
}

#[tokio::test]
async fn head_answers_what_get_would_without_the_body() {
    let tables = Tables::with_samples().await;
    for endpoint in Endpoint::ALL {
        let plain = Request::of(endpoint);
        let etag =
            tables.invoke(endpoint, &Form::HttpApi.event(&plain)).await.header("ETag").unwrap().to_owned();
        let unreadable = match endpoint {
            ListReleases => "taskId=x",
            GetArtifact => "image=",
        };
        for (request, status) in [
            (plain.clone(), 200),
            (plain.clone().with("Accept-Encoding", &["gzip"]), 200),
            (plain.clone().with("If-None-Match", &[&etag]), 304),
            (Request { query: unreadable, ..plain.clone() }, 400),
            (Request { path: "/elsewhere".to_owned(), ..plain.clone() }, 404),
            (plain.clone().with("Accept-Encoding", &["a\nb"]), 400),
        ] {
            for form in Form::ALL {
                let got = tables.invoke(endpoint, &form.event(&request)).await;
                let event = form.event(&Request { method: "HEAD", ..request.clone() });
                let service = EndpointService::new(endpoint, tables.store.clone());
                let json = answer_json(&service, &event.to_string()).await.unwrap();
                let head: Value = serde_json::from_str(&json).unwrap();
                assert_eq!(
                    (got.status, head["statusCode"].as_u64()),
                    (status, Some(status.into())),
                    "{event}"
                );
                assert_eq!(head["body"], "", "{event}");
                let headers = head["headers"].as_object().unwrap();
                let headers =
                    headers.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()));
                assert_eq!(headers.collect::<std::collections::HashMap<_, _>>(), got.headers, "{event}");
            }
        }
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "get", "HEADS"] {
            for form in Form::ALL {
                let answer = tables.invoke(endpoint, &form.event(&Request { method, ..plain.clone() })).await;
                assert_eq!(
                    (answer.status, answer.header("Allow")),
                    (405, Some("GET, HEAD")),
                    "{form:?} {method}"
                );
                assert_eq!(answer.description(), "use GET");
            }
        }
    }
}

#[tokio::test]
async fn a_payload_without_its_raw_query_is_read_by_its_parameters() {
    let tables = Tables::with_samples().await;
    for endpoint in Endpoint::ALL {
        let wanted = tables.invoke(endpoint, &Form::HttpApi.event(&Request::of(endpoint))).await;
        let parameters = Form::RestApi.event(&Request::of(endpoint))["queryStringParameters"].take();
        for raw in [None, Some(Value::Null), Some(json!(""))] {
            let mut event = Form::HttpApi.event(&Request { query: "", ..Request::of(endpoint) });
            event.as_object_mut().unwrap().remove("rawQueryString");
            if let Some(raw) = raw {
                event["rawQueryString"] = raw;
            }
            event["queryStringParameters"] = parameters.clone();
            assert_eq!(tables.invoke(endpoint, &event).await, wanted, "{event}");
        }
    }
    let mut comma = Form::HttpApi.event(&Request::of(ListReleases));
    comma["rawQueryString"] = Value::Null;
    comma["queryStringParameters"] = json!({ "projectName": "nginx2,other", "taskId": 1 });
    assert_eq!(tables.invoke(ListReleases, &comma).await.status, 400, "a parameter is no text");
    comma["queryStringParameters"] = json!({ "projectName": "nginx2,other" });
    assert_eq!(tables.invoke(ListReleases, &comma).await.body, "[]", "a value may have a comma");
}

#[tokio::test]
async fn a_parameter_or_a_header_that_is_null_is_absent() {
    let tables = Tables::with_samples().await;
    for endpoint in Endpoint::ALL {
        let request = Request::of(endpoint).with("Accept-Encoding", &["gzip"]);
        let wanted = tables.invoke(endpoint, &Form::HttpApi.event(&request)).await;
        assert_eq!(wanted.header("Content-Encoding"), Some("gzip"));
        for form in Form::ALL {
            let plain = form.event(&request);
            let wanted = tables.invoke(endpoint, &plain).await;
            let mut tried = 0;
            for map in
                ["queryStringParameters", "multiValueQueryStringParameters", "headers", "multiValueHeaders"]
            {
                if !plain[map].is_object() {
                    continue;
                }
                for (name, value) in [
                    ("label", Value::Null),
                    ("label", json!([null])),
                    ("label", json!([])),
                    ("if-none-match", Value::Null),
                    ("if-none-match", json!([null, null])),
                    ("if-none-match", json!([])),
                ] {
                    let mut event = plain.clone();
                    event[map][name] = value;
                    assert_eq!(tables.invoke(endpoint, &event).await, wanted, "{event}");
                    tried += 1;
                }
                let mut event = plain.clone();
                for value in event[map].as_object_mut().unwrap().values_mut() {
                    *value = json!([null, value.as_array().map_or(&*value, |list| &list[0])]);
                }
                assert_eq!(tables.invoke(endpoint, &event).await, wanted, "{event}");
            }
            assert!(tried > 0, "{plain}");
        }
        let plain = Form::RestApi.event(&request);
        let wanted = tables.invoke(endpoint, &plain).await;
        for nothing in [Value::Null, json!([]), json!([null])] {
            for maps in [
                ["queryStringParameters", "multiValueQueryStringParameters"],
                ["headers", "multiValueHeaders"],
            ] {
                let mut event = plain.clone();
                event[maps[1]]
                    .as_object_mut()
                    .unwrap()
                    .values_mut()
                    .for_each(|lines| *lines = nothing.clone());
                assert_eq!(tables.invoke(endpoint, &event).await, wanted, "{event}");
            }
        }
    }
}

#[tokio::test]
async fn only_the_parameters_that_an_endpoint_reads_must_be_texts() {
    let tables = Tables::with_samples().await;
    let described = Description::read();
    let every_parameter: BTreeSet<_> =
        Endpoint::ALL.iter().flat_map(|endpoint| described.query_parameters(*endpoint)).collect();
    for endpoint in Endpoint::ALL {
        let read = described.query_parameters(endpoint);
        let wanted = tables.invoke(endpoint, &Form::HttpApi.event(&Request::of(endpoint))).await;
        for form in Form::ALL {
            let mut plain = form.event(&Request::of(endpoint));
            if form == Form::HttpApi {
                plain["rawQueryString"] = Value::Null;
                plain["queryStringParameters"] =
                    Form::RestApi.event(&Request::of(endpoint))["queryStringParameters"].take();
            }
            for map in ["queryStringParameters", "multiValueQueryStringParameters"] {
                if !plain[map].is_object() {
                    continue;
                }
                for name in every_parameter.iter().map(String::as_str).chain(["foo", "Image", ""]) {
                    for value in [json!(7), json!(true), json!({ "a": 1 }), json!([["a"]]), nested(200)] {
                        let mut event = plain.clone();
                        event[map][name] = value;
                        let answer = tables.invoke(endpoint, &event).await;
                        if read.contains(name) {
                            let description = "the request cannot be read: HTTP does not allow its query";
                            assert_eq!(
                                (answer.status, answer.description().as_str()),
                                (400, description),
                                "{event}"
                            );
                        } else {
                            assert_eq!((answer.status, &answer.body), (200, &wanted.body), "{event}");
                        }
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn of_members_that_have_one_name_the_last_counts() {
    let tables = Tables::with_samples().await;
    for endpoint in Endpoint::ALL {
        let service = EndpointService::new(endpoint, tables.store.clone());
        for form in Form::ALL {
            let plain = form.event(&Request::of(endpoint));
            let wanted = tables.invoke(endpoint, &plain).await;
            let text = plain.to_string();
            let mut repeated: Vec<_> = ["/other", "a b"]
                .iter()
                .flat_map(|other| plain.as_object().unwrap().keys().map(move |name| (name, json!(other))))
                .map(|(name, other)| format!("{{\"{name}\":{other},{}", &text[1..]))
                .collect();
            if form == Form::HttpApi {
                repeated.push(text.replace(r#""method":"#, r#""method":"POST","method":"#));
                repeated.push(text.replace(r#""http":"#, r#""http":{"method":"POST"},"http":"#));
            }
            for event in repeated {
                assert_ne!(event, text);
                let json =
                    answer_json(&service, &event).await.unwrap_or_else(|error| panic!("{error}: {event}"));
                assert_eq!(Answer::from_lambda_json(&json), wanted, "{event}");
            }
        }
    }
}

#[tokio::test]
async fn a_raw_query_with_characters_that_a_url_encodes_is_read_as_it_would_be_encoded() {
    let tables = Tables::with_samples().await;
    let ask = async |query| {
        tables
            .invoke(ListReleases, &Form::HttpApi.event(&Request { query, ..Request::of(ListReleases) }))
            .await
    };
    for (raw, encoded) in [
        ("label=a \"b\"<c>#d", "label=a%20%22b%22%3Cc%3E%23d"),
        ("projectName=nginx2&label=é", "label=%C3%A9"),
    ] {
        assert_eq!(ask(raw).await, ask(encoded).await, "{raw}");
    }
    assert_eq!(ask("projectName=nginx2&x=\u{1}").await, ask("projectName=nginx2").await);
}

/// Events that are refused, with the part that the answer and the log name.
fn refused_events() -> Vec<(Value, &'static str)> {
    let mut events = Vec::new();
    for form in Form::ALL {
        let plain = form.event(&Request::of(ListReleases).with("Accept-Encoding", &["gzip"]));
        let (method, path, parameters, headers) = match form {
            Form::HttpApi => ("/requestContext/http/method", "/rawPath", "/rawQueryString", "/headers"),
            Form::RestApi => {
                ("/httpMethod", "/path", "/multiValueQueryStringParameters", "/multiValueHeaders")
            }
            Form::LoadBalancer => ("/httpMethod", "/path", "/queryStringParameters", "/multiValueHeaders"),
        };
        let header = format!("{headers}/accept-encoding");
        for (pointer, value, part) in [
            (method, json!(7), "method"),
            (method, json!("A B"), "method"),
            (path, json!(["/"]), "path"),
            (parameters, json!(7), "query"),
            (headers, json!("Bearer secret"), "headers"),
            (header.as_str(), json!({ "secret": 1 }), "header accept-encoding or if-none-match"),
            (header.as_str(), nested(200), "header accept-encoding or if-none-match"),
            (method, nested(200), "method"),
            (header.as_str(), json!("secret\n"), "header accept-encoding or if-none-match"),
        ] {
            let mut event = plain.clone();
            put(&mut event, pointer, value);
            events.push((event, part));
        }
    }
    events
}

/// The lines of a function's log that have this message. Every line must be JSON.
fn lines(log: &str, message: &str) -> Vec<Value> {
    let lines =
        log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap_or_else(|_| panic!("{line}")));
    lines.filter(|line| line["message"] == message).collect()
}

#[tokio::test]
async fn an_event_that_is_refused_says_why_in_one_line_of_the_log() {
    let tables = Tables::with_samples().await;
    let mut environment = tables.environment();
    environment.push(("RUST_LOG", "info".to_owned()));
    let mut function = Function::start(ListReleases, &environment).await;
    let mut wanted = Vec::new();
    for (event, part) in refused_events() {
        let answer = function.respond(event.to_string()).await;
        let description = format!("the request cannot be read: HTTP does not allow its {part}");
        assert_eq!((answer.status, answer.description()), (400, description.clone()), "{event}");
        wanted.push(description);
    }
    for (event, said) in [
        (include_str!("../events/list-releases/vpc-lattice.json"), "VPC Lattice"),
        (include_str!("../events/list-releases/vpc-lattice-v1.json"), "VPC Lattice"),
        (r#"{"Records":[{"secret":1}]}"#, "not an HTTP request"),
        (r#""secret""#, "not an HTTP request"),
        // As many as there are members that are read.
        (r#"["GET","/secret",null,null,null,null,null,null,null,null]"#, "not an HTTP request"),
        (r#" ["GET","/secret",null,null,null,null,null,null,{},null]"#, "not an HTTP request"),
    ] {
        let FunctionAnswer::Failure(failure) = function.invoke(event).await else { panic!("an answer") };
        let failure: Value = serde_json::from_str(&failure).unwrap();
        assert_eq!(failure["errorType"], "UnreadableEvent");
        let message = failure["errorMessage"].as_str().unwrap();
        assert!(message.contains(said) && !message.contains("secret"), "{message}");
        wanted.push(message.to_owned());
    }
    let log = function.end().await;
    assert!(!log.contains("secret"), "{log}");
    let told = lines(&log, "the event is refused")
        .into_iter()
        .map(|line| line["error"].as_str().unwrap().to_owned());
    assert_eq!(told.collect::<Vec<_>>(), wanted);
}

#[tokio::test]
async fn a_panic_that_is_caught_is_one_json_line_with_its_place() {
    let tables = Tables::with_samples().await;
    for endpoint in Endpoint::ALL {
        let mut function = Function::start(endpoint, &tables.environment()).await;
        // A parameter without a value, which no sender makes, panics in a package beneath `lambda_http`. The
        // request is read again without it.
        let mut event = Form::RestApi.event(&Request::of(endpoint));
        event["multiValueQueryStringParameters"]["a"] = json!([]);
        let answer: Answer = function.respond(event.to_string()).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let log = function.end().await;
        let panics = lines(&log, "panic");
        assert_eq!(panics.len(), 1, "{log}");
        assert_eq!(panics[0]["level"], "ERROR");
        assert!(panics[0]["place"].as_str().unwrap().contains("query_map"), "{log}");
        assert!(panics[0]["error"].as_str().unwrap().contains("out of bounds"), "{log}");
    }
}
