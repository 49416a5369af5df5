//! Nodes of one group in one process: their disks lose what was not synced, and their connections can be cut.
#![allow(unreachable_pub, reason = "a module of tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use cluster::command::{Command, Outcome};
use cluster::consensus::{self, Config, Raft, SnapshotOf, Times, Types, VoteOf};
use cluster::log::{GroupId, NodeLog};
use cluster::state_machine::{Replica, SnapshotFile, StateMachine};
use openraft::async_runtime::WatchReceiver;
use openraft::error::{RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{RPCOption, v2::RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
};
use openraft::{BasicNode, RaftNetworkFactory, ReadPolicy};
use parking_lot::{Mutex, RwLock};
use tokio::time::{sleep, timeout};
use tree::{Database, Maintenance, Options};
use wal::FaultyStorage;

const GROUP: GroupId = GroupId(0);
/// After that, the outcome of a write is unknown.
const PATIENCE: Duration = Duration::from_secs(1);

type NodeRaft = Raft<Types, StateMachine>;

/// A small generator of repeatable random numbers (splitmix64; Steele, Lea and Flood 2014).
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// What a client gets.
pub enum Answer {
    Done(Outcome),
    /// It was not written, and will not be.
    Refused,
    Unknown,
}

struct Running {
    raft: NodeRaft,
    replica: Replica,
    database: Arc<Database>,
    log: NodeLog,
}

struct Disks {
    log: FaultyStorage,
    tree: FaultyStorage,
}

pub struct Nodes {
    net: Arc<Net>,
    disks: Mutex<BTreeMap<u64, Disks>>,
    running: RwLock<BTreeMap<u64, Running>>,
}

/// Who can be reached by whom.
#[derive(Default)]
struct Net {
    rafts: RwLock<BTreeMap<u64, NodeRaft>>,
    /// From and to.
    cut: RwLock<BTreeSet<(u64, u64)>>,
}

impl Net {
    fn reach(&self, from: u64, to: u64) -> Result<NodeRaft, Unreachable<Types>> {
        let is_cut = self.cut.read().contains(&(from, to));
        let raft = self.rafts.read().get(&to).filter(|_| !is_cut).cloned();
        raft.ok_or_else(|| Unreachable::from_string(format!("{from} does not reach {to}")))
    }

    /// What comes back, if it does.
    fn back<T>(&self, from: u64, to: u64, answer: Result<T, impl ToString>) -> Result<T, Unreachable<Types>> {
        if self.cut.read().contains(&(to, from)) {
            return Err(Unreachable::from_string("the answer is lost"));
        }
        answer.map_err(Unreachable::from_string)
    }
}

struct Links {
    net: Arc<Net>,
    from: u64,
}

struct Link {
    net: Arc<Net>,
    from: u64,
    to: u64,
}

impl RaftNetworkFactory<Types> for Links {
    type Network = Link;

    async fn new_client(&mut self, to: u64, _node: &BasicNode) -> Link {
        Link { net: self.net.clone(), from: self.from, to }
    }
}

impl RaftNetworkV2<Types> for Link {
    type SnapshotData = SnapshotFile;

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<Types>,
        _option: RPCOption,
    ) -> Result<AppendEntriesResponse<Types>, RPCError<Types>> {
        let answer = self.net.reach(self.from, self.to)?.append_entries(request).await;
        Ok(self.net.back(self.from, self.to, answer)?)
    }

    async fn vote(
        &mut self,
        request: VoteRequest<Types>,
        _option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        let answer = self.net.reach(self.from, self.to)?.vote(request).await;
        Ok(self.net.back(self.from, self.to, answer)?)
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<Types>,
        _option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        let answer = self.net.reach(self.from, self.to)?.pre_vote(request).await;
        Ok(self.net.back(self.from, self.to, answer)?)
    }

    async fn full_snapshot(
        &mut self,
        vote: VoteOf<Types>,
        snapshot: SnapshotOf<Types, SnapshotFile>,
        _cancel: impl Future<Output = ReplicationClosed> + Send + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        let target = self.net.reach(self.from, self.to)?;
        let copy = SnapshotFile::create().unwrap();
        std::io::copy(&mut snapshot.snapshot.rewind().unwrap(), &mut copy.rewind().unwrap()).unwrap();
        let answer =
            target.install_full_snapshot(vote, SnapshotOf::<Types, _> { snapshot: copy, ..snapshot }).await;
        Ok(self.net.back(self.from, self.to, answer)?)
    }
}

