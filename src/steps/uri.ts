import { Type } from '@sinclair/typebox';
import { reveal, Secret } from '../core/secret.ts';
import { lines, sh } from '../core/shell.ts';
import { change, defineStep, type Plan, refuse } from '../engine/step.ts';
import {
  anything,
  choice,
  dictionary,
  flag,
  list,
  optional,
  path,
  secretText,
  text,
  whole,
} from './arguments.ts';
import { type GuardSeen, guardArguments, guardedAway, guardQuestions } from './command-outcome.ts';
import { curlWord } from './download.ts';

const { chdir: _chdir, ...guards } = guardArguments;

const args = Type.Object(
  {
    url: text('What is asked.'),
    method: optional(text('GET (the default), POST, PUT, PATCH, DELETE, HEAD …')),
    body: optional(anything('What is sent; a map or list as JSON or as a form, see body_format.')),
    body_format: optional(choice(['raw', 'json', 'form-urlencoded'], 'Default raw, json for a map or list.')),
    headers: optional(dictionary('Headers of the request.')),
    status_code: optional(list('Codes that are success. Default 200.')),
    return_content: optional(flag('Whether the result has the content even when it is no JSON.')),
    timeout: optional(whole('Seconds for the whole request. Default 30.', { minimum: 1 })),
    url_username: optional(text('User for the server.', { aliases: ['user'] })),
    url_password: optional(secretText('Password for the server.', { aliases: ['password'] })),
    validate_certs: optional(flag('Whether the certificate of the server must be valid. Default true.')),
    ca_path: optional(text('A file of certificates to believe.')),
    client_cert: optional(path('A certificate to show to the server, with its key or beside client_key.')),
    client_key: optional(path('The key of client_cert.')),
    unix_socket: optional(path('A socket to ask instead of the address of the server.')),
    force: optional(anything('Ignored: nothing is taken from a cache.')),
    decompress: optional(anything('Ignored: no compressed answer is asked for.')),
    follow_redirects: optional(
      choice(['all', 'safe', 'none', 'urllib2', 'yes', 'no'], 'Default safe: only GET and HEAD follow.'),
    ),
    ...guards,
    force_basic_auth: optional(anything('Ignored: a given user is always sent.')),
    use_proxy: optional(anything('Ignored: the environment decides.')),
    http_agent: optional(anything('Ignored.')),
  },
  { additionalProperties: false },
);

/** Ansible's `uri`; the host asks, with curl. */
export const uriStep = defineStep<typeof args, GuardSeen>({
  name: 'uri',
  summary: 'Asks a web server from the host. GET and HEAD change nothing.',
  args,
  examples: [
    `- uri: url=https://127.0.0.1:6443/ping validate_certs=false\n  register: api\n  until: api.status == 200\n  retries: 30`,
  ],
  look: (args) => guardQuestions(args),
  plan(seen, args): Plan<GuardSeen> {
    const away = guardedAway(seen, args, args.url);
    if (away !== undefined) return away;
    const method = (args.method ?? 'GET').toUpperCase();
    if (!/^[A-Z]+$/.test(method))
      return refuse(`${method} is no method`, 'Write GET, POST, PUT, PATCH, DELETE or HEAD.');
    const codes = (args.status_code ?? ['200']).map(String);
    const body = bodyOf(args);
    const reads = method === 'GET' || method === 'HEAD';
    const follow = args.follow_redirects ?? 'safe';
    const follows =
      follow === 'all' || follow === 'yes' || ((follow === 'safe' || follow === 'urllib2') && reads);
    const config = [
      `url = ${curlWord(args.url)}`,
      ...(method === 'HEAD' ? ['head'] : [`request = ${curlWord(method)}`]),
      ...(follows ? ['location'] : []),
      ...Object.entries(args.headers ?? {}).map(
        ([name, value]) => `header = ${curlWord(`${name}: ${headerText(value)}`)}`,
      ),
      ...(body.type === undefined || hasHeader(args.headers, 'content-type')
        ? []
        : [`header = ${curlWord(`Content-Type: ${body.type}`)}`]),
      ...(body.text === undefined ? [] : [`data-binary = ${curlWord(body.text)}`]),
      ...(args.url_username === undefined
        ? []
        : [
            `user = ${curlWord(`${args.url_username}:${args.url_password === undefined ? '' : reveal(args.url_password)}`)}`,
          ]),
      ...(args.validate_certs === false ? ['insecure'] : []),
      ...(args.ca_path === undefined ? [] : [`cacert = ${curlWord(args.ca_path)}`]),
      ...(args.client_cert === undefined ? [] : [`cert = ${curlWord(args.client_cert)}`]),
      ...(args.client_key === undefined ? [] : [`key = ${curlWord(args.client_key)}`]),
      ...(args.unix_socket === undefined ? [] : [`unix-socket = ${curlWord(args.unix_socket)}`]),
    ].join('\n');
    const timeout = args.timeout ?? 30;
    return change(
      reads ? 'asks whenever it is reached' : `${method} acts whenever it is reached`,
      [
        {
          kind: 'run',
          what: `${method} ${args.url}`,
          script: lines(
            sh`command -v curl >/dev/null 2>&1 || { echo 'the host has no curl' >&2; exit 127; }`,
            // Everything goes over stdin: headers and bodies hold tokens, and arguments are for all to see.
            sh`o=$(printf '%s\\n' ${config} | curl -sS -i --max-time ${timeout} -K - -w '\\n%{http_code}') || { c=$?; printf '%s' "$o"; exit "$c"; }`,
            sh`printf '%s' "$o"`,
            sh`case $(printf '%s' "$o" | tail -n 1) in ${codePattern(codes)}) ;; *) printf 'the server answered %s, wanted %s\\n' "$(printf '%s' "$o" | tail -n 1)" ${codes.join(', ')} >&2; exit 22 ;; esac`,
          ),
          deadlineMs: (timeout + 10) * 1000,
        },
      ],
      {
        imperative: true,
        ...(reads ? { changesNothing: true as const } : {}),
        touches: reads ? [] : 'everything',
        result: ([answer]) => ({
          ...responseOf(answer?.stdout ?? ''),
          url: args.url,
          ...(reads ? { changed: false } : {}),
        }),
      },
    );
  },
});

