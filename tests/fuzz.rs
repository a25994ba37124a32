//! Random events through the real binaries. Wherever a caller has a say in an event, it may hold anything.
//! Each is answered, and none ends in a bare Lambda failure. What no part of an answer depends on may have
//! any JSON type, and changes no answer. `FUZZ_EVENTS` says how many events there are, and `FUZZ_SEED` which.

use std::collections::BTreeMap;

use delivery_center::endpoint::Endpoint::{GetArtifact, ListReleases};
use delivery_center::store::filters::FILTERS;
use serde_json::{Map, Value, json};

use crate::events::{Form, put, values_of_every_type};
use crate::function::{Function, FunctionAnswer};
use crate::support::{Answer, Random, Tables, number_of};

/// Texts that parsers stumble over, and some that the endpoints understand.
const PIECES: [&str; 48] = [
    "",
    "a",
    "0",
    "-1",
    "99999999999999999999",
    "%",
    "%2",
    "%zz",
    "%00",
    "%25",
    "%2F",
    "%ff",
    "+",
    "&",
    "=",
    "?",
    "#",
    "/",
    "//",
    ":",
    "@",
    ";",
    ",",
    "\\",
    "\"",
    "'",
    "{",
    "[",
    "<",
    " ",
    "\t",
    "\n",
    "\r",
    "\0",
    "\u{7f}",
    "\u{e9}",
    "\u{1f600}",
    "\u{fffd}",
    "image=",
    "projectName=",
    "taskId=",
    "page=",
    "per_page=1",
    "after=",
    "verbosity=brief",
    "sha256:",
    "W/\"*\"",
    "gzip;q=",
];
/// Names of headers and of parameters, beside those of the filters.
const NAMES: [&str; 17] = [
    "host",
    "accept-encoding",
    "if-none-match",
    "x-forwarded-proto",
    "x-forwarded-port",
    "content-type",
    "cookie",
    "pr",
    "repo",
    "namespace",
    "since",
    "until",
    "include",
    "page",
    "per_page",
    "after",
    "verbosity",
];
const UNREADABLE_NAMES: [&str; 4] = ["", "a b", "\u{e9}", "x\ny"];
const READABLE: [&str; 29] = [
    "",
    "a",
    "0",
    "1",
    "12",
    "nginx2",
    "%25",
    "%2F",
    "%ff",
    "+",
    "&",
    "=",
    "?",
    "/",
    ":",
    "@",
    "image=",
    "projectName=",
    "taskId=",
    "page=1",
    "verbosity=brief",
    "sha256:",
    "commit=",
    "4b15c43",
    "pr=7&repo=a/b",
    "since=",
    "2026-11-24",
    "T12:00:00Z",
    "include=environments",
];
const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "OPTIONS", "get", "", "A B", "\u{e9}"];
const PATHS: [&str; 6] = [
    "/api/aslan/delivery/releases",
    "/api/directory/dc/artifact",
    "/",
    "",
    "/prod/api/aslan/delivery/releases",
    "*",
];

fn text(random: &mut Random) -> String {
    if random.one_in(200) {
        return "x".repeat(20_000);
    }
    // Most texts leave the request readable, so that it reaches the endpoint.
    let pieces = if random.one_in(6) { PIECES.as_slice() } else { &READABLE };
    (0..random.below(6)).map(|_| random.one_of(pieces)).collect()
}

fn name(random: &mut Random) -> &'static str {
    if random.one_in(150) {
        return random.one_of(&UNREADABLE_NAMES);
    }
    let filters: Vec<_> = FILTERS.iter().map(|filter| filter.parameter).chain(NAMES).collect();
    random.one_of(&filters)
}

fn maybe(random: &mut Random, value: impl FnOnce(&mut Random) -> Value) -> Value {
    if random.one_in(8) { Value::Null } else { value(random) }
}

fn texts(random: &mut Random) -> Value {
    let names: Vec<_> = (0..random.below(5)).map(|_| name(random)).collect();
    names.into_iter().map(|name| (name.to_owned(), Value::from(text(random)))).collect::<Map<_, _>>().into()
}

