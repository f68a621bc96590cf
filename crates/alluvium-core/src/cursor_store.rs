//! Where a consumer's cursor lives between two runs: by name, held by one at a time.

mod error;
mod name;

use std::sync::Arc;

use async_trait::async_trait;

use crate::{Binding, Change, CursorRecord, Mode, Scope};

pub use error::CursorStoreError;
pub use name::{cursor_key, cursor_name};

/// Where cursors are kept, each under a name of its own.
///
/// Whoever wants to move a cursor [holds](CursorStore::hold) its name first. That takes the name over: whoever held it
/// before is fenced. So a program that is started again goes on where it stopped, and what is left of its former self,
/// stopped or cut off, cannot move the cursor behind its back.
///
/// A cursor is to be saved *after* the work up to it is done: what was done and not saved is done again. Where the work is
/// nothing but rows of a table, both can be one commit: [`HeldCursor::save_with`].
///
/// Obligations:
///
/// 1. **Durable.** What a save has returned for survives SIGKILL, and as the store says loss of power. It is what
///    every later load gives, until the next save.
/// 2. **Whole.** A save that fails, or that is killed, leaves the record before it or its own, and nothing else. Which of
///    the two, the next [`load`](HeldCursor::load) tells; the holder may also just save again.
/// 3. **One holder.** From the moment that a [`hold`](CursorStore::hold) returns, every earlier holder of that name gets
///    [`CursorStoreError::Fenced`] and changes nothing, and the new one loads the last record that was saved. Of any
///    number who hold a name at the same time, in whatever processes, one is not fenced.
/// 4. **Names stay apart.** No two names share a record, and none leaves its place. A name that cannot be kept is
///    [`CursorStoreError::Invalid`], and nothing is written.
/// 5. **Never silently empty.** Only what was never saved, or was removed, is `None`. What cannot be decoded is
///    [`CursorStoreError::Corrupt`], what a newer version wrote is [`CursorStoreError::Newer`], and what cannot be
///    reached is an error. None of them can be held, and so none is overwritten unnoticed: remove it first.
/// 6. **Removed is gone.** Whoever held a name that was removed is fenced.
/// 7. **One commit**, where rows can be saved with the cursor: after a kill at any instant, rows and cursor are both
///    there or both not. Elsewhere rows are [`CursorStoreError::Unsupported`], and the cursor does not move either.
///
/// ```
/// use std::sync::Arc;
/// use alluvium_core::{Cursor, CursorRecord, CursorStore, CursorStoreError, LogIdentity, Scope};
///
/// async fn first_run(cursors: Arc<dyn CursorStore>, log: LogIdentity) -> Result<(), CursorStoreError> {
///     let held = cursors.hold("mailer").await?;
///     if let Some(stored) = held.load().await? {
///         stored.check(&log.name, &Scope::all())?;
///         println!("goes on at {}", stored.cursor);
///     }
///     // The work, and then:
///     held.save(&CursorRecord::new(Cursor::start_of(log), Scope::all())).await
/// }
/// ```
#[async_trait]
pub trait CursorStore: Send + Sync + 'static {
    /// Takes a name over, whoever holds it.
    ///
    /// # Errors
    ///
    /// [`CursorStoreError::Invalid`] for a name that [`cursor_key`] refuses; [`CursorStoreError::Corrupt`] and
    /// [`CursorStoreError::Newer`] for a record that cannot be read, which stays as it is; storage errors: the name may have
    /// been taken over or not, hold it again.
    async fn hold(&self, name: &str) -> Result<Arc<dyn HeldCursor>, CursorStoreError>;

    /// The record of a name, without holding it; `None` if there is none. For people.
    ///
    /// # Errors
    ///
    /// As [`hold`](CursorStore::hold).
    async fn load(&self, name: &str) -> Result<Option<CursorRecord>, CursorStoreError>;

    /// Removes the record of a name, readable or not. Its holder is fenced. To remove what is not there is fine.
    ///
    /// # Errors
    ///
    /// [`CursorStoreError::Invalid`]; [`CursorStoreError::Unsupported`] where the cursor goes with rows; storage errors: it
    /// may be removed or not, remove it again.
    async fn remove(&self, name: &str) -> Result<(), CursorStoreError>;

    /// The names that have a record, readable or not, sorted. What the store has not written itself is left out.
    ///
    /// # Errors
    ///
    /// Storage errors.
    async fn list(&self) -> Result<Vec<String>, CursorStoreError>;
}

