//! What was damaged, deleted or put there by others.