fn lists_of_texts(random: &mut Random) -> Value {
    let Value::Object(texts) = texts(random) else { unreachable!("an object is made") };
    texts.into_iter().map(|(name, value)| (name, json!([value, text(random)]))).collect::<Map<_, _>>().into()
}

fn path(random: &mut Random) -> String {
    let path = random.one_of(&PATHS).to_owned();
    if random.one_in(3) { path + &text(random) } else { path }
}

/// An event of an HTTP API or a Function URL, of a REST API, or of a load balancer.
fn event(random: &mut Random) -> (Form, Value) {
    let (method, path) = (if random.one_in(10) { random.one_of(&METHODS) } else { "GET" }, path(random));
    let mut event = json!({
        "headers": maybe(random, texts),
        "isBase64Encoded": random.one_in(4),
        "body": maybe(random, |random| text(random).into()),
    });
    let form = Form::ALL[usize::try_from(random.below(3)).unwrap()];
    let more = match form {
        Form::HttpApi => json!({
            "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": text(random),
            "cookies": maybe(random, |random| json!([text(random)])),
            "queryStringParameters": maybe(random, texts),
            "requestContext": {
                "stage": if random.one_in(2) { "$default" } else { "prod" },
                "http": { "method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "203.0.113.9", "userAgent": text(random) },
            },
        }),
        Form::RestApi => json!({
            "resource": "/{proxy+}", "path": path, "httpMethod": method,
            "multiValueHeaders": maybe(random, lists_of_texts),
            "queryStringParameters": maybe(random, texts),
            "multiValueQueryStringParameters": maybe(random, lists_of_texts),
            "pathParameters": maybe(random, texts),
            "requestContext": { "stage": "prod", "httpMethod": method, "path": path, "identity": { "sourceIp": "203.0.113.9" } },
        }),
        Form::LoadBalancer => json!({
            "httpMethod": method, "path": path,
            "queryStringParameters": maybe(random, texts),
            "multiValueQueryStringParameters": maybe(random, lists_of_texts),
            "multiValueHeaders": maybe(random, lists_of_texts),
            "requestContext": { "elb": { "targetGroupArn": "arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/a/b" } },
        }),
    };
    event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    (form, event)
}

/// The same event with other values, of any JSON type, in some of the parts that no answer depends on.
fn with_other_unread_parts(random: &mut Random, form: Form, event: &Value) -> Value {
    let mut other = event.clone();
    for _ in 0..=random.below(4) {
        let pointer = random.one_of(form.unread());
        // A list of parameters that has any is read instead of the map of single ones.
        if pointer == "/multiValueQueryStringParameters/unread"
            && event["multiValueQueryStringParameters"].as_object().is_none_or(Map::is_empty)
        {
            continue;
        }
        // These are read where the raw query is empty.
        if pointer.to_lowercase().ends_with("querystringparameters") && event["rawQueryString"] == "" {
            continue;
        }
        let [value, in_list, in_object] = std::array::from_fn(|_| any_json(random));
        let value = match random.below(4) {
            0 => json!([in_list, value]),
            1 => json!({ text(random): in_object, "a": value }),
            _ => value,
        };
        put(&mut other, pointer, value);
    }
    other
}

/// Whether a load balancer's value holds a bare `&`, where a real one would have ended the value. `lambda_http`
/// makes further parameters of it, and which of two is the first is left to chance.
fn has_ambiguous_parameters(form: Form, event: &Value) -> bool {
    let maps = ["queryStringParameters", "multiValueQueryStringParameters"];
    form == Form::LoadBalancer && maps.iter().any(|map| event[map].to_string().contains('&'))
}

fn any_json(random: &mut Random) -> Value {
    let values = values_of_every_type();
    let place = usize::try_from(random.below(values.len() as u64 + 1)).unwrap();
    values.get(place).cloned().unwrap_or_else(|| text(random).into())
}

/// Whether a part of an event that is refused cannot be read indeed.
fn is_rightly_refused(event: &Value, description: &str) -> bool {
    let Some((_, part)) = description.split_once("HTTP does not allow its ") else { return true };
    let has_unreadable_line = |map: &str| {
        let lines = event[map].as_object().into_iter().flatten();
        let read = lines.filter(|(name, _)| ["accept-encoding", "if-none-match"].contains(&name.as_str()));
        read.flat_map(|(_, lines)| lines.as_array().cloned().unwrap_or_else(|| vec![lines.clone()]))
            .any(|line| http::HeaderValue::from_str(line.as_str().unwrap()).is_err())
    };
    match part {
        "method" => {
            let method = event["httpMethod"].as_str().or(event["requestContext"]["http"]["method"].as_str());
            http::Method::from_bytes(method.unwrap().as_bytes()).is_err()
        }
        "header accept-encoding or if-none-match" => {
            has_unreadable_line("headers") || has_unreadable_line("multiValueHeaders")
        }
        // Some texts are 20,000 bytes long, and three times as long when they are encoded.
        "query" | "URL" => event.to_string().len() > 20_000,
        _ => false,
    }
}

/// An answer whose `Link` has its parameters in order, without the one that nobody reads. A REST API's are in a
/// map, from which they come in any.
fn in_order(mut answer: Answer) -> Answer {
    if let Some(next) = answer.next_query() {
        let mut parameters: Vec<_> = next.split('&').collect();
        parameters.retain(|parameter| !parameter.starts_with("unread="));
        parameters.sort_unstable();
        answer.headers.insert("link".to_owned(), parameters.join("&"));
    }
    answer
}

async fn answer(function: &mut Function, event: &Value, number: u64) -> Answer {
    match function.invoke(event.to_string()).await {
        FunctionAnswer::Response(json) => Answer::from_lambda_json(&json),
        FunctionAnswer::Failure(failure) => panic!("event {number}: {failure}\n{event}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_a_caller_sends_is_answered() {
    let tables = Tables::with_samples().await;
    let mut random = Random(number_of("FUZZ_SEED", 1));
    let mut functions = Vec::new();
    for endpoint in [ListReleases, GetArtifact] {
        functions.push(Function::start(endpoint, &tables.environment()).await);
    }
    let mut statuses = BTreeMap::<u16, u64>::new();
    for number in 0..number_of("FUZZ_EVENTS", 2000) {
        let (form, event) = event(&mut random);
        let function = &mut functions[usize::try_from(number % 2).unwrap()];
        let answer = answer(function, &event, number).await;
        if random.one_in(2) && !has_ambiguous_parameters(form, &event) {
            let other = with_other_unread_parts(&mut random, form, &event);
            let answered = self::answer(function, &other, number).await;
            // A parameter that nobody reads makes the URL longer, and may end within a load balancer's value.
            let parameters = [&other["queryStringParameters"], &other["multiValueQueryStringParameters"]];
            let is_long = parameters.iter().any(|map| map.to_string().len() > 20_000);
            if !is_long && !has_ambiguous_parameters(form, &other) {
                assert_eq!(in_order(answered), in_order(answer.clone()), "event {number}: {event}\n{other}");
            }
        }
        let is_head =
            [&event["httpMethod"], &event["requestContext"]["http"]["method"]].contains(&&json!("HEAD"));
        match answer.status {
            200 | 304 | 400 | 404 if is_head => assert_eq!(answer.body, "", "event {number}: {event}"),
            200 => drop(answer.json()),
            304 => assert_eq!(answer.body, ""),
            400 => assert!(
                is_rightly_refused(&event, &answer.description()),
                "event {number}: {event}\n{answer:?}"
            ),
            404 | 405 => assert_eq!(answer.json()["type"], "error", "event {number}: {event}"),
            status => panic!("event {number}: {status} {}\n{event}", answer.body),
        }
        *statuses.entry(answer.status).or_default() += 1;
    }
    for function in functions {
        function.end().await;
    }
    println!("{statuses:?}");
    assert!(statuses[&200] > 0 && statuses[&400] > 0 && statuses[&404] > 0, "{statuses:?}");
}
