//! Word `headers`: what a message carries beside its payload comes with it.

use alluvium_core::Scope;
use bytes::Bytes;

use super::place::with_log;
use crate::LogHarness;

/// In the order of their names, which is of no meaning, and of each name's values as they were.
fn by_name<'a>(headers: impl Iterator<Item = (&'a str, &'a [u8])>) -> Vec<(&'a str, &'a [u8])> {
    let mut headers: Vec<_> = headers.collect();
    headers.sort_by_key(|(name, _)| *name);
    headers
}

/// By every way to a message its headers come with it: as often as they were given, the values of one name in their order.
/// Upper and lower case are two names.
pub fn m_headers_come_with_their_message(harness: &dyn LogHarness) {
    let cases: [(&str, &[(&str, &str)]); 4] = [
        ("a.1", &[]),
        ("a.2", &[("Only", "one")]),
        (
            "a.3",
            &[
                ("Via", "y"),
                ("Via", "x"),
                ("A", ""),
                ("via", "z: z"),
                ("Via", "y"),
            ],
        ),
        ("a.4", &[]),
    ];
    with_log(harness, 1, async |place| {
        for (key, headers) in cases {
            if headers.is_empty() {
                place.put(key, key).await;
            } else {
                let value = Bytes::from_static(key.as_bytes());
                place.owner.put_with_headers(key, value, headers).await;
            }
        }
        let (listed, _) = place.list(&Scope::all()).await;
        let mut reader = place.read(1).await;
        for ((number, listed), (key, headers)) in (1..).zip(listed).zip(cases) {
            let change = reader.change().await;
            assert_eq!(change.key, key);
            let given = headers.iter().map(|(name, value)| (*name, value.as_bytes()));
            let came = change.headers.iter().map(|(name, value)| (name, &value[..]));
            assert_eq!(by_name(came), by_name(given));
            assert_eq!(change.value(), Some(&Bytes::from_static(key.as_bytes())));
            assert_eq!(listed, change, "the same in a listing");
            assert_eq!(place.at(number).await, Some(change), "the same by its sequence");
        }
    });
}
