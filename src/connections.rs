//! The connections to DynamoDB: a call that fails on one of them leaves all of them behind.
//!
//! A warm function keeps as many idle connections as it once needed side by side. While it sleeps, all of
//! them may die at once, and nothing tells it before it uses them. If each attempt took another dead one, all
//! attempts would fail although DynamoDB can be reached. So the first failure gives up the whole pool, and
//! every later attempt opens a connection of its own.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_dynamodb::config::{ConfigBag, RuntimeComponents, SharedHttpClient};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponentsBuilder;

/// An HTTP client that begins with new connections after a call that was not answered. `make` makes a client
/// with connections of its own.
pub fn renewed_after_failure(
    make: impl Fn() -> SharedHttpClient + Send + Sync + 'static,
) -> SharedHttpClient {
    let current = Mutex::new(Pool { number: 0, client: make() });
    SharedHttpClient::new(Connections(Arc::new(Pools { current, make: Box::new(make) })))
}

#[derive(Debug)]
struct Connections(Arc<Pools>);

struct Pools {
    current: Mutex<Pool>,
    make: Box<dyn Fn() -> SharedHttpClient + Send + Sync>,
}

#[derive(Debug, Clone)]
struct Pool {
    number: u64,
    client: SharedHttpClient,
}

impl Pools {
    fn current(&self) -> Pool {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes a new pool in place of that of a call, unless another call has done so already.
    fn leave(&self, number: u64) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.number == number {
            *current = Pool { number: number + 1, client: (self.make)() };
        }
    }
}

impl fmt::Debug for Pools {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.debug_struct("Pools").field("current", &self.current).finish_non_exhaustive()
    }
}

impl HttpClient for Connections {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let Pool { number, client } = self.0.current();
        let connector = client.http_connector(settings, components);
        SharedHttpConnector::new(OfPool { connector, number, pools: Arc::clone(&self.0) })
    }

    fn validate_base_client_config(
        &self,
        components: &RuntimeComponentsBuilder,
        settings: &ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.current().client.validate_base_client_config(components, settings)
    }
}

/// What makes calls over the connections of one pool.
#[derive(Debug)]
struct OfPool {
    connector: SharedHttpConnector,
    number: u64,
    pools: Arc<Pools>,
}

impl HttpConnector for OfPool {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let mut leaving = Leaving { pools: Arc::clone(&self.pools), number: self.number, is_answered: false };
        let answer = self.connector.call(request);
        HttpConnectorFuture::new(async move {
            let answered = answer.await;
            leaving.see(&answered);
            answered.map_err(as_transient)
        })
    }
}

/// Leaves a pool behind, unless its call was answered. A call that takes too long is dropped, so this is done
/// where it is dropped.
#[derive(Debug)]
struct Leaving {
    pools: Arc<Pools>,
    number: u64,
    is_answered: bool,
}

impl Leaving {
    fn see<Answer>(&mut self, answered: &Result<Answer, ConnectorError>) {
        self.is_answered = answered.is_ok();
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        if !self.is_answered {
            self.pools.leave(self.number);
        }
    }
}

/// A failure on the way as the SDK calls it, so that it makes another attempt. Of an answer that is no HTTP
/// it would say that it does not know what that is, and give up.
fn as_transient(failure: ConnectorError) -> ConnectorError {
    if failure.is_other() && failure.as_other().is_none() {
        return ConnectorError::io(failure.into_source());
    }
    failure
}
