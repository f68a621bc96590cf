//! What the objects are called. A name tells what can be told without reading the object.

use std::fmt;
use std::str::FromStr;

use alluvium_core::{AssignmentVersion, Epoch, InstanceId};
use object_store::path::Path;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Where the objects of one backend are.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    prefix: Path,
}

/// An object of ours in an epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum EpochObject {
    Partials(PartialsName),
    Seal(SealName),
}

/// The name of an object with partials.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct PartialsName {
    /// Above all that the writer knew of: later writes of a vnode have higher ones.
    pub(super) attempt: u64,
    pub(super) instance: InstanceId,
    /// One run of writes, each of which knows of all before it.
    pub(super) writer: Uuid,
    /// How long the index is that the object begins with.
    pub(super) index_bytes: u32,
}

/// The name of a seal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SealName {
    /// The stored fence that it was sealed under.
    pub(super) fence: AssignmentVersion,
}

/// The highest attempt that a name can have, so that one can always be added to what was found.
const LAST_ATTEMPT: u64 = u64::MAX / 2;

const CONTROL: &str = "control.json";
const EPOCHS: &str = "epochs";
const PARTIALS: &str = "partials-";
const SEAL: &str = "seal-";

impl Layout {
    pub(super) fn new(prefix: Path) -> Self {
        Self { prefix }
    }

    pub(super) fn control(&self) -> Path {
        self.prefix.clone().join(CONTROL)
    }

    /// The directory of every epoch.
    pub(super) fn epochs(&self) -> Path {
        self.prefix.clone().join(EPOCHS)
    }

    /// The directory of one epoch.
    pub(super) fn epoch(&self, epoch: Epoch) -> Path {
        self.epochs().join(format!("{:020}", epoch.get()))
    }

    pub(super) fn partials(&self, epoch: Epoch, name: &PartialsName) -> Path {
        self.epoch(epoch).join(name.to_string())
    }

    pub(super) fn seal(&self, epoch: Epoch, name: SealName) -> Path {
        self.epoch(epoch).join(name.to_string())
    }

    /// Which object of ours is there; none if it is not ours.
    pub(super) fn parse(&self, path: &Path) -> Option<(Epoch, EpochObject)> {
        let epochs = self.epochs();
        let mut parts = path.prefix_match(&epochs)?;
        let (epoch, name) = (parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let epoch = Epoch::new(number(epoch.as_ref(), 20)?).ok()?;
        let name: &str = name.as_ref();
        let object = if let Some(fence) = name.strip_prefix(SEAL) {
            let fence = AssignmentVersion::new(number(fence, 20)?);
            EpochObject::Seal(SealName { fence })
        } else {
            EpochObject::Partials(name.parse().ok()?)
        };
        Some((epoch, object))
    }
}

impl fmt::Display for PartialsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            attempt,
            instance,
            writer,
            index_bytes,
        } = self;
        // The instance last: it may have hyphens.
        let writer = writer.simple();
        write!(f, "{PARTIALS}{attempt:020}-{writer}-{index_bytes:010}-{instance}")
    }
}

/// A name that is none of ours.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no name of an object with partials")]
pub(super) struct NotOurs(String);

impl FromStr for PartialsName {
    type Err = NotOurs;

    fn from_str(name: &str) -> Result<Self, NotOurs> {
        let parse = || {
            let mut parts = name.strip_prefix(PARTIALS)?.splitn(4, '-');
            let attempt = number(parts.next()?, 20).filter(|attempt| *attempt <= LAST_ATTEMPT)?;
            let writer = Uuid::try_parse(parts.next()?).ok()?;
            let index_bytes = u32::try_from(number(parts.next()?, 10)?).ok()?;
            let instance = InstanceId::new(parts.next()?).ok()?;
            let parsed = Self {
                attempt,
                instance,
                writer,
                index_bytes,
            };
            // Ids and numbers can be written in more than one way; names in one.
            (parsed.to_string() == name).then_some(parsed)
        };
        parse().ok_or_else(|| NotOurs(name.to_owned()))
    }
}

impl TryFrom<String> for PartialsName {
    type Error = NotOurs;

    fn try_from(name: String) -> Result<Self, NotOurs> {
        name.parse()
    }
}

impl From<PartialsName> for String {
    fn from(name: PartialsName) -> Self {
        name.to_string()
    }
}

impl fmt::Display for SealName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SEAL}{:020}", self.fence.get())
    }
}

/// A number of exactly so many digits.
fn number(text: &str, digits: usize) -> Option<u64> {
    let fine = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    if fine { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(instance: &str) -> PartialsName {
        PartialsName {
            attempt: 7,
            instance: InstanceId::new(instance).unwrap(),
            writer: Uuid::from_u128(0xabc),
            index_bytes: 123,
        }
    }

    #[test]
    fn names_say_what_they_are_of() {
        let layout = Layout::new(Path::from("a/b"));
        let epoch = Epoch::new(42).unwrap();
        for instance in ["node-1", "-", "..", "partials-1", &"x".repeat(100)] {
            let name = name(instance);
            let path = layout.partials(epoch, &name);
            assert_eq!(layout.parse(&path), Some((epoch, EpochObject::Partials(name))));
        }
        let seal = SealName {
            fence: AssignmentVersion::new(u64::MAX),
        };
        let path = layout.seal(epoch, seal);
        assert_eq!(
            path.as_ref(),
            "a/b/epochs/00000000000000000042/seal-18446744073709551615"
        );
        assert_eq!(layout.parse(&path), Some((epoch, EpochObject::Seal(seal))));
    }

    #[test]
    fn later_attempts_come_later_in_a_listing() {
        let later = PartialsName {
            attempt: 10,
            ..name("a")
        };
        assert!(name("b").to_string() < later.to_string());
    }

    #[test]
    fn what_is_not_ours_is_not_taken_for_ours() {
        let layout = Layout::new(Path::default());
        let epoch = "epochs/00000000000000000042";
        let ours = name("a").to_string();
        assert!(layout.parse(&Path::from(format!("{epoch}/{ours}"))).is_some());
        for wrong in [
            format!("{epoch}/x/{ours}"),
            format!("{epoch}/"),
            format!("epochs/42/{ours}"),
            format!("epochs/00000000000000000000/{ours}"),
            format!("epochs/18446744073709551615/{ours}"),
            format!("other/{epoch}/{ours}"),
            format!("{epoch}/{}", ours.to_uppercase()),
            format!("{epoch}/{}", ours.replace("abc", "ABC")),
            format!("{epoch}/{ours} "),
            format!("{epoch}/partials-"),
            format!("{epoch}/partials-99999999999999999999{}", &ours[29..]),
            format!("{epoch}/seal-1"),
            format!("{epoch}/seal-+0000000000000000001"),
            format!("{epoch}/seal-99999999999999999999"),
            format!("{epoch}/notes.txt"),
        ] {
            assert_eq!(layout.parse(&Path::from(wrong.as_str())), None, "{wrong}");
        }
    }
}
