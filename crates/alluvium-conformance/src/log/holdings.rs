//! What a log tells of all the messages that it holds at once.

use alluvium_core::{Holdings, Sequence};

use super::place::{Place, with_log};
use crate::{LogHarness, Random};

impl Place {
    async fn holdings(&self, most: u64) -> Option<Holdings> {
        let told = self.log.holdings(most);
        self.in_time("what it holds", told).await.unwrap()
    }

    /// Whether the log can tell, and if so, that it is the truth.
    async fn tells_its_holdings(&self) -> bool {
        let Some(holdings) = self.holdings(u64::MAX).await else {
            return false;
        };
        let bounds = self.bounds().await;
        assert_eq!(*holdings.bounds(), bounds);
        for sequence in 0..=bounds.last.get() + 2 {
            let there = self.at(sequence).await.is_some();
            let told = holdings.holds(Sequence::new(sequence));
            assert_eq!(told, there, "whether it holds {sequence}");
        }
        let deleted = holdings.deleted().len() as u64;
        assert_eq!(deleted, bounds.deleted());
        assert_eq!(self.holdings(deleted).await, Some(holdings));
        if deleted > 0 {
            assert_eq!(self.holdings(deleted - 1).await, None, "{deleted} are too many");
        }
        true
    }
}

/// What a log says that it holds is what it gives. A log that cannot tell says nothing, ever.
pub fn m_holdings_are_what_message_at_gives(harness: &dyn LogHarness) {
    const KEYS: u64 = 12;
    for history in [1, 3] {
        with_log(harness, history, async |place| {
            let tells = place.tells_its_holdings().await;
            let mut random = Random::new(history);
            for round in 0..8 {
                let some = (0..KEYS).map(|_| format!("a.{}", random.below(KEYS)));
                place.owner.put_all(some.collect(), "value".into()).await;
                let bounds = place.bounds().await;
                match round % 4 {
                    0 => {}
                    1 => place.owner.remove(bounds.first).await,
                    2 => place.owner.remove(bounds.last).await,
                    _ => {
                        let first = bounds.first.get() + random.below(KEYS);
                        place.owner.evict_before(Sequence::new(first)).await;
                    }
                }
                assert_eq!(place.tells_its_holdings().await, tells, "round {round}");
            }
            let last = place.bounds().await.last;
            place.owner.evict_before(last.next()).await;
            assert_eq!(place.tells_its_holdings().await, tells, "when it is empty");
        });
    }
}
