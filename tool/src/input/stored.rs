//! One value of Zadig's database, whether it was written as BSON or as Extended JSON.

use std::fmt;

use bson::{DateTime, RawBsonRef, RawDocument};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// MongoDB itself nests no deeper.
const MAX_DEPTH: usize = 100;

/// A stored value. What JSON has no form for has already become what the API answers for it; only `NaN` and the
/// infinities stay, so that the document can be refused.
#[derive(Debug, Clone, PartialEq)]
pub enum Stored {
    /// `null`, and the values that mean nothing outside MongoDB.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// An integer, or a BSON double without a fraction, which Go writes as an integer too.
    Integer(i128),
    /// Any other number, as it was written: every digit counts.
    Number(String),
    /// A number that JSON cannot write: `NaN`, `Infinity` or `-Infinity`.
    NotFinite(&'static str),
    /// A text; an `ObjectId` as its 24 hex digits, bytes as base64.
    Text(String),
    /// A point in time, in milliseconds since 1970.
    Date(i64),
    /// An array.
    List(Vec<Self>),
    /// A document, in its own order.
    Object(Vec<(String, Self)>),
}

/// Why a document cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The bytes are not a BSON document.
    #[error("it is no BSON document: {0}")]
    Bson(String),
    /// The text is not JSON, or not Extended JSON.
    #[error("it is no Extended JSON: {0}")]
    Json(String),
    /// An object such as `{"$oid": …}`, which stands for a value of MongoDB, holds something else.
    #[error("{path} is a {kind} whose value cannot be read")]
    Wrapped {
        /// Where it is, such as `$.image_info.image_size`.
        path: String,
        /// Which kind of object it is, such as `$numberLong`.
        kind: String,
    },
    /// It is nested too deeply.
    #[error("it is nested more than {MAX_DEPTH} levels deep")]
    TooDeep,
}

impl Stored {
    /// Reads one BSON document.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub fn from_bson(bytes: &[u8]) -> Result<Self, Unreadable> {
        object(RawDocument::from_bytes(bytes).map_err(not_bson)?, 0)
    }

    /// Reads one document of Extended JSON: version 2, relaxed or canonical, and version 1.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub fn from_json(text: &[u8]) -> Result<Self, Unreadable> {
        value_of_json(serde_json::from_slice::<&RawValue>(text).map_err(not_json)?, 0)
    }

    /// The names of a JSON object's own fields, whatever they hold; empty where the text is not an object.
    pub fn field_names(text: &[u8]) -> Vec<String> {
        let members = serde_json::from_slice(text).map_or(Vec::new(), |Pairs(members)| members);
        members.into_iter().map(|(name, _)| name).collect()
    }

    /// The value of a document's field.
    pub fn field(&self, name: &str) -> Option<&Self> {
        let Self::Object(members) = self else { return None };
        members.iter().find(|(found, _)| found == name).map(|(_, value)| value)
    }

    /// The text, where it is one and not empty.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    /// The integer that it stands for, however it was written: `7`, `7.0` and `70e-1` are one. `None` where it has a fraction,
    /// or was written with a point or an exponent and does not fit into 64 bits.
    pub fn integer(&self) -> Option<i128> {
        match self {
            Self::Integer(number) => Some(*number),
            Self::Number(text) => exact_integer(text),
            _ => None,
        }
    }

    /// Finds the first number that JSON cannot hold: its path, such as `$.image_info.image_size`, and what it is.
    pub fn find_not_finite(&self) -> Option<(String, &'static str)> {
        let (path, number) = self.find_not_finite_below()?;
        Some((format!("${path}"), number))
    }

    fn find_not_finite_below(&self) -> Option<(String, &'static str)> {
        match self {
            Self::NotFinite(number) => Some((String::new(), number)),
            Self::List(elements) => elements.iter().enumerate().find_map(|(index, element)| {
                let (path, number) = element.find_not_finite_below()?;
                Some((format!("[{index}]{path}"), number))
            }),
            Self::Object(members) => members.iter().find_map(|(name, member)| {
                let (path, number) = member.find_not_finite_below()?;
                Some((format!(".{name}{path}"), number))
            }),
            _ => None,
        }
    }

    fn double(number: f64) -> Self {
        /// No signed or unsigned 64-bit integer is greater.
        const MAX_WHOLE: f64 = 18_446_744_073_709_551_616.0;
        if number.is_nan() {
            return Self::NotFinite("NaN");
        }
        if number.is_infinite() {
            return Self::NotFinite(if number > 0.0 { "Infinity" } else { "-Infinity" });
        }
        let is_negative_zero = number == 0.0 && number.is_sign_negative();
        if is_negative_zero {
            return Self::Number("-0".to_owned());
        }
        if number.fract() == 0.0 && number.abs() <= MAX_WHOLE {
            #[expect(clippy::cast_possible_truncation, reason = "it has no fraction and fits")]
            return Self::Integer(number as i128);
        }
        // The shortest text that is read back as exactly this double.
        Self::Number(
            serde_json::Number::from_f64(number).map_or_else(String::new, |number| number.to_string()),
        )
    }
}

