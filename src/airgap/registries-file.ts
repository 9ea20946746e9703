import { type Static, Type } from '@sinclair/typebox';
import { Ajv } from 'ajv';
import { parse } from 'yaml';
import { FleetError } from '../core/errors.ts';
import { readNamedFile } from '../core/readable.ts';
import { Secret } from '../core/secret.ts';
import { pairIn } from './docker-credentials.ts';
import type { ImageName } from './image-name.ts';
import type { Credentials } from './registry-access.ts';

const nothing = Type.Null();
const mirror = Type.Object({
  endpoint: Type.Optional(Type.Union([Type.Array(Type.String()), nothing])),
  rewrite: Type.Optional(Type.Union([Type.Record(Type.String(), Type.String()), nothing])),
});
const config = Type.Object({
  auth: Type.Optional(
    Type.Object({
      username: Type.Optional(Type.String()),
      password: Type.Optional(Type.String()),
      auth: Type.Optional(Type.String()),
      identity_token: Type.Optional(Type.String()),
    }),
  ),
  tls: Type.Optional(Type.Object({ ca_file: Type.Optional(Type.String()) })),
});
const schema = Type.Object({
  mirrors: Type.Optional(Type.Union([Type.Record(Type.String(), Type.Union([mirror, nothing])), nothing])),
  configs: Type.Optional(Type.Union([Type.Record(Type.String(), Type.Union([config, nothing])), nothing])),
});

/** Mirrors, passwords and CAs of registries, in the form of k3s' registries.yaml. @see https://docs.k3s.io/installation/private-registry */
export type RegistriesFile = Static<typeof schema>;

/** One place to ask for an image. */
export interface Endpoint {
  /** With its path, without a slash at the end: `https://mirror.example.org/v2`. */
  readonly url: string;
  /** Its key among the configs: host and port. */
  readonly host: string;
  /** What the image's repository is called there. */
  readonly repository: string;
  /** It stands for another registry, whose name it may want to know. */
  readonly isMirror: boolean;
}

/** @throws FleetError REGISTRIES_FILE naming what is wrong in it, FILE_UNREADABLE */
export async function readRegistriesFile(path: string): Promise<RegistriesFile> {
  const text = await readNamedFile(path, 'Give a file in the form of k3s’ registries.yaml.');
  const wrong = (reason: string): FleetError =>
    new FleetError({
      code: 'REGISTRIES_FILE',
      message: `${path} is no registries.yaml: ${reason}`,
      where: { file: path },
      fix: 'It has the keys mirrors and configs: https://docs.k3s.io/installation/private-registry',
      blame: 'usage',
    });
  let value: unknown;
  try {
    value = parse(text) ?? {};
  } catch {
    // A parser quotes what it stumbles over, and passwords stand in it.
    throw wrong('it is no YAML');
  }
  const validate = new Ajv().compile(schema);
  if (validate(value)) return value as RegistriesFile;
  const [first] = validate.errors ?? [];
  throw wrong(`${first?.instancePath || 'it'} ${first?.message ?? 'has another form'}`);
}

/** Where an image is asked for, one after the other: its mirrors, or those for all registries, then the registry itself. */
export function endpointsOf(file: RegistriesFile, image: ImageName): readonly Endpoint[] {
  const chosen = file.mirrors?.[image.registry] ?? file.mirrors?.['*'];
  const mirrored = (chosen?.endpoint ?? []).map((written) =>
    endpoint(written, image.registry, rewritten(image.repository, chosen?.rewrite ?? {})),
  );
  // The registry's name in image names and that of its server differ for this one alone.
  const own = image.registry === 'docker.io' ? 'registry-1.docker.io' : image.registry;
  const last = { ...endpoint(`https://${own}`, image.registry, image.repository), isMirror: false };
  return [...mirrored.filter(({ url }) => url !== last.url), last];
}

function endpoint(written: string, registry: string, repository: string): Endpoint {
  const url = URL.canParse(written) ? new URL(written) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.username !== '') {
    throw new FleetError({
      code: 'REGISTRIES_FILE',
      message: `the mirror of ${registry} has an endpoint that is no plain http or https address`,
      fix: 'Write it like https://mirror.example.org, and a password under configs.',
      blame: 'usage',
    });
  }
  const path = url.pathname.replace(/\/+$/, '');
  return { url: `${url.origin}${path === '' ? '/v2' : path}`, host: url.host, repository, isMirror: true };
}

/** As k3s does: every pattern is a regular expression, and the first that matches counts. */
function rewritten(repository: string, rules: Readonly<Record<string, string>>): string {
  for (const [pattern, replacement] of Object.entries(rules)) {
    const rule = new RegExp(pattern);
    if (rule.test(repository)) return repository.replace(rule, replacement);
  }
  return repository;
}

/** What the file says of who asks a host; `undefined` where it says nothing. */
export function credentialsIn(file: RegistriesFile, host: string): Credentials | undefined {
  const auth = file.configs?.[host]?.auth;
  if (auth === undefined) return undefined;
  if (auth.identity_token !== undefined) return { identityToken: new Secret(auth.identity_token) };
  if (auth.username !== undefined && auth.password !== undefined)
    return { username: auth.username, password: new Secret(auth.password) };
  return pairIn(auth.auth ?? '');
}

/** The file with the CA of a host's certificate, where it has one of its own. */
export function caFileIn(file: RegistriesFile, host: string): string | undefined {
  return file.configs?.[host]?.tls?.ca_file;
}
