//! Which keys a table holds: everything, or the union of NATS subject filters.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A NATS subject filter over keys: tokens divided by dots, `*` for any one token, `>` at the end for one or
/// more.
///
/// ```
/// use alluvium_core::Filter;
///
/// let filter: Filter = "routes.*.eu".parse()?;
/// assert!(filter.matches(b"routes.api.eu"));
/// assert!(!filter.matches(b"routes.eu"));
/// assert!("routes..eu".parse::<Filter>().is_err());
/// # Ok::<(), alluvium_core::ScopeError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Filter(String);

/// Why a text is not a filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{filter:?} is not a subject filter: {problem}")]
pub struct ScopeError {
    filter: String,
    problem: &'static str,
}

impl Filter {
    /// The filter as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a key matches.
    pub fn matches(&self, key: &[u8]) -> bool {
        if self.0 == ">" {
            return true;
        }
        let mut tokens = key.split(|byte| *byte == b'.');
        for pattern in self.0.split('.') {
            match (pattern, tokens.next()) {
                (">", Some(_)) => return true,
                ("*", Some(_)) => {}
                (literal, Some(token)) if literal.as_bytes() == token => {}
                _ => return false,
            }
        }
        tokens.next().is_none()
    }

    /// Whether every key that matches `other` matches this filter too.
    pub fn covers(&self, other: &Self) -> bool {
        let mut theirs = other.0.split('.');
        for ours in self.0.split('.') {
            match (ours, theirs.next()) {
                (">", Some(_)) => return true,
                (_, Some(">") | None) => return false,
                ("*", Some(_)) => {}
                (literal, Some(token)) if literal == token => {}
                _ => return false,
            }
        }
        theirs.next().is_none()
    }

    /// Whether some key can match both filters.
    fn overlaps(&self, other: &Self) -> bool {
        let (mut ours, mut theirs) = (self.0.split('.'), other.0.split('.'));
        loop {
            match (ours.next(), theirs.next()) {
                (None, None) | (Some(">"), Some(_)) | (Some(_), Some(">")) => return true,
                (Some(a), Some(b)) if a == "*" || b == "*" || a == b => {}
                _ => return false,
            }
        }
    }

    /// The narrowest filter that covers both, token by token.
    fn join(&self, other: &Self) -> Self {
        let (mut ours, mut theirs) = (self.0.split('.'), other.0.split('.'));
        let mut joined: Vec<&str> = Vec::new();
        loop {
            match (ours.next(), theirs.next()) {
                (None, None) => break,
                (Some(a), Some(b)) if a == b => joined.push(a),
                (Some(a), Some(b)) if a != ">" && b != ">" => joined.push("*"),
                (Some(_), Some(_)) => {
                    joined.push(">");
                    break;
                }
                // One is longer: whatever follows the last common token.
                _ => {
                    joined.pop();
                    joined.push(">");
                    break;
                }
            }
        }
        Self(joined.join("."))
    }
}

