//! A disk that is soon full: a small tmpfs.

use std::path::Path;
use std::process::Command;

/// A small file system of its own. Dropping it unmounts it.
#[derive(Debug)]
pub struct SmallDisk {
    directory: tempfile::TempDir,
}

impl SmallDisk {
    /// One of this size, such as `32m`.
    ///
    /// # Panics
    ///
    /// If it cannot be mounted, which takes root.
    pub fn of(size: &str) -> Self {
        let disk = Self {
            directory: tempfile::tempdir().expect("a temporary directory"),
        };
        disk.mount(&format!("size={size}"));
        disk
    }

    /// Makes it smaller or larger; what is on it stays.
    ///
    /// # Panics
    ///
    /// If it cannot be mounted, which takes root.
    pub fn resize(&self, size: &str) {
        self.mount(&format!("remount,size={size}"));
    }

    /// Lets nothing be written to it any more.
    ///
    /// # Panics
    ///
    /// If it cannot be mounted, which takes root, or somebody writes to it just then.
    pub fn read_only(&self) {
        self.mount("remount,ro");
    }

    fn mount(&self, options: &str) {
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(self.path())
            .output();
        let mounted = mounted.expect("mount runs");
        let said = String::from_utf8_lossy(&mounted.stderr);
        assert!(
            mounted.status.success(),
            "a small tmpfs cannot be mounted, which takes root: {said}"
        );
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("--lazy").arg(self.path()).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            eprintln!("{} stays mounted", self.path().display());
        }
    }
}
