import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { quote, sh } from '../../src/core/shell.ts';
import {
  argsWithoutSecrets,
  execStartArgs,
  flagValue,
  hasFlag,
  splitWords,
} from '../../src/k3s/command-line.ts';
import { runIn } from '../steps/here.ts';

describe('words', () => {
  it.each<[string, string[] | undefined]>([
    ['', []],
    ['  ', []],
    ['a b\tc\nd', ['a', 'b', 'c', 'd']],
    [`'a b' "c d"`, ['a b', 'c d']],
    [`--x='a b'c"d e"`, ['--x=a bcd e']],
    [`'' ""`, ['', '']],
    [`"a\\"b\\$c\\\\d\\e"`, ['a"b$c\\d\\e']],
    [`'a\\b'`, ['a\\b']],
    ['a\\ b', ['a b']],
    ['a \\\n  b', ['a', 'b']],
    [`'it'\\''s'`, ["it's"]],
    [`--label a=b --taint 'k=v:NoSchedule'`, ['--label', 'a=b', '--taint', 'k=v:NoSchedule']],
    [`'never closed`, undefined],
    ['"never closed', undefined],
  ])('%j are %j', (text, words) => {
    expect(splitWords(text)).toEqual(words);
  });

  it('come back from quoting, whatever is in them', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: 'grapheme' }).map((word) => word.replaceAll('\0', ''))),
        (words) => {
          expect(splitWords(words.map(quote).join(' '))).toEqual(words);
        },
      ),
    );
  });

  it('are those that a shell finds, where nothing is to be expanded', () => {
    const piece = fc.constantFrom('a', 'b', ' ', '\t', "'", '"', '\\', '=', '-', '/', ',', '\\\n');
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 14 }), (pieces) => {
        const text = pieces.join('');
        const words = splitWords(text);
        // A line end that nothing escapes ends sh's command; in the inventory it only parts words.
        fc.pre(!text.includes('\\\\\n'));
        fc.pre(words !== undefined && !text.endsWith('\\') && words.length > 0);
        const said = runIn('dash', sh`eval ${`set -- ${text}`}; printf '<%s>' "$@"`);
        expect(said.stdout).toBe((words ?? []).map((word) => `<${word}>`).join(''));
      }),
      { numRuns: 80 },
    );
  });
});

/** As the official install script writes it. */
function unitWith(role: string, args: readonly string[]): string {
  const indented = args.map((arg) => `\t'${arg.replaceAll("'", "'\\''")}' \\\n`).join('');
  return `[Unit]
Description=Lightweight Kubernetes
After=network-online.target

[Service]
Type=notify
EnvironmentFile=-/etc/default/%N
EnvironmentFile=-/etc/systemd/system/k3s.service.env
KillMode=process
ExecStartPre=-/sbin/modprobe br_netfilter
ExecStartPre=-/sbin/modprobe overlay
ExecStart=/usr/local/bin/k3s \\
    ${role} \\
${indented}

[Install]
WantedBy=multi-user.target
`;
}

describe('the arguments in a unit', () => {
  it.each<[string, string, string[] | undefined]>([
    ['upstream without arguments', unitWith('server', []), ['server']],
    [
      'upstream with arguments',
      unitWith('server', ['--flannel-backend', 'none', "--x=it's"]),
      ['server', '--flannel-backend', 'none', "--x=it's"],
    ],
    [
      'by hand, on one line',
      '[Service]\nExecStart=/usr/local/bin/k3s agent --node-label "a=b c"\nRestart=always\n',
      ['agent', '--node-label', 'a=b c'],
    ],
    ['none', '[Service]\nType=notify\n', undefined],
    [
      'not those of ExecStartPre',
      '[Service]\nExecStartPre=/bin/x y\nExecStart=/usr/local/bin/k3s server\n',
      ['server'],
    ],
  ])('%s', (_name, unit, args) => {
    expect(execStartArgs(unit)).toEqual(args);
  });

  it('are those that the install script was given', () => {
    const arg = fc.string({ unit: 'grapheme' }).map((text) => text.replaceAll(/[\0\n\r]/g, ''));
    fc.assert(
      fc.property(fc.array(arg), (args) => {
        expect(execStartArgs(unitWith('server', args))).toEqual(['server', ...args]);
      }),
    );
  });
});

describe('flags', () => {
  it.each<[string[], string | undefined]>([
    [['--node-name', 'a'], 'a'],
    [['--node-name=a'], 'a'],
    [['--node-name', 'a', '--node-name=b'], 'b'],
    [['--node-name-x=a'], undefined],
    [['--node-name'], undefined],
    [[], undefined],
  ])('%j has the value %s', (args, value) => {
    expect(flagValue(args, '--node-name')).toBe(value);
  });

  it.each<[string[], boolean]>([
    [['--selinux'], true],
    [['--selinux=true'], true],
    [['--selinux=false'], false],
    [['--selinux-x'], false],
  ])('%j is on: %s', (args, on) => {
    expect(hasFlag(args, '--selinux')).toBe(on);
  });
});

it.each([
  ['server --token hunter2 --x y', 'server --token [secret] --x y'],
  ['server --token=hunter2', 'server --token=[secret]'],
  ['server -t hunter2', 'server -t [secret]'],
  ['server --agent-token hunter2', 'server --agent-token [secret]'],
  ['server --datastore-endpoint=postgres://u:hunter2@h/d?a=b', 'server --datastore-endpoint=[secret]'],
  ['server --etcd-s3-secret-key hunter2', 'server --etcd-s3-secret-key [secret]'],
  ['server --vpn-auth name=tailscale,joinKey=hunter2', 'server --vpn-auth [secret]'],
  ['server --token-file /etc/t --disable traefik', 'server --token-file /etc/t --disable traefik'],
])('%s is shown as %s', (args, shown) => {
  expect(argsWithoutSecrets(args.split(' ')).join(' ')).toBe(shown);
});
