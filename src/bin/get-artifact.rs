//! The Lambda function `get-artifact`.

use delivery_center::invocation::Endpoint;
use delivery_center::lambda;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    lambda::run(Endpoint::GetArtifact).await
}
