import { Type } from '@sinclair/typebox';
import { sh } from '../core/shell.ts';
import type { Action } from '../engine/action.ts';
import { ask, askControl } from '../engine/fact.ts';
import { change, defineStep, type HostView, type Plan, unchanged } from '../engine/step.ts';
import { type AirgapFile, airgapFolder, baseName, chartsIn, noAirgapFolder } from '../facts/airgap-folder.ts';
import { type AirgapInspection, airgapInspection, nothingInspected } from '../facts/airgap-inspection.ts';
import { type FileDigests, fileDigests } from '../facts/file-digests.ts';
import { carriedBy } from './airgap-needs.ts';
import { k3sNode } from './k3s-node.ts';

interface Seen {
  readonly folder: readonly AirgapFile[];
  readonly inspection: AirgapInspection;
  readonly there: FileDigests;
}

/**
 * The API of a server hands out what stands there, to anybody in the cluster. What the folder has no more stays: a HelmChart that
 * was applied may ask for it again.
 * @see https://docs.k3s.io/helm#customizing-packaged-components-with-helmchartconfig
 */
export const k3sChartsStep = defineStep<ReturnType<typeof Type.Object>, Seen>({
  name: 'k3s_charts',
  summary:
    'The Helm charts of airgap_dir stand in server/static/charts, where a HelmChart has them from: `chart: https://%{KUBERNETES_API}%/static/charts/NAME.tgz`.',
  args: Type.Object({}, { additionalProperties: false }),
  examples: ['- k3s_charts:\n'],
  look(_args, host) {
    const { airgapDir } = k3sNode(host).settings;
    return {
      folder: askControl(airgapDir === undefined ? noAirgapFolder : airgapFolder(airgapDir)),
      inspection: askControl(airgapDir === undefined ? nothingInspected : airgapInspection(airgapDir)),
      there: ask(fileDigests(placeOf(host))),
    };
  },
  plan(seen, _args, host): Plan<Seen> {
    const node = k3sNode(host);
    const charts = chartsIn(seen.folder).map((file) => ({
      ...file,
      sha256: seen.inspection.files.get(file.name)?.sha256 ?? '',
    }));
    if (node.role !== 'server' || charts.length === 0) return unchanged('there are no charts for this node');
    const names = charts.map(baseName);
    const wrong = charts.filter((file) => seen.there.get(baseName(file)) !== file.sha256);
    if (wrong.length === 0) return unchanged(`${names.join(', ')} are in place`);
    const place = placeOf(host);
    const uploads = wrong.map(
      (file): Action => ({
        kind: 'upload',
        source: { from: 'file', path: file.path, sha256: file.sha256 },
        path: `${place}/${baseName(file)}`,
        mode: '0644',
        owner: 'root',
        group: 'root',
        ...carriedBy(node, host),
      }),
    );
    return change(
      `${wrong.map(baseName).join(', ')} not there, or different`,
      [{ kind: 'run', what: `make ${place}`, script: sh`mkdir -p ${place}` }, ...uploads],
      {
        after: {
          there: new Map([...seen.there, ...wrong.map((file) => [baseName(file), file.sha256] as const)]),
        },
      },
    );
  },
});

function placeOf(host: HostView): string {
  return `${k3sNode(host).settings.k3sServerLocation}/server/static/charts`;
}
