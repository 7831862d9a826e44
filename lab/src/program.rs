//! Programs that leak, in three languages, all with the same way of speaking.
//!
//! Each prints a line for every child that it starts or fails to start, `N ok` or `N EAGAIN`,
//! so that a test sees that it goes on forking. They never wait for the first `COUNT` children
//! (0: for none at all); after those they start one every 100 ms and do wait for it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::skip::Skip;

/// Something to run, and where it lives.
#[derive(Clone, Debug)]
pub struct Program {
    /// Path and arguments.
    pub argv: Vec<String>,
    /// Directories beside the system's own that it needs to see.
    pub binds: Vec<PathBuf>,
}

impl Program {
    /// A program of the system.
    #[must_use]
    pub fn system<const N: usize>(argv: [&str; N]) -> Self {
        Self {
            argv: argv.map(str::to_owned).to_vec(),
            binds: Vec::new(),
        }
    }

    /// The story's program: Go, `cmd.Start()` without `cmd.Wait()`. Built on first use.
    ///
    /// # Errors
    /// [`Skip`] where Go is not there or does not build it.
    pub fn go_story(count: u32, interval_ms: u32) -> Result<Self, Skip> {
        static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
        let program = BUILT.get_or_init(build_go_story).clone().map_err(Skip)?;
        Ok(Self {
            binds: vec![parent(&program)],
            argv: [text(&program), count.to_string(), interval_ms.to_string()].to_vec(),
        })
    }

    /// A program of one file of Go, built now if it is not up to date.
    ///
    /// # Errors
    /// [`Skip`] where Go is not there or does not build it.
    pub fn go(name: &str, source: &Path, arguments: &[&str]) -> Result<Self, Skip> {
        let program = build_go(name, source).map_err(Skip)?;
        let mut argv = vec![text(&program)];
        argv.extend(arguments.iter().map(|word| (*word).to_owned()));
        Ok(Self {
            binds: vec![parent(&program)],
            argv,
        })
    }

    /// The same in Python: `subprocess.Popen` kept in a list and never waited for.
    ///
    /// # Errors
    /// [`Skip`] where there is no `/usr/bin/python3`, which containers of the lab see.
    pub fn python_story(count: u32, interval_ms: u32) -> Result<Self, Skip> {
        let python = "/usr/bin/python3";
        if !Path::new(python).exists() {
            return Skip::because(format!("{python} is not there"));
        }
        let script = source("main.py");
        Ok(Self {
            binds: vec![parent(&script)],
            argv: vec![
                python.to_owned(),
                text(&script),
                count.to_string(),
                interval_ms.to_string(),
            ],
        })
    }

    /// A 32-bit program that leaks ten children, says `leaked` and sleeps: it cannot be made to
    /// wait.
    ///
    /// # Errors
    /// [`Skip`] where the C compiler is not there or does not build it.
    pub fn leak_of_32_bits() -> Result<Self, Skip> {
        let flags = "-m32 -nostdlib -static -ffreestanding -fno-pie -no-pie -fno-stack-protector";
        Self::c("leak32", &source("leak32.c"), flags)
    }

    /// A process that means harm; `lab/hostile/actor.c` says what it can do. Static, so that it
    /// runs wherever it is copied to.
    ///
    /// # Errors
    /// [`Skip`] where the C compiler is not there or does not build it.
    pub fn hostile(arguments: &[&str]) -> Result<Self, Skip> {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("hostile/actor.c");
        let mut program = Self::c("actor", &source, "-static -pthread")?;
        program
            .argv
            .extend(arguments.iter().map(|word| (*word).to_owned()));
        Ok(program)
    }

    /// A program of one file of C.
    fn c(name: &str, source: &Path, flags: &str) -> Result<Self, Skip> {
        let dir = target_dir().join("sexton-test-c");
        let program = dir.join(name);
        let built = Self {
            argv: vec![text(&program)],
            binds: vec![dir.clone()],
        };
        // Perhaps it was built elsewhere, as in the virtual machines of lab/kernels.sh.
        if find("cc").is_none() && program.exists() {
            return Ok(built);
        }
        let said = |error: std::io::Error| Skip(format!("cc {flags}: {error}"));
        std::fs::create_dir_all(&dir).map_err(said)?;
        // Several test binaries may come here at once.
        let _lock = File::create(dir.join("lock"))
            .and_then(|file| file.lock().map(|()| file))
            .map_err(said)?;
        // Whoever runs it already keeps the former file: the new one takes its place.
        let new = dir.join(format!("{name}.new"));
        let output = Command::new("cc")
            .args(flags.split(' '))
            .args(["-O1", "-o"])
            .args([&new, source])
            .output()
            .map_err(said)?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Skip::because(format!("cc {flags}: {said}"));
        }
        std::fs::rename(&new, &program).map_err(said)?;
        Ok(built)
    }

    /// The story's crawler: Python, Selenium, real headless Chromium, drivers that are given up.
    /// It prints `page N` for each page that it has read.
    ///
    /// # Errors
    /// [`Skip`] where one of them is not installed.
    pub fn crawler(tasks: u32) -> Result<Self, Skip> {
        for (file, package) in [
            ("/usr/bin/python3", "python3"),
            ("/usr/bin/chromium", "chromium"),
            ("/usr/bin/chromedriver", "chromium-driver"),
            (
                "/usr/lib/python3/dist-packages/selenium",
                "python3-selenium",
            ),
        ] {
            if !Path::new(file).exists() {
                return Skip::because(format!("{file} is not there (package {package})"));
            }
        }
        let script = source("crawler.py");
        Ok(Self {
            binds: vec![parent(&script)],
            argv: vec![
                "/usr/bin/python3".to_owned(),
                text(&script),
                tasks.to_string(),
            ],
        })
    }

    /// A command that runs it outside any container.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.argv[0]);
        command.args(&self.argv[1..]);
        command
    }
}

