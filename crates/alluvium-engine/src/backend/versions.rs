//! Which assignment version a handle speaks for, and which one it knows to be in force.

use std::sync::atomic::{AtomicU64, Ordering};

use alluvium_core::{AssignmentVersion, BackendError};

/// Both only rise. They guard no other memory, and what is decided by them is decided by the stored fence too.
#[derive(Debug, Default)]
pub(super) struct Versions {
    /// The highest that was told or found stored.
    authoritative: AtomicU64,
    /// The highest that was stored at the beginning, told, or written with.
    caller: AtomicU64,
}

impl Versions {
    /// Those of a handle that finds this fence when it is opened.
    pub(super) fn opened(fence: AssignmentVersion) -> Self {
        let versions = Self::default();
        versions.told(fence);
        versions
    }

    /// The highest version that was told or found stored.
    pub(super) fn authoritative(&self) -> AssignmentVersion {
        AssignmentVersion::new(self.authoritative.load(Ordering::Acquire))
    }

    /// The caller knows of this version.
    pub(super) fn told(&self, version: AssignmentVersion) {
        self.authoritative.fetch_max(version.get(), Ordering::AcqRel);
        self.caller.fetch_max(version.get(), Ordering::AcqRel);
    }

    /// The caller has written with this version.
    pub(super) fn written(&self, version: AssignmentVersion) {
        self.caller.fetch_max(version.get(), Ordering::AcqRel);
    }

    /// Whether a write with this version is one of today, where this fence is stored.
    pub(super) fn check_write(
        &self,
        version: AssignmentVersion,
        fence: AssignmentVersion,
    ) -> Result<(), BackendError> {
        let authoritative = self.found(fence);
        if version < authoritative {
            return Err(BackendError::StaleVersion {
                caller: version,
                authoritative,
            });
        }
        Ok(())
    }

    /// Whether the caller may seal, where this fence is stored. Gives the version below which no partial counts.
    pub(super) fn check_seal(&self, fence: AssignmentVersion) -> Result<AssignmentVersion, BackendError> {
        let authoritative = self.found(fence);
        let caller = AssignmentVersion::new(self.caller.load(Ordering::Acquire));
        if caller < fence {
            return Err(BackendError::StaleVersion {
                caller,
                authoritative: fence,
            });
        }
        Ok(authoritative)
    }

    fn found(&self, fence: AssignmentVersion) -> AssignmentVersion {
        self.authoritative.fetch_max(fence.get(), Ordering::AcqRel);
        self.authoritative()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn v(number: u64) -> AssignmentVersion {
        AssignmentVersion::new(number)
    }

    #[test]
    fn a_write_below_what_is_stored_or_told_is_stale() {
        let versions = Versions::opened(v(2));
        assert!(versions.check_write(v(2), v(2)).is_ok());
        versions.told(v(4));
        for stale in [0, 2, 3] {
            let error = versions.check_write(v(stale), v(2)).unwrap_err();
            assert!(
                matches!(error, BackendError::StaleVersion { authoritative, .. } if authoritative == v(4))
            );
        }
        assert!(versions.check_write(v(4), v(2)).is_ok());
        versions.told(v(1));
        assert_eq!(versions.authoritative(), v(4));
    }

    #[test]
    fn a_version_written_with_speaks_for_its_caller_but_is_not_in_force() {
        let versions = Versions::opened(v(0));
        versions.written(v(5));
        assert_eq!(versions.authoritative(), v(0));
        assert_eq!(versions.check_seal(v(0)).unwrap(), v(0));
        assert_eq!(versions.check_seal(v(5)).unwrap(), v(5));
        assert!(matches!(
            versions.check_seal(v(6)).unwrap_err(),
            BackendError::StaleVersion { caller, authoritative } if (caller, authoritative) == (v(5), v(6))
        ));
    }

    #[test]
    fn finding_a_fence_is_not_being_told_of_it() {
        let versions = Versions::opened(v(1));
        assert!(versions.check_seal(v(3)).is_err());
        assert_eq!(versions.authoritative(), v(3));
        assert!(
            versions.check_seal(v(3)).is_err(),
            "asking again does not make it so"
        );
        versions.told(v(3));
        assert!(versions.check_seal(v(3)).is_ok());
    }
}
