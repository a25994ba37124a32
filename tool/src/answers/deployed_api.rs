//! Both endpoints of a deployed API, asked over HTTP with a bearer token or with a signature of AWS.

use std::time::SystemTime;

use aws_sdk_dynamodb::config::{ProvideCredentials as _, SharedCredentialsProvider};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use delivery_center::endpoint::Endpoint;
use delivery_center::query::{Query, encoded};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, IF_NONE_MATCH, RETRY_AFTER};
use http::{HeaderMap, Request, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::{harmless, next_query};
use crate::https::{HttpClient, NoAnswer, Token, is_unencrypted, on_a_thread, server_url};
use crate::retries::{ASKED_API, ASKED_API_TIMEOUT, Patience};

/// No answer is longer than a Lambda response, which has 6 MiB.
const MAX_BYTES: u64 = 1 << 23;
/// API Gateway's name in a signature.
const SERVICE: &str = "execute-api";

/// A deployed API.
pub struct DeployedApi {
    url: Url,
    access: Access,
    http: HttpClient,
}

/// What a request has, so that the API lets it through.
pub enum Access {
    /// A bearer token.
    Token(Token),
    /// A signature (AWS Signature Version 4) for a region.
    Signature {
        /// Whose keys sign.
        credentials: SharedCredentialsProvider,
        /// The region of the API.
        region: String,
    },
    /// Nothing, since there is no token, and why there are no AWS credentials that can be used.
    Open(String),
}

/// Why a deployed API does not answer with a 200.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The endpoint's own error.
    #[error("{description}")]
    Answered {
        /// Its HTTP status.
        status: StatusCode,
        /// What the endpoint says.
        description: String,
        /// The query that looks further, where a walk goes on behind a 404.
        next: Option<Query>,
    },
    /// The gateway does not let the request through.
    #[error("{url} answered {}: {advice}{said}", .status.as_u16())]
    NotLetThrough {
        /// What was asked.
        url: String,
        /// 401 or 403.
        status: StatusCode,
        /// What to do.
        advice: String,
        /// What the gateway says, in brackets; empty where it says nothing.
        said: String,
    },
    /// Too many requests are made.
    #[error("{url} answered 429, too many requests: try again{}", .wait.map(|seconds| format!(" in {seconds} s")).unwrap_or_default())]
    TooMany {
        /// What was asked.
        url: String,
        /// After how many seconds, where that is known.
        wait: Option<u32>,
    },
    /// The API has moved.
    #[error("{url} answered {}: give the URL that it leads to", .status.as_u16())]
    Moved {
        /// What was asked.
        url: String,
        /// 301, 302, 303, 307 or 308.
        status: StatusCode,
    },
    /// The gateway answers instead of the function.
    #[error("{url} answered {}: the gateway got no answer from the function; look at the function's log, or try again", .status.as_u16())]
    Gateway {
        /// What was asked.
        url: String,
        /// 500, or 502 to 504.
        status: StatusCode,
    },
    /// Something else answers there, or what is answered is not what was asked for.
    #[error(
        "{url} answered {} with {kind}, which is no answer of Delivery Center: is that the API's URL, and does a proxy or \
         a page to sign in stand in the way?", .status.as_u16()
    )]
    SomethingElse {
        /// What was asked.
        url: String,
        /// The HTTP status.
        status: StatusCode,
        /// The media type, as in `text/html`.
        kind: String,
    },
    /// Nothing answers there.
    #[error("{url} could not be asked")]
    NoAnswer {
        /// What was asked.
        url: String,
        /// What happened.
        #[source]
        failure: NoAnswer,
    },
    /// The request cannot be signed.
    #[error("the request cannot be signed with the AWS credentials that are there")]
    NotSigned(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl ApiError {
    /// The HTTP status that was answered, where one was.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Answered { status, .. }
            | Self::NotLetThrough { status, .. }
            | Self::Moved { status, .. }
            | Self::Gateway { status, .. }
            | Self::SomethingElse { status, .. } => Some(*status),
            Self::TooMany { .. } => Some(StatusCode::TOO_MANY_REQUESTS),
            Self::NoAnswer { .. } | Self::NotSigned(_) => None,
        }
    }

    /// The error object that tells of it.
    pub fn object(&self, status: StatusCode) -> Vec<u8> {
        let cause = std::error::Error::source(self).map(|cause| format!(": {cause}")).unwrap_or_default();
        let object = json!({
            "code": status.as_u16(),
            "description": format!("{self}{cause}"),
            "extra": {},
            "message": status.canonical_reason(),
            "type": "error",
        });
        object.to_string().into_bytes()
    }

    /// The URL where a proxy on the way may have answered, or kept from asking.
    pub fn url_on_the_way(&self) -> Option<&str> {
        match self {
            Self::NoAnswer { url, .. }
            | Self::SomethingElse { url, .. }
            | Self::NotLetThrough { url, .. }
            | Self::Gateway { url, .. } => Some(url),
            Self::Answered { .. } | Self::TooMany { .. } | Self::Moved { .. } | Self::NotSigned(_) => None,
        }
    }

    /// Whether the same question may be answered at another time.
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::Answered { status, .. } => *status == StatusCode::SERVICE_UNAVAILABLE,
            Self::SomethingElse { status, .. } => status.is_server_error(),
            Self::TooMany { .. } | Self::Gateway { .. } | Self::NoAnswer { .. } => true,
            Self::NotLetThrough { .. } | Self::Moved { .. } | Self::NotSigned(_) => false,
        }
    }
}

