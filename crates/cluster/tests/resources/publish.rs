//! How a node's report gets into the cluster, and stays there.

use std::time::Duration;

use kube::Api;
use kube::api::{DeleteParams, ListParams, PostParams};
use sexton_cluster::crd::ZombieReport;
use sexton_cluster::publish::{Published, Publisher};
use sexton_cluster::report::{LARGEST, Status};
use sexton_lab::{process::wait_until, require};

use crate::server::{Server, run};

fn status(zombies: u64) -> Status {
    Status {
        agent_version: "0.1.0".to_owned(),
        kernel: "6.18.0".to_owned(),
        zombies,
        ..Status::default()
    }
}

/// A publisher and its clock, which goes to whenever something is due.
struct Node {
    name: &'static str,
    publisher: Publisher,
    now: Duration,
    api: Api<ZombieReport>,
}

impl Node {
    async fn new(server: &Server, name: &'static str) -> Self {
        let client = server.client().await;
        Self {
            name,
            publisher: Publisher::new(client.clone(), name),
            now: Duration::ZERO,
            api: Api::all(client),
        }
    }

    /// Waits until something is due, and does it.
    async fn publish(&mut self) -> Result<Published, sexton_cluster::Error> {
        self.now = self.now.max(self.publisher.due().unwrap());
        self.publisher.publish(self.now).await
    }

    async fn tell(&mut self, zombies: u64) -> Published {
        self.publisher.want(status(zombies), self.now);
        self.publish().await.unwrap()
    }

    async fn stands(&self) -> ZombieReport {
        self.api.get(self.name).await.unwrap()
    }
}

#[test]
fn it_is_made_written_when_it_differs_and_left_alone_else() {
    let Some(server) = require(Server::shared()) else {
        return;
    };
    run(async {
        let mut node = Node::new(server, "made").await;
        node.publisher
            .owned_by("5f4e1ab0-0000-4000-8000-000000000000");
        assert_eq!(node.publisher.due(), None);
        assert_eq!(node.tell(5).await, Published::Written);
        let report = node.stands().await;
        assert_eq!(report.status, Some(status(5)));
        let owner = &report.metadata.owner_references.as_ref().unwrap()[0];
        assert_eq!((owner.kind.as_str(), owner.name.as_str()), ("Node", "made"));
        assert_eq!(
            report.metadata.labels.unwrap()["app.kubernetes.io/name"],
            "sexton"
        );

        // The same is not due before it is compared, in half an hour at the earliest.
        node.publisher.want(status(5), node.now);
        assert!(node.publisher.due().unwrap() >= node.now + Duration::from_secs(1_800));
        assert_eq!(node.publish().await.unwrap(), Published::Stands);
        let version = report.metadata.resource_version;
        assert_eq!(node.stands().await.metadata.resource_version, version);

        // What is no longer there goes away: it is replaced, not merged.
        let mut more = status(5);
        more.worst = Some("shop/web".to_owned());
        node.publisher.want(more.clone(), node.now);
        node.publish().await.unwrap();
        assert_eq!(node.stands().await.status, Some(more));
        node.tell(5).await;
        assert_eq!(node.stands().await.status, Some(status(5)));

        // An agent that starts anew finds what stands and writes nothing.
        let version = node.stands().await.metadata.resource_version;
        let mut next = Node::new(server, "made").await;
        assert_eq!(next.tell(5).await, Published::Stands);
        assert_eq!(next.stands().await.metadata.resource_version, version);
    });
}

