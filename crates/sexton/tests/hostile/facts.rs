//! What a process says of itself is bounded, and costs no other one its place in a report.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;
use sexton_lab::program::find;
use sexton_lab::{Leak, Running, Skip, require, require_root, wait_until, zombies_of};

const SEXTON: &str = env!("CARGO_BIN_EXE_sexton");

/// More than any look may take, whatever is looked at.
const MOST_KIB: u64 = 16 << 10;

/// What a look may take beside what the program itself takes (in a debug build, 14 MiB).
const MOST_BESIDE_KIB: u64 = 10 << 10;

/// Forks three zombies, and makes all that /proc tells of itself as long as it can: `sys.argv`
/// names a directory, and what is to be done.
const ATTACK: &str = r#"
import ctypes, mmap, os, signal, sys
where, deeds = sys.argv[1], sys.argv[2]
def fork():
    for _ in range(3):
        if os.fork() == 0: os._exit(0)
    print("ready", flush=True)
if deeds == "deep":
    for _ in range(25):
        name = "d" * 200
        os.mkdir(name); os.chdir(name)
    with open("/bin/sleep", "rb") as program, open("deep", "wb") as copy: copy.write(program.read())
    os.chmod("deep", 0o755)
    fork()
    os.execv("./deep", ["sleep", "600"])
if deeds == "arguments":
    os.execv("/proc/self/exe", ["many", "-c", sys.orig_argv[2], where, "plain"] + [""] * 200000)
if deeds == "long":
    libc = ctypes.CDLL(None, use_errno=True)
    for _ in range(18):
        where += "/" + "m" * 200
        os.mkdir(where)
    with open(where + "/mapped", "wb+") as file:
        file.truncate(40960)
        mapped = [mmap.mmap(file.fileno(), 4096, offset=4096 * page) for page in range(0, 10, 2)]
    os.setgroups(list(range(65536)))
    with open("/proc/self/stat") as file: stat = file.read()
    stat = [0, 0, 0] + stat[stat.rindex(")") + 2:].split()
    size = 1 << 40
    libc.mmap.restype = libc.sbrk.restype = ctypes.c_void_p
    base = libc.mmap(None, ctypes.c_size_t(size), 3, 0x4022, -1, ctypes.c_long(0))
    if base in (None, ctypes.c_void_p(-1).value): sys.exit("mmap of a TiB")
    numbers = [int(stat[n]) for n in (26, 27, 45, 46, 47)]
    numbers += [libc.sbrk(0), int(stat[28]), base, base + size, base, base + size, 0]
    class Map(ctypes.Structure):
        _fields_ = [("numbers", ctypes.c_uint64 * 12), ("auxv_size", ctypes.c_uint32), ("exe", ctypes.c_int32)]
    made = Map((ctypes.c_uint64 * 12)(*numbers), 0, -1)
    if libc.prctl(35, 14, ctypes.byref(made), ctypes.sizeof(made), 0):
        sys.exit("PR_SET_MM_MAP: " + os.strerror(ctypes.get_errno()))
fork()
while True: signal.pause()
"#;

/// A process that holds three zombies; `None` with the reason printed where it cannot be.
fn attacker(dir: &Path, deeds: &str) -> Option<Running> {
    let python = find("python3").ok_or_else(|| Skip("there is no python3".to_owned()));
    let mut command = Command::new(require(python)?);
    command.args(["-c", ATTACK]).arg(dir).arg(deeds);
    command.current_dir(dir).stdout(Stdio::piped());
    let mut running = Running::start(&mut command);
    let pipe = running.child().stdout.take().unwrap();
    let mut line = String::new();
    BufReader::new(pipe).read_line(&mut line).unwrap();
    if line != "ready\n" {
        return require(Err(Skip(format!("{deeds}: python3 said {line:?}"))));
    }
    wait_until_it_leaks(&running);
    Some(running)
}

fn wait_until_it_leaks(running: &Running) {
    wait_until("it has three zombies", || {
        (zombies_of(running.pid()).len() >= 3).then_some(())
    });
}

