//! Signature Version 4, as DynamoDB's requests need it.
//!
//! Each is a POST of a JSON body to `/`, with the same headers: all of it but the values is known beforehand, and the key
//! that is derived from the secret is good for a day. <https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html>

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use ring::{digest, hmac};
use time::OffsetDateTime;

use super::credentials::Credentials;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const SERVICE: &str = "dynamodb";

/// Signs requests to DynamoDB in one region.
#[derive(Debug)]
pub(super) struct Signer {
    region: String,
    last: Mutex<Option<DayKey>>,
}

/// The key of a day and an identity.
#[derive(Debug, Clone)]
struct DayKey {
    credentials: Arc<Credentials>,
    /// As in `20150830`.
    date: String,
    key: hmac::Key,
}

/// What a request is signed with.
pub(super) struct Signature {
    /// The header `x-amz-date`.
    pub(super) date_time: String,
    /// The header `authorization`.
    pub(super) authorization: String,
}

impl Signer {
    pub(super) fn new(region: String) -> Self {
        Self { region, last: Mutex::default() }
    }

    /// Signs a request of which the host, the target and the body are given, and the content type is the one of JSON 1.0.
    pub(super) fn sign(
        &self,
        credentials: &Arc<Credentials>,
        [host, target]: [&str; 2],
        body: &[u8],
        time: SystemTime,
    ) -> Signature {
        let date_time = date_time(time);
        let date = &date_time[..8];
        let content = super::CONTENT;
        let body = hex(digest::digest(&digest::SHA256, body));
        // In the order of their names, as the rule has it.
        let (token, signed) = match &credentials.session_token {
            Some(token) => (
                format!("x-amz-security-token:{token}\n"),
                "content-type;host;x-amz-date;x-amz-security-token;x-amz-target",
            ),
            None => (String::new(), "content-type;host;x-amz-date;x-amz-target"),
        };
        let canonical = format!(
            "POST\n/\n\ncontent-type:{content}\nhost:{host}\nx-amz-date:{date_time}\n{token}x-amz-target:{target}\n\n{signed}\n{body}"
        );
        let canonical = hex(digest::digest(&digest::SHA256, canonical.as_bytes()));
        let region = &self.region;
        let scope = format!("{date}/{region}/{SERVICE}/aws4_request");
        let to_sign = format!("{ALGORITHM}\n{date_time}\n{scope}\n{canonical}");
        let signature = hex(hmac::sign(&self.key(credentials, date), to_sign.as_bytes()));
        let id = &credentials.access_key_id;
        let authorization =
            format!("{ALGORITHM} Credential={id}/{scope}, SignedHeaders={signed}, Signature={signature}");
        Signature { date_time, authorization }
    }

    fn key(&self, credentials: &Arc<Credentials>, date: &str) -> hmac::Key {
        // A panic elsewhere cannot have left it half changed.
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = &*last
            && known.date == date
            && Arc::ptr_eq(&known.credentials, credentials)
        {
            return known.key.clone();
        }
        let secret = format!("AWS4{}", credentials.secret_access_key);
        let mut key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        for part in [date, &self.region, SERVICE, "aws4_request"] {
            key = hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&key, part.as_bytes()).as_ref());
        }
        *last =
            Some(DayKey { credentials: Arc::clone(credentials), date: date.to_owned(), key: key.clone() });
        key
    }
}

/// A time as `20150830T123600Z`.
fn date_time(time: SystemTime) -> String {
    let time = OffsetDateTime::from(time);
    let (year, month, day) = time.to_calendar_date();
    let (hour, minute, second) = time.to_hms();
    format!("{year:04}{:02}{day:02}T{hour:02}{minute:02}{second:02}Z", u8::from(month))
}

/// Of what is hashed for a signature, in the lower case that the rule has.
fn hex(digest: impl AsRef<[u8]>) -> String {
    hex_simd::encode_to_string(digest, hex_simd::AsciiCase::Lower)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_are_written_as_signatures_have_them() {
        for (seconds, written) in
            [(0, "19700101T000000Z"), (951_827_696, "20000229T123456Z"), (4_102_444_799, "20991231T235959Z")]
        {
            assert_eq!(date_time(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)), written);
        }
    }

    #[cfg(feature = "cli")]
    proptest::proptest! {
        #[test]
        fn a_signature_is_the_one_that_the_sdk_makes(
            texts: [String; 3],
            with_token: bool,
            body: Vec<u8>,
            seconds in 0_u64..4_000_000_000,
        ) {
            use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};

            let [id, secret, token] = texts.map(hex);
            let token = with_token.then_some(token);
            let credentials = Arc::new(Credentials {
                access_key_id: id.clone(),
                secret_access_key: secret.clone(),
                session_token: token.clone(),
            });
            let (host, target) = ("dynamodb.eu-south-2.amazonaws.com", "DynamoDB_20120810.Query");
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            let signer = Signer::new("eu-south-2".to_owned());
            let ours = signer.sign(&credentials, [host, target], &body, time);
            let again = signer.sign(&credentials, [host, target], &body, time);
            proptest::prop_assert_eq!(&again.authorization, &ours.authorization, "the key that is kept is the same");

            let identity = aws_credential_types::Credentials::new(id, secret, token, None, "test").into();
            let parameters = aws_sigv4::sign::v4::SigningParams::builder()
                .identity(&identity)
                .region("eu-south-2")
                .name("dynamodb")
                .time(time)
                .settings(SigningSettings::default())
                .build()
                .unwrap()
                .into();
            let url = format!("https://{host}/");
            let headers = [("content-type", super::super::CONTENT), ("x-amz-target", target)];
            let request = SignableRequest::new("POST", url, headers.into_iter(), SignableBody::Bytes(&body));
            let mut theirs = http::Request::new(());
            let signed = sign(request.unwrap(), &parameters).unwrap();
            signed.into_parts().0.apply_to_request_http1x(&mut theirs);
            proptest::prop_assert_eq!(theirs.headers()["authorization"].to_str().unwrap(), ours.authorization);
            proptest::prop_assert_eq!(theirs.headers()["x-amz-date"].to_str().unwrap(), ours.date_time);
        }
    }
}
