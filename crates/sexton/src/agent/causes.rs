//! A thread that finds out why leaks stay, and which containers will not end on their signal.
//!
//! It reads executables, which may lie on a network file system that hangs; the thread that
//! looks and acts must never wait for that, so it only picks up what is known by now.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::thread;
use std::time::Duration;

use sexton_core::audit::ExitSignal;
use sexton_core::{Cause, Leak, ProcessId, Report, Workload, cause};
use sexton_scan::{Roots, Scanner, audit, facts};

use super::names;
use super::wake::Bell;

/// Causes are asked for again after this time: a program may have been made to wait meanwhile.
const GOOD_FOR: Duration = Duration::from_secs(300);
/// The audit looks at every container, so it is made rarely: what it tells changes with a
/// deployment, not with the minute.
const AUDIT_EVERY: Duration = Duration::from_secs(900);
/// Sooner, where other containers are known than at the last one; but not for each of many.
const AUDIT_NEWS: Duration = Duration::from_secs(60);
/// Leaks that may wait for their turn.
const QUEUE: usize = 64;

/// What is known of the causes of the leaks.
pub struct Causes {
    ask: SyncSender<Question>,
    answers: Receiver<Answer>,
    known: HashMap<ProcessId, Known>,
    exit_signals: Vec<ExitSignal>,
    audited: Option<Audited>,
}

/// The last audit.
struct Audited {
    at: Duration,
    of: Arc<names::Known>,
}

enum Question {
    Why(Box<Leak>),
    WhoEnds(Vec<Workload>),
}

enum Answer {
    Why(ProcessId, Vec<Cause>),
    WhoEnds(Vec<ExitSignal>),
}

struct Known {
    causes: Vec<Cause>,
    asked: Duration,
}

impl Causes {
    /// Starts the thread. Without `arguments` what it finds quotes no arguments of commands.
    ///
    /// # Errors
    /// There is no room for a thread, or `/proc` cannot be opened.
    pub fn start(roots: Roots, arguments: bool, bell: Bell) -> Result<Self, crate::error::Error> {
        let (ask, questions) = sync_channel(QUEUE);
        let (answer, answers) = channel();
        let scanner = Scanner::new(roots)?;
        thread::Builder::new()
            .name("causes".to_owned())
            .stack_size(1 << 20)
            .spawn(move || work(scanner, arguments, &questions, &answer, &bell))?;
        Ok(Self {
            ask,
            answers,
            known: HashMap::new(),
            exit_signals: vec![],
            audited: None,
        })
    }

    /// Puts what is known into the report, and asks for what is not.
    pub fn fill(&mut self, report: &mut Report, workloads: &Arc<names::Known>, now: Duration) {
        self.hear();
        let leaks = &mut report.leaks;
        self.known
            .retain(|holder, _| leaks.iter().any(|leak| leak.holder.id == *holder));
        for leak in leaks {
            let holder = leak.holder.id;
            let known = self.known.get(&holder);
            if known.is_none_or(|known| now.saturating_sub(known.asked) >= GOOD_FOR)
                && self.ask(Question::Why(Box::new(leak.clone())))
            {
                let known = self.known.entry(holder).or_insert_with(|| Known {
                    causes: vec![],
                    asked: now,
                });
                known.asked = now;
            }
            if let Some(known) = self.known.get(&holder) {
                leak.causes.clone_from(&known.causes);
            }
        }
        let due = self.audited.as_ref().is_none_or(|last| {
            let since = now.saturating_sub(last.at);
            since >= AUDIT_EVERY || since >= AUDIT_NEWS && !Arc::ptr_eq(&last.of, workloads)
        });
        if due && self.ask(Question::WhoEnds(workloads.values().cloned().collect())) {
            self.audited = Some(Audited {
                at: now,
                of: workloads.clone(),
            });
        }
        report.exit_signals.clone_from(&self.exit_signals);
    }

    fn hear(&mut self) {
        while let Ok(answer) = self.answers.try_recv() {
            match answer {
                Answer::Why(holder, causes) => {
                    if let Some(known) = self.known.get_mut(&holder) {
                        known.causes = causes;
                    }
                }
                Answer::WhoEnds(exit_signals) => self.exit_signals = exit_signals,
            }
        }
    }

    /// False where the thread has no time now: the next look asks again.
    fn ask(&self, question: Question) -> bool {
        match self.ask.try_send(question) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        }
    }
}

fn work(
    mut scanner: Scanner,
    arguments: bool,
    questions: &Receiver<Question>,
    answers: &Sender<Answer>,
    bell: &Bell,
) {
    let (diagnose, judge): (fn(&_) -> _, fn(&_) -> _) = if arguments {
        (cause::diagnose, sexton_core::audit::judge)
    } else {
        (
            cause::diagnose_without_arguments,
            sexton_core::audit::judge_without_arguments,
        )
    };
    while let Ok(question) = questions.recv() {
        let answer = match question {
            Question::Why(leak) => facts::gather(&mut scanner, &leak)
                .map(|facts| Answer::Why(leak.holder.id, diagnose(&facts))),
            Question::WhoEnds(workloads) => {
                audit::containers_as(&mut scanner, &workloads, |_, _| true, judge)
                    .map(|found| Answer::WhoEnds(found.exit_signals))
            }
        };
        match answer {
            Ok(answer) => {
                if answers.send(answer).is_err() {
                    return;
                }
                bell.ring();
            }
            Err(error) => tracing::warn!(%error, "nothing was found out"),
        }
    }
}
