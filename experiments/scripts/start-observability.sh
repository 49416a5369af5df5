#!/usr/bin/env bash
# Starts Prometheus, which scrapes the nodes, and Grafana with the dashboard, where they are installed.
# Ctrl-C stops both.
set -euo pipefail

usage() {
    cat <<'HELP'
Usage: start-observability.sh [OPTIONS] [NODE...]

Starts Prometheus on http://127.0.0.1:9090, scraping the nodes, and Grafana on http://127.0.0.1:3001 with the
dashboard http://127.0.0.1:3001/d/hedgehogdb-overview, each where it is installed. Ctrl-C stops both.

NODE is a port of this machine (8081), host:port, or a URL (https://10.0.0.7:8080).
Default: 8080 8081 8082 8083. A node that is not up is scraped as soon as it is.

Options:
  --token-file FILE      the bearer token that the nodes ask for, at least of the role read
  --ca-file FILE         the certificate (PEM) that vouches for nodes with https
  --data DIR             where Prometheus and Grafana keep their data
                         [default: hedgehogdb-observability in $TMPDIR or /tmp]
  --retention TIME       how long Prometheus keeps figures [default: 7d]
  --prometheus-port PORT [default: 9090]
  --grafana-port PORT    [default: 3001]
  -h, --help             print this
HELP
}

fail() {
    echo "start-observability.sh: $*" >&2
    exit 2
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../observability" && pwd)
data=${TMPDIR:-/tmp}/hedgehogdb-observability
retention=7d
prometheus_port=9090
grafana_port=3001
token_file=
ca_file=
nodes=()

while (($#)); do
    case $1 in
        -h | --help) usage; exit ;;
        --token-file | --ca-file | --data | --retention | --prometheus-port | --grafana-port)
            (($# > 1)) || fail "$1 needs a value; see --help"
            name=${1#--}
            printf -v "${name//-/_}" %s "$2"
            shift ;;
        -*) fail "unknown option $1; see --help" ;;
        *) nodes+=("$1") ;;
    esac
    shift
done
((${#nodes[@]})) || nodes=(8080 8081 8082 8083)

# One entry of Prometheus' list of targets, in JSON: its scheme and address.
target() {
    local scheme=http address=$1
    case $1 in
        https://*) scheme=https ;;
        http://* | [0-9]* | *:*) ;;
        *) fail "node \"$1\" is no port, host:port or URL" ;;
    esac
    address=${address#http*://}
    address=${address%/}
    [[ $address =~ ^[0-9]+$ ]] && address=127.0.0.1:$address
    [[ $address =~ ^[][A-Za-z0-9._:-]+:[0-9]+$ ]] || fail "node \"$1\" is no port, host:port or URL"
    printf '{"targets":["%s"],"labels":{"__scheme__":"%s"}}' "$address" "$scheme"
}

configure_prometheus() {
    local entries=() node entry
    for node in "${nodes[@]}"; do
        entry=$(target "$node") || exit
        entries+=("$entry")
    done
    (IFS=,; printf '[%s]\n' "${entries[*]}") >"$data/nodes.json"
    cp "$here/prometheus.yml" "$data/prometheus.yml"
    if [[ $token_file ]]; then
        [[ -r $token_file ]] || fail "the token's file $token_file cannot be read"
        printf '    authorization:\n      credentials_file: "%s"\n' "$(realpath "$token_file")" >>"$data/prometheus.yml"
    fi
    if [[ $ca_file ]]; then
        [[ -r $ca_file ]] || fail "the certificate's file $ca_file cannot be read"
        printf '    tls_config:\n      ca_file: "%s"\n' "$(realpath "$ca_file")" >>"$data/prometheus.yml"
    fi
}

pids=()
stop() {
    trap - EXIT INT TERM
    ((${#pids[@]})) && kill "${pids[@]}" 2>/dev/null
    wait
    exit "${1:-0}"
}

start_prometheus() {
    local program
    if ! program=$(command -v prometheus); then
        echo "Prometheus is not installed. Debian and Ubuntu: apt-get install prometheus;" \
            "others: https://prometheus.io/download/" >&2
        return 1
    fi
    mkdir -p "$data/prometheus"
    configure_prometheus
    "$program" --config.file="$data/prometheus.yml" --storage.tsdb.path="$data/prometheus" \
        --storage.tsdb.retention.time="$retention" --web.listen-address="127.0.0.1:$prometheus_port" \
        --log.level=warn &
    pids+=($!)
    echo "Prometheus: http://127.0.0.1:$prometheus_port, scraping ${nodes[*]}; its data: $data"
}

# Grafana's folder with its own pages, which it does not find by itself.
grafana_home() {
    local folder
    for folder in "${GRAFANA_HOME:-}" /usr/share/grafana /opt/homebrew/share/grafana "$(dirname "$(realpath "$1")")/.."; do
        [[ -d $folder/public ]] && echo "$folder" && return
    done
    return 1
}

start_grafana() {
    local program home
    local -a command
    if program=$(command -v grafana); then
        command=("$program" server)
    elif program=$(command -v grafana-server); then
        command=("$program")
    else
        echo "Grafana is not installed; Prometheus answers without it. To get it:" \
            "https://grafana.com/docs/grafana/latest/setup-grafana/installation/ (it is in no Debian release)"
        return
    fi
    home=$(grafana_home "$program") || fail "Grafana's folder is not found: set GRAFANA_HOME to it"
    mkdir -p "$data/grafana"
    PROMETHEUS_URL="http://127.0.0.1:$prometheus_port" DASHBOARDS="$here/dashboards" \
        GF_PATHS_PROVISIONING="$here/provisioning" GF_PATHS_DATA="$data/grafana" GF_PATHS_LOGS="$data/grafana" \
        GF_SERVER_HTTP_ADDR=127.0.0.1 GF_SERVER_HTTP_PORT="$grafana_port" GF_LOG_LEVEL=warn \
        GF_AUTH_ANONYMOUS_ENABLED=true GF_AUTH_ANONYMOUS_ORG_ROLE=Viewer \
        GF_ANALYTICS_REPORTING_ENABLED=false GF_ANALYTICS_CHECK_FOR_UPDATES=false \
        "${command[@]}" --homepath "$home" &
    pids+=($!)
    echo "Grafana:    http://127.0.0.1:$grafana_port/d/hedgehogdb-overview"
}

mkdir -p "$data"
data=$(cd "$data" && pwd)
trap 'stop $?' EXIT
trap 'stop 0' INT TERM
start_prometheus || stop 1
start_grafana
echo "Ctrl-C stops."
# Whichever ends first by itself (its port is taken, say) ends the other.
status=0
wait -n || status=$?
echo "start-observability.sh: one of them ended with exit code $status; see above" >&2
stop 1
