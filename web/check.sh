#!/usr/bin/env bash
# Types, lint and unit tests of the dashboard, and that generating and building it
# again leaves the tree as it is: `make web-check`.
set -euo pipefail
cd "$(dirname "$0")"

npm run --silent types
npm run --silent lint
npm run --silent unit

state() { find src/gen dist -type f -print0 | sort -z | xargs -0 sha256sum; }
before=$(state)
npm run --silent gen
npm run --silent build
if [[ $before != "$(state)" ]]; then
    echo "the dashboard is not up to date; run 'make web' and commit:" >&2
    diff <(printf '%s\n' "$before") <(state) >&2 || true
    exit 1
fi
