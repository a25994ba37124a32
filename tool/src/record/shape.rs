//! Brings a record's values to the form that the tables of fields ask for, or tells which one does not fit.

use std::borrow::Cow;

use delivery_center::position::MAX_UNIX_SECONDS;

use super::fields::{Field, Fields, Kind, Presence};
use crate::json::{Json, Members, Path, Problem};

impl Fields {
    /// Checks an object, and puts its members in order.
    pub(super) fn checked<'a>(&self, members: Members<'a>, path: &Path<'_>) -> Result<Members<'a>, Problem> {
        let mut members = members;
        let mut answered = Members::with_capacity(members.len());
        for field in self.in_order {
            let value = members.shift_remove(field.shown);
            if let Some(value) = field.checked(value, &path.field(field.shown))? {
                answered.insert(Cow::Borrowed(field.shown), value);
            }
        }
        for (name, value) in members {
            let field = self.as_they_come.iter().find(|field| field.shown == name);
            let value = match field {
                Some(field) if value != Json::Null => field.kind.checked(value, &path.field(field.shown))?,
                _ => value,
            };
            answered.insert(name, value);
        }
        Ok(answered)
    }
}

impl Field {
    /// The value that is answered; `None` where the field is left out.
    fn checked<'a>(&self, value: Option<Json<'a>>, path: &Path<'_>) -> Result<Option<Json<'a>>, Problem> {
        let value = match (value, self.answered) {
            (None | Some(Json::Null), Presence::Always) => return Ok(Some(self.kind.empty())),
            (None, _) | (Some(Json::Null), Presence::UnlessEmpty) => return Ok(None),
            // Go reads it as the zero value, which is an empty list for lists alone.
            (Some(Json::Null), _) if !matches!(self.kind, Kind::List(_)) => return Ok(Some(Json::Null)),
            (Some(value), _) => self.kind.checked(value, path)?,
        };
        Ok(Some(value).filter(|value| self.answered != Presence::UnlessEmpty || !value.is_empty()))
    }
}

impl Kind {
    fn checked<'a>(&self, value: Json<'a>, path: &Path<'_>) -> Result<Json<'a>, Problem> {
        Ok(match (self, value) {
            (Self::Anything | Self::Unchecked(_), value)
            | (Self::Text | Self::Url, value @ Json::Text(_))
            | (Self::Boolean, value @ Json::Boolean(_))
            | (Self::Number, value @ Json::Number(_)) => value,
            (Self::Object(fields), value) => Json::Object(fields.checked(value.into_members(path)?, path)?),
            (Self::List(_), Json::Null) => Json::List(Vec::new()),
            (Self::List(element), value) => {
                let elements = value.into_elements(path)?.into_iter().enumerate();
                let checked = elements.map(|(index, value)| element.checked(value, &path.index(index)));
                Json::List(checked.collect::<Result<_, _>>()?)
            }
            (_, Json::Null) => Json::Null,
            (Self::Text | Self::Url, value) => return Err(value.unexpected("a string", path)),
            (Self::Boolean, value) => return Err(value.unexpected("true or false", path)),
            (Self::Number, value) => return Err(value.unexpected("a number", path)),
            (Self::Integer | Self::Time, value) => Json::integer(value.as_integer(path)?),
        })
    }

    /// What Go writes where a record has no such value; a list is never `null` here.
    pub(crate) fn empty<'a>(&self) -> Json<'a> {
        match self {
            Self::Text | Self::Url => Json::text(""),
            Self::Integer | Self::Number | Self::Time => Json::integer(0),
            Self::Boolean => Json::Boolean(false),
            Self::List(_) => Json::List(Vec::new()),
            Self::Anything | Self::Object(_) => Json::Null,
            Self::Unchecked(kind) => kind.empty(),
        }
    }
}

/// Reads a string field; `""` where it is missing or `null`. Its type was checked.
pub(super) fn text_of<'a>(members: &'a Members<'_>, name: &str) -> &'a str {
    members.get(name).and_then(Json::as_text).unwrap_or_default()
}

/// Reads a string field that must be there and must not be empty.
pub(crate) fn required_text(members: &Members<'_>, name: &str, path: &Path<'_>) -> Result<String, Problem> {
    let path = path.field(name);
    match members.get(name) {
        Some(Json::Text(text)) if text.is_empty() => {
            Err(path.problem("expected a non-empty string, found an empty one"))
        }
        Some(Json::Text(text)) => Ok(text.to_string()),
        Some(other) => Err(other.unexpected("a non-empty string", &path)),
        None => Err(path.problem("expected a non-empty string, found nothing")),
    }
}

/// Reads an integer field; 0 where it is missing or `null`.
pub(super) fn integer_of(members: &Members<'_>, name: &str, path: &Path<'_>) -> Result<i128, Problem> {
    match members.get(name) {
        None | Some(Json::Null) => Ok(0),
        Some(value) => value.as_integer(&path.field(name)),
    }
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
