//! A thread that asks the container runtimes for names, and has them end containers.
//!
//! A runtime may hang for as long as it likes: the thread that looks and acts only picks up what
//! is known by now.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sexton_core::Workload;
use sexton_runtime::{Error, Pending, Runtimes, Then};

use super::wake::Bell;
use super::{fault, guard};

/// Names are asked for again after this time.
const GOOD_FOR: Duration = Duration::from_secs(30);
/// A container that is not known is asked for again after this time.
const UNKNOWN_FOR: Duration = Duration::from_secs(2);
/// How often the end of a container is looked for.
const LOOK: Duration = Duration::from_millis(100);

/// What the runtimes say, by container id.
pub type Known = HashMap<String, Workload>;

/// Tells what is known, and asks for more.
pub struct Names {
    known: Arc<Mutex<Told>>,
    ask: Sender<Question>,
    ended: Receiver<Ended>,
}

#[derive(Default)]
struct Told {
    workloads: Arc<Known>,
    notes: Vec<String>,
}

enum Question {
    Refresh,
    End { id: String, grace: Duration },
}

/// A container that was to be ended.
pub struct Ended {
    /// Its id.
    pub id: String,
    /// What the runtime says.
    pub result: Result<(), String>,
}

impl Names {
    /// Starts the thread. `sockets`: `None` to find the runtimes; an empty list for none.
    ///
    /// # Errors
    /// No thread can be made.
    pub fn start(
        host: PathBuf,
        sockets: Option<Vec<PathBuf>>,
        bell: Bell,
    ) -> Result<Self, std::io::Error> {
        let known = Arc::new(Mutex::new(Told::default()));
        let (ask, questions) = channel();
        let (tell, ended) = channel();
        let told = known.clone();
        if sockets.as_ref().is_none_or(|given| !given.is_empty()) {
            guard::thread("names", Some(bell.clone()), move || {
                let sockets = sockets.unwrap_or_default();
                let mut clerk = Clerk {
                    runtimes: Runtimes::find(&host, &sockets),
                    host,
                    sockets,
                    told,
                    tell,
                    bell,
                    ending: vec![],
                };
                clerk.work(&questions);
            })?;
        }
        Ok(Self { known, ask, ended })
    }

    /// What is known by now.
    pub fn known(&self) -> Arc<Known> {
        self.lock().workloads.clone()
    }

    /// Which runtimes do not answer, and why.
    pub fn notes(&self) -> Vec<String> {
        self.lock().notes.clone()
    }

    /// Asks for all names anew: there is a container that is not known.
    pub fn ask(&self) {
        // Without the thread there are no names, which is what was asked for.
        let _ = self.ask.send(Question::Refresh);
    }

    /// Has a container ended; the answer comes by [`Names::ended`]. False where no runtime is
    /// there to do it.
    pub fn end(&self, id: &str, grace: Duration) -> bool {
        let id = id.to_owned();
        self.ask.send(Question::End { id, grace }).is_ok()
    }

    /// The next container that has ended, or could not be.
    pub fn ended(&self) -> Option<Ended> {
        self.ended.try_recv().ok()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Told> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Clerk {
    host: PathBuf,
    sockets: Vec<PathBuf>,
    runtimes: Runtimes,
    told: Arc<Mutex<Told>>,
    tell: Sender<Ended>,
    bell: Bell,
    ending: Vec<(String, Pending)>,
}

impl Clerk {
    fn work(&mut self, questions: &Receiver<Question>) {
        self.refresh();
        let mut asked = Instant::now();
        loop {
            let patience = if self.ending.is_empty() {
                GOOD_FOR.saturating_sub(asked.elapsed())
            } else {
                LOOK
            };
            match questions.recv_timeout(patience) {
                Ok(Question::Refresh) if asked.elapsed() < UNKNOWN_FOR => {}
                Ok(Question::Refresh) => {
                    self.refresh();
                    asked = Instant::now();
                }
                Ok(Question::End { id, grace }) => self.end(id, grace),
                Err(RecvTimeoutError::Timeout) => {
                    if asked.elapsed() >= GOOD_FOR {
                        self.refresh();
                        asked = Instant::now();
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.poll_ending();
        }
    }

    fn refresh(&mut self) {
        // What pods say of themselves comes along here, and may be what shows a defect.
        let asked = guard::caught(|| {
            fault::panic_at("names", "all");
            self.runtimes.refresh();
        });
        if let Err(why) = asked {
            self.runtimes = Runtimes::find(&self.host, &self.sockets);
            let note = format!("no names were read: a defect in Sexton: {why}");
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            told.notes = vec![note];
            return;
        }
        let workloads: Known = self
            .runtimes
            .workloads()
            .map(|workload| (workload.id.clone(), workload.clone()))
            .collect();
        let notes = self
            .runtimes
            .notes()
            .map(|(name, error)| format!("{name}: {error}"))
            .collect();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let news = *told.workloads != workloads;
        *told = Told {
            workloads: Arc::new(workloads),
            notes,
        };
        drop(told);
        if news {
            self.bell.ring();
        }
    }

    fn end(&mut self, id: String, grace: Duration) {
        if let Err(why) = guard::caught(|| self.begin_to_end(id.clone(), grace)) {
            self.runtimes = Runtimes::find(&self.host, &self.sockets);
            let result = Err(format!("a defect in Sexton: {why}"));
            let _ = self.tell.send(Ended { id, result });
        }
    }

    fn begin_to_end(&mut self, id: String, grace: Duration) {
        let mut begun = self.runtimes.end(&id, grace, Then::StartAgain);
        if matches!(begun, Err(Error::Unknown { .. })) {
            // Where the API server names the containers, nobody has asked the runtime since
            // this one was made.
            self.refresh();
            begun = self.runtimes.end(&id, grace, Then::StartAgain);
        }
        match begun {
            Ok(pending) => self.ending.push((id, pending)),
            Err(error) => self.say(id, Err(error)),
        }
    }

    fn poll_ending(&mut self) {
        let mut still = vec![];
        for (id, mut pending) in std::mem::take(&mut self.ending) {
            match pending.poll(LOOK / 5) {
                Some(result) => self.say(id, result),
                None => still.push((id, pending)),
            }
        }
        if self.ending.is_empty() && still.is_empty() {
            return;
        }
        self.ending.append(&mut still);
    }

    fn say(&mut self, id: String, result: Result<(), Error>) {
        // The names are of no use until the container in its place is known.
        self.refresh();
        let result = result.map_err(|error| error.to_string());
        if self.tell.send(Ended { id, result }).is_ok() {
            self.bell.ring();
        }
    }
}
