#!/usr/bin/env bash
# import-linter 2.17 (grimp 3.20): a root package that lies inside another root package.
#
# Expected: a message that says which root is wrong, as for a root that does not exist.
# Seen:     the logo, nothing else on stdout or stderr, and exit code 1; the contracts are not looked at. With --debug
#           grimp's NotATopLevelModule appears, without the package's name.
# Where it bites: portions of a namespace package must be listed one by one, and a sub-package gets into that list easily.
# Exit 0: still so. Exit 1: it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet import-linter==2.17 grimp==3.20

mkdir -p space/one/inner space/two # `space` has no __init__.py: a namespace
touch space/one/__init__.py space/one/inner/__init__.py space/two/__init__.py

lint() { # roots...
    {
        printf '[importlinter]\nroot_packages =\n'
        printf '    %s\n' "$@"
        printf '[importlinter:contract:a]\nname = one knows nothing of two\ntype = forbidden\n'
        printf 'source_modules =\n    space.one\nforbidden_modules =\n    space.two\n'
    } >.importlinter
    code=0
    venv/bin/lint-imports --no-cache >out 2>err || code=$?
    printf '%s: exit %s, contracts reported: %s, bytes on stderr: %s\n' "$*" "$code" \
        "$(grep -c 'KEPT' out || true)" "$(wc -c <err)"
}

lint space.one space.two
[ "$code" = 0 ] && grep -q 'one knows nothing of two KEPT' out
lint space.one space.nowhere
[ "$code" = 1 ] && grep -q 'nowhere' out err # the message that one would expect above
lint space.one space.one.inner space.two
[ "$code" = 1 ] && ! grep -qiE 'inner|error|top' out err && ! grep -q KEPT out
