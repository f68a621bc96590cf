//! What is looked at, so that it can be looked away from.
//!
//! Three things are done and not here, for in so small a model nothing comes of leaving them undone: an archive whose log has changed
//! takes only an artifact whose last message is there to be compared (the oracle of `plan` in `alluvium-core` misses that); a table
//! takes over from an artifact that its log evicts; a mirror leaves out of an artifact what its log has forgotten.

/// What the plan is told, what is looked at while it is carried out, and what an exporter looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Guard {
    /// The plan is told which log the cursor is of.
    LogOfCursor,
    /// The plan is told where the log ends.
    EndOfLog,
    /// The plan is told which message is at the cursor.
    MessageAtCursor,
    /// The plan is told where the log begins.
    BeginningOfLog,
    /// The plan is told that there are rows without a cursor.
    RowsWithoutCursor,
    /// The plan is told that rows have vanished.
    VanishedRows,
    /// The plan is told what the table remembers of evictions.
    MemoryOfEvictions,
    /// The plan is told what the log evicts.
    RetentionOfLog,
    /// The plan is told the mode.
    ModeOfTable,
    /// The plan is told which keys the artifact holds.
    ScopeOfArtifact,
    /// The plan is told the mode of the artifact.
    ModeOfArtifact,
    /// The plan is told which log the artifact is of.
    LogOfArtifact,
    /// The plan is told that the log ends before the artifact.
    EndBeforeArtifact,
    /// The plan is told that there is another message at the artifact's cursor.
    MessageAtArtifact,
    /// The plan is told that the log begins after the artifact.
    BeginningAfterArtifact,
    /// The plan is told that the artifact's table has seen evictions.
    MemoryOfArtifact,
    /// The table remembers that its log evicts.
    Remembering,
    /// A reader looks whether the log was created again.
    LogWhileReading,
    /// A reader looks whether the log lost its tail.
    EndWhileReading,
    /// A reader looks whether the log has forgotten what comes next.
    OverrunWhileReading,
    /// What a mirror's log has forgotten is deleted at the end.
    Forgetting,
    /// A reconcile takes the cursor away first.
    NoCursorWhileReconciling,
    /// Whether what was not listed is deleted is asked when the listing is complete.
    AskingBeforeSweeping,
    /// It is decided anew before an artifact that was fetched is loaded.
    DecidingBeforeLoading,
    /// The pointer is compared before it is swapped.
    ComparingThePointer,
    /// The pointer is swapped when all is there.
    UploadingFirst,
    /// What the pointer names is not pruned.
    SparingTheNamed,
    /// What is being published is not pruned.
    SparingTheNew,
}

impl Guard {
    /// All of them.
    pub const ALL: [Self; 28] = [
        Self::LogOfCursor,
        Self::EndOfLog,
        Self::MessageAtCursor,
        Self::BeginningOfLog,
        Self::RowsWithoutCursor,
        Self::VanishedRows,
        Self::MemoryOfEvictions,
        Self::RetentionOfLog,
        Self::ModeOfTable,
        Self::ScopeOfArtifact,
        Self::ModeOfArtifact,
        Self::LogOfArtifact,
        Self::EndBeforeArtifact,
        Self::MessageAtArtifact,
        Self::BeginningAfterArtifact,
        Self::MemoryOfArtifact,
        Self::Remembering,
        Self::LogWhileReading,
        Self::EndWhileReading,
        Self::OverrunWhileReading,
        Self::Forgetting,
        Self::NoCursorWhileReconciling,
        Self::AskingBeforeSweeping,
        Self::DecidingBeforeLoading,
        Self::ComparingThePointer,
        Self::UploadingFirst,
        Self::SparingTheNamed,
        Self::SparingTheNew,
    ];
}