function codePattern(codes: readonly string[]) {
  return codes.map((code) => sh`${code}`).reduce((all, next) => sh`${all}|${next}`);
}

function headerText(value: unknown): string {
  return value instanceof Secret ? value.reveal() : String(value);
}

function hasHeader(headers: Readonly<Record<string, unknown>> | undefined, name: string): boolean {
  return Object.keys(headers ?? {}).some((key) => key.toLowerCase() === name);
}

function bodyOf(args: { body?: unknown; body_format?: string }): { text?: string; type?: string } {
  const { body } = args;
  if (body === undefined || body === null) return {};
  if (body instanceof Secret)
    return { text: body.reveal(), ...(args.body_format === 'json' ? { type: 'application/json' } : {}) };
  if (typeof body !== 'object')
    return { text: String(body), ...(args.body_format === 'json' ? { type: 'application/json' } : {}) };
  if (args.body_format === 'form-urlencoded') {
    const form = new URLSearchParams(
      Object.entries(body).map(([key, value]): [string, string] => [key, headerText(value)]),
    );
    return { text: form.toString(), type: 'application/x-www-form-urlencoded' };
  }
  const plain = JSON.stringify(body, (_key, value) => value, 0);
  return { text: plain, type: 'application/json' };
}

/** What `register` keeps of a response that curl printed with its headers and, on the last line, its status. */
export function responseOf(stdout: string): Readonly<Record<string, unknown>> {
  const end = stdout.lastIndexOf('\n');
  const status = Number(stdout.slice(end + 1)) || -1;
  let rest = stdout.slice(0, Math.max(0, end));
  let headers: Record<string, string> = {};
  // Redirects and `100 Continue` each bring a head of their own; the last counts.
  while (/^HTTP\/[\d.]+ \d{3}/.test(rest)) {
    const split = /\r?\n\r?\n/.exec(rest);
    const head = split === null ? rest : rest.slice(0, split.index);
    rest = split === null ? '' : rest.slice(split.index + split[0].length);
    headers = Object.fromEntries(
      head
        .split(/\r?\n/)
        .slice(1)
        .map((line) => [
          line.slice(0, line.indexOf(':')).trim().toLowerCase().replaceAll('-', '_'),
          line.slice(line.indexOf(':') + 1).trim(),
        ]),
    );
  }
  let json: unknown;
  try {
    json = /json/.test(headers.content_type ?? '') ? JSON.parse(rest) : undefined;
  } catch {
    json = undefined;
  }
  return {
    ...headers,
    status,
    content: rest,
    ...(json === undefined ? {} : { json }),
    msg: `answered ${status}`,
  };
}
