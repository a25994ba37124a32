//! The Lambda function `list-releases`.

use std::process::ExitCode;

use delivery_center::endpoint::Endpoint;
use delivery_center::lambda::function;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    function::main(Endpoint::ListReleases).await
}
