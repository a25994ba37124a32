//! Which failures of a call to DynamoDB pass, so that another attempt is likely to help.
//!
//! What the SDK holds for transient is that here too, by its own lists of codes and kinds of errors. A caller
//! then gets a 503, and a command goes on trying. To that comes what the SDK gives up at once, and what
//! passes all the same: [`try_again`] tells it to make another attempt.

use std::fmt;

use aws_runtime::retries::classifiers::{THROTTLING_ERRORS, TRANSIENT_ERRORS};
use aws_sdk_dynamodb::config::Builder;
use aws_sdk_dynamodb::config::retry::{ClassifyRetry, RetryAction, RetryPartition, TokenBucket};
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::interceptors::context::InterceptorContext;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::retries::classifiers::RetryClassifierPriority;

/// How DynamoDB's message begins where a signature is too old or too new. The code is that of a signature
/// that is simply wrong, so only the message tells them apart.
const OUT_OF_DATE: [&str; 2] = ["Signature expired", "Signature not yet current"];

/// Why a table is unavailable, so that asking again is likely to help. The displayed text goes on after the
/// table's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unavailability {
    /// A call took longer than it may.
    NotInTime,
    /// There is no connection, or it ended without an answer.
    Unreached,
    /// The table's capacity or a quota is used up.
    Throttled,
    /// DynamoDB answered that it failed.
    Failed,
    /// The answer is cut off, or it is not DynamoDB's.
    UnreadableAnswer,
    /// A request was on its way for too long, or a clock is wrong.
    OutOfDate,
    /// All calls were answered, but somebody kept writing the record meanwhile.
    ChangesTooFast,
}

impl fmt::Display for Unavailability {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(match self {
            Self::NotInTime => "did not answer in time",
            Self::Unreached => "could not be reached",
            Self::Throttled => "is throttled",
            Self::Failed => "failed",
            Self::UnreadableAnswer => "gave an answer that cannot be read",
            Self::OutOfDate => "was asked with a signature that is not valid now",
            Self::ChangesTooFast => "changes faster than it can be read",
        })
    }
}

impl Unavailability {
    /// Why a call that failed may succeed at another time; `None` where it will not.
    pub fn of_error<E: ProvideErrorMetadata>(error: &SdkError<E>) -> Option<Self> {
        match error {
            SdkError::TimeoutError(_) => Some(Self::NotInTime),
            SdkError::DispatchFailure(failure) if failure.is_timeout() => Some(Self::NotInTime),
            // A kind among the other failures is the SDK's word for one that passes.
            SdkError::DispatchFailure(failure) if failure.is_io() || failure.as_other().is_some() => {
                Some(Self::Unreached)
            }
            // There was no request: credentials or a region are missing, or the endpoint is not a URL.
            SdkError::DispatchFailure(_) | SdkError::ConstructionFailure(_) => None,
            SdkError::ServiceError(service) => match service.err().code() {
                Some(code) if THROTTLING_ERRORS.contains(&code) => Some(Self::Throttled),
                Some(code) if TRANSIENT_ERRORS.contains(&code) => Some(Self::Failed),
                _ => Self::of_answer(service.raw()),
            },
            _ => Some(Self::UnreadableAnswer),
        }
    }

    /// Why a call that was answered with a failure may succeed at another time, whatever its code.
    fn of_answer(answer: &HttpResponse) -> Option<Self> {
        let status = answer.status();
        if status.is_success() {
            // The body is cut off or not JSON. Whatever caused that on the way, another attempt may pass.
            Some(Self::UnreadableAnswer)
        } else if status.is_server_error() || status.as_u16() == 429 {
            Some(Self::Failed)
        } else {
            let body = answer.body().bytes().and_then(|body| std::str::from_utf8(body).ok());
            let is_out_of_date = |body: &str| OUT_OF_DATE.iter().any(|message| body.contains(message));
            body.filter(|body| is_out_of_date(body)).map(|_| Self::OutOfDate)
        }
    }
}

/// Gives the configuration of a client another attempt after every failure that passes, as often as its
/// attempts allow.
///
/// Without a limit for all calls together: the SDK's own is used up by some 50 attempts, and comes back by one
/// for each ten calls that succeed. Behind an outage a single dead connection would then cost an answer.
pub fn try_again(config: Builder) -> Builder {
    let unlimited = RetryPartition::custom("delivery-center").token_bucket(TokenBucket::unlimited()).build();
    config.retry_classifier(TryAgain).retry_partition(unlimited)
}

/// Tells the SDK to make another attempt where an answer is one that passes and the SDK would give up.
#[derive(Debug, Clone, Copy)]
struct TryAgain;

impl ClassifyRetry for TryAgain {
    fn classify_retry(&self, call: &InterceptorContext) -> RetryAction {
        match (call.output_or_error(), call.response()) {
            (Some(Err(_)), Some(answer)) if Unavailability::of_answer(answer).is_some() => {
                RetryAction::transient_error()
            }
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn classify_retry_v2(&self, call: &InterceptorContext, before: &RetryAction) -> RetryAction {
        // What the SDK knows of a failure, such as how long to wait, stays.
        if before.should_retry() { RetryAction::NoActionIndicated } else { self.classify_retry(call) }
    }

    fn name(&self) -> &'static str {
        "TryAgain"
    }

    fn priority(&self) -> RetryClassifierPriority {
        RetryClassifierPriority::run_after(RetryClassifierPriority::transient_error_classifier())
    }
}
