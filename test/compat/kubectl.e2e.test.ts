import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Lab, on, startLab } from '../up/lab.ts';

let lab: Lab;

beforeAll(async () => {
  lab = await startLab({ servers: 1, agents: 1 });
});

afterAll(async () => {
  await lab?.stop();
});

test('objects are applied through the server, from any host, once; looked up, and removed', async () => {
  const up = await lab.cli.run(['up', '--yes']);
  expect(up.code, up.stderr).toBe(0);
  const book = path.join(lab.nodes.directory, 'objects.yml');
  await writeFile(
    book,
    `- hosts: agent
  become: true
  gather_facts: false
  tasks:
    - kubernetes.core.k8s: {kind: Namespace, name: web, state: present}
    - kubectl:
        namespace: web
        definition:
          - {apiVersion: v1, kind: ConfigMap, metadata: {name: greeting}, data: {hello: "it's {{ inventory_hostname }}"}}
          - {apiVersion: v1, kind: Secret, metadata: {name: hidden}, stringData: {password: not-to-be-seen}}
    - k8s_info: {kind: ConfigMap, name: greeting, namespace: web}
      register: found
    - assert: {that: "found.resources[0].data.hello is search('s agent-1')"}
    - k8s_info: {kind: Node, wait: true, wait_timeout: 60}
`,
  );
  const first = await lab.cli.run(['play', book, '--diff']);
  expect(first.code, first.stderr).toBe(0);
  expect(`${first.stdout}${first.stderr}`).not.toContain('not-to-be-seen');
  const again = await lab.cli.run(['play', book, '--check']);
  expect({ code: again.code, said: again.stdout }).toMatchObject({ code: 0 });
  expect(await on(lab, 'server-1', 'k3s kubectl get cm -n web greeting -o jsonpath={.data.hello}')).toBe(
    "it's agent-1",
  );
  const removed = await lab.cli.run([
    'run',
    '-b',
    '-m',
    'k8s',
    '-a',
    'kind=Namespace name=web state=absent',
    'server',
  ]);
  expect(removed.code, removed.stderr).toBe(0);
  expect(await on(lab, 'server-1', 'k3s kubectl get ns web --ignore-not-found')).toBe('');
});
