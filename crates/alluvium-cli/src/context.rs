//! The context files of the `nats` command.
//!
//! ```text
//! $XDG_CONFIG_HOME/nats/context/<name>.json     one context (~/.config if XDG_CONFIG_HOME is not set)
//! $XDG_CONFIG_HOME/nats/context.txt             the name of the selected one
//! ```
//!
//! The fields and what their values may be are those of `natscontext` in nats-io/jsm.go: paths may begin with `~` and
//! have `$VARIABLES` in them, secrets may be given as `file://`, `env://` or `data:` references. What needs another
//! program (`nsc://`, `op://`) or is not supported (SOCKS proxies, the Windows certificate store) is refused by name.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;

use crate::secret::Secret;

/// What a context file holds, of what matters here. Empty fields count as not given.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Context {
    pub(crate) url: Option<Secret>,
    pub(crate) user: Option<Secret>,
    pub(crate) password: Option<Secret>,
    pub(crate) token: Option<Secret>,
    pub(crate) creds: Option<Secret>,
    pub(crate) nkey: Option<Secret>,
    pub(crate) user_jwt: Option<Secret>,
    pub(crate) user_seed: Option<Secret>,
    pub(crate) cert: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) ca: Option<String>,
    pub(crate) tls_first: Option<bool>,
    pub(crate) jetstream_domain: Option<String>,
    pub(crate) jetstream_api_prefix: Option<String>,
    pub(crate) inbox_prefix: Option<String>,
    nsc: Option<String>,
    socks_proxy: Option<String>,
    windows_cert_store: Option<String>,
}

/// Why there is no context. Never tells what stands in a file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ContextError {
    #[error("the context {name} does not exist: {}", known_as_text(known))]
    Unknown { name: String, known: Vec<String> },
    #[error("{name:?} cannot name a context: give the name of a file in {} without its .json", folder.display())]
    Name { name: String, folder: PathBuf },
    #[error("cannot read the context file {}: mend it, or name another context", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error(
        "{} is not a context file ({problem} at line {line}, column {column}): mend it, or name another context",
        path.display()
    )]
    Garbage {
        path: PathBuf,
        problem: &'static str,
        line: usize,
        column: usize,
    },
    #[error("{} uses {what}, which Alluvium does not support: give {instead} instead", path.display())]
    Unsupported {
        path: PathBuf,
        what: &'static str,
        instead: &'static str,
    },
    #[error("cannot resolve {field}: {problem}")]
    Reference { field: &'static str, problem: String },
}

fn known_as_text(known: &[String]) -> String {
    if known.is_empty() {
        "there are none, create one with `nats context add`".to_owned()
    } else {
        format!("use one of {}", known.join(", "))
    }
}

/// The context of this name; without a name, the selected one; without that, an empty one.
pub(crate) fn load(name: Option<&str>) -> Result<Context, ContextError> {
    let Some(folder) = folder() else {
        return match name {
            Some(name) => Err(ContextError::Unknown {
                name: name.to_owned(),
                known: Vec::new(),
            }),
            None => Ok(Context::default()),
        };
    };
    load_from(&folder, name)
}

/// `…/nats`, if it can be told where that is.
fn folder() -> Option<PathBuf> {
    let given = |variable| env::var_os(variable).filter(|value| !value.is_empty());
    let config = given("XDG_CONFIG_HOME").map(PathBuf::from);
    Some(
        config
            .or_else(|| given("HOME").map(|home| Path::new(&home).join(".config")))?
            .join("nats"),
    )
}

fn load_from(folder: &Path, name: Option<&str>) -> Result<Context, ContextError> {
    let name = match name.filter(|name| !name.is_empty()) {
        Some(name) => name.to_owned(),
        None => selected_in(folder)?,
    };
    if name.is_empty() {
        return Ok(Context::default());
    }
    if name.contains("..") || name.contains(['/', '\\', '\0']) {
        return Err(ContextError::Name {
            name,
            folder: folder.join("context"),
        });
    }
    let path = folder.join("context").join(format!("{name}.json"));
    match fs::read(&path) {
        Ok(bytes) => parse(&path, &bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(ContextError::Unknown {
            name,
            known: known_in(folder),
        }),
        Err(source) => Err(ContextError::Unreadable { path, source }),
    }
}

fn selected_in(folder: &Path) -> Result<String, ContextError> {
    let path = folder.join("context.txt");
    match fs::read_to_string(&path) {
        Ok(text) => Ok(text.trim().to_owned()),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(String::new())
        }
        Err(source) => Err(ContextError::Unreadable { path, source }),
    }
}

