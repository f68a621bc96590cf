//! Every request of a run fails in turn, in every way.
