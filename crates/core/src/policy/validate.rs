//! What a policy may not say, beyond what its schema forbids.

use super::{
    API_VERSION, Autoreap, Disruption, Eviction, Glob, KIND, LONGEST_CGROUP, LONGEST_LABEL_KEY,
    LONGEST_LABEL_VALUE, LONGEST_PATTERN, MOST_COUNTED, MOST_ENTRIES, MOST_EXPRESSIONS,
    MOST_WINDOWS, Operator, Policy, PolicySpec, RateLimits, Selector, Span, Threshold, Window,
};
use crate::ladder::Rung;

/// Something that is wrong with a policy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Path of the field, as in `spec.windows[0].to`; an index counts from 0.
    pub field: String,
    /// What is wrong with it, and what to write.
    pub message: String,
}

/// The longest span of time that a policy may name: a week.
pub const LONGEST_SPAN: Span = Span::from_secs(7 * 86_400);
/// The shortest settle time: a tenth of a second is for whoever races a fast leak to the limit.
pub const LEAST_SETTLE: Span = Span::from_millis(100);
/// The shortest of all other spans.
pub const LEAST_SPAN: Span = Span::from_secs(1);

/// What is said of a pattern that a shell would understand and Sexton does not.
pub const NO_CLASS: &str =
    "only `*` and `?` have a meaning in a pattern: for `[…]` write `?`, for `{…}` two patterns";

/// Everything that is wrong with `policy`; empty when it can be followed.
#[must_use]
pub fn validate(policy: &Policy) -> Vec<Problem> {
    let mut check = Check::default();
    let Policy {
        api_version,
        kind,
        metadata,
        spec,
    } = policy;
    if api_version != API_VERSION {
        check.wrong(
            "apiVersion",
            format!("`{api_version}` is not {API_VERSION}"),
        );
    }
    if kind != KIND {
        check.wrong("kind", format!("`{kind}` is not {KIND}"));
    }
    if !is_object_name(&metadata.name) {
        check.wrong(
            "metadata.name",
            format!(
                "`{}` is not a name: up to 253 lower-case letters, digits, `-` and `.`, \
                 beginning and ending with a letter or digit",
                metadata.name
            ),
        );
    }
    check.spec(spec);
    check.problems
}

/// Two policies that cannot stand beside each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clash {
    /// Index of the later one.
    pub policy: usize,
    /// Index of the earlier one.
    pub other: usize,
    /// What is wrong with the later one.
    pub problem: Problem,
}

/// What is wrong with several policies together: names that occur twice, and selectors that say
/// the same, which would be a tie for every leak.
#[must_use]
pub fn validate_all(policies: &[Policy]) -> Vec<Clash> {
    let mut clashes = Vec::new();
    for (policy, this) in policies.iter().enumerate() {
        let earlier = &policies[..policy];
        let clash = |other, field: &str, message| Clash {
            policy,
            other,
            problem: Problem {
                field: field.to_owned(),
                message,
            },
        };
        let name = this.name();
        // The same document twice is told once.
        if let Some(other) = earlier.iter().position(|other| other.name() == name) {
            let message = format!("another policy is called {name} too");
            clashes.push(clash(other, "metadata.name", message));
        } else if let Some(other) = earlier
            .iter()
            .position(|other| other.spec.selector == this.spec.selector)
        {
            let message = format!(
                "it says the same as that of policy {}, so neither would hold",
                policies[other].name()
            );
            clashes.push(clash(other, "spec.selector", message));
        }
    }
    clashes
}

/// RFC 1123 subdomain, as Kubernetes asks of an object's name.
fn is_object_name(name: &str) -> bool {
    let edge = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    name.len() <= 253
        && name.split('.').all(|label| {
            let bytes = label.as_bytes();
            bytes.first().is_some_and(edge)
                && bytes.last().is_some_and(edge)
                && bytes.iter().all(|byte| edge(byte) || *byte == b'-')
        })
}

#[derive(Default)]
struct Check {
    problems: Vec<Problem>,
}

impl Check {
    fn wrong(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.problems.push(Problem {
            field: field.into(),
            message: message.into(),
        });
    }

