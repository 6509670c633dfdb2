#!/bin/sh
# Varve from source: `npm start` and `npx varve` in a checkout. Takes the Node that `npm ci` brought, compiles the kernel
# if its sources have changed, and becomes the program.
set -eu
top=$(dirname "$(readlink -f "$0")")/..
PATH="$top/node_modules/.bin:$PATH"

node "$top/scripts/build-kernel.ts" || {
  echo "varve: this needs Node 24.15 or newer (here: node $(node --version)) and the packages that npm ci installs." >&2
  exit 1
}
# What Node makes of the sources is kept: later starts take half the time and 45 MB less memory, as no thread needs the
# compiler for types.
export NODE_COMPILE_CACHE="${NODE_COMPILE_CACHE:-$top/build/compile-cache}"
# Two pools of the C allocator: each thread would have one of its own, and keep what it once took to compile.
export MALLOC_ARENA_MAX="${MALLOC_ARENA_MAX:-2}"
# Nearly all that JavaScript makes here dies young: a nursery of 4 MiB a thread, not 16, lets request bodies go sooner.
exec node --max-semi-space-size=4 "$top/src/main.ts" "$@"
