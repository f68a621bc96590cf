//! What was packed is read, and nothing else is.

use std::io::{self, Read, Write as _};
use std::process::Command;

use alluvium_core::ErrorKind;
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

use super::*;

fn digest(content: &[u8]) -> Digest {
    Digest::from_bytes(Sha256::digest(content).into())
}

/// A segment as it lies in a pack.
fn packed(content: &[u8]) -> Vec<u8> {
    let length = content.len() as u64;
    let header = header(&digest(content), length).unwrap();
    [&header, content, &padding(length)].concat()
}

fn pack(contents: &[&[u8]]) -> Vec<u8> {
    let packed = contents.iter().map(|content| packed(content));
    packed.chain([end().to_vec()]).collect::<Vec<_>>().concat()
}

/// A pack of one good segment, then one whose header was meddled with, then a good one.
fn meddled(meddle: impl FnOnce(&mut Header)) -> Vec<u8> {
    let mut header = Header::from_byte_slice(&packed(b"second")[..BLOCK]).clone();
    meddle(&mut header);
    header.set_cksum();
    let second = [&header.as_bytes()[..], &packed(b"second")[BLOCK..]].concat();
    [packed(b"first"), second, pack(&[b"third"])].concat()
}

fn named(name: &[u8]) -> Vec<u8> {
    meddled(|header| {
        let field = &mut header.as_old_mut().name;
        field.fill(0);
        field[..name.len()].copy_from_slice(name);
    })
}

fn of_kind(kind: u8) -> Vec<u8> {
    meddled(|header| header.as_old_mut().linkflag = [kind])
}

fn read(from: impl Read) -> Result<Vec<(PackEntry, Bytes)>, PackError> {
    let mut reader = PackReader::new(from);
    let mut found = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        found.push((entry, reader.content()?));
    }
    Ok(found)
}

/// What a pack is refused with, whether its contents are read or skipped.
fn refused(pack: &[u8]) -> PackError {
    let mut reader = PackReader::new(pack);
    let skipped = loop {
        match reader.next_entry() {
            Ok(entry) => assert!(entry.is_some(), "it was taken"),
            Err(error) => break error,
        }
    };
    assert!(
        matches!(reader.next_entry(), Ok(None)),
        "something came after the error"
    );
    let error = read(pack).unwrap_err();
    assert_eq!(error.to_string(), skipped.to_string());
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    error
}

/// Gives a byte at a time, and is interrupted before each.
struct Trickle<'a>(&'a [u8], bool);

impl Read for Trickle<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        self.1 = !self.1;
        if self.1 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let most = to.len().min(1);
        self.0.read(&mut to[..most])
    }
}

proptest! {
    #[test]
    fn what_was_packed_is_read(contents in prop::collection::btree_set(prop::collection::vec(any::<u8>(), 1..2_000), 0..6)) {
        let contents: Vec<&[u8]> = contents.iter().map(Vec::as_slice).collect();
        let pack = pack(&contents);
        let found = read(&pack[..]).unwrap();
        prop_assert_eq!(found.len(), contents.len());
        for ((entry, bytes), content) in found.iter().zip(&contents) {
            prop_assert_eq!(entry.digest, digest(content));
            prop_assert_eq!(entry.length, content.len() as u64);
            let start = usize::try_from(entry.offset).unwrap();
            prop_assert_eq!(&pack[start..][..content.len()], *content);
            prop_assert_eq!(bytes, *content);
        }
        prop_assert_eq!(read(Trickle(&pack, false)).unwrap(), found);
    }

    #[test]
    fn any_other_bytes_are_refused(place in any::<prop::sample::Index>(), flip in 1_u8.., cut in any::<prop::sample::Index>()) {
        let pack = pack(&[b"first", &[7; 700]]);
        prop_assert!(read(&pack[..cut.index(pack.len())]).is_err());
        let mut damaged = pack.clone();
        *place.get_mut(&mut damaged) ^= flip;
        // Of a header only its checksum may be written otherwise.
        match read(&damaged[..]) {
            Ok(found) => prop_assert_eq!(found, read(&pack[..]).unwrap()),
            Err(error) => prop_assert_eq!(error.kind(), ErrorKind::Corrupt),
        }
    }
}

