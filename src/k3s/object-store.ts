import { createHash, createHmac } from 'node:crypto';

/** The object store that k3s is told to keep snapshots in, by its etcd-s3-* settings. */
export interface ObjectStore {
  /** `s3.example.com`, with a port where it has one. */
  readonly endpoint: string;
  readonly bucket: string;
  readonly region: string;
  /** Without slashes at its ends; empty for none. */
  readonly folder: string;
  readonly accessKey: string;
  readonly secretKey: string;
  readonly sessionToken: string | undefined;
  readonly tls: boolean;
  readonly skipVerify: boolean;
  /** A file on the server, or the certificates themselves in base64. */
  readonly endpointCa: string | undefined;
  readonly proxy: string | undefined;
  readonly lookup: 'auto' | 'dns' | 'path';
}

/** What keeps fleet from knowing it: a Secret of the cluster has the settings, or they are incomplete. */
export interface NoObjectStore {
  readonly because: string;
}

/** The Secret of the cluster that has the settings; `undefined` where anything else is set, for then k3s ignores it. */
export function settingsSecretOf(setting: (name: string) => string | undefined): string | undefined {
  const others = ['endpoint', 'bucket', 'access-key', 'secret-key', 'region', 'folder'];
  return others.some((name) => setting(`etcd-s3-${name}`) !== undefined)
    ? undefined
    : setting('etcd-s3-config-secret');
}

/**
 * @param setting a setting of k3s by its name, as the inventory has it
 * @see https://docs.k3s.io/cli/etcd-snapshot#s3-compatible-object-store-support
 */
export function objectStoreOf(setting: (name: string) => string | undefined): ObjectStore | NoObjectStore {
  const of = (name: string): string | undefined => setting(`etcd-s3-${name}`);
  const [bucket, accessKey, secretKey] = [of('bucket'), of('access-key'), of('secret-key')];
  const secret = settingsSecretOf(setting);
  if (secret !== undefined)
    return { because: `its settings are in the Secret ${secret} of the cluster (etcd-s3-config-secret)` };
  if (bucket === undefined) return { because: 'etcd-s3-bucket is not set' };
  if (accessKey === undefined || secretKey === undefined)
    return { because: 'etcd-s3-access-key and etcd-s3-secret-key are not in the inventory' };
  const lookup = of('bucket-lookup-type');
  return {
    endpoint: of('endpoint') ?? 's3.amazonaws.com',
    bucket,
    region: of('region') ?? 'us-east-1',
    folder: (of('folder') ?? '').replaceAll(/^\/+|\/+$/g, ''),
    accessKey,
    secretKey,
    sessionToken: of('session-token'),
    tls: of('insecure') !== 'true',
    skipVerify: of('skip-ssl-verify') === 'true',
    endpointCa: of('endpoint-ca'),
    proxy: of('proxy'),
    lookup: lookup === 'dns' || lookup === 'path' ? lookup : 'auto',
  };
}

/**
 * An address that fetches one object for some time, without any key: AWS Signature Version 4 in its query.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
 */
export function presignedUrl(store: ObjectStore, name: string, at: Date, validS: number): string {
  const { host, path } = placeOf(store, name);
  const stamp = at.toISOString().replaceAll(/[-:]|\.\d+/g, '');
  const day = stamp.slice(0, 8);
  const scope = `${day}/${store.region}/s3/aws4_request`;
  const parameters: readonly (readonly [string, string])[] = [
    ['X-Amz-Algorithm', 'AWS4-HMAC-SHA256'],
    ['X-Amz-Credential', `${store.accessKey}/${scope}`],
    ['X-Amz-Date', stamp],
    ['X-Amz-Expires', String(validS)],
    ...(store.sessionToken === undefined ? [] : [['X-Amz-Security-Token', store.sessionToken] as const]),
    ['X-Amz-SignedHeaders', 'host'],
  ];
  const query = parameters.map(([key, value]) => `${encoded(key)}=${encoded(value)}`).join('&');
  const canonical = ['GET', path, query, `host:${host}`, '', 'host', 'UNSIGNED-PAYLOAD'].join('\n');
  const hash = createHash('sha256').update(canonical).digest('hex');
  const key = [day, store.region, 's3', 'aws4_request'].reduce<string | Buffer>(
    hmac,
    `AWS4${store.secretKey}`,
  );
  const signature = hmac(key, ['AWS4-HMAC-SHA256', stamp, scope, hash].join('\n')).toString('hex');
  return `${store.tls ? 'https' : 'http'}://${host}${path}?${query}&X-Amz-Signature=${signature}`;
}

/** Where the bucket stands: in the name of the host, as Amazon wants it, or in the path, as all others take it. */
function placeOf({ endpoint, bucket, folder, lookup }: ObjectStore, name: string) {
  const key = [folder, name].filter((part) => part !== '').join('/');
  const path = key.split('/').map(encoded).join('/');
  const isInHost = lookup === 'dns' || (lookup === 'auto' && /(^|\.)amazonaws\.com$/.test(endpoint));
  return isInHost
    ? { host: `${bucket}.${endpoint}`, path: `/${path}` }
    : { host: endpoint, path: `/${encoded(bucket)}/${path}` };
}

function encoded(text: string): string {
  return encodeURIComponent(text).replaceAll(
    /[!'()*]/g,
    (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
