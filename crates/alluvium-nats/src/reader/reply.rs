//! The reply subject of a delivered message, which carries its sequences.
//!
//! ```text
//! $JS.ACK.<stream>.<consumer>.<deliveries>.<stream sequence>.<consumer sequence>.<nanoseconds>.<pending>
//! $JS.ACK.<domain>.<account hash>.<stream>.<consumer>.<deliveries>.….<pending>[.<token>…]
//! ```
//!
//! Both forms are those of ADR-15 of the NATS architecture decisions. Nothing here allocates.

/// What the reply subject of a message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Delivery {
    /// The message's position in its log.
    pub(crate) sequence: u64,
    /// Its position among all that the consumer has delivered, from 1, without gaps.
    pub(crate) consumer_sequence: u64,
    /// When the server stored it, in nanoseconds since 1970.
    pub(crate) nanos: i64,
    /// How many more messages the consumer has to deliver.
    pub(crate) pending: u64,
}

impl Delivery {
    /// Reads a reply subject; `None` if it is none of a delivered message.
    pub(crate) fn parse(reply: &str) -> Option<Self> {
        /// Tokens after the prefix that anything is wanted of: two more in the long form.
        const MOST: usize = 9;
        let rest = reply.strip_prefix("$JS.ACK.")?;
        let mut tokens = [""; MOST];
        let mut count = 0;
        for token in rest.split('.') {
            if let Some(slot) = tokens.get_mut(count) {
                *slot = token;
            }
            count += 1;
        }
        // The short form has seven tokens and no more; whatever the long form gains is at its end.
        let first = match count {
            7 => 3,
            9.. => 5,
            _ => return None,
        };
        Some(Self {
            sequence: tokens[first].parse().ok()?,
            consumer_sequence: tokens[first + 1].parse().ok()?,
            nanos: tokens[first + 2].parse().ok()?,
            pending: tokens[first + 3].parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELIVERY: Delivery = Delivery {
        sequence: 42,
        consumer_sequence: 7,
        nanos: 1_700_000_000_000_000_001,
        pending: 3,
    };

    #[test]
    fn both_forms_are_read() {
        for reply in [
            "$JS.ACK.KV_b.c.1.42.7.1700000000000000001.3",
            "$JS.ACK._.hash.KV_b.c.1.42.7.1700000000000000001.3",
            "$JS.ACK.hub.hash.KV_b.c.1.42.7.1700000000000000001.3.token",
            "$JS.ACK.hub.hash.KV_b.c.1.42.7.1700000000000000001.3.token.more",
        ] {
            assert_eq!(Delivery::parse(reply), Some(DELIVERY), "{reply}");
        }
    }

    #[test]
    fn anything_else_is_none() {
        for reply in [
            "",
            "$JS.ACK.",
            "_INBOX.a.b",
            "$JS.ACK.KV_b.c.1.42.7.1700000000000000001",
            "$JS.ACK.x.KV_b.c.1.42.7.1700000000000000001.3",
            "$JS.ACK.KV_b.c.1.42.7.now.3",
            "$JS.ACK.KV_b.c.1.-42.7.1700000000000000001.3",
            "$JS.ACK.KV_b.c.1.99999999999999999999.7.1700000000000000001.3",
        ] {
            assert_eq!(Delivery::parse(reply), None, "{reply}");
        }
    }
}
