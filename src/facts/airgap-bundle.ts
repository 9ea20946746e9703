import { type Static, Type } from '@sinclair/typebox';
import { Ajv } from 'ajv';
import { FleetError } from '../core/errors.ts';
import { selinuxTargets } from '../k3s/selinux-source.ts';

/** The name of the list in a bundle; written last, so a folder that has one is whole. */
export const bundleListName = 'bundle.json';

const sha256 = Type.String({ pattern: '^[0-9a-f]{64}$', description: 'In hexadecimal.' });
const release = Type.String({
  pattern: '^v\\d+\\.\\d+\\.\\d+(-[0-9A-Za-z.]+)?\\+k3s\\d+$',
  description: 'A k3s release, `v1.33.4+k3s1`.',
});
const architecture = Type.Union([Type.Literal('amd64'), Type.Literal('arm64'), Type.Literal('arm')]);

const bundleFile = Type.Object(
  {
    path: Type.String({
      description: 'Relative to the folder of the bundle, with `/`.',
      pattern: '^(?!/)(?!.*(^|/)\\.\\.?(/|$))[^\\\\\\x00-\\x1f]+$',
    }),
    kind: Type.Union(
      ['binary', 'images', 'install-script', 'sums', 'image', 'chart', 'manifest', 'rpm', 'rpm-key'].map(
        (kind) => Type.Literal(kind),
      ),
      {
        description:
          'What it is for: `images` are those of k3s itself, `image` is one more; `chart` and `manifest` are for servers; `rpm` and `rpm-key` for hosts with SELinux.',
      },
    ),
    version: Type.Optional(release),
    arch: Type.Optional(architecture),
    image: Type.Optional(Type.String({ description: 'Of an `image`: its whole name.' })),
    digest: Type.Optional(
      Type.String({
        pattern: '^sha256:[0-9a-f]{64}$',
        description: 'Of an `image`, and of a `chart` from a registry: that of its manifest.',
      }),
    ),
    system: Type.Optional(
      Type.Union(
        selinuxTargets.map((target) => Type.Literal(target)),
        { description: 'Of an `rpm` or `rpm-key`: which hosts it is for.' },
      ),
    ),
    sizeBytes: Type.Integer({ minimum: 0 }),
    sha256,
    origin: Type.String({ description: 'Where it was fetched from.' }),
  },
  { additionalProperties: false },
);

const bundleSchema = Type.Object(
  {
    format: Type.Literal(1, { description: 'Of this list.' }),
    madeAt: Type.String({ description: 'When, UTC, as ISO 8601.' }),
    origin: Type.String({ description: 'Where the releases were fetched from.' }),
    versions: Type.Array(release, { description: 'Oldest first.' }),
    architectures: Type.Array(architecture),
    files: Type.Array(bundleFile),
  },
  { additionalProperties: false },
);

/** The list of a folder that `fleet airgap pull` made. */
export type AirgapBundle = Static<typeof bundleSchema>;
export type BundleFile = Static<typeof bundleFile>;

/** The JSON Schema of `bundle.json`: `schemas/airgap-bundle.schema.json` is this. */
export function airgapBundleJsonSchema(): object {
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Airgap bundle of fleet',
    ...(JSON.parse(JSON.stringify(bundleSchema)) as object),
  };
}

/** Whether a file lies where only `fleet airgap pull` puts any: one that the list does not name was slipped in. */
export function isBundlesOwn(path: string): boolean {
  return /^(v\d|selinux\/)/.test(path);
}

let validate: ReturnType<Ajv['compile']> | undefined;

/** The list that a text is. @throws FleetError AIRGAP_BUNDLE naming what is wrong in it */
export function parseBundle(text: string, path: string): AirgapBundle {
  const wrong = (reason: string): FleetError =>
    new FleetError({
      code: 'AIRGAP_BUNDLE',
      message: `${path} is no list of a bundle: ${reason}`,
      where: { file: path },
      fix: 'Make the bundle again with fleet airgap pull, or delete the list to use the folder as one made by hand.',
    });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw wrong(error instanceof Error ? error.message : String(error));
  }
  validate ??= new Ajv().compile(bundleSchema);
  if (validate(value)) return value as AirgapBundle;
  const [first] = validate.errors ?? [];
  throw wrong(`${first?.instancePath || 'it'} ${first?.message ?? 'has another form'}`);
}
