//! What cursors may be called, and the keys that they are stored under.

use super::CursorStoreError;
use crate::name::{self, MAX_ENCODED, NameError};

/// A cursor's name as a key: everything but `a-z 0-9 _ -` is written byte by byte as `escape` and two hexadecimal digits,
/// upper case too, for some file systems do not tell it from lower case. So no name leads anywhere else, and no two share
/// a key. In paths `escape` is `%`; the keys of NATS know no `%`, there it is `=`.
///
/// # Errors
///
/// [`CursorStoreError::Invalid`] for a name that is empty, has control characters, or is too long: encoded it has to fit
/// into 240 bytes.
///
/// ```
/// use alluvium_core::cursor_store::{cursor_key, cursor_name};
///
/// assert_eq!(cursor_key("mailer ../eu", '%')?, "mailer%20%2E%2E%2Feu");
/// assert_eq!(cursor_name("mailer%20%2E%2E%2Feu", '%').as_deref(), Some("mailer ../eu"));
/// assert!(cursor_key("mailer\0", '%').is_err());
/// # Ok::<(), alluvium_core::CursorStoreError>(())
/// ```
pub fn cursor_key(name: &str, escape: char) -> Result<String, CursorStoreError> {
    if name.chars().any(char::is_control) {
        return Err(CursorStoreError::Invalid(format!(
            "{name:?} cannot name a cursor: leave the control characters out"
        )));
    }
    name::encode_with(name, escape).map_err(|error| {
        CursorStoreError::Invalid(match error {
            NameError::Empty => "a cursor without a name: give it one".to_owned(),
            NameError::TooLong { name, length } => format!(
                "the cursor's name {name:?} takes {length} bytes in a key, where each byte but a-z 0-9 _ - takes three: \
                 give it a name that takes at most {MAX_ENCODED}"
            ),
        })
    })
}

/// The name that [`cursor_key`] made this of; `None` for what it never makes.
pub fn cursor_name(key: &str, escape: char) -> Option<String> {
    let name = name::decode_with(key, escape)?;
    cursor_key(&name, escape).ok().map(|_| name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_names_share_a_key_and_each_is_found_again() {
        let names = [
            "a", "A", "a/b", "a%2Fb", "a=2Fb", "%61", "=61", "..", ".", ">", "*", "a.b", "ä", "a b", "a\\b",
            "con:",
        ];
        for escape in ['%', '='] {
            let keys: Vec<String> = names
                .iter()
                .map(|name| cursor_key(name, escape).unwrap())
                .collect();
            for (name, key) in names.iter().zip(&keys) {
                assert_eq!(cursor_name(key, escape).as_deref(), Some(*name));
                let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-') || c == escape;
                assert!(key.chars().all(plain), "{key}");
            }
            let apart: BTreeSet<String> = keys.iter().map(|key| key.to_lowercase()).collect();
            assert_eq!(apart.len(), names.len(), "{keys:?}");
        }
    }

    #[test]
    fn a_name_that_no_store_takes_is_refused() {
        assert!(cursor_key(&"x".repeat(240), '%').is_ok());
        for wrong in [
            "",
            "a\0",
            "a\n",
            &"x".repeat(300),
            &"x".repeat(241),
            &"/".repeat(81),
        ] {
            let error = cursor_key(wrong, '%').unwrap_err();
            assert!(
                matches!(error, CursorStoreError::Invalid(_)),
                "{wrong:?}: {error:?}"
            );
        }
        for wrong in ["", "..", "a/b", "%", "%2", "%0A", "%61", "A", "mailer.tmp"] {
            assert_eq!(cursor_name(wrong, '%'), None, "{wrong:?}");
        }
    }
}
