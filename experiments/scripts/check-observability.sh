#!/usr/bin/env bash
# Asks a real Prometheus every expression of the dashboard, while a node is under load: each must have an answer.
set -euo pipefail

usage() {
    cat <<'HELP'
Usage: check-observability.sh [--server FILE]

Starts a node with a load of its own and start-observability.sh, waits for scrapes, and asks Prometheus every expression
of the Grafana dashboard. Prints each with the number of series in its answer and the greatest value. Exit code 1 where
one has no answer, or no number in it. Needs prometheus and python3; takes half a minute.

Options:
  --server FILE  the program to start [default: target/release/hedgehogdb, built where it is missing]
  -h, --help     print this
HELP
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
server=
while (($#)); do
    case $1 in
        -h | --help) usage; exit ;;
        --server) server=${2:?--server needs a file}; shift ;;
        *) echo "check-observability.sh: unknown argument $1; see --help" >&2; exit 2 ;;
    esac
    shift
done
for tool in prometheus python3; do
    command -v "$tool" >/dev/null || { echo "check-observability.sh: $tool is missing" >&2; exit 2; }
done
if [[ ! $server ]]; then
    cargo build --release --quiet --manifest-path "$root/Cargo.toml" -p server --bin hedgehogdb
    server=${CARGO_TARGET_DIR:-$root/target}/release/hedgehogdb
fi

scratch=$(mktemp -d)
pids=()
finish() {
    local status=$?
    trap - EXIT
    ((${#pids[@]})) && kill "${pids[@]}" 2>/dev/null
    wait
    rm -rf "$scratch"
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM

# Two ports that nobody listens on.
read -r prometheus_port grafana_port < <(python3 -c '
import socket
sockets = [socket.socket() for _ in range(2)]
for s in sockets: s.bind(("127.0.0.1", 0))
print(*(s.getsockname()[1] for s in sockets))')

# The baseline has a lock to wait for. A pool of 1 MiB is too small for the load, so that pages come and go.
"$server" --bind 127.0.0.1:0 --data-dir "$scratch/data" --preset baseline --commit greedy --pool 1MiB \
    >"$scratch/node.out" 2>"$scratch/node.err" &
pids+=($!)
for _ in {1..300}; do
    url=$(sed -n 's/.* serves \([^ ]*\) .*/\1/p' "$scratch/node.out")
    [[ $url ]] && break
    sleep 0.1
done
[[ ${url:-} ]] || { echo "the node does not start:" >&2; cat "$scratch/node.err" >&2; exit 1; }

"$root/experiments/scripts/start-observability.sh" --data "$scratch/observability" \
    --prometheus-port "$prometheus_port" --grafana-port "$grafana_port" "$url" &
pids+=($!)

python3 "$root/experiments/observability/check.py" "$url" "http://127.0.0.1:$prometheus_port" \
    "$root/experiments/observability/dashboards/hedgehogdb-overview.json"
