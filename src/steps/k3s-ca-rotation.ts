import { Type } from '@sinclair/typebox';
import { type ShellScript, sh } from '../core/shell.ts';
import type { Action } from '../engine/action.ts';
import { ask, askControl } from '../engine/fact.ts';
import { change, defineStep, type Plan, refuse, unchanged } from '../engine/step.ts';
import { type CaRotation, caRotation, caRotationFolder } from '../facts/k3s-ca-rotation.ts';
import { type InUse, inUse } from '../facts/k3s-in-use.ts';
import { noOwnAuthorities, type OwnAuthorities, ownAuthorities } from '../facts/own-authorities.ts';
import { tokenHashOf } from '../k3s/authorities.ts';
import { binaryPath, defaultDataFolder } from '../k3s/paths.ts';
import { optional, text } from './arguments.ts';
import { k3sNode } from './k3s-node.ts';
import { ownAuthoritiesWritten, rootsFile } from './k3s-own-authorities.ts';

const args = Type.Object(
  {
    path: optional(
      text(
        'A folder of this machine with the authorities to take, in the files that k3s documents. Default: the server makes them.',
      ),
    ),
  },
  { additionalProperties: false },
);

interface Seen {
  readonly service: InUse;
  readonly rotation: CaRotation;
  readonly own: OwnAuthorities | undefined;
}

/** As long as k3s's own example makes them; those that k3s makes itself last ten years. */
const validDays = 7300;

/**
 * The topology that k3s documents for its own authorities: a new root that signs itself and that the old root signs too,
 * and below it the one that signs certificates. Who trusts the old root trusts what it signs, until the old root ends.
 * Keys are made on the server and leave it only with the datastore, where k3s keeps them encrypted.
 * @see https://docs.k3s.io/cli/certificate#rotating-self-signed-ca-certificates
 */
export const k3sCaRotationStep = defineStep<typeof args, Seen>({
  name: 'k3s_ca_rotation',
  summary:
    'The cluster has new certificate authorities in its datastore, signed by the old ones or those of `path`, for servers that are started from here on; `server/token` of this server names the new one. Begun once: until `k3s_ca_rotation_end` it stays at these.',
  args,
  examples: ['- k3s_ca_rotation:\n', '- k3s_ca_rotation: {path: /home/me/ca}\n'],
  look({ path }, host) {
    const { role, settings } = k3sNode(host);
    return {
      service: ask(inUse(role, settings.systemdDir)),
      rotation: ask(caRotation(settings.k3sServerLocation)),
      own: askControl(path === undefined ? noOwnAuthorities : ownAuthorities([path])),
    };
  },
  plan({ service, rotation, own }, _args, host): Plan<Seen> {
    const { settings } = k3sNode(host);
    const folder = settings.k3sServerLocation;
    if (rotation === 'loaded')
      return unchanged('the new authorities are in the datastore, and on their way to the nodes');
    if (service.state !== 'active')
      return refuse(`k3s does not run on ${host.name}`, 'Bring the servers up first: fleet start.');
    const make: Action = {
      kind: 'run',
      what: 'make new authorities, signed by the old ones',
      survives: true,
      deadlineMs: 120_000,
      script: madeScript(folder),
    };
    const load = {
      kind: 'run',
      what: 'have k3s check them and put them into the datastore',
      survives: true,
      deadlineMs: 120_000,
      script: loadedScript(folder),
    } as const satisfies Action;
    if (own !== undefined) {
      return change(
        `the cluster is to have the authorities of ${own.folder}`,
        [...stagedAnew(own, folder), load],
        { touches: ['k3s:server-data:*', 'k3s:authorities:*'], after: { rotation: 'loaded' } },
      );
    }
    return change(
      rotation === 'made'
        ? 'the new authorities are made, and not in the datastore yet'
        : 'new authorities are asked for',
      rotation === 'made' ? [load] : [make, load],
      { touches: ['k3s:server-data:*'], after: { rotation: 'loaded' } },
    );
  },
});

/**
 * Nothing of an earlier attempt stays: k3s would take what is there for a part of these. They do not count as `made`, for
 * what k3s has refused must not be what a run without the folder goes on with.
 */
function stagedAnew(own: OwnAuthorities, folder: string): readonly [Action, ...Action[]] {
  const staged = caRotationFolder(folder);
  const service = `${folder}/server/tls/service.key`;
  const root = own.authorities.get('server-ca')?.root;
  return [
    { kind: 'remove', path: staged, recursive: true },
    ...ownAuthoritiesWritten(own, `${staged}/tls`),
    // Signs what pods prove themselves with; another one is another matter.
    {
      kind: 'run',
      what: 'keep the key of service accounts',
      script: sh`umask 077; if [ -r ${service} ]; then cp ${service} ${`${staged}/tls/service.key`}; fi`,
    },
    rootsFile(`${staged}/root.sha256`, `${root === undefined ? '' : tokenHashOf(root)}\n`),
  ];
}

