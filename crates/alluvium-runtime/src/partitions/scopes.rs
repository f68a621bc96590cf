//! Which messages belong to which partition.

use alluvium_core::{Filter, Scope};

use super::PartitionsError;

/// What stands for the number of the partition in a filter.
const TOKEN: &str = "{partition}";

/// How many partitions a log has, and which scope is whose: a subject filter in which one token is the number of the partition, as
/// the server's own mapping `{{partition(16,1)}}` puts it into subjects.
///
/// ```
/// use alluvium_core::Scope;
/// use alluvium_runtime::PartitionScopes;
///
/// let scopes = PartitionScopes::new("orders.{partition}.>", 16)?;
/// assert_eq!(scopes.scope(3), Scope::of(["orders.3.>"])?);
/// assert!(PartitionScopes::new("orders.>", 16).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionScopes {
    filter: String,
    count: u32,
}

impl PartitionScopes {
    /// So many partitions, from 0, of which each has this filter with its number in the place of `{partition}`.
    ///
    /// # Errors
    ///
    /// [`PartitionsError::Invalid`] for no partitions, for more than 4,096, for a filter in which `{partition}` is not exactly one whole
    /// token, and for what is no filter.
    pub fn new(filter: impl Into<String>, count: u32) -> Result<Self, PartitionsError> {
        let filter = filter.into();
        if !(1..=super::MAX_PARTITIONS).contains(&count) {
            return Err(PartitionsError::Invalid(format!(
                "{count} partitions: let there be 1 to {}",
                super::MAX_PARTITIONS
            )));
        }
        let whole = filter.split('.').filter(|token| *token == TOKEN).count();
        if whole != 1 || filter.matches(TOKEN).count() != 1 {
            return Err(PartitionsError::Invalid(format!(
                "the filter {filter:?} does not tell partitions apart: let one of its tokens be {TOKEN}, as in orders.{TOKEN}.>"
            )));
        }
        let scopes = Self { filter, count };
        scopes
            .filter_of(0)
            .parse::<Filter>()
            .map_err(|error| PartitionsError::Invalid(error.to_string()))?;
        Ok(scopes)
    }

    /// How many partitions there are.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Which messages belong to a partition.
    pub fn scope(&self, partition: u32) -> Scope {
        // A number makes no filter of one that is none, and this one was tried.
        Scope::of([self.filter_of(partition)]).unwrap_or_default()
    }

    fn filter_of(&self, partition: u32) -> String {
        self.filter.replace(TOKEN, &partition.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_message_is_in_two_partitions() {
        let scopes = PartitionScopes::new("a.{partition}.*", 12).unwrap();
        for partition in 0..12 {
            for other in 0..12 {
                let key = format!("a.{other}.x");
                assert_eq!(
                    scopes.scope(partition).matches(key.as_bytes()),
                    partition == other
                );
            }
        }
    }

    #[test]
    fn what_does_not_tell_partitions_apart_is_refused() {
        for wrong in [
            "",
            "a",
            "a.>",
            "{partition}.{partition}",
            "a{partition}.>",
            "a.{partition}.>.b",
            "a..{partition}",
        ] {
            assert!(PartitionScopes::new(wrong, 4).is_err(), "{wrong:?}");
        }
        assert!(PartitionScopes::new("{partition}", 0).is_err());
        assert!(PartitionScopes::new("{partition}", 4_097).is_err());
        assert!(PartitionScopes::new("{partition}", 4_096).is_ok());
    }
}
