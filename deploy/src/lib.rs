//! Makes what is deployed: the image, alerts and dashboard, plain manifests.

#![forbid(unsafe_code)]

pub mod image;
pub mod manifests;
pub mod monitoring;
pub mod sbom;
