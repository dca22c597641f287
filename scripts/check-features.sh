#!/bin/sh
# Validates what `urunc features` and `urunc spec` print against the JSON schemas of the OCI runtime specification, with
# the specification's own validator. Both come from its Go module and are never part of this repository.
# Usage: check-features.sh PATH-OF-URUNC. Needs go.
set -eu

urunc=$(realpath "$1")
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

export GOFLAGS=-mod=mod
go mod init check >go.log 2>&1
go get github.com/opencontainers/runtime-spec@v1.3.0 github.com/xeipuuv/gojsonschema@v1.2.0 >>go.log 2>&1 ||
    { cat go.log >&2; exit 1; }
schema=$(go list -m -f '{{.Dir}}' github.com/opencontainers/runtime-spec)/schema
mkdir validate
cp "$schema/validate.go" validate/
go build -o valid ./validate

"$urunc" features >features.json
"$urunc" spec
./valid "$schema/features-schema.json" features.json
./valid "$schema/config-schema.json" config.json

# The validator itself: it must refuse what is wrong.
sed 's/"SCMP_ACT_LOG"/"LOG"/' features.json >bad.json
if ./valid "$schema/features-schema.json" bad.json >bad.log 2>&1; then
    echo "the validator accepts an unknown seccomp action" >&2
    exit 1
fi