/// The integer that a JSON number stands for, without rounding; `None` where it has a fraction or does not fit into 64 bits.
fn exact_integer(text: &str) -> Option<i128> {
    /// No integer of 64 bits has more digits.
    const MAX_DIGITS: i64 = 20;
    let (sign, text) = text.strip_prefix('-').map_or(("", text), |text| ("-", text));
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (integer, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{integer}{fraction}");
    let significant = digits.trim_end_matches('0');
    if significant.is_empty() {
        return Some(0);
    }
    let zeros = i64::try_from(digits.len() - significant.len()).ok()?;
    let places = i64::try_from(fraction.len()).ok()?;
    let zeros = exponent.parse::<i64>().ok()?.checked_add(zeros)?.checked_sub(places)?;
    let zeros = usize::try_from(zeros).ok().filter(|_| zeros <= MAX_DIGITS)?;
    let number: i128 = format!("{sign}{significant}{}", "0".repeat(zeros)).parse().ok()?;
    (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(&number).then_some(number)
}

fn not_bson(error: impl fmt::Display) -> Unreadable {
    Unreadable::Bson(error.to_string())
}

fn not_json(error: impl fmt::Display) -> Unreadable {
    Unreadable::Json(error.to_string())
}

fn object(document: &RawDocument, depth: usize) -> Result<Stored, Unreadable> {
    let mut members = Vec::new();
    for element in document {
        let (name, value) = element.map_err(not_bson)?;
        members.push((name.as_str().to_owned(), value_of(value, depth + 1)?));
    }
    Ok(Stored::Object(members))
}

fn value_of(value: RawBsonRef<'_>, depth: usize) -> Result<Stored, Unreadable> {
    if depth > MAX_DEPTH {
        return Err(Unreadable::TooDeep);
    }
    Ok(match value {
        RawBsonRef::Double(number) => Stored::double(number),
        RawBsonRef::Int32(number) => Stored::Integer(number.into()),
        RawBsonRef::Int64(number) => Stored::Integer(number.into()),
        RawBsonRef::Decimal128(number) => number_of(&number.to_string()).ok_or_else(|| {
            Unreadable::Bson(format!("a Decimal128 has the text {number}, which is not a number"))
        })?,
        RawBsonRef::Boolean(boolean) => Stored::Boolean(boolean),
        RawBsonRef::String(text) | RawBsonRef::Symbol(text) | RawBsonRef::JavaScriptCode(text) => {
            Stored::Text(text.to_owned())
        }
        RawBsonRef::JavaScriptCodeWithScope(code) => Stored::Text(code.code.to_owned()),
        RawBsonRef::RegularExpression(expression) => Stored::Text(expression.pattern.as_str().to_owned()),
        RawBsonRef::ObjectId(id) => Stored::Text(id.to_hex()),
        RawBsonRef::Binary(binary) => Stored::Text(base64_simd::STANDARD.encode_to_string(binary.bytes)),
        RawBsonRef::DateTime(time) => Stored::Date(time.timestamp_millis()),
        RawBsonRef::Timestamp(time) => Stored::Integer(time.time.into()),
        RawBsonRef::Document(document) => object(document, depth)?,
        RawBsonRef::Array(array) => {
            let mut elements = Vec::new();
            for element in array {
                elements.push(value_of(element.map_err(not_bson)?, depth + 1)?);
            }
            Stored::List(elements)
        }
        RawBsonRef::Null
        | RawBsonRef::Undefined
        | RawBsonRef::MinKey
        | RawBsonRef::MaxKey
        | RawBsonRef::DbPointer(_) => Stored::Null,
    })
}

/// Reads a number and keeps it digit by digit as it was written; `None` where the text is not a number.
fn number_of(text: &str) -> Option<Stored> {
    if let Some(number) = text.parse::<i128>().ok().filter(|number| number.to_string() == text) {
        return Some(Stored::Integer(number));
    }
    match text {
        "NaN" => return Some(Stored::NotFinite("NaN")),
        "Infinity" => return Some(Stored::NotFinite("Infinity")),
        "-Infinity" => return Some(Stored::NotFinite("-Infinity")),
        _ => {}
    }
    let is_number = text.starts_with(|first: char| first == '-' || first.is_ascii_digit())
        && text.ends_with(|last: char| last.is_ascii_digit());
    (is_number && serde_json::from_str::<&RawValue>(text).is_ok()).then(|| Stored::Number(text.to_owned()))
}

/// Reads a value of a JSON text. The text is taken apart level by level, since any other way to read a number rounds it.
fn value_of_json(value: &RawValue, depth: usize) -> Result<Stored, Unreadable> {
    if depth > MAX_DEPTH {
        return Err(Unreadable::TooDeep);
    }
    let text = value.get();
    Ok(match text.as_bytes().first() {
        Some(b'{') => {
            let Pairs(members) = serde_json::from_str(text).map_err(not_json)?;
            let members = members.into_iter().map(|(name, value)| {
                let value =
                    value_of_json(value, depth + 1).map_err(|error| error.below(&format!(".{name}")))?;
                Ok((name, value))
            });
            unwrapped(members.collect::<Result<_, _>>()?)?
        }
        Some(b'[') => {
            let elements: Vec<&RawValue> = serde_json::from_str(text).map_err(not_json)?;
            let elements = elements.into_iter().enumerate().map(|(index, element)| {
                value_of_json(element, depth + 1).map_err(|error| error.below(&format!("[{index}]")))
            });
            Stored::List(elements.collect::<Result<_, _>>()?)
        }
        Some(b'"') => Stored::Text(serde_json::from_str(text).map_err(not_json)?),
        Some(b't') => Stored::Boolean(true),
        Some(b'f') => Stored::Boolean(false),
        Some(b'n') => Stored::Null,
        _ => number_of(text).ok_or_else(|| not_json("a number cannot be read"))?,
    })
}

impl Unreadable {
    /// The same error as the level above sees it: its path leads through `step` first.
    fn below(self, step: &str) -> Self {
        match self {
            Self::Wrapped { path, kind } => {
                Self::Wrapped { path: path.replacen('$', &format!("${step}"), 1), kind }
            }
            other => other,
        }
    }
}

/// A JSON object's members, in their own order.
struct Pairs<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PairsVisitor)
    }
}

