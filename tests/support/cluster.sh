# For scripts: `start_cluster PROGRAM [OPTION]...` brings up the simulated cluster with its files in $dir; it ends with the shell.

start_cluster() {
    dir=$(mktemp -d)
    cluster_pid=
    trap stop_cluster EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    mkfifo "$dir/end" "$dir/ready"
    # It serves until its input ends: when this shell does, whichever way.
    "$@" --dir "$dir" <"$dir/end" >"$dir/ready" &
    cluster_pid=$!
    exec 9>"$dir/end"
    read -r said _ <"$dir/ready" || said=
    [ "$said" = ready ] || { echo "the simulated cluster did not start" >&2; exit 1; }
}

stop_cluster() {
    exec 9>&-
    [ -z "$cluster_pid" ] || wait "$cluster_pid" 2>/dev/null || true
    rm -rf "$dir"
}
