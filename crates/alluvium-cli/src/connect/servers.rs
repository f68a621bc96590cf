//! Lists of servers: reading them, and taking the logins out that may stand in their URLs.

use async_nats::ServerAddr;

use super::login::Login;
use crate::error::Failure;
use crate::secret::Secret;

/// Where a server is if nobody says.
pub(super) const DEFAULT_URL: &str = "nats://127.0.0.1:4222";

/// Servers without users and passwords, and the login that stood in their URLs.
pub(super) fn parse(list: &str) -> Result<(Vec<ServerAddr>, Option<Login>), Failure> {
    let mut servers = Vec::new();
    let mut login = None;
    for text in list.split(',').map(str::trim).filter(|text| !text.is_empty()) {
        let fail = |problem: &str| {
            Failure::Usage(format!(
                "{} is not the URL of a server: {problem}; give one like {DEFAULT_URL}",
                without_login(text)
            ))
        };
        let server: ServerAddr = text
            .parse()
            .map_err(|_| fail("it does not read as nats://host:port"))?;
        if server.is_websocket() {
            return Err(fail("WebSocket is not supported"));
        }
        if server.host().is_empty() {
            return Err(fail("it has no host"));
        }
        let mut url = server.into_inner();
        let here = match (url.username(), url.password()) {
            ("", None) => None,
            (token, None) => Some(Login::Token(percent_decoded(token))),
            (user, Some(password)) => Some(Login::User {
                user: percent_decoded(user),
                password: percent_decoded(password),
            }),
        };
        if let Some(here) = here {
            if login.as_ref().is_some_and(|login| *login != here) {
                return Err(Failure::Usage(
                    "the servers' URLs have different logins: give one login, with --user and --password"
                        .to_owned(),
                ));
            }
            login = Some(here);
        }
        // These fail only for URLs without a host, of which there is none here.
        let _ = url.set_password(None);
        let _ = url.set_username("");
        servers.push(ServerAddr::from_url(url).map_err(|_| fail("it has no host"))?);
    }
    if servers.is_empty() {
        return Err(Failure::Usage(format!(
            "no server is given: give one like {DEFAULT_URL}"
        )));
    }
    Ok((servers, login))
}

/// What may be shown of a text that should be a URL.
fn without_login(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((login, host)) => {
            let scheme = login.split_once("://").map_or("", |(scheme, _)| scheme);
            format!("{scheme}://…@{host}")
        }
        None => text.to_owned(),
    }
}

fn percent_decoded(text: &str) -> Secret {
    let hex = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, after @ ..] = rest {
        let escaped = (*byte == b'%').then(|| after.get(..2).and_then(hex)).flatten();
        bytes.push(escaped.unwrap_or(*byte));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned().into()
}
