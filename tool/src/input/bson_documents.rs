//! Reads one document of Zadig's database, whether it was written as BSON or as Extended JSON.
//!
//! What JSON has no form for is told apart here (`Json::Foreign`), so that it is refused by name and never
//! becomes something else in silence.

use std::borrow::Cow;
use std::fmt;

use bson::{DateTime, RawBsonRef, RawDocument};
use serde_json::value::RawValue;

use crate::json::{Json, MAX_DEPTH, Members, Path, Problem};

/// Reads one BSON document.
pub(super) fn from_bson(bytes: &[u8]) -> Result<Json<'_>, Problem> {
    let document = RawDocument::from_bytes(bytes).map_err(|error| not_bson(error, &Path::ROOT))?;
    members(document, 1, &Path::ROOT)
}

/// Reads one document of Extended JSON: version 2, relaxed or canonical, and version 1.
pub(super) fn from_json(text: &[u8]) -> Result<Json<'_>, Problem> {
    unwrapped(Json::read(text)?, &Path::ROOT)
}

/// The integer that a value stands for, however it was written: `7`, `7.0` and `70e-1` are one. `None` where
/// it has a fraction, or was written with a point or an exponent and does not fit into 64 bits.
pub(super) fn integer(value: &Json<'_>) -> Option<i128> {
    match value {
        Json::Number(text) => text.parse().ok().or_else(|| exact_integer(text)),
        _ => None,
    }
}

/// The integer that a JSON number stands for, without rounding; `None` where it has a fraction or does not
/// fit into 64 bits.
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

fn not_bson(error: impl fmt::Display, path: &Path<'_>) -> Problem {
    path.problem(format!("no BSON document: {error}"))
}

/// Reads the members of a document, which may hold this many levels besides itself.
fn members<'a>(document: &'a RawDocument, depth: usize, path: &Path<'_>) -> Result<Json<'a>, Problem> {
    let mut members = Members::new();
    for element in document {
        let (name, value) = element.map_err(|error| not_bson(error, path))?;
        let value = value_of(value, depth, &path.field(name.as_str()))?;
        members.insert(Cow::Borrowed(name.as_str()), value);
    }
    Ok(Json::Object(members))
}

/// Reads a value inside this many objects and lists.
fn value_of<'a>(value: RawBsonRef<'a>, depth: usize, path: &Path<'_>) -> Result<Json<'a>, Problem> {
    if depth == MAX_DEPTH && matches!(value, RawBsonRef::Document(_) | RawBsonRef::Array(_)) {
        return Err(path.problem(format!("nested more than {MAX_DEPTH} levels deep")));
    }
    Ok(match value {
        RawBsonRef::Double(number) => double(number),
        RawBsonRef::Int32(number) => Json::integer(number.into()),
        RawBsonRef::Int64(number) => Json::integer(number.into()),
        RawBsonRef::Decimal128(number) => number_of(&number.to_string())
            .ok_or_else(|| not_bson(format!("a Decimal128 has the text {number}"), path))?,
        RawBsonRef::Boolean(boolean) => Json::Boolean(boolean),
        RawBsonRef::String(text) => Json::text(text),
        RawBsonRef::ObjectId(id) => Json::text(id.to_hex()),
        RawBsonRef::DateTime(time) => date(time.timestamp_millis()),
        RawBsonRef::Document(document) => members(document, depth + 1, path)?,
        RawBsonRef::Array(array) => {
            let mut elements = Vec::new();
            for element in array {
                let path = path.index(elements.len());
                let element = element.map_err(|error| not_bson(error, &path))?;
                elements.push(value_of(element, depth + 1, &path)?);
            }
            Json::List(elements)
        }
        RawBsonRef::Null => Json::Null,
        RawBsonRef::Binary(_) => Json::Foreign(BINARY),
        RawBsonRef::RegularExpression(_) => Json::Foreign(REGULAR_EXPRESSION),
        RawBsonRef::JavaScriptCode(_) | RawBsonRef::JavaScriptCodeWithScope(_) => Json::Foreign(CODE),
        RawBsonRef::Symbol(_) => Json::Foreign(SYMBOL),
        RawBsonRef::Timestamp(_) => Json::Foreign(TIMESTAMP),
        RawBsonRef::Undefined => Json::Foreign(UNDEFINED),
        RawBsonRef::MinKey => Json::Foreign(MIN_KEY),
        RawBsonRef::MaxKey => Json::Foreign(MAX_KEY),
        RawBsonRef::DbPointer(_) => Json::Foreign(DB_POINTER),
    })
}

