import type { PlaybookCases } from './playbook-case.ts';

const roleFiles = {
  'roles/base/defaults/main.yml': 'd: default of base\nshared: default of base\n',
  'roles/base/tasks/main.yml':
    '- {name: base, debug: {msg: "{{ d }} {{ shared }} {{ p | default(\'-\') }} {{ role_name }} {{ role_path | basename }}"}}\n',
  'roles/app/defaults/main.yml': 'd: default of app\n',
  'roles/app/vars/main.yml': 'shared: variable of app\n',
  'roles/app/meta/main.yml': 'dependencies:\n  - {role: base, p: parameter from app}\n',
  'roles/app/tasks/main.yml':
    '- {name: app, command: "true", notify: restart app}\n- {name: tell, debug: {msg: "{{ d }} {{ shared }} {{ p | default(\'-\') }}"}}\n',
  'roles/app/handlers/main.yml':
    '- {name: restart app, debug: {msg: "{{ d }} {{ shared }} {{ role_name }}"}}\n',
};

const tagged = `- hosts: a
  tasks:
    - {name: untagged, debug: {msg: x}}
    - {name: one, debug: {msg: x}, tags: one}
    - {name: two, debug: {msg: x}, tags: [two, both]}
    - {name: always, debug: {msg: x}, tags: always}
    - {name: always one, debug: {msg: x}, tags: [always, one]}
    - {name: never, debug: {msg: x}, tags: never}
    - {name: never one, debug: {msg: x}, tags: [never, one]}
    - tags: block
      block:
        - {name: in block, debug: {msg: x}}
        - {name: in block one, debug: {msg: x}, tags: one}
        - {name: in block never, debug: {msg: x}, tags: never}
    - include_tasks: t.yml
      tags: inc
    - import_tasks: t.yml
      tags: imp
    - {include_tasks: {file: t.yml, apply: {tags: applied}}, tags: incapplied}
    - {include_tasks: t.yml, tags: always}
    - {include_role: {name: r}, tags: increole}
    - {import_role: {name: r}, tags: improle}
  roles:
    - {role: r, tags: role}
- hosts: a
  tags: playtag
  tasks:
    - {name: of a tagged play, debug: {msg: x}}
    - {name: of a tagged play never, debug: {msg: x}, tags: never}
`;
const taggedFiles = {
  't.yml': '- {name: t plain, debug: {msg: x}}\n- {name: t one, debug: {msg: x}, tags: one}\n',
  'roles/r/tasks/main.yml':
    '- {name: r plain, debug: {msg: x}}\n- {name: r one, debug: {msg: x}, tags: one}\n',
};

const startable = `- hosts: a
  tasks:
    - {name: one, command: "true", notify: h}
    - block:
        - {name: two, debug: {msg: 2}}
        - {name: three, debug: {msg: 3}}
      always:
        - {name: four, debug: {msg: 4}}
    - import_tasks: t.yml
    - {name: five, command: "true", notify: h}
  roles: [r]
  handlers:
    - {name: h, debug: {msg: h}}
- hosts: all
  tasks:
    - {name: six, debug: {msg: 6}}
`;