#[test]
fn whoever_else_writes_or_deletes_it_is_set_right() {
    let Some(server) = require(Server::shared()) else {
        return;
    };
    run(async {
        let mut node = Node::new(server, "contested").await;
        node.tell(5).await;

        // Written by another in between: the version that is known is not the newest.
        let mut other = node.stands().await;
        other.status = Some(status(99));
        let parameters = PostParams::default();
        node.api
            .replace_status("contested", &parameters, &other)
            .await
            .unwrap();
        assert_eq!(node.tell(10).await, Published::Written);
        assert_eq!(node.stands().await.status, Some(status(10)));

        // Written by another while nothing changes here: set right when it is compared.
        let mut other = node.stands().await;
        other.status = Some(status(99));
        node.api
            .replace_status("contested", &parameters, &other)
            .await
            .unwrap();
        assert_eq!(node.publish().await.unwrap(), Published::Written);
        assert_eq!(node.stands().await.status, Some(status(10)));

        for compared in [false, true] {
            let how = DeleteParams::default();
            node.api.delete("contested", &how).await.unwrap();
            if !compared {
                // Made again with the next change.
                node.publisher.want(status(20), node.now);
            }
            assert_eq!(node.publish().await.unwrap(), Published::Written);
            assert_eq!(node.stands().await.status, Some(status(20)));
        }
    });
}

#[test]
fn through_an_outage_nothing_is_lost_and_the_latest_wins() {
    let Some(server) = require(Server::own()) else {
        return;
    };
    run(async {
        let mut node = Node::new(&server, "out").await;
        node.tell(5).await;
        server.lab.stop("kube-apiserver", 1);
        let mut waits = vec![];
        for zombies in [10, 20, 50] {
            node.publisher.want(status(zombies), node.now);
            let before = node.now;
            node.publish().await.unwrap_err();
            waits.push(node.publisher.due().unwrap() - node.now);
            assert!(node.now > before, "it is not tried again at once");
        }
        assert!(waits[2] > waits[0] / 2, "{waits:?}");

        server.lab.go_on("kube-apiserver", 1);
        wait_until("the server is back", || {
            let ready = server.lab.try_kubectl(&["get", "--raw", "/readyz"]);
            ready.is_ok().then_some(())
        });
        // Authorization may need a moment more than /readyz says.
        while node.publish().await.is_err() {}
        assert_eq!(node.stands().await.status, Some(status(50)));
    });
}

/// As many fields as there can be, so that whoever looks sees what there is to see.
#[test]
fn kubectl_shows_a_cluster_at_a_glance() {
    let Some(server) = require(Server::shared()) else {
        return;
    };
    run(async {
        let mut node = Node::new(server, "ip-10-0-1-17.compute.internal").await;
        let leaking: Status = serde_json::from_str(include_str!("leaking.json")).unwrap();
        node.publisher.want(leaking, node.now);
        node.publish().await.unwrap();
        let shown = server.lab.kubectl(&["get", "zr", node.name]);
        let lines: Vec<&str> = shown.lines().collect();
        assert!(lines.iter().all(|line| line.len() <= 120), "{shown}");
        for (heading, value) in [
            ("READY", "True"),
            ("ZOMBIES", "20000"),
            ("LEAKS", "2"),
            ("PIDS%", "65"),
            ("FULL IN", "1h"),
            ("WORST", "shop/Deployment/crawler"),
        ] {
            assert!(lines[0].contains(heading), "{shown}");
            assert!(lines[1].contains(value), "{shown}");
        }
        let listed = node.api.list(&ListParams::default()).await.unwrap();
        assert!(!listed.items.is_empty());
    });
}

#[test]
fn the_largest_report_is_below_eight_kib_in_all() {
    let Some(server) = require(Server::shared()) else {
        return;
    };
    run(async {
        let name: &str = "node-0123456789-0123456789-0123456789-0123456789.example.internal";
        let mut node = Node::new(server, name).await;
        node.publisher
            .owned_by("5f4e1ab0-0000-4000-8000-000000000000");
        let mut status: Status = serde_json::from_str(include_str!("leaking.json")).unwrap();
        let size = |status: &Status| serde_json::to_vec(status).unwrap().len();
        // As full as `condense` leaves it at most.
        status.kernel = "x".repeat(LARGEST - size(&status) + status.kernel.len());
        assert_eq!(size(&status), LARGEST);
        node.publisher.want(status, node.now);
        node.publish().await.unwrap();
        let path = format!("/apis/sexton.dev/v1alpha1/zombiereports/{name}");
        let whole = server.lab.kubectl(&["get", "--raw", &path]);
        assert!(whole.trim().len() <= 8 * 1024, "{}", whole.len());
    });
}