/// A leak to measure: the Rust program `sexton-test-leak`, whose children can be chosen.
#[derive(Clone, Debug, Default)]
pub struct Leak {
    options: Vec<String>,
}

impl Leak {
    /// One that leaks without end, as fast as it can, children named `true` that exit with 0.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.options.extend([name.to_owned(), value.to_string()]);
        self
    }

    /// Leaks so many, then goes on forking and waits for each, if [`Leak::then_sleep`] does
    /// not say otherwise.
    #[must_use]
    pub fn count(self, count: u32) -> Self {
        self.with("--count", count)
    }

    /// Milliseconds between one child and the next.
    #[must_use]
    pub fn interval_ms(self, ms: u32) -> Self {
        self.with("--interval-ms", ms)
    }

    /// Having leaked its count, prints `done` and sleeps in one futex call for ever.
    #[must_use]
    pub fn then_sleep(self) -> Self {
        self.with("--then", "sleep")
    }

    /// Having leaked its count, prints `done` and hangs in a `write()` to a full pipe for ever: a
    /// call that cannot be made again, so its thread is never borrowed.
    #[must_use]
    pub fn then_block(self) -> Self {
        self.with("--then", "block")
    }

    /// Name (`comm`) of the children; any bytes but NUL, 15 are kept.
    #[must_use]
    pub fn name(self, name: &str) -> Self {
        self.with("--name", name)
    }

    /// The children exit with this code.
    #[must_use]
    pub fn exit(self, code: u8) -> Self {
        self.with("--exit", code)
    }

    /// This signal ends the children.
    #[must_use]
    pub fn signal(self, signal: u8) -> Self {
        self.with("--signal", signal)
    }

    /// It is one process of this many threads, and children are leaked by all of them in turn.
    #[must_use]
    pub fn threads(self, threads: u32) -> Self {
        self.with("--threads", threads)
    }

    /// What runs it.
    ///
    /// # Panics
    /// When it does not build.
    #[must_use]
    pub fn program(&self) -> Program {
        let path = leak_binary();
        let mut argv = vec![text(path)];
        argv.extend_from_slice(&self.options);
        Program {
            argv,
            binds: vec![parent(path)],
        }
    }
}

fn leak_binary() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| built("sexton-lab", "sexton-test-leak"))
}

/// `sexton-init` as the tests build it.
///
/// # Panics
/// When it does not build.
#[must_use]
pub fn init_binary() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| built("sexton-init", "sexton-init"))
}

/// Cargo builds a dependency's library but not its programs, so this asks it to. With the
/// program up to date, as after `make test`'s first step, this takes no compiler.
fn built(package: &str, program: &str) -> PathBuf {
    let target = target_dir();
    let path = target.join("debug").join(program);
    // Built elsewhere, as in the virtual machines of lab/kernels.sh.
    if !Path::new(env!("CARGO")).exists() && path.exists() {
        return path;
    }
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--locked", "--package", package])
        .args(["--bin", program, "--target-dir"])
        .arg(&target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status();
    assert!(
        status.as_ref().is_ok_and(std::process::ExitStatus::success),
        "{program} does not build: {status:?}"
    );
    path
}

fn build_go_story() -> Result<PathBuf, String> {
    build_go("crawler", &source("main.go"))
}

/// Builds one file of Go that needs no module.
fn build_go(name: &str, source: &Path) -> Result<PathBuf, String> {
    let dir = target_dir().join("sexton-test-go");
    let program = dir.join(name);
    let Some(go) = find("go") else {
        // Perhaps it was built elsewhere, as in the virtual machines of lab/kernels.sh.
        return program
            .exists()
            .then_some(program)
            .ok_or_else(|| "Go is not there".to_owned());
    };
    std::fs::create_dir_all(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    // Several test binaries may come here at once.
    let lock = File::create(dir.join("lock")).and_then(|file| file.lock().map(|()| file));
    let _lock = lock.map_err(|error| format!("{}: {error}", dir.display()))?;
    let output = Command::new(go)
        .arg("build")
        .arg("-o")
        .args([&program, source])
        // Neither a toolchain nor a module is to be fetched for it.
        .envs([("GOTOOLCHAIN", "local"), ("GO111MODULE", "off")])
        .env("GOCACHE", dir.join("cache"))
        .output();
    match output {
        Ok(output) if output.status.success() => Ok(program),
        Ok(output) => Err(format!(
            "go build: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        )),
        Err(error) => Err(format!("go build: {error}")),
    }
}

/// Cargo's target directory: a test runs from `TARGET/debug/deps`.
fn target_dir() -> PathBuf {
    let exe = std::env::current_exe().expect("/proc is mounted");
    exe.ancestors().nth(3).unwrap_or(&exe).to_owned()
}

/// Where a program is; `/usr/sbin` and Go's usual place count though PATH may lack them.
#[must_use]
pub fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let extra = ["/usr/sbin", "/sbin", "/usr/local/go/bin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(extra)
        .map(|dir| dir.join(name))
        .find(|path| path.is_file())
}

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("story")
        .join(name)
}

fn parent(path: &Path) -> PathBuf {
    path.parent().unwrap_or(path).to_owned()
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
