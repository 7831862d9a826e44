//! What is printed, in each format.

use serde_json::json;

use crate::world::world;

#[test]
fn nodes() {
    let Some(world) = world() else { return };
    assert_eq!(
        world.run(&["nodes"]).fine(),
        "\
NAME   STATUS      ZOMBIES   LEAKS    PIDS     FULL IN   LIMIT
n1     Ready       5,200     2        35%      1h        pids.max
n3     AgentDown   0         0        10%      <none>    <none>
n4     NoReport    <none>    <none>   <none>   <none>    <none>
n2     Ready       0         0        5%       <none>    <none>
"
    );
    let wide = world
        .run(&["nodes", "n3", "-o", "wide", "--no-headers"])
        .fine();
    assert!(
        wide.contains("sexton-agent-n3 is CrashLoopBackOff"),
        "{wide}"
    );
    let pool = world.run(&["nodes", "-l", "pool=a", "-o", "name"]).fine();
    assert_eq!(pool, "node/n1\n");
    let list = world.run(&["nodes", "-o", "json"]).json();
    assert_eq!(list["kind"], "NodeStatusList");
    assert_eq!(list["items"][0]["report"]["zombies"], 5200);
    assert_eq!(list["items"][2]["state"], "NoReport");
    let missing = world.run(&["nodes", "n9"]);
    assert_eq!(
        (missing.status, missing.stderr.trim()),
        (1, "error: there is no node n9")
    );
}

#[test]
fn leaks() {
    let Some(world) = world() else { return };
    assert_eq!(
        world.run(&["leaks", "-A"]).fine(),
        "\
NAMESPACE   POD         ZOMBIES   FULL IN   CAUSE             NODE
shop        crawler-0   5,000     1h        selenium-python   n1
<none>      <none>      200       <none>    <none>            n1
"
    );
    assert_eq!(
        world.run(&["leaks", "-n", "shop"]).fine(),
        "POD         ZOMBIES   FULL IN   CAUSE             NODE\n\
         crawler-0   5,000     1h        selenium-python   n1\n"
    );
    let labelled = world
        .run(&["leaks", "-A", "-l", "app=crawler", "-o", "name"])
        .fine();
    assert_eq!(labelled, "pod/shop/crawler-0\n");
    let none = world.run(&["leaks", "-A", "-l", "app=web"]);
    assert_eq!(none.stderr, "No leaks found. There are 2 of other pods.\n");
    let here = world.run(&["leaks"]);
    assert_eq!((here.status, here.stdout.as_str()), (0, ""));
    assert_eq!(
        here.stderr,
        "No leaks found in default namespace. There are 2 elsewhere: -A shows them all.\n"
    );
    let wide = world.run(&["leaks", "-n", "shop", "-o", "wide"]).fine();
    for cell in [
        "python3",
        "4711",
        "chrome",
        "StatefulSet/crawler",
        "browsers",
        "reap dry run",
    ] {
        assert!(wide.contains(cell), "{cell}: {wide}");
    }
    let list = world.run(&["leaks", "-o", "json"]).json();
    assert_eq!(
        list,
        json!({"apiVersion": "sexton.dev/v1alpha1", "kind": "LeakList", "items": []})
    );
}

#[test]
fn yaml_says_the_same_as_json() {
    let Some(world) = world() else { return };
    for command in [
        &["status"][..],
        &["nodes"],
        &["leaks", "-A"],
        &["audit", "-A"],
        &["policy"],
        &["explain", "shop/crawler-0"],
    ] {
        let json = world.run(&[command, &["-o", "json"]].concat()).json();
        let yaml = world.run(&[command, &["-o", "yaml"]].concat()).fine();
        let yaml: serde_json::Value = serde_saphyr::from_str(&yaml).unwrap();
        assert_eq!(json, yaml, "{command:?}");
    }
}

#[test]
fn status() {
    let Some(world) = world() else { return };
    assert_eq!(
        world.run(&["status"]).fine(),
        "\
Cluster:       lab
Nodes:         4 nodes, 2 with a ready agent
Zombies:       5,200 or more, of 2 holders on 1 node
Forecasts:     1 leak on the way to a limit
Exit signals:  1 container will not end on its stop signal
Policies:      2, refused by 1 node: kubectl sexton policy

Worst leaks:
  NAMESPACE   POD         ZOMBIES   FULL IN   CAUSE             NODE
  shop        crawler-0   5,000     1h        selenium-python   n1
  <none>      <none>      200       <none>    <none>            n1

Agents that do not do their work:
  NODE   STATUS      MESSAGE
  n3     AgentDown   sexton-agent-n3 is CrashLoopBackOff
  n4     NoReport    no pod of the agent is on it
"
    );
    let glance = world.run(&["status", "-o", "json"]).json();
    assert_eq!(glance["kind"], "ClusterStatus");
    assert_eq!((&glance["nodes"], &glance["ready"]), (&json!(4), &json!(2)));
}

#[test]
fn audit() {
    let Some(world) = world() else { return };
    assert_eq!(
        world.run(&["audit", "-A"]).fine(),
        "NAMESPACE   WORKLOAD         CONTAINER   SIGNAL    VERDICT   NODE\n\
         shop        Deployment/web   app         SIGTERM   Killed    n2\n"
    );
    let name = world.run(&["audit", "-n", "shop", "-o", "name"]).fine();
    assert_eq!(name, "pod/web-1\n");
}

#[test]
fn explain_without_an_agent_tells_what_the_report_says() {
    let Some(world) = world() else { return };
    let told = world.run(&["explain", "crawler-0", "-n", "shop"]);
    assert!(
        told.stderr
            .contains("What follows is from the report of node n1."),
        "{told:?}"
    );
    let text = told.fine();
    for words in [
        "5,000 zombies or more of python3 (pid 4711), shop/crawler-0 app",
        "pids.max is reached within 1h",
        "reap dry run",
        "Selenium under Python",
        "`kubectl sexton reap shop/crawler-0 --yes` takes those that are there",
        "driver.quit()",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let longest = text.lines().map(|line| line.chars().count()).max();
    assert!(longest <= Some(100), "{longest:?}");
    let none = world.run(&["explain", "shop/web-1"]);
    assert_eq!(none.status, 1);
    assert_eq!(none.stdout, "Pod shop/web-1 holds no zombies.\n");
}
