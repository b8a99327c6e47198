#!/bin/sh
# The pod of deployment.yaml as one `docker run` line. Prints the line; with --run, runs it.
#
# The image is Dockerfile.example's. --stop-timeout is what terminationGracePeriodSeconds is to a pod. Docker
# has no termination message: the reason goes into a file only if you mount one.
set -eu

set -- "${1:-}" docker run --detach --name hello \
	--label app=hello --label tier=web --label version=1.0.0 \
	--label description='A web server behind shim' --label contact=web-team@example.com \
	--stop-signal TERM --stop-timeout 30 \
	--read-only --user 10001:10001 --cap-drop ALL --security-opt no-new-privileges \
	--cpus 0.5 --memory 128m --pids-limit 64 \
	--health-cmd '/shim --check http://127.0.0.1:8086/readyz' \
	--health-interval 5s --health-timeout 6s --health-start-period 10s \
	--publish 8080:8080 \
	--entrypoint /shim hello:1.0.0 \
	--grace 30s --drain 5s:20s --health 127.0.0.1:8086 --ready-probe http://127.0.0.1:8080/ \
	-- python3 /srv/app.py 8080

mode=$1
shift
if [ "$mode" = --run ]; then
	exec "$@"
fi
if [ -n "$mode" ]; then
	echo "usage: $0 [--run]" >&2
	exit 2
fi
for word in "$@"; do
	case $word in
	*[!A-Za-z0-9_./:=@-]*) printf "'%s' " "$word" ;;
	*) printf '%s ' "$word" ;;
	esac
done
echo
