#!/bin/sh
# A stand-in for the k3s install script (get.k3s.io), written from its
# documented environment and behaviour. It differs in one thing only: it
# installs the k3s stand-in. It runs under dash and busybox.
#
# Read from the environment:
#   INSTALL_K3S_VERSION CHANNEL CHANNEL_URL SKIP_DOWNLOAD SKIP_START SKIP_ENABLE FORCE_RESTART
#   EXEC NAME TYPE BIN_DIR BIN_DIR_READ_ONLY SYSTEMD_DIR SYMLINK SKIP_SELINUX_RPM SELINUX_WARN
#   ARTIFACT_URL, and every K3S_* (kept for the service)
set -e
set -o noglob

info() { echo "[INFO] " "$@"; }
warn() { echo "[WARN] " "$@" >&2; }
fatal() { echo "[ERROR] " "$@" >&2; exit 1; }

# Puts each argument in single quotes, so that it survives eval and a unit file.
quote() {
  for arg in "$@"; do
    printf '%s\n' "$arg" | sed "s/'/'\\\\''/g;1s/^/'/;\$s/\$/'/"
  done
}

# The same for ExecStart and OpenRC: one argument per line, with a line continuation.
quote_indent() {
  printf ' \\\n'
  for arg in "$@"; do
    printf '\t%s \\\n' "$(quote "$arg")"
  done
}

# INSTALL_K3S_EXEC is split at blanks as a shell splits it; what it holds must not act.
escape() { printf '%s' "$@" | sed -e 's/\([][!#$%&()*;<=>?\_`{|}]\)/\\\1/g;'; }

find_supervisor() {
  HAS_OPENRC=false HAS_SYSTEMD=false
  if [ -x /sbin/openrc-run ]; then HAS_OPENRC=true; return; fi
  if [ -x /bin/systemctl ] || type systemctl >/dev/null 2>&1; then HAS_SYSTEMD=true; return; fi
  fatal 'Can not find systemd or openrc to use as a process supervisor for k3s'
}

setup_env() {
  case "$1" in
    -* | "")
      if [ -z "$K3S_URL" ]; then
        CMD_K3S=server
      else
        if [ -z "$K3S_TOKEN" ] && [ -z "$K3S_TOKEN_FILE" ] && [ -z "$K3S_CLUSTER_SECRET" ]; then
          fatal "Defaulted k3s exec command to 'agent' because K3S_URL is defined, but K3S_TOKEN, K3S_TOKEN_FILE or K3S_CLUSTER_SECRET is not defined."
        fi
        CMD_K3S=agent
      fi
      ;;
    *)
      CMD_K3S=$1
      shift
      ;;
  esac
  case "$K3S_URL" in
    "" | https://*) ;;
    *) fatal "Only https:// URLs are supported for K3S_URL (have $K3S_URL)" ;;
  esac
  CMD_K3S_EXEC="$CMD_K3S$(quote_indent "$@")"

  if [ -n "$INSTALL_K3S_NAME" ]; then
    SYSTEM_NAME=k3s-$INSTALL_K3S_NAME
  elif [ "$CMD_K3S" = server ]; then
    SYSTEM_NAME=k3s
  else
    SYSTEM_NAME=k3s-$CMD_K3S
  fi
  case "$SYSTEM_NAME" in
    *[\]\[\!\#\$\%\&\(\)\*\;\<\=\>\?\_\`\{\|\}/\ ]*) fatal "Invalid characters for system name: $SYSTEM_NAME" ;;
  esac
  SYSTEMD_TYPE=${INSTALL_K3S_TYPE:-notify}
  case "$SYSTEMD_TYPE" in server | agent) SYSTEMD_TYPE=notify ;; esac

  SUDO=sudo
  if [ "$(id -u)" -eq 0 ]; then SUDO=; fi

  BIN_DIR=${INSTALL_K3S_BIN_DIR:-}
  if [ -z "$BIN_DIR" ]; then
    BIN_DIR=/usr/local/bin
    if ! $SUDO sh -c "touch $BIN_DIR/k3s-ro-test && rm -f $BIN_DIR/k3s-ro-test" 2>/dev/null && [ -d /opt/bin ]; then
      BIN_DIR=/opt/bin
    fi
  fi
  SYSTEMD_DIR=${INSTALL_K3S_SYSTEMD_DIR:-/etc/systemd/system}
  SERVICE_K3S=$SYSTEM_NAME.service
  UNINSTALL_SH=${UNINSTALL_K3S_SH:-$BIN_DIR/$SYSTEM_NAME-uninstall.sh}
  if [ "$SYSTEM_NAME" = k3s ]; then UNINSTALL_SH=$BIN_DIR/k3s-uninstall.sh; fi
  KILLALL_SH=$BIN_DIR/k3s-killall.sh
  if [ "$HAS_OPENRC" = true ]; then
    $SUDO mkdir -p /etc/rancher/k3s
    FILE_SERVICE=/etc/init.d/$SYSTEM_NAME
    FILE_ENV=/etc/rancher/k3s/$SYSTEM_NAME.env
  else
    FILE_SERVICE=$SYSTEMD_DIR/$SERVICE_K3S
    FILE_ENV=$SYSTEMD_DIR/$SERVICE_K3S.env
  fi
  if [ "$INSTALL_K3S_BIN_DIR_READ_ONLY" = true ]; then INSTALL_K3S_SKIP_DOWNLOAD=true; fi
  HASHES_BEFORE=$(installed_hashes)
  INSTALL_K3S_CHANNEL_URL=${INSTALL_K3S_CHANNEL_URL:-https://update.k3s.io/v1-release/channels}
  INSTALL_K3S_CHANNEL=${INSTALL_K3S_CHANNEL:-stable}
}

