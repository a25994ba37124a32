//! As much of HTTP/1.1 as the functions and the embedded DynamoDB speak, over blocking streams.

use std::io::{self, BufRead, BufReader, Read, Write};

/// A plain or an encrypted connection.
pub(crate) trait Stream: Read + Write + Send {}

impl<S: Read + Write + Send> Stream for S {}

/// One message: a request or an answer.
pub(crate) struct Message {
    /// The request line or the status line.
    pub(crate) first_line: String,
    /// The headers; names are in lower case.
    headers: Vec<(String, String)>,
    /// The whole body.
    pub(crate) body: Vec<u8>,
}

impl Message {
    /// Reads the next message; `None` where the peer closed the connection.
    pub(crate) fn read(stream: &mut BufReader<Box<dyn Stream>>) -> io::Result<Option<Self>> {
        let Some(first_line) = read_line(stream)? else { return Ok(None) };
        let mut headers = Vec::new();
        while let Some(line) = read_line(stream)?.filter(|line| !line.is_empty()) {
            if let Some((name, value)) = line.split_once(':') {
                headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
            }
        }
        let mut message = Self { first_line, headers, body: Vec::new() };
        if message.header("transfer-encoding").is_some() {
            message.read_chunks(stream)?;
        } else {
            let length = message.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
            message.body.resize(length, 0);
            stream.read_exact(&mut message.body)?;
        }
        Ok(Some(message))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(candidate, _)| candidate == name).map(|(_, value)| value.as_str())
    }

    /// Sends the message on. The body is sent in one piece, also where it came in chunks.
    pub(crate) fn write(&self, stream: &mut dyn Stream) -> io::Result<()> {
        let mut head = format!("{}\r\ncontent-length: {}\r\n", self.first_line, self.body.len());
        for (name, value) in &self.headers {
            if !["content-length", "transfer-encoding", "connection"].contains(&name.as_str()) {
                head.extend([name, ": ", value, "\r\n"]);
            }
        }
        head.push_str("\r\n");
        write(stream, &head, &self.body)
    }

    fn read_chunks(&mut self, stream: &mut impl BufRead) -> io::Result<()> {
        loop {
            let line = read_line(stream)?.unwrap_or_default();
            let digits = line.split(';').next().unwrap_or_default().trim();
            let length = usize::from_str_radix(digits, 16).map_err(io::Error::other)?;
            let start = self.body.len();
            self.body.resize(start + length, 0);
            stream.read_exact(&mut self.body[start..])?;
            read_line(stream)?;
            if length == 0 {
                return Ok(());
            }
        }
    }
}

/// Sends a head and a body in one piece, so that no small packet waits for another.
pub(crate) fn write(stream: &mut dyn Stream, head: &str, body: &[u8]) -> io::Result<()> {
    let mut message = Vec::with_capacity(head.len() + body.len());
    message.extend_from_slice(head.as_bytes());
    message.extend_from_slice(body);
    stream.write_all(&message)?;
    stream.flush()
}

fn read_line(stream: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    line.truncate(line.trim_end().len());
    Ok(Some(line))
}
