// The last five minutes, reduced to what the charts draw: snapshots carry every tree and would fill memory.

/** How far back the charts reach, in milliseconds. */
export const SPAN_MS = 300_000;

/** Milliseconds that threads waited in the last second: at tree locks, and at page latches. */
export function waiting(snapshot) {
  let lock = 0;
  let latch = 0;
  for (const table of snapshot.tables) {
    for (const partition of table.partitions) {
      lock += partition.lock_wait_ms;
      for (const level of partition.levels) latch += level.latch_wait_ms;
    }
  }
  return { lock, latch };
}

const total = (tables, rate) => tables.reduce(
  (sum, table) => sum + table.partitions.reduce((inner, partition) => inner + partition[rate], 0), 0);

function reduce(snapshot) {
  const operations = Object.values(snapshot.operations);
  return {
    time: snapshot.time_ms,
    operations: snapshot.operations,
    rate: operations.reduce((sum, operation) => sum + operation.rate, 0),
    errors: operations.reduce((sum, operation) => sum + operation.error_rate, 0),
    log: snapshot.log,
    pool: snapshot.pool,
    inFlight: snapshot.in_flight,
    connections: snapshot.connections,
    shed: snapshot.shed_rate,
    splits: total(snapshot.tables, "split_rate"),
    merges: total(snapshot.tables, "merge_rate"),
    waiting: waiting(snapshot),
  };
}

/** Samples in order of time, none older than `SPAN_MS`. */
export class History {
  samples = [];

  /** Adds a snapshot. A clock that was set back begins a new history: its axis could not show both. */
  add(snapshot) {
    const last = this.samples.at(-1);
    if (last && snapshot.time_ms === last.time) return;
    if (last && snapshot.time_ms < last.time) this.samples = [];
    this.samples.push(reduce(snapshot));
    const oldest = snapshot.time_ms - SPAN_MS;
    while (this.samples[0].time < oldest) this.samples.shift();
  }
}
