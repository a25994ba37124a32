//! A yardstick that no function can be below: for every event it sends the requests in the file that
//! `FLOOR_REQUESTS` names, and answers with DynamoDB's answer to the last of them.
//!
//! The file holds pairs of lines: an operation such as `DynamoDB_20120810.Query`, and its body. With
//! `FLOOR_KEEPS` set, all requests are sent only for the first event. For later events only the first request
//! is sent, and the kept answer is given.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

type Failure = Box<dyn std::error::Error>;

struct Connection {
    sender: SendRequest<Full<Bytes>>,
    host: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let requests = std::fs::read_to_string(std::env::var("FLOOR_REQUESTS")?)?;
    let lines: Vec<_> = requests.lines().map(|line| Bytes::copy_from_slice(line.as_bytes())).collect();
    let endpoint: Uri = std::env::var("AWS_ENDPOINT_URL_DYNAMODB")?.parse()?;
    let mut dynamodb = Connection::open(&endpoint).await?;
    let api: Uri = format!("http://{}", std::env::var("AWS_LAMBDA_RUNTIME_API")?).parse()?;
    let mut api = Connection::open(&api).await?;
    let keeps = std::env::var_os("FLOOR_KEEPS").is_some();
    let mut kept = None;
    loop {
        let next = Request::get("/2018-06-01/runtime/invocation/next");
        let (headers, _) = api.exchange(next, Bytes::new()).await?;
        let request_id = headers.get("lambda-runtime-aws-request-id").ok_or("no request id")?.to_str()?;
        let mut answer = Bytes::new();
        let requests = lines.chunks_exact(2).take(if kept.is_some() { 1 } else { usize::MAX });
        for request in requests {
            let call = Request::post("/")
                .header("x-amz-target", request[0].as_ref())
                .header("content-type", "application/x-amz-json-1.0")
                .header("x-amz-date", "20250101T000000Z")
                .header("authorization", AUTHORIZATION);
            (_, answer) = dynamodb.exchange(call, request[1].clone()).await?;
        }
        if keeps {
            answer = kept.get_or_insert(answer).clone();
        }
        let response = Request::post(format!("/2018-06-01/runtime/invocation/{request_id}/response"));
        api.exchange(response, answer).await?;
    }
}

/// The embedded DynamoDB does not check signatures, and a floor that signed its requests would be higher.
const AUTHORIZATION: &str = "AWS4-HMAC-SHA256 Credential=local/20250101/us-east-1/dynamodb/aws4_request, \
    SignedHeaders=host;x-amz-date;x-amz-target, Signature=0";

impl Connection {
    async fn open(uri: &Uri) -> Result<Self, Failure> {
        let host = uri.authority().ok_or("no authority")?.to_string();
        let stream = TcpStream::connect(&host).await?;
        stream.set_nodelay(true)?;
        let sender = if uri.scheme_str() == Some("https") {
            let name = ServerName::try_from(uri.host().ok_or("no host")?.to_owned())?;
            let stream = TlsConnector::from(Arc::new(tls()?)).connect(name, stream).await?;
            let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            sender
        } else {
            let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            sender
        };
        Ok(Self { sender, host })
    }

    async fn exchange(
        &mut self,
        request: hyper::http::request::Builder,
        body: Bytes,
    ) -> Result<(hyper::HeaderMap, Bytes), Failure> {
        let request = request.header("host", &self.host).body(Full::new(body))?;
        self.sender.ready().await?;
        let (parts, body) = self.sender.send_request(request).await?.into_parts();
        Ok((parts.headers, body.collect().await?.to_bytes()))
    }
}

fn tls() -> Result<ClientConfig, Failure> {
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_file_iter(std::env::var("SSL_CERT_FILE")?)? {
        roots.add(root?)?;
    }
    Ok(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}