/// The error object of docs/api.md.
#[derive(Deserialize)]
struct ErrorObject {
    code: u16,
    description: String,
    #[serde(rename = "extra")]
    _extra: serde::de::IgnoredAny,
}

impl DeployedApi {
    /// Reads the URL of an API. Its path may end in an endpoint's, as the template's outputs do.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn url(text: &str) -> Result<Url, String> {
        let mut url = server_url(text, "an API")?;
        let path = url.path().trim_end_matches('/').to_owned();
        let path =
            Endpoint::at(&path).and_then(|endpoint| path.strip_suffix(endpoint.path())).unwrap_or(&path);
        url.set_path(path);
        Ok(url)
    }

    /// The region that is a part of a URL, as in `https://ID.execute-api.eu-west-1.amazonaws.com`.
    pub fn region(url: &Url) -> Option<&str> {
        let mut labels = url.host_str()?.split('.').skip_while(|label| *label != SERVICE);
        labels.nth(1)
    }

    /// The API at a URL that [`DeployedApi::url`] has read.
    pub fn new(url: Url, access: Access) -> Self {
        Self { url, access, http: HttpClient::new(ASKED_API_TIMEOUT) }
    }

    /// Whether a token goes over the network unencrypted.
    pub fn sends_token_unencrypted(&self) -> bool {
        matches!(self.access, Access::Token(_)) && is_unencrypted(&self.url)
    }

    /// Asks an endpoint, and gives what it answers: a 200, a 304, or its error object.
    ///
    /// # Errors
    /// Something else than the endpoint answers, or nothing.
    pub async fn get(
        &self,
        endpoint: Endpoint,
        query: &Query,
        headers: &HeaderMap,
    ) -> Result<Response<Vec<u8>>, ApiError> {
        let (url, is_conditional) = (self.url_of(endpoint, query), headers.contains_key(IF_NONE_MATCH));
        let mut patience = Patience::new(ASKED_API);
        loop {
            let (http, asked, headers) =
                (self.http.clone(), url.clone(), self.authorized(&url, headers).await?);
            let answer = on_a_thread(move || http.get(&asked, &headers, MAX_BYTES)).await;
            let answer = match answer {
                Ok(answer) => self.endpoints_own(self.without_token(answer), is_conditional),
                Err(failure) => Err(ApiError::NoAnswer { url: self.url.to_string(), failure }),
            };
            let may_pass = match &answer {
                Ok(answer) => answer.status() == StatusCode::SERVICE_UNAVAILABLE,
                // Whoever names a wait, or was silent for as long as a gateway may be, is not asked at once.
                Err(ApiError::TooMany { wait, .. }) => wait.is_none(),
                Err(ApiError::NoAnswer { failure, .. }) => !matches!(failure, NoAnswer::Timeout),
                Err(error) => error.is_unreachable(),
            };
            if !may_pass || !patience.wait().await {
                return answer;
            }
        }
    }

    fn url_of(&self, endpoint: Endpoint, query: &Query) -> String {
        let mut url = self.url.clone();
        url.set_path(&format!("{}{}", self.url.path().trim_end_matches('/'), endpoint.path()));
        // Sorted and encoded as signatures have it.
        let query = query.encode();
        let pairs = url::form_urlencoded::parse(query.as_bytes());
        let mut pairs: Vec<_> = pairs.map(|(name, value)| encoded(&name) + "=" + &encoded(&value)).collect();
        pairs.sort();
        url.set_query(Some(&pairs.join("&")));
        url.into()
    }

    /// The headers of a request, with those that let it through.
    async fn authorized(&self, url: &str, headers: &HeaderMap) -> Result<HeaderMap, ApiError> {
        let mut headers = headers.clone();
        match &self.access {
            Access::Open(_) => {}
            Access::Token(token) => {
                let mut token: http::HeaderValue =
                    token.authorization().parse().expect("a token is made of visible characters");
                token.set_sensitive(true);
                headers.insert(AUTHORIZATION, token);
            }
            Access::Signature { credentials, region } => {
                let not_signed = |error: Box<dyn std::error::Error + Send + Sync>| ApiError::NotSigned(error);
                let credentials =
                    credentials.provide_credentials().await.map_err(|error| not_signed(error.into()))?;
                let identity = credentials.into();
                let parameters = SigningParams::builder()
                    .identity(&identity)
                    .region(region)
                    .name(SERVICE)
                    .time(SystemTime::now())
                    .settings(SigningSettings::default())
                    .build()
                    .expect("everything is given")
                    .into();
                let request = SignableRequest::new("GET", url, std::iter::empty(), SignableBody::Bytes(&[]));
                let signed = request.and_then(|request| sign(request, &parameters));
                let (instructions, _) = signed.map_err(|error| not_signed(error.into()))?.into_parts();
                let mut request = Request::new(());
                instructions.apply_to_request_http1x(&mut request);
                headers.extend(request.headers().clone());
                headers.remove(HOST);
            }
        }
        Ok(headers)
    }

    /// An answer without the token, which some servers quote in their errors.
    fn without_token(&self, answer: Response<Vec<u8>>) -> Response<Vec<u8>> {
        match &self.access {
            Access::Token(token) if answer.status() != StatusCode::OK => {
                answer.map(|body| token.hidden_in(&String::from_utf8_lossy(&body)).into_bytes())
            }
            _ => answer,
        }
    }

    /// An answer, if it is an endpoint's; else what answered instead. A 304 counts only where the
    /// request had `If-None-Match`.
    fn endpoints_own(
        &self,
        answer: Response<Vec<u8>>,
        is_conditional: bool,
    ) -> Result<Response<Vec<u8>>, ApiError> {
        let (url, status) = (self.url.to_string(), answer.status());
        let kind = answer.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_owned();
        let is_json = kind == "application/json";
        if status == StatusCode::NOT_MODIFIED && is_conditional
            || is_json && (status == StatusCode::OK || error_object(&answer).is_some())
        {
            return Ok(answer);
        }
        Err(match status.as_u16() {
            401 | 403 => {
                let (advice, said) = (self.advice(status), said(answer.body()));
                ApiError::NotLetThrough { url, status, advice, said }
            }
            429 => {
                let wait =
                    answer.headers().get(RETRY_AFTER).and_then(|wait| wait.to_str().ok()?.parse().ok());
                ApiError::TooMany { url, wait }
            }
            301..=303 | 307 | 308 => ApiError::Moved { url, status },
            500 | 502..=504 if is_json => ApiError::Gateway { url, status },
            _ => {
                let kind =
                    if kind.is_empty() { "nothing that says what it is".to_owned() } else { harmless(&kind) };
                ApiError::SomethingElse { url, status, kind }
            }
        })
    }

    /// The error of a 200 with something else than an endpoint answers.
    pub(super) fn something_else(&self, kind: &str) -> ApiError {
        ApiError::SomethingElse { url: self.url.to_string(), status: StatusCode::OK, kind: kind.to_owned() }
    }

    /// What to do about a 401 or a 403.
    fn advice(&self, status: StatusCode) -> String {
        match &self.access {
            Access::Token(_) if status == StatusCode::UNAUTHORIZED => {
                "the token is not accepted; it may have expired".to_owned()
            }
            Access::Token(_) => "the token may not ask this API".to_owned(),
            Access::Signature { .. } if status == StatusCode::UNAUTHORIZED => {
                "it wants a bearer token: set DELIVERY_CENTER_TOKEN".to_owned()
            }
            Access::Signature { region, .. } => format!(
                "the AWS credentials need execute-api:Invoke on it, and its region has to be {region}, for which the \
                 request is signed"
            ),
            Access::Open(no_credentials) => format!(
                "set DELIVERY_CENTER_TOKEN, or sign in to AWS, for instance with `aws sso login` ({no_credentials})"
            ),
        }
    }
}

