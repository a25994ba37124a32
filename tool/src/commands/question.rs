//! Whether a command that answers a question asks the tables or a deployed API.

use super::exit_status::unusable;
use super::{aws, terminal};
use crate::answers::{DeployedApi, Endpoints};

#[derive(clap::Args)]
pub(super) struct ApiArguments {
    /// Ask the deployed API at this URL instead of the tables [env: `DELIVERY_CENTER_API`].
    ///
    /// The request has the bearer token in `DELIVERY_CENTER_TOKEN`, or else is signed with the AWS credentials
    /// that are there, which then need `execute-api:Invoke`, and no permission on the tables.
    #[arg(long, value_name = "URL")]
    api: Option<String>,
}

impl ApiArguments {
    /// Both endpoints: those of the API that is given, or over the tables that the AWS environment names.
    pub(super) async fn endpoints(&self) -> anyhow::Result<Endpoints> {
        Ok(match self.deployed().await? {
            Some(api) => Endpoints::Deployed(api),
            None => Endpoints::InProcess(aws::answering_store().await?),
        })
    }

    /// The API that is given.
    async fn deployed(&self) -> anyhow::Result<Option<DeployedApi>> {
        let variable = aws::given("DELIVERY_CENTER_API");
        let (text, origin) = match (&self.api, &variable) {
            (Some(text), _) => (text, "--api"),
            (None, Some(text)) => (text, "DELIVERY_CENTER_API"),
            (None, None) => return Ok(None),
        };
        let url = DeployedApi::url(text).map_err(|reason| unusable(format!("{origin}: {reason}")))?;
        let access = aws::access(&url).await?;
        let api = DeployedApi::new(url, access);
        if api.sends_token_unencrypted() {
            terminal::say("the token goes over the network unencrypted; https:// would protect it");
        }
        Ok(Some(api))
    }
}