struct PairsVisitor;

impl<'de> Visitor<'de> for PairsVisitor {
    type Value = Pairs<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Pairs(members))
    }
}

/// Turns an object such as `{"$oid": …}` into the value that it stands for; any other object stays an object.
fn unwrapped(members: Vec<(String, Stored)>) -> Result<Stored, Unreadable> {
    let Some((name, value)) = members.first().filter(|(name, _)| name.starts_with('$')) else {
        return Ok(Stored::Object(members));
    };
    let stands_for = match (name.as_str(), value) {
        ("$oid", Stored::Text(id)) => Some(Stored::Text(id.to_ascii_lowercase())),
        ("$numberInt" | "$numberLong", Stored::Text(number)) => {
            number_of(number).filter(|number| number.integer().is_some())
        }
        ("$numberDouble" | "$numberDecimal", Stored::Text(number)) => number_of(number),
        (
            "$numberInt" | "$numberLong" | "$numberDouble" | "$numberDecimal",
            number @ (Stored::Integer(_) | Stored::Number(_)),
        ) => Some(number.clone()),
        ("$date", Stored::Text(time)) => date(time).map(Stored::Date),
        ("$date", time) => time.integer().and_then(|time| i64::try_from(time).ok()).map(Stored::Date),
        ("$timestamp", time @ Stored::Object(_)) => Some(time.field("t").cloned().unwrap_or(Stored::Null)),
        ("$binary", binary @ Stored::Object(_)) => {
            Some(binary.field("base64").cloned().unwrap_or(Stored::Null))
        }
        ("$regularExpression", expression @ Stored::Object(_)) => {
            Some(expression.field("pattern").cloned().unwrap_or(Stored::Null))
        }
        ("$binary" | "$symbol" | "$code" | "$uuid" | "$regex", Stored::Text(text)) => {
            Some(Stored::Text(text.clone()))
        }
        ("$undefined" | "$minKey" | "$maxKey" | "$dbPointer", _) => Some(Stored::Null),
        ("$oid" | "$numberInt" | "$numberLong" | "$numberDouble" | "$numberDecimal" | "$timestamp", _) => {
            None
        }
        _ => return Ok(Stored::Object(members)),
    };
    stands_for.ok_or_else(|| Unreadable::Wrapped { path: "$".to_owned(), kind: name.clone() })
}

