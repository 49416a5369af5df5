//! Replication of trees by Raft (Ongaro and Ousterhout 2014), on an existing consensus engine.
//!
//! A *group* is a tree that several nodes hold the same copy of. A node has replicas of many groups, and one log on
//! disk for all of them ([`log`]): a write is durable on a node by one flush, which the writes of all groups share. What
//! the majority has in its logs is applied to the trees ([`state_machine`]), whose own log needs no flush on that way: a
//! replica's tree says which entry it has applied last, in the same batch as the entry's writes, and what a crash takes
//! from it is applied again from the Raft log.
//!
//! [`consensus`] is the only module that names the engine's library.

#![forbid(unsafe_code)]

pub mod command;
pub mod consensus;
pub mod log;
pub mod state_machine;
