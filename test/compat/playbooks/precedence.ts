import type { PlaybookCase, PlaybookCases } from './playbook-case.ts';

/**
 * Where a variable can stand, the weakest first as Ansible documents them; facts and registered results have cases of their own.
 * @see https://docs.ansible.com/ansible/latest/playbook_guide/playbooks_variables.html
 */
const levels = [
  'role defaults',
  'inventory file, all',
  'inventory file, group',
  'inventory group_vars/all',
  'playbook group_vars/all',
  'inventory group_vars/web',
  'playbook group_vars/web',
  'inventory file, host',
  'inventory host_vars',
  'playbook host_vars',
  'play vars',
  'vars_prompt',
  'vars_files',
  'role vars',
  'block vars',
  'task vars',
  'include_vars',
  'set_fact',
  'role params',
  'include params',
  'extra vars',
] as const;
type Level = (typeof levels)[number];

/** A variable for each pair of levels, set on both. */
const pairs = levels.flatMap((weak, low) =>
  levels.slice(low + 1).map((strong, above) => ({ name: `p_${low}_${low + 1 + above}`, weak, strong })),
);

function setBy(level: Level): readonly string[] {
  return pairs.flatMap(({ name, weak, strong }) => (weak === level || strong === level ? [name] : []));
}

function asYaml(level: Level, indent = ''): string {
  return setBy(level)
    .map((name) => `${indent}${name}: ${level}\n`)
    .join('');
}

function asMapping(level: Level): string {
  return JSON.stringify(Object.fromEntries(setBy(level).map((name) => [name, level])));
}

function asIni(level: Level): string {
  return setBy(level)
    .map((name) => `${name}="${level}"`)
    .join('\n');
}

const everyPair: PlaybookCase = {
  extra: [asMapping('extra vars')],
  files: {
    inventory: `[all:vars]
ansible_connection=local
${asIni('inventory file, all')}
[web:vars]
${asIni('inventory file, group')}
[web]
a ${asIni('inventory file, host').replaceAll('\n', ' ')}
`,
    'group_vars/all.yml': asYaml('inventory group_vars/all'),
    'group_vars/web.yml': asYaml('inventory group_vars/web'),
    'host_vars/a.yml': asYaml('inventory host_vars'),
    'play/group_vars/all.yml': asYaml('playbook group_vars/all'),
    'play/group_vars/web.yml': asYaml('playbook group_vars/web'),
    'play/host_vars/a.yml': asYaml('playbook host_vars'),
    'play/vars.yml': asYaml('vars_files'),
    'play/roles/r/defaults/main.yml': asYaml('role defaults'),
    'play/roles/r/vars/main.yml': asYaml('role vars'),
    'play/roles/r/vars/included.yml': asYaml('include_vars'),
    'play/roles/r/tasks/main.yml': `- include_vars: included.yml
- set_fact: ${asMapping('set_fact')}
- include_tasks: inner.yml
  vars: ${asMapping('include params')}
`,
    'play/roles/r/tasks/inner.yml': `- vars: ${asMapping('block vars')}
  block:
    - name: tell
      vars: ${asMapping('task vars')}
      copy:
        dest: "{{ out }}/winners"
        content: |
${pairs.map(({ name, weak, strong }) => `          ${weak} < ${strong}: {{ ${name} }}`).join('\n')}
`,
  },
  path: 'play/site.yml',
  playbook: `- hosts: a
  vars: ${asMapping('play vars')}
  vars_prompt: [${setBy('vars_prompt')
    .map((name) => `{name: ${name}, prompt: x, default: vars_prompt}`)
    .join(', ')}]
  vars_files: [vars.yml]
  roles:
    - {role: r, ${asMapping('role params').slice(1)}
`,
};

/** Which of two places of a variable counts. */
export const PRECEDENCE: PlaybookCases = {
  'precedence: every pair of levels': everyPair,
  'precedence: registered results against set_fact, include_vars, task variables and parameters': {
    files: {
      'v.yml': 'r: include_vars\ns: include_vars\n',
      't.yml':
        '- {name: in the include, debug: {msg: "{{ r.stdout | default(r) }} {{ s.stdout | default(s) }}"}}\n',
    },
    playbook: `- hosts: a
  vars: {r: play, s: play}
  tasks:
    - {name: registers, command: echo registered, register: r, changed_when: false}
    - include_vars: v.yml
    - {name: over include_vars, debug: {msg: "{{ r.stdout | default(r) }} {{ s }}"}}
    - {name: over task vars, debug: {msg: "{{ r.stdout | default(r) }} {{ s }}"}, vars: {r: task, s: task}}
    - set_fact: {r: fact}
    - {name: the later one, debug: {msg: "{{ r }}"}}
    - {name: registers again, command: echo again, register: r, changed_when: false}
    - {name: the later one again, debug: {msg: "{{ r.stdout }}"}}
    - {include_tasks: t.yml, vars: {r: parameter}}
    - {import_tasks: t.yml, vars: {r: import, s: import}}
    - {name: of a loop, debug: {msg: "{{ item }}"}, loop: [1], vars: {item: task}}
    - set_fact: {item: fact}
    - {name: of a loop against a fact, debug: {msg: "{{ item }}"}, loop: [1]}
`,
  },
  'precedence: -e over everything that a run makes': {
    extra: ['x=extra', '{"reg": "extra"}'],
    playbook: `- hosts: a
  vars: {x: play}
  tasks:
    - set_fact: {x: fact}
    - {name: fact, debug: {msg: "{{ x }}"}}
    - {name: registers, command: echo r, register: reg, changed_when: false}
    - {name: registered, debug: {msg: "{{ reg }}"}}
    - {name: task, debug: {msg: "{{ x }}"}, vars: {x: task}}
`,
  },
  'precedence: -e against the variable of a loop': {
    differs: '-e is over everything',
    extra: ['item=extra'],
    playbook: `- hosts: a
  tasks:
    - {name: loops, debug: {msg: "{{ item }}"}, loop: [1]}
`,
  },
  'precedence: groups, their children, and ansible_group_priority': {
    inventory:
      '[x]\na\n[y]\na\n[p:children]\nx\n[x:vars]\nv=x\nw=x\nonly=x\n[y:vars]\nv=y\nw=y\nansible_group_priority=0\n[p:vars]\nv=p\nw=p\nonly=p\n',
    playbook: '- hosts: a\n  tasks:\n    - {name: tell, debug: {msg: "{{ v }} {{ w }} {{ only }}"}}\n',
  },
  'precedence: role parameters against what roles, facts and tasks say': {
    files: {
      'roles/r/defaults/main.yml': 'a: default\nb: default\n',
      'roles/r/vars/main.yml': 'c: variable\n',
      'roles/r/tasks/main.yml':
        '- {name: parameters, debug: {msg: "{{ a }} {{ b }} {{ c }} {{ e | default(\'-\') }}"}}\n- {set_fact: {e: fact}}\n- {name: against a fact, debug: {msg: "{{ e }}"}}\n- {name: against a task, debug: {msg: "{{ a }} {{ c }}"}, vars: {a: task, c: task}}\n',
    },
    playbook: `- hosts: a
  vars: {a: play}
  roles:
    - {role: r, a: parameter, e: parameter}
    - {role: r, vars: {a: vars, b: vars, c: vars, e: vars}}
  tasks:
    - {import_role: {name: r}, vars: {a: import, c: import, e: import}}
    - {include_role: {name: r}, vars: {a: include, c: include, e: include}}
    - {name: left over, debug: {msg: "{{ a }} {{ b | default('-') }} {{ c | default('-') }} {{ e }}"}}
`,
  },
};