fn known_in(folder: &Path) -> Vec<String> {
    let mut known: Vec<String> = fs::read_dir(folder.join("context"))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            entry
                .file_name()
                .to_str()?
                .strip_suffix(".json")
                .map(str::to_owned)
        })
        .collect();
    known.sort_unstable();
    known
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Context, ContextError> {
    let garbage = |problem, line, column| ContextError::Garbage {
        path: path.into(),
        problem,
        line,
        column,
    };
    // A list would be taken for the fields in their order.
    if !bytes.trim_ascii_start().starts_with(b"{") {
        return Err(garbage("it is not a JSON object", 1, 1));
    }
    // The parser's own words may quote the file, so only where and what kind is told.
    let context: Context = serde_json::from_slice(bytes).map_err(|error| {
        let problem = match error.classify() {
            serde_json::error::Category::Data => "a field has another type than it should",
            serde_json::error::Category::Eof => "it ends too early",
            _ => "it is not JSON",
        };
        garbage(problem, error.line(), error.column())
    })?;
    let unsupported = |what, instead| ContextError::Unsupported {
        path: path.into(),
        what,
        instead,
    };
    let given = |field: &Option<String>| field.as_ref().is_some_and(|text| !text.is_empty());
    if given(&context.nsc) {
        return Err(unsupported("nsc", "a credentials file in `creds`"));
    }
    if given(&context.socks_proxy) {
        return Err(unsupported("a SOCKS proxy", "the address of a server"));
    }
    if given(&context.windows_cert_store) {
        return Err(unsupported(
            "the Windows certificate store",
            "files in `cert` and `key`",
        ));
    }
    Ok(context)
}

/// A path as it may stand in a context file: `file://` in front, `~`, and variables.
pub(crate) fn expand_path(text: &str) -> PathBuf {
    let text = expand_variables(text.strip_prefix("file://").unwrap_or(text));
    match (text.strip_prefix('~'), env::var("HOME")) {
        (Some(rest), Ok(home)) => PathBuf::from(home + rest),
        _ => PathBuf::from(text),
    }
}

/// `$NAME` and `${NAME}` replaced; by nothing where the variable is not set.
fn expand_variables(text: &str) -> String {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        expanded.push_str(&rest[..dollar]);
        let after = &rest[dollar + 1..];
        let (name, next) =
            if let Some((name, next)) = after.strip_prefix('{').and_then(|after| after.split_once('}')) {
                (name, next)
            } else {
                let end = after
                    .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
                    .unwrap_or(after.len());
                after.split_at(end)
            };
        if name.is_empty() {
            expanded.push('$');
        } else {
            expanded.push_str(&env::var(name).unwrap_or_default());
        }
        rest = next;
    }
    expanded + rest
}

/// What a reference to a secret stands for, a plain text for itself. `None` for a path or `file://`, which the caller
/// reads where it takes files.
pub(crate) fn resolve(field: &'static str, text: &Secret) -> Result<Resolved, ContextError> {
    let fail = |problem: String| ContextError::Reference { field, problem };
    let text = text.expose();
    if let Some(variable) = text.strip_prefix("env://") {
        return match env::var(variable) {
            Ok(value) if !value.is_empty() => Ok(Resolved::Text(value.into())),
            _ => Err(fail(format!("the environment variable {variable} is not set"))),
        };
    }
    if let Some(data) = text.strip_prefix("data:") {
        let decoded = data
            .split_once(',')
            .filter(|(header, _)| header.split(';').any(|part| part.trim() == "base64"))
            .and_then(|(_, payload)| BASE64_STANDARD.decode(payload).ok())
            .and_then(|bytes| String::from_utf8(bytes).ok());
        return match decoded {
            Some(decoded) => Ok(Resolved::Text(decoded.into())),
            None => Err(fail("its data: reference is not base64 of text".to_owned())),
        };
    }
    if let Some(path) = text.strip_prefix("file://") {
        return Ok(Resolved::File(expand_path(path)));
    }
    for program in ["nsc", "op"] {
        if text
            .strip_prefix(program)
            .is_some_and(|rest| rest.starts_with("://"))
        {
            return Err(fail(format!(
                "Alluvium does not call {program}: give a file or an env:// reference instead"
            )));
        }
    }
    Ok(Resolved::Bare(text.into()))
}

/// What a reference stands for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Resolved {
    /// The secret itself.
    Text(Secret),
    /// The file that it is in.
    File(PathBuf),
    /// No reference: the secret itself or a path, by which field it is.
    Bare(Secret),
}

#[cfg(test)]
mod tests;
