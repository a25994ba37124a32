//! The Lambda function `list-releases`.

use std::process::ExitCode;

use delivery_center::invocation::Endpoint;
use delivery_center::lambda;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda::main(Endpoint::ListReleases).await
}
