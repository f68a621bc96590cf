//! Which space the bytes of an epoch lie in.
//!
//! Epochs share a space in runs. A space of its own for each would cost a few fsyncs an epoch; one space for all would
//! have to remove partials one by one, and an engine that merges sorted files would copy what is left over and over to
//! get rid of what is gone. A run is dropped as a whole, when all its epochs were pruned.

use std::collections::BTreeMap;

use alluvium_core::Epoch;

use crate::Space;

/// A run takes new epochs until it has this many times the bytes of its newest epoch,
const RUN_EPOCHS: u64 = 4;
/// and at least this many bytes: to make a space costs about as much as to write them.
const LEAST_BYTES: u64 = 8 << 20;
/// Beyond this many bytes that cost is nothing to speak of, and what is kept of pruned epochs is.
const MOST_BYTES: u64 = 64 << 20;

/// The runs that there are, by their first epoch. A run reaches up to the next one; the last one has no end.
#[derive(Clone, Debug, Default)]
pub(super) struct Runs(BTreeMap<Epoch, Space>);

impl Runs {
    pub(super) fn insert(&mut self, first: Epoch, space: Space) {
        self.0.insert(first, space);
    }

    pub(super) fn remove(&mut self, first: Epoch) {
        self.0.remove(&first);
    }

    /// The space of a run.
    pub(super) fn space(&self, first: Epoch) -> Option<Space> {
        self.0.get(&first).copied()
    }

    /// The first epoch of the run that an epoch is written to: a run that there is, or one to be made.
    pub(super) fn place(
        &self,
        epoch: Epoch,
        floor: Option<Epoch>,
        newest: Option<Epoch>,
        meter: &Meter,
    ) -> Epoch {
        let Some((run, _)) = self.0.range(..=epoch).next_back() else {
            // Any epoch that is not pruned may still be written, lower ones than this too.
            return floor.unwrap_or(Epoch::FIRST);
        };
        // Only an epoch above all that were ever written: what is in a run stays there.
        if meter.is_full(*run) && newest.is_none_or(|newest| epoch > newest) {
            epoch
        } else {
            *run
        }
    }

    /// The runs of which no epoch is left below this floor. `empty`: no partial is left at all.
    pub(super) fn dead(&self, floor: Epoch, empty: bool) -> Vec<Epoch> {
        let ends = self.0.keys().skip(1).map(Some).chain([None]);
        let runs = self.0.keys().zip(ends);
        runs.filter(|(_, end)| empty || end.is_some_and(|end| *end <= floor))
            .map(|(first, _)| *first)
            .collect()
    }
}

/// How much was written to the newest run since the backend was opened. What was there before is not counted: a run
/// may become twice as long over that.
#[derive(Debug, Default)]
pub(super) struct Meter {
    run: Option<Epoch>,
    run_bytes: u64,
    epoch: Option<Epoch>,
    epoch_bytes: u64,
}

impl Meter {
    /// Counts what was written.
    pub(super) fn count(&mut self, run: Epoch, epoch: Epoch, bytes: u64) {
        if self.run < Some(run) {
            *self = Self {
                run: Some(run),
                ..Self::default()
            };
        }
        if self.run != Some(run) {
            return;
        }
        self.run_bytes += bytes;
        if self.epoch < Some(epoch) {
            self.epoch = Some(epoch);
            self.epoch_bytes = 0;
        }
        if self.epoch == Some(epoch) {
            self.epoch_bytes += bytes;
        }
    }

    fn is_full(&self, run: Epoch) -> bool {
        let enough = RUN_EPOCHS.saturating_mul(self.epoch_bytes);
        self.run == Some(run) && self.run_bytes >= enough.clamp(LEAST_BYTES, MOST_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch(number: u64) -> Epoch {
        Epoch::new(number).unwrap()
    }

    fn runs(firsts: &[u64]) -> Runs {
        let mut runs = Runs::default();
        for (number, first) in (0..).zip(firsts) {
            runs.insert(epoch(*first), Space::new(number));
        }
        runs
    }

    fn dead(runs: &Runs, floor: u64, empty: bool) -> Vec<u64> {
        runs.dead(epoch(floor), empty)
            .into_iter()
            .map(Epoch::get)
            .collect()
    }

    #[test]
    fn an_epoch_is_written_to_the_run_that_reaches_over_it() {
        let (runs, meter) = (runs(&[1, 5, 9]), Meter::default());
        for (number, run) in [(1, 1), (4, 1), (5, 5), (8, 5), (9, 9), (100, 9)] {
            assert_eq!(
                runs.place(epoch(number), None, None, &meter),
                epoch(run),
                "{number}"
            );
        }
    }

    #[test]
    fn the_first_run_takes_every_epoch_that_is_not_pruned() {
        let (none, meter) = (Runs::default(), Meter::default());
        assert_eq!(none.place(epoch(7), None, None, &meter), epoch(1));
        assert_eq!(none.place(epoch(7), Some(epoch(5)), None, &meter), epoch(5));
    }

    #[test]
    fn a_full_run_ends_with_its_newest_epoch() {
        let (runs, mut meter) = (runs(&[1]), Meter::default());
        meter.count(epoch(1), epoch(3), MOST_BYTES);
        let place = |number| runs.place(epoch(number), None, Some(epoch(3)), &meter).get();
        assert_eq!(place(4), 4);
        assert_eq!(place(3), 1, "an epoch stays in its run");
        assert_eq!(place(2), 1, "so does an older one");
    }

    #[test]
    fn a_run_takes_four_epochs_but_more_small_and_fewer_large_ones() {
        for (bytes, epochs) in [
            (3 << 20, 4),
            (16 << 20, 4),
            (1 << 20, 8),
            (30 << 20, 3),
            (MOST_BYTES, 1),
        ] {
            let mut meter = Meter::default();
            for number in 1..=epochs {
                assert!(!meter.is_full(epoch(1)), "{bytes} bytes: {number}");
                meter.count(epoch(1), epoch(number), bytes);
            }
            assert!(meter.is_full(epoch(1)), "{bytes} bytes");
        }
    }

    #[test]
    fn what_is_written_to_an_older_run_is_not_counted() {
        let mut meter = Meter::default();
        meter.count(epoch(5), epoch(5), 1);
        meter.count(epoch(1), epoch(2), 100 * LEAST_BYTES);
        assert!(!meter.is_full(epoch(1)) && !meter.is_full(epoch(5)));
    }

    #[test]
    fn a_run_is_dead_when_the_floor_is_above_all_of_it() {
        let runs = runs(&[1, 5, 9]);
        assert!(dead(&runs, 4, false).is_empty());
        assert_eq!(dead(&runs, 5, false), [1]);
        assert_eq!(dead(&runs, 9, false), [1, 5]);
        assert_eq!(dead(&runs, 100, false), [1, 5], "the last one may hold any epoch");
        assert_eq!(dead(&runs, 100, true), [1, 5, 9]);
    }
}
