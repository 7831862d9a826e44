//! A process that holds zombies, and what Sexton says of it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use rustix::process::{Pid, Signal, kill_process};
use sexton_core::cause::{Cause, Facts, diagnose};
use sexton_core::{Confidence, Leak};
use sexton_lab::{Running, Skip, require_root, wait_until};
use sexton_scan::{Options, Roots, Scanner, facts};
use tempfile::TempDir;

/// What starts the tests may ignore these, and hand that down.
const FOREGROUND: &str = "--default-signal=INT,QUIT";

/// A holder that runs. It and all that it started are gone on drop.
pub(crate) struct Situation {
    pub(crate) holder: u32,
    running: Running,
    others: Vec<Running>,
    inside: bool,
}

/// What Sexton says.
pub(crate) struct Diagnosis {
    pub(crate) facts: Facts,
    pub(crate) causes: Vec<Cause>,
}

impl Situation {
    /// A child of the test.
    pub(crate) fn child(argv: &[&str]) -> Self {
        let mut command = Command::new("env");
        command.arg(FOREGROUND).args(argv);
        quiet(&mut command);
        let running = Running::start(&mut command);
        Self {
            holder: running.pid(),
            running,
            others: Vec::new(),
            inside: false,
        }
    }

    /// PID 1 of a PID namespace of its own.
    pub(crate) fn pid1(argv: &[&str]) -> Result<Self, Skip> {
        require_root()?;
        let unshare = which("unshare")?;
        let mut command = Command::new("env");
        command
            .args([FOREGROUND, unshare.as_str()])
            .args(["--pid", "--fork", "--kill-child=KILL", "--mount-proc", "--"])
            .args(argv);
        quiet(&mut command);
        let running = Running::start(&mut command);
        // It is the program's only when it has called exec.
        let holder = wait_until("unshare has started it", || {
            child_of(running.pid()).filter(|&pid| {
                std::fs::read_to_string(format!("/proc/{pid}/comm"))
                    .is_ok_and(|comm| comm != "unshare\n")
            })
        });
        Ok(Self {
            holder,
            running,
            others: Vec::new(),
            inside: true,
        })
    }

    /// A child of a shell that is PID 1 of a PID namespace and waits: whatever it starts ends
    /// with the namespace.
    pub(crate) fn inside(argv: &[&str]) -> Result<Self, Skip> {
        let mut all = vec!["sh", "-c", "\"$@\" & wait", "sh", "env", FOREGROUND];
        all.extend(argv);
        let mut situation = Self::pid1(&all)?;
        let shell = situation.holder;
        // A shell's copy and env come first.
        let command = |pid: u32| fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        situation.holder = wait_until("the shell has started it", || {
            child_of(shell).filter(|&pid| {
                let its = command(pid);
                !its.is_empty() && its != command(shell) && !its.starts_with(b"env\0")
            })
        });
        Ok(situation)
    }

    /// A command that enters the holder's PID namespace as a probe or `kubectl exec` does, in a
    /// session of its own.
    pub(crate) fn exec(&self, argv: &[&str]) -> Running {
        let mut command = Command::new("setsid");
        command
            .args(["nsenter", "--pid", "--mount", "--target"])
            .arg(self.holder.to_string())
            .args(argv);
        quiet(&mut command);
        Running::start(&mut command)
    }

    /// Keeps something running for as long as the situation.
    pub(crate) fn keep(&mut self, other: Running) {
        self.others.push(other);
    }

    /// The process of the namespace that bears this name becomes the holder.
    pub(crate) fn holder_is(mut self, name: &str) -> Self {
        let namespace = fs::read_link(format!("/proc/{}/ns/pid", self.holder)).unwrap();
        self.holder = wait_until(name, || {
            fs::read_dir("/proc").unwrap().find_map(|entry| {
                let pid: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
                let its = fs::read_link(format!("/proc/{pid}/ns/pid")).ok()?;
                let comm = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
                (its == namespace && comm.trim_end() == name).then_some(pid)
            })
        });
        self
    }

    /// Waits for so many zombies and asks why they stay, as if they had been dead for an hour.
    pub(crate) fn diagnose(&self, zombies: usize) -> Diagnosis {
        let mut diagnosis = self.diagnose_at_once(zombies);
        diagnosis.facts.dead_seconds = Some(3_600);
        diagnosis.causes = diagnose(&diagnosis.facts);
        diagnosis
    }

