#!/usr/bin/env bash
# Every command of docs/on-call.md on a mesh of real processes, after a night in which something happened: what it must
# tell is told. Arguments: the folder of backfire's binaries, the toy service, the folder of expect.sh.
source "$(dirname "$0")/../support/mesh.sh"
export USER=ada
write_toy_system 1
page="$(dirname "$0")/../../docs/on-call.md"

# A promotion, an update that it makes void, one that failed, one that runs, and one that waits for that.
check 'up' 0 up "$directory/toy.yaml" --gateway "unix:$directory/g"
check 'the baseline' 0 update watch baseline
check 'an update' 0 update propose --vertex first --recipe least-squares --set offset=0.01 --reason 'nightly' --wait
check 'another of its descendant' 0 update propose --vertex second --recipe least-squares --set offset=0.02 --wait
check 'promoting the first' 0 update promote 2 --override --reason 'a first look will do'
check 'one that fails' 5 update propose --vertex second --recipe least-squares --set fail=1 --wait
check 'one that is cancelled' 0 update propose --vertex first --recipe least-squares --set offset=0.03 --wait
check 'cancelling it' 0 update cancel 5 --reason 'superseded'
check 'one that lasts' 0 update propose --vertex first --recipe least-squares --set seconds_of_work=600
check 'one that waits' 0 update propose --vertex second --recipe least-squares --set offset=0.04
while "$backfire" update show 6 --field state | grep -q PROPOSED; do pause; done

# told COMMAND PART...: runs a command of the page, which must tell these.
declare -A asked=()
told() {
  local command="$1" part
  shift
  asked["$command"]=1
  read -ra words <<<"$command"
  check "$command" 0 "${words[@]:1}"
  for part; do expect_contains "$command" "$output" "$part"; done
}
told 'backfire history --since yesterday' 'system applied' "ada@$(hostname)" 'system toy, revision 1' \
  'gateway' 'step failed' 'the recipe asked to fail' 'superseded' 'a first look will do' 'releases/2'
told 'backfire update log 2' 'proposed' 'nightly' 'started' 'decided' 'INCONCLUSIVE; made releases/2' 'promoted' \
  'a first look will do' 'releases/2 live' 'in place of releases/1'
told 'backfire update show 3' 'REJECTED' "by ada@$(hostname): updates/2 was promoted" 'Proposed ' 'Decided '
told 'backfire release show live' 'releases/2: LIVE' "ada@$(hostname)" 'a first look will do' 'INCONCLUSIVE, overridden'
told 'backfire status' 'SERVING' 'live: releases/2' 'updates/6' 'train first #0'
told 'backfire update list --state PROPOSED' 'updates/7' 'waits for' 'updates/6'
told 'backfire update list --state FAILED' 'updates/4' 'the recipe asked to fail' '`backfire update retry updates/4`'
told 'backfire version list --by-size' 'models/first/versions/1' 'weights' 'all'
told 'backfire update list --judged-with 2' 'updates/2' 'updates/3' 'updates/5'
told 'backfire release rollback 1 --dry-run' 'from releases/2 (updates/2) to releases/1 (updates/1) would change' \
  'models/first/versions/1' 'models/second/versions/1'
check 'nothing was rolled back' 0 release list
expect_contains 'what is live, since when, by whom, why' "$output" 'releases/2  LIVE'

# The page has these commands and no others.
commands="$(awk '/^```sh$/ {on = 1; next} /^```$/ {on = 0} on' "$page")"
expect_equal 'commands on the page' "$(sort <<<"$commands")" "$(printf '%s\n' "${!asked[@]}" | sort)"
expect_equal 'a question each' "$(grep -c '^\*\*.*?\*\*' "$page")" "${#asked[@]}"

# What was turned down and its versions can be let go; an update that is open would keep what it may find.
check 'ending what runs' 0 update cancel 6 --reason 'enough'
check 'ending what waits' 0 update cancel 7
# The service may still be ending what it ran.
for _ in {1..500}; do
  check 'a dry run' 0 update prune --dry-run --keep 1
  [[ $output != *'nothing to let go of'* ]] && break
  pause
done
expect_contains 'nothing that is decided' "$output" 'would let go of 0 releases'
expect_contains 'what only the rejected one made' "$output" 'models/second/versions/'
check 'pruning' 0 update prune --keep 1 --format json
check 'the log of a cancelled one' 0 update log 5 --format json
expect_contains 'why' "$output" '"message": "superseded"'
check 'without a retention' 4 update prune
expect_contains 'where to put one' "$errors" 'retention'
check 'a time that is none' 2 history --since noon
expect_contains 'what there is' "$errors" '--since'
check 'the end' 0 down
finish