/** What playbooks are made of: includes, roles, tags, files of variables, plays. */
export const STRUCTURE: PlaybookCases = {
  ...Object.fromEntries(
    (
      [
        ['no tags asked for', {}],
        ['--tags one', { tags: ['one'] }],
        ['--tags two,block', { tags: ['two', 'block'] }],
        ['--tags inc', { tags: ['inc'] }],
        ['--tags imp', { tags: ['imp'] }],
        ['--tags incapplied,applied', { tags: ['incapplied', 'applied'] }],
        ['--tags increole,improle', { tags: ['increole', 'improle'] }],
        ['--tags role', { tags: ['role'] }],
        ['--tags never', { tags: ['never'] }],
        ['--tags tagged', { tags: ['tagged'] }],
        ['--tags untagged', { tags: ['untagged'] }],
        ['--tags all,never', { tags: ['all', 'never'] }],
        ['--tags playtag', { tags: ['playtag'] }],
        ['--skip-tags one', { skipTags: ['one'] }],
        ['--skip-tags always', { skipTags: ['always'] }],
        ['--skip-tags tagged', { skipTags: ['tagged'] }],
        ['--skip-tags untagged', { skipTags: ['untagged'] }],
        ['--tags one --skip-tags always,block', { tags: ['one'], skipTags: ['always', 'block'] }],
      ] as const
    ).map(([name, how]) => [`tags: ${name}`, { playbook: tagged, files: taggedFiles, ...how }]),
  ),
  ...Object.fromEntries(
    (
      [
        ['a task', 'one'],
        ['a task in a block', 'three'],
        ['a task of an import', 't one'],
        ['a task of a role', 'r one'],
        ['a task of a role with the name of the role', 'r : r plain'],
        ['a pattern', 'f*e'],
        ['a task of a later play', 'six'],
        ['always of a block', 'four'],
      ] as const
    ).map(([name, startAt]) => [`start at: ${name}`, { playbook: startable, files: taggedFiles, startAt }]),
  ),
  'includes: variables for what is included, and behind it': {
    files: {
      't.yml':
        '- {name: inside, debug: {msg: "{{ v }} {{ w | default(\'-\') }}"}}\n- {name: sets, set_fact: {f: "{{ v }}"}}\n',
    },
    playbook: `- hosts: a
  vars: {v: play}
  tasks:
    - {include_tasks: t.yml, vars: {v: include, w: w}}
    - {name: behind the include, debug: {msg: "{{ v }} {{ w | default('-') }} {{ f }}"}}
    - {import_tasks: t.yml, vars: {v: import}}
    - {name: behind the import, debug: {msg: "{{ v }} {{ f }}"}}
    - vars: {v: block}
      block:
        - include_tasks: t.yml
    - set_fact: {v: fact}
    - {include_tasks: t.yml, vars: {v: include}}
    - {import_tasks: t.yml, vars: {v: import}}
    - {name: at the end, debug: {msg: "{{ v }}"}}
`,
  },
  'includes: conditions of include and import': {
    files: {
      't.yml': '- {name: flips, set_fact: {flag: false}}\n- {name: after the flip, debug: {msg: x}}\n',
    },
    playbook: `- hosts: a
  tasks:
    - set_fact: {flag: true}
    - {include_tasks: t.yml, when: flag}
    - set_fact: {flag: true}
    - {import_tasks: t.yml, when: flag}
`,
  },
  'includes: a file that is missing, though its condition does not hold': {
    differs: 'files that are named plainly are looked for before the run',
    playbook: `- hosts: a
  tasks:
    - {include_tasks: nowhere.yml, when: false}
    - {name: behind, debug: {msg: x}}
`,
  },
  'includes: by a template, by host, in a loop, of a file that is missing': {
    files: {
      'a.yml': '- {name: of a, debug: {msg: "{{ n | default(0) }}"}}\n',
      'b.yml': '- {name: of b, debug: {msg: "{{ n | default(0) }}"}}\n',
    },
    playbook: `- hosts: all
  tasks:
    - {include_tasks: "{{ inventory_hostname }}.yml", when: inventory_hostname != 'c'}
    - {include_tasks: "{{ item }}.yml", loop: [a, b], vars: {n: "{{ item }}!"}}
    - {name: each its own, include_tasks: "{{ inventory_hostname }}.yml"}
    - {name: behind, debug: {msg: x}}
`,
  },
  'includes: files that include files, beside themselves and beside the playbook': {
    files: {
      'sub/one.yml': '- include_tasks: two.yml\n- include_tasks: more/three.yml\n',
      'sub/two.yml': "- {name: two, debug: {msg: \"{{ lookup('file', 'f.txt') }}\"}}\n",
      'sub/more/three.yml': '- {name: three, debug: {msg: 3}}\n- import_tasks: four.yml\n',
      'sub/more/four.yml': '- {name: four, debug: {msg: 4}}\n',
      'files/f.txt': 'of files',
    },
    playbook: '- hosts: a\n  tasks:\n    - include_tasks: sub/one.yml\n    - import_tasks: sub/one.yml\n',
  },
  'includes: apply, with a block around it, and become or tags handed down': {
    files: {
      't.yml':
        '- {name: who, command: id -un, changed_when: false, register: r}\n- {name: tell, debug: {msg: "{{ r.stdout }}"}}\n',
    },
    playbook: `- hosts: a
  tasks:
    - include_tasks: {file: t.yml, apply: {become: true, become_user: nobody}}
    - {import_tasks: t.yml, become: true, become_user: nobody}
    - become: true
      become_user: nobody
      block:
        - include_tasks: t.yml
`,
  },
  'includes: ignore_errors and a rescue around an include': {
    files: { 't.yml': '- {name: fails, command: "false"}\n- {name: not reached, debug: {msg: x}}\n' },
    playbook: `- hosts: a
  tasks:
    - block:
        - include_tasks: t.yml
      rescue:
        - {name: rescued, debug: {msg: "{{ ansible_failed_task.name }}"}}
    - {import_tasks: t.yml, ignore_errors: true}
    - {name: behind, debug: {msg: x}}
`,
  },
  'includes: run_once and delegate_to for what is imported': {
    files: { 't.yml': '- {name: tells, shell: "echo {{ inventory_hostname }} >>{{ out }}/who"}\n' },
    playbook: `- hosts: all
  tasks:
    - {import_tasks: t.yml, run_once: true}
    - {import_tasks: t.yml, delegate_to: c, when: inventory_hostname == 'a'}
`,
  },
  'include_vars: a file, a folder, a name, in a loop, over play variables': {
    files: {
      'vars/x.yml': 'x: of x\nboth: of x\n',
      'vars/y.yml': 'y: of y\nboth: of y\n',
      'folder/1.yml': 'one: 1\nsame: 1\n',
      'folder/2.yml': 'two: 2\nsame: 2\n',
    },
    playbook: `- hosts: a
  vars: {x: of play, both: of play}
  tasks:
    - {name: file, include_vars: x.yml}
    - {name: tell, debug: {msg: "{{ x }} {{ both }}"}}
    - {name: loops, include_vars: "{{ item }}", loop: [x.yml, y.yml]}
    - {name: tell loop, debug: {msg: "{{ both }} {{ y }}"}}
    - {name: folder, include_vars: {dir: folder, name: many}}
    - {name: tell folder, debug: {msg: "{{ many.one }} {{ many.two }} {{ many.same }}"}}
    - {name: of the task, debug: {msg: "{{ both }}"}, vars: {both: of task}}
    - set_fact: {both: of fact}
    - {name: tell fact, debug: {msg: "{{ both }}"}}
    - {name: again, include_vars: x.yml}
    - {name: fact stays, debug: {msg: "{{ both }}"}}
    - {name: first found, include_vars: "{{ item }}", with_first_found: [none.yml, y.yml]}
    - {name: missing, include_vars: "{{ 'nowhere' }}.yml", ignore_errors: true}
`,
  },
  'vars_files: templates, by host, and the first that is there': {
    files: {
      'vars/web.yml': 'kind: of web\n',
      'vars/db.yml': 'kind: of db\n',
      'vars/default.yml': 'fallback: of default\nkind2: of default\n',
      'vars/a.yml': 'kind2: of a\n',
      'late.yml': 'kind: of late\n',
    },
    inventory: '[web]\na\nb\n[db]\nc\n[web:vars]\nrole=web\n[db:vars]\nrole=db\n',
    playbook: `- hosts: all
  vars: {base: vars}
  vars_files:
    - "{{ base }}/{{ role }}.yml"
    - ["{{ base }}/{{ inventory_hostname }}.yml", "{{ base }}/default.yml"]
  tasks:
    - {name: tell, debug: {msg: "{{ kind }} {{ kind2 }} {{ fallback | default('-') }}"}}
- hosts: a
  vars_files: [vars/web.yml, late.yml]
  tasks:
    - {name: later ones win, debug: {msg: "{{ kind }}"}}
`,
  },
  'vars_files: by a fact that is gathered': {
    gathers: true,
    files: { 'os-Linux.yml': 'package: of Linux\n', 'os-default.yml': 'package: of default\n' },
    playbook: `- hosts: a
  vars_files:
    - "os-{{ ansible_system }}.yml"
    - ["nowhere-{{ ansible_facts.system }}.yml", "os-default.yml"]
  tasks:
    - {name: tell, debug: {msg: "{{ package }}"}}
`,
  },
  'vars_files: one that is missing': {
    playbook: `- hosts: a
  vars_files: [nowhere.yml]
  tasks:
    - {name: tell, debug: {msg: x}}
`,
  },
  'vars_files: a list of which none is there': {
    playbook: `- hosts: a
  vars_files: [[nowhere.yml, neither.yml]]
  tasks:
    - {name: tell, debug: {msg: x}}
`,
  },
  'vars_prompt: defaults where nobody can be asked': {
    extra: ['given=extra'],
    playbook: `- hosts: a
  vars: {asked: of play, given: of play}
  vars_prompt:
    - {name: asked, prompt: What, default: of prompt}
    - {name: given, prompt: What, default: of prompt}
    - {name: private, prompt: What, default: "5", private: false}
  tasks:
    - {name: tell, debug: {msg: "{{ asked }} {{ given }} {{ private }}"}}
`,
  },
  'vars_prompt: without a default where nobody can be asked': {
    differs: 'an error before the run, for None is what nobody wanted',
    playbook: `- hosts: a
  vars_prompt:
    - {name: asked, prompt: What}
  tasks:
    - {name: tell, debug: {msg: "{{ asked | default('nothing', true) }}"}}
`,
  },
  'roles: defaults, variables, handlers, dependencies with parameters': {
    files: roleFiles,
    playbook: `- hosts: a
  vars: {shared: of play}
  roles:
    - app
    - {role: base, p: parameter of play}
  tasks:
    - {name: in the play, debug: {msg: "{{ d }} {{ shared }} {{ p | default('-') }}"}}
`,
  },
  'roles: once for the same parameters, again for others, always with allow_duplicates': {
    files: {
      'roles/r/tasks/main.yml': '- {name: r, debug: {msg: "{{ p | default(\'-\') }}"}}\n',
      'roles/dup/meta/main.yml': 'allow_duplicates: true\n',
      'roles/dup/tasks/main.yml': '- {name: dup, debug: {msg: d}}\n',
    },
    playbook: `- hosts: a
  roles:
    - r
    - r
    - {role: r, p: 1}
    - {role: r, p: 2}
    - {role: r, p: 1}
    - {role: r, vars: {p: 3}}
    - dup
    - dup
  tasks:
    - import_role: {name: r}
    - include_role: {name: r}
    - include_role: {name: r}
`,
  },
  'roles: dependencies of dependencies, each once': {
    files: {
      'roles/a/meta/main.yml': 'dependencies: [b, c]\n',
      'roles/b/meta/main.yml': 'dependencies: [c]\n',
      'roles/a/tasks/main.yml': '- {name: task, debug: {msg: a}}\n',
      'roles/b/tasks/main.yml': '- {name: task, debug: {msg: b}}\n',
      'roles/c/tasks/main.yml': '- {name: task, debug: {msg: c}}\n',
    },
    playbook: '- hosts: a\n  roles: [a, b, c]\n',
  },
  'roles: a dependency once, whatever the parameters of those that depend on it': {
    files: {
      'roles/a/meta/main.yml': 'dependencies: [c]\n',
      'roles/c/tasks/main.yml': '- {name: task, debug: {msg: "{{ p | default(\'-\') }}"}}\n',
      'roles/a/tasks/main.yml': '- {name: task, debug: {msg: "{{ p }}"}}\n',
    },
    playbook: '- hosts: a\n  roles: [{role: a, p: 1}, {role: a, p: 2}]\n',
  },
  'roles: conditions and tags reach dependencies': {
    files: roleFiles,
    playbook: `- hosts: all
  roles:
    - {role: app, when: inventory_hostname == 'b'}
`,
  },
  'roles: include_role and import_role with variables, tasks_from, public': {
    files: {
      'roles/r/defaults/main.yml': 'd: default\n',
      'roles/r/vars/main.yml': 'v: variable\n',
      'roles/r/vars/other.yml': 'v: other variable\n',
      'roles/r/defaults/other.yml': 'd: other default\n',
      'roles/r/tasks/main.yml': '- {name: main, debug: {msg: "{{ d }} {{ v }} {{ p | default(\'-\') }}"}}\n',
      'roles/r/tasks/other.yml':
        '- {name: other, debug: {msg: "{{ d }} {{ v }} {{ p | default(\'-\') }}"}}\n',
    },
    playbook: `- hosts: a
  tasks:
    - include_role: {name: r}
    - {name: not seen, debug: {msg: "{{ d | default('-') }} {{ v | default('-') }}"}}
    - include_role: {name: r, tasks_from: other, vars_from: other, defaults_from: other}
      vars: {p: parameter}
    - include_role: {name: r}
      vars: {d: given, v: given}
    - include_role: {name: r, public: true}
    - {name: seen, debug: {msg: "{{ d | default('-') }} {{ v | default('-') }}"}}
    - include_role: {name: "{{ item }}"}
      loop: [r]
      when: inventory_hostname == 'a'
- hosts: a
  tasks:
    - import_role: {name: r, tasks_from: other.yml}
      vars: {p: parameter, d: given}
    - {name: behind, debug: {msg: "{{ d | default('-') }} {{ v | default('-') }} {{ p | default('-') }}"}}
`,
  },
  'roles: variables of one role seen by another and by tasks before it': {
    files: {
      'roles/one/defaults/main.yml': 'd1: default of one\nsame: default of one\n',
      'roles/one/vars/main.yml': 'v1: variable of one\nsamevar: variable of one\n',
      'roles/one/tasks/main.yml':
        "- {name: one, debug: {msg: \"{{ d1 }} {{ d2 | default('-') }} {{ v1 }} {{ v2 | default('-') }} {{ same }} {{ samevar }}\"}}\n",
      'roles/two/defaults/main.yml': 'd2: default of two\nsame: default of two\n',
      'roles/two/vars/main.yml': 'v2: variable of two\nsamevar: variable of two\n',
      'roles/two/tasks/main.yml':
        '- {name: two, debug: {msg: "{{ d1 }} {{ d2 }} {{ v1 }} {{ v2 }} {{ same }} {{ samevar }}"}}\n',
    },
    playbook: `- hosts: a
  vars: {samevar: of play}
  pre_tasks:
    - {name: before, debug: {msg: "{{ d1 | default('-') }} {{ v2 | default('-') }} {{ same | default('-') }} {{ samevar }}"}}
  roles: [one, two]
  tasks:
    - {name: behind, debug: {msg: "{{ d1 }} {{ d2 }} {{ v1 }} {{ v2 }} {{ same }} {{ samevar }}"}}
- hosts: a
  tasks:
    - {name: next play, debug: {msg: "{{ d1 | default('-') }} {{ v1 | default('-') }}"}}
`,
  },
  'roles: files, templates and tasks of its own': {
    files: {
      'roles/r/files/f.txt': 'file of the role',
      'roles/r/templates/t.j2': 'template of {{ role_name }} on {{ inventory_hostname }}\n',
      'roles/r/tasks/main.yml':
        '- {name: copies, copy: {src: f.txt, dest: "{{ out }}/f"}}\n- {name: renders, template: {src: t.j2, dest: "{{ out }}/t"}}\n- include_tasks: more.yml\n- {name: copies from the play, copy: {src: p.txt, dest: "{{ out }}/p"}}\n',
      'roles/r/tasks/more.yml': '- {name: more, debug: {msg: "{{ role_path | basename }}"}}\n',
      'files/p.txt': 'file of the play',
      'files/f.txt': 'the wrong one',
    },
    playbook: '- hosts: a\n  roles: [r]\n',
  },
  'roles: handlers of a role that is included, and of one that is notified later': {
    files: {
      'roles/r/tasks/main.yml': '- {name: r, command: "true", notify: of r}\n',
      'roles/r/handlers/main.yml':
        '- {name: of r, debug: {msg: "{{ x | default(\'-\') }}"}, listen: topic}\n',
    },
    playbook: `- hosts: a
  tasks:
    - {include_role: {name: r}, vars: {x: 1}}
    - meta: flush_handlers
    - {name: notifies, command: "true", notify: topic}
`,
  },
  'plays: set_fact and register are known in later plays, and to other hosts': {
    playbook: `- hosts: a
  vars: {p: of play}
  tasks:
    - {set_fact: {f: fact, cached: cached, cacheable: true}, name: cached}
    - {name: plain, set_fact: {g: fact}}
    - {name: registers, command: echo r, register: r, changed_when: false}
- hosts: all
  tasks:
    - name: tell
      debug:
        msg: "{{ f | default('-') }} {{ g | default('-') }} {{ cached | default('-') }} {{ p | default('-') }} {{ hostvars['a'].f }} {{ hostvars.a.g }} {{ hostvars['a']['r'].stdout }} {{ hostvars['a'].p | default('-') }} {{ hostvars['a'].ansible_facts.cached | default('-') }} {{ hostvars['a'].ansible_facts.g | default('-') }}"
`,
  },
  'plays: import_playbook with variables, tags and a condition': {
    files: {
      'other.yml':
        "- hosts: a\n  gather_facts: false\n  vars: {v: of play}\n  tasks:\n    - {name: other, debug: {msg: \"{{ v }} {{ w | default('-') }} {{ playbook_dir | basename == 'out' }}\"}}\n",
    },
    playbook: `- import_playbook: other.yml
- import_playbook: other.yml
  vars: {v: of import, w: w}
- import_playbook: other.yml
  when: inventory_hostname == 'b'
- hosts: a
  tasks:
    - {name: own, debug: {msg: x}}
`,
  },
  'plays: patterns of hosts': {
    inventory: '[web]\na\nb\n[db]\nc\n[eu]\na\nc\n',
    playbook: `- hosts: web:&eu
  tasks: [{name: one, debug: {msg: x}}]
- hosts: all,!db
  tasks: [{name: two, debug: {msg: x}}]
- hosts: [db, b]
  tasks: [{name: three, debug: {msg: x}}]
- hosts: "~^[ac]$"
  tasks: [{name: four, debug: {msg: x}}]
- hosts: web[1]
  tasks: [{name: five, debug: {msg: x}}]
- hosts: localhost
  tasks: [{name: six, debug: {msg: "{{ inventory_hostname }} {{ groups['web'] }}"}}]
- hosts: "{{ which }}"
  tasks: [{name: seven, debug: {msg: x}}]
`,
    extra: ['which=db'],
  },
  'plays: limited': {
    limit: 'b:c',
    playbook: `- hosts: all
  tasks:
    - {name: tell, debug: {msg: "{{ ansible_play_hosts_all }} {{ groups['all'] }}"}}
- hosts: a
  tasks:
    - {name: nobody, debug: {msg: x}}
`,
  },
  'plays: names that Ansible itself provides': {
    playbook: `- name: The play
  hosts: web
  gather_facts: false
  tasks:
    - name: tell
      debug:
        msg: "{{ ansible_play_name }} {{ ansible_play_hosts }} {{ ansible_play_hosts_all }} {{ ansible_play_batch }} {{ play_hosts }} {{ inventory_hostname_short }} {{ group_names }} {{ groups.web }} {{ playbook_dir }} {{ ansible_check_mode }} {{ ansible_run_tags }} {{ ansible_skip_tags }} {{ inventory_dir }} {{ inventory_file | basename }} {{ omit is defined }} {{ vars is mapping }} {{ ansible_version.full is version('2.14', '>=') }}"
    - {name: omit, copy: {dest: "{{ out }}/{{ inventory_hostname }}", content: x, mode: "{{ nowhere | default(omit) }}"}}
`,
  },
  'plays: play_hosts are those of the batch, and without the failed': {
    playbook: `- hosts: all
  serial: 2
  tasks:
    - {name: tell, debug: {msg: "{{ ansible_play_hosts }} {{ ansible_play_hosts_all }} {{ ansible_play_batch }} {{ play_hosts }}"}}
    - {name: one fails, fail: {}, when: inventory_hostname == 'a'}
- hosts: all
  tasks:
    - {name: tell later, debug: {msg: "{{ ansible_play_hosts }} {{ ansible_play_hosts_all }} {{ ansible_play_batch }} {{ play_hosts }}"}}
`,
  },
  'roles: names of the roles around a task, and of the play': {
    files: {
      'roles/one/tasks/main.yml':
        '- {name: tell one, debug: {msg: "{{ ansible_role_name }} {{ role_name }} {{ role_path | basename }} {{ ansible_parent_role_names is defined }} {{ ansible_play_role_names }} {{ role_names }} {{ ansible_role_names | sort }} {{ ansible_dependent_role_names }}"}}\n- import_role: {name: two}\n- include_role: {name: three}\n',
      'roles/zero/tasks/main.yml':
        '- {name: tell zero, debug: {msg: "{{ ansible_role_name }} {{ ansible_parent_role_names is defined }}"}}\n',
      'roles/one/meta/main.yml': 'dependencies: [zero]\n',
      'roles/two/tasks/main.yml':
        '- {name: tell two, debug: {msg: "{{ ansible_role_name }} {{ ansible_parent_role_names }} {{ ansible_parent_role_paths | map(\'basename\') | list }}"}}\n',
      'roles/three/tasks/main.yml':
        '- {name: tell three, debug: {msg: "{{ ansible_role_name }} {{ ansible_parent_role_names }}"}}\n- include_role: {name: four}\n',
      'roles/four/tasks/main.yml':
        '- {name: tell four, debug: {msg: "{{ ansible_role_name }} {{ ansible_parent_role_names }}"}}\n',
    },
    playbook: `- hosts: a
  roles: [one]
  tasks:
    - {name: tell outside, debug: {msg: "{{ ansible_role_name is defined }} {{ ansible_play_role_names }} {{ ansible_dependent_role_names }}"}}
    - name: in a block
      block:
        - include_role: {name: four}
`,
  },
  'until: a step that only looks looks again, and so do those behind it': {
    playbook: `- hosts: a
  tasks:
    - {name: before, stat: {path: "{{ out }}/other"}, register: other}
    - {name: in a while, shell: "(sleep 1; echo x >{{ out }}/other; echo x >{{ out }}/there) >/dev/null 2>&1 &"}
    - {name: not yet, stat: {path: "{{ out }}/other"}, register: early}
    - {name: wait, stat: {path: "{{ out }}/there"}, register: there, until: there.stat.exists, retries: 300, delay: 0.2}
    - {name: behind, stat: {path: "{{ out }}/other"}, register: other}
    - {name: tell, debug: {msg: "{{ there.stat.exists }} {{ other.stat.exists }}"}}
    - {name: in vain, stat: {path: "{{ out }}/never"}, register: never, until: never.stat.exists, retries: 1, delay: 0.1}
`,
  },
  'plays: what is waited for is seen behind wait_for': {
    playbook: `- hosts: a
  tasks:
    - {name: in a while, shell: "(sleep 1; echo one >{{ out }}/there) >/dev/null 2>&1 &"}
    - {name: not yet, stat: {path: "{{ out }}/there"}, register: early}
    - {name: wait, wait_for: {path: "{{ out }}/there", timeout: 60}}
    - {name: read, slurp: {src: "{{ out }}/there"}, register: one}
    - {name: tell, debug: {msg: "{{ one.content | b64decode }}"}}
`,
  },
  'plays: pause waits and changes nothing, and a connection is waited for': {
    playbook: `- hosts: a
  tasks:
    - {name: pause, pause: {seconds: 1}, register: waited}
    - {name: is it there, wait_for_connection: {timeout: 5}}
    - {name: tell, debug: {msg: "{{ waited is changed }} {{ waited is failed }}"}}
`,
  },
  'plays: variables that need each other, are late, or are wrong': {
    playbook: `- hosts: a
  vars:
    one: "{{ two }}!"
    two: "{{ three | default('nothing') }}"
    wrong: "{{ nowhere }}"
    list: ["{{ two }}", x]
    loop_a: "{{ loop_b }}"
    loop_b: "{{ loop_a }}"
  tasks:
    - {name: before, debug: {msg: "{{ one }} {{ list }}"}}
    - set_fact: {three: 3}
    - {name: after, debug: {msg: "{{ one }}"}}
    - {name: after as text, debug: {msg: "{{ list | join('-') }}"}}
    - {name: wrong one, debug: {msg: "{{ wrong }}"}, ignore_errors: true}
    - {name: in a circle, debug: {msg: "{{ loop_a }}"}, ignore_errors: true}
    - {name: by name, debug: {msg: "{{ lookup('vars', 'two') }}"}}
`,
  },
  'plays: facts of hosts are under play variables and over the inventory': {
    gathers: true,
    inventory: 'a ansible_system=inventory ansible_machine=inventory\n',
    playbook: `- hosts: a
  vars: {ansible_system: of play}
  tasks:
    - {name: tell, debug: {msg: "{{ ansible_system }} {{ ansible_facts.system }} {{ ansible_machine != 'inventory' }}"}}
    - {name: facts as variables, debug: {msg: "{{ ansible_facts['machine'] == ansible_machine }}"}}
`,
  },
  'plays: cached facts are under play variables, plain ones over them': {
    playbook: `- hosts: a
  vars: {v: of play, w: of play}
  tasks:
    - set_fact: {v: plain}
    - {name: one, debug: {msg: "{{ v }}"}}
- hosts: a
  vars: {v: of the second play}
  tasks:
    - {name: two, debug: {msg: "{{ v }}"}}
    - {name: clears, meta: clear_facts}
    - {name: three, debug: {msg: "{{ v }}"}}
`,
  },
  'plays: a play of no host, an empty play, and tasks without hosts': {
    playbook: `- hosts: nowhere
  tasks: [{name: one, debug: {msg: x}}]
- hosts: a
- hosts: a
  tasks: []
- hosts: a
  tasks: [{name: two, debug: {msg: x}}]
`,
  },
  'plays: add_host': {
    differs: 'hosts are in the inventory: none joins during a run',
    playbook: `- hosts: a
  tasks:
    - add_host: {name: d, groups: [new], ansible_connection: local}
- hosts: new
  gather_facts: false
  tasks: [{name: tell, debug: {msg: x}}]
`,
  },
  'plays: group_by': {
    differs: 'groups are in the inventory: none is made during a run',
    playbook: `- hosts: all
  tasks:
    - group_by: {key: "is_{{ inventory_hostname }}"}
- hosts: is_b
  gather_facts: false
  tasks: [{name: tell, debug: {msg: x}}]
`,
  },
};
