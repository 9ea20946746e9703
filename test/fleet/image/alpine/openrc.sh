#!/bin/sh
# OpenRC in the place of systemd, and BusyBox in that of bash and the GNU tools.
set -eu
here=$(cd "$(dirname "$0")" && pwd)

# Its folders /bin and /sbin are links here, and must stay so.
for package in /opt/fake-node/openrc/*.deb; do dpkg-deb --fsys-tarfile "$package" | tar -C / --keep-directory-symlink -x; done
ldconfig

# systemd goes, but for the libraries that sshd and others are linked with.
rm -rf /lib/systemd/systemd* /lib/systemd/system /usr/lib/systemd/system /etc/systemd /usr/lib/systemd/catalog
for command in systemctl journalctl systemd-detect-virt systemd-notify systemd-run systemd-tmpfiles systemd-sysusers \
  systemd-machine-id-setup hostnamectl timedatectl loginctl telinit runlevel shutdown systemd-analyze busctl; do
  rm -f "/bin/$command" "/sbin/$command" "/usr/bin/$command" "/usr/sbin/$command"
done
rm -rf /etc/init.d/* /etc/rc?.d /etc/runlevels/*/* /etc/conf.d
mkdir -p /etc/runlevels/sysinit /etc/runlevels/boot /etc/runlevels/default /etc/runlevels/shutdown /etc/conf.d
install -m 755 "$here/sshd" /etc/init.d/sshd
ln -s /etc/init.d/sshd /etc/runlevels/default/sshd
install -m 644 "$here/inittab" /etc/inittab
# Its own word for a machine that is a container: no hardware clock, no consoles.
printf 'rc_sys="docker"\nrc_logger="NO"\n' >>/etc/rc.conf

# The files of PAM ask for programs of systemd's only where they are there.
sed -i 's#/bin/bash#/bin/ash#' /etc/passwd
rm -rf /usr/bin/python3* /usr/lib/python3* /usr/bin/perl*

# Left to their own programs: what is setuid there and what Debian's applets cannot do.
# What a test looks at a node with is not the node's own.
mkdir -p /usr/lib/fake-node/gnu
cp /usr/bin/find /usr/bin/xargs /usr/bin/sha256sum /usr/lib/fake-node/gnu/
cp /bin/busybox /usr/lib/fake-node/busybox
for applet in $(/usr/lib/fake-node/busybox --list); do
  case $applet in su | login | passwd | mount | umount | dpkg | dpkg-deb | rpm | rpm2cpio | ping | ping6) continue ;; esac
  folder=/bin
  for candidate in /usr/bin /usr/sbin /sbin /bin; do
    if [ -e "$candidate/$applet" ] || [ -L "$candidate/$applet" ]; then folder=$candidate; fi
  done
  /usr/lib/fake-node/busybox ln -sf /usr/lib/fake-node/busybox "$folder/$applet"
done
/usr/lib/fake-node/busybox ln -sf /usr/lib/fake-node/busybox /bin/ash
/usr/lib/fake-node/busybox ln -sf /usr/lib/fake-node/busybox /sbin/init
/usr/lib/fake-node/busybox rm -f /bin/bash /usr/bin/bash /bin/dash
