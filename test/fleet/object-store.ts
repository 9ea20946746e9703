/**
 * A small object store that speaks S3 as far as k3s does: PUT, GET, DELETE and ListObjectsV2, path style, on one bucket. It is as strict
 * as the real ones: a request whose AWS Signature Version 4 is not what its secret key makes of it, whose body has another digest than it
 * says, or whose clock is off, is refused with the error that S3 has for it.
 *
 *     const store = await startObjectStore({ address: fleet.network.gateway });
 *     store.objects.get('lab/on-demand-server-1-1763682000')
 *     store.refused    // what was answered with an error, `403 SignatureDoesNotMatch GET /backups/…`
 *
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
 */
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface StoredObject {
  readonly content: Buffer;
  readonly at: Date;
}

export interface ObjectStore {
  /** `10.0.0.1:41234`, without TLS. */
  readonly endpoint: string;
  readonly bucket: string;
  readonly region: string;
  readonly accessKey: string;
  readonly secretKey: string;
  /** By key. */
  readonly objects: ReadonlyMap<string, StoredObject>;
  /** Requests that were refused: status, code, method and target. */
  readonly refused: readonly string[];
  stop(): Promise<void>;
}

const dayMs = 24 * 60 * 60 * 1000;
const clockSkewMs = 15 * 60 * 1000;

class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
  ) {
    super(code);
  }
}

