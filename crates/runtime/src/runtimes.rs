//! All runtimes of a node together.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sexton_core::Workload;

use crate::files::below;
use crate::{Cri, DEADLINE, Docker, Error, Pending, Podman, Runtime, Then};

/// Where runtimes listen for the CRI: containerd and CRI-O as packaged, of k3s and RKE2, k0s,
/// MicroK8s, and Docker's adapter.
const SOCKETS: [&str; 6] = [
    "run/containerd/containerd.sock",
    "run/crio/crio.sock",
    "run/k3s/containerd/containerd.sock",
    "run/k0s/containerd.sock",
    "var/snap/microk8s/common/run/containerd.sock",
    "run/cri-dockerd.sock",
];

/// How long one that did not answer in time is left alone: at first, and at most. Each time it
/// fails again it is twice as long.
const REST: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(300));

/// All runtimes of a node, and what they said last.
///
/// One that fails leaves a note, and what it said before stays.
pub struct Runtimes {
    host: PathBuf,
    /// Sockets that were given, and so are not looked for.
    given: bool,
    deadline: Duration,
    sources: Vec<Source>,
}

struct Source {
    /// What tells it from the others: its socket, or its name.
    key: PathBuf,
    runtime: Box<dyn Runtime>,
    /// Somebody said that it is there.
    given: bool,
    workloads: HashMap<String, Workload>,
    error: Option<Error>,
    /// It is not asked before then.
    rests: Option<(Instant, Duration)>,
}

impl Runtimes {
    /// Those of the machine whose root is mounted at `host`. Where CRI sockets are given, as
    /// this process sees them, no others are looked for.
    ///
    /// None is asked anything yet; one that is not there yet is found by a later
    /// [`Runtimes::refresh`].
    #[must_use]
    pub fn find(host: &Path, given: &[PathBuf]) -> Self {
        let mut runtimes = Self {
            host: host.to_owned(),
            given: !given.is_empty(),
            deadline: DEADLINE,
            sources: Vec::new(),
        };
        for socket in given {
            runtimes.add_cri(socket.clone());
        }
        runtimes.look();
        runtimes
    }

    /// Gives each this long for an answer, instead of [`DEADLINE`]. To be said first: it forgets
    /// what they told.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        let old = std::mem::take(&mut self.sources);
        let (cri, others): (Vec<_>, Vec<_>) =
            old.into_iter().partition(|source| source.key.is_absolute());
        for source in cri {
            self.add_cri(source.key);
        }
        self.sources.extend(others);
        self
    }

    /// Asks all of them what runs now. Takes two calls each while nothing changes.
    pub fn refresh(&mut self) {
        self.look();
        for source in &mut self.sources {
            source.refresh();
        }
    }

    /// What is known of a container, by its whole id.
    #[must_use]
    pub fn by_id(&self, id: &str) -> Option<&Workload> {
        self.sources
            .iter()
            .find_map(|source| source.workloads.get(id))
    }

    /// All that is known.
    pub fn workloads(&self) -> impl Iterator<Item = &Workload> {
        self.sources
            .iter()
            .flat_map(|source| source.workloads.values())
    }

    /// Names of the runtimes that were found.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.sources.iter().map(|source| source.runtime.name())
    }

    /// What kept a runtime from answering the last time, with its name.
    pub fn notes(&self) -> impl Iterator<Item = (&str, &Error)> {
        self.sources
            .iter()
            .filter_map(|source| Some((source.runtime.name(), source.error.as_ref()?)))
    }

    /// Begins to end a container; see [`Runtime::end`].
    ///
    /// # Errors
    /// As there; and where no runtime has said that it has this container.
    pub fn end(&mut self, id: &str, grace: Duration, then: Then) -> Result<Pending, Error> {
        let mut sources = self.sources.iter_mut();
        let source = sources.find(|source| source.workloads.contains_key(id));
        let source = source.ok_or_else(|| Error::Unknown { id: id.to_owned() })?;
        source.runtime.end(id, grace, then)
    }

    /// Adds those that are there and were not before.
    fn look(&mut self) {
        if !self.given {
            for socket in SOCKETS {
                if let Some(socket) = below(&self.host, socket) {
                    self.add_cri(socket);
                }
            }
        }
        if !self.has(Path::new("docker"))
            && let Some(docker) = Docker::find(&self.host)
        {
            self.add(PathBuf::from("docker"), Box::new(docker));
        }
        if !self.has(Path::new("podman"))
            && let Some(podman) = Podman::find(&self.host)
        {
            self.add(PathBuf::from("podman"), Box::new(podman));
        }
    }

    fn has(&self, key: &Path) -> bool {
        self.sources.iter().any(|source| source.key == key)
    }

    fn add_cri(&mut self, socket: PathBuf) {
        if !self.has(&socket) {
            let cri = Cri::new(socket.clone()).deadline(self.deadline);
            self.add(socket, Box::new(cri));
        }
    }

    fn add(&mut self, key: PathBuf, runtime: Box<dyn Runtime>) {
        self.sources.push(Source {
            key,
            runtime,
            given: self.given,
            workloads: HashMap::new(),
            error: None,
            rests: None,
        });
    }
}

impl Source {
    fn refresh(&mut self) {
        if self.rests.is_some_and(|(until, _)| Instant::now() < until) {
            return;
        }
        match self.runtime.workloads() {
            Ok(workloads) => {
                let by_id = |workload: Workload| (workload.id.clone(), workload);
                self.workloads = workloads.into_iter().map(by_id).collect();
                (self.error, self.rests) = (None, None);
            }
            // Docker's packages of containerd come so. Nobody said that there is a CRI.
            Err(Error::NoCri { .. }) if !self.given => self.error = None,
            Err(error) => {
                // To find that one is away costs nothing; to wait for one that hangs does.
                self.rests = matches!(error, Error::TimedOut { .. }).then(|| {
                    let (least, most) = REST;
                    let rest = self.rests.map_or(least, |(_, last)| (2 * last).min(most));
                    (Instant::now() + rest, rest)
                });
                self.error = Some(error);
            }
        }
    }
}
