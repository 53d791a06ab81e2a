//! The parsers that the fuzz targets are aimed at: the library's own files, taken in by their paths,
//! since none of this is public.

#![allow(dead_code, missing_docs)]

pub mod auth;
#[path = "../../../src/proto/mod.rs"]
pub mod proto;
