//! What the status tells of the log, and how often the log is looked at.

use std::time::{Duration, Instant};

use super::driver::Driver;
use super::queue::Work;
use super::status::State;

/// How often the rate is worked out.
const RATE_EVERY: Duration = Duration::from_secs(1);

impl Driver {
    /// Keeps the status's rate.
    pub(super) async fn keep_rate(&self) {
        let (mut before, mut since) = (0, Instant::now());
        loop {
            tokio::time::sleep(RATE_EVERY).await;
            let elapsed = since.elapsed().as_secs_f64();
            since = Instant::now();
            self.status.send_if_modified(|status| {
                #[allow(clippy::cast_precision_loss, reason = "a rate is shown to people")]
                let rate = (status.changes - before) as f64 / elapsed;
                before = status.changes;
                // At rest nobody is told every second that there is nothing.
                let told = rate > 0.0 || status.rate > 0.0;
                status.rate = rate;
                told
            });
        }
    }

    /// Keeps the status's idea of the log's end, and says when the log has not been heard from.
    pub(super) async fn watch_bounds(&self) {
        let mut heard = Instant::now();
        loop {
            tokio::time::sleep(self.bounds_every).await;
            let bounds = match self.log.survey().await {
                Ok(survey) => {
                    heard = Instant::now();
                    let bounds = survey.bounds.clone();
                    self.surveys.send_replace(Some(survey));
                    Ok(bounds)
                }
                Err(error) => Err(error),
            };
            if let Ok(bounds) = &bounds
                && bounds.retention.evicts_latest()
                && !self.table.has_evicted()
            {
                // If the applying thread has ended, the replica ends too.
                let _ = self.queue.push(Work::RememberEviction).await;
            }
            self.status.send_modify(|status| match bounds {
                Ok(bounds) => {
                    status.log_last = status.log_last.max(bounds.last);
                    let is_at_end = status.lag() == 0;
                    status.heard(if is_at_end { State::Live } else { State::Filling });
                }
                Err(error) if heard.elapsed() >= self.stalled_after => {
                    status.not_heard_since(heard, error.into());
                }
                Err(_) => {}
            });
        }
    }
}
