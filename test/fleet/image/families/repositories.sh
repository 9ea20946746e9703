#!/bin/sh
# Builds the packages that nodes of these families may be asked to install, and repositories of them for dnf, zypper and
# pacman. Real packages in real repositories; there is little in them.
set -eu

repositories=/opt/fake-node/repositories
mkdir -p "$repositories/rpm" "$repositories/pacman" /etc/rpm

# Debian's rpm keeps its database in HOME; the distributions that it plays here do not.
echo '%_dbpath /var/lib/rpm' >/etc/rpm/macros
mkdir -p /var/lib/rpm && rpm --initdb

# name version requires file
packages='filesystem 3.16 - -
system-release 1.0 - -
tzdata 2024a - -
tzdata 2025b - -
kernel-modules-extra 5.14.0 - -
apparmor-parser 3.0.4 - -
chrony 4.5 - /usr/sbin/chronyd
selinux-policy 38.1.45 - -
selinux-policy-targeted 38.1.45 selinux-policy -
container-selinux 2.232.1 selinux-policy /usr/share/selinux/packages/container.pp
k3s-selinux 1.6 container-selinux /usr/share/selinux/packages/k3s.pp'

build=$(mktemp -d)
printf '%s\n' "$packages" | while read -r name version requires file; do
  {
    printf 'Name: %s\nVersion: %s\nRelease: 1\nSummary: a package of the fake nodes\nLicense: none\nBuildArch: noarch\n' "$name" "$version"
    [ "$requires" = - ] || printf 'Requires: %s\n' "$requires"
    printf '%%description\nA package of the fake nodes.\n'
    [ "$file" = - ] || printf '%%install\nmkdir -p %%{buildroot}%s\necho %s >%%{buildroot}%s\n' "$(dirname "$file")" "$name" "$file"
    printf '%%files\n'
    [ "$file" = - ] || echo "$file"
  } >"$build/$name.spec"
  rpmbuild -bb --define "_rpmdir $build/rpm" --define "_topdir $build/top" "$build/$name.spec" >"$build/log" 2>&1 || {
    cat "$build/log" >&2
    exit 1
  }
done
mv "$build"/rpm/noarch/*.rpm "$repositories/rpm/"
createrepo_c -q "$repositories/rpm"

printf '%s\n' "$packages" | grep -v selinux | while read -r name version _ _; do
  rm -rf "$build/pkg" && mkdir "$build/pkg"
  printf 'pkgname = %s\npkgbase = %s\npkgver = %s-1\npkgdesc = a package of the fake nodes\narch = any\nsize = 0\n' \
    "$name" "$name" "$version" >"$build/pkg/.PKGINFO"
  file=$name-$version-1-any.pkg.tar.gz
  bsdtar -C "$build/pkg" -czf "$repositories/pacman/$file" .PKGINFO
  # The database as repo-add writes it (Debian's needs makepkg, and that half a tool chain): the newest of each name.
  rm -rf "$build/db/$name"-[0-9]* && mkdir -p "$build/db/$name-$version-1"
  printf '%%FILENAME%%\n%s\n\n%%NAME%%\n%s\n\n%%VERSION%%\n%s-1\n\n%%ARCH%%\nany\n\n%%CSIZE%%\n%s\n\n%%ISIZE%%\n0\n\n%%SHA256SUM%%\n%s\n' \
    "$file" "$name" "$version" "$(stat -c %s "$repositories/pacman/$file")" "$(sha256sum <"$repositories/pacman/$file" | cut -d ' ' -f 1)" \
    >"$build/db/$name-$version-1/desc"
done
(cd "$build/db" && bsdtar -czf "$repositories/pacman/fleet.db" -- *)
rm -rf "$build"