impl From<Response<Vec<u8>>> for ApiError {
    /// An endpoint's answer that is no 200.
    fn from(answer: Response<Vec<u8>>) -> Self {
        let description = error_object(&answer).map(|error| harmless(&error.description)).unwrap_or_default();
        Self::Answered { status: answer.status(), description, next: next_query(answer.headers()) }
    }
}

/// What a gateway's `{"message":"…"}` says, in brackets.
fn said(body: &[u8]) -> String {
    let object: Value = serde_json::from_slice(body).unwrap_or_default();
    object["message"].as_str().map(|message| format!(" ({})", harmless(message))).unwrap_or_default()
}

fn error_object(answer: &Response<Vec<u8>>) -> Option<ErrorObject> {
    let object: ErrorObject = serde_json::from_slice(answer.body()).ok()?;
    (object.code == answer.status().as_u16()).then_some(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(url: &str) -> DeployedApi {
        DeployedApi::new(DeployedApi::url(url).unwrap(), Access::Open(String::new()))
    }

    #[test]
    fn a_url_is_taken_with_and_without_a_path_of_an_endpoint() {
        let query: Query = [("image", "a/b:1+2"), ("envName", "p q")].into_iter().collect();
        for (given, asked) in [
            ("http://127.0.0.1:3000", "http://127.0.0.1:3000/api/directory/dc/artifact"),
            ("https://x.example.com/base/", "https://x.example.com/base/api/directory/dc/artifact"),
            ("https://x/prod/api/aslan/delivery/releases", "https://x/prod/api/directory/dc/artifact"),
        ] {
            let url = api(given).url_of(Endpoint::GetArtifact, &query);
            assert_eq!(url, format!("{asked}?envName=p%20q&image=a%2Fb%3A1%2B2"));
        }
    }

    #[test]
    fn the_region_of_a_gateway_is_read_off_its_host() {
        let region = |url: &str| DeployedApi::region(&DeployedApi::url(url).unwrap()).map(str::to_owned);
        assert_eq!(region("https://a1b2.execute-api.eu-west-1.amazonaws.com").as_deref(), Some("eu-west-1"));
        assert_eq!(
            region("https://a1-vpce-9.execute-api.cn-north-1.amazonaws.com.cn").as_deref(),
            Some("cn-north-1")
        );
        assert_eq!(region("https://delivery.example.com"), None);
    }
}
