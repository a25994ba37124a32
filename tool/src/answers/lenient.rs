//! Reads objects of an answer in spite of single fields: some are answered as they came, in whatever shape.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

/// Declares structs of whose JSON every field may be missing, `null` or of another shape. What cannot be read
/// is taken for absent.
macro_rules! lenient {
    ($($(#[$about:meta])* pub struct $name:ident {
        $($(#[$about_field:meta])* $visibility:vis $field:ident: $kind:ty,)*
    })*) => {$(
        #[derive(Debug, Clone, Default, serde::Deserialize)]
        #[serde(default)]
        $(#[$about])*
        pub struct $name {$(
            $(#[$about_field])*
            #[serde(deserialize_with = "crate::answers::lenient::value_or_default")]
            $visibility $field: $kind,
        )*}
    )*};
}

pub(super) use lenient;

pub(super) fn value_or_default<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).unwrap_or_default())
}
