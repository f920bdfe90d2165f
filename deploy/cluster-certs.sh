#!/bin/sh
# Makes the certificates of the compose file's three-node cluster in the folder
# given. Runs in the es-gencert-cli image, as root, once: what is complete is
# left alone, what an interrupted run left behind is made anew.
set -eu

cd "$1"
if [ -f complete ]; then
    echo "certificates are there already"
    exit 0
fi
rm -rf ca node1 node2 node3

es-gencert-cli create-ca -out ca
for n in 1 2 3; do
    # Addresses for the nodes among themselves, names for the clients.
    es-gencert-cli create-node \
        -ca-certificate ca/ca.crt -ca-key ca/ca.key -out "node$n" \
        -ip-addresses "127.0.0.1,172.30.240.1$n" -dns-names "localhost,eventstore$n"
done

# Nobody needs to make a fourth node: without this key nobody can.
rm ca/ca.key
# The nodes run as user 1000. Tradetrail mounts the same folder as another user:
# it gets ca.crt and can't read the keys.
chown -R 1000:1000 ca node1 node2 node3
chmod 0755 . ca node1 node2 node3
chmod 0444 ca/ca.crt node?/node.crt
chmod 0400 node?/node.key
touch complete
