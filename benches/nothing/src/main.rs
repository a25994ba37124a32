//! A yardstick that does nothing: it uses only the standard library, and answers every event with an empty
//! 200.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;

fn main() -> std::io::Result<()> {
    let address = std::env::var("AWS_LAMBDA_RUNTIME_API").expect("Lambda names its Runtime API");
    let mut api = TcpStream::connect(&address)?;
    api.set_nodelay(true)?;
    let mut answers = BufReader::new(api.try_clone()?);
    loop {
        write!(api, "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: {address}\r\n\r\n")?;
        let request_id = read_answer(&mut answers)?;
        let body = r#"{"statusCode":200,"headers":{},"body":""}"#;
        write!(
            api,
            "POST /2018-06-01/runtime/invocation/{request_id}/response HTTP/1.1\r\nHost: {address}\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
        read_answer(&mut answers)?;
    }
}

/// Reads an answer to its end, and returns the request id; it is empty where the answer has none.
fn read_answer(answers: &mut BufReader<TcpStream>) -> std::io::Result<String> {
    let (mut request_id, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if answers.read_line(&mut line)? == 0 {
            std::process::exit(0);
        }
        let Some((name, value)) = line.trim().split_once(':') else {
            if line.trim().is_empty() {
                break;
            }
            continue;
        };
        match name.to_ascii_lowercase().as_str() {
            "lambda-runtime-aws-request-id" => value.trim().clone_into(&mut request_id),
            "content-length" => length = value.trim().parse().unwrap_or(0),
            _ => {}
        }
    }
    std::io::copy(&mut answers.take(length), &mut std::io::sink())?;
    Ok(request_id)
}
