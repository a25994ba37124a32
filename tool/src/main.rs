//! The `delivery-center` command.

use std::process::ExitCode;

use delivery_center_tool::commands;

#[tokio::main]
async fn main() -> ExitCode {
    Box::pin(commands::run()).await
}
