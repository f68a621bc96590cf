//! `alluvium cursors`: how far consumers have come, and moving or removing their cursors.
//!
//! | module | what it does |
//! |---|---|
//! | [`standing`] | where a cursor stands in its log |
//! | [`list`] | `ls` |
//! | [`show`] | `show` |
//! | [`change`] | `reset` and `rm` |
//!
//! A record that cannot be read is told, and the rest goes on. Only `reset` and `rm` change anything, and they fence whoever
//! holds the cursor.

mod change;
mod list;
mod show;
mod standing;

use std::sync::Arc;

use alluvium::{CursorStore, CursorStoreError, FileCursorStore};

use crate::args::{ConnectionArgs, CursorPlaceArgs, CursorsArgs, CursorsCommand};
use crate::connect::{self, Connection};
use crate::error::{Failure, chain};
use crate::human::now;
use crate::output::{Output, escaped, say};
use crate::runtime;

pub(crate) fn run(args: &CursorsArgs, output: Output) -> Result<(), Failure> {
    runtime::start()?.block_on(async {
        match &args.command {
            CursorsCommand::Ls(args) => list::run(args, now(), output).await,
            CursorsCommand::Show(args) => show::run(args, now(), output).await,
            CursorsCommand::Reset(args) => change::reset(args, output).await,
            CursorsCommand::Rm(args) => change::rm(args, output).await,
        }
    })
}

/// The cursors of a place, and the server if it can be asked.
struct Desk {
    store: Arc<dyn CursorStore>,
    connection: Option<Connection>,
    /// What the place is called.
    place: String,
}

impl Desk {
    /// Opens the place that there is. Never makes anything.
    async fn open(
        place: &CursorPlaceArgs,
        connection: &ConnectionArgs,
        server: Server,
    ) -> Result<Self, Failure> {
        // Found out before any server is asked.
        let files = place.state.as_ref().map(|dir| {
            if dir.join("cursors").is_dir() {
                Ok(Arc::new(FileCursorStore::open(dir)?) as Arc<dyn CursorStore>)
            } else {
                Err(Failure::NoCursors {
                    place: dir.display().to_string(),
                })
            }
        });
        let files = files.transpose()?;
        let connection = match server {
            Server::Useless if files.is_some() => None,
            Server::Useful if files.is_some() => match connect::connect(connection, "cursors").await {
                Ok(connection) => Some(connection),
                Err(error) => {
                    say(&format!(
                        "nobody says what comes after the cursors: {}",
                        error.line()
                    ));
                    None
                }
            },
            _ => Some(connect::connect(connection, "cursors").await?),
        };
        let (store, place) = match (files, &place.kv, &connection) {
            (Some(store), _, _) => (store, place.state.as_deref().map(|dir| dir.display().to_string())),
            (None, Some(bucket), Some(connection)) => (
                connection.cursors(bucket).await?,
                Some(format!("the bucket {bucket}")),
            ),
            _ => return Err(Failure::Usage("use --state DIR or --kv BUCKET".to_owned())),
        };
        Ok(Self {
            store,
            connection,
            place: place.unwrap_or_default(),
        })
    }

    fn no_cursor(&self, name: &str) -> Failure {
        Failure::NoCursorNamed {
            name: escaped(name.as_bytes()),
            place: self.place.clone(),
        }
    }
}

/// What a server is asked for, beside cursors that it has itself.
#[derive(Clone, Copy)]
enum Server {
    /// What cannot be done without.
    Needed,
    /// What is told if there is an answer.
    Useful,
    /// Nothing.
    Useless,
}

impl Server {
    fn unless(offline: bool) -> Self {
        if offline { Self::Useless } else { Self::Useful }
    }
}

/// Whether the record is there and cannot be understood, in words: asking again would not help.
fn unreadable(error: &CursorStoreError) -> Option<String> {
    matches!(
        error,
        CursorStoreError::Corrupt { .. } | CursorStoreError::Newer { .. }
    )
    .then(|| chain(error))
}