# What decides about a restart: binary, unit and environment.
installed_hashes() { $SUDO sha256sum "$BIN_DIR/k3s" "$FILE_SERVICE" "$FILE_ENV" 2>&1 || true; }

setup_arch() {
  case "${ARCH:=$(uname -m)}" in
    amd64 | x86_64) ARCH=amd64 SUFFIX= ;;
    arm64 | aarch64) ARCH=arm64 SUFFIX=-arm64 ;;
    s390x) ARCH=s390x SUFFIX=-s390x ;;
    arm*) ARCH=arm SUFFIX=-armhf ;;
    *) fatal "Unsupported architecture $ARCH" ;;
  esac
}

download() {
  case "$2" in
    # Not in the upstream script: lets tests install from a folder.
    file://*) cp "${2#file://}" "$1" || fatal "Download failed" ;;
    *)
      if type curl >/dev/null 2>&1; then
        curl -o "$1" -sfL "$2" || fatal 'Download failed'
      elif type wget >/dev/null 2>&1; then
        wget -qO "$1" "$2" || fatal 'Download failed'
      else
        fatal 'Can not find curl or wget for downloading files'
      fi
      ;;
  esac
}

resolve_version() {
  if [ -n "$INSTALL_K3S_VERSION" ]; then
    VERSION_K3S=$INSTALL_K3S_VERSION
  else
    info "Finding release for channel $INSTALL_K3S_CHANNEL"
    url="$INSTALL_K3S_CHANNEL_URL/$INSTALL_K3S_CHANNEL"
    if type curl >/dev/null 2>&1; then
      VERSION_K3S=$(curl -w '%{url_effective}' -L -s -S "$url" -o /dev/null | sed -e 's|.*/||') || fatal 'Download failed'
    else
      VERSION_K3S=$(wget -SqO /dev/null "$url" 2>&1 | grep -i Location | sed -e 's|.*/||') || fatal 'Download failed'
    fi
    [ -n "$VERSION_K3S" ] || fatal 'Download failed'
  fi
  info "Using $VERSION_K3S as release"
}

