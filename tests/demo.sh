#!/bin/sh
# The program at work on the simulated cluster: `make demo`. KEEP=1 leaves the cluster up.
# Arguments: the program, and the simulated cluster (the example `cluster`).
set -eu
program=$1
. "$(dirname "$0")/support/cluster.sh"
start_cluster "$2"
export KUBECONFIG="$dir/kubeconfig"

# Shows a command as it would be typed, what it says on stderr, its output with long lines cut, and how it ended. What it
# is about comes first, then the exit code that must come.
show() {
    printf '\n# %s\n$ kubectl kubelet-logs' "$1"
    expected=$2
    shift 2
    for word in "$@"; do
        case $word in *[!A-Za-z0-9_./:=,@+-]*) printf " '%s'" "$word" ;; *) printf ' %s' "$word" ;; esac
    done
    printf '\n'
    code=0
    "$program" "$@" >"$dir/stdout" 2>"$dir/stderr" || code=$?
    cat "$dir/stderr"
    awk 'length > 150 { $0 = substr($0, 1, 150) " ..." } { print }' "$dir/stdout"
    [ "$code" = 0 ] || printf '(exit code %s)\n' "$code"
    [ "$code" = "$expected" ] || { echo "demo: exit code $expected was expected" >&2; exit 1; }
}

show "a kubelet's last lines, its log query switched on" 0 node-a --tail 3
show "the same where the query is off: the node's journal files tell it" 0 node-b --tail 3
show "the same from its text file" 0 node-b --source file --tail 3
show "a window, to the microsecond, with the time in front" 0 \
    node-a --since-time 2023-11-14T22:16:34Z --until-time 2023-11-14T22:16:35Z --timestamps
show "a pattern" 0 node-a --grep 'failed|exited' --exclude CrashLoopBackOff --tail 3
show "warnings and worse" 0 node-b -P W --tail 2
show "the container runtime" 0 node-a -u containerd --tail 2
show "what can be read" 0 ls node-b
show "one file" 0 node-b --path audit/audit.log
show "only the query, where it is off: an honest error" 1 node-b --source query
show "a node whose kubelet is down" 6 node-d
show "no such node" 5 node-z
show "no permission" 4 node-a --context viewer
show "a slip of the finger" 2 node-a --tial 3

if [ "${KEEP:-}" = 1 ]; then
    printf '\nThe simulated cluster stays up until Ctrl-C; in another shell:\n  export KUBECONFIG=%s\n  %s node-a --tail 3\n' "$KUBECONFIG" "$program"
    wait "$cluster_pid"
fi
