//! What whole-system tests stand on.
