import { Type } from '@sinclair/typebox';
import { sh } from '../core/shell.ts';
import { ask } from '../engine/fact.ts';
import { change, defineStep, type Plan, refuse, unchanged } from '../engine/step.ts';
import { type InUse, inUse } from '../facts/k3s-in-use.ts';
import { oldTokensFolder } from '../facts/k3s-old-tokens.ts';
import { type ServerData, serverData } from '../facts/k3s-server-data.ts';
import { rotationMarker, type TokenRotation, tokenRotation } from '../facts/k3s-token-rotation.ts';
import { binaryPath, defaultDataFolder } from '../k3s/paths.ts';
import { httpsUrl, k3sNode } from './k3s-node.ts';

interface Seen {
  readonly data: ServerData;
  readonly service: InUse;
  readonly rotation: TokenRotation;
}

/**
 * k3s makes the new token itself: given by `--new-token` it would stand in a command line for all to read. The marker
 * says that a rotation is under way, so that whoever comes back after a broken-off run hands out the token that is
 * there and does not make a third one.
 * @see https://docs.k3s.io/cli/token#k3s-token-rotate
 */
export const k3sTokenRotationStep = defineStep<ReturnType<typeof Type.Object>, Seen>({
  name: 'k3s_token_rotation',
  summary:
    'The cluster has a new token, made by k3s; this server knows it, and keeps the old one for the snapshots that need it. Begun once: until `k3s_token_rotation_end` it stays at this token.',
  args: Type.Object({}, { additionalProperties: false }),
  examples: ['- k3s_token_rotation:\n'],
  look(_args, host) {
    const { role, settings } = k3sNode(host);
    return {
      data: ask(serverData(settings.k3sServerLocation)),
      service: ask(inUse(role, settings.systemdDir)),
      rotation: ask(tokenRotation(settings.k3sServerLocation)),
    };
  },
  plan(seen, _args, host): Plan<Seen> {
    const { settings } = k3sNode(host);
    const folder = settings.k3sServerLocation;
    if (seen.rotation === 'rotated') return unchanged('the token was rotated, and is being handed out');
    if (seen.data.token === undefined || seen.service.state !== 'active') {
      return refuse(`k3s does not run on ${host.name}`, 'Bring the servers up first: fleet start.');
    }
    const where = folder === defaultDataFolder ? [] : ['--data-dir', folder];
    const server = settings.apiPort === 6443 ? [] : ['--server', httpsUrl('127.0.0.1', settings.apiPort)];
    const marker = rotationMarker(folder);
    const old = oldTokensFolder(folder);
    return change(
      'a new token is asked for',
      [
        {
          kind: 'run',
          what: 'have k3s make a new token; the old one is kept for the snapshots that need it',
          survives: true,
          deadlineMs: 120_000,
          // A rotation that the marker of an earlier attempt does not know to be over is over where the token is another one.
          script: sh`umask 077; set -e
mkdir -p ${old}
if [ -e ${marker} ]; then kept=$(head -n 1 ${marker}); else
  kept=${old}/$(date +%s); cp ${folder}/server/token "$kept"; echo "$kept" > ${marker}
fi
if cmp -s "$kept" ${folder}/server/token; then
  unset K3S_TOKEN K3S_URL
  ${binaryPath} token rotate ${where} ${server} > /dev/null || { rm -f "$kept" ${marker}; exit 1; }
fi
if cmp -s "$kept" ${folder}/server/token; then echo 'k3s left the old token in place' >&2; exit 1; fi
echo rotated >> ${marker}`,
        },
      ],
      {
        touches: ['k3s:server-data:*', 'k3s:old-tokens:*'],
        after: { rotation: 'rotated' },
      },
    );
  },
});
