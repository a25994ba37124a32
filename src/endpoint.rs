//! The two endpoints, their names and their paths.

/// An endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// `GET /api/aslan/delivery/releases`
    ListReleases,
    /// `GET /api/directory/dc/artifact`
    GetArtifact,
}

impl Endpoint {
    /// Both endpoints.
    pub const ALL: [Self; 2] = [Self::ListReleases, Self::GetArtifact];

    /// The name of its binary, which its module, events and tests have, too.
    pub fn name(self) -> &'static str {
        match self {
            Self::ListReleases => "list-releases",
            Self::GetArtifact => "get-artifact",
        }
    }

    /// Its path.
    pub fn path(self) -> &'static str {
        match self {
            Self::ListReleases => "/api/aslan/delivery/releases",
            Self::GetArtifact => "/api/directory/dc/artifact",
        }
    }
}