#[test]
fn names_that_are_not_of_segments_are_refused() {
    let good = format!("{}.parquet", digest(b"second"));
    let names = [
        format!("/{good}"),
        format!("../{good}"),
        format!("..\\{good}"),
        format!("./{good}"),
        format!("a/{good}"),
        format!("{good}/"),
        good.to_uppercase(),
        good[1..].to_owned(),
        good.replace(".parquet", ""),
        good.replace(".parquet", ".tar"),
        "/etc/passwd".to_owned(),
        "../../.ssh/authorized_keys".to_owned(),
        "\u{1b}[2J".to_owned(),
        String::new(),
    ];
    for name in &names {
        let error = refused(&named(name.as_bytes()));
        assert!(matches!(&error, PackError::Name { .. }), "{name}: {error}");
        let shown = if name.is_empty() {
            "byte 1024"
        } else {
            &format!("{name:?}")
        };
        assert!(error.to_string().contains(shown), "{error}");
    }
    let error = refused(&named(b"\xff\xfe"));
    assert!(matches!(error, PackError::Name { .. }), "{error}");
    let in_prefix = meddled(|header| header.as_ustar_mut().unwrap().prefix[..2].copy_from_slice(b".."));
    assert!(matches!(refused(&in_prefix), PackError::Name { entry } if entry.contains("../")));
}

#[test]
fn what_is_no_regular_file_is_refused() {
    for (kind, what) in [
        (b'1', "a hard link"),
        (b'2', "a symbolic link"),
        (b'3', "a device"),
        (b'4', "a device"),
        (b'5', "a directory"),
        (b'6', "a pipe"),
        (b'7', "of an unknown kind"),
        (b'x', "an extension of pax"),
        (b'g', "an extension of pax"),
        (b'L', "an extension of GNU"),
        (b'K', "an extension of GNU"),
        (b'S', "an extension of GNU"),
        (b'V', "of an unknown kind"),
        (0xff, "of an unknown kind"),
    ] {
        let error = refused(&of_kind(kind));
        assert!(
            matches!(&error, PackError::NoFile { found, .. } if *found == what),
            "{kind}: {error}"
        );
        assert!(
            error.to_string().contains(&digest(b"second").to_string()),
            "{error}"
        );
    }
}

#[test]
fn headers_of_other_formats_and_with_other_checksums_are_refused() {
    for magic in [b"ustar  \0", b"\0\0\0\0\0\0\0\0", b"USTAR\x0000"] {
        let error = refused(&meddled(|header| {
            header.as_mut_bytes()[257..265].copy_from_slice(magic);
        }));
        assert!(matches!(error, PackError::Header { .. }), "{error}");
    }
    let mut sum = pack(&[b"first"]);
    sum[0] ^= 1;
    assert!(matches!(refused(&sum), PackError::Header { .. }));
    let mut none = pack(&[b"first"]);
    none[148..156].fill(b' ');
    assert!(matches!(refused(&none), PackError::Header { .. }));
    assert!(matches!(refused(&[b'x'; 4_096]), PackError::Header { .. }));
}

#[test]
fn lengths_that_no_segment_has_are_refused() {
    for length in [
        &b"00000000000\0"[..],
        b"77777777777\0",
        b"777777777777",
        b"01000000001\0",
        b"+0000000006\0",
        b"-0000000006\0",
        b"00000000008\0",
        b"0x000000006\0",
        b"           \0",
        b"\0\0\0\0\0\0\0\0\0\0\0\0",
        b"\x80\0\0\0\0\0\0\0\0\0\0\x06",
        b"\x80\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    ] {
        let error = refused(&meddled(|header| {
            header.as_old_mut().size.copy_from_slice(length);
        }));
        assert!(matches!(error, PackError::Length { .. }), "{length:?}: {error}");
    }
    assert!(matches!(header(&digest(b""), 0), Err(PackError::Length { .. })));
    let beyond = header(&digest(b""), MAX_SEGMENT_BYTES + 1);
    assert!(matches!(beyond, Err(PackError::Length { .. })));
}

