//! The `delivery-center` command.

use std::process::ExitCode;

use delivery_center_tool::commands;

#[tokio::main]
async fn main() -> ExitCode {
    commands::run().await
}