download_and_verify() {
  case "$INSTALL_K3S_SKIP_DOWNLOAD" in
    true | binary)
      info 'Skipping k3s download and verify'
      [ -x "$BIN_DIR/k3s" ] || fatal "Executable k3s binary not found at $BIN_DIR/k3s"
      return
      ;;
  esac
  setup_arch
  TMP_DIR=$(mktemp -d -t k3s-install.XXXXXXXXXX)
  trap 'code=$?; set +e; rm -rf "$TMP_DIR"; exit $code' INT EXIT
  resolve_version
  base="${INSTALL_K3S_ARTIFACT_URL:-https://github.com/k3s-io/k3s/releases/download}/$VERSION_K3S"
  info "Downloading hash $base/sha256sum-$ARCH.txt"
  download "$TMP_DIR/sums" "$base/sha256sum-$ARCH.txt"
  HASH_EXPECTED=$(grep " k3s$SUFFIX\$" "$TMP_DIR/sums" | cut -d' ' -f1)
  if [ -x "$BIN_DIR/k3s" ] && [ "$HASH_EXPECTED" = "$(sha256sum "$BIN_DIR/k3s" | cut -d' ' -f1)" ]; then
    info 'Skipping binary downloaded, installed k3s matches hash'
    return
  fi
  info "Downloading binary $base/k3s$SUFFIX"
  download "$TMP_DIR/k3s" "$base/k3s$SUFFIX"
  info 'Verifying binary download'
  HASH_BIN=$(sha256sum "$TMP_DIR/k3s" | cut -d' ' -f1)
  [ "$HASH_EXPECTED" = "$HASH_BIN" ] || fatal "Download sha256 does not match $HASH_EXPECTED, got $HASH_BIN"
  chmod 755 "$TMP_DIR/k3s"
  info "Installing k3s to $BIN_DIR/k3s"
  $SUDO chown root:root "$TMP_DIR/k3s"
  # A rename within one file system: the running binary is not "busy" then.
  $SUDO cp "$TMP_DIR/k3s" "$BIN_DIR/.k3s.new"
  $SUDO chmod 755 "$BIN_DIR/.k3s.new"
  $SUDO mv -f "$BIN_DIR/.k3s.new" "$BIN_DIR/k3s"
}

# On the RHEL family and SUSE k3s wants its SELinux policy.
setup_selinux() {
  case "$INSTALL_K3S_SKIP_DOWNLOAD" in true | selinux) skip=true ;; *) skip=$INSTALL_K3S_SKIP_SELINUX_RPM ;; esac
  family=
  if [ -r /etc/os-release ]; then family=$(. /etc/os-release; echo "$ID $ID_LIKE"); fi
  case " $family " in
    *" rhel "* | *" centos "* | *" fedora "* | *" rocky "* | *" almalinux "*) tool="yum install -y" ;;
    *" suse "* | *sles*) tool="zypper --gpg-auto-import-keys install -y" ;;
    *) return 0 ;;
  esac
  if [ "$skip" = true ] || [ ! -d /usr/share/selinux ]; then
    info 'Skipping installation of SELinux RPM'
  elif ! rpm -q k3s-selinux >/dev/null 2>&1; then
    $SUDO $tool k3s-selinux || true
  fi
  if ! $SUDO test -f /usr/share/selinux/packages/k3s.pp; then
    if [ -x /usr/sbin/selinuxenabled ] && /usr/sbin/selinuxenabled; then
      if [ "$INSTALL_K3S_SELINUX_WARN" = true ] || [ "$skip" = true ]; then
        warn "Failed to find the k3s-selinux policy, please install it"
      else
        fatal "Failed to find the k3s-selinux policy, please install it"
      fi
    fi
  fi
}

create_symlinks() {
  if [ "$INSTALL_K3S_BIN_DIR_READ_ONLY" = true ] || [ "$INSTALL_K3S_SYMLINK" = skip ]; then return; fi
  for cmd in kubectl crictl ctr; do
    if [ ! -e "$BIN_DIR/$cmd" ] || [ "$INSTALL_K3S_SYMLINK" = force ]; then
      which_cmd=$(command -v "$cmd" 2>/dev/null || true)
      if [ -z "$which_cmd" ] || [ "$INSTALL_K3S_SYMLINK" = force ]; then
        info "Creating $BIN_DIR/$cmd symlink to k3s"
        $SUDO ln -sf k3s "$BIN_DIR/$cmd"
      else
        info "Skipping $BIN_DIR/$cmd symlink to k3s, command exists in PATH at $which_cmd"
      fi
    else
      info "Skipping $BIN_DIR/$cmd symlink to k3s, already exists"
    fi
  done
}

