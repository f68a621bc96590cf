//! What leases may be called, and the keys that they are stored under.

use std::fmt::Write as _;

use super::LeaseError;

/// The most bytes of an encoded name: file systems take 255, and something comes after it.
const MAX_ENCODED: usize = 240;
/// The most bytes of a holder's name.
const MAX_HOLDER: usize = 256;

/// A lease's name as a key: everything but `a-z 0-9 _ -` is written byte by byte as `escape` and two hexadecimal digits, upper
/// case too, for some file systems do not tell it from lower case. So no name leads anywhere else, and no two share a
/// key. In paths `escape` is `%`; the keys of NATS know no `%`, there it is `=`.
///
/// # Errors
///
/// [`LeaseError::Invalid`] for a name that is empty, has control characters, or is too long: encoded it has to fit into
/// 240 bytes.
///
/// ```
/// use alluvium_core::lease::lease_key;
///
/// assert_eq!(lease_key("export ../eu", '%')?, "export%20%2E%2E%2Feu");
/// assert_eq!(lease_key("Routes", '=')?, "=52outes");
/// # Ok::<(), alluvium_core::LeaseError>(())
/// ```
pub fn lease_key(name: &str, escape: char) -> Result<String, LeaseError> {
    check_text("lease", name)?;
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' => encoded.push(char::from(byte)),
            // Writing to a string cannot fail.
            _ => drop(write!(encoded, "{escape}{byte:02X}")),
        }
    }
    if encoded.len() > MAX_ENCODED {
        return Err(LeaseError::Invalid(format!(
            "the lease's name {name:?} takes {} bytes in a key, where each byte but a-z 0-9 _ - takes three: give it a name \
             that takes at most {MAX_ENCODED}",
            encoded.len()
        )));
    }
    Ok(encoded)
}

pub(super) fn check_holder(holder: &str) -> Result<(), LeaseError> {
    check_text("holder", holder)?;
    if holder.len() > MAX_HOLDER {
        return Err(LeaseError::Invalid(format!(
            "a holder's name of {} bytes: give it one of at most {MAX_HOLDER}",
            holder.len()
        )));
    }
    Ok(())
}

fn check_text(what: &str, text: &str) -> Result<(), LeaseError> {
    if text.is_empty() {
        return Err(LeaseError::Invalid(format!(
            "a {what} without a name: give it one"
        )));
    }
    if text.chars().any(char::is_control) {
        return Err(LeaseError::Invalid(format!(
            "{text:?} cannot name a {what}: leave the control characters out"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_names_share_a_key_and_none_leaves_its_place() {
        let names = [
            "a", "A", "a/b", "a%2Fb", "a=2Fb", "%61", "=61", "..", ".", ">", "*", "a.b", "ä", "a b", "a\\b",
            "con:",
        ];
        for escape in ['%', '='] {
            let keys: BTreeSet<String> = names
                .iter()
                .map(|name| lease_key(name, escape).unwrap().to_lowercase())
                .collect();
            assert_eq!(keys.len(), names.len(), "{keys:?}");
            for key in keys {
                let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-') || c == escape;
                assert!(key.chars().all(plain), "{key}");
            }
        }
    }

    #[test]
    fn a_name_that_no_store_takes_is_refused() {
        assert!(lease_key(&"x".repeat(240), '%').is_ok());
        for wrong in ["", "a\0", "a\n", &"x".repeat(241), &"/".repeat(81)] {
            assert!(
                matches!(lease_key(wrong, '%'), Err(LeaseError::Invalid(_))),
                "{wrong:?}"
            );
        }
        assert!(check_holder(&"x".repeat(256)).is_ok());
        for wrong in ["", "a\u{7f}", &"x".repeat(257)] {
            assert!(
                matches!(check_holder(wrong), Err(LeaseError::Invalid(_))),
                "{wrong:?}"
            );
        }
    }
}
