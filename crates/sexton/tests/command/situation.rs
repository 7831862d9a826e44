//! Containers with a leak in them.

use sexton_lab::container::Builder;
use sexton_lab::{
    Container, Leak, Program, Runtime, live_children_of, require, wait_until, zombies_of,
};

/// A runtime, or the reason why there is none is printed.
pub(crate) fn runtime() -> Option<Runtime> {
    require(Runtime::any())
}

/// A container whose first process has leaked `count` children that have all ended, and sleeps.
pub(crate) fn leaking(builder: Builder<'_>, leak: Leak, count: u32) -> Container {
    let container = builder.start(&leak.count(count).then_sleep().program());
    settled(&container, count);
    container
}

/// Waits until a program of [`Leak::then_sleep`] has done its work.
pub(crate) fn settled(container: &Container, count: u32) {
    container.wait_for_line(0, |line| line == "done");
    wait_until("all children have ended", || {
        (zombies_of(container.pid()).len() == count as usize).then_some(())
    });
}

/// A container of `limit` tasks that is full: fork has failed in it.
pub(crate) fn full(runtime: &Runtime, program: &Program, limit: u64) -> Container {
    let container = Container::builder(runtime).pids_limit(limit).start(program);
    cannot_fork(&container);
    container
}

/// Waits until the container's program has failed to fork and its last children have ended.
pub(crate) fn cannot_fork(container: &Container) {
    container.wait_for_line(0, |line| line.ends_with("EAGAIN"));
    wait_until("the last children have ended", || {
        live_children_of(container.pid()).is_empty().then_some(())
    });
}

/// A container that leaks nothing.
pub(crate) fn quiet(runtime: &Runtime) -> Container {
    Container::builder(runtime).start(&Program::system(["/bin/sleep", "1000"]))
}
