#!/bin/bash
# Proves docs/ADDING-A-GUEST.md and docs/ADDING-A-MONITOR.md: the patch that each prints applies to a copy of the tree, is
# one new source file and one line of a registry; its cases fail by name without it and pass with it, and nothing else
# changes but lists of all names. `UPDATE_EXPECT=1` writes what its cases expect today into the document.
set -uo pipefail
cd "$(dirname "$0")/.."
root=$PWD tree=$PWD/target/adding
update=${UPDATE_EXPECT:-}
unset UPDATE_EXPECT
# Libraries are there already; what is built here has names of its own, for its directory is another.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target}
passed=0 failed=0
log=$(mktemp -d)
trap 'rm -rf "$log"' EXIT

# check NAME COMMAND...: counts it, and shows what it said if it fails.
check() {
    if "${@:2}" >"$log/said" 2>&1; then
        passed=$((passed + 1))
        echo "ok      $1"
    else
        failed=$((failed + 1))
        echo "FAILED  $1"
        sed 's/^/        /' "$log/said"
    fi
}

# The tree as git knows it or would take it, and as it is now; a repository of its own, so that git apply works there.
copy() {
    rm -rf "$tree" && mkdir -p "$tree" &&
        git ls-files -z --cached --others --exclude-standard |
        tar --null --files-from=- --ignore-failed-read -c | tar -xm -C "$tree" &&
        cd "$tree" && git init -q && git add -A &&
        git -c user.name=adding -c user.email=adding@localhost commit -qm base
}

# printed DOCUMENT: its only patch.
printed() {
    [ "$(grep -c '^```diff$' "$root/docs/$1")" -eq 1 ] || { echo "docs/$1 has not exactly one patch"; return 1; }
    sed -n '/^```diff$/,/^```$/{//!p}' "$root/docs/$1" >"$log/patch"
    git apply --check "$log/patch"
}

# one_file_one_line KIND: beside cases, a new file and a line of the registry.
one_file_one_line() {
    local source
    source=$(git apply --numstat "$log/patch" | grep -v $'\tcases/plans/')
    echo "$source"
    [ "$(wc -l <<<"$source")" -eq 2 ] && grep -qx $'1\t0\t'"crates/plan/src/$1/mod.rs" <<<"$source" &&
        git apply --summary "$log/patch" | grep -v ' cases/plans/' | grep -qx " create mode 100644 crates/plan/src/$1/[a-z_]*.rs"
}

# tests NAME... [-- FILTER...]: of the planner.
tests() {
    local words=()
    while [ $# -gt 0 ] && [ "$1" != -- ]; do words+=(--test "$1"); shift; done
    # The selection that the group `unit` has built the libraries for.
    cargo test --workspace --locked --no-fail-fast "${words[@]}" "$@"
}

# outcomes OUTCOME: the cases that ended so, of the last run.
outcomes() {
    sed -nE "s/^test (plans\/[^ ]*) .* $1\$/\1/p" "$log/run" | sort
}

# Without the source, the cases of the patch fail, each by its name, and no other.
fail_by_name() {
    git apply --include='cases/*' "$log/patch" || return
    tests cases >"$log/run" 2>&1
    tail -n 40 "$log/run"
    diff "$log/cases" <(outcomes FAILED)
}

# With it they pass; what fails now lists all names.
pass() {
    git apply --exclude='cases/*' "$log/patch" && git add -A || return
    tests cases >"$log/run" 2>&1
    tail -n 40 "$log/run"
    [ -z "$(comm -13 <(outcomes ok) "$log/cases")" ]
}

# only_lists NAME: blessing changes refusals and the support table, and there only what has the new name.
only_lists() {
    UPDATE_EXPECT=1 tests cases table >"$log/run" 2>&1 || { cat "$log/run"; return 1; }
    git diff --stat
    [ -n "$(git diff --name-only docs/support.md)" ] &&
        [ -z "$(git diff --name-only -- . ':!docs/support.md' ':!cases/*/error.txt')" ] &&
        [ -z "$(git diff -U0 cases | grep '^+[^+]' | grep -v "$1")" ]
}

# Then all is well: coverage of pairs, lists of system calls, preferences, style.
all_is_well() {
    tests cases table coverage look monitor_filters && tests properties -- no_two &&
        rustfmt --check --edition 2024 "crates/plan/src/$1"/*.rs &&
        cargo clippy -p urunc-plan --locked -- -D warnings
}

# bless DOCUMENT: source first.
bless() {
    git add -A
    { git diff --cached HEAD -- crates; git diff --cached HEAD -- $(sed 's,^,cases/,' "$log/cases"); } |
        sed '/^index /d' >"$log/patch"
    sed -i -e '/^```diff$/r '"$log/patch" -e '/^```diff$/,/^```$/{/^```/!d}' "$root/docs/$1"
}

# document NAME KIND DOCUMENT
document() {
    git reset -q --hard && git clean -fdq
    check "$1: the patch of docs/$3 applies" printed "$3"
    git apply --numstat "$log/patch" | sed -nE 's,.*\tcases/(plans/[^/]*)/.*,\1,p' | sort -u >"$log/cases"
    check "$1: one new file and one line of the registry" one_file_one_line "$2"
    check "$1: without the source its cases fail by name" fail_by_name
    if [ -n "$update" ]; then
        git apply --exclude='cases/*' "$log/patch" && UPDATE_EXPECT=1 tests cases >"$log/run" 2>&1 && bless "$3"
        return
    fi
    check "$1: with it they pass" pass
    check "$1: only lists of names change with it" only_lists "$1"
    check "$1: everything else is as it should be" all_is_well "$2"
}

copy || exit 1
document example guest ADDING-A-GUEST.md
document example-vmm monitor ADDING-A-MONITOR.md
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