const BINARY: &str = "binary data";
const REGULAR_EXPRESSION: &str = "a regular expression";
const CODE: &str = "JavaScript code";
const SYMBOL: &str = "a symbol";
const TIMESTAMP: &str = "a timestamp of MongoDB's replication";
const UNDEFINED: &str = "undefined";
const MIN_KEY: &str = "MinKey";
const MAX_KEY: &str = "MaxKey";
const DB_POINTER: &str = "a DBPointer";

/// The members that tell such a value in Extended JSON, of both versions.
const FOREIGN_MEMBERS: [(&str, &str); 11] = [
    ("$binary", BINARY),
    ("$uuid", BINARY),
    ("$regularExpression", REGULAR_EXPRESSION),
    ("$regex", REGULAR_EXPRESSION),
    ("$code", CODE),
    ("$symbol", SYMBOL),
    ("$timestamp", TIMESTAMP),
    ("$undefined", UNDEFINED),
    ("$minKey", MIN_KEY),
    ("$maxKey", MAX_KEY),
    ("$dbPointer", DB_POINTER),
];

/// A date, in milliseconds since 1970. RFC 3339 has four digits for a year.
fn date(milliseconds: i64) -> Json<'static> {
    const YEAR_0_BEGINS: i64 = -62_167_219_200_000;
    const YEAR_10000_BEGINS: i64 = 253_402_300_800_000;
    if (YEAR_0_BEGINS..YEAR_10000_BEGINS).contains(&milliseconds) {
        Json::Date(milliseconds)
    } else {
        Json::Foreign("a date outside of the years 0 to 9999")
    }
}

/// A BSON double as Go writes it: as an integer where it has no fraction.
fn double(number: f64) -> Json<'static> {
    /// No signed or unsigned 64-bit integer is greater.
    const MAX_WHOLE: f64 = 18_446_744_073_709_551_616.0;
    if number.is_nan() {
        return Json::Foreign("NaN");
    }
    if number.is_infinite() {
        return Json::Foreign(if number > 0.0 { "Infinity" } else { "-Infinity" });
    }
    if number.fract() == 0.0 && number.abs() <= MAX_WHOLE {
        // Without a point, and with the sign of -0.
        return Json::Number(format!("{number:.0}").into());
    }
    // The shortest text that is read back as exactly this double.
    let text = serde_json::Number::from_f64(number).map_or_else(String::new, |number| number.to_string());
    Json::Number(text.into())
}

/// Reads a number and keeps it digit by digit as it was written; `None` where the text is not a number.
fn number_of<'a>(text: &str) -> Option<Json<'a>> {
    for name in ["NaN", "Infinity", "-Infinity"] {
        if text == name {
            return Some(Json::Foreign(name));
        }
    }
    let is_number = text.starts_with(|first: char| first == '-' || first.is_ascii_digit())
        && text.ends_with(|last: char| last.is_ascii_digit());
    (is_number && serde_json::from_str::<&RawValue>(text).is_ok())
        .then(|| Json::Number(text.to_owned().into()))
}

/// Turns each object such as `{"$oid": …}` into the value that it stands for.
fn unwrapped<'a>(value: Json<'a>, path: &Path<'_>) -> Result<Json<'a>, Problem> {
    let mut value = value;
    match &mut value {
        Json::List(elements) => {
            for (index, element) in elements.iter_mut().enumerate() {
                *element = unwrapped(std::mem::replace(element, Json::Null), &path.index(index))?;
            }
        }
        Json::Object(members) => {
            for (name, member) in members.iter_mut() {
                *member = unwrapped(std::mem::replace(member, Json::Null), &path.field(name))?;
            }
            if let Some(stands_for) = stands_for(members, path)? {
                return Ok(stands_for);
            }
        }
        _ => {}
    }
    Ok(value)
}

