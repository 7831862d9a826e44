//! Clusters to look at, made up of what real ones have: the same every time.

#![allow(dead_code)] // each user needs only some of it

use sexton_core::policy::Mode;
use sexton_core::{LimitKind, audit::Mark};
use sexton_page::cluster::{
    ClusterExit, ClusterLeak, ClusterNode, ClusterView, Outlook, PolicyTally, Trouble, Within,
};

/// Numbers that look like chance, without any.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        // Knuth's MMIX generator.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn of<T: Copy>(&mut self, items: &[T]) -> T {
        items[usize::try_from(self.roll(items.len() as u64)).unwrap_or(0)]
    }
}

const STEPS: [u64; 11] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 5_000];

/// Pod, container, owner, holder, ended, cause.
type Kind = [&'static str; 6];
const KINDS: [Kind; 5] = [
    [
        "shop/crawler-5d9c7b8d6f-",
        "app",
        "Deployment/crawler",
        "python3",
        "chrome",
        "Selenium under Python: the browser's processes come to a PID 1 that does not wait",
    ],
    [
        "shop/checkout-7d9f4c8b5-",
        "checkout",
        "Deployment/checkout",
        "checkout",
        "fetch",
        "A Go program starts commands with cmd.Start() and never calls cmd.Wait()",
    ],
    [
        "ci/runner-",
        "runner",
        "StatefulSet/runner",
        "node",
        "sh",
        "Node is PID 1 and does not wait for orphans",
    ],
    [
        "argocd/argocd-repo-server-84cfb9d7b-",
        "repo-server",
        "Deployment/argocd-repo-server",
        "argocd-repo-ser",
        "git",
        "`git` leaves its helpers to argocd-repo-server, which is PID 1 and does not wait",
    ],
    [
        "data/etl-29384750-",
        "etl",
        "CronJob/etl",
        "java",
        "python3",
        "A JVM is PID 1: it waits for its own children alone",
    ],
];

fn leak(dice: &mut Dice) -> ClusterLeak {
    let [pod, container, owner, holder, command, cause] = dice.of(&KINDS);
    let tail: String = (0..5)
        .map(|_| dice.of(&['b', 'c', 'd', 'f', 'g', 'k', 'x', '2', '4', '7']))
        .collect();
    ClusterLeak {
        place: format!("{pod}{tail}"),
        container: Some(container.to_owned()),
        owner: Some(owner.to_owned()),
        holder: holder.to_owned(),
        pid: u32::try_from(dice.roll(4_000_000) + 1_000).unwrap_or(1),
        zombies: dice.of(&STEPS),
        command: Some(command.to_owned()),
        cause: (dice.roll(6) > 0).then(|| cause.to_owned()),
        forecast: (dice.roll(3) == 0).then(|| Outlook {
            limit: dice.of(&[LimitKind::CgroupPids, LimitKind::PidMax]),
            within: dice.of(&[
                Within::Seconds(600),
                Within::Seconds(3_600),
                Within::Seconds(6 * 3_600),
                Within::Seconds(86_400),
                Within::Seconds(7 * 86_400),
            ]),
        }),
        protected: false,
        policy: Some(dice.of(&["default", "browsers"]).to_owned()),
        step: (dice.roll(2) == 0).then(|| {
            dice.of(&["reap succeeded", "reap dry run", "nudge failed"])
                .to_owned()
        }),
    }
}

fn node(dice: &mut Dice, number: usize) -> ClusterNode {
    let leaking = dice.roll(8) == 0;
    let leaks: Vec<ClusterLeak> = if leaking {
        (0..=dice.roll(2)).map(|_| leak(dice)).collect()
    } else {
        Vec::new()
    };
    let stuck = dice.roll(6) == 0;
    let exit_signals: Vec<ClusterExit> = stuck
        .then(|| ClusterExit {
            place: format!("shop/web-6c9d8b7f5-{number:05}"),
            container: "web".to_owned(),
            owner: Some("Deployment/web".to_owned()),
            process: "sh".to_owned(),
            signal: "SIGTERM".to_owned(),
            verdict: Mark::Killed,
        })
        .into_iter()
        .collect();
    ClusterNode {
        name: format!("ip-10-0-{}-{}", number / 250, number % 250 + 1),
        trouble: None,
        zombies: leaks.iter().map(|leak| leak.zombies).sum(),
        leak_count: leaks.len() as u64,
        pids_used_percent: if leaking {
            dice.of(&[10, 25, 40, 60, 75])
        } else {
            dice.of(&[0, 5, 5, 10])
        },
        forecast: leaks.iter().filter_map(|leak| leak.forecast).min(),
        exit_signal_count: exit_signals.len() as u64,
        leaks,
        exit_signals,
    }
}

/// A cluster of so many nodes, some of them in a bad way.
pub(crate) fn cluster(nodes: usize) -> ClusterView {
    let mut dice = Dice(41);
    let mut all: Vec<ClusterNode> = (0..nodes).map(|n| node(&mut dice, n)).collect();
    if let Some(first) = all.first_mut() {
        let mut leak = leak(&mut dice);
        leak.zombies = 5_000;
        leak.forecast = Some(Outlook {
            within: Within::Reached,
            limit: LimitKind::CgroupPids,
        });
        first.forecast = leak.forecast;
        first.zombies += leak.zombies;
        first.leak_count += 1;
        first.pids_used_percent = 90;
        first.leaks.insert(0, leak);
    }
    if nodes > 2 {
        all[nodes / 2].trouble = Some(Trouble {
            word: "AgentDown",
            why: "sexton-agent-x7k2p is CrashLoopBackOff".to_owned(),
        });
        all[nodes - 1] = ClusterNode {
            name: "ip-10-0-250-9".to_owned(),
            trouble: Some(Trouble {
                word: "NoReport",
                why: "no pod of the agent is on it".to_owned(),
            }),
            ..ClusterNode::default()
        };
    }
    let nodes = nodes as u64;
    ClusterView {
        name: "prod-eu-1".to_owned(),
        read: 1_795_000_000,
        now: 1_795_000_004,
        nodes: all,
        policies: vec![
            PolicyTally {
                name: "browsers".to_owned(),
                mode: Mode::Enforce,
                generation: Some(4),
                following: nodes.saturating_sub(2),
                behind: nodes.min(1),
                refused: vec![(
                    "spec.maxRung: restart is not enabled on this node (--enable restart)"
                        .to_owned(),
                    nodes.saturating_sub(1).min(1),
                )],
                limited: Vec::new(),
            },
            PolicyTally {
                name: "default".to_owned(),
                mode: Mode::DryRun,
                generation: Some(1),
                following: nodes,
                behind: 0,
                refused: Vec::new(),
                limited: Vec::new(),
            },
        ],
        gaps: Vec::new(),
        version: "0.1.0".to_owned(),
        refresh: Some(30),
    }
}

/// A cluster in which nothing is wrong.
pub(crate) fn quiet() -> ClusterView {
    let mut view = cluster(12);
    for node in &mut view.nodes {
        *node = ClusterNode {
            name: node.name.clone(),
            pids_used_percent: 5,
            ..ClusterNode::default()
        };
    }
    for policy in &mut view.policies {
        policy.refused.clear();
        policy.behind = 0;
        policy.following = 12;
    }
    view
}

/// A cluster in which every name tries to be markup, to hide, or to be endless.
pub(crate) fn hostile() -> ClusterView {
    let bad = "<script>alert(1)</script>\"'&\u{202e}\u{1b}[31m".to_owned();
    let long = "n".repeat(253);
    let mut view = cluster(4);
    view.name.clone_from(&bad);
    view.gaps = vec![bad.clone()];
    for node in &mut view.nodes {
        node.name = format!("{bad}{long}");
        node.trouble = Some(Trouble {
            word: "NotReady",
            why: bad.clone(),
        });
        let mut leak = leak(&mut Dice(3));
        leak.place = format!("{bad}/{long}");
        leak.container = Some(bad.clone());
        leak.owner = Some(bad.clone());
        leak.holder.clone_from(&bad);
        leak.command = Some(bad.clone());
        leak.cause = Some(bad.clone());
        leak.policy = Some(bad.clone());
        leak.step = Some(bad.clone());
        node.leaks = vec![leak];
        node.exit_signals = vec![ClusterExit {
            place: format!("{bad}/{long}"),
            container: bad.clone(),
            owner: Some(bad.clone()),
            process: bad.clone(),
            signal: bad.clone(),
            verdict: Mark::Unknown,
        }];
    }
    for policy in &mut view.policies {
        policy.name = format!("{bad}{long}");
        policy.refused = vec![(bad.clone(), 3)];
        policy.limited = vec![(bad.clone(), 1)];
    }
    view
}
