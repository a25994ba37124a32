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

    /// The endpoint of a request's path. What stands in front of the endpoint's own path, such as a stage's
    /// name or the base path of a custom domain, is the gateway's affair, and slashes behind it are dropped.
    pub fn at(path: &str) -> Option<Self> {
        let path = path.trim_end_matches('/');
        Self::ALL.into_iter().find(|endpoint| path.ends_with(endpoint.path()))
    }

    /// Its path.
    pub fn path(self) -> &'static str {
        match self {
            Self::ListReleases => "/api/aslan/delivery/releases",
            Self::GetArtifact => "/api/directory/dc/artifact",
        }
    }
}
