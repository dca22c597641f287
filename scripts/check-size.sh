#!/bin/bash
# The budget of the binary: size on disk and CPU of a trivial command, against a static program that does nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
exec target/debug/bench budget "${RUNTIME:-dist/urunc}"