    /// The same of zombies that are as young as they are.
    pub(crate) fn diagnose_at_once(&self, zombies: usize) -> Diagnosis {
        wait_until("the zombies are there", || {
            (zombies_of(self.holder).len() >= zombies).then_some(())
        });
        let mut scanner = Scanner::new(Roots::default()).unwrap();
        let leak = self.leak(&mut scanner);
        let facts = facts::gather(&mut scanner, &leak).unwrap();
        let causes = diagnose(&facts);
        Diagnosis { facts, causes }
    }

    /// The same once these many of that name are there and no others: a program that waits for
    /// its own children has those for a moment, too.
    pub(crate) fn diagnose_only(&self, zombies: usize, name: &str) -> Diagnosis {
        wait_until("only those zombies are there", || {
            let all = zombies_of(self.holder);
            let named = |pid: &&u32| {
                let comm = fs::read_to_string(format!("/proc/{pid}/comm"));
                comm.is_ok_and(|comm| comm.trim_end() == name)
            };
            (all.len() == zombies && all.iter().filter(named).count() == zombies).then_some(())
        });
        self.diagnose(zombies)
    }

    pub(crate) fn leak(&self, scanner: &mut Scanner) -> Leak {
        let options = Options {
            full: true,
            ..Options::default()
        };
        let report = scanner.scan(&options).unwrap();
        let leak = report
            .leaks
            .into_iter()
            .find(|leak| leak.holder.id.pid == self.holder);
        leak.unwrap_or_else(|| panic!("the scan does not see the zombies of {}", self.holder))
    }
}

impl Drop for Situation {
    fn drop(&mut self) {
        self.others.clear();
        if self.inside {
            // unshare ends when its child, PID 1 of the namespace, has; were it killed first,
            // its child would be left to the machine's init.
            if let Some(first) = child_of(self.running.pid()) {
                kill(first, Signal::KILL);
                let _ = self.running.child().wait();
            }
        }
    }
}

impl Diagnosis {
    /// Of facts that were gathered in a way of one's own.
    pub(crate) fn of(facts: Facts) -> Self {
        let causes = diagnose(&facts);
        Self { facts, causes }
    }

    /// The first cause is this one, as sure as this.
    #[track_caller]
    pub(crate) fn is(&self, id: &str, confidence: Confidence) -> &Self {
        let first = &self.causes[0];
        assert_eq!(
            (first.id.as_str(), first.confidence),
            (id, confidence),
            "\nall: {:?}\n{:#?}",
            self.ids(),
            self.facts
        );
        self
    }

    /// A fact of the first cause holds these words.
    #[track_caller]
    pub(crate) fn says(&self, words: &str) -> &Self {
        let facts = &self.causes[0].facts;
        assert!(
            facts.iter().any(|fact| fact.contains(words)),
            "{words:?} is not in {facts:#?}"
        );
        self
    }

    /// A step of the first cause holds these words.
    #[track_caller]
    pub(crate) fn advises(&self, words: &str) -> &Self {
        let now = &self.causes[0].now;
        assert!(
            now.iter().any(|step| step.contains(words)),
            "{words:?} is not in {now:#?}"
        );
        self
    }

    /// A fact of the first cause holds one of these.
    #[track_caller]
    pub(crate) fn says_one_of(&self, words: &[&str]) -> &Self {
        let facts = &self.causes[0].facts;
        assert!(
            facts
                .iter()
                .any(|fact| words.iter().any(|w| fact.contains(w))),
            "none of {words:?} is in {facts:#?}"
        );
        self
    }

    /// This cause is not given at all.
    #[track_caller]
    pub(crate) fn is_not(&self, id: &str) -> &Self {
        assert!(!self.ids().contains(&id), "{id} in {:?}", self.ids());
        self
    }

    /// This cause is given, maybe not first.
    #[track_caller]
    pub(crate) fn includes(&self, id: &str) -> &Self {
        assert!(self.ids().contains(&id), "{id} not in {:?}", self.ids());
        self
    }

    pub(crate) fn ids(&self) -> Vec<&str> {
        self.causes.iter().map(|cause| cause.id.as_str()).collect()
    }
}

/// As the lab's, but without a look at every process of the machine, which takes long while
/// another test storms.
pub(crate) fn zombies_of(parent: u32) -> Vec<u32> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{parent}/task")) else {
        return Vec::new();
    };
    tasks
        .filter_map(|task| fs::read_to_string(task.ok()?.path().join("children")).ok())
        .flat_map(|children| {
            let pids = children
                .split_whitespace()
                .filter_map(|pid| pid.parse().ok());
            pids.collect::<Vec<u32>>()
        })
        .filter(|pid| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.rsplit_once(") ")
                .is_some_and(|(_, rest)| rest.starts_with('Z'))
        })
        .collect()
}