fn config() -> Arc<Config> {
    let config = consensus::config(Times { heartbeat: 40, election: (200, 400), snapshot: 10_000 }).unwrap();
    Arc::new(Config { max_in_snapshot_log_to_keep: 0, ..config })
}

impl Nodes {
    pub async fn start(count: u64, seed: u64) -> Self {
        let disks = (1..=count).map(|id| {
            let disk = |salt| FaultyStorage::new(seed.wrapping_mul(31).wrapping_add(2 * id + salt));
            (id, Disks { log: disk(0), tree: disk(1) })
        });
        let nodes =
            Self { net: Arc::default(), disks: Mutex::new(disks.collect()), running: RwLock::default() };
        for id in 1..=count {
            nodes.start_again(id).await;
        }
        let members: BTreeMap<u64, BasicNode> = (1..=count).map(|id| (id, BasicNode::default())).collect();
        let first = nodes.net.rafts.read()[&1].clone();
        first.initialize(members).await.unwrap();
        nodes.wait_for_leader().await;
        nodes
    }

    pub async fn start_again(&self, id: u64) {
        let (log, tree) = {
            let disks = self.disks.lock();
            (Arc::new(disks[&id].log.clone()), Arc::new(disks[&id].tree.clone()))
        };
        let options = wal::Options { segment_bytes: 64 << 10, max_bytes: 8 << 20, ..wal::Options::default() };
        let log = NodeLog::open(log, options).unwrap();
        let options = Options {
            partitions: 1,
            pool_bytes: 1 << 20,
            log_segment_bytes: 256 << 10,
            log_max_bytes: 2 << 20,
            maintenance: Maintenance::Background,
            ..Options::default()
        };
        let database = Arc::new(Database::open_on(tree, options).unwrap());
        let state_machine = StateMachine::open(database.clone(), GROUP).unwrap();
        let replica = state_machine.replica();
        let links = Links { net: self.net.clone(), from: id };
        let raft = NodeRaft::new(id, config(), links, log.group(GROUP), state_machine).await.unwrap();
        self.net.rafts.write().insert(id, raft.clone());
        self.running.write().insert(id, Running { raft, replica, database, log });
    }

    /// The power of a node fails: what it has not synced is lost.
    pub async fn stop(&self, id: u64) {
        self.net.rafts.write().remove(&id);
        let Some(Running { raft, replica, database, log }) = self.running.write().remove(&id) else { return };
        // From here on nothing is written, and so nothing is acknowledged that is not on the disks as they are now.
        {
            let mut disks = self.disks.lock();
            disks[&id].log.crash_after(0);
            disks[&id].tree.crash_after(0);
            let crashed = Disks { log: disks[&id].log.crash(), tree: disks[&id].tree.crash() };
            disks.insert(id, crashed);
        }
        // It may have ended by the failure of its disk.
        let _ = raft.shutdown().await;
        drop((raft, replica, database, log));
    }

    /// Cuts, heals, or crashes and restarts something.
    pub async fn fault(&self, random: &mut Random) {
        let ids: Vec<u64> = self.disks.lock().keys().copied().collect();
        let id = ids[random.below(ids.len() as u64) as usize];
        match random.below(5) {
            0 => {
                let others = ids.iter().filter(|other| **other != id);
                let both = others.flat_map(|&other| [(id, other), (other, id)]);
                self.net.cut.write().extend(both);
            }
            1 => {
                let others = ids.iter().filter(|other| **other != id);
                self.net.cut.write().extend(others.map(|&other| (id, other)));
            }
            2 => self.heal(),
            // All at once: what a majority has acknowledged is nowhere but on the disks.
            3 => {
                for &id in &ids {
                    self.stop(id).await;
                }
                for &id in &ids {
                    self.start_again(id).await;
                }
            }
            _ => {
                self.stop(id).await;
                sleep(Duration::from_millis(random.below(150))).await;
                self.start_again(id).await;
            }
        }
    }

    pub fn heal(&self) {
        self.net.cut.write().clear();
    }

