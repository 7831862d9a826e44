//! Real situations for tests: containers, leaks, and the guards that clean them up.
