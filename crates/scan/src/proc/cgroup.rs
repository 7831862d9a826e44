//! `/proc/PID/cgroup` (`cgroups(7)`).

/// One line of `/proc/PID/cgroup`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CgroupLine {
    /// 0 for the unified hierarchy.
    pub hierarchy: u32,
    /// Comma-separated controllers, or `name=…`; empty for the unified hierarchy.
    pub controllers: Vec<u8>,
    /// The path, as the reader's cgroup namespace shows it, without ` (deleted)`.
    pub path: Vec<u8>,
    /// The cgroup has been removed; a zombie keeps its path.
    pub deleted: bool,
}

impl CgroupLine {
    /// The line is of the hierarchy that has this v1 controller.
    #[must_use]
    pub fn has_controller(&self, name: &str) -> bool {
        self.controllers
            .split(|byte| *byte == b',')
            .any(|controller| controller == name.as_bytes())
    }
}

/// The cgroups of one process, one a hierarchy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Cgroups(pub Vec<CgroupLine>);

impl Cgroups {
    /// Parses the file. A line of another form is left out: a kernel that adds one should not
    /// hide the others.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Self {
        // The kernel refuses cgroup names with a newline, but not with a colon.
        Self(
            bytes
                .split(|byte| *byte == b'\n')
                .filter_map(parse_line)
                .collect(),
        )
    }

    /// The path in the hierarchy of a v1 controller, or in the unified one if no v1 hierarchy
    /// has that controller.
    #[must_use]
    pub fn path_of(&self, controller: &str) -> Option<&[u8]> {
        self.0
            .iter()
            .find(|line| line.has_controller(controller))
            .map(|line| line.path.as_slice())
            .or_else(|| self.unified())
    }

    /// The line of the hierarchy that `other` is of, which may be another process's.
    pub(crate) fn same_hierarchy(&self, other: &CgroupLine) -> Option<&CgroupLine> {
        self.0
            .iter()
            .find(|line| line.hierarchy == other.hierarchy && line.controllers == other.controllers)
    }

    /// All lines: of the hierarchy that counts pids first, since limits stand there, then of the
    /// unified one, then the others. Which hierarchies a runtime puts its containers in differs.
    pub(crate) fn by_weight(&self) -> Vec<&CgroupLine> {
        let mut lines: Vec<_> = self.0.iter().collect();
        lines.sort_by_key(|line| (!line.has_controller("pids"), line.hierarchy != 0));
        lines
    }

    /// The path in the unified hierarchy.
    #[must_use]
    pub fn unified(&self) -> Option<&[u8]> {
        self.0
            .iter()
            .find(|line| line.hierarchy == 0)
            .map(|line| line.path.as_slice())
    }
}

fn parse_line(line: &[u8]) -> Option<CgroupLine> {
    let mut fields = line.splitn(3, |byte| *byte == b':');
    let hierarchy = super::pids::parse_pid(fields.next()?)?;
    let controllers = fields.next()?.to_vec();
    let path = fields.next()?;
    if !path.starts_with(b"/") {
        return None;
    }
    let (path, deleted) = match path.strip_suffix(b" (deleted)") {
        Some(path) => (path, true),
        None => (path, false),
    };
    Some(CgroupLine {
        hierarchy,
        controllers,
        path: path.to_vec(),
        deleted,
    })
}
