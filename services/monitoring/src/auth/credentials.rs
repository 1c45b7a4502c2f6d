//! Whether what a request brings is right. Everything is compared through its HMAC under a key of this process, which takes as
//! long for a wrong text as for the right one, whatever their lengths.

use std::time::Duration;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::config::AuthConfig;

/// Of a token, before its signature: unix seconds of its end.
const EXPIRY_BYTES: usize = 8;

/// What a request's credentials are worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Right,
    Wrong,
    Absent,
}

/// The credentials that are accepted.
pub(super) struct Credentials {
    config: AuthConfig,
    /// With a key new at each start: a session ends with the process that began it.
    keyed: Hmac<Sha256>,
}

impl Credentials {
    pub(super) fn new(config: AuthConfig) -> Self {
        Self { config, keyed: Hmac::new(&rand::random::<[u8; 64]>().into()) }
    }

    /// `X-API-Key`, else `Authorization: Basic` or `Bearer`. Never the query: addresses end up in logs.
    pub(super) fn judge(&self, headers: &HeaderMap, now_seconds: u64) -> Verdict {
        let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
        let is_right = if let Some(key) = text("x-api-key") {
            self.is(self.config.api_key.expose(), key)
        } else if let Some(credentials) = text(AUTHORIZATION.as_str()) {
            match credentials.split_once(' ') {
                Some((scheme, basic)) if scheme.eq_ignore_ascii_case("basic") => self.is_basic(basic),
                Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
                    self.is_token(token, now_seconds)
                }
                _ => false,
            }
        } else {
            return Verdict::Absent;
        };
        if is_right { Verdict::Right } else { Verdict::Wrong }
    }

    pub(super) fn is_user(&self, username: &str, password: &str) -> bool {
        // Both are always compared, so that the answer's time does not tell which was wrong.
        self.is(&self.config.username, username) & self.is(self.config.password.expose(), password)
    }

    /// A token, and for how long it is good.
    pub(super) fn token(&self, now_seconds: u64) -> (String, Duration) {
        let session = self.config.session.get();
        let expiry = now_seconds.saturating_add(session.as_secs()).to_be_bytes();
        let signature = self.mac(&expiry).finalize().into_bytes();
        (URL_SAFE_NO_PAD.encode([expiry.as_slice(), &signature].concat()), session)
    }

    fn is_token(&self, token: &str, now_seconds: u64) -> bool {
        let Ok(bytes) = URL_SAFE_NO_PAD.decode(token) else { return false };
        let Some((expiry, signature)) = bytes.split_first_chunk::<EXPIRY_BYTES>() else { return false };
        self.mac(expiry).verify_slice(signature).is_ok() && now_seconds < u64::from_be_bytes(*expiry)
    }

    /// `base64(user:password)`
    fn is_basic(&self, basic: &str) -> bool {
        let decoded = STANDARD.decode(basic.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let pair = decoded.as_deref().and_then(|pair| pair.split_once(':'));
        pair.is_some_and(|(username, password)| self.is_user(username, password))
    }

    /// A secret that is not set is nobody's.
    fn is(&self, right: &str, given: &str) -> bool {
        let right_mac = self.mac(right.as_bytes()).finalize().into_bytes();
        !right.is_empty() & self.mac(given.as_bytes()).verify(&right_mac).is_ok()
    }

    fn mac(&self, bytes: &[u8]) -> Hmac<Sha256> {
        self.keyed.clone().chain_update(bytes)
    }
}

#[cfg(test)]
mod tests {
    use marketprism_service::Secret;

    use super::*;

    fn credentials() -> Credentials {
        Credentials::new(AuthConfig {
            password: Secret::new("correct horse"),
            api_key: Secret::new("a long api key"),
            ..AuthConfig::default()
        })
    }

    fn judged(credentials: &Credentials, name: &'static str, value: &str, now: u64) -> Verdict {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        credentials.judge(&headers, now)
    }

    #[test]
    fn each_way_in_has_its_own_secret() {
        let right = credentials();
        let basic = |pair: &str| format!("Basic {}", STANDARD.encode(pair));
        for (header, value, verdict) in [
            ("x-api-key", "a long api key".to_owned(), Verdict::Right),
            ("x-api-key", "a long api ke".to_owned(), Verdict::Wrong),
            ("x-api-key", String::new(), Verdict::Wrong),
            ("authorization", basic("operator:correct horse"), Verdict::Right),
            ("authorization", basic("operator:a long api key"), Verdict::Wrong),
            ("authorization", basic("root:correct horse"), Verdict::Wrong),
            ("authorization", "Basic ???".to_owned(), Verdict::Wrong),
            ("authorization", "Digest x".to_owned(), Verdict::Wrong),
            ("cookie", "x".to_owned(), Verdict::Absent),
        ] {
            assert_eq!(judged(&right, header, &value, 0), verdict, "{header}: {value}");
        }
    }

    #[test]
    fn what_is_not_set_is_nobodys() {
        let none =
            Credentials::new(AuthConfig { api_key: Secret::new("only a key"), ..AuthConfig::default() });
        assert!(!none.is_user("operator", ""));
    }

    #[test]
    fn a_token_is_good_until_it_ends_and_cannot_be_made_or_changed() {
        let right = credentials();
        let (token, session) = right.token(1_000);
        let bearer = |token: &str, now| judged(&right, "authorization", &format!("Bearer {token}"), now);
        assert_eq!(bearer(&token, 1_000 + session.as_secs() - 1), Verdict::Right);
        assert_eq!(bearer(&token, 1_000 + session.as_secs()), Verdict::Wrong);
        let mut bytes = URL_SAFE_NO_PAD.decode(&token).unwrap();
        bytes[0] ^= 1;
        assert_eq!(bearer(&URL_SAFE_NO_PAD.encode(bytes), 1_000), Verdict::Wrong);
        assert_eq!(bearer(&credentials().token(1_000).0, 1_000), Verdict::Wrong, "another process's");
        assert_eq!(bearer("", 1_000), Verdict::Wrong);
    }
}