create_killall() {
  [ "$INSTALL_K3S_BIN_DIR_READ_ONLY" = true ] && return
  info "Creating killall script $KILLALL_SH"
  $SUDO tee "$KILLALL_SH" >/dev/null <<'EOF'
#!/bin/sh
# Stops every k3s service of this host and what it left running.
[ "$(id -u)" -eq 0 ] || exec sudo "$0" "$@"
set -x
for unit in /etc/systemd/system/k3s*.service; do
  [ -s "$unit" ] && systemctl stop "$(basename "$unit")"
done
for script in /etc/init.d/k3s*; do
  [ -x "$script" ] && "$script" stop
done
# The stand-in starts no containers: what is left are servers and agents started by hand.
for proc in /proc/[0-9]*; do
  pid=${proc#/proc/}
  [ "$pid" = "$$" ] && continue
  exe=$(readlink "$proc/exe" 2>/dev/null) || continue
  case "$exe" in
    */k3s | */k3s\ \(deleted\))
      if tr '\0' ' ' <"$proc/cmdline" 2>/dev/null | grep -qE ' (server|agent)( |$)'; then kill -9 "$pid"; fi
      ;;
  esac
done
for net in cni0 flannel.1 flannel-v6.1 kube-ipvs0 flannel-wg flannel-wg-v6; do
  if [ -d "/sys/class/net/$net" ]; then ip link delete "$net"; fi
done
rm -rf /var/lib/cni/
if command -v iptables-save >/dev/null 2>&1 && iptables-save 2>/dev/null | grep -qE 'KUBE-|CNI-|flannel'; then
  iptables-save | grep -v KUBE- | grep -v CNI- | grep -iv flannel | iptables-restore
fi
exit 0
EOF
  $SUDO chmod 755 "$KILLALL_SH"
  $SUDO chown root:root "$KILLALL_SH"
}

create_uninstall() {
  [ "$INSTALL_K3S_BIN_DIR_READ_ONLY" = true ] && return
  info "Creating uninstall script $UNINSTALL_SH"
  $SUDO tee "$UNINSTALL_SH" >/dev/null <<EOF
#!/bin/sh
# Removes the k3s service $SYSTEM_NAME, its data and its configuration.
set -x
[ "\$(id -u)" -eq 0 ] || exec sudo "\$0" "\$@"
$KILLALL_SH
if command -v systemctl; then
  systemctl disable $SYSTEM_NAME
  systemctl reset-failed $SYSTEM_NAME
  systemctl daemon-reload
fi
if command -v rc-update; then
  rc-update delete $SYSTEM_NAME default
fi
rm -f $FILE_SERVICE
rm -f $FILE_ENV
remove_self() { rm -f $UNINSTALL_SH; }
trap remove_self EXIT
if (ls $SYSTEMD_DIR/k3s*.service || ls /etc/init.d/k3s*) >/dev/null 2>&1; then
  set +x
  echo 'Additional k3s services installed, skipping uninstall of k3s'
  exit 0
fi
for cmd in kubectl crictl ctr; do
  if [ -L $BIN_DIR/\$cmd ]; then rm -f $BIN_DIR/\$cmd; fi
done
rm -rf /etc/rancher/k3s
rm -rf /run/k3s
rm -rf /run/flannel
rm -rf \${K3S_DATA_DIR:-/var/lib/rancher/k3s}
rm -rf /var/lib/kubelet
rm -f $BIN_DIR/k3s
rm -f $KILLALL_SH
if type yum >/dev/null 2>&1 && rpm -q k3s-selinux >/dev/null 2>&1; then
  yum remove -y k3s-selinux
elif type zypper >/dev/null 2>&1 && rpm -q k3s-selinux >/dev/null 2>&1; then
  zypper remove -y k3s-selinux
fi
exit 0
EOF
  $SUDO chmod 755 "$UNINSTALL_SH"
  $SUDO chown root:root "$UNINSTALL_SH"
}

# An earlier installation's unit goes first: it may lie elsewhere.
disable_old() {
  if [ "$HAS_SYSTEMD" = true ]; then
    $SUDO systemctl disable "$SYSTEM_NAME" >/dev/null 2>&1 || true
    $SUDO rm -f "/etc/systemd/system/$SERVICE_K3S" "/etc/systemd/system/$SERVICE_K3S.env" || true
  fi
}

create_env_file() {
  info "env: Creating environment file $FILE_ENV"
  $SUDO touch "$FILE_ENV"
  $SUDO chmod 0600 "$FILE_ENV"
  sh -c export | while read -r _ v; do echo "$v"; done | grep -E '^(K3S|CONTAINERD)_' | $SUDO tee "$FILE_ENV" >/dev/null || true
  sh -c export | while read -r _ v; do echo "$v"; done | grep -Ei '^(NO|HTTP|HTTPS)_PROXY' | $SUDO tee -a "$FILE_ENV" >/dev/null || true
}

