//! A replica, and everything that it tells and shows.

use std::sync::{Arc, Mutex};

use alluvium::{Cursor, Plan, Replica, Sequence, State, Status};
use alluvium_e2e::bucket::Rows;
use alluvium_e2e::state::{OpenState, rows};
use tokio::task::JoinHandle;

use crate::history::{Reader, Seen};
use crate::pair::PATIENCE;

/// The cursor of the first batch.
pub(crate) type FirstBatch = Arc<Mutex<Option<Option<Cursor>>>>;

/// A replica that runs.
pub(crate) struct Follower {
    pub(crate) replica: Replica,
    pub(crate) told: JoinHandle<Vec<Plan>>,
    pub(crate) first: FirstBatch,
    pub(crate) reader: Reader,
    pub(crate) _state: OpenState,
}

pub(crate) struct Ended {
    pub(crate) plans: Vec<Plan>,
    pub(crate) seen: Seen,
}

impl Follower {
    pub(crate) async fn comes_to(&self, sequence: Sequence) {
        tokio::time::timeout(PATIENCE, self.replica.wait_for(sequence))
            .await
            .unwrap_or_else(|_| panic!("it does not come to {sequence}: {:?}", self.replica.status()))
            .expect("the replica goes on");
    }

    pub(crate) fn rows(&self) -> Rows {
        rows(self.replica.table().as_ref())
    }

    /// Waits until it says that it is refused, and that its reads are stale.
    pub(crate) async fn is_refused(&self) {
        self.tells("it is refused", |status| {
            status.state == State::Refused && status.is_stale()
        })
        .await;
    }

    pub(crate) async fn tells(&self, what: &str, told: impl Fn(&Status) -> bool) {
        let mut status = self.replica.watch_status();
        let found = tokio::time::timeout(
            PATIENCE,
            status.wait_for(|status| told(status) || status.state.is_over()),
        );
        let found = found
            .await
            .is_ok_and(|status| status.is_ok_and(|status| told(&status)));
        assert!(found, "it never tells {what}: {:?}", self.replica.status());
    }

    pub(crate) async fn end(self) -> Ended {
        self.replica.shutdown().await.expect("the replica stops");
        Ended {
            plans: self.told.await.expect("it was listened"),
            seen: self.reader.end(),
        }
    }

    /// Stops it, and leaves what it has for another one.
    pub(crate) async fn stop(self) {
        self.end().await;
    }
}

/// Every plan that a replica tells of.
pub(crate) fn tell(replica: &Replica) -> JoinHandle<Vec<Plan>> {
    let mut status = replica.watch_status();
    tokio::spawn(async move {
        let mut plans = Vec::new();
        loop {
            let plan = status.borrow_and_update().plan.clone();
            if plan.as_ref() != plans.last() {
                plans.extend(plan);
            }
            if status.changed().await.is_err() {
                return plans;
            }
        }
    })
}
