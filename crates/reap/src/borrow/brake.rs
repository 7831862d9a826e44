//! Stopping in the middle: every wait asks whoever ordered the work whether to go on.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use crate::borrow::trace;

/// Between two questions while something is waited for.
const BETWEEN: Duration = Duration::from_millis(20);

/// Asks, and remembers the answer.
pub(crate) struct Brake<'a> {
    ask: Option<&'a mut dyn FnMut() -> ControlFlow<()>>,
    asked: Instant,
    on: bool,
}

impl<'a> Brake<'a> {
    pub(crate) fn new(ask: &'a mut dyn FnMut() -> ControlFlow<()>) -> Self {
        let on = ask().is_break();
        Self {
            ask: Some(ask),
            asked: Instant::now(),
            on,
        }
    }

    /// For what takes no longer than anybody would wait.
    pub(crate) fn none() -> Self {
        Self {
            ask: None,
            asked: Instant::now(),
            on: false,
        }
    }

    /// Asks now.
    pub(crate) fn ask(&mut self) {
        // None of a former holder is to stand still while this one is waited for.
        trace::let_go();
        self.asked = Instant::now();
        if let Some(ask) = &mut self.ask
            && !self.on
        {
            self.on = ask().is_break();
        }
    }

    /// Whether the work is to end; asks now and then, so it costs little in a loop.
    pub(crate) fn is_on(&mut self) -> bool {
        if !self.on && self.asked.elapsed() >= BETWEEN {
            self.ask();
        }
        self.on
    }
}
