//! /proc and cgroups to a report.
