//! What must not be printed: values whose key names a secret, and the user info of URLs.

/// Stands where a secret stood.
pub(super) const REDACTED: &str = "[redacted]";

/// Parts of key names that hold secrets. A mistyped `passwrod` is still caught by its beginning.
const SECRET_KEYS: [&str; 6] = ["pass", "secret", "token", "credential", "api_key", "private"];

/// `value` as it may be printed beside the key at `path`.
pub(super) fn redacted(path: &str, value: &str) -> String {
    let key = path.rsplit('.').next().unwrap_or(path).to_lowercase();
    if !value.is_empty() && SECRET_KEYS.iter().any(|part| key.contains(part)) {
        return REDACTED.to_owned();
    }
    without_user_info(value)
}

/// `nats://user:password@host` → `nats://[redacted]@host`, for each address of a comma-separated list.
pub(super) fn without_user_info(value: &str) -> String {
    value.split(',').map(one_address).collect::<Vec<_>>().join(",")
}

fn one_address(value: &str) -> String {
    let Some((scheme, rest)) = value.split_once("://") else { return value.to_owned() };
    let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(authority_end);
    match authority.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://{REDACTED}@{host}{path}"),
        None => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_printed_and_other_values_are() {
        assert_eq!(redacted("nats.passwrod", "hunter2"), REDACTED);
        assert_eq!(redacted("nats.url", "nats://u:p@h:4222/x"), "nats://[redacted]@h:4222/x");
        assert_eq!(redacted("nats.url", "nats://a:1,nats://u:p@b:2"), "nats://a:1,nats://[redacted]@b:2");
        assert_eq!(redacted("admin.health_listen", "127.0.0.1:8087"), "127.0.0.1:8087");
        assert_eq!(redacted("x.url", "https://h/a@b"), "https://h/a@b");
    }
}
