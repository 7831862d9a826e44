//! A thread that finds out why leaks stay, and which containers will not end on their signal.
//!
//! It reads executables, which may lie on a network file system that hangs; the thread that
//! looks and acts must never wait for that, so it only picks up what is known by now.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::time::Duration;

use sexton_core::audit::ExitSignal;
use sexton_core::{Cause, Container, Leak, ProcessId, Report, Workload, cause};
use sexton_scan::{Roots, Scanner, audit, facts};

use super::wake::Bell;
use super::{fault, guard, names};

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
    /// A defect in Sexton has shown; in a sentence. About whom it was, it is not asked again.
    Fell(Option<ProcessId>, String),
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
        let mut finder = Finder {
            scanner: Scanner::new(roots)?,
            arguments,
            left_out: HashSet::new(),
            answers: answer,
            bell: bell.clone(),
        };
        guard::thread("causes", Some(bell), move || finder.work(&questions))?;
        Ok(Self {
            ask,
            answers,
            known: HashMap::new(),
            exit_signals: vec![],
            audited: None,
        })
    }

    /// Puts what is known into the report, and asks for what is not. Returns in which work
    /// defects have shown since the last time.
    pub fn fill(
        &mut self,
        report: &mut Report,
        workloads: &Arc<names::Known>,
        now: Duration,
    ) -> Vec<String> {
        let fell = self.hear();
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
        fell
    }

    fn hear(&mut self) -> Vec<String> {
        let mut fell = vec![];
        while let Ok(answer) = self.answers.try_recv() {
            match answer {
                Answer::Why(holder, causes) => {
                    if let Some(known) = self.known.get_mut(&holder) {
                        // A reap takes away what told of a leak before.
                        if !cause::outlast(&known.causes, &causes) {
                            known.causes = causes;
                        }
                    }
                }
                Answer::WhoEnds(exit_signals) => self.exit_signals = exit_signals,
                Answer::Fell(holder, what) => {
                    if let Some(known) = holder.and_then(|holder| self.known.get_mut(&holder)) {
                        // The next try would only end in the same way.
                        known.asked = Duration::MAX;
                    }
                    fell.push(what);
                }
            }
        }
        fell
    }

    /// False where the thread has no time now: the next look asks again.
    fn ask(&self, question: Question) -> bool {
        match self.ask.try_send(question) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        }
    }
}

/// What the thread works with.
struct Finder {
    scanner: Scanner,
    /// Facts may quote whole command lines.
    arguments: bool,
    /// Containers in whose audit a defect has shown.
    left_out: HashSet<String>,
    answers: Sender<Answer>,
    bell: Bell,
}

impl Finder {
    fn work(&mut self, questions: &Receiver<Question>) {
        while let Ok(question) = questions.recv() {
            let answer = match question {
                Question::Why(leak) => self.why(&leak),
                Question::WhoEnds(workloads) => self.who_ends(&workloads),
            };
            match answer {
                Ok(answer) => {
                    if self.answers.send(answer).is_err() {
                        return;
                    }
                    self.bell.ring();
                }
                Err(error) => tracing::warn!(%error, "nothing was found out"),
            }
        }
    }

    fn why(&mut self, leak: &Leak) -> Result<Answer, sexton_scan::Error> {
        let holder = leak.holder.id;
        let diagnose = if self.arguments {
            cause::diagnose
        } else {
            cause::diagnose_without_arguments
        };
        let found = guard::caught(|| {
            fault::panic_at("causes", holder.pid);
            let facts = facts::gather(&mut self.scanner, leak)?;
            Ok(diagnose(&facts))
        });
        match found {
            Ok(causes) => causes.map(|causes| Answer::Why(holder, causes)),
            Err(why) => {
                let whom = format!("{} (pid {})", leak.holder.name, holder.pid);
                let what = format!("{whom}: no cause is known, for a defect in Sexton: {why}");
                self.renew_scanner()?;
                Ok(Answer::Fell(Some(holder), what))
            }
        }
    }

    /// Where a defect shows, it costs the container that was looked at: the others are audited
    /// without it.
    fn who_ends(&mut self, workloads: &[Workload]) -> Result<Answer, sexton_scan::Error> {
        let judge = if self.arguments {
            sexton_core::audit::judge
        } else {
            sexton_core::audit::judge_without_arguments
        };
        loop {
            let mut at = None;
            let (scanner, left_out) = (&mut self.scanner, &self.left_out);
            let found = guard::caught(|| {
                let wanted = |container: &Container, _: &[u32]| {
                    let wanted = !left_out.contains(&container.id);
                    if wanted {
                        at = Some(container.id.clone());
                        fault::panic_at("audit", &container.id);
                    }
                    wanted
                };
                audit::containers_as(scanner, workloads, &[], wanted, judge)
            });
            let why = match found {
                Ok(found) => return found.map(|found| Answer::WhoEnds(found.exit_signals)),
                Err(why) => why,
            };
            self.renew_scanner()?;
            let Some(id) = at else {
                return Ok(Answer::Fell(None, format!("the audit, a defect: {why}")));
            };
            let short = sexton_core::text::short_ids(&id);
            let what = format!("container {short}: not audited, for a defect in Sexton: {why}");
            self.left_out.insert(id);
            if self.answers.send(Answer::Fell(None, what)).is_err() {
                return Ok(Answer::WhoEnds(vec![]));
            }
        }
    }

    /// A panic may have left this one half changed.
    fn renew_scanner(&mut self) -> Result<(), sexton_scan::Error> {
        self.scanner = Scanner::new(self.scanner.roots().clone())?;
        Ok(())
    }
}