const _: fn(&dyn CursorStore) = |_| (); // object-safe

/// A name that is held in a [`CursorStore`]: the one place from where its cursor moves. See there for the obligations.
///
/// Letting go of it costs nothing and needs no call; the record stays.
#[async_trait]
pub trait HeldCursor: Send + Sync + 'static {
    /// The name.
    fn name(&self) -> &str;

    /// The record, `None` if none was ever saved.
    ///
    /// # Errors
    ///
    /// [`CursorStoreError::Fenced`]; [`CursorStoreError::Corrupt`] and [`CursorStoreError::Newer`] if somebody damaged or
    /// replaced it since; storage errors.
    async fn load(&self) -> Result<Option<CursorRecord>, CursorStoreError>;

    /// Replaces the record. The new one may lie before the old one, unless rows go with it.
    ///
    /// # Errors
    ///
    /// [`CursorStoreError::Fenced`], after which every other call is fenced too; [`CursorStoreError::Invalid`] where the
    /// cursor goes with rows, and they would not go back with it; storage errors: the record may be replaced or not, save
    /// it again.
    async fn save(&self, record: &CursorRecord) -> Result<(), CursorStoreError>;

    /// Replaces the record and writes these rows, in one atomic commit. What a row has for sequence must not lie after the
    /// cursor. The rows are shared, so that nobody has to copy them to save again.
    ///
    /// # Errors
    ///
    /// As [`save`](HeldCursor::save); [`CursorStoreError::Unsupported`] for any rows where there is no table.
    async fn save_with(&self, record: &CursorRecord, rows: Arc<[Change]>) -> Result<(), CursorStoreError> {
        if rows.is_empty() {
            return self.save(record).await;
        }
        Err(CursorStoreError::Unsupported {
            name: self.name().to_owned(),
            what: "rows cannot be saved with this cursor: keep it in the table that the rows go into",
        })
    }
}

const _: fn(&dyn HeldCursor) = |_| (); // object-safe

impl CursorRecord {
    /// What the record is a cursor of: a log, by its name, and a scope.
    pub fn binding(&self) -> Binding {
        Binding {
            log: self.cursor.log.name.clone(),
            scope: self.scope.clone(),
            mode: Mode::default(),
        }
    }

    /// Whether this is a cursor of that log and that scope. To be asked before a stored record is used.
    ///
    /// A log that was deleted and created again passes: that the position means nothing any more is for
    /// [`plan`](crate::plan()) to tell, together with whatever else can have happened to the log.
    ///
    /// # Errors
    ///
    /// [`CursorStoreError::Mismatch`].
    ///
    /// ```
    /// use alluvium_core::{Cursor, CursorRecord, LogIdentity, Scope, Timestamp};
    ///
    /// let log = LogIdentity::new("ORDERS", Timestamp::from_nanos(1));
    /// let record = CursorRecord::new(Cursor::start_of(log), Scope::all());
    /// assert!(record.check("ORDERS", &Scope::all()).is_ok());
    /// assert!(record.check("ORDERS", &Scope::of(["orders.eu.>"])?).is_err());
    /// assert!(record.check("REFUNDS", &Scope::all()).is_err());
    /// # Ok::<(), alluvium_core::ScopeError>(())
    /// ```
    pub fn check(&self, log: &str, scope: &Scope) -> Result<(), CursorStoreError> {
        if self.cursor.log.name == log && self.scope == *scope {
            return Ok(());
        }
        Err(CursorStoreError::Mismatch {
            stored: Box::new(self.binding()),
            expected: Box::new(Binding {
                log: log.to_owned(),
                scope: scope.clone(),
                mode: Mode::default(),
            }),
        })
    }
}
