#!/bin/sh
# Proves a binary static: `make static` runs it. In a root directory with nothing but the binary, a kubeconfig and
# /etc/hosts or /etc/resolv.conf it must reach the simulated cluster by name. It must not outgrow its limit either.
# Arguments: the program, the simulated cluster (the example `cluster`), and how many bytes the program may have, if that is given.
set -eu
program=$1 cluster=$2 limit=${3-}
# In a network of its own, a name server may have the port that resolvers ask.
if [ -z "${STATIC_NETWORK-}" ] && unshare -rn ip link set lo up 2>/dev/null; then
    exec unshare -rn sh -c 'ip link set lo up && STATIC_NETWORK=own exec "$0" "$@"' "$0" "$@"
fi
. "$(dirname "$0")/support/cluster.sh"

if readelf -lW "$program" | grep -q INTERP; then
    echo "$program asks for a dynamic loader: not static" >&2
    exit 1
fi
size=$(wc -c <"$program")
if [ "$size" -gt "${limit:-$size}" ]; then
    echo "$program has $size bytes, $((size - limit)) more than it may: see \`make size\`; the limits stand in the Makefile" >&2
    exit 1
fi
echo "static: $program: $size bytes${limit:+ of at most $limit}"
if unshare -r chroot / true 2>/dev/null; then
    enter='unshare -r chroot'
elif chroot / true 2>/dev/null; then
    enter=chroot
else
    echo "static: it asks for no loader; not tried in an empty root directory, which needs chroot or user namespaces"
    exit 0
fi
start_cluster "$cluster" ${STATIC_NETWORK:+--dns}
root=$dir/root
mkdir -p "$root/etc"
cp "$program" "$root/program"
sed 's|server: https://127.0.0.1:\(.*\)|server: https://cluster.example:\1\n    tls-server-name: localhost|' \
    "$dir/kubeconfig" >"$root/kubeconfig"

# Reads the log of a node of each kind.
reads() {
    for node in node-a node-b; do
        $enter "$root" /program --kubeconfig /kubeconfig "$node" -q --tail 1 >"$dir/stdout"
        [ -s "$dir/stdout" ] || { echo "no log from $node" >&2; exit 1; }
    done
    # The other one's key is of P-256, this one's of Ed25519 (.ci/small.c replaces some arithmetic of both), and it may nothing.
    $enter "$root" /program --kubeconfig /kubeconfig --context limited node-a 2>"$dir/stderr" >"$dir/stdout" || true
    grep -q 'User "limited" cannot get' "$dir/stderr" || { cat "$dir/stderr" >&2; exit 1; }
    echo "static: reads logs from an empty root directory, by a name of $1"
}
echo "127.0.0.1 cluster.example" >"$root/etc/hosts"
reads "its /etc/hosts"
rm "$root/etc/hosts"
if [ "${STATIC_NETWORK-}" ]; then
    echo "nameserver 127.0.0.1" >"$root/etc/resolv.conf"
    reads "a name server's"
else
    echo "static: not tried with a name server: that needs a network namespace and the command ip"
fi
