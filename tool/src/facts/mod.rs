//! Records facts that pipelines send: what was built, deployed, tested or published, and what was released.
//!
//! A fact that is sent again is recorded once, even if several send it at the same moment. Facts about one
//! image that come at the same moment are all kept.

mod activity;
mod artifact_of_image;
mod contained;
mod image;
mod outcome;
mod reference_grammar;
mod release;

pub use self::activity::{Activity, ActivityKind, namespaces_of, record_activity};
pub use self::contained::newest_contained;
pub use self::image::NamedImage;
pub use self::outcome::{FactError, FactOutcome, Recorded};
pub use self::release::{Environment, NewRelease, ReleasedService, record_release};
