import { stat } from 'node:fs/promises';
import { parseChart } from '../../airgap/charts.ts';
import { type ImageName, imagesInList, imageText, parseImageName } from '../../airgap/image-name.ts';
import { packBundle, unpackBundle } from '../../airgap/pack.ts';
import { pruneBundle } from '../../airgap/prune.ts';
import { pullBundle } from '../../airgap/pull.ts';
import type { SelinuxWish } from '../../airgap/pull-selinux.ts';
import { readRegistriesFile } from '../../airgap/registries-file.ts';
import { type Channels, needsChannels, parseChannels, wantedReleases } from '../../airgap/releases.ts';
import { verifyFolder } from '../../airgap/verify.ts';
import { FleetError } from '../../core/errors.ts';
import { readNamedFile } from '../../core/readable.ts';
import { Web } from '../../engine/web.ts';
import { airgapFolder } from '../../facts/airgap-folder.ts';
import { bundleOf } from '../../facts/airgap-inspection.ts';
import { variableInfo } from '../../inventory/variables.ts';
import { type SelinuxTarget, selinuxTargets } from '../../k3s/selinux-source.ts';
import type { K3sArch } from '../../k3s/version.ts';
import { safeJson } from '../../ui/json.ts';
import { count, formatBytes } from '../../ui/wording.ts';
import { type Cell, columnText } from '../column-text.ts';
import type { Invocation, OwnFlags, RunCommand } from '../command.ts';
import { type ExitCode, exit } from '../exit-codes.ts';
import { PullBoard } from '../pull-board.ts';

const defaultFolder = 'airgap';

const actions: Readonly<Record<string, RunCommand>> = { pull, verify, ls, prune, pack, unpack };

/** Folders for nodes without a network. */
export const airgap: RunCommand = async (invocation) => {
  const [name = ''] = invocation.arguments;
  const action = Object.hasOwn(actions, name) ? actions[name] : undefined;
  if (action !== undefined) return action(invocation);
  throw new FleetError({
    code: 'UNKNOWN_ACTION',
    message: `fleet airgap cannot ${JSON.stringify(name)}`,
    fix: `It can: ${Object.keys(actions).join(', ')}. See \`fleet help airgap\`.`,
    blame: 'usage',
  });
};

async function pull({ arguments: [, path], flags, settings, console }: Invocation): Promise<ExitCode> {
  const url = (flag: string, variable: string): string =>
    flags.text(flag) ?? String(variableInfo(variable)?.default);
  const caFile = flags.text('caFile');
  const signKeyFile = flags.text('signKey');
  const atOnce = Number(flags.text('jobs') ?? 4);
  if (!Number.isInteger(atOnce) || atOnce < 1) throw misuse('--jobs takes a whole number from 1', '--jobs 4');
  const folder = flags.text('out') ?? path ?? defaultFolder;
  const options = {
    ...(caFile === undefined ? {} : { caFiles: [caFile] }),
    fix: 'Check the address, the network and HTTPS_PROXY, then run the same command again: it goes on where it stopped.',
  };
  const named = split(flags.list('version'));
  // More for a bundle that is there is for what it holds already.
  const before = await bundleOf(folder);
  const wanted = named.length > 0 ? named : (before?.versions ?? ['stable']);
  const upgradePath = flags.has('upgradePath');
  const channelsUrl = url('channelsUrl', 'channels_url');
  const channels: Channels = needsChannels(wanted, upgradePath)
    ? parseChannels(await new Web(options).text(channelsUrl), channelsUrl)
    : new Map();
  const versions = wantedReleases(wanted, channels, upgradePath);
  const registriesFile = flags.text('registries');
  const selinux = selinuxWish(flags);
  const more = {
    images: await imagesNamed(flags.list('images')),
    charts: flags.list('chart').map(parseChart),
    manifests: flags.list('manifest'),
    ...(registriesFile === undefined ? {} : { registries: await readRegistriesFile(registriesFile) }),
    ...(selinux === undefined ? {} : { selinux }),
  };
  const board = new PullBoard(console, settings.quiet || settings.output === 'json');
  try {
    const bundle = await pullBundle(
      {
        folder,
        versions,
        architectures: architecturesOf(split(flags.list('arch')), before?.architectures),
        artifactUrl: url('artifactUrl', 'artifact_url'),
        installScript: url('installScript', 'k3s_install_url'),
        atOnce,
        ...(signKeyFile === undefined ? {} : { signKeyFile }),
        ...more,
      },
      options,
      { onProgress: (progress) => board.show(progress), onNote: (text) => console.note(text) },
    );
    board.end();
    const bytes = bundle.files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    console.result(
      settings.output === 'json'
        ? safeJson(bundle, 2)
        : `${folder} holds ${bundle.versions.join(', ')} for ${bundle.architectures.join(', ')}: ${count(bundle.files.length, 'file')}, ${formatBytes(bytes)}`,
    );
    return exit.ok;
  } finally {
    board.end();
  }
}

