//! From a pod's name to that of the workload that made it.
//!
//! `pkg/controller` of Kubernetes puts together what is taken apart here. Only an end that such a
//! controller can have made is taken off: `web-server` is no pod of `web`.

/// Letters of what the API server adds to `generateName` (`k8s.io/apimachinery`,
/// `util/rand`): no vowels, so that no words come of it.
const RANDOM: &str = "bcdfghjklmnpqrstvwxz2456789";
/// How many it adds.
const RANDOM_LENGTH: usize = 5;
/// Letters of `pod-template-hash`: a decimal number, each digit written as one of the above.
const HASH: &str = "456789bcdf";
/// The number has 32 bits.
const HASH_LENGTH: usize = 10;
/// Digits of a StatefulSet's ordinal, or of a CronJob's minute.
const DIGITS: usize = 10;

/// Whether a pod called `pod` may belong to a workload called `workload`: a Deployment, ReplicaSet,
/// DaemonSet, Job, CronJob or StatefulSet.
pub fn may_own(workload: &str, pod: &str) -> bool {
    let Some(rest) = pod.strip_prefix(workload) else {
        return false;
    };
    let Some(rest) = rest.strip_prefix('-') else {
        return false;
    };
    let is = |text: &str, letters: &str, length: usize| {
        !text.is_empty() && text.len() <= length && text.chars().all(|c| letters.contains(c))
    };
    let random = |text: &str| text.len() == RANDOM_LENGTH && is(text, RANDOM, RANDOM_LENGTH);
    let number = |text: &str| is(text, "0123456789", DIGITS);
    match rest.split_once('-') {
        // ReplicaSet, DaemonSet, Job; StatefulSet.
        None => random(rest) || number(rest),
        // Deployment; CronJob, or a Job with indices.
        Some((middle, end)) => random(end) && (is(middle, HASH, HASH_LENGTH) || number(middle)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_controller_adds_is_taken_off() {
        for (workload, pod) in [
            // Deployment, by both of its names; DaemonSet.
            ("checkout", "checkout-7d9f4-x2lpq"),
            ("checkout-7d9f4", "checkout-7d9f4-x2lpq"),
            ("checkout", "checkout-5f6c8b7d9-zz4kp"),
            ("node-exporter", "node-exporter-k8s2x"),
            // StatefulSet.
            ("db", "db-0"),
            ("db", "db-12"),
            // CronJob, its Job; a Job with indices.
            ("backup", "backup-28345670-4wq8n"),
            ("backup-28345670", "backup-28345670-4wq8n"),
            ("render", "render-3-4wq8n"),
        ] {
            assert!(may_own(workload, pod), "{workload} {pod}");
        }
    }

    #[test]
    fn another_name_is_not_that_of_a_workload() {
        for (workload, pod) in [
            ("checkout", "checkout"),
            ("check", "checkout-7d9f4-x2lpq"),
            ("checkout", "checkout-api-x2lpq"),
            ("checkout", "checkout-canary-7d9f4-x2lpq"),
            // Vowels, a letter too many, capital letters.
            ("web", "web-admin"),
            ("web", "web-x2lpqq"),
            ("web", "web-X2LPQ"),
            ("web", "web-"),
            ("", "-x2lpq"),
            ("db", "db-0-1"),
        ] {
            let empty = workload.is_empty();
            assert!(empty || !may_own(workload, pod), "{workload} {pod}");
        }
    }
}
