//! The folders and files that decide what the agent does: its locks, its audit log, its switches.
//!
//! The rule: the folder itself is never reached through a link, it belongs to the agent's own user
//! and only that user may write to it; a file in it is opened by the folder's descriptor, never
//! through a link, and is a regular file of that user under one name. Which folders lie above is
//! the operator's matter: `/var/log` may belong to a group. Whoever swaps the folder by its parent
//! can only put one there that is refused.

use std::ffi::{OsStr, OsString};
use std::fs::{DirBuilder, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, Stat, fchmod, fstat, openat, renameat, statat, unlinkat,
};
use rustix::io::Errno;

/// For the agent's user alone.
const FOLDER: Mode = Mode::RWXU;
/// What others than the agent's user may do with a folder or a file.
const OTHERS: Mode = Mode::RWXG.union(Mode::RWXO);
const OTHERS_WRITE: Mode = Mode::WGRP.union(Mode::WOTH);
/// A folder with more files than this is not the agent's alone.
const MOST_OF_OUR_FILES: usize = 64;

/// A folder that was checked.
pub struct Folder {
    path: PathBuf,
    fd: OwnedFd,
}

impl Folder {
    /// Makes the folder where it is missing, and opens it.
    ///
    /// # Errors
    /// It cannot be made or opened, or others may write to it.
    pub fn open(path: &Path) -> io::Result<Self> {
        // Without `/` at its end: that would follow a link.
        let path: PathBuf = path.components().collect();
        DirBuilder::new()
            .recursive(true)
            .mode(FOLDER.bits())
            .create(&path)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::open(&path, flags, Mode::empty()).map_err(|errno| match errno {
            Errno::LOOP | Errno::NOTDIR => {
                refused(&path, "is a link, or not a folder: name the folder itself")
            }
            errno => errno.into(),
        })?;
        let folder = Self { path, fd };
        let stat = fstat(&folder.fd)?;
        let mode = Mode::from_raw_mode(stat.st_mode);
        belongs_to_us(&folder.path, &stat)?;
        if mode.intersects(OTHERS_WRITE) {
            let why = "can be written by others, so nothing in it proves anything: \
                       take that right away (chmod go-w), or name another folder";
            return Err(refused(&folder.path, why));
        }
        // As the kubelet and former versions make it. A folder that is used for other things, too,
        // such as /var/log itself, stays as it is: each file in it is guarded by its own mode.
        if mode.intersects(OTHERS) && folder.is_ours_alone()? {
            fchmod(&folder.fd, FOLDER)?;
        }
        Ok(folder)
    }

    /// The folder of a file, and the file's name in it.
    ///
    /// # Errors
    /// As [`Folder::open`]; or the path ends in no name.
    pub fn of(file: &Path) -> io::Result<(Self, OsString)> {
        let name = file
            .file_name()
            .ok_or_else(|| refused(file, "is not a file"))?
            .to_owned();
        let parent = file.parent().filter(|parent| *parent != Path::new(""));
        Ok((Self::open(parent.unwrap_or(Path::new(".")))?, name))
    }

    /// Opens a file in it to read and to append, and makes it where it is missing. Others than
    /// `mode` allows have no access to it afterwards.
    ///
    /// # Errors
    /// It cannot be opened, or it is not a regular file of our own.
    pub fn file(&self, name: &OsStr, mode: Mode) -> io::Result<File> {
        let (file, stat) = self.file_as_it_is(name, mode)?;
        let has = Mode::from_raw_mode(stat.st_mode);
        if has.intersects(OTHERS.difference(mode)) {
            fchmod(&file, has & mode)?;
        }
        Ok(file)
    }

