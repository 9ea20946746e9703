import { describe, expect, it } from 'vitest';
import { imageFileName, imagesInList, imageText, parseImageName } from '../../src/airgap/image-name.ts';

const digest = `sha256:${'a'.repeat(64)}`;

describe('the name of an image', () => {
  it.each([
    ['busybox', 'docker.io/library/busybox:latest', 'docker.io+library+busybox@latest'],
    ['busybox:1.36', 'docker.io/library/busybox:1.36', 'docker.io+library+busybox@1.36'],
    ['shop/web', 'docker.io/shop/web:latest', 'docker.io+shop+web@latest'],
    ['localhost/web:1', 'localhost/web:1', 'localhost+web@1'],
    [
      'registry.example.org:5000/a/b_c/d:v1',
      'registry.example.org:5000/a/b_c/d:v1',
      'registry.example.org=5000+a+b_c+d@v1',
    ],
    [`docker.io/web@${digest}`, `docker.io/library/web@${digest}`, `docker.io+library+web@${'a'.repeat(64)}`],
    [`a.b/web:1@${digest}`, `a.b/web:1@${digest}`, `a.b+web@${'a'.repeat(64)}`],
  ])('%s is %s', (text, whole, file) => {
    const name = parseImageName(text);
    expect(imageText(name)).toBe(whole);
    expect(imageFileName(name)).toBe(file);
    expect(parseImageName(whole)).toEqual(name);
  });

  it.each([
    '',
    'Busybox',
    'a//b',
    'web:',
    'web:1:2',
    'web@sha256:abc',
    '../web',
    'https://a.b/web',
    'a.b/web:1 x',
  ])('is not %j', (text) => {
    expect(() => parseImageName(text)).toThrow(/names no container image/);
  });

  it('is a file name that fits into a tar, however long it is', () => {
    const long = (letter: string): string =>
      imageFileName(parseImageName(`registry.example.org/${letter.repeat(200)}/web:1.0`));
    expect(long('a').length).toBe(88);
    expect(long('a')).toMatch(/^[0-9a-f]{32}\+a+\+web@1\.0$/);
    expect(long('a')).not.toBe(
      imageFileName(parseImageName(`registry.example.com/${'a'.repeat(200)}/web:1.0`)),
    );
  });

  it('stands a line in a list, with comments', () => {
    expect(imagesInList('# ours\nbusybox:1 # small\n\n  a.b/web:2\r\n')).toEqual(['busybox:1', 'a.b/web:2']);
  });
});
