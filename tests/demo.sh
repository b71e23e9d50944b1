#!/bin/sh
# The program at work on the simulated cluster: `make demo`. KEEP=1 leaves the cluster up.
set -eu
bin=$1
cluster=$2
dir=$(mktemp -d)
mkfifo "$dir/stdin" "$dir/ready"
"$cluster" --dir "$dir" <"$dir/stdin" >"$dir/ready" &
pid=$!
# The cluster serves until its input ends.
exec 3>"$dir/stdin"
stop() {
    exec 3>&-
    wait "$pid" 2>/dev/null || true
    rm -rf "$dir"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
read -r _ <"$dir/ready" || { echo "demo: the simulated cluster did not start" >&2; exit 1; }
export KUBECONFIG="$dir/kubeconfig"

show() {
    printf '\n# %s\n$ kubectl kubelet-logs' "$1"
    shift
    for word in "$@"; do
        case $word in *[!A-Za-z0-9_./:=,@+-]*) printf " '%s'" "$word" ;; *) printf ' %s' "$word" ;; esac
    done
    printf '\n'
    code=0
    "$bin" "$@" >"$dir/out" 2>&1 || code=$?
    cut -c1-160 "$dir/out"
    [ "$code" = 0 ] || printf '(exit code %s)\n' "$code"
}

show "a kubelet's last lines, its log query switched on" node-a --tail 3
show "the same where the query is off: the text file, and a note that says so" node-b --tail 3
show "a window, to the microsecond, with the time in front" node-a --since-time 2023-11-14T22:16:34Z --until-time 2023-11-14T22:16:35Z --timestamps
show "a pattern" node-a --grep 'failed|exited' --exclude CrashLoopBackOff --tail 3
show "warnings and worse" node-b -P W --tail 2
show "the container runtime" node-a -u containerd --tail 2
show "what can be read" ls node-b
show "one file" node-b --path audit/audit.log
show "only the query, where it is off: an honest error" node-b --source query
show "a node whose kubelet is down" node-d
show "no such node" node-z
show "no permission" node-a --context viewer

if [ "${KEEP:-}" = 1 ]; then
    printf '\nThe simulated cluster stays up until Ctrl-C:\n  export KUBECONFIG=%s\n  %s node-a\n' "$KUBECONFIG" "$bin"
    wait "$pid"
fi
