//! The answers, read as DynamoDB writes them.

use super::item::{Item, read_item};
use super::json::{Reader, Unreadable};

/// What a Query or a Scan answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageAnswer {
    /// The items, in the order asked for.
    pub items: Vec<Item>,
    /// How many there are, where they were only counted too.
    pub count: u64,
    /// Where the page ends; none where nothing follows.
    pub last: Option<Item>,
    /// What it cost.
    pub capacity: Capacity,
}

/// What a BatchGetItem answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchAnswer {
    /// The items that are there, in no order.
    pub items: Vec<Item>,
    /// The keys that DynamoDB had no time or capacity for.
    pub unprocessed: Vec<Item>,
    /// What it cost.
    pub capacity: Capacity,
}

/// Read request units, in thousandths: DynamoDB counts in halves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Capacity {
    /// Thousandths of a read request unit.
    pub milliunits: u64,
}

/// What DynamoDB says of a request that it does not answer.
#[derive(Debug, Default)]
pub(super) struct Refusal {
    /// The error's name, such as `ThrottlingException`; empty where there is none.
    pub(super) code: String,
    /// DynamoDB's words.
    pub(super) message: String,
}

impl Refusal {
    /// Reads what there is, in the body or the header `x-amzn-errortype`; whoever sits between may write something else.
    pub(super) fn read(body: &[u8], error_type: Option<&str>) -> Self {
        let body: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |name: &str| body.get(name).and_then(serde_json::Value::as_str);
        let kind = text("__type").or_else(|| text("code")).or(error_type).unwrap_or_default();
        // A namespace may stand in front of the name, and a URL behind it.
        let name = kind.rsplit_once('#').map_or(kind, |(_, name)| name);
        let name = name.split_once(':').map_or(name, |(name, _)| name);
        let message = text("message").or_else(|| text("Message")).unwrap_or_default();
        Self { code: name.to_owned(), message: message.to_owned() }
    }
}

impl PageAnswer {
    pub(super) fn read(body: &[u8]) -> Result<Self, Unreadable> {
        let (mut items, mut count, mut last) = (Vec::new(), None, None);
        let mut capacity = Capacity::default();
        read(body, |reader, name| match name {
            b"Items" => read_items(reader, &mut items),
            b"Count" => {
                count = Some(reader.number()?);
                Ok(())
            }
            b"LastEvaluatedKey" => {
                last = Some(read_item(reader)?).filter(|key| !key.is_empty());
                Ok(())
            }
            b"ConsumedCapacity" => capacity.read(reader),
            _ => reader.pass(),
        })?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a megabyte holds less than a million items"
        )]
        let count = count.map_or(items.len() as u64, |count| count as u64);
        Ok(Self { items, count, last, capacity })
    }
}

impl BatchAnswer {
    /// Reads the answer to a request for items of one table.
    pub(super) fn read(body: &[u8]) -> Result<Self, Unreadable> {
        let (mut items, mut unprocessed) = (Vec::new(), Vec::new());
        let mut capacity = Capacity::default();
        read(body, |reader, name| match name {
            b"Responses" => reader.object(|reader, _| read_items(reader, &mut items)),
            b"UnprocessedKeys" => reader.object(|reader, _| {
                reader.object(|reader, name| match name.as_ref() {
                    b"Keys" => read_items(reader, &mut unprocessed),
                    _ => reader.pass(),
                })
            }),
            b"ConsumedCapacity" => reader.array(|reader| capacity.read(reader)),
            _ => reader.pass(),
        })?;
        Ok(Self { items, unprocessed, capacity })
    }
}

/// Reads an answer's members; one that is null is one that is not there.
fn read(
    body: &[u8],
    mut member: impl FnMut(&mut Reader, &[u8]) -> Result<(), Unreadable>,
) -> Result<(), Unreadable> {
    let mut reader = Reader::new(body);
    reader.object(|reader, name| if reader.took_null() { Ok(()) } else { member(reader, &name) })?;
    reader.end()
}

fn read_items(reader: &mut Reader, items: &mut Vec<Item>) -> Result<(), Unreadable> {
    reader.array(|reader| {
        items.push(read_item(reader)?);
        Ok(())
    })
}

