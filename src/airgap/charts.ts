import { homedir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { FleetError } from '../core/errors.ts';
import { readNamedFile } from '../core/readable.ts';
import { Secret } from '../core/secret.ts';
import { Web, type WebOptions } from '../engine/web.ts';
import type { BundleFile } from '../facts/airgap-bundle.ts';
import { parseImageName } from './image-name.ts';
import { type PullPlace, pullFile, refuseTwice, settled } from './pull-place.ts';
import { hexOf, type Registries } from './registry.ts';
import { type Password, passwordAccess } from './registry-access.ts';

/** A Helm chart, and where it is. */
export type ChartWish = {
  readonly name: string;
  readonly version: string;
} & (
  | /** The repository of an OCI registry, without `oci://`. */ { readonly oci: string }
  | /** The folder with index.yaml. */ { readonly repository: string }
  | /** What `helm repo add` called it. */ { readonly alias: string }
);

/** Lists of public repositories reach twenty. */
const largestIndexBytes = 128 * 1024 * 1024;
const chartLayer = 'application/vnd.cncf.helm.chart.content.v1.tar+gzip';

/** `oci://HOST/PATH/NAME@VERSION`, `https://HOST/PATH/NAME@VERSION` or `ALIAS/NAME@VERSION`. @throws FleetError CHART_NAME */
export function parseChart(text: string): ChartWish {
  const [, place = '', name = '', version = ''] = /^(.+)\/([A-Za-z0-9][\w.-]*)@([\w.+-]+)$/.exec(text) ?? [];
  const isUrl = /^https?:\/\/[^/@]+/.test(place);
  if (place.startsWith('oci://')) return { name, version, oci: `${place.slice('oci://'.length)}/${name}` };
  if (isUrl) return { name, version, repository: place };
  if (place !== '' && !/[:/]/.test(place)) return { name, version, alias: place };
  throw new FleetError({
    code: 'CHART_NAME',
    message: `${JSON.stringify(text)} names no chart with its version`,
    fix: 'Write for example https://charts.example.org/stable/traefik@27.0.2, oci://registry.example.org/charts/traefik@27.0.2, or REPO/traefik@27.0.2 with a REPO of helm repo list.',
    blame: 'usage',
  });
}

/** Fetches charts into the folder charts/, each by the sum that its repository publishes. @throws FleetErrors */
export async function pullCharts(
  charts: readonly ChartWish[],
  registries: Registries,
  options: WebOptions,
  place: PullPlace,
): Promise<readonly BundleFile[]> {
  refuseTwice(charts.map(pathOf));
  return settled(
    charts.map((chart) =>
      'oci' in chart ? fromRegistry(chart, registries, place) : fromRepository(chart, options, place),
    ),
  );
}

function pathOf({ name, version }: ChartWish): string {
  return `charts/${name}-${version}.tgz`;
}

/** @see https://helm.sh/docs/topics/registries/ */
async function fromRegistry(
  chart: ChartWish & { readonly oci: string },
  registries: Registries,
  place: PullPlace,
): Promise<BundleFile> {
  // A tag cannot hold the plus of a version: helm writes an underscore.
  const image = parseImageName(`${chart.oci}:${chart.version.replaceAll('+', '_')}`);
  const { repository, manifest } = await place.limit(() => registries.find(image));
  const layer = manifest.content.layers?.find(({ mediaType }) => mediaType === chartLayer);
  if (layer === undefined)
    throw wrong(`${repository.url} is no Helm chart`, 'Check the name; images go under --images.');
  const path = pathOf(chart);
  const sha256 = hexOf(layer.digest);
  const sizeBytes = await pullFile(place, path, sha256, (target, onBytes) =>
    repository.blob(layer.digest, target, onBytes),
  );
  return { path, kind: 'chart', digest: manifest.digest, sizeBytes, sha256, origin: repository.url };
}

/** @see https://helm.sh/docs/topics/chart_repository/#the-index-file */
async function fromRepository(
  chart: ChartWish & ({ readonly repository: string } | { readonly alias: string }),
  options: WebOptions,
  place: PullPlace,
): Promise<BundleFile> {
  const { url, credentials, caFile } =
    'alias' in chart
      ? await helmRepository(chart.alias)
      : { url: chart.repository, credentials: undefined, caFile: undefined };
  const web = new Web({
    ...options,
    caFiles: [...(options.caFiles ?? []), ...(caFile === undefined ? [] : [caFile])],
  });
  const access = credentials === undefined ? undefined : passwordAccess(credentials);
  const indexUrl = `${url.replace(/\/+$/, '')}/index.yaml`;
  const text = await place.limit(() =>
    web.text(indexUrl, { largestBytes: largestIndexBytes, ...(access === undefined ? {} : { access }) }),
  );
  const entry = entryIn(text, indexUrl, chart);
  const from = new URL(entry.url, indexUrl);
  // The password is the repository's; a chart may lie anywhere.
  const isSame = access !== undefined && from.origin === new URL(indexUrl).origin;
  const path = pathOf(chart);
  const sizeBytes = await pullFile(place, path, entry.sha256, (target, onBytes) =>
    web.file(from.href, target, entry.sha256, onBytes, isSame ? access : undefined),
  );
  return { path, kind: 'chart', sizeBytes, sha256: entry.sha256, origin: from.href };
}

interface IndexEntry {
  readonly version?: unknown;
  readonly urls?: unknown;
  readonly digest?: unknown;
}

function entryIn(
  text: string,
  url: string,
  { name, version }: ChartWish,
): { readonly url: string; readonly sha256: string } {
  let entries: Readonly<Record<string, readonly IndexEntry[] | undefined>>;
  try {
    // Aliases in a list of charts are no use, and a danger.
    entries = (parse(text, { maxAliasCount: 0 }) as { entries?: typeof entries })?.entries ?? {};
  } catch {
    throw wrong(
      `${url} is no list of charts`,
      'Check the address: it is that of the folder with index.yaml.',
    );
  }
  const all = entries[name] ?? [];
  const found =
    all.find((entry) => entry.version === version) ?? all.find((entry) => entry.version === `v${version}`);
  if (found === undefined) {
    const there = all.slice(0, 5).map((entry) => String(entry.version));
    throw wrong(
      `${url} has no chart ${name} in version ${version}`,
      there.length === 0
        ? 'Check the name of the chart.'
        : `It has ${there.join(', ')}${all.length > 5 ? ' …' : ''}.`,
    );
  }
  const [first] = Array.isArray(found.urls) ? (found.urls as unknown[]) : [];
  const sha256 = typeof found.digest === 'string' ? found.digest.replace(/^sha256:/, '').toLowerCase() : '';
  if (typeof first !== 'string' || !/^[0-9a-f]{64}$/.test(sha256)) {
    throw wrong(
      `${url} publishes no sum for ${name} ${version}`,
      'Make the list with helm repo index, which writes sums; or fetch the chart by hand into the folder charts/.',
    );
  }
  return { url: first, sha256 };
}

/** @see https://helm.sh/docs/helm/helm_repo_add/ */
async function helmRepository(alias: string): Promise<{
  readonly url: string;
  readonly credentials: Password | undefined;
  readonly caFile: string | undefined;
}> {
  const config =
    process.env.HELM_CONFIG_HOME ?? join(process.env.XDG_CONFIG_HOME ?? join(homedir(), '.config'), 'helm');
  const path = process.env.HELM_REPOSITORY_CONFIG ?? join(config, 'repositories.yaml');
  const text = await readNamedFile(
    path,
    'Give the address of the repository in place of its name, or helm repo add it.',
  );
  let repositories: readonly Readonly<Record<string, unknown>>[] = [];
  try {
    repositories = (parse(text) as { repositories?: typeof repositories })?.repositories ?? [];
  } catch {
    throw wrong(
      `${path} is no list of repositories`,
      'Give the address of the repository in place of its name.',
    );
  }
  const found = repositories.find(({ name }) => name === alias);
  if (typeof found?.url !== 'string') {
    throw wrong(
      `helm knows no repository ${alias}`,
      `It knows ${repositories.map(({ name }) => String(name)).join(', ') || 'none'}; helm repo add makes one known.`,
    );
  }
  const { username, password, caFile } = found;
  return {
    url: found.url,
    credentials:
      typeof username === 'string' && username !== '' && typeof password === 'string'
        ? { username, password: new Secret(password) }
        : undefined,
    caFile: typeof caFile === 'string' && caFile !== '' ? caFile : undefined,
  };
}

function wrong(message: string, fix: string): FleetError {
  return new FleetError({ code: 'CHART_NOT_FOUND', message, fix });
}