    /// The same, with the rights that it has had so far.
    pub(super) fn file_as_it_is(&self, name: &OsStr, mode: Mode) -> io::Result<(File, Stat)> {
        let flags = OFlags::RDWR
            | OFlags::APPEND
            | OFlags::CREATE
            | OFlags::NOFOLLOW
            // A FIFO or a device must not make us wait.
            | OFlags::NONBLOCK
            | OFlags::NOCTTY
            | OFlags::CLOEXEC;
        let path = self.path.join(name);
        let opened = openat(&self.fd, name, flags, mode).map_err(|errno| match errno {
            Errno::LOOP => refused(&path, "is a link: remove it"),
            errno => errno.into(),
        })?;
        let stat = fstat(&opened)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(refused(&path, "is not a regular file: remove it"));
        }
        belongs_to_us(&path, &stat)?;
        if stat.st_nlink > 1 {
            return Err(refused(
                &path,
                "has a second name elsewhere (a hard link): remove it",
            ));
        }
        Ok((opened.into(), stat))
    }

    /// What has that name in it; `None` where nothing has.
    ///
    /// # Errors
    /// It cannot be looked at.
    pub fn stat(&self, name: &OsStr) -> io::Result<Option<Stat>> {
        match statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Gives a file another name. One that is not there is no error.
    ///
    /// # Errors
    /// It is there and keeps its name.
    pub fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        missing_is_fine(renameat(&self.fd, from, &self.fd, to))
    }

    /// Removes a file. One that is not there is no error.
    ///
    /// # Errors
    /// It is still there.
    pub fn remove(&self, name: &OsStr) -> io::Result<()> {
        missing_is_fine(unlinkat(&self.fd, name, AtFlags::empty()))
    }

    /// Nothing lies in it but regular files of our own.
    fn is_ours_alone(&self) -> io::Result<bool> {
        let mut files = 0;
        for entry in Dir::read_from(&self.fd)? {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            files += 1;
            let ours = self.stat(name)?.is_some_and(|stat| {
                FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
                    && stat.st_uid == us()
            });
            if !ours || files > MOST_OF_OUR_FILES {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn us() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn belongs_to_us(path: &Path, stat: &Stat) -> io::Result<()> {
    if stat.st_uid == us() {
        return Ok(());
    }
    let (owner, us) = (stat.st_uid, us());
    Err(refused(
        path,
        &format!(
            "belongs to user {owner}, and the agent runs as user {us}: name one that is its own"
        ),
    ))
}

fn refused(path: &Path, why: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::PermissionDenied,
        format!("{} {why}", path.display()),
    )
}

fn missing_is_fine(done: rustix::io::Result<()>) -> io::Result<()> {
    match done {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    fn set(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn refusal<T>(opened: io::Result<T>) -> String {
        opened.err().expect("it is refused").to_string()
    }

    const LOCK: Mode = Mode::RUSR.union(Mode::WUSR);

    #[test]
    fn what_is_missing_is_made_for_us_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        let folder = Folder::open(&path).unwrap();
        folder.file(OsStr::new("f"), LOCK).unwrap();
        assert_eq!((mode(&path), mode(&path.join("f"))), (0o700, 0o600));
    }

    #[test]
    fn what_is_ours_alone_is_tightened_and_what_is_not_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run");
        fs::create_dir(&path).unwrap();
        set(&path, 0o755);
        fs::write(path.join("f"), "").unwrap();
        set(&path.join("f"), 0o644);
        let folder = Folder::open(&path).unwrap();
        folder.file(OsStr::new("f"), LOCK).unwrap();
        assert_eq!((mode(&path), mode(&path.join("f"))), (0o700, 0o600));

        // As /var/log is.
        fs::create_dir(path.join("another")).unwrap();
        set(&path, 0o755);
        Folder::open(&path).unwrap();
        assert_eq!(mode(&path), 0o755);
    }

    #[test]
    fn a_folder_that_others_can_write_is_refused_and_not_changed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run");
        fs::create_dir(&path).unwrap();
        for loose in [0o777, 0o1777, 0o770, 0o702] {
            set(&path, loose);
            let why = refusal(Folder::open(&path));
            assert!(why.contains("can be written by others"), "{why}");
            assert_eq!(mode(&path), loose);
        }
    }

    #[test]
    fn links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (real, link) = (dir.path().join("real"), dir.path().join("link"));
        fs::create_dir(&real).unwrap();
        symlink(&real, &link).unwrap();
        for path in [link.clone(), link.join(""), link.join(".")] {
            let why = refusal(Folder::open(&path));
            assert!(why.contains("is a link"), "{why}");
        }
        let folder = Folder::open(&real).unwrap();
        for target in ["/etc/passwd", "nowhere"] {
            symlink(target, real.join(target.trim_start_matches("/etc/"))).unwrap();
        }
        for name in ["passwd", "nowhere"] {
            let why = refusal(folder.file(OsStr::new(name), LOCK));
            assert!(why.contains("is a link"), "{why}");
        }
    }

    #[test]
    fn what_is_no_regular_file_of_ours_is_refused_without_waiting() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(&dir.path().join("run")).unwrap();
        let fifo = rustix::fs::mknodat(&folder.fd, "fifo", FileType::Fifo, LOCK, 0);
        fifo.unwrap();
        let why = refusal(folder.file(OsStr::new("fifo"), LOCK));
        assert!(why.contains("not a regular file"), "{why}");

        let _listener = std::os::unix::net::UnixListener::bind(folder.path.join("socket")).unwrap();
        assert!(folder.file(OsStr::new("socket"), LOCK).is_err());

        fs::write(dir.path().join("other"), "").unwrap();
        fs::hard_link(dir.path().join("other"), folder.path.join("second")).unwrap();
        let why = refusal(folder.file(OsStr::new("second"), LOCK));
        assert!(why.contains("hard link"), "{why}");
    }
}