impl Capacity {
    /// Adds what one table reports.
    fn read(&mut self, reader: &mut Reader) -> Result<(), Unreadable> {
        reader.object(|reader, name| {
            if name.as_ref() != b"CapacityUnits" {
                return reader.pass();
            }
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "DynamoDB bills small positive numbers"
            )]
            let milliunits = (reader.number()? * 1000.0).round() as u64;
            self.milliunits = self.milliunits.saturating_add(milliunits);
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::item::{AttributeValue, Base64};
    use super::*;

    #[test]
    fn an_answer_is_read_as_dynamodb_writes_it() {
        let answer = BatchAnswer::read(
            br#"{"ConsumedCapacity":[{"CapacityUnits":1.5,"TableName":"t"}],"Responses":{"t":[
                {"id":{"S":"a \"b\"\n"},"n":{"N":"7"},"b":{"B":"aGVsbG8="},"other":{"L":[{"BOOL":true}]}}]},
                "UnprocessedKeys":{"t":{"Keys":[{"id":{"S":"c"}}],"ConsistentRead":true,
                "ProjectionExpression":"id, \u0023e","ExpressionAttributeNames":{"\u0023e":"entry"}}}}"#,
        )
        .unwrap();
        let item = &answer.items[0];
        assert_eq!(item["id"], AttributeValue::S("a \"b\"\n".to_owned()));
        assert_eq!(item["n"], AttributeValue::N("7".to_owned()));
        assert_eq!(item["b"], AttributeValue::B(Base64::encode(b"hello")));
        assert_eq!(item["other"], AttributeValue::Other);
        assert_eq!(answer.capacity.milliunits, 1500);
        assert_eq!(answer.unprocessed, [Item::from([("id".into(), AttributeValue::S("c".to_owned()))])]);
    }

    #[test]
    fn a_page_is_read_as_dynamodb_writes_it() {
        let answer = PageAnswer::read(
            br#"{"Count":2,"ScannedCount":2,"Items":[{"a":{"S":"1"}},{"a":{"S":"2"}}],"LastEvaluatedKey":{"a":{"S":"2"}},
                "ConsumedCapacity":{"TableName":"t","CapacityUnits":0.5}}"#,
        )
        .unwrap();
        let item = |text: &str| Item::from([("a".into(), AttributeValue::S(text.to_owned()))]);
        assert_eq!(answer.items, [item("1"), item("2")]);
        assert_eq!((answer.count, answer.last, answer.capacity.milliunits), (2, Some(item("2")), 500));
        let counted = PageAnswer::read(br#"{"Count":7,"ScannedCount":7}"#).unwrap();
        assert_eq!((counted.count, counted.last, counted.items.len()), (7, None, 0));
    }

    #[test]
    fn what_is_cut_off_or_no_answer_is_an_error() {
        for body in
            ["", "{", "[]", r#"{"Responses":{"t":[{"b":{"B":7}}]}}"#, r#"{"Responses":{"t":[{"b":7}]}}"#]
        {
            assert!(BatchAnswer::read(body.as_bytes()).is_err(), "{body}");
        }
        assert!(BatchAnswer::read(b"{}").unwrap().items.is_empty());
        assert!(PageAnswer::read(br#"{"Items":[{"a":{"S":"#).is_err());
    }

    #[test]
    fn a_refusal_is_named_wherever_its_name_stands() {
        for (body, error_type, code, message) in [
            (
                r#"{"__type":"com.amazonaws.dynamodb.v20120810#ThrottlingException","message":"m"}"#,
                None,
                "ThrottlingException",
                "m",
            ),
            (
                r#"{"__type":"com.amazon.coral.service#AccessDeniedException","Message":"M"}"#,
                None,
                "AccessDeniedException",
                "M",
            ),
            (
                r#"{"__type":"a#ThrottlingException","message":"m","Message":"M"}"#,
                None,
                "ThrottlingException",
                "m",
            ),
            ("{}", Some("ThrottlingException:http://internal.amazon.com/"), "ThrottlingException", ""),
            ("<html>", None, "", ""),
        ] {
            let refusal = Refusal::read(body.as_bytes(), error_type);
            assert_eq!((refusal.code.as_str(), refusal.message.as_str()), (code, message), "{body}");
        }
    }
}
