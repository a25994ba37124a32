//! `tables`: the tables that the service reads.

use delivery_center::store::TableNames;
use delivery_center_tool::table_definitions::{Created, definitions};

use crate::Ended;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Create both tables where they are missing, as template.yaml defines them.
    ///
    /// A table that is there with the same keys and index is left as it is; one with others is an error. Recovery,
    /// deletion protection and the like are set where the template is deployed: this is for laptops and tests.
    Create,
}

pub(crate) async fn run(command: Command) -> anyhow::Result<Ended> {
    match command {
        Command::Create => create().await,
    }
}

async fn create() -> anyhow::Result<Ended> {
    let client = crate::client().await?;
    for table in definitions(&TableNames::from_environment())? {
        match table.create(&client).await? {
            Created::New => crate::print(format_args!("created {}", table.name))?,
            Created::Already => crate::print(format_args!("{} is already there", table.name))?,
        }
    }
    Ok(Ended::Well)
}