/// Reads a time in RFC 3339, or in the form of older exports, whose time zone has no colon. Returns milliseconds since
/// 1970.
fn date(text: &str) -> Option<i64> {
    let parse = |text: &str| DateTime::parse_rfc3339_str(text).ok().map(DateTime::timestamp_millis);
    parse(text).or_else(|| {
        let (time, zone) = text.split_at_checked(text.len().checked_sub(2)?)?;
        parse(&format!("{time}:{zone}"))
    })
}

#[cfg(test)]
mod tests {
    use bson::{Bson, doc, oid::ObjectId};

    use super::*;

    fn json(text: &str) -> Stored {
        Stored::from_json(text.as_bytes()).unwrap()
    }

    #[test]
    fn bson_and_every_version_of_extended_json_read_the_same() {
        let id = ObjectId::parse_str("619dbaa8c528c2182225e8d9").unwrap();
        let time = DateTime::from_millis(1_637_726_888_500);
        let document = doc! {
            "_id": id, "a": 1_i32, "b": 1_637_726_888_i64, "d": 0.5, "e": Bson::Null,
            "f": [true, { "g": "h" }], "t": time,
        };
        let read = Stored::from_bson(&document.to_vec().unwrap()).unwrap();
        let relaxed = r#"{"_id":{"$oid":"619dbaa8c528c2182225e8d9"},"a":1,"b":1637726888,"d":0.5,"e":null,"f":[true,{"g":"h"}],"t":{"$date":"2021-11-24T04:08:08.5Z"}}"#;
        let canonical = r#"{"_id":{"$oid":"619dbaa8c528c2182225e8d9"},"a":{"$numberInt":"1"},"b":{"$numberLong":"1637726888"},"d":{"$numberDouble":"0.5"},"e":null,"f":[true,{"g":"h"}],"t":{"$date":{"$numberLong":"1637726888500"}}}"#;
        let version_1 = r#"{"_id":{"$oid":"619DBAA8C528C2182225E8D9"},"a":1,"b":{"$numberLong":"1637726888"},"d":0.5,"e":{"$undefined":true},"f":[true,{"g":"h"}],"t":{"$date":"2021-11-24T12:08:08.500+0800"}}"#;
        for text in [relaxed, canonical, version_1] {
            assert_eq!(json(text), read, "{text}");
        }
    }

