//! What a function answered, as API Gateway reads it.

use std::collections::HashMap;
use std::io::Read as _;

use anyhow::{Context as _, ensure};
use serde::Deserialize;

/// The answer's JSON.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Answer {
    status_code: u16,
    headers: HashMap<String, String>,
    #[serde(default)]
    is_base64_encoded: bool,
    body: String,
}

impl Answer {
    /// Reads an answer, which must be a 200.
    pub(crate) fn parse(json: &[u8]) -> anyhow::Result<Self> {
        let answer: Self = serde_json::from_slice(json)?;
        ensure!(answer.status_code == 200, "{} {}", answer.status_code, answer.body);
        Ok(answer)
    }

    /// A header by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(candidate, _)| candidate.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The body as a caller reads it, decoded and inflated.
    pub(crate) fn text(self) -> anyhow::Result<String> {
        if !self.is_base64_encoded {
            return Ok(self.body);
        }
        let gzip = base64_simd::STANDARD.decode_to_vec(self.body).context("base64")?;
        let mut text = String::new();
        flate2::bufread::GzDecoder::new(gzip.as_slice()).read_to_string(&mut text)?;
        Ok(text)
    }
}
