//! The Lambda function `get-artifact`.

use std::process::ExitCode;

use delivery_center::invocation::Endpoint;
use delivery_center::lambda;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda::main(Endpoint::GetArtifact).await
}
