//! A pack: an error, or entries that lie in it where they are said to, skipped and read alike.
//!
//! Before it is read, what looks like a header is given the checksum it should have: nothing would get further than that otherwise.
#![no_main]

use alluvium_segment::{PackEntry, PackError, PackReader};
use libfuzzer_sys::fuzz_target;

fn entries(pack: &[u8]) -> Result<Vec<PackEntry>, PackError> {
    let mut reader = PackReader::new(pack);
    let mut entries = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        entries.push(entry);
    }
    Ok(entries)
}

fn with_contents(pack: &[u8]) -> Result<Vec<PackEntry>, PackError> {
    let mut reader = PackReader::new(pack);
    let mut entries = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        let start = entry.offset as usize;
        match reader.content() {
            Ok(content) => assert_eq!(content, pack[start..start + entry.length as usize]),
            Err(PackError::IntegrityMismatch { .. }) => {}
            Err(error) => return Err(error),
        }
        entries.push(entry);
    }
    Ok(entries)
}

fn mend_checksums(pack: &mut [u8]) {
    for block in pack.chunks_exact_mut(512) {
        if &block[257..262] == b"ustar" {
            block[148..156].fill(b' ');
            let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
            block[148..154].copy_from_slice(format!("{sum:06o}").as_bytes());
            block[154] = 0;
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut pack = bytes.to_vec();
    for mended in [false, true] {
        if mended {
            mend_checksums(&mut pack);
        }
        match (entries(&pack), with_contents(&pack)) {
            (Ok(skipped), Ok(read)) => assert_eq!(skipped, read),
            (Err(skipped), Err(read)) => assert_eq!(skipped.to_string(), read.to_string()),
            other => panic!("skipped and read differ: {other:?}"),
        }
    }
});
