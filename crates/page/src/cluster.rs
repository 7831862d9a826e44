//! The page of a cluster.

mod view;

pub use view::{
    ClusterExit, ClusterLeak, ClusterNode, ClusterView, Outlook, PolicyTally, Trouble, Within,
};
