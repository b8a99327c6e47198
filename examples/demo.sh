#!/bin/sh
# examples/demo.sh: what happens to a server behind `sh -c` when its container is stopped, without shim and with it.
#
# Each time a fresh PID namespace is the container, and a SIGTERM to its PID 1, then a SIGKILL at the end of the grace
# period, is `docker stop`. SHIM=PATH names the binary (default ./shim). Fails if what it shows is not true.
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
shim=${SHIM:-$top/shim}
grace_ms=5000
python=/usr/bin/python3
[ -x $python ] || python=python3
namespace="unshare --pid --fork --mount-proc --kill-child"
[ "$(id -u)" -eq 0 ] || namespace="unshare --user --map-root-user --pid --fork --mount-proc --kill-child"

bold='' red='' green='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
	bold=$(printf '\033[1m') red=$(printf '\033[31m') green=$(printf '\033[32m') plain=$(printf '\033[0m')
fi

work=$(mktemp -d)
container='' clerk=''
finish() {
	if [ -n "$container" ]; then kill -KILL "$container" 2>/dev/null || :; fi
	if [ -n "$clerk" ]; then wait "$clerk" || :; fi
	rm -rf "$work"
}
trap finish EXIT
trap 'exit 1' HUP INT TERM

die() {
	printf 'demo: %s\n' "$*" >&2
	[ ! -s "$work/said" ] || sed 's/^/demo: said at /' "$work/said" >&2
	exit 1
}

now_ms() { echo $(($(date +%s%N) / 1000000)); }

at() { # at MS COLOUR WORDS: one line of the time line
	printf '   %s%2d.%02d s%s  %s\n' "$2" $(($1 / 1000)) $(($1 % 1000 / 10)) "$plain" "$3"
}

# Waits, up to 5 s, for a line of the app that holds $1.
wait_for() {
	tries=0
	until grep -q "$1" "$work/said"; do
		tries=$((tries + 1))
		[ $tries -lt 50 ] || die "no '$1' from the app within 5 s"
		sleep 0.1
	done
}

is_running() { kill -0 "$container" 2>/dev/null; }

get() {
	$python -c 'import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=3).status)' \
		"http://127.0.0.1:$port/" 2>/dev/null
}

# Starts the container: "$@" is PID 1 and what it runs. Every line of its output is noted with the time.
start() {
	: >"$work/said"
	rm -f "$work/pipe"
	mkfifo "$work/pipe"
	while IFS= read -r line; do printf '%s %s\n' "$(now_ms)" "$line"; done <"$work/pipe" >>"$work/said" &
	clerk=$!
	$namespace "$@" >"$work/pipe" 2>&1 </dev/null &
	container=$!
	wait_for 'listening on port'
	port=$(sed -n 's/.*listening on port //p' "$work/said")
	[ "$(get)" = 200 ] || die "the app does not answer"
	pid_1=$(tr -d ' ' <"/proc/$container/task/$container/children") # unshare's only child
	[ -n "$pid_1" ] || die "the container's PID 1 is not to be found"
}

# Its PID 1 gets SIGTERM, the clock starts.
stop() {
	began=$(now_ms)
	kill -TERM "$pid_1"
	at 0 '' "SIGTERM to PID 1, as docker stop and the kubelet send it"
}

# The end of the container: status and took.
reap() {
	status=0
	wait "$container" 2>/dev/null || status=$?
	took=$(($(now_ms) - began))
	container=''
	wait "$clerk" || :
	clerk=''
}

# What the app said since the stop began, with its times.
since_stop() {
	while read -r when words; do
		[ "$when" -lt "$began" ] || at $((when - began)) "$green" "$words"
	done <"$work/said"
}

app="$python $top/examples/app.py 0 127.0.0.1; exit \$?"
[ -x "$shim" ] || die "$shim is not there: run make first"
# shellcheck disable=SC2086 # a command and its options
$namespace true 2>/dev/null || die "no PID namespaces here: run it as root"

printf '%sWithout shim%s   PID 1 is   sh -c "app.py; exit $?"\n' "$bold" "$plain"
start sh -c "$app"
stop
sleep 1
is_running || die "the shell has ended: it was expected to ignore SIGTERM"
[ "$(get)" = 200 ] || die "the app does not answer any more: it was not expected to have heard of the stop"
at $(($(now_ms) - began)) "$red" "the shell, as PID 1, ignores it; the app has heard nothing and takes new requests"
while [ $(($(now_ms) - began)) -lt $grace_ms ]; do
	is_running || die "it ended before the grace period did"
	sleep 0.05
done
kill -KILL "$pid_1"
reap
at "$took" "$red" "grace period over: SIGKILL, status 137. No handler ran, open requests are cut."
[ "$status" -ne 0 ] || die "it was not killed" # unshare says 1 or 137, as its version is
! grep -q handler "$work/said" || die "the handler ran without shim"
without=$took

printf '\n%sWith shim%s      PID 1 is   shim -- sh -c "app.py; exit $?"\n' "$bold" "$plain"
start "$shim" --termination-log "$work/message" -- sh -c "$app"
stop
reap
since_stop
at "$took" "$green" "the container has ended by itself, exit status $status"
grep -q 'all done' "$work/said" || die "the app's handler did not run to its end"
! grep -q 'shim:' "$work/said" || die "shim had something to say, which it must not in normal work"
[ "$took" -lt 3000 ] || die "that took too long"
[ "$status" -eq 143 ] || die "expected exit status 143, the shell's"
[ -s "$work/message" ] || die "no termination message was written"

printf '\n%sThe reason%s     in /dev/termination-log, for kubectl describe pod:\n' "$bold" "$plain"
sed "s/^/            /" "$work/message"
grep -q 'stop requested' "$work/message" || die "the message does not name the stop"

printf '\n%s%d.%02d s and SIGKILL without shim, %d.%02d s and a clean end with it.%s\n' "$bold" \
	$((without / 1000)) $((without % 1000 / 10)) $((took / 1000)) $((took % 1000 / 10)) "$plain"
