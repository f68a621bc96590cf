//! The names of RocksDB's files, as far as they matter here.

/// What a file of the data directory is, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum FileKind {
    /// Names the manifest in force.
    Current,
    /// Which column families and tables there are, as a log of changes.
    Manifest(u64),
    /// A journal. The highest number is written to.
    Journal(u64),
    /// A table.
    Table(u64),
}

impl FileKind {
    /// The kind of the file of this name; `None` if nothing depends on it.
    pub(crate) fn of(name: &str) -> Option<Self> {
        if name == "CURRENT" {
            return Some(Self::Current);
        }
        if let Some(number) = name.strip_prefix("MANIFEST-") {
            return Some(Self::Manifest(self::number(number)?));
        }
        let (number, extension) = name.split_once('.')?;
        let number = self::number(number)?;
        match extension {
            "log" => Some(Self::Journal(number)),
            "sst" => Some(Self::Table(number)),
            _ => None,
        }
    }
}

fn number(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_apart_by_their_names() {
        for (name, kind) in [
            ("CURRENT", Some(FileKind::Current)),
            ("MANIFEST-000005", Some(FileKind::Manifest(5))),
            ("000012.log", Some(FileKind::Journal(12))),
            ("1234567.sst", Some(FileKind::Table(1_234_567))),
            ("OPTIONS-000007", None),
            ("LOCK", None),
            ("LOG", None),
            (".sst", None),
            ("+1.sst", None),
            ("MANIFEST-", None),
            ("3-0.sst", None),
        ] {
            assert_eq!(FileKind::of(name), kind, "{name}");
        }
    }
}
