//! Failures of an object store, said so that the reader knows what to do.

use std::error::Error;

/// One line: the URL, what was found, what was expected, what to do, and the cause.
pub(super) fn explain(url: &str, error: object_store::Error) -> anyhow::Error {
    let cause = cause(&error);
    match advice(&error, &cause) {
        Some((found, advice)) => {
            anyhow::anyhow!("`{url}` at {}: {found}; {advice} ({})", endpoint(), short(&cause))
        }
        None => anyhow::anyhow!("`{url}` at {}: {cause}", endpoint()),
    }
}

/// What was found against what was expected, and what to do about it.
fn advice(error: &object_store::Error, cause: &str) -> Option<(&'static str, &'static str)> {
    let says = |texts: &[&str]| texts.iter().any(|text| cause.contains(text));
    // The order matters: the particular first.
    if says(&["169.254.", "nstance metadata", "EC2 instance"]) {
        Some((
            "found no credentials, expected some",
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_SKIP_SIGNATURE=true for a \
             public bucket",
        ))
    } else if says(&["NoSuchBucket"]) {
        Some((
            "found no bucket of this name, expected one that exists",
            "make the bucket or correct the URL",
        ))
    } else if says(&["URL scheme is not allowed", "scheme is not http"]) {
        Some((
            "found an endpoint without TLS, expected `https`",
            "set AWS_ALLOW_HTTP=true if the network is your own",
        ))
    } else if says(&["PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocation"]) {
        Some((
            "found another region, expected the bucket's",
            "set AWS_REGION to where the bucket is",
        ))
    } else if is_refused(error)
        || says(&["AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"])
    {
        Some((
            "the credentials are refused, expected some that may list, read and write here",
            "correct AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the bucket's policy",
        ))
    } else if says(&["onnection refused", "dns error", "error trying to connect", "connect error"])
    {
        Some((
            "found nobody who answers, expected an S3-compatible store",
            "correct AWS_ENDPOINT, or see to the network",
        ))
    } else if matches!(error, object_store::Error::Precondition { .. }) {
        Some((
            "found another ETag than before, expected an object that stays as it is",
            "submit again when nobody writes to it",
        ))
    } else {
        None
    }
}

fn is_refused(error: &object_store::Error) -> bool {
    use object_store::Error::{PermissionDenied, Unauthenticated};
    matches!(error, PermissionDenied { .. } | Unauthenticated { .. })
}

/// The innermost messages of an error on one line, none said twice.
fn cause(error: &object_store::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let inner = error.to_string();
        if !text.contains(&inner) {
            text = format!("{text}: {inner}");
        }
        source = error.source();
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The store's own word for a failure, or the last part of a cause.
fn short(cause: &str) -> &str {
    let code = cause.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
    code.map_or_else(|| cause.rsplit(" - ").next().unwrap_or(cause), |(code, _)| code)
}

fn endpoint() -> String {
    let names = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"];
    let set = names.iter().find_map(|name| std::env::var(name).ok());
    set.unwrap_or_else(|| "Amazon S3".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generic(text: &str) -> object_store::Error {
        object_store::Error::Generic { store: "S3", source: text.into() }
    }

    #[test]
    fn failures_say_what_to_do() {
        for (text, expected) in [
            ("<Code>NoSuchBucket</Code>", "make the bucket"),
            ("GET http://169.254.169.254/latest/api/token", "AWS_ACCESS_KEY_ID"),
            ("URL scheme is not allowed", "AWS_ALLOW_HTTP"),
            ("tcp connect error: Connection refused (os error 111)", "AWS_ENDPOINT"),
            ("<Code>SignatureDoesNotMatch</Code>", "are refused"),
            ("<Code>PermanentRedirect</Code>", "AWS_REGION"),
            ("<Code>SlowDown</Code>\n <x/>", "<Code>SlowDown</Code> <x/>"),
        ] {
            let line = explain("s3://b/p", generic(text)).to_string();
            assert!(line.starts_with("`s3://b/p` at ") && line.contains(expected), "{line}");
            assert!(!line.contains('\n'), "{line}");
        }
    }
}