    #[test]
    fn an_integer_is_read_without_rounding_however_it_is_written() {
        let read = Stored::from_bson(&doc! { "n": 7.0 }.to_vec().unwrap()).unwrap();
        assert_eq!(read.field("n"), Some(&Stored::Integer(7)));
        for text in ["7", "7.0", "70e-1", "0.07E+2", r#"{"$numberDouble":"7.0"}"#, r#"{"$numberLong":"7"}"#] {
            assert_eq!(json(text).integer(), Some(7), "{text}");
        }
        for (text, integer) in [
            ("9007199254740993.0", 9_007_199_254_740_993),
            ("-922337203685477580.8e1", i128::from(i64::MIN)),
            ("1.8446744073709551615E19", i128::from(u64::MAX)),
            ("0e999", 0),
            ("-0", 0),
        ] {
            assert_eq!(json(text).integer(), Some(integer), "{text}");
        }
        for text in
            ["7.5", "1e20", "18446744073709551616.0", "-9223372036854775809e0", "1e-1", "1e9999", "1e-9999"]
        {
            assert_eq!(json(text).integer(), None, "{text}");
        }
    }

    #[test]
    fn what_json_cannot_hold_becomes_null_or_text() {
        assert_eq!(json(r#"{"$minKey":1}"#), Stored::Null);
        assert_eq!(json(r#"{"$timestamp":{"t":5,"i":1}}"#), Stored::Integer(5));
        assert_eq!(json(r#"{"$binary":{"base64":"AQ==","subType":"00"}}"#), Stored::Text("AQ==".to_owned()));
    }

    #[test]
    fn numbers_keep_every_digit_and_those_that_json_cannot_hold_are_found() {
        let decimal = |text: &str| json(&format!(r#"{{"$numberDecimal":"{text}"}}"#));
        assert_eq!(decimal("12"), Stored::Integer(12));
        for text in ["1234567890123456789012345678.901234", "7.00", "-0", "1E+3", "0.1", "1E-6176"] {
            assert_eq!(decimal(text), Stored::Number(text.to_owned()));
            let document = doc! { "n": text.parse::<bson::Decimal128>().unwrap() };
            let read = Stored::from_bson(&document.to_vec().unwrap()).unwrap();
            assert_eq!(read.field("n"), Some(&decimal(text)), "{text}");
        }
        for text in ["NaN", "Infinity", "-Infinity"] {
            let document = doc! {
                "a": [1, { "b": text.parse::<f64>().unwrap() }], "c": text.parse::<bson::Decimal128>().unwrap(),
            };
            let read = Stored::from_bson(&document.to_vec().unwrap()).unwrap();
            assert_eq!(read.find_not_finite().unwrap().0, "$.a[1].b", "{text}");
            assert!(read.field("c").unwrap().find_not_finite().is_some());
            for kind in ["$numberDouble", "$numberDecimal"] {
                assert!(
                    json(&format!(r#"{{"{kind}":"{text}"}}"#)).find_not_finite().is_some(),
                    "{kind} {text}"
                );
            }
        }
        assert_eq!(Stored::double(1e18), Stored::Integer(1_000_000_000_000_000_000));
        assert_eq!(Stored::double(-9_223_372_036_854_775_808.0), Stored::Integer(i64::MIN.into()));
        for number in [0.1 + 0.2, 5e-324, 1.797_693_134_862_315_7e308, 6.626_070_15e-34, 1e20] {
            let Stored::Number(text) = Stored::double(number) else {
                panic!("{number} is no integer of 64 bits")
            };
            assert_eq!(text.parse::<f64>().map(f64::to_bits), Ok(number.to_bits()));
        }
    }

    #[test]
    fn spoiled_documents_are_told_from_whole_ones() {
        let whole = doc! { "a": "text", "b": { "c": [1, 2, 3] } }.to_vec().unwrap();
        for end in 0..whole.len() {
            assert!(Stored::from_bson(&whole[..end]).is_err(), "{end}");
        }
        for text in [
            "{",
            r#"{"$oid":5}"#,
            r#"{"$numberLong":"x"}"#,
            r#"{"$date":"yesterday"}"#,
            r#"{"$numberDecimal":"x"}"#,
            "{} x",
        ] {
            assert!(Stored::from_json(text.as_bytes()).is_err(), "{text}");
        }
        let mut deep = doc! {};
        for _ in 0..200 {
            deep = doc! { "a": deep };
        }
        assert_eq!(Stored::from_bson(&deep.to_vec().unwrap()), Err(Unreadable::TooDeep));
    }
}