async function verify({
  arguments: [, path = defaultFolder],
  flags,
  settings,
  console,
}: Invocation): Promise<ExitCode> {
  const verdict = await verifyFolder(path, flags.text('verifyKey'));
  if (settings.output === 'json') console.result(safeJson(verdict, 2));
  else {
    const paint = { right: 'green', missing: 'red', damaged: 'red', unlisted: 'yellow' } as const;
    const rows = verdict.files.map(({ path: name, state, because }): (string | Cell)[] => [
      name,
      { text: state, paint: paint[state] },
      because,
    ]);
    console.result(columnText(['FILE', 'STATE', 'BECAUSE'], rows, console.outPalette));
    if (verdict.signature !== undefined) console.result(`signature: ${verdict.signature}`);
  }
  if (verdict.isRight) return exit.ok;
  console.note(
    `${path} is not right. Mend a bundle by the same fleet airgap pull again: only what is missing or damaged is fetched.`,
  );
  return exit.failed;
}

async function ls({ arguments: [, path = defaultFolder], settings, console }: Invocation): Promise<ExitCode> {
  const bundle = await bundleOf(path);
  const files = await airgapFolder(path).read();
  if (settings.output === 'json') {
    const listed = files.map(({ name, sizeBytes }) => ({ path: name, sizeBytes }));
    console.result(safeJson(bundle ?? { files: listed }, 2));
    return exit.ok;
  }
  const entries = new Map(bundle?.files.map((file) => [file.path, file]));
  const rows = files.map(({ name, sizeBytes }) => {
    const entry = entries.get(name);
    const of = entry?.version ?? entry?.image ?? entry?.system ?? '';
    return [name, entry?.kind ?? '', of, entry?.arch ?? '', formatBytes(sizeBytes)];
  });
  console.result(columnText(['FILE', 'KIND', 'OF', 'ARCH', 'SIZE'], rows, console.outPalette));
  return exit.ok;
}

async function prune({
  arguments: [, path = defaultFolder],
  flags,
  settings,
  console,
}: Invocation): Promise<ExitCode> {
  const gone = await pruneBundle(path, Number(flags.text('keep') ?? 1));
  console.result(
    settings.output === 'json'
      ? safeJson({ removed: gone }, 2)
      : gone.length === 0
        ? `nothing to remove from ${path}`
        : `removed from ${path}: ${gone.join(', ')}`,
  );
  return exit.ok;
}

async function pack({
  arguments: [, path = defaultFolder],
  flags,
  settings,
  console,
}: Invocation): Promise<ExitCode> {
  const verdict = await verifyFolder(path);
  if (!verdict.isRight) {
    throw new FleetError({
      code: 'BUNDLE_DAMAGED',
      message: `${path} is not right: ${verdict.files
        .filter(({ state }) => state !== 'right')
        .map(({ path: name, because }) => `${name}: ${because}`)
        .join('; ')}`,
      fix: 'Nothing was packed. Pull the same again, then pack.',
    });
  }
  const out = flags.text('out') ?? `${path.replace(/\/+$/, '')}.tar`;
  const written = await packBundle(path, out, sizeOf(flags.text('split')));
  console.result(settings.output === 'json' ? safeJson({ written }, 2) : written.join('\n'));
  return exit.ok;
}