/// A holder whose executable has a section `.comment` of 64 MiB, or a section table of 268 MB.
fn with_sections(dir: &Path, comment: bool) -> Running {
    let leak = Leak::new().count(3).interval_ms(1).program().argv;
    let (program, arguments) = leak.split_first().unwrap();
    let path = dir.join(if comment { "comment" } else { "table" });
    fs::copy(program, &path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let file = fs::File::options().write(true).open(&path).unwrap();
    let end = file.metadata().unwrap().len().next_multiple_of(4096);
    let names = b"\0.comment\0.shstrtab\0";
    let (entry_size, count) = if comment {
        (64_u16, 3_u16)
    } else {
        (65_535, 4_096)
    };
    file.write_all_at(&end.to_le_bytes(), 40).unwrap();
    file.write_all_at(
        &[
            entry_size.to_le_bytes(),
            count.to_le_bytes(),
            2_u16.to_le_bytes(),
        ]
        .concat(),
        58,
    )
    .unwrap();
    let section = |index: u64, name: u32, offset: u64, size: u64| {
        let at = end + index * 64;
        file.write_all_at(&name.to_le_bytes(), at).unwrap();
        file.write_all_at(
            &[offset.to_le_bytes(), size.to_le_bytes()].concat(),
            at + 24,
        )
        .unwrap();
    };
    section(1, 1, end + 8_192, 64 << 20);
    section(2, 10, end + 4_096, names.len() as u64);
    file.write_all_at(names, end + 4_096).unwrap();
    file.set_len(end + (300 << 20)).unwrap();
    drop(file);
    let running = Running::start(Command::new(&path).args(arguments).stdout(Stdio::null()));
    wait_until_it_leaks(&running);
    running
}

/// Fails the test if a look took more memory than any may.
#[track_caller]
fn is_little(peak: u64, args: &[&str]) {
    static PROGRAM: OnceLock<u64> = OnceLock::new();
    let program = PROGRAM.get_or_init(|| measured(&["--version"]).2);
    // Without optimization code alone takes nearly as much.
    let most = if cfg!(debug_assertions) {
        MOST_KIB.max(program + MOST_BESIDE_KIB)
    } else {
        MOST_KIB
    };
    assert!(peak <= most, "{args:?}: {peak} of {most} KiB");
}

/// Exit status, what it wrote, and the most memory that it had at once, in KiB.
fn measured(args: &[&str]) -> (i32, Vec<u8>, u64) {
    let script = "import resource, subprocess, sys\n\
                  done = subprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL).returncode\n\
                  print(done, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)";
    let output = Command::new("python3")
        .args(["-c", script, SEXTON])
        .args(args)
        .output()
        .expect("python3 is there");
    let text = String::from_utf8(output.stderr).unwrap();
    let mut words = text.split_ascii_whitespace().rev();
    let peak = words.next().and_then(|word| word.parse().ok());
    let status = words.next().and_then(|word| word.parse().ok());
    let (Some(peak), Some(status)) = (peak, status) else {
        panic!("{args:?}: {text}");
    };
    (status, output.stdout, peak)
}

fn leak_of(report: &Value, pid: u32) -> &Value {
    let leaks = report["leaks"].as_array().unwrap();
    let leak = leaks.iter().find(|leak| leak["holder"]["pid"] == pid);
    leak.unwrap_or_else(|| panic!("no leak of {pid}: {report:#}"))
}

#[test]
fn whatever_a_process_shows_takes_little_memory() {
    if require(require_root()).is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (Some(long), Some(many)) = (
        attacker(dir.path(), "long"),
        attacker(dir.path(), "arguments"),
    ) else {
        return;
    };
    let (table, comment) = (
        with_sections(dir.path(), false),
        with_sections(dir.path(), true),
    );

    let (status, out, peak) = measured(&["scan", "-o", "json"]);
    assert_eq!(status, 1);
    is_little(peak, &["scan"]);
    let report: Value = serde_json::from_slice(&out).unwrap();
    for process in [&long, &many] {
        let line = leak_of(&report, process.pid())["holder"]["commandLine"].clone();
        let line = line.as_array().unwrap();
        assert_eq!(line.last().unwrap(), "…", "what is cut is marked");
        assert!(line.len() < 300, "{} arguments", line.len());
    }
    for process in [&long, &many, &table, &comment] {
        let pid = process.pid().to_string();
        leak_of(&report, process.pid());
        for args in [
            &["explain", &pid, "--sample", "0", "-o", "json"][..],
            &["limits", "--pid", &pid, "-o", "json"],
        ] {
            let (status, _, peak) = measured(args);
            assert_eq!(status, 0, "{args:?}");
            is_little(peak, args);
        }
    }

    // Its mappings are read to the end, though the paths of some are nearly a page long.
    let maps = fs::read_to_string(format!("/proc/{}/maps", long.pid())).unwrap();
    assert!(maps.lines().any(|line| line.len() > 3_600));
    let mappings = maps.lines().filter(|line| !line.ends_with("[vsyscall]"));
    let (_, out, _) = measured(&["limits", "--pid", &long.pid().to_string(), "-o", "json"]);
    let limits: Value = serde_json::from_slice(&out).unwrap();
    let limits = limits["limits"].as_array().unwrap();
    let counted = limits.iter().find(|limit| limit["kind"] == "maxMapCount");
    assert_eq!(counted.unwrap()["used"], mappings.count());
}

#[test]
fn an_executable_whose_path_is_too_long_blinds_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let (Some(other), Some(deep)) = (attacker(dir.path(), "plain"), attacker(dir.path(), "deep"))
    else {
        return;
    };
    let link = fs::read_link(format!("/proc/{}/exe", deep.pid()));
    if link.is_ok() {
        let told = "this kernel tells a path of more than 4,096 bytes";
        require::<()>(Err(Skip(told.to_owned())));
        return;
    }
    let (status, out, _) = measured(&["scan", "-o", "json"]);
    assert_eq!(status, 1);
    let report: Value = serde_json::from_slice(&out).unwrap();
    assert!(leak_of(&report, other.pid()).get("notes").is_none());
    let notes = leak_of(&report, deep.pid())["notes"]
        .as_array()
        .unwrap()
        .clone();
    let told = |note: &Value| note.as_str().unwrap().contains("/exe: File name too long");
    assert!(notes.iter().any(told), "{notes:?}");
    assert!(report["scan"]["unreadableFacts"]["exe"].as_u64() >= Some(1));

    for pid in [&other, &deep].map(|process| process.pid().to_string()) {
        for args in [
            &["explain", &pid, "--sample", "0"][..],
            &["limits", "--pid", &pid],
        ] {
            assert_eq!(measured(args).0, 0, "{args:?}");
        }
    }
    for args in [&["audit"][..], &["npd"]] {
        assert!(measured(args).0 <= 1, "{args:?}");
    }
}

#[test]
fn a_folder_that_is_no_proc_is_not_taken_for_a_quiet_node() {
    let dir = tempfile::tempdir().unwrap();
    let empty = dir.path().to_str().unwrap();
    for args in [
        &["npd"][..],
        &["npd", "--path-cgroupfs", empty],
        &["scan"],
        &["audit"],
        &["limits"],
        &["explain", "1"],
    ] {
        let output = Command::new(SEXTON)
            .args(args)
            .args(["--path-procfs", empty])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {output:?}");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8(said).unwrap();
        assert!(said.contains("is not /proc"), "{args:?}: {said}");
    }
}