pub(crate) fn kill(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).unwrap();
    // It may have ended already.
    let _ = kill_process(pid, signal);
}

fn quiet(command: &mut Command) {
    command.stdout(Stdio::null()).stderr(Stdio::null());
}

pub(crate) fn directory() -> TempDir {
    tempfile::Builder::new()
        .prefix("sexton-test-")
        .tempdir()
        .unwrap()
}

fn child_of(pid: u32) -> Option<u32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let children = fs::read_to_string(path).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

/// Where a program is, by PATH and the usual places.
pub(crate) fn which(name: &str) -> Result<String, Skip> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/sbin", "/sbin", "/usr/local/go/bin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(usual)
        .map(|dir| dir.join(name))
        .find(|program| program.is_file())
        .and_then(|program| Some(program.to_str()?.to_owned()))
        .ok_or_else(|| Skip(format!("{name} is not installed")))
}

/// The interpreter itself: a `python3` in PATH may be a script that starts it.
pub(crate) fn python() -> Result<String, Skip> {
    let ask = Command::new(which("python3")?)
        .args(["-c", "import os; print(os.path.realpath('/proc/self/exe'))"])
        .output()
        .map_err(|error| Skip(format!("python3: {error}")))?;
    let path = String::from_utf8_lossy(&ask.stdout).trim().to_owned();
    if path.is_empty() {
        return Err(Skip("python3 does not run".to_owned()));
    }
    Ok(path)
}

/// A file of `lab/causes`.
pub(crate) fn source(name: &str) -> String {
    let lab = concat!(env!("CARGO_MANIFEST_DIR"), "/../../lab/causes");
    format!("{lab}/{name}")
}

/// `lab/causes/parent.c`, built once.
pub(crate) fn parent() -> Result<PathBuf, Skip> {
    static BUILT: Built = OnceLock::new();
    built(&BUILT, "parent", |program| {
        let mut command = Command::new(which("gcc").or_else(|_| which("cc"))?);
        command
            .args(["-O1", "-pthread"])
            .arg("-o")
            .arg(program)
            .arg(source("parent.c"));
        Ok(command)
    })
}

/// `lab/causes/go_init.go`, built once.
pub(crate) fn go_init() -> Result<PathBuf, Skip> {
    static BUILT: Built = OnceLock::new();
    built(&BUILT, "go_init", |program| {
        let mut command = Command::new(which("go")?);
        command
            .args(["build", "-o"])
            .arg(program)
            .arg(source("go_init.go"))
            // Neither a toolchain nor a module is to be fetched for it.
            .envs([("GOTOOLCHAIN", "local"), ("GO111MODULE", "off")])
            .env(
                "GOCACHE",
                Path::new(env!("CARGO_TARGET_TMPDIR")).join("go-cache"),
            );
        Ok(command)
    })
}

type Built = OnceLock<Result<PathBuf, String>>;

fn built(
    cell: &Built,
    name: &str,
    compiler: impl FnOnce(&Path) -> Result<Command, Skip>,
) -> Result<PathBuf, Skip> {
    let built = cell.get_or_init(|| {
        let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        // Another run may use the one that is there.
        let new = program.with_extension(std::process::id().to_string());
        let output = compiler(&new)
            .map_err(|skip| skip.to_string())?
            .output()
            .map_err(|error| format!("compiler of {name}: {error}"))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!("{name} does not build: {said}"));
        }
        fs::rename(&new, &program).map_err(|error| format!("{name}: {error}"))?;
        Ok(program)
    });
    built.clone().map_err(Skip)
}

/// A copy of a program under another name.
///
/// Made by another process: a file that this one had open for writing could be so in a child
/// that another test is about to start, and then not be executed (ETXTBSY).
pub(crate) fn copy(program: &Path, dir: &Path, name: &str) -> String {
    let to = dir.join(name);
    let copied = Command::new("cp").arg(program).arg(&to).status();
    assert!(copied.unwrap().success(), "{}", to.display());
    to.to_str().unwrap().to_owned()
}

/// A link to a program under another name, for those that look at what they are called.
pub(crate) fn link(program: &str, dir: &Path, name: &str) -> String {
    let to = dir.join(name);
    symlink(program, &to).unwrap();
    to.to_str().unwrap().to_owned()
}

/// An executable script.
pub(crate) fn script(dir: &Path, name: &str, text: &str) -> String {
    let draft = dir.join(format!("{name}.draft"));
    fs::write(&draft, text).unwrap();
    fs::set_permissions(&draft, fs::Permissions::from_mode(0o755)).unwrap();
    copy(&draft, dir, name)
}