    fn any(&self, random: &mut Random) -> Option<(u64, NodeRaft, Replica)> {
        let running = self.running.read();
        let at = random.below(running.len().max(1) as u64) as usize;
        running.iter().nth(at).map(|(&id, node)| (id, node.raft.clone(), node.replica.clone()))
    }

    /// The leader, as the nodes see it; a node that believes itself to be it is asked first.
    fn leader(&self, random: &mut Random) -> Option<(NodeRaft, Replica)> {
        let (_, raft, replica) = self.any(random)?;
        let believed = raft.metrics().borrow_watched().current_leader;
        let running = self.running.read();
        let leader = believed.and_then(|id| running.get(&id));
        Some(leader.map_or((raft, replica), |node| (node.raft.clone(), node.replica.clone())))
    }

    /// Asks the leader. What it answers with an error may still be done: a leader that steps down says so to all whose
    /// entries it has sent out.
    pub async fn write(&self, random: &mut Random, command: Command) -> Answer {
        let leader = self.leader(random).filter(|(raft, _)| {
            let metrics = raft.metrics();
            let metrics = metrics.borrow_watched();
            metrics.current_leader == Some(metrics.id)
        });
        let Some((raft, _)) = leader else {
            sleep(Duration::from_millis(5)).await;
            return Answer::Refused;
        };
        match timeout(PATIENCE, raft.client_write(command)).await {
            Ok(Ok(response)) => Answer::Done(response.data),
            _ => Answer::Unknown,
        }
    }

    /// Writes until it is done: for writes that may be done twice.
    pub async fn write_for_good(&self, random: &mut Random, command: Command) {
        while !matches!(self.write(random, command.clone()).await, Answer::Done(_)) {}
    }

    /// The value of a key; none where no leader could be confirmed.
    pub async fn read(&self, random: &mut Random, key: &[u8], confirmed: bool) -> Option<Option<Vec<u8>>> {
        if !confirmed {
            return self.any(random)?.2.get(key).ok();
        }
        let (raft, replica) = self.leader(random)?;
        match timeout(PATIENCE, raft.ensure_linearizable(ReadPolicy::ReadIndex)).await {
            Ok(Ok(_)) => replica.get(key).ok(),
            _ => {
                sleep(Duration::from_millis(5)).await;
                None
            }
        }
    }

    pub async fn wait_for_leader(&self) {
        let mut random = Random(0);
        for _ in 0..3_000 {
            if self.read(&mut random, b"any", true).await.is_some() {
                return;
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("there is no leader after half a minute");
    }

    pub async fn follower(&self) -> u64 {
        self.wait_for_leader().await;
        let running = self.running.read();
        let leader = running.values().find_map(|node| node.raft.metrics().borrow_watched().current_leader);
        running.keys().copied().find(|id| Some(*id) != leader).unwrap()
    }

    /// Has every node take a snapshot and give up the entries before it, in memory and on disk.
    pub async fn purge(&self) {
        let rafts: Vec<_> = self.running.read().values().map(|node| node.raft.clone()).collect();
        for raft in rafts {
            raft.trigger().snapshot().await.unwrap();
            let has_purged = |metrics: &openraft::RaftMetrics<Types>| metrics.purged.is_some();
            raft.wait(Some(PATIENCE * 30)).metrics(has_purged, "purged").await.unwrap();
        }
        self.running.read().values().for_each(|node| node.log.checkpoint().unwrap());
    }

    /// Waits until all replicas have applied the same, and compares them.
    pub async fn agree(&self) {
        let ids: Vec<_> = self.running.read().keys().copied().collect();
        for _ in 0..3_000 {
            let applied: BTreeSet<_> = self
                .running
                .read()
                .values()
                .map(|node| node.raft.metrics().borrow_watched().last_applied)
                .collect();
            // Writes that nobody waits for any more may still be on their way.
            if applied.len() == 1 {
                let first = self.items(ids[0]);
                if ids.iter().all(|&id| self.items(id) == first) {
                    return;
                }
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("the replicas do not agree after half a minute");
    }

    pub fn items(&self, id: u64) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let replica = self.running.read()[&id].replica.clone();
        replica.scan().map(Result::unwrap).collect()
    }
}
