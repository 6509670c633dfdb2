#!/bin/sh
# Installs the object stores that the tests talk to, for this user only: OpenStack Swift with its S3 API (Debian's packages,
# unpacked, not installed), fake-gcs-server (built by Go), and Azurite (npm). Running it again changes nothing.
# They lie in $VARVE_OBJECTSTORES, by default ~/.cache/varve-objectstores; Azurite in test/emulators. Tests start them
# themselves, on ports of their own.
set -eu
cd "$(dirname "$0")/.."

CACHE=${VARVE_OBJECTSTORES:-${XDG_CACHE_HOME:-$HOME/.cache}/varve-objectstores}
FAKE_GCS_SERVER=v1.56.1
# Swift, and all that it needs beyond a minimal system; of Debian 12.
SWIFT_PACKAGES="swift swift-account swift-container swift-object swift-proxy python3-swift memcached
  python3.11 libpython3.11-stdlib python3.11-minimal libpython3.11-minimal
  liberasurecode1 libxslt1.1 libxml2 libevent-2.1-7 libsasl2-2
  python3-certifi python3-cffi python3-cffi-backend python3-chardet python3-charset-normalizer python3-cryptography
  python3-dateutil python3-debtcollector python3-dnspython python3-docutils python3-eventlet python3-greenlet python3-idna
  python3-importlib-metadata python3-iso8601 python3-lxml python3-more-itertools python3-msgpack python3-netaddr
  python3-netifaces python3-oslo.config python3-oslo.context python3-oslo.i18n python3-oslo.log
  python3-oslo.serialization python3-oslo.utils python3-packaging python3-paste python3-pastedeploy
  python3-pastedeploy-tpl python3-pastescript python3-pbr python3-pkg-resources python3-ply python3-pycparser
  python3-pyeclib python3-pyinotify python3-pyparsing python3-requests python3-rfc3986 python3-roman
  python3-setuptools python3-six python3-stevedore python3-tempita python3-tz python3-urllib3 python3-wrapt
  python3-xattr python3-yaml python3-zipp"

fail() {
  echo "objectstores: $1" >&2
  exit 1
}

install_swift() {
  [ -e "$CACHE/swift/complete" ] && return
  command -v apt-get >/dev/null 2>&1 || fail 'Swift comes from packages of Debian 12, and there is no apt-get'
  rm -rf "$CACHE/swift" "$CACHE/packages"
  mkdir -p "$CACHE/swift" "$CACHE/packages"
  # shellcheck disable=SC2086 # a list of words
  (cd "$CACHE/packages" && { apt-get -qq download $SWIFT_PACKAGES || { apt-get -qq update && apt-get -qq download $SWIFT_PACKAGES; }; }) >&2
  for package in "$CACHE"/packages/*.deb; do dpkg -x "$package" "$CACHE/swift"; done
  rm -rf "$CACHE/packages"
  touch "$CACHE/swift/complete"
}

install_fake_gcs_server() {
  [ -x "$CACHE/bin/fake-gcs-server" ] && return
  command -v go >/dev/null 2>&1 || fail 'fake-gcs-server is built by Go, which is not on PATH'
  GOBIN="$CACHE/bin" GOFLAGS='' go install "github.com/fsouza/fake-gcs-server@$FAKE_GCS_SERVER"
}

install_azurite() {
  [ test/emulators/node_modules/.package-lock.json -nt test/emulators/package-lock.json ] && return
  npm ci --prefix test/emulators --ignore-scripts --no-audit --no-fund --loglevel=error
}

# One waits for the network most of the time, one builds.
install_swift &
swift=$!
install_azurite &
azurite=$!
install_fake_gcs_server
wait "$swift"
wait "$azurite"
printf '%-16s %s\n' swift "$CACHE/swift" fake-gcs-server "$CACHE/bin/fake-gcs-server" azurite test/emulators/node_modules
