/**
 * Asks a real Ansible for the answers in template-cases.json and filter-cases.json and says where they differ. Not part of the tests:
 *   npx tsx test/jinja/template-cases-from-ansible.ts
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';

interface Case {
  readonly template: string;
  readonly value?: unknown;
  /** Ansible's answer, where ours keeps a number that Ansible 2.14 makes text. */
  readonly ansible?: unknown;
  readonly error?: true;
}

const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
function check(file: string): boolean {
  const { vars, cases } = JSON.parse(readFileSync(path(file), 'utf8')) as {
    readonly vars: unknown;
    readonly cases: readonly Case[];
  };
  // Debian's Ansible belongs to Debian's Python, which need not be the first in PATH.
  const run = spawnSync('/usr/bin/python3', [path('../inventory/ansible-templar.py')], {
    input: JSON.stringify({ vars, templates: cases.map(({ template }) => template) }),
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  if (run.status !== 0) {
    process.stdout.write(
      'skipped: there is no Ansible for /usr/bin/python3 (Debian: apt-get install ansible python3-netaddr python3-jmespath)\n',
    );
    return true;
  }
  const answers = JSON.parse(run.stdout) as readonly { readonly value?: unknown; readonly error?: string }[];
  const different = cases.filter((one, index) => {
    const answer = answers[index];
    if (one.error === true) return answer?.error === undefined;
    return !isDeepStrictEqual(answer?.value, one.ansible ?? one.value);
  });
  for (const { template } of different) process.stdout.write(`differs: ${template}\n`);
  process.stdout.write(`${file}: ${cases.length - different.length} of ${cases.length} as Ansible answers\n`);
  return different.length === 0;
}

process.exitCode = ['./template-cases.json', './filter-cases.json'].every(check) ? 0 : 1;
