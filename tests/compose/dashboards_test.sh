#!/usr/bin/env bash
# The dashboards against Grafana's own schema, which is an npm package: without npm this is skipped, and says so.
# Arguments: the build folder, the project's root.
set -uo pipefail
root="$2"
source "$root/tests/unit/scripts/expect.sh"
command -v npm >/dev/null || { printf 'skipped: npm is not installed\n'; exit 77; }
folder="$1/grafana-schema"
mkdir -p "$folder"
cp "$root"/deploy/grafana/schema/{package.json,package-lock.json,panels.ts,tsconfig.json} "$folder"
cd "$folder" || exit 1
# What was installed from this lock file stays.
if ! cmp -s package-lock.json installed; then
  npm ci --ignore-scripts --no-audit --no-fund >npm.log 2>&1 || { cat npm.log; exit 1; }
  cp package-lock.json installed
fi

python3 -B "$root/deploy/grafana/check.py" typescript >good.ts || exit 1
faults() { node_modules/.bin/tsc -p . 2>&1; }
cp good.ts dashboards.ts
expect_equal 'faults of the dashboards' "$(faults)" ''

# It would find them: an option that does not exist, a value that does not, a type, a field, a query's.
for change in 's/"colorMode"/"colourMode"/' 's/"graphMode": "none"/"graphMode": "nothing"/' 's/"fillOpacity": [0-9]*/"fillOpacity": "much"/' \
  's/"gridPos"/"gridPosition"/' 's/"legendFormat"/"legend"/'; do
  sed "$change" good.ts >dashboards.ts
  cmp -s good.ts dashboards.ts && expect_equal 'a change' none "$change"
  expect_contains "faults after $change" "$(faults)" 'error TS'
done
finish
