#!/bin/sh
# build.sh OUT_DIR [VERSION…]
#
# Builds the k3s stand-in as releases of k3s look:
#   OUT_DIR/<version>/{k3s,k3s-arm64,k3s-armhf,sha256sum-<arch>.txt,install.sh,k3s-airgap-images-<arch>.tar.zst}
# A version whose sources have not changed is not built again.
# Needs Go 1.19 or newer (Debian: apt-get install --no-install-recommends golang-go).
#
# The binary of this machine's architecture is real. Those of the others are
# copies marked as such in their ELF header: they differ, they have their own
# checksums, and they do not run here. K3S_STANDIN_CROSS=1 builds real ones.
set -eu

[ $# -ge 1 ] || { echo "usage: build.sh OUT_DIR [VERSION…]" >&2; exit 64; }
out=$1
shift
[ $# -gt 0 ] || set -- v1.32.8+k3s1 v1.33.4+k3s1 v1.33.5+k3s1 v1.34.1+k3s1

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
mkdir -p "$out"
out=$(CDPATH='' cd -- "$out" && pwd)

sources=$(cd "$here" && cat build.sh install.sh go.mod ./*.go manifests/*.yaml | sha256sum | cut -c1-32)
sources=$sources${K3S_STANDIN_CROSS:-}

todo=
for v in "$@"; do
  [ "$(cat "$out/$v/.sources" 2>/dev/null || true)" = "$sources" ] || todo="$todo $v"
done
[ -n "$todo" ] || exit 0

if ! command -v go >/dev/null 2>&1; then
  echo "build.sh: Go is missing. On Debian: apt-get install -y --no-install-recommends golang-go" >&2
  exit 69
fi

# One build at a time; whoever waited finds the work done.
if command -v flock >/dev/null 2>&1 && [ -z "${K3S_STANDIN_LOCKED:-}" ]; then
  K3S_STANDIN_LOCKED=1
  export K3S_STANDIN_LOCKED
  exec flock "$out/.lock" "$here/build.sh" "$out" "$@"
fi

compile() { # compile GOARCH VERSION FILE
  (cd "$here" && CGO_ENABLED=0 GOARCH=$1 GOARM=7 GOPROXY=off GOFLAGS=-mod=mod go build -trimpath \
    -ldflags "-s -w -X main.version=$2 -X main.commit=$(printf %s "$2" | sha256sum | cut -c1-8)" -o "$3" .)
}

# A copy of the binary with another machine in bytes 18 and 19 of its ELF header.
relabel() { # relabel FROM TO OCTAL
  cp "$1" "$2"
  printf "$3" | dd of="$2" bs=1 seek=18 conv=notrunc 2>/dev/null
}

native=$(go env GOARCH)

for v in $todo; do
  dir=$out/$v
  tmp=$out/.$v.tmp
  rm -rf "$tmp"
  mkdir -p "$tmp"
  case $native in amd64) file=k3s ;; arm64) file=k3s-arm64 ;; arm) file=k3s-armhf ;; *) file=k3s-$native ;; esac
  compile "$native" "$v" "$tmp/$file"
  for pair in amd64:k3s:'\076\000' arm64:k3s-arm64:'\267\000' arm:k3s-armhf:'\050\000'; do
    arch=${pair%%:*} rest=${pair#*:}
    name=${rest%%:*} code=${rest#*:}
    if [ "$arch" != "$native" ]; then
      if [ -n "${K3S_STANDIN_CROSS:-}" ]; then compile "$arch" "$v" "$tmp/$name"; else relabel "$tmp/$file" "$tmp/$name" "$code"; fi
    fi
    # A small archive in the place of the images.
    mkdir -p "$tmp/images"
    printf '[{"Config":"%s","RepoTags":["docker.io/rancher/mirrored-pause:3.6"],"Layers":[]}]\n' "$arch" >"$tmp/images/manifest.json"
    printf 'docker.io/rancher/mirrored-pause:3.6\n' >"$tmp/k3s-images.txt"
    tar -C "$tmp/images" --sort=name --owner=0 --group=0 --mtime=@0 -cf "$tmp/images.tar" manifest.json
    images=k3s-airgap-images-$arch.tar
    gzip -nc "$tmp/images.tar" >"$tmp/$images.gz"
    zstd -q -f "$tmp/images.tar" -o "$tmp/$images.zst"
    (cd "$tmp" && sha256sum "$name" "$images".* >"sha256sum-$arch.txt")
    rm -rf "$tmp/images" "$tmp/images.tar"
  done
  cp "$here/install.sh" "$tmp/install.sh"
  chmod 755 "$tmp/install.sh"
  echo "$sources" >"$tmp/.sources"
  rm -rf "$dir"
  mv "$tmp" "$dir"
  echo "built $dir" >&2
done
