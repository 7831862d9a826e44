//! What a runtime says against what the kernel shows: whose workload a container is, and whether
//! a holder is where it seems to be.

use sexton_core::{Container, Leak, Workload};
use sexton_scan::{Scanner, container};

/// What is known of a container: by its own id or, where no runtime of the node knows that, of the
/// container that it is nested in, whose policies go on to hold.
pub fn workload_of<'a>(
    scanner: &Scanner,
    of: &Container,
    by_id: impl Fn(&str) -> Option<&'a Workload>,
) -> Option<&'a Workload> {
    let own = (of.id.clone(), of.cgroup.clone());
    let outer = container::marks(of.cgroup.as_bytes()).map(|mark| (mark.id, mark.cgroup));
    let outer: Vec<_> = outer.filter(|(_, cgroup)| *cgroup != of.cgroup).collect();
    let nested = !outer.is_empty();
    std::iter::once(own).chain(outer).find_map(|(id, cgroup)| {
        let found = by_id(&id)?;
        let lies = found.pid.and_then(|pid| scanner.lies_in(pid, &cgroup));
        // Root in a container may have called a folder so, and is not asked what it says.
        let believed = lies.unwrap_or(!nested || cgroup != of.cgroup);
        believed.then_some(found)
    })
}

/// Puts what the runtimes know into a container. One that bears an id that a runtime has elsewhere
/// is taken for the container that it lies in. False where none knows it.
pub fn name<'a>(
    scanner: &Scanner,
    named: &mut Container,
    by_id: impl Fn(&str) -> Option<&'a Workload>,
) -> bool {
    let Some(workload) = workload_of(scanner, named, &by_id) else {
        return false;
    };
    if workload.id != named.id && by_id(&named.id).is_some() {
        let cgroup = named.cgroup.clone();
        let mut marks = container::marks(cgroup.as_bytes());
        if let Some(mark) = marks.find(|mark| mark.id == workload.id) {
            *named = mark.into();
        }
    }
    if workload.id == named.id && workload.name.is_some() {
        named.name.clone_from(&workload.name);
    }
    if workload.pod.is_some() {
        named.pod.clone_from(&workload.pod);
    }
    named.owner.clone_from(&workload.owner);
    true
}

/// Makes sure, before something happens to a whole container, that the holder of a leak lives in
/// the one that the runtime knows by that id.
///
/// # Errors
/// Why that is not certain.
pub fn confirm(scanner: &Scanner, leak: &Leak, workload: Option<&Workload>) -> Result<(), String> {
    let Some(container) = &leak.container else {
        return Err("it is in no container".to_owned());
    };
    let id = container.short_id();
    let known = workload.filter(|workload| workload.id == container.id);
    let first = known
        .and_then(|workload| workload.pid)
        .or_else(|| scanner.first_process_of(container));
    let Some(first) = first else {
        return Err(format!(
            "no container runtime of this node tells the first process of container {id}, so it \
             is not certain that process {} belongs to it",
            leak.holder.id.pid
        ));
    };
    let uid = |pod: Option<&sexton_core::Pod>| pod.and_then(|pod| pod.uid.clone());
    let (seen, told) = (
        uid(container.pod.as_ref()),
        uid(known.and_then(|workload| workload.pod.as_ref())),
    );
    if let (Some(seen), Some(told)) = (seen, told)
        && seen != told
    {
        return Err(format!(
            "container {id} belongs to pod {told} by its runtime, and to pod {seen} by its cgroup"
        ));
    }
    match scanner.is_inside(leak.holder.id, first, container) {
        Ok(true) => Ok(()),
        Ok(false) => Err(format!(
            "process {} is not in the cgroup and PID namespace of process {first}, with which the \
             runtime began container {id}",
            leak.holder.id.pid
        )),
        Err(error) => Err(format!(
            "the identity of container {id} is not known: {error}"
        )),
    }
}
