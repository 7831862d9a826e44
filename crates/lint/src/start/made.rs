//! Processes that are not there yet, as the audit's judge wants them.

use sexton_core::audit::{Facts, Process, Signals, StopSignal};
use sexton_core::cause::{Language, Program, is_shell};
use sexton_core::{Container, ProcessId, Runtime, State};

use super::base_name;

/// A process without handlers.
pub(super) fn plain(words: &[String], pid: u32) -> Process {
    let name = words.first().map_or("", |word| base_name(word));
    Process {
        id: ProcessId {
            pid,
            start_ticks: 0,
        },
        inner_pid: pid,
        name: name.to_owned(),
        command_line: words.to_vec(),
        executable: Some(format!("/usr/bin/{name}")),
        program: Program {
            language: if is_shell(name) {
                Language::Shell
            } else {
                Language::Native
            },
            evidence: None,
        },
        state: State::Sleeping,
        signals: Signals {
            blocked: vec![0],
            ..Signals::default()
        },
        process_group: pid,
        age_seconds: u64::from(u32::MAX),
        call: None,
        environment: Vec::new(),
        uids: [0; 4],
        may_kill: true,
        started_as: Some(words.to_vec()),
        rewrote_title: false,
        texts: Vec::new(),
        children: Vec::new(),
    }
}

/// A container whose first process is `main`, of which nothing else is known.
pub(super) fn facts(main: Process, stop: u8) -> Facts {
    let mut main = main;
    // A shell that became its command left its pid to it.
    main.inner_pid = 1;
    Facts {
        container: Container {
            id: String::new(),
            runtime: Runtime::Docker,
            name: None,
            pod: None,
            owner: None,
            cgroup: String::new(),
        },
        signal: StopSignal::new(stop, "the file"),
        grace: None,
        main,
        shared_pid_namespace: false,
        frozen: false,
        connections: None,
        pre_stop: None,
        probes: Vec::new(),
        notes: Vec::new(),
    }
}
