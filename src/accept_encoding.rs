//! In which coding an answer's body may be: the request header `Accept-Encoding`.

use http::HeaderMap;
use http::header::{ACCEPT_ENCODING, HeaderName};

/// How the body of a 200 is coded (RFC 9110, 8.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentCoding {
    /// Uncompressed.
    Identity,
    /// One gzip member.
    Gzip,
}

impl ContentCoding {
    /// Reads `Accept-Encoding`. It is gzip where the header names that, does not refuse it, and does not
    /// prefer identity.
    pub fn accepted(headers: &HeaderMap) -> Self {
        let quality_of = |name: &str| {
            values(headers, ACCEPT_ENCODING)
                .map(|coding| coding.split_once(';').unwrap_or((coding, "")))
                .find(|(coding, _)| coding.trim().eq_ignore_ascii_case(name))
                .map(|(_, weight)| quality(weight))
        };
        let gzip = quality_of("gzip").or_else(|| quality_of("x-gzip")).unwrap_or(0.0);
        if gzip > 0.0 && gzip >= quality_of("identity").unwrap_or(0.0) { Self::Gzip } else { Self::Identity }
    }
}

/// The weight of a coding (RFC 9110, 12.4.2): 1 where it has none, and 0 where it cannot be read.
fn quality(weight: &str) -> f32 {
    let weight = weight.split(';').next().unwrap_or_default();
    let Some(value) = weight.trim().strip_prefix(['q', 'Q']) else { return 1.0 };
    value.trim_start().strip_prefix('=').and_then(|value| value.trim().parse().ok()).unwrap_or(0.0)
}

/// The members of a header that is a list. The header may be there several times.
pub fn values(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    headers.get_all(name).into_iter().filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(','))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(lines: &[&str]) -> ContentCoding {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(ACCEPT_ENCODING, line.parse().unwrap());
        }
        ContentCoding::accepted(&headers)
    }

    #[test]
    fn gzip_is_used_where_it_is_accepted() {
        for header in [
            "gzip",
            "GZIP",
            "deflate, gzip;q=0.5",
            "br;q=1.0, gzip; q=0.8, *;q=0.1",
            "gzip;q=1, identity;q=0.5",
            "x-gzip",
            "gzip;q=1;x",
        ] {
            assert_eq!(accepted(&[header]), ContentCoding::Gzip, "{header}");
        }
        for header in
            ["", "gzip;q=0", "gzip; q=0.000", "br", "*", "identity, gzip;q=0.5", "gzip;q=x", "gzipped"]
        {
            assert_eq!(accepted(&[header]), ContentCoding::Identity, "{header}");
        }
        assert_eq!(accepted(&[]), ContentCoding::Identity);
        assert_eq!(accepted(&["br", "gzip"]), ContentCoding::Gzip, "several lines are one list");
    }
}