/** With openssl alone, and without its CA database, which needs a folder of its own. */
function madeScript(folder: string): ShellScript {
  const staged = caRotationFolder(folder);
  return sh`umask 077; set -e
command -v openssl > /dev/null || { echo 'openssl is not installed' >&2; exit 1; }
rm -rf ${staged}; mkdir -p ${`${staged}/tls/etcd`} ${`${staged}/work/etcd`}
cd ${`${staged}/work`}
cat > extensions <<'END'
[req]
distinguished_name = name
[name]
[authority]
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid:always
basicConstraints = critical, CA:true
keyUsage = critical, digitalSignature, keyEncipherment, keyCertSign
END
now=$(date +%s)
# The last certificate and key of a bundle are its root's: of what k3s made itself, and of what an earlier rotation left.
first() { sed -n '1,/-----END /p' "$1"; }
second() { awk '/-----BEGIN /{n++} n==2' "$1"; }
sign() { openssl x509 -req -sha256 -days ${String(validDays)} -set_serial "0x$(openssl rand -hex 8)" -extfile extensions -extensions authority "$@"; }
for type in server-ca client-ca request-header-ca etcd/peer-ca etcd/server-ca; do
  was=${`${folder}/server/tls`}/$type
  [ -r "$was.crt" ] && [ -r "$was.key" ] || { echo "$was.crt or its key is not there" >&2; exit 1; }
  if [ "$(grep -c 'BEGIN CERTIFICATE' "$was.crt")" -gt 1 ]; then
    second "$was.crt" > "$type-old.pem"; second "$was.key" > "$type-old.key"
  else first "$was.crt" > "$type-old.pem"; cat "$was.key" > "$type-old.key"; fi
  openssl x509 -in "$type-old.pem" -noout -pubkey > old.pub
  openssl pkey -in "$type-old.key" -pubout 2> /dev/null | cmp -s - old.pub ||
    { echo "the root of $was.crt has no key here: its authorities were not made by k3s, and are rotated by hand" >&2; exit 1; }
  name=k3s-$(echo "$type" | tr / -)
  openssl ecparam -name prime256v1 -genkey -noout -out "$type-root.key"
  openssl req -x509 -new -sha256 -days ${String(validDays)} -subj "/CN=$name-root@$now" -key "$type-root.key" -config extensions -extensions authority -out "$type-root.pem"
  openssl req -new -subj "/CN=$name-root@$now" -key "$type-root.key" -config extensions > request
  sign -in request -CA "$type-old.pem" -CAkey "$type-old.key" -out "$type-crossed.pem"
  openssl ecparam -name prime256v1 -genkey -noout -out "$type.key"
  openssl req -new -subj "/CN=$name@$now" -key "$type.key" -config extensions > request
  sign -in request -CA "$type-root.pem" -CAkey "$type-root.key" -out "$type.pem"
  cat "$type.pem" "$type-root.pem" "$type-crossed.pem" "$type-old.pem" > "../tls/$type.crt"
  cat "$type.key" "$type-root.key" > "../tls/$type.key"
done
# Signs what pods prove themselves with: another one is another matter.
if [ -r ${`${folder}/server/tls/service.key`} ]; then cp ${`${folder}/server/tls/service.key`} ../tls/service.key; fi
openssl x509 -in server-ca-root.pem -outform DER | sha256sum | cut -d ' ' -f 1 > ../root.sha256
cd ..; rm -rf work; touch made; sync`;
}

/**
 * From here on the token names the new root, as k3s will write it at its next start: so that this node too is given it
 * before that start. What k3s writes then counts.
 */
function loadedScript(folder: string): ShellScript {
  const staged = caRotationFolder(folder);
  const where = folder === defaultDataFolder ? [] : ['--data-dir', folder];
  const token = `${folder}/server/token`;
  return sh`umask 077; set -e
unset K3S_TOKEN K3S_URL
${binaryPath} certificate rotate-ca ${where} --path=${staged}
sed "s/^K10[0-9a-f]*::/K10$(cat ${`${staged}/root.sha256`})::/" ${token} > ${`${token}.fleet-new`}
mv ${`${token}.fleet-new`} ${token}
touch ${`${staged}/loaded`}; sync`;
}