create_systemd_service() {
  info "systemd: Creating service file $FILE_SERVICE"
  $SUDO tee "$FILE_SERVICE" >/dev/null <<EOF
[Unit]
Description=Lightweight Kubernetes
Documentation=https://k3s.io
Wants=network-online.target
After=network-online.target

[Install]
WantedBy=multi-user.target

[Service]
Type=$SYSTEMD_TYPE
EnvironmentFile=-/etc/default/%N
EnvironmentFile=-/etc/sysconfig/%N
EnvironmentFile=-$FILE_ENV
KillMode=process
Delegate=yes
User=root
# Having non-zero Limit*s causes performance problems due to accounting overhead
# in the kernel. We recommend using cgroups to do container-local accounting.
LimitNOFILE=1048576
LimitNPROC=infinity
LimitCORE=infinity
TasksMax=infinity
TimeoutStartSec=0
Restart=always
RestartSec=5s
ExecStartPre=-/sbin/modprobe br_netfilter
ExecStartPre=-/sbin/modprobe overlay
ExecStart=$BIN_DIR/k3s \\
    $CMD_K3S_EXEC

EOF
}

create_openrc_service() {
  log=/var/log/$SYSTEM_NAME.log
  info "openrc: Creating service file $FILE_SERVICE"
  $SUDO tee "$FILE_SERVICE" >/dev/null <<EOF
#!/sbin/openrc-run

depend() {
    after network-online
    want cgroups
}

start_pre() {
    rm -f /tmp/k3s.*
}

supervisor=supervise-daemon
name=$SYSTEM_NAME
command="$BIN_DIR/k3s"
command_args="$(escape_double "$CMD_K3S_EXEC")
    >>$log 2>&1"

output_log=$log
error_log=$log

pidfile="/var/run/$SYSTEM_NAME.pid"
respawn_delay=5
respawn_max=0

set -o allexport
if [ -f /etc/environment ]; then . /etc/environment; fi
if [ -f $FILE_ENV ]; then . $FILE_ENV; fi
set +o allexport
EOF
  $SUDO chmod 0755 "$FILE_SERVICE"
  $SUDO tee "/etc/logrotate.d/$SYSTEM_NAME" >/dev/null 2>&1 <<EOF || true
$log {
	missingok
	notifempty
	copytruncate
}
EOF
}

escape_double() { printf '%s\n' "$@" | sed -e 's/"/\\"/g'; }

enable_and_start() {
  if ! grep -q '^memory[[:space:]].*1$' /proc/cgroups 2>/dev/null && [ ! -e /sys/fs/cgroup/cgroup.controllers ]; then
    info 'Failed to find memory cgroup, you may need to add "cgroup_memory=1 cgroup_enable=memory" to your linux cmdline (/boot/cmdline.txt on a Raspberry Pi)'
  fi
  [ "$INSTALL_K3S_SKIP_ENABLE" = true ] && return
  if [ "$HAS_SYSTEMD" = true ]; then
    info "systemd: Enabling $SYSTEM_NAME unit"
    $SUDO systemctl enable "$FILE_SERVICE" >/dev/null
    $SUDO systemctl daemon-reload >/dev/null
  else
    info "openrc: Enabling $SYSTEM_NAME service for default runlevel"
    $SUDO rc-update add "$SYSTEM_NAME" default >/dev/null
  fi
  [ "$INSTALL_K3S_SKIP_START" = true ] && return
  if [ "$HASHES_BEFORE" = "$(installed_hashes)" ] && [ "$INSTALL_K3S_FORCE_RESTART" != true ]; then
    info 'No change detected so skipping service start'
    return
  fi
  if [ "$HAS_SYSTEMD" = true ]; then
    info "systemd: Starting $SYSTEM_NAME"
    # Waits for READY=1: with an agent that cannot join, for ever.
    $SUDO systemctl restart "$SYSTEM_NAME"
  else
    info "openrc: Starting $SYSTEM_NAME"
    $SUDO "$FILE_SERVICE" restart
  fi
}

eval set -- $(escape "$INSTALL_K3S_EXEC") $(quote "$@")

find_supervisor
setup_env "$@"
download_and_verify
setup_selinux
create_symlinks
create_killall
create_uninstall
disable_old
create_env_file
if [ "$HAS_SYSTEMD" = true ]; then create_systemd_service; else create_openrc_service; fi
enable_and_start
