//! The macros that make a named test of each function of a suite: one suite for each trait, a file for each suite.

mod backend;
mod checkpointer;
mod cursor_store;
mod engine;
mod lease;
mod log;
mod table;
mod transport;

/// Tests of the functions of a suite, by name: what the suites are written with.
#[doc(hidden)]
#[macro_export]
macro_rules! suite_tests {
    ($harness:ty, $suite:ident: $($name:ident)*) => {$(
        #[test]
        fn $name() {
            $crate::$suite::$name(&<$harness as ::core::default::Default>::default());
        }
    )*};
    ($harness:ty, $suite:ident, killed: $($name:ident)*) => {$(
        #[test]
        fn $name() {
            $crate::$suite::$name(
                &<$harness as ::core::default::Default>::default(),
                $crate::ThisTest::at(concat!(module_path!(), "::", stringify!($name))),
            );
        }
    )*};
}