/// The value that an object of Extended JSON stands for; `None` where it stands for itself.
fn stands_for<'a>(members: &Members<'a>, path: &Path<'_>) -> Result<Option<Json<'a>>, Problem> {
    if let Some((_, what)) = FOREIGN_MEMBERS.iter().find(|(name, _)| members.contains_key(*name)) {
        return Ok(Some(Json::Foreign(what)));
    }
    let kinds = ["$oid", "$date", "$numberInt", "$numberLong", "$numberDouble", "$numberDecimal"];
    let Some(kind) = kinds.into_iter().find(|kind| members.contains_key(*kind)) else { return Ok(None) };
    // Beside it, nothing else may stand: it would be lost.
    let value = Some(&members[kind]).filter(|_| members.len() == 1);
    let stands_for = value.and_then(|value| match (kind, value) {
        ("$oid", Json::Text(id)) => {
            let is_id = id.len() == 24 && id.bytes().all(|digit| digit.is_ascii_hexdigit());
            is_id.then(|| Json::text(id.to_ascii_lowercase()))
        }
        ("$date", Json::Text(time)) => milliseconds(time).map(date),
        ("$date", time) => integer(time).and_then(|time| i64::try_from(time).ok()).map(date),
        ("$numberInt" | "$numberLong", Json::Text(number)) => {
            number_of(number).filter(|number| integer(number).is_some())
        }
        ("$numberDouble" | "$numberDecimal", Json::Text(number)) => number_of(number),
        ("$numberInt" | "$numberLong" | "$numberDouble" | "$numberDecimal", number @ Json::Number(_)) => {
            Some(number.clone())
        }
        _ => None,
    });
    stands_for.map(Some).ok_or_else(|| path.problem(format!("the value of a {kind} cannot be read")))
}

