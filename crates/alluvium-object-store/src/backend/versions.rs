//! Which assignment version a handle speaks for, and which one it knows to be in force.

use std::sync::atomic::{AtomicU64, Ordering};

use alluvium_core::{AssignmentVersion, BackendError};

/// Both only rise. They guard no other memory, and what is decided by them is decided by the stored fence too.
#[derive(Debug, Default)]
pub(super) struct Versions {
    /// The highest that was told or found stored.
    authoritative: AtomicU64,
    /// The highest that was stored at the beginning, told, or written with. Finding a fence is not being told of it:
    /// otherwise a zombie would be one of today as soon as it had looked.
    caller: AtomicU64,
}

impl Versions {
    /// The highest version that was told or found stored.
    pub(super) fn authoritative(&self) -> AssignmentVersion {
        AssignmentVersion::new(self.authoritative.load(Ordering::Acquire))
    }

    /// The caller knows of this version, or it was stored when the backend was opened.
    pub(super) fn told(&self, version: AssignmentVersion) {
        self.found(version);
        self.written(version);
    }

    /// The caller has written with this version.
    pub(super) fn written(&self, version: AssignmentVersion) {
        self.caller.fetch_max(version.get(), Ordering::AcqRel);
    }

    /// This fence was found stored.
    pub(super) fn found(&self, fence: AssignmentVersion) {
        self.authoritative.fetch_max(fence.get(), Ordering::AcqRel);
    }

    /// Whether a write with this version is one of today.
    pub(super) fn check_write(&self, version: AssignmentVersion) -> Result<(), BackendError> {
        let authoritative = self.authoritative();
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
        let caller = AssignmentVersion::new(self.caller.load(Ordering::Acquire));
        if caller < fence {
            return Err(BackendError::StaleVersion {
                caller,
                authoritative: fence,
            });
        }
        Ok(self.authoritative())
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
        let versions = Versions::default();
        versions.found(v(2));
        assert!(versions.check_write(v(2)).is_ok());
        versions.told(v(4));
        for stale in [0, 2, 3] {
            let error = versions.check_write(v(stale)).unwrap_err();
            assert!(
                matches!(error, BackendError::StaleVersion { authoritative, .. } if authoritative == v(4))
            );
        }
        versions.told(v(1));
        assert_eq!(versions.authoritative(), v(4));
    }

    #[test]
    fn finding_a_fence_is_not_being_told_of_it() {
        let versions = Versions::default();
        versions.written(v(2));
        assert_eq!(
            versions.authoritative(),
            v(0),
            "what was written with is not in force"
        );
        versions.found(v(3));
        for _ in 0..2 {
            assert!(matches!(
                versions.check_seal(v(3)).unwrap_err(),
                BackendError::StaleVersion { caller, authoritative } if (caller, authoritative) == (v(2), v(3))
            ));
        }
        versions.told(v(3));
        assert_eq!(versions.check_seal(v(3)).unwrap(), v(3));
    }
}
