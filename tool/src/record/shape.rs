//! The shapes that values of the documented fields have, and the writer that brings a JSON text into its shape.

use delivery_center::position::MAX_UNIX_SECONDS;

use super::json_text::{Member, Members, elements, integer, members, push_separator, string, unexpected};
use super::problem::{Path, Problem};

/// The documented shape of a value.
pub(super) enum Shape {
    /// No type is documented, so the value is kept as it came.
    Anything,
    Text,
    Integer,
    Boolean,
    /// A list; `null` becomes `[]`.
    List(&'static Shape),
    /// An object with these fields in this order, and then all others as they came.
    Object(&'static [Field]),
    /// An object whose order is not documented: these fields are checked, and all fields stay in the order in which
    /// they came.
    Unordered(&'static [Field]),
    /// A list; `null` stays `null`.
    ListOrNull(&'static Shape),
}

/// One documented field of an object.
pub(super) struct Field {
    name: &'static str,
    shape: Shape,
    presence: Presence,
}

/// When a field is answered.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    /// Where the source has it.
    AsItCame,
    /// Always: as `[]`, `""` or `0` where it is missing or `null`.
    Always,
    /// Where the source has it and it is not `""`, `0`, `[]`, `{}` or `null`.
    UnlessEmpty,
}

impl Field {
    pub(super) const fn new(name: &'static str, shape: Shape) -> Self {
        Self { name, shape, presence: Presence::AsItCame }
    }

    pub(super) const fn always(name: &'static str, shape: Shape) -> Self {
        Self { name, shape, presence: Presence::Always }
    }

    pub(super) const fn unless_empty(name: &'static str, shape: Shape) -> Self {
        Self { name, shape, presence: Presence::UnlessEmpty }
    }
}

/// Writes values in their shapes, as compact JSON.
#[derive(Default)]
pub(super) struct Writer {
    pub(super) out: String,
}

impl Writer {
    /// Starts a member of the object that is being written.
    pub(super) fn key(&mut self, name: &str) {
        push_separator(&mut self.out);
        self.out.push('"');
        self.out.push_str(name);
        self.out.push_str("\":");
    }

    /// Writes an object: first the fields of the table in its order, and then the others.
    pub(super) fn object(
        &mut self,
        table: &[Field],
        members: &Members<'_>,
        path: &Path<'_>,
    ) -> Result<(), Problem> {
        self.out.push('{');
        for field in table {
            self.field(field, members.value(field.name), &path.field(field.name))?;
        }
        for member in members.iter().filter(|member| find(table, member).is_none()) {
            self.member_as_it_came(member);
        }
        self.out.push('}');
        Ok(())
    }

    /// Writes an object in the order in which it came.
    pub(super) fn unordered(
        &mut self,
        table: &[Field],
        members: &Members<'_>,
        path: &Path<'_>,
    ) -> Result<(), Problem> {
        self.out.push('{');
        for member in members.iter() {
            match find(table, member) {
                Some(field) => self.field(field, Some(member.value), &path.field(field.name))?,
                None => self.member_as_it_came(member),
            }
        }
        self.out.push('}');
        Ok(())
    }

    pub(super) fn member_as_it_came(&mut self, member: &Member<'_>) {
        push_separator(&mut self.out);
        self.out.push_str(&member.key);
        self.out.push(':');
        self.out.push_str(member.value);
    }

    fn field(&mut self, field: &Field, value: Option<&str>, path: &Path<'_>) -> Result<(), Problem> {
        let value = match (value, field.presence) {
            (Some("null") | None, Presence::Always) => field.shape.empty(),
            (Some("null"), Presence::UnlessEmpty) | (None, _) => return Ok(()),
            (Some(value), _) => value,
        };
        let before = self.out.len();
        self.key(field.name);
        let value_starts = self.out.len();
        match field.shape {
            Shape::Object(_) | Shape::Unordered(_) if value == "null" => self.out.push_str(value),
            _ => self.value(&field.shape, value, path)?,
        }
        if field.presence == Presence::UnlessEmpty && is_empty(&self.out[value_starts..]) {
            self.out.truncate(before);
        }
        Ok(())
    }

    fn value(&mut self, shape: &Shape, value: &str, path: &Path<'_>) -> Result<(), Problem> {
        match shape {
            Shape::Anything => self.out.push_str(value),
            Shape::Text | Shape::Integer | Shape::Boolean => self.scalar(shape, value, path)?,
            Shape::List(_) if value == "null" => self.out.push_str("[]"),
            Shape::ListOrNull(_) if value == "null" => self.out.push_str(value),
            Shape::List(element) | Shape::ListOrNull(element) => self.list(element, value, path)?,
            Shape::Object(table) => self.object(table, &members(value, path)?, path)?,
            Shape::Unordered(table) => self.unordered(table, &members(value, path)?, path)?,
        }
        Ok(())
    }

    /// Writes a text, a number or a boolean. `null` passes for any of them, since Go reads it as the zero value.
    fn scalar(&mut self, shape: &Shape, value: &str, path: &Path<'_>) -> Result<(), Problem> {
        match (shape, value.as_bytes().first()) {
            (_, Some(b'n')) | (Shape::Text, Some(b'"')) | (Shape::Boolean, Some(b't' | b'f')) => {
                self.out.push_str(value);
            }
            (Shape::Integer, _) => self.out.push_str(&integer(value, path)?.to_string()),
            (Shape::Boolean, _) => return Err(unexpected("true or false", value, path)),
            _ => return Err(unexpected("a string", value, path)),
        }
        Ok(())
    }

    fn list(&mut self, element: &Shape, value: &str, path: &Path<'_>) -> Result<(), Problem> {
        self.out.push('[');
        for (index, value) in elements(value, path)?.into_iter().enumerate() {
            push_separator(&mut self.out);
            self.value(element, value, &path.index(index))?;
        }
        self.out.push(']');
        Ok(())
    }
}

impl Shape {
    fn empty(&self) -> &'static str {
        match self {
            Self::Anything => "null",
            Self::Text => "\"\"",
            Self::Integer => "0",
            Self::Boolean => "false",
            Self::List(_) | Self::ListOrNull(_) => "[]",
            Self::Object(_) | Self::Unordered(_) => "{}",
        }
    }
}

/// Reads a string field; `""` where it is missing or `null`.
pub(super) fn text_of(members: &Members<'_>, name: &str, path: &Path<'_>) -> Result<String, Problem> {
    members.given(name).map_or_else(|| Ok(String::new()), |value| string(value, &path.field(name)))
}

/// Reads a string field that must be there and must not be empty.
pub(super) fn required_text(members: &Members<'_>, name: &str, path: &Path<'_>) -> Result<String, Problem> {
    let path = path.field(name);
    let value = members.value(name).unwrap_or_default();
    if value == "\"\"" {
        return Err(path.problem("expected a non-empty string, found an empty one"));
    }
    if !value.starts_with('"') {
        return Err(unexpected("a non-empty string", value, &path));
    }
    string(value, &path)
}

/// Reads an integer field; 0 where it is missing or `null`.
pub(super) fn integer_of(members: &Members<'_>, name: &str, path: &Path<'_>) -> Result<i128, Problem> {
    members.given(name).map_or(Ok(0), |value| integer(value, &path.field(name)))
}

/// Reads the time of a record, which must be in the documented range; 0 where it is missing or `null`.
pub(super) fn unix_seconds_of(members: &Members<'_>, name: &str, path: &Path<'_>) -> Result<u64, Problem> {
    let found = integer_of(members, name, path)?;
    if let Ok(seconds @ 0..=MAX_UNIX_SECONDS) = u64::try_from(found) {
        return Ok(seconds);
    }
    let in_milliseconds = (0..=i128::from(MAX_UNIX_SECONDS)).contains(&(found / 1000)) && found > 0;
    let hint = if in_milliseconds { ", which looks like milliseconds" } else { "" };
    let reason = format!("expected Unix seconds, 0 to {MAX_UNIX_SECONDS}, found {found}{hint}");
    Err(path.field(name).problem(reason))
}

/// Whether a record is soft-deleted: then `deleted_at` has the time of its deletion.
pub(super) fn is_deleted(members: &Members<'_>, path: &Path<'_>) -> Result<bool, Problem> {
    Ok(integer_of(members, "deleted_at", path)? != 0)
}

fn find<'t>(table: &'t [Field], member: &Member<'_>) -> Option<&'t Field> {
    table.iter().find(|field| field.name == member.name)
}

fn is_empty(value: &str) -> bool {
    matches!(value, "\"\"" | "0" | "[]" | "{}" | "null")
}
