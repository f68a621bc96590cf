//! The manifest of an artifact: an error, or a manifest that is written and read as the same.
#![no_main]

use alluvium_core::artifact::ArtifactManifest;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|json: &[u8]| {
    if let Ok(manifest) = ArtifactManifest::from_json("here", json) {
        // Written as we write it, it may be longer than one can be.
        if let Ok(json) = manifest.to_json() {
            let again = ArtifactManifest::from_json("here", &json).expect("what was written is read");
            assert_eq!(again, manifest);
        }
    }
});
