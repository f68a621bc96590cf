//! How to log in: which of the flags, the URL and the context says it, and reading what they name.
//!
//! Flags and variables go first, then what stands in the servers' URLs, then the context. Each replaces the next as a
//! whole, but for a password that completes the context's user.

use std::fs;
use std::path::Path;

use async_nats::ConnectOptions;

use crate::args::ConnectionArgs;
use crate::context::{Context, Resolved, expand_path, resolve};
use crate::error::Failure;
use crate::secret::{Secret, first_secret};

/// How to log in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Login {
    Nothing,
    User { user: Secret, password: Secret },
    Token(Secret),
    Creds(Secret),
    Nkey(Secret),
    Jwt { jwt: Secret, seed: Option<Secret> },
}

impl Login {
    /// The same options, with this login.
    pub(super) fn add_to(&self, options: ConnectOptions) -> Result<ConnectOptions, Failure> {
        let owned = |secret: &Secret| secret.expose().to_owned();
        Ok(match self {
            Self::Nothing => options,
            Self::User { user, password } => options.user_and_password(owned(user), owned(password)),
            Self::Token(token) => options.token(owned(token)),
            Self::Creds(creds) => options.credentials(creds.expose()).map_err(|_| Failure::NotA {
                what: "credentials",
                path: "--creds".to_owned(),
            })?,
            Self::Nkey(seed) => options.nkey(owned(seed)),
            Self::Jwt {
                jwt,
                seed: Some(seed),
            } => options
                .credentials(&credentials(jwt, seed))
                .map_err(|_| Failure::NotA {
                    what: "a user's JWT with its seed",
                    path: "what user_jwt and user_seed of the context hold".to_owned(),
                })?,
            // A bearer token: the server asks for no signature.
            Self::Jwt { jwt, seed: None } => options.jwt(owned(jwt), |_| async { Ok(Vec::new()) }),
        })
    }
}

/// A JWT and a seed as they stand in a credentials file.
pub(super) fn credentials(jwt: &Secret, seed: &Secret) -> String {
    format!(
        "-----BEGIN NATS USER JWT-----\n{}\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
        jwt.expose().trim(),
        seed.expose().trim()
    )
}

/// How to log in: as the flags say, else as the URL says, else as the context says; with a token beside it if the
/// context has both. Within each the order is that of the `nats` command.
pub(super) fn choose(
    args: &ConnectionArgs,
    context: &Context,
    url_login: Option<Login>,
) -> Result<(Login, Option<Secret>), Failure> {
    let flag = |secret| first_secret([secret]);
    let field = flag;
    if let Some(user) = flag(&args.user) {
        return Ok(match flag(&args.password) {
            Some(password) => {
                let (user, password) = (user.clone(), password.clone());
                (Login::User { user, password }, None)
            }
            None => (Login::Token(user.clone()), None),
        });
    }
    if let Some(token) = flag(&args.token) {
        return Ok((Login::Token(token.clone()), None));
    }
    if let Some(creds) = flag(&args.creds) {
        return Ok((Login::Creds(credentials_of(creds)?), None));
    }
    if let Some(nkey) = flag(&args.nkey) {
        return Ok((Login::Nkey(seed_of(nkey)?), None));
    }
    if let Some(login) = url_login {
        return Ok((login, None));
    }
    let login = if let Some(user) = field(&context.user) {
        let password = match first_secret([&args.password, &context.password]) {
            Some(password) => text_of("password", password)?,
            None => Secret::default(),
        };
        Login::User {
            user: user.clone(),
            password,
        }
    } else if let Some(creds) = field(&context.creds) {
        Login::Creds(credentials_of(creds)?)
    } else if let Some(nkey) = field(&context.nkey) {
        Login::Nkey(seed_of(nkey)?)
    } else if let Some(jwt) = field(&context.user_jwt) {
        let seed = field(&context.user_seed);
        Login::Jwt {
            jwt: text_of("user_jwt", jwt)?,
            seed: seed.map(|seed| text_of("user_seed", seed)).transpose()?,
        }
    } else {
        Login::Nothing
    };
    let token = field(&context.token)
        .map(|token| text_of("token", token))
        .transpose()?;
    if login == Login::Nothing && flag(&args.password).is_some() {
        return Err(Failure::Usage(
            "a password needs a user: give --user too".to_owned(),
        ));
    }
    Ok((login, token))
}

/// A secret that stands for itself unless it is a reference.
fn text_of(field: &'static str, secret: &Secret) -> Result<Secret, Failure> {
    match resolve(field, secret)? {
        Resolved::Text(secret) | Resolved::Bare(secret) => Ok(secret),
        Resolved::File(path) => Ok(read_secret(field, &path)?.expose().trim().into()),
    }
}

/// Credentials: the content of the file that a secret names, unless it is another reference.
fn credentials_of(secret: &Secret) -> Result<Secret, Failure> {
    let (content, path) = match resolve("creds", secret)? {
        Resolved::Text(content) => (content, "--creds".to_owned()),
        Resolved::File(path) => (read_secret("creds", &path)?, path.display().to_string()),
        Resolved::Bare(path) => {
            let path = expand_path(path.expose());
            (read_secret("creds", &path)?, path.display().to_string())
        }
    };
    // Tried here, where it is known what they are called. The client's own error may quote what it read.
    match ConnectOptions::new().credentials(content.expose()) {
        Ok(_) => Ok(content),
        Err(_) => Err(Failure::NotA {
            what: "a credentials file with a user's JWT and seed",
            path,
        }),
    }
}

/// An nkey seed, given as itself, as a file with it, or as another reference.
fn seed_of(secret: &Secret) -> Result<Secret, Failure> {
    let (text, path) = match resolve("nkey", secret)? {
        Resolved::Text(text) => (text, None),
        Resolved::Bare(text) if find_seed(text.expose()).is_some() => (text, None),
        Resolved::Bare(path) => {
            let path = expand_path(path.expose());
            (read_secret("nkey", &path)?, Some(path))
        }
        Resolved::File(path) => (read_secret("nkey", &path)?, Some(path)),
    };
    match find_seed(text.expose()) {
        Some(seed) => Ok(seed.into()),
        None => Err(Failure::NotA {
            what: "a file with an nkey seed of a user (SU…)",
            path: path.map_or_else(|| "--nkey".to_owned(), |path| path.display().to_string()),
        }),
    }
}

/// The first line that is the seed of a user: `SU` and 56 more characters of base 32.
fn find_seed(text: &str) -> Option<&str> {
    let base32 = |c: u8| c.is_ascii_uppercase() || (b'2'..=b'7').contains(&c);
    text.lines()
        .map(str::trim)
        .find(|line| line.len() == 58 && line.starts_with("SU") && line.bytes().all(base32))
}

fn read_secret(field: &'static str, path: &Path) -> Result<Secret, Failure> {
    let what = if field == "creds" {
        "the credentials file"
    } else {
        "the secret file"
    };
    fs::read_to_string(path)
        .map(Secret::from)
        .map_err(|source| Failure::File {
            what,
            path: path.display().to_string(),
            source,
        })
}
