#!/bin/sh
# Makes a node of one family of what all families share: its os-release, its package manager with a local repository, and
# nothing of the others. What fleet might fall back on is away, not only out of the PATH.
#
#   become.sh FAMILY        (os-release lies beside this script)
set -eu

family=$1
here=$(cd "$(dirname "$0")" && pwd)
repositories=/opt/fake-node/repositories

remove_commands() {
  for command; do
    for folder in /usr/local/sbin /usr/local/bin /usr/sbin /usr/bin /sbin /bin; do rm -f "$folder/$command"; done
  done
}
without_apt() { remove_commands apt apt-get apt-cache apt-config apt-mark apt-key apt-cdrom dpkg dpkg-deb dpkg-query dpkg-divert dpkg-split dpkg-statoverride dpkg-trigger dpkg-realpath; rm -rf /etc/apt; }
without_dnf() { remove_commands dnf dnf-3 dnf4 yum; rm -rf /etc/dnf /etc/yum.repos.d; }
without_zypper() { remove_commands zypper yast2; rm -rf /etc/zypp; }
without_rpm() { remove_commands rpm rpmbuild rpm2cpio rpmdb rpmkeys; rm -rf /var/lib/rpm; }
without_pacman() { remove_commands pacman pacman-conf pacman-key repo-add repo-remove repo-elephant; rm -rf /etc/pacman.conf /var/lib/pacman; }
without_ufw() { remove_commands ufw; rm -rf /etc/ufw /lib/ufw /etc/default/ufw /lib/systemd/system/ufw.service /etc/init.d/ufw; }
without_firewalld() { remove_commands firewalld firewall-cmd firewall-offline-cmd; rm -rf /etc/firewalld /lib/systemd/system/firewalld.service; }
without_nftables() { remove_commands nft; rm -rf /etc/nftables.conf /lib/systemd/system/nftables.service; }

# The repository as dnf and zypper write it down.
rpm_repository() { printf '[fleet]\nname=Packages of the fake nodes\nbaseurl=file://%s/rpm\nenabled=1\ngpgcheck=0\n' "$repositories"; }
# zypper takes an empty database for a broken one.
first_rpms() { rpm -i "$repositories"/rpm/filesystem-*.rpm "$repositories"/rpm/system-release-*.rpm "$repositories"/rpm/tzdata-2024a-*.rpm; }

rm -f /etc/os-release /etc/debian_version /etc/lsb-release
install -m 644 "$here/os-release" /usr/lib/os-release
ln -s ../usr/lib/os-release /etc/os-release

case $family in
  ubuntu)
    without_dnf && without_zypper && without_rpm && without_pacman && without_firewalld
    ;;
  rocky)
    without_apt && without_zypper && without_pacman && without_ufw
    mkdir -p /etc/yum.repos.d /usr/share/selinux
    rpm_repository >/etc/yum.repos.d/fleet.repo
    first_rpms
    ln -s dnf /usr/bin/yum
    # As RHEL ships sudo: k3s' folder is not in the path.
    sed -i 's#^Defaults[[:space:]]*secure_path.*#Defaults    secure_path = /sbin:/bin:/usr/sbin:/usr/bin#' /etc/sudoers
    # The agent of RHEL's cloud images that rewrites routes under the feet of the network plugin.
    printf '[Unit]\nDescription=Automatically configure NetworkManager in cloud\n[Service]\nType=oneshot\nExecStart=/bin/true\n' \
      >/lib/systemd/system/nm-cloud-setup.service
    printf '[Unit]\nDescription=Periodically run nm-cloud-setup\n[Timer]\nOnBootSec=1h\nOnUnitActiveSec=1h\n[Install]\nWantedBy=timers.target\n' \
      >/lib/systemd/system/nm-cloud-setup.timer
    systemctl enable nm-cloud-setup.timer
    ;;
  opensuse)
    without_apt && without_dnf && without_pacman && without_ufw
    mkdir -p /etc/zypp/repos.d /usr/share/selinux
    rpm_repository >/etc/zypp/repos.d/fleet.repo
    first_rpms
    sed -i 's#^Defaults[[:space:]]*secure_path.*#Defaults secure_path="/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/bin:/usr/local/sbin"#' /etc/sudoers
    ;;
  arch)
    without_apt && without_dnf && without_zypper && without_rpm && without_ufw && without_firewalld
    printf '[options]\nArchitecture = auto\nSigLevel = Never\n\n[fleet]\nServer = file://%s/pacman\n' "$repositories" >/etc/pacman.conf
    mkdir -p /var/lib/pacman
    pacman -U --noconfirm "$repositories"/pacman/filesystem-*.pkg.tar.gz "$repositories"/pacman/tzdata-2024a-*.pkg.tar.gz >/dev/null
    pacman -Sy >/dev/null
    # As Arch ships sudo: no path of its own.
    sed -i '/^Defaults[[:space:]]*secure_path/d' /etc/sudoers
    # As Arch ships nftables: a table that lets in ssh and drops the rest.
    install -m 644 "$here/nftables.conf" /etc/nftables.conf
    ;;
  alpine)
    without_dnf && without_zypper && without_rpm && without_pacman && without_ufw && without_firewalld && without_nftables
    sh "$here/openrc.sh"
    without_apt
    ;;
esac
[ "$family" = ubuntu ] || rm -f /etc/init.d/dbus /etc/init.d/ssh
[ "$family" = rocky ] || [ "$family" = opensuse ] || rm -rf "$repositories/rpm"
[ "$family" = arch ] || rm -rf "$repositories/pacman"
rm -rf /opt/fake-node/openrc