/// A length that is a lie leads to a header that is none, or beyond the end.
#[test]
fn lengths_that_are_lies_are_refused() {
    for length in [1, 5, 7, 512] {
        let lie = meddled(|header| header.set_size(length));
        assert!(read(&lie[..]).is_err(), "{length}");
    }
    let error = refused(&meddled(|header| header.set_size(MAX_SEGMENT_BYTES)));
    assert!(matches!(error, PackError::CutOff { .. }), "{error}");
    let hidden = [packed(b"first"), packed(b"second"), end().to_vec()].concat();
    let mut filled = hidden.clone();
    filled[BLOCK + 5] = b'!';
    assert!(matches!(refused(&filled), PackError::Header { .. }));
}

#[test]
fn a_name_that_was_there_before_is_refused() {
    let error = refused(&pack(&[b"first", b"second", b"first"]));
    assert!(
        matches!(&error, PackError::Duplicate { entry } if *entry == format!("{}.parquet", digest(b"first"))),
        "{error}"
    );
}

#[test]
fn a_pack_that_is_cut_off_is_refused_wherever() {
    let whole = pack(&[b"first", &[7; 600]]);
    for length in 0..whole.len() {
        let error = refused(&whole[..length]);
        assert!(matches!(error, PackError::CutOff { .. }), "{length}: {error}");
    }
}

#[test]
fn what_comes_after_the_end_is_refused_and_not_read_on() {
    let whole = pack(&[b"first"]);
    for more in [&b"\0"[..], b"x", &pack(&[b"second"]), &end()] {
        let error = refused(&[&whole, more].concat());
        assert!(matches!(error, PackError::GoesOn { offset: 1024 }), "{error}");
    }
    let after_one = [packed(b"first"), vec![0; BLOCK], pack(&[b"second"])].concat();
    assert!(matches!(refused(&after_one), PackError::GoesOn { .. }));
    for zeros in [
        read(io::repeat(0)),
        read(Read::chain(&packed(b"first")[..], io::repeat(0))),
    ] {
        assert!(matches!(zeros, Err(PackError::GoesOn { .. })), "{zeros:?}");
    }
}

#[test]
fn modes_owners_and_times_mean_nothing() {
    let odd = meddled(|header| {
        header.set_mode(0o6777);
        header.as_old_mut().uid.fill(0xff);
        header.as_old_mut().mtime.fill(b'?');
    });
    assert_eq!(read(&odd[..]).unwrap().len(), 3);
}

#[test]
fn other_content_than_its_name_tells_is_refused_and_the_next_can_be_read() {
    let mut pack = pack(&[b"first", b"second"]);
    pack[BLOCK] ^= 1;
    let mut reader = PackReader::new(&pack[..]);
    reader.next_entry().unwrap().unwrap();
    let error = reader.content().unwrap_err();
    assert!(
        matches!(error, PackError::IntegrityMismatch { actual, .. } if actual == digest(b"girst")),
        "{error}"
    );
    assert_eq!(reader.next_entry().unwrap().unwrap().digest, digest(b"second"));
    assert_eq!(reader.content().unwrap(), "second");
    assert!(reader.next_entry().unwrap().is_none());
}

#[test]
fn a_reader_that_fails_is_no_damage() {
    struct Fails;
    impl Read for Fails {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("gone"))
        }
    }
    let error = read(Read::chain(&packed(b"first")[..], Fails)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[test]
fn the_tar_of_the_system_lists_a_pack() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&pack(&[b"first", &[7; 600]])).unwrap();
    let listed = Command::new("tar")
        .arg("tf")
        .arg(file.path())
        .output()
        .expect("this test needs `tar`: install it");
    assert!(listed.status.success(), "{listed:?}");
    let expected = [digest(b"first"), digest(&[7; 600])].map(|digest| format!("{digest}.parquet\n"));
    assert_eq!(String::from_utf8(listed.stdout).unwrap(), expected.concat());
    assert_eq!(String::from_utf8(listed.stderr).unwrap(), "");
}
