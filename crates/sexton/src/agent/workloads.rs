//! What is known of the containers: what their runtimes tell, and what the API server does.
//!
//! Either is enough. Of what both tell, the API server's word counts: the runtime has only a copy
//! of it, made when the container was.

use std::sync::Arc;

use sexton_core::{RestartPolicy, Workload};

use super::names::Known;

/// Both together, put together anew only when one of them has changed.
#[derive(Default)]
pub struct Workloads {
    runtimes: Arc<Known>,
    api: Arc<Known>,
    known: Arc<Known>,
}

impl Workloads {
    /// Takes what both say by now.
    pub fn hear(&mut self, runtimes: Arc<Known>, api: Option<Arc<Known>>) -> Arc<Known> {
        let api = api.unwrap_or_default();
        let same = Arc::ptr_eq(&self.runtimes, &runtimes)
            && (Arc::ptr_eq(&self.api, &api) || both_empty(&self.api, &api));
        if !same {
            self.known = if api.is_empty() {
                runtimes.clone()
            } else {
                Arc::new(together(&runtimes, &api))
            };
            self.runtimes = runtimes;
            self.api = api;
        }
        self.known.clone()
    }
}

fn both_empty(one: &Known, other: &Known) -> bool {
    one.is_empty() && other.is_empty()
}

fn together(runtimes: &Known, api: &Known) -> Known {
    let mut known = runtimes.clone();
    for (id, told) in api {
        known
            .entry(id.clone())
            .and_modify(|workload| complete(workload, told))
            .or_insert_with(|| told.clone());
    }
    known
}

/// `workload` as its runtime tells it, with what the API server says in place.
fn complete(workload: &mut Workload, told: &Workload) {
    let runtime = std::mem::take(workload);
    *workload = Workload {
        // Labels and annotations of a living pod may be edited; that is how it opts out.
        labels: told.labels.clone(),
        annotations: told.annotations.clone(),
        name: told.name.clone().or(runtime.name),
        image: told.image.clone().or(runtime.image),
        pod: told.pod.clone().or(runtime.pod),
        stop_signal: told.stop_signal.clone().or(runtime.stop_signal),
        grace_seconds: told.grace_seconds.or(runtime.grace_seconds),
        pre_stop: told.pre_stop || runtime.pre_stop,
        pre_stop_handler: told.pre_stop_handler.clone().or(runtime.pre_stop_handler),
        restart: match told.restart {
            RestartPolicy::Unknown => runtime.restart,
            said => said,
        },
        restarts: told.restarts.or(runtime.restarts),
        owner: told.owner.clone().or(runtime.owner),
        tenure: told.tenure.or(runtime.tenure),
        id: runtime.id,
        pid: runtime.pid.or(told.pid),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(workload: Workload) -> Arc<Known> {
        Arc::new(Known::from([(workload.id.clone(), workload)]))
    }

    fn of_the_runtime() -> Workload {
        Workload {
            id: "c1".to_owned(),
            pid: Some(7),
            stop_signal: Some("SIGQUIT".to_owned()),
            ..Workload::default()
        }
    }

    fn of_the_api() -> Workload {
        Workload {
            id: "c1".to_owned(),
            restart: RestartPolicy::Always,
            annotations: [("sexton.dev/reap".to_owned(), "disabled".to_owned())].into(),
            ..Workload::default()
        }
    }

    #[test]
    fn either_is_enough() {
        let mut workloads = Workloads::default();
        let runtimes = known(of_the_runtime());
        assert_eq!(
            workloads.hear(runtimes.clone(), None)["c1"],
            of_the_runtime()
        );
        let api = Some(known(of_the_api()));
        assert_eq!(workloads.hear(Arc::default(), api)["c1"], of_the_api());
        assert_eq!(workloads.hear(runtimes, None)["c1"], of_the_runtime());
    }

    #[test]
    fn each_adds_what_the_other_does_not_know() {
        let mut workloads = Workloads::default();
        let both = workloads.hear(known(of_the_runtime()), Some(known(of_the_api())));
        let workload = &both["c1"];
        assert_eq!(workload.pid, Some(7));
        assert_eq!(workload.stop_signal.as_deref(), Some("SIGQUIT"));
        assert_eq!(workload.restart, RestartPolicy::Always);
        assert_eq!(workload.annotations["sexton.dev/reap"], "disabled");
    }

    #[test]
    fn an_edited_pod_is_heard_at_once() {
        let mut workloads = Workloads::default();
        let runtimes = known(of_the_runtime());
        workloads.hear(runtimes.clone(), Some(known(of_the_api())));
        let edited = Workload {
            annotations: Default::default(),
            ..of_the_api()
        };
        let now = workloads.hear(runtimes, Some(known(edited)));
        assert!(now["c1"].annotations.is_empty());
    }
}
