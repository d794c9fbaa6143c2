#!/usr/bin/env bash
# Hosts on one machine, for tests: a launcher and three hosts on a network of their own. Each has
# its own network, PID, mount, UTS and IPC namespaces, its own home, /tmp and /dev/shm; the hosts
# have an sshd on port 22 and a user who is not root. All of it goes away with the process that runs
# `lab`; nothing is left outside.
#
#     hosts.sh lab LAB      the launcher's side; makes the network, starts the hosts
#     hosts.sh host NAME    one host
#
# LAB holds the homes of launcher, head, left and right; nsa/, the folder that every host sees at
# /mnt/nsa; sshd/, its key and settings; NAME.log. CHECKOUT, VENV and PYTHON are the folders of the
# project, its environment and the Python below that.
set -euo pipefail

NETWORK=192.0.2 # the documentation addresses of ray_cluster.yaml: here they are real
HOSTS=(head left right)

lab() {
    mount -t tmpfs tmpfs /mnt
    mkdir /mnt/{nsa,lab,venv,python}
    mount --bind "$1" /mnt/lab
    mount --bind "$1/nsa" /mnt/nsa
    mount --bind "$VENV" /mnt/venv
    mount -o remount,ro,bind /mnt/venv
    mount --bind "$PYTHON" /mnt/python
    mkdir /mnt/checkout
    mount --bind "$CHECKOUT" /mnt/checkout
    private_folders
    mount --bind /mnt/lab/launcher ~
    keep /mnt/python "$PYTHON"
    keep /mnt/checkout "$CHECKOUT"

    mkdir -p /run/netns
    ip link set lo up
    ip link add lan type bridge
    ip addr add "$NETWORK.1/24" dev lan
    ip link set lan up
    local number=10 name
    for name in "${HOSTS[@]}"; do
        ip netns add "$name"
        ip link add "$name" type veth peer name eth0 netns "$name"
        ip link set "$name" master lan up
        ip -n "$name" link set lo up
        ip -n "$name" addr add "$NETWORK.$number/24" dev eth0
        ip -n "$name" link set eth0 up
        ip -n "$name" route add default via "$NETWORK.1"
        ip netns exec "$name" unshare --pid --mount --uts --ipc --fork --kill-child --mount-proc \
            bash "$0" host "$name" </dev/null >"/mnt/lab/$name.log" 2>&1 &
        number=$((number + 1))
    done
    wait
}

host() {
    hostname "$1"
    private_folders
    chmod 755 ~ # the Python below may lie in there
    local home=/home/ubuntu # the user of ray_cluster.yaml, who is not root
    mount -t tmpfs tmpfs /home
    mkdir "$home"
    mount --bind "/mnt/lab/$1" "$home"
    grep -vE '^ubuntu:|^[^:]*:[^:]*:1000:' /etc/passwd >/run/passwd
    echo "ubuntu:x:1000:1000::$home:/bin/bash" >>/run/passwd
    mount --bind /run/passwd /etc/passwd
    # the environment is there already; a newer stamp keeps `make setup` from installing it again
    mkdir -p "$home/nsa-studies/.venv"
    touch /run/installed
    mount --bind /mnt/venv "$home/nsa-studies/.venv"
    mount --bind /run/installed "$home/nsa-studies/.venv/.installed"
    chown 1000:1000 "$home" "$home/nsa-studies"
    keep /mnt/python "$PYTHON"
    # the environment's own paths lead to the code that was shipped, not to the checkout
    mkdir -p "$CHECKOUT"
    mount --rbind "$home/nsa-studies" "$CHECKOUT"
    umount /mnt/checkout
    keep /mnt/venv "$VENV"
    mkdir /run/sshd
    /usr/sbin/sshd -D -e -f /mnt/lab/sshd/config &
    wait # bash reaps what Ray's daemons leave, as an init must
}

private_folders() {
    local folder
    for folder in ~ /tmp /run /dev/shm; do
        mount -t tmpfs tmpfs "$folder"
    done
    chmod 700 ~
    chmod 1777 /tmp /dev/shm
}

keep() { # show a folder again if a private one now hides it
    if [ ! -e "$2/." ] || [ -z "$(ls -A "$2")" ]; then
        mkdir -p "$2"
        mount --rbind "$1" "$2"
    fi
}

"$@"
