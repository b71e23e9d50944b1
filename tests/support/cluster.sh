# For scripts: `start_cluster PROGRAM [KEEP]` brings up the simulated cluster with its files in $dir. It ends with the
# shell, whichever way that goes, unless KEEP is 1 and the shell drops its traps.

start_cluster() {
    dir=$(mktemp -d)
    cluster_pid=
    trap stop_cluster EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    mkfifo "$dir/end" "$dir/ready"
    # It serves until its input ends: when the shell that holds the pipe's other end does, or, opened so, never.
    if [ "${2:-}" = 1 ]; then
        "$1" --dir "$dir" <>"$dir/end" >"$dir/ready" 2>"$dir/errors" &
        cluster_pid=$!
    else
        "$1" --dir "$dir" <"$dir/end" >"$dir/ready" 2>"$dir/errors" &
        cluster_pid=$!
        exec 9>"$dir/end"
    fi
    read -r said _ <"$dir/ready" || said=
    [ "$said" = ready ] || { cat "$dir/errors" >&2; echo "the simulated cluster did not start" >&2; exit 1; }
}

stop_cluster() {
    [ -z "$cluster_pid" ] || kill "$cluster_pid" 2>/dev/null || true
    [ -z "$cluster_pid" ] || wait "$cluster_pid" 2>/dev/null || true
    rm -rf "$dir"
}
