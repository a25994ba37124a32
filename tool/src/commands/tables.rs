//! `tables`: creates the tables that the service reads.

use delivery_center::store::TableNames;

use super::exit_status::Ended;
use super::{aws, terminal};
use crate::table_definitions::{Created, definitions};

#[derive(clap::Subcommand)]
pub(super) enum TablesCommand {
    /// Create both tables where they are missing, as template.yaml defines them.
    ///
    /// A table that exists with the same keys and index is left as it is; one with other keys or another
    /// index is an error. This command is for laptops and tests: it sets no recovery and no deletion
    /// protection, as deploying the template does.
    Create,
}

pub(super) async fn run(command: TablesCommand) -> anyhow::Result<Ended> {
    let TablesCommand::Create = command;
    let client = aws::hasty_client().await?;
    for table in definitions(&TableNames::from_environment())? {
        match table.create(&client).await? {
            Created::New => terminal::print(format_args!("created {}", table.name))?,
            Created::Already => terminal::print(format_args!("{} is already there", table.name))?,
        }
    }
    Ok(Ended::Well)
}
