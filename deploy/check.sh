#!/usr/bin/env bash
# Whether an installation on this host answers, with systemd or compose: the services and servers, what Prometheus scrapes and
# probes, and the way of alerts to the bridge. It only asks. Exit code 0 when all is well, 1 when something is not.
#
#   deploy/check.sh [SECONDS [WITHOUT]]
#
# SECONDS: asks again for so long (default 120) until all is well. WITHOUT: what is not installed, as an extended regular expression of
# the names below: Grafana, or 'Grafana|ClickHouse cold'.
set -euo pipefail
seconds=${1:-120}
without=${2:-nothing}
host=127.0.0.1

# What is asked, and where. A service that is degraded still answers 200: its /health says why.
answers() {
    grep -vE "^($without) " <<EOF
NATS                http://$host:8222/healthz
ClickHouse hot      http://$host:8123/ping
ClickHouse cold     http://$host:8124/ping
hot-storage         http://$host:8085/health
hot-storage metrics http://$host:9094/metrics
cold-storage        http://$host:8086/health
cold-storage metrics http://$host:9095/metrics
collector           http://$host:8087/health
collector metrics   http://$host:9092/metrics
monitoring          http://$host:8082/ready
monitoring metrics  http://$host:9096/metrics
Prometheus          http://$host:9090/-/ready
Alertmanager        http://$host:9093/-/ready
Grafana             http://$host:3000/api/health
EOF
}

# An expression that must have no series, and what a series means.
conditions() {
    cat <<'EOF'
up == 0	Prometheus cannot scrape
absent(up{job="collector"}) or absent(up{job="hot-storage"}) or absent(up{job="cold-storage"}) or absent(up{job="monitoring"}) or absent(up{job="alertmanager"})	Prometheus has no such target
probe_success{job="blackbox-http-internal"} == 0	the probe fails
absent(probe_success{job="blackbox-http-internal"})	the blackbox exporter probes nothing
prometheus_notifications_alertmanagers_discovered < 1	Prometheus knows no Alertmanager
increase(alertmanager_notifications_failed_total{integration="webhook"}[2m]) > 0	Alertmanager does not reach the bridge, or the bridge not the chat
EOF
}

problems() {
    local name url expression meaning answer
    while read -r line; do
        url=${line##* } name=${line% *}
        curl -fsS -m 5 -o /dev/null "$url" 2>/dev/null || printf '%s: no good answer from %s\n' "${name%"${name##*[! ]}"}" "$url"
    done < <(answers)
    [[ Prometheus =~ ^($without)$ ]] && return
    while IFS=$'\t' read -r expression meaning; do
        answer=$(curl -fsS -m 5 --get --data-urlencode "query=$expression" "http://$host:9090/api/v1/query" 2>/dev/null) ||
            { printf 'not known whether %s: Prometheus does not answer\n' "$meaning"; continue; }
        # One line a series: {"__name__":"up","job":"collector",…}
        { grep -o '"metric":{[^}]*}' <<<"$answer" || true; } | sed "s|^\"metric\":|$meaning: |"
    done < <(conditions)
}

end=$((SECONDS + seconds))
while found=$(problems) && [ -n "$found" ] && [ "$SECONDS" -lt "$end" ]; do sleep 5; done
if [ -n "$found" ]; then
    printf '%s\n' "$found"
    exit 1
fi
answers | while read -r line; do printf 'ok  %s\n' "$line"; done
[[ Prometheus =~ ^($without)$ ]] || printf 'ok  every target is scraped, every probe succeeds, no message of Alertmanager failed\n'
