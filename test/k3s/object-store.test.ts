import { describe, expect, it } from 'vitest';
import { type ObjectStore, objectStoreOf, presignedUrl } from '../../src/k3s/object-store.ts';

function storeOf(settings: Readonly<Record<string, string>>): ObjectStore {
  const store = objectStoreOf((name) => settings[name]);
  if ('because' in store) throw new Error(store.because);
  return store;
}

const keys = {
  'etcd-s3-bucket': 'examplebucket',
  'etcd-s3-access-key': 'AKIAIOSFODNN7EXAMPLE',
  'etcd-s3-secret-key': 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
};
const at = new Date('2013-05-24T00:00:00.000Z');

describe('the address of a snapshot in an object store', () => {
  // The example of https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html, with its own signature.
  it('is signed as Amazon signs', () => {
    expect(presignedUrl(storeOf(keys), 'test.txt', at, 86_400)).toBe(
      'https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404',
    );
  });

  it.each<[Readonly<Record<string, string>>, string]>([
    [{ 'etcd-s3-endpoint': 's3.lan:9000' }, 'https://s3.lan:9000/examplebucket/a%2Bb'],
    [{ 'etcd-s3-endpoint': 's3.lan', 'etcd-s3-insecure': 'true' }, 'http://s3.lan/examplebucket/a%2Bb'],
    [
      { 'etcd-s3-endpoint': 's3.lan', 'etcd-s3-folder': '/lab/one/' },
      'https://s3.lan/examplebucket/lab/one/a%2Bb',
    ],
    [
      { 'etcd-s3-endpoint': 's3.lan', 'etcd-s3-bucket-lookup-type': 'dns' },
      'https://examplebucket.s3.lan/a%2Bb',
    ],
    [{ 'etcd-s3-bucket-lookup-type': 'path' }, 'https://s3.amazonaws.com/examplebucket/a%2Bb'],
  ])('%j', (settings, expected) => {
    const [address] = presignedUrl(storeOf({ ...keys, ...settings }), 'a+b', at, 60).split('?');
    expect(address).toBe(expected);
  });

  it.each<[Readonly<Record<string, string>>, string]>([
    [{}, 'etcd-s3-bucket is not set'],
    [
      { 'etcd-s3-config-secret': 'mine' },
      'its settings are in the Secret mine of the cluster (etcd-s3-config-secret)',
    ],
    [
      { 'etcd-s3-bucket': 'b', 'etcd-s3-config-secret': 'mine' },
      'etcd-s3-access-key and etcd-s3-secret-key are not in the inventory',
    ],
  ])('%j: %s', (settings, because) => {
    expect(objectStoreOf((name) => settings[name])).toEqual({ because });
  });
});