    fn spec(&mut self, spec: &PolicySpec) {
        let PolicySpec {
            selector,
            mode: _,
            max_rung,
            paused: _,
            require_opt_in,
            settle,
            threshold,
            autoreap,
            rate_limits,
            windows,
            disruption,
        } = spec;
        self.selector(selector);
        let for_host = !selector.host_processes.is_empty();
        if for_host && *max_rung > Rung::Reap {
            self.wrong(
                "spec.maxRung",
                format!("{max_rung} is above reap, the highest rung for processes of the host"),
            );
        }
        if for_host && *require_opt_in {
            self.wrong(
                "spec.requireOptIn",
                "a process of the host has no annotations: it would never be covered",
            );
        }
        if *autoreap == Autoreap::Any && *max_rung < Rung::Autoreap {
            self.wrong(
                "spec.autoreap",
                format!(
                    "maxRung {max_rung} never comes to autoreap; leave it out or raise maxRung"
                ),
            );
        }
        self.span("spec.settle", *settle, LEAST_SETTLE);
        self.threshold("spec.threshold", threshold);
        self.rates("spec.rateLimits", rate_limits);
        self.windows("spec.windows", windows);
        self.disruption("spec.disruption", disruption);
        if !disruption.evict.allow.is_empty() && *max_rung < Rung::Evict {
            self.wrong(
                "spec.disruption.evict.allow",
                format!("maxRung {max_rung} never comes to evict; leave it out or raise maxRung"),
            );
        }
    }

    fn disruption(&mut self, field: &str, disruption: &Disruption) {
        let Disruption {
            threshold,
            escalate_after,
            grace_period,
            rate_limits,
            windows,
            evict: Eviction { allow },
        } = disruption;
        self.threshold(&format!("{field}.threshold"), threshold);
        self.span(
            &format!("{field}.escalateAfter"),
            *escalate_after,
            LEAST_SPAN,
        );
        self.span(&format!("{field}.gracePeriod"), *grace_period, LEAST_SPAN);
        self.rates(&format!("{field}.rateLimits"), rate_limits);
        self.windows(&format!("{field}.windows"), windows);
        for (i, spared) in allow.iter().enumerate() {
            if allow[..i].contains(spared) {
                self.wrong(format!("{field}.evict.allow[{i}]"), "it is there twice");
            }
        }
    }

    fn selector(&mut self, selector: &Selector) {
        let Selector {
            namespaces,
            pod_selector,
            containers,
            commands,
            cgroups,
            host_processes,
        } = selector;
        let lists = [
            ("namespaces", namespaces),
            ("containers", containers),
            ("commands", commands),
            ("cgroups", cgroups),
        ];
        let of_containers = lists.iter().any(|(_, list)| !list.is_empty());
        if !host_processes.is_empty() && (of_containers || !pod_selector.is_empty()) {
            self.wrong(
                "spec.selector.hostProcesses",
                "a policy covers processes of the host or containers, not both: write two",
            );
        }
        for (name, list) in lists {
            let at = format!("spec.selector.{name}");
            let longest = if name == "cgroups" {
                LONGEST_CGROUP
            } else {
                LONGEST_PATTERN
            };
            self.count(&at, list.len(), MOST_ENTRIES);
            for (i, Glob(pattern)) in list.iter().enumerate() {
                let field = format!("{at}[{i}]");
                self.length(&field, pattern, longest);
                if pattern.is_empty() {
                    self.wrong(field, "it is empty and fits nothing");
                } else if pattern.contains(['[', '{']) {
                    self.wrong(field, NO_CLASS);
                }
            }
        }
        for (i, Glob(pattern)) in commands.iter().enumerate() {
            if pattern.contains('/') {
                self.wrong(
                    format!("spec.selector.commands[{i}]"),
                    "a command is named without its directory: this fits nothing",
                );
            }
        }
        for (i, Glob(pattern)) in cgroups.iter().enumerate() {
            if !pattern.is_empty() && !pattern.starts_with(['/', '*', '?']) {
                self.wrong(
                    format!("spec.selector.cgroups[{i}]"),
                    "the path of a cgroup begins with `/`: this fits nothing",
                );
            }
        }
        let at = "spec.selector.hostProcesses";
        self.count(at, host_processes.len(), MOST_ENTRIES);
        for (i, name) in host_processes.iter().enumerate() {
            let field = format!("{at}[{i}]");
            self.length(&field, name, LONGEST_PATTERN);
            if name.is_empty() || name.contains('/') {
                self.wrong(field, "write the program's name without its directory");
            } else if name.contains(['*', '?']) {
                self.wrong(field, "patterns are not allowed here: name each program");
            }
        }
        self.labels(selector);
    }

