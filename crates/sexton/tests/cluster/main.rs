//! Sexton in a real cluster of two nodes: kube-apiserver, controllers, scheduler, kubelets and
//! containerd of `lab/cluster`, the agent installed by the chart, programs that leak in pods.
//!
//! One cluster for all; each test has a namespace of its own and policies that cover nothing
//! else. What disturbs the others (an installation, an API server that is gone) takes its turn
//! alone.
//!
//! The image is made of the program under test and the libraries that it is linked with.
//! `SEXTON_TEST_IMAGE=FILE.tar` takes one that `make image` made.

// A test reads files that it made, and those of processes that it started.
#![allow(clippy::disallowed_methods)]
#![allow(clippy::unwrap_used)]

mod churn;
mod healing;
mod image;
mod install;
mod outage;
mod pod;
mod policies;
mod rights;
mod rungs;
mod sexton;