impl FromStr for Filter {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        let fail = |problem| {
            Err(ScopeError {
                filter: text.to_owned(),
                problem,
            })
        };
        if text.is_empty() {
            return fail("it is empty");
        }
        let mut tokens = text.split('.').peekable();
        while let Some(token) = tokens.next() {
            if token.is_empty() {
                return fail("a token between dots is empty");
            }
            if token == ">" && tokens.peek().is_some() {
                return fail("`>` is allowed only as the last token");
            }
            if token.len() > 1 && token.contains(['*', '>']) {
                return fail("`*` and `>` stand for whole tokens, not for parts of one");
            }
            if token.contains(|c: char| c.is_whitespace() || c.is_control()) {
                return fail("it has white space or a control character in it");
            }
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for Filter {
    type Error = ScopeError;

    fn try_from(text: String) -> Result<Self, ScopeError> {
        text.parse()
    }
}

impl From<Filter> for String {
    fn from(filter: Filter) -> Self {
        filter.0
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which keys a table holds: the union of filters. Two scopes with the same meaning are mostly equal, because
/// filters that another one covers are left out and the rest is sorted.
///
/// ```
/// use alluvium_core::Scope;
///
/// let scope = Scope::of(["routes.>", "routes.eu", "flags.*"])?;
/// assert_eq!(scope.to_string(), "flags.*, routes.>");
/// assert!(scope.matches(b"flags.beta") && !scope.matches(b"certs.a"));
/// assert!(Scope::all().covers(&scope));
/// # Ok::<(), alluvium_core::ScopeError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "Vec<Filter>", into = "Vec<Filter>")]
pub struct Scope {
    /// Never empty, sorted, none covering another.
    filters: Vec<Filter>,
}

impl Scope {
    /// Every key.
    pub fn all() -> Self {
        Self {
            filters: vec![Filter(">".to_owned())],
        }
    }

    /// The union of these filters; of none at all, every key.
    ///
    /// # Errors
    ///
    /// [`ScopeError`] naming the first text that is not a filter.
    pub fn of<T: AsRef<str>>(filters: impl IntoIterator<Item = T>) -> Result<Self, ScopeError> {
        let filters: Result<Vec<Filter>, _> = filters
            .into_iter()
            .map(|filter| filter.as_ref().parse())
            .collect();
        Ok(filters?.into())
    }

    /// The filters, sorted, none covering another.
    pub fn filters(&self) -> &[Filter] {
        &self.filters
    }

    /// Whether the scope is every key.
    pub fn is_all(&self) -> bool {
        self.filters[0].0 == ">"
    }

    /// Whether a key is in the scope.
    pub fn matches(&self, key: &[u8]) -> bool {
        self.filters.iter().any(|filter| filter.matches(key))
    }

    /// Whether every key of `other` is in this scope too, by one filter for each of the other's.
    pub fn covers(&self, other: &Self) -> bool {
        other
            .filters
            .iter()
            .all(|theirs| self.filters.iter().any(|ours| ours.covers(theirs)))
    }

    /// Filters that cover the scope, of which no two can match the same key: what one NATS consumer accepts.
    ///
    /// Filters that overlap without covering each other are joined into a wider one. When the result differs from
    /// [`filters`](Self::filters), whoever subscribes with it still has to ask [`matches`](Self::matches).
    pub fn disjoint_cover(&self) -> Vec<Filter> {
        let mut cover: Vec<Filter> = Vec::new();
        for filter in &self.filters {
            let mut filter = filter.clone();
            // Joining can create new overlaps with what is already there, so begin again after each join.
            while let Some(other) = cover.iter().position(|other| other.overlaps(&filter)) {
                filter = filter.join(&cover.swap_remove(other));
            }
            cover.push(filter);
        }
        cover.sort();
        cover
    }
}

impl Default for Scope {
    fn default() -> Self {
        Self::all()
    }
}

impl From<Vec<Filter>> for Scope {
    fn from(mut filters: Vec<Filter>) -> Self {
        filters.sort();
        filters.dedup();
        let covered = |filter: &Filter| {
            filters
                .iter()
                .any(|other| other != filter && other.covers(filter))
        };
        let filters: Vec<Filter> = filters
            .iter()
            .filter(|filter| !covered(filter))
            .cloned()
            .collect();
        if filters.is_empty() {
            Self::all()
        } else {
            Self { filters }
        }
    }
}

impl From<Scope> for Vec<Filter> {
    fn from(scope: Scope) -> Self {
        scope.filters
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, filter) in self.filters.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            filter.fmt(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filter() -> impl Strategy<Value = String> {
        let token = prop_oneof![Just("a"), Just("b"), Just("*")];
        (prop::collection::vec(token, 1..4), any::<bool>()).prop_map(|(mut tokens, open)| {
            if open {
                tokens.push(">");
            }
            tokens.join(".")
        })
    }

    /// Every key of up to five tokens over a small alphabet: enough to tell any two of the filters above apart.
    fn keys() -> Vec<String> {
        let mut all = vec![String::new()];
        let mut longest = vec![String::new()];
        for _ in 0..5 {
            longest = longest
                .iter()
                .flat_map(|key| {
                    ["a", "b", "c"].map(|t| {
                        if key.is_empty() {
                            t.to_owned()
                        } else {
                            format!("{key}.{t}")
                        }
                    })
                })
                .collect();
            all.extend(longest.iter().cloned());
        }
        all.remove(0);
        all
    }

    proptest! {
        #[test]
        fn covers_and_overlaps_say_what_matching_every_key_says(a in filter(), b in filter()) {
            let (a, b): (Filter, Filter) = (a.parse().unwrap(), b.parse().unwrap());
            let keys = keys();
            let covers = keys.iter().all(|key| a.matches(key.as_bytes()) || !b.matches(key.as_bytes()));
            let overlaps = keys.iter().any(|key| a.matches(key.as_bytes()) && b.matches(key.as_bytes()));
            prop_assert_eq!(a.covers(&b), covers, "{} covers {}", a, b);
            prop_assert_eq!(a.overlaps(&b), overlaps, "{} overlaps {}", a, b);
        }

        #[test]
        fn a_scope_is_the_union_of_its_filters(texts in prop::collection::vec(filter(), 1..4)) {
            let scope = Scope::of(&texts).unwrap();
            let filters: Vec<Filter> = texts.iter().map(|text| text.parse().unwrap()).collect();
            for key in keys() {
                let in_union = filters.iter().any(|filter| filter.matches(key.as_bytes()));
                prop_assert_eq!(scope.matches(key.as_bytes()), in_union, "{} in {}", key, scope);
            }
        }

        #[test]
        fn a_disjoint_cover_covers_and_is_disjoint(texts in prop::collection::vec(filter(), 1..5)) {
            let scope = Scope::of(&texts).unwrap();
            let cover = scope.disjoint_cover();
            for filter in scope.filters() {
                prop_assert!(cover.iter().any(|wider| wider.covers(filter)), "{:?} covers {}", cover, filter);
            }
            for (index, one) in cover.iter().enumerate() {
                prop_assert!(cover[index + 1..].iter().all(|other| !one.overlaps(other)), "{:?}", cover);
            }
        }
    }

    #[test]
    fn what_is_not_a_filter_is_refused() {
        for text in ["", ".", "a.", ".a", "a..b", "a.>.b", "a*", ">a", "a b", "a\n"] {
            assert!(text.parse::<Filter>().is_err(), "{text:?} was taken for a filter");
        }
    }
}
