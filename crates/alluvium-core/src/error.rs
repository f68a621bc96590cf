//! What every error of every trait answers: what should the caller do?

/// An error of any type, as a source.
pub type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;

/// What an error asks of whoever gets it. Every error enum of Alluvium has a `kind()`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// Try the same call again, after a pause.
    Transient,
    /// Somebody newer has taken over: stop, refresh what you know, start over.
    Fenced,
    /// What is stored is damaged: restore it from elsewhere. Retrying cannot help.
    Corrupt,
    /// The call itself is wrong, or is made on the wrong thing: mend the caller or its configuration.
    Invalid,
    /// Something needed is out of reach or out of room: an operator has to act, then the call can be repeated.
    Unavailable,
    /// What was asked for does not exist.
    NotFound,
}
