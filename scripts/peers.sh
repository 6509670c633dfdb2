#!/bin/sh
# Installs the real programs that the tests talk to: Prometheus with promtool, node_exporter, VictoriaMetrics; and
# openssl, which makes their certificates.
# Debian's packages; running it again changes nothing.
set -eu

SERVICES='prometheus prometheus-node-exporter victoria-metrics'
PACKAGES="$SERVICES openssl"
PROGRAMS='prometheus promtool prometheus-node-exporter victoria-metrics openssl'

missing() {
  for program in $PROGRAMS; do
    command -v "$program" >/dev/null 2>&1 || printf '%s ' "$program"
  done
}

report() {
  for program in $PROGRAMS; do printf '%-26s %s\n' "$program" "$(command -v "$program")"; done
}

if [ -z "$(missing)" ]; then
  report
  exit 0
fi

if ! command -v apt-get >/dev/null 2>&1; then
  echo "peers: missing $(missing)- this script knows Debian's packages only." >&2
  echo "peers: put these programs on PATH (any recent release): $PROGRAMS" >&2
  exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
  echo "peers: missing $(missing)- installing packages needs root:" >&2
  echo "peers:   sudo apt-get update && sudo apt-get install --no-install-recommends $PACKAGES" >&2
  exit 1
fi

export DEBIAN_FRONTEND=noninteractive
apt-get update
# shellcheck disable=SC2086 # a list of words
apt-get install --yes --no-install-recommends $PACKAGES

# Debian starts what it installs. The tests start their own, on ports of their own.
if [ -d /run/systemd/system ]; then
  # shellcheck disable=SC2086
  systemctl disable --now $SERVICES 2>/dev/null || true
elif command -v service >/dev/null 2>&1; then
  for service in $SERVICES; do service "$service" stop >/dev/null 2>&1 || true; done
fi

if [ -n "$(missing)" ]; then
  echo "peers: installed, but still not on PATH: $(missing)" >&2
  exit 1
fi
report