async function unpack({ arguments: [, path], flags, settings, console }: Invocation): Promise<ExitCode> {
  if (path === undefined)
    throw misuse('unpack needs what fleet airgap pack wrote', 'fleet airgap unpack k3s.tar');
  const folder = flags.text('out') ?? defaultFolder;
  await unpackBundle(path, folder);
  const verdict = await verifyFolder(folder);
  if (settings.output === 'json') console.result(safeJson({ folder, ...verdict }, 2));
  else console.result(`${folder} ${verdict.isRight ? 'is whole' : 'is not right'}`);
  return verdict.isRight ? exit.ok : exit.failed;
}

/** Images, or files that list them: what is there as a file is one. */
async function imagesNamed(named: readonly string[]): Promise<readonly ImageName[]> {
  const texts = await Promise.all(
    split(named).map(async (name) => {
      const isFile = (await stat(name).catch(() => undefined))?.isFile() === true;
      return isFile ? imagesInList(await readNamedFile(name)) : [name];
    }),
  );
  const images = texts.flat().map(parseImageName);
  return [...new Map(images.map((image) => [imageText(image), image])).values()];
}

function selinuxWish(flags: OwnFlags): SelinuxWish | undefined {
  const targets = split(flags.list('selinux')).map(targetNamed);
  const distribution = new Map<SelinuxTarget, readonly string[]>();
  for (const text of flags.list('rpmRepo')) {
    const [, system = '', repository = ''] = /^([^=]+)=(https?:\/\/.+)$/.exec(text) ?? [];
    if (repository === '')
      throw misuse(
        `--rpm-repo takes a system and the address of a repository, not ${JSON.stringify(text)}`,
        '--rpm-repo el9=https://mirror.example.org/rocky/9/AppStream/x86_64/os',
      );
    const target = targetNamed(system);
    distribution.set(target, [...(distribution.get(target) ?? []), repository]);
  }
  const without = [...distribution.keys()].find((target) => !targets.includes(target));
  if (without !== undefined)
    throw misuse(`--rpm-repo names ${without}, and --selinux does not`, `--selinux ${without}`);
  if (targets.length === 0) {
    if (flags.text('selinuxUrl') === undefined && flags.list('rpmKey').length === 0) return undefined;
    throw misuse('--selinux-url and --rpm-key say how, and --selinux is missing', '--selinux el9');
  }
  return {
    targets: [...new Set(targets)],
    policyUrl: flags.text('selinuxUrl'),
    distribution,
    keys: flags.list('rpmKey'),
  };
}

function targetNamed(name: string): SelinuxTarget {
  const target = selinuxTargets.find((each) => each === name);
  if (target !== undefined) return target;
  throw misuse(
    `k3s has no SELinux policy for ${JSON.stringify(name)}, but for ${selinuxTargets.join(', ')}`,
    '--selinux el9,slemicro',
  );
}

function split(values: readonly string[]): readonly string[] {
  return values
    .flatMap((value) => value.split(','))
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

function architecturesOf(
  named: readonly string[],
  before: readonly K3sArch[] | undefined,
): readonly K3sArch[] {
  const known: readonly K3sArch[] = ['amd64', 'arm64', 'arm'];
  const chosen = named.map((name) => {
    const arch = known.find((each) => each === name);
    if (arch === undefined)
      throw misuse(`k3s publishes nothing for ${JSON.stringify(name)}`, '--arch amd64,arm64,arm');
    return arch;
  });
  if (chosen.length > 0) return [...new Set(chosen)];
  return before === undefined || before.length === 0 ? ['amd64'] : before;
}

/** `3900M`, `4G`, `500k` or bytes. */
function sizeOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const [, amount, unit = ''] = /^(\d+)([kmg]?)$/.exec(text.toLowerCase()) ?? [];
  const size = Number(amount) * 1000 ** ['', 'k', 'm', 'g'].indexOf(unit);
  if (size >= 1) return size;
  throw misuse(`--split takes a size, not ${JSON.stringify(text)}`, '--split 3900M');
}

function misuse(message: string, example: string): FleetError {
  return new FleetError({
    code: 'FLAG_VALUE',
    message,
    fix: `Write for example ${example}.`,
    blame: 'usage',
  });
}
