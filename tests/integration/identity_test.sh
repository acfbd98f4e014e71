#!/usr/bin/env bash
# A mesh that `backfire up` starts is its owner's: with the token everything works as ever, and without it nothing does but
# inference at the gateway; a second user of the machine can't read the token, can't connect to a socket, and gets nothing.
# Arguments: the folder of backfire's binaries, the toy service, the folder of expect.sh.
source "$(dirname "$0")/../support/mesh.sh"
write_toy_system 1
# Everything where it is by default, and processes that differ, so that each vertex has its own.
unset BACKFIRE_ORCHESTRATOR
sed -i '/^  endpoint:/d; 0,/process: {program: \([^}]*\)}/s//process: {program: \1, arguments: [--jobs=1]}/' "$directory/toy.yaml"
token="$BACKFIRE_DATA_DIR/token"
run="$BACKFIRE_DATA_DIR/run"
# A folder that was open is closed, and what a killed process left is replaced.
mkdir -p "$run"
chmod 777 "$run"
/usr/bin/python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$run/second"
check 'up' 0 up "$directory/toy.yaml" --gateway "unix:$directory/g"
expect_equal 'mode of the token' "$(stat -c %a "$token")" 600
expect_equal 'mode of the folder of sockets' "$(stat -c %a "$run")" 700
expect_equal 'sockets' "$(cd "$run" && echo *)" 'first orchestrator second'
check 'watching the baseline' 0 update watch baseline
check 'the system from its file, by its sockets' 0 system validate "$directory/toy.yaml" --services
expect_equal 'ports that its processes listen on' "$("$backfire" status --format json | grep -c '"\(endpoint\|metrics\)": "[^"u]')" 0
# Each process was told where it is, whatever it is.
for pid in $("$backfire" status --format json | sed -n 's/.*"pid": \([0-9]*\).*/\1/p'); do
  told="$(tr '\0' '\n' <"/proc/$pid/environ" | sed -n 's/^BACKFIRE_TOKEN_FILE=//p')"
  expect_equal "what process $pid was told" "$(readlink -f "$told")" "$(readlink -f "$token")"
done

# A second user can't connect: the kernel doesn't let him into the folder, even if all below were open to him.
can_be_second() { ((EUID == 0)) && setpriv --reuid=65534 --regid=65534 --clear-groups test -x "$backfire"; }
as_second() { setpriv --reuid=65534 --regid=65534 --clear-groups env HOME=/nonexistent "$@"; }
connect='import socket, sys
try: socket.socket(socket.AF_UNIX).connect(sys.argv[1])
except OSError as error: print(type(error).__name__)
else: print("connected")'
if can_be_second; then
  chmod 755 "$directory" "$BACKFIRE_DATA_DIR"
  for name in first second orchestrator; do
    chmod 777 "$run/$name"
    expect_equal "connecting to $name" "$(/usr/bin/python3 -c "$connect" "$run/$name")" connected
    expect_equal "connecting to $name as a second user" "$(as_second /usr/bin/python3 -c "$connect" "$run/$name")" PermissionError
  done
  # It is the folder that holds him off: without it he is at the socket.
  chmod 755 "$run"
  expect_equal 'connecting where the folder is open' "$(as_second /usr/bin/python3 -c "$connect" "$run/first")" connected
  chmod 700 "$run"
fi

# Without the token; with another's.
mine="$BACKFIRE_DATA_DIR"
BACKFIRE_ORCHESTRATOR="unix:$run/orchestrator"
export BACKFIRE_DATA_DIR="$directory/elsewhere" BACKFIRE_ORCHESTRATOR
check 'a list by nobody' 2 update list
expect_contains 'why not' "$errors" 'needs an identity'
check 'a rollback by nobody' 2 release rollback 1 --reason 'none of my business'
check 'health of the orchestrator, for nobody' 2 healthcheck "$BACKFIRE_ORCHESTRATOR"
check 'health of a service, for nobody' 2 healthcheck "unix:$run/first"
check 'health of the gateway, for anybody' 0 healthcheck "unix:$directory/g"
printf '%064d\n' 7 >"$directory/another"
chmod 600 "$directory/another"
export BACKFIRE_TOKEN_FILE="$directory/another"
check 'a list with the token of another mesh' 2 update list
expect_contains 'why not' "$errors" "nobody's here"
chmod 644 "$directory/another"
check 'a token that others can read' 4 update list
expect_contains 'what to do' "$errors" 'chmod 600'
unset BACKFIRE_TOKEN_FILE
export BACKFIRE_DATA_DIR="$directory/nowhere"
check 'the token by --data-dir' 0 update list --data-dir "$mine"
check 'the token by --token-file' 0 --token-file "$token" update list
export BACKFIRE_DATA_DIR="$mine"

# What was changed, and what was to be, is written down.
check 'a rollback to what there is not' 2 release rollback 77 --reason 'a slip' --request-id back-7 --timeout 60
audit="$(<"$mine/orchestrator/audit.jsonl")"
expect_contains 'who applied the system' "$audit" '"method":"/backfire.v1.Orchestrator/ApplySystem"'
expect_contains 'the call of nobody' "$audit" '"outcome":"Unauthenticated"'
expect_contains 'the call by its name' "$audit" '"request_id":"back-7"'
check 'down' 0 down

# A second user, on loopback, where a port is no boundary.
if ! can_be_second; then
  printf 'skipped: a second user (needs root, and binaries that he can run)\n'
else
  "$1/orchestrator" --listen=127.0.0.1:0 --data-dir="$directory/o-data" --token-file="$token" 2>"$directory/o-log" &
  server=$!
  trap 'kill "$server" 2>/dev/null; rm -rf "$directory"' EXIT
  until place="$(sed -n 's/.*state=LISTENING endpoint=\([^ ]*\).*/\1/p' "$directory/o-log")" && [[ $place ]]; do
    kill -0 "$server" || { cat "$directory/o-log"; exit 1; }
    pause
  done
  export BACKFIRE_ORCHESTRATOR="$place"
  check 'the owner, by the port' 0 update list
  expect_equal 'reading the token' "$(as_second cat "$token" 2>/dev/null; echo $?)" 1
  for command in 'update list' 'release rollback 1 --reason mine' 'release list' 'version list' 'update promote 1' 'update cancel 1'; do
    # shellcheck disable=SC2086
    said="$(as_second "$backfire" $command --orchestrator "$place" --data-dir /nonexistent 2>&1)"
    expect_equal "exit code of a second user's $command" "$?" 2
    expect_contains "what he hears of $command" "$said" 'needs an identity'
  done
  kill "$server"
  wait "$server"
fi
finish
