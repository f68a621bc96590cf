//! Rule: what is promised to be absent is absent, also at second hand.
//!
//! An absence is part of what a crate is for: the core can be used without an async runtime, the runtime names no
//! backend, and the default features need no C++ compiler.

use super::Finding;
use super::tree::Tree;

/// Crates that another one never depends on, however far away.
pub(super) struct Absence {
    pub(super) package: &'static str,
    absent: &'static [&'static str],
    because: &'static str,
}

/// Every promise.
pub(super) const PROMISED: &[Absence] = &[
    Absence {
        package: "alluvium-core",
        absent: &["tokio", "async-nats", "fjall", "object_store", "rocksdb"],
        because: "the core does no I/O and leaves the runtime to its user",
    },
    Absence {
        package: "alluvium-runtime",
        absent: &["fjall", "imbl", "async-nats", "object_store", "rocksdb"],
        because: "the runtime drives trait objects and names no backend",
    },
    Absence {
        package: "alluvium",
        absent: &["rocksdb", "librocksdb-sys", "bindgen"],
        because: "the default features need no C++ compiler and no libclang",
    },
];

impl Absence {
    /// Checks what `cargo tree --prefix none` prints for the package: one `name version` a line.
    pub(super) fn check(&self, dependencies: &str, tree: &Tree) -> Vec<Finding> {
        let manifest = self.manifest();
        let present = |name: &str| {
            dependencies
                .lines()
                .any(|line| line.split_whitespace().next() == Some(name))
        };
        self.absent
            .iter()
            .filter(|name| present(name))
            .map(|name| {
                let line = tree.text(&manifest).and_then(|text| text.lines().position(|line| line.starts_with(name)));
                let (package, because) = (self.package, self.because);
                Finding::new(
                    manifest.clone(),
                    line.map_or(1, |index| index + 1),
                    format!(
                        "{package} depends on {name}, but {because}: `cargo tree -p {package} -e normal,build -i {name}` \
                         shows how it comes in"
                    ),
                )
            })
            .collect()
    }

    /// The finding for a package that is not there: a promise about nothing is not kept.
    pub(super) fn unkept(&self) -> Finding {
        let text = format!(
            "there is no {}: correct the promise in xtask/src/tidy/absences.rs",
            self.package
        );
        Finding::new("Cargo.toml", 1, text)
    }

    fn manifest(&self) -> String {
        format!("crates/{}/Cargo.toml", self.package)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABSENCE: Absence = Absence {
        package: "a",
        absent: &["tokio", "fjall"],
        because: "it is small",
    };

    #[test]
    fn a_kept_promise_is_fine() {
        let dependencies = "a v0.1.0 (crates/a)\nbytes v1.12.0\ntokio-util v0.7.0 (*)\n";
        assert!(ABSENCE.check(dependencies, &Tree::default()).is_empty());
    }

    #[test]
    fn a_broken_promise_is_found() {
        let tree = Tree::of(&[("crates/a/Cargo.toml", "[dependencies]\ntokio.workspace = true\n")]);
        let findings = ABSENCE.check(
            "a v0.1.0\nbytes v1.12.0\ntokio v1.50.0 (*)\nfjall v3.1.0\n",
            &tree,
        );
        assert_eq!(
            findings.iter().map(|finding| finding.line).collect::<Vec<_>>(),
            [2, 1]
        );
    }
}
