//! The two endpoints, by the names that everything of theirs bears.

/// An endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// `GET /api/aslan/delivery/releases`
    ListReleases,
    /// `GET /api/directory/dc/artifact`
    GetArtifact,
}

impl Endpoint {
    /// Both.
    pub const ALL: [Self; 2] = [Self::ListReleases, Self::GetArtifact];

    /// The name that its binary, its events and its tests bear.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ListReleases => "list-releases",
            Self::GetArtifact => "get-artifact",
        }
    }

    /// Its path.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::ListReleases => "/api/aslan/delivery/releases",
            Self::GetArtifact => "/api/directory/dc/artifact",
        }
    }
}
