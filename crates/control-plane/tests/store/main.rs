//! The store on a real Postgres: what it promises when many do the same thing at once, come late, or repeat themselves.

mod audit;
mod audit_tree;
mod certificates;
mod dispatch;
mod flight;
mod jobs;
mod model;
mod observe;
mod scan;
mod schema;
mod sessions;
mod sinks;
mod speed;
mod support;
mod tokens;
