#!/bin/sh
# What all systemd families share: run once, while the image is built.
set -eu
here=$(cd "$(dirname "$0")" && pwd)

install -D -m 755 "$here/init" /usr/local/lib/fake-node/init
install -D -m 644 "$here/sshd.conf" /etc/ssh/sshd_config.d/50-fake-node.conf

# Host keys and the machine-id are of one node, never of the image: made or put there when the node first starts.
rm -f /etc/ssh/ssh_host_*
: >/etc/machine-id
rm -f /var/lib/dbus/machine-id

# Consoles, seats and hardware there are none of; timers that would do something by themselves in the middle of a test.
for unit in getty.target console-getty.service systemd-udevd.service systemd-udev-trigger.service \
  systemd-firstboot.service systemd-hwdb-update.service systemd-journal-catalog-update.service systemd-update-utmp.service \
  dev-hugepages.mount sys-kernel-debug.mount sys-kernel-tracing.mount sys-kernel-config.mount sys-fs-fuse-connections.mount \
  apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer; do
  ln -sf /dev/null "/etc/systemd/system/$unit"
done
# `systemctl reboot` asks logind first. Where the engine gives nodes the host's consoles (privileged), logind must not touch them.
install -d /etc/systemd/system/systemd-logind.service.d
printf '[Unit]\nConditionPathExists=!/dev/tty0\n' >/etc/systemd/system/systemd-logind.service.d/no-console.conf
[ -e /etc/default/locale ] || echo LANG=C.UTF-8 >/etc/default/locale
systemctl set-default multi-user.target >/dev/null 2>&1 || ln -sf /lib/systemd/system/multi-user.target /etc/systemd/system/default.target
systemctl enable ssh.service >/dev/null 2>&1 || systemctl enable sshd.service

# The users. The passwords are no secret: they are in nodes.ts, and the nodes live on a private bridge of this machine.
useradd -m -s /bin/bash -c 'sudo and doas without a password' debian
useradd -m -s /bin/bash -c 'sudo and doas with a password' ops
printf 'root:root-password\ndebian:debian-password\nops:ops-password\n' | chpasswd
printf 'debian ALL=(ALL) NOPASSWD:ALL\nops ALL=(ALL) ALL\n' >/etc/sudoers.d/fake-node
chmod 440 /etc/sudoers.d/fake-node
printf 'permit nopass debian\npermit ops\n' >/etc/doas.conf
chmod 400 /etc/doas.conf
install -d -m 700 /root/.ssh
install -d -m 700 -o debian -g debian /home/debian/.ssh
install -d -m 700 -o ops -g ops /home/ops/.ssh
