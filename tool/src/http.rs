//! Both endpoints over plain HTTP, through the service that the functions run.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::any;
use delivery_center::endpoint::Endpoint;
use delivery_center::service::EndpointService;
use delivery_center::store::Store;

/// The HTTP service over a store. A path that is neither endpoint's is answered by either with the same 404.
pub fn router(store: &Store) -> Router {
    let answered_by = |endpoint: Endpoint| {
        let service = EndpointService::new(endpoint, store.clone());
        any(async move |request: Request| -> Response { service.answer(request).await.map(Body::from) })
    };
    Router::new()
        .route(Endpoint::ListReleases.path(), answered_by(Endpoint::ListReleases))
        .route(Endpoint::GetArtifact.path(), answered_by(Endpoint::GetArtifact))
        .fallback(answered_by(Endpoint::ListReleases))
}
