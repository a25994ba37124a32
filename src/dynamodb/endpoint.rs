//! Where DynamoDB is in a region, by the rules of AWS's endpoint rule set.

/// Which of a region's endpoints is wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Variant {
    /// One whose cryptography is validated under FIPS 140.
    pub fips: bool,
    /// One that is reached over IPv6 too.
    pub dual_stack: bool,
}

/// By what a region's name begins with: the partition's domain, and the one of its dual-stack endpoints.
const PARTITIONS: [(&str, &str, &str); 6] = [
    ("cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn"),
    ("eusc-", "amazonaws.eu", "api.amazonwebservices.eu"),
    ("us-iso-", "c2s.ic.gov", "api.aws.ic.gov"),
    ("us-isob-", "sc2s.sgov.gov", "api.aws.scloud"),
    ("us-isof-", "csp.hci.ic.gov", "api.aws.hci.ic.gov"),
    ("eu-isoe-", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
];
const COMMERCIAL: (&str, &str, &str) = ("", "amazonaws.com", "api.aws");
const GOVERNMENT: &str = "us-gov-";

/// The URL of DynamoDB in a region.
#[must_use]
pub fn url(region: &str, Variant { fips, dual_stack }: Variant) -> String {
    let partition = PARTITIONS.iter().find(|(beginning, ..)| region.starts_with(beginning));
    let (_, domain, dual_stack_domain) = partition.unwrap_or(&COMMERCIAL);
    let domain = if dual_stack { dual_stack_domain } else { domain };
    // In the government's regions every endpoint is one.
    let is_named_so = fips && (dual_stack || !region.starts_with(GOVERNMENT));
    let service = if is_named_so { "dynamodb-fips" } else { "dynamodb" };
    format!("https://{service}.{region}.{domain}")
}

#[cfg(all(test, feature = "cli"))]
mod tests {
    use aws_sdk_dynamodb::config::endpoint::{DefaultResolver, Params, ResolveEndpoint as _};

    use super::*;

    #[tokio::test]
    async fn every_endpoint_is_the_one_that_the_sdk_resolves() {
        let resolver = DefaultResolver::new();
        let regions = [
            "us-east-1",
            "us-west-2",
            "eu-central-1",
            "eu-south-2",
            "ap-southeast-7",
            "af-south-1",
            "me-central-1",
            "ca-west-1",
            "sa-east-1",
            "il-central-1",
            "mx-central-1",
            "cn-north-1",
            "cn-northwest-1",
            "us-gov-west-1",
            "us-gov-east-1",
            "us-iso-east-1",
            "us-isob-east-1",
            "us-isof-south-1",
            "eu-isoe-west-1",
            "eusc-de-east-1",
        ];
        let mut compared = 0;
        for region in regions {
            for (fips, dual_stack) in [(false, false), (true, false), (false, true), (true, true)] {
                let params = Params::builder()
                    .region(region)
                    .use_fips(fips)
                    .use_dual_stack(dual_stack)
                    .build()
                    .unwrap();
                // Where a partition has no such endpoint the SDK says so; then there is nothing to be right about.
                if let Ok(resolved) = resolver.resolve_endpoint(&params).await {
                    assert_eq!(url(region, Variant { fips, dual_stack }), resolved.url(), "{params:?}");
                    compared += 1;
                }
            }
        }
        assert!(compared >= 2 * regions.len(), "{compared}");
    }
}
