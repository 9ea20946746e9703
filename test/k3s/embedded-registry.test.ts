import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { whyNoEmbeddedRegistry, withMirrors } from '../../src/k3s/embedded-registry.ts';
import { mustParseVersion } from '../../src/k3s/version.ts';

describe('registries.yaml of nodes that hand images on', () => {
  it.each<[string, string | undefined, object]>([
    ['nothing', undefined, { mirrors: { '*': null } }],
    ['a comment', '# later\n', { mirrors: { '*': null } }],
    ['no mirrors', 'mirrors: {}\n', { mirrors: { '*': null } }],
    ['an empty key', 'mirrors:\n', { mirrors: { '*': null } }],
    [
      'passwords',
      'configs:\n  a.b:\n    auth: {password: x}',
      { configs: { 'a.b': { auth: { password: 'x' } } }, mirrors: { '*': null } },
    ],
    ['mirrors of its own', 'mirrors:\n  docker.io:\n', { mirrors: { 'docker.io': null } }],
  ])('with %s', (_what, written, wanted) => {
    expect(parse(withMirrors(written))).toEqual(wanted);
  });

  it('keeps what the user wrote to the letter', () => {
    const written = '# ours\nconfigs:   # passwords\n  a.b: {auth: {username: "u"}}\n';
    expect(withMirrors(written).startsWith(written)).toBe(true);
    expect(withMirrors('mirrors: {docker.io: }\n')).toBe('mirrors: {docker.io: }\n');
  });
});

describe('releases that can', () => {
  it.each<[string, string | undefined, RegExp | undefined]>([
    ['v1.33.4+k3s1', undefined, undefined],
    ['v1.29.3+k3s1', undefined, undefined],
    ['v1.29.1+k3s1', undefined, /takes no "\*"/],
    ['v1.29.1+k3s1', 'mirrors:\n  docker.io:\n', undefined],
    ['v1.28.8+k3s1', undefined, undefined],
    ['v1.32.2+k3s1', undefined, /can no longer pull/],
    ['v1.32.2+k3s1', 'mirrors:\n  docker.io:\n', undefined],
    ['v1.32.3+k3s1', undefined, undefined],
    ['v1.28.5+k3s1', 'mirrors:\n  docker.io:\n', /not in v1\.28\.5/],
    ['v1.25.16+k3s1', undefined, /not in v1\.25/],
  ])('%s with %j', (version, registries, because) => {
    const found = whyNoEmbeddedRegistry(mustParseVersion(version), registries);
    if (because === undefined) expect(found).toBeUndefined();
    else expect(found?.because).toMatch(because);
  });
});