    fn labels(&mut self, selector: &Selector) {
        let pods = &selector.pod_selector;
        let at = "spec.selector.podSelector.matchLabels";
        self.count(at, pods.match_labels.len(), MOST_ENTRIES);
        for (key, value) in &pods.match_labels {
            self.length(&format!("{at}.{key}"), key, LONGEST_LABEL_KEY);
            self.length(&format!("{at}.{key}"), value, LONGEST_LABEL_VALUE);
        }
        let at = "spec.selector.podSelector.matchExpressions";
        self.count(at, pods.match_expressions.len(), MOST_EXPRESSIONS);
        for (i, requirement) in pods.match_expressions.iter().enumerate() {
            let at = format!("{at}[{i}]");
            let key = &requirement.key;
            let values = &requirement.values;
            self.length(&format!("{at}.key"), key, LONGEST_LABEL_KEY);
            self.count(&format!("{at}.values"), values.len(), MOST_ENTRIES);
            for (j, value) in values.iter().enumerate() {
                self.length(&format!("{at}.values[{j}]"), value, LONGEST_LABEL_VALUE);
            }
            if key.is_empty() {
                self.wrong(format!("{at}.key"), "it is empty");
            }
            match requirement.operator {
                Operator::In | Operator::NotIn if values.is_empty() => {
                    self.wrong(format!("{at}.values"), "In and NotIn need values");
                }
                Operator::Exists | Operator::DoesNotExist if !values.is_empty() => self.wrong(
                    format!("{at}.values"),
                    "Exists and DoesNotExist take no values",
                ),
                _ => {}
            }
            // Two requirements on one label of which one excludes the other.
            let rules_out = |value: &String| match requirement.operator {
                Operator::In => !values.contains(value),
                Operator::NotIn => values.contains(value),
                Operator::Exists => false,
                Operator::DoesNotExist => true,
            };
            let label = pods.match_labels.get(key);
            if label.is_some_and(rules_out) {
                self.wrong(
                    &at,
                    format!("it contradicts matchLabels.{key}: no pod fits both"),
                );
                continue;
            }
            let earlier = pods.match_expressions[..i].iter();
            for other in earlier.filter(|other| other.key == *key) {
                let none_left = match (other.operator, requirement.operator) {
                    (Operator::In, _) => {
                        !other.values.is_empty() && other.values.iter().all(rules_out)
                    }
                    (_, Operator::In) => {
                        !values.is_empty()
                            && values.iter().all(|value| match other.operator {
                                Operator::NotIn => other.values.contains(value),
                                Operator::DoesNotExist => true,
                                Operator::In | Operator::Exists => false,
                            })
                    }
                    (Operator::Exists, Operator::DoesNotExist)
                    | (Operator::DoesNotExist, Operator::Exists) => true,
                    _ => false,
                };
                if none_left {
                    self.wrong(&at, format!("it contradicts `{other}`: no pod fits both"));
                }
            }
        }
    }

    fn threshold(&mut self, field: &str, threshold: &Threshold) {
        let Threshold {
            min_zombies,
            limit_used_percent,
        } = *threshold;
        if min_zombies.is_none() && limit_used_percent.is_none() {
            self.wrong(
                field,
                "it is empty: give minZombies, limitUsedPercent or both",
            );
        }
        if min_zombies == Some(0) {
            self.wrong(format!("{field}.minZombies"), "it must be 1 or more");
        }
        if limit_used_percent.is_some_and(|percent| !(1..=100).contains(&percent)) {
            self.wrong(format!("{field}.limitUsedPercent"), "it must be 1 to 100");
        }
    }

    fn rates(&mut self, field: &str, limits: &RateLimits) {
        let RateLimits {
            per_holder,
            per_container,
            per_node,
        } = limits;
        let rates = [
            ("perHolder", per_holder),
            ("perContainer", per_container),
            ("perNode", per_node),
        ];
        for (name, rate) in rates {
            let Some(rate) = rate else { continue };
            if !(1..=MOST_COUNTED).contains(&rate.count) {
                let field = format!("{field}.{name}.count");
                let advice = match rate.count {
                    0 => "; to stop everything, set paused",
                    _ => "; name a shorter time for the same rate",
                };
                self.wrong(field, format!("it must be 1 to {MOST_COUNTED}{advice}"));
            }
            self.span(&format!("{field}.{name}.per"), rate.per, LEAST_SPAN);
        }
    }

    fn windows(&mut self, field: &str, windows: &[Window]) {
        self.count(field, windows.len(), MOST_WINDOWS);
        for (i, window) in windows.iter().enumerate() {
            self.count(&format!("{field}[{i}].days"), window.days.len(), 7);
            if window.from == window.to {
                self.wrong(
                    format!("{field}[{i}].to"),
                    "it is the same as from; for the whole day write 00:00 to 24:00",
                );
            }
            if window.from.to_string() == "24:00" {
                self.wrong(format!("{field}[{i}].from"), "write 00:00 of the next day");
            }
        }
    }

    fn count(&mut self, field: &str, count: usize, most: usize) {
        if count > most {
            self.wrong(field, format!("{count} entries; {most} are the most"));
        }
    }

    fn length(&mut self, field: &str, text: &str, longest: usize) {
        if text.chars().count() > longest {
            self.wrong(field, format!("it is longer than {longest} characters"));
        }
    }

    fn span(&mut self, field: &str, span: Span, least: Span) {
        if span < least || span > LONGEST_SPAN {
            self.wrong(
                field,
                format!("{span} is not within {least} and {LONGEST_SPAN}"),
            );
        }
    }
}