interface Asked {
  readonly method: string;
  /** As sent. */
  readonly path: string;
  /** Decoded, in the order in which they were sent. */
  readonly query: readonly (readonly [string, string])[];
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

/** What was signed, and with what. */
interface Signed {
  readonly accessKey: string;
  readonly day: string;
  readonly region: string;
  readonly stamp: string;
  readonly headers: readonly string[];
  readonly payload: string;
  readonly signature: string;
}

export async function startObjectStore(wanted: {
  readonly address: string;
  readonly bucket?: string;
  readonly region?: string;
}): Promise<ObjectStore> {
  const { address, bucket = 'backups', region = 'eu-central-1' } = wanted;
  const accessKey = randomBytes(10).toString('hex').toUpperCase();
  const secretKey = randomBytes(30).toString('base64');
  const objects = new Map<string, StoredObject>();
  const refused: string[] = [];
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const asked = await read(request);
    try {
      const signed = signedIn(asked);
      if (signed.accessKey !== accessKey) throw new Refusal(403, 'InvalidAccessKeyId');
      if (signed.region !== region) throw new Refusal(400, 'AuthorizationHeaderMalformed');
      verify(asked, signed, secretKey);
      serve(asked, objects, bucket, response);
    } catch (error) {
      const { status, code } = error instanceof Refusal ? error : new Refusal(500, 'InternalError');
      refused.push(`${status} ${code} ${asked.method} ${asked.path}`);
      response.writeHead(status, { 'content-type': 'application/xml' });
      response.end(`<?xml version="1.0"?>\n<Error><Code>${code}</Code><Message>${code}</Message></Error>`);
    }
  };
  const server = createServer((request, response) => void answer(request, response));
  await new Promise<void>((resolve) => server.listen(0, address, resolve));
  const { port } = server.address() as AddressInfo;
  return {
    endpoint: `${address}:${port}`,
    bucket,
    region,
    accessKey,
    secretKey,
    objects,
    refused,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function read(request: IncomingMessage): Promise<Asked> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const [path = '/', search = ''] = (request.url ?? '/').split('?', 2);
  return {
    method: request.method ?? 'GET',
    path,
    query: search === '' ? [] : search.split('&').map(pair),
    headers: request.headers,
    body: Buffer.concat(chunks),
  };
}

function pair(text: string): readonly [string, string] {
  const [name = '', ...value] = text.split('=');
  return [decodeURIComponent(name), decodeURIComponent(value.join('='))];
}

/** By the `Authorization` header, or, for a presigned address, by its query. */
function signedIn({ headers, query }: Asked): Signed {
  const { authorization } = headers;
  if (authorization !== undefined) {
    const [, credential = '', names = '', signature = ''] =
      /^AWS4-HMAC-SHA256 Credential=([^,]+), ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/.exec(
        authorization,
      ) ?? [];
    const payload = String(headers['x-amz-content-sha256'] ?? '');
    return checked(
      { ...scopeOf(credential), headers: names.split(';'), signature, payload },
      headers['x-amz-date'],
      clockSkewMs,
    );
  }
  const of = (name: string): string => query.find(([known]) => known === name)?.[1] ?? '';
  if (of('X-Amz-Algorithm') !== 'AWS4-HMAC-SHA256') throw new Refusal(403, 'AccessDenied');
  const expiresMs = Number(of('X-Amz-Expires')) * 1000;
  if (!(expiresMs > 0 && expiresMs <= 7 * dayMs)) throw new Refusal(400, 'AuthorizationQueryParametersError');
  return checked(
    {
      ...scopeOf(of('X-Amz-Credential')),
      headers: of('X-Amz-SignedHeaders').split(';'),
      signature: of('X-Amz-Signature'),
      payload: 'UNSIGNED-PAYLOAD',
    },
    of('X-Amz-Date'),
    expiresMs,
  );
}

function scopeOf(credential: string): Pick<Signed, 'accessKey' | 'day' | 'region'> {
  const [accessKey = '', day = '', region = '', service, end] = credential.split('/');
  if (service !== 's3' || end !== 'aws4_request') throw new Refusal(403, 'AccessDenied');
  return { accessKey, day, region };
}

function checked(
  signed: Omit<Signed, 'stamp'>,
  stamp: string | string[] | undefined,
  validMs: number,
): Signed {
  const [, year, month, day, hour, minute, second] =
    /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(String(stamp)) ?? [];
  const at = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  const age = Date.now() - at;
  if (Number.isNaN(at) || age > validMs || age < -clockSkewMs) throw new Refusal(403, 'RequestTimeTooSkewed');
  if (signed.day !== `${year}${month}${day}` || !signed.headers.includes('host'))
    throw new Refusal(403, 'AccessDenied');
  return { ...signed, stamp: String(stamp) };
}

function verify(asked: Asked, signed: Signed, secretKey: string): void {
  const { stamp, day, region, payload } = signed;
  if (payload !== 'UNSIGNED-PAYLOAD' && payload !== sha256(asked.body))
    throw new Refusal(400, 'XAmzContentSHA256Mismatch');
  const unsigned = Object.keys(asked.headers).find(
    (name) => name.startsWith('x-amz-') && !signed.headers.includes(name),
  );
  if (unsigned !== undefined) throw new Refusal(403, 'AccessDenied');
  const query = asked.query
    .filter(([name]) => name !== 'X-Amz-Signature')
    .map(([name, value]) => `${encoded(name)}=${encoded(value)}`)
    .sort();
  const canonical = [
    asked.method,
    asked.path,
    query.join('&'),
    ...signed.headers.map((name) => `${name}:${String(asked.headers[name] ?? '').trim()}`),
    '',
    signed.headers.join(';'),
    payload,
  ].join('\n');
  const scope = `${day}/${region}/s3/aws4_request`;
  const toSign = ['AWS4-HMAC-SHA256', stamp, scope, sha256(Buffer.from(canonical))].join('\n');
  const key = [day, region, 's3', 'aws4_request'].reduce(hmac, Buffer.from(`AWS4${secretKey}`));
  const expected = hmac(key, toSign);
  const given = Buffer.from(signed.signature, 'hex');
  if (given.length !== expected.length || !timingSafeEqual(given, expected))
    throw new Refusal(403, 'SignatureDoesNotMatch');
}

function serve(
  { method, path, query, body }: Asked,
  objects: Map<string, StoredObject>,
  bucket: string,
  response: ServerResponse,
): void {
  const [, inPath = '', ...rest] = decodeURIComponent(path).split('/');
  if (inPath !== bucket) throw new Refusal(404, 'NoSuchBucket');
  const key = rest.join('/');
  const found = objects.get(key);
  if (method === 'GET' && key === '') {
    response.writeHead(200, { 'content-type': 'application/xml' });
    response.end(listing(objects, query.find(([name]) => name === 'prefix')?.[1] ?? ''));
  } else if (method === 'GET') {
    if (found === undefined) throw new Refusal(404, 'NoSuchKey');
    response.end(found.content);
  } else if (method === 'PUT' && key !== '') {
    objects.set(key, { content: body, at: new Date() });
    response.end();
  } else if (method === 'DELETE' && key !== '') {
    objects.delete(key);
    response.writeHead(204);
    response.end();
  } else throw new Refusal(405, 'MethodNotAllowed');
}

function listing(objects: ReadonlyMap<string, StoredObject>, prefix: string): string {
  const contents = [...objects]
    .filter(([key]) => key.startsWith(prefix))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(
      ([key, { content, at }]) =>
        `<Contents><Key>${key}</Key><LastModified>${at.toISOString()}</LastModified><Size>${content.length}</Size></Contents>`,
    );
  return `<?xml version="1.0"?>\n<ListBucketResult><IsTruncated>false</IsTruncated>${contents.join('')}</ListBucketResult>`;
}

function encoded(text: string): string {
  return encodeURIComponent(text).replaceAll(
    /[!'()*]/g,
    (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function sha256(data: Buffer): string {
  return createHash('sha256').update(data).digest('hex');
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