/// Reads a time in RFC 3339, or in the form of older exports, whose time zone has no colon. Returns
/// milliseconds since 1970.
fn milliseconds(text: &str) -> Option<i64> {
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

    fn json(text: &str) -> Json<'_> {
        from_json(text.as_bytes()).unwrap()
    }

    #[test]
    fn bson_and_every_version_of_extended_json_read_the_same() {
        let id = ObjectId::parse_str("619dbaa8c528c2182225e8d9").unwrap();
        let time = DateTime::from_millis(1_637_726_888_500);
        let document = doc! {
            "_id": id, "a": 1_i32, "b": 1_637_726_888_i64, "d": 0.5, "e": Bson::Null,
            "f": [true, { "g": "h" }], "t": time,
        };
        let bytes = document.to_vec().unwrap();
        let read = from_bson(&bytes).unwrap();
        let relaxed = r#"{"_id":{"$oid":"619dbaa8c528c2182225e8d9"},"a":1,"b":1637726888,"d":0.5,"e":null,"f":[true,{"g":"h"}],"t":{"$date":"2021-11-24T04:08:08.5Z"}}"#;
        let canonical = r#"{"_id":{"$oid":"619dbaa8c528c2182225e8d9"},"a":{"$numberInt":"1"},"b":{"$numberLong":"1637726888"},"d":{"$numberDouble":"0.5"},"e":null,"f":[true,{"g":"h"}],"t":{"$date":{"$numberLong":"1637726888500"}}}"#;
        let version_1 = r#"{"_id":{"$oid":"619DBAA8C528C2182225E8D9"},"a":1,"b":{"$numberLong":"1637726888"},"d":0.5,"e":null,"f":[true,{"g":"h"}],"t":{"$date":"2021-11-24T12:08:08.500+0800"}}"#;
        for text in [relaxed, canonical, version_1] {
            assert_eq!(json(text), read, "{text}");
        }
    }

    #[test]
    fn an_integer_is_read_without_rounding_however_it_is_written() {
        let document = doc! { "n": 7.0 }.to_vec().unwrap();
        assert_eq!(from_bson(&document).unwrap().member("n"), Some(&Json::integer(7)));
        for text in ["7", "7.0", "70e-1", "0.07E+2", r#"{"$numberDouble":"7.0"}"#, r#"{"$numberLong":"7"}"#] {
            assert_eq!(integer(&json(text)), Some(7), "{text}");
        }
        for (text, whole) in [
            ("9007199254740993.0", 9_007_199_254_740_993),
            ("-922337203685477580.8e1", i128::from(i64::MIN)),
            ("1.8446744073709551615E19", i128::from(u64::MAX)),
            ("0e999", 0),
            ("-0", 0),
        ] {
            assert_eq!(integer(&json(text)), Some(whole), "{text}");
        }
        for text in
            ["7.5", "1e20", "18446744073709551616.0", "-9223372036854775809e0", "1e-1", "1e9999", "1e-9999"]
        {
            assert_eq!(integer(&json(text)), None, "{text}");
        }
    }

    #[test]
    fn what_json_has_no_form_for_is_told_apart_alike_in_bson_and_extended_json() {
        use bson::spec::BinarySubtype;
        let scope = doc! { "x": 1 };
        let binary = bson::Binary { subtype: BinarySubtype::Generic, bytes: vec![1] };
        let regex = bson::Regex { pattern: bson::cstr!("a+").into(), options: bson::cstr!("i").into() };
        let code = bson::JavaScriptCodeWithScope { code: "f()".to_owned(), scope };
        for (value, what, texts) in [
            (Bson::MinKey, MIN_KEY, &[r#"{"$minKey":1}"#][..]),
            (Bson::MaxKey, MAX_KEY, &[r#"{"$maxKey":1}"#]),
            (Bson::Undefined, UNDEFINED, &[r#"{"$undefined":true}"#]),
            (Bson::Symbol("s".to_owned()), SYMBOL, &[r#"{"$symbol":"s"}"#]),
            (Bson::JavaScriptCode("f()".to_owned()), CODE, &[r#"{"$code":"f()"}"#]),
            (code.into(), CODE, &[r#"{"$code":"f()","$scope":{"x":1}}"#]),
            (
                regex.into(),
                REGULAR_EXPRESSION,
                &[
                    r#"{"$regularExpression":{"pattern":"a+","options":"i"}}"#,
                    r#"{"$regex":"a+","$options":"i"}"#,
                ],
            ),
            (
                binary.into(),
                BINARY,
                &[
                    r#"{"$binary":{"base64":"AQ==","subType":"00"}}"#,
                    r#"{"$binary":"AQ==","$type":"00"}"#,
                    r#"{"$type":"00","$binary":"AQ=="}"#,
                    r#"{"$uuid":"00112233-4455-6677-8899-aabbccddeeff"}"#,
                ],
            ),
            (
                bson::Timestamp { time: 5, increment: 1 }.into(),
                TIMESTAMP,
                &[r#"{"$timestamp":{"t":5,"i":1}}"#],
            ),
        ] {
            let document = doc! { "v": value }.to_vec().unwrap();
            assert_eq!(from_bson(&document).unwrap().member("v"), Some(&Json::Foreign(what)));
            for text in texts {
                assert_eq!(json(text), Json::Foreign(what), "{text}");
            }
        }
    }

    #[test]
    fn a_date_is_a_moment_of_the_years_0_to_9999_or_foreign() {
        let outside = Json::Foreign("a date outside of the years 0 to 9999");
        for (milliseconds, expected) in [
            (-62_167_219_200_001, &outside),
            (-62_167_219_200_000, &Json::Date(-62_167_219_200_000)),
            (-1, &Json::Date(-1)),
            (253_402_300_799_999, &Json::Date(253_402_300_799_999)),
            (253_402_300_800_000, &outside),
            (i64::MAX, &outside),
            (i64::MIN, &outside),
        ] {
            let document = doc! { "t": DateTime::from_millis(milliseconds) }.to_vec().unwrap();
            assert_eq!(from_bson(&document).unwrap().member("t"), Some(expected));
            let canonical = format!(r#"{{"$date":{{"$numberLong":"{milliseconds}"}}}}"#);
            assert_eq!(json(&canonical), *expected, "{milliseconds}");
        }
        assert_eq!(json(r#"{"$date":"9999-12-31T23:59:59.999Z"}"#), Json::Date(253_402_300_799_999));
    }

    #[test]
    fn an_object_of_extended_json_that_holds_more_than_its_value_is_no_value() {
        for text in [
            r#"{"$oid":"619dbaa8c528c2182225e8d9","x":1}"#,
            r#"{"x":1,"$date":"2021-11-24T04:08:08Z"}"#,
            r#"{"$numberInt":"1","$numberLong":"2"}"#,
            r#"{"$oid":"not an id"}"#,
        ] {
            let problem = from_json(text.as_bytes()).unwrap_err().to_string();
            assert!(problem.ends_with(" cannot be read"), "{text}: {problem}");
        }
        let reference = r#"{"$ref":"c","$id":"i"}"#;
        assert_eq!(crate::json::to_text(&json(reference)), reference);
    }

    #[test]
    fn numbers_keep_every_digit_and_those_that_json_cannot_hold_stay_apart() {
        for text in ["12", "1234567890123456789012345678.901234", "7.00", "-0", "1E+3", "0.1", "1E-6176"] {
            let wrapped = format!(r#"{{"$numberDecimal":"{text}"}}"#);
            assert_eq!(json(&wrapped), Json::Number(text.into()));
            let document = doc! { "n": text.parse::<bson::Decimal128>().unwrap() }.to_vec().unwrap();
            assert_eq!(from_bson(&document).unwrap().member("n"), Some(&Json::Number(text.into())), "{text}");
        }
        for text in ["NaN", "Infinity", "-Infinity"] {
            let document = doc! {
                "a": text.parse::<f64>().unwrap(), "b": text.parse::<bson::Decimal128>().unwrap(),
            };
            let document = document.to_vec().unwrap();
            let read = from_bson(&document).unwrap();
            for name in ["a", "b"] {
                assert_eq!(read.member(name), Some(&Json::Foreign(text)));
            }
            for kind in ["$numberDouble", "$numberDecimal"] {
                assert_eq!(json(&format!(r#"{{"{kind}":"{text}"}}"#)), Json::Foreign(text), "{kind}");
            }
        }
        for (number, text) in [
            (1e18, "1000000000000000000"),
            (-9_223_372_036_854_775_808.0, "-9223372036854775808"),
            (-0.0, "-0"),
        ] {
            assert_eq!(double(number), Json::Number(text.into()));
        }
        for number in [0.1 + 0.2, 5e-324, 1.797_693_134_862_315_7e308, 6.626_070_15e-34, 1e20] {
            let Json::Number(text) = double(number) else { panic!("{number} is a number") };
            assert_eq!(text.parse::<f64>().map(f64::to_bits), Ok(number.to_bits()));
        }
    }

    #[test]
    fn spoiled_documents_are_told_from_whole_ones() {
        let whole = doc! { "a": "text", "b": { "c": [1, 2, 3] } }.to_vec().unwrap();
        for end in 0..whole.len() {
            assert!(from_bson(&whole[..end]).is_err(), "{end}");
        }
        for text in [
            "{",
            r#"{"$oid":5}"#,
            r#"{"$numberLong":"x"}"#,
            r#"{"$date":"yesterday"}"#,
            r#"{"$numberDecimal":"x"}"#,
            "{} x",
        ] {
            assert!(from_json(text.as_bytes()).is_err(), "{text}");
        }
        let mut deep = doc! {};
        for _ in 0..200 {
            deep = doc! { "a": deep };
        }
        let bytes = deep.to_vec().unwrap();
        let deep = from_bson(&bytes).unwrap_err().to_string();
        assert!(deep.ends_with("…: nested more than 100 levels deep"), "{deep}");
    }
}
