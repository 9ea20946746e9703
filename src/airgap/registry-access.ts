import { Secret } from '../core/secret.ts';
import type { Access, Web } from '../engine/web.ts';

export interface Password {
  readonly username: string;
  readonly password: Secret;
}

/** Who asks a registry. */
export type Credentials =
  | Password
  /** What `docker login` got instead of a password from registries with OAuth 2. */
  | { readonly identityToken: Secret };

interface Challenge {
  readonly scheme: string;
  readonly parameters: Readonly<Record<string, string>>;
}

/** How one repository is read: the registry's challenge decides between a token of its own and the password. */
export class RegistryAccess implements Access {
  readonly #web: Web;
  readonly #repository: string;
  readonly #credentials: Credentials | undefined;
  #authorization: Secret | undefined;

  constructor(web: Web, repository: string, credentials: Credentials | undefined) {
    this.#web = web;
    this.#repository = repository;
    this.#credentials = credentials;
  }

  async headers(): Promise<Readonly<Record<string, string>>> {
    return this.#authorization === undefined ? {} : { authorization: this.#authorization.reveal() };
  }

  /** @see https://distribution.github.io/distribution/spec/auth/token/ */
  async challenged(text: string): Promise<boolean> {
    const challenge = challengeIn(text);
    const credentials = this.#credentials;
    const basic =
      credentials === undefined || 'identityToken' in credentials
        ? undefined
        : basicAuthorization(credentials);
    if (challenge?.scheme === 'bearer') {
      const token = await this.#token(challenge.parameters, basic);
      if (token !== undefined) this.#authorization = new Secret(`Bearer ${token}`);
      return token !== undefined;
    }
    // The same password once more would be refused once more.
    if (challenge?.scheme !== 'basic' || basic === undefined || this.#authorization !== undefined)
      return false;
    this.#authorization = basic;
    return true;
  }

  async #token(
    parameters: Readonly<Record<string, string>>,
    basic: Secret | undefined,
  ): Promise<string | undefined> {
    const { realm } = parameters;
    if (realm === undefined || !URL.canParse(realm)) return undefined;
    const scope = parameters.scope ?? `repository:${this.#repository}:pull`;
    const query = { ...(parameters.service === undefined ? {} : { service: parameters.service }), scope };
    const credentials = this.#credentials;
    const answer =
      credentials !== undefined && 'identityToken' in credentials
        ? await this.#web.answer(realm, {
            form: {
              ...query,
              grant_type: 'refresh_token',
              client_id: 'fleet',
              refresh_token: credentials.identityToken.reveal(),
            },
          })
        : await this.#web.answer(withQuery(realm, query), {
            ...(basic === undefined ? {} : { access: always(basic) }),
          });
    return tokenIn(answer.bytes.toString('utf8'));
  }
}

/** The password is said without being asked for it, as helm does. */
export function passwordAccess(password: Password): Access {
  return always(basicAuthorization(password));
}

function always(authorization: Secret): Access {
  return {
    headers: async () => ({ authorization: authorization.reveal() }),
    challenged: async () => false,
  };
}

function basicAuthorization({ username, password }: Password): Secret {
  const pair = `${username}:${password.reveal()}`;
  return new Secret(`Basic ${Buffer.from(pair).toString('base64')}`);
}

function withQuery(url: string, query: Readonly<Record<string, string>>): string {
  const whole = new URL(url);
  for (const [name, value] of Object.entries(query)) whole.searchParams.set(name, value);
  return whole.href;
}

/** `Bearer realm="…",service="…",scope="…"`; of several challenges the first that is understood. */
export function challengeIn(text: string): Challenge | undefined {
  const match = /(?:^|,\s*)(bearer|basic)\s+(.*)$/i.exec(text);
  if (match === null) return undefined;
  const parameters: Record<string, string> = {};
  for (const [, name = '', quoted, plain] of (match[2] ?? '').matchAll(
    /([a-z_]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))/gi,
  )) {
    parameters[name.toLowerCase()] = quoted?.replace(/\\(.)/g, '$1') ?? plain ?? '';
  }
  return { scheme: (match[1] ?? '').toLowerCase(), parameters };
}

function tokenIn(text: string): string | undefined {
  try {
    const { token, access_token: accessToken } = JSON.parse(text) as Record<string, unknown>;
    const found = token ?? accessToken;
    return typeof found === 'string' && found !== '' ? found : undefined;
  } catch {
    return undefined;
  }
}
