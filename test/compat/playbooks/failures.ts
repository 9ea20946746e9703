import type { PlaybookCases } from './playbook-case.ts';

const tenHosts = '[web]\nh[01:10]\n';
const someAway =
  'a\nb ansible_connection=ssh ansible_host=127.0.0.1 ansible_port=1 ansible_ssh_common_args="-o BatchMode=yes"\nc\n';

/** A play whose hosts b (and c) fail in the first task, with keywords. */
function failing(keywords: string, which = "inventory_hostname == 'b'"): string {
  return `- hosts: all
  ${keywords}
  tasks:
    - {name: first, fail: {msg: x}, when: "${which}"}
    - {name: second, debug: {msg: "{{ inventory_hostname }}"}}
- hosts: all
  tasks:
    - {name: next play, debug: {msg: "{{ ansible_play_hosts }} {{ ansible_play_hosts_all }}"}}
`;
}

/** A play for all hosts that ends for all of them where one fails, in a block with this clause. */
function fatal(clause: string): string {
  return `- hosts: all
  any_errors_fatal: true
  tasks:
    - block:
        - {name: one, fail: {msg: x}, when: inventory_hostname == 'b'}
        - {name: two, debug: {msg: 2}}
      ${clause}
    - {name: after, debug: {msg: after}}
`;
}

/** A play with a keyword whose first task finds b out of reach. */
function away(keyword: string): string {
  return `- hosts: all
  ${keyword}
  tasks:
    - {name: one, command: "true"}
    - {name: two, command: "true"}
`;
}

/** A play whose host b fails when all were notified, with keywords. */
function notified(...keywords: readonly string[]): string {
  return `- hosts: all
  ${keywords.join('\n  ')}
  tasks:
    - {name: one, command: "true", notify: told}
    - {name: two, fail: {msg: x}, when: inventory_hostname == 'b'}
  handlers:
    - {name: told, debug: {msg: "{{ inventory_hostname }}"}}
`;
}

/** A play in which a notifies some of these handlers. */
function notifying(names: string, ...handlers: readonly string[]): string {
  return `- hosts: a
  tasks:
    - {name: one, command: "true", notify: ${names}}
  handlers:
${handlers.map((handler) => `    - ${handler}\n`).join('')}`;
}

const more = { 'more.yml': '- {name: m1, debug: {msg: 1}}\n- {name: m2, debug: {msg: 2}}\n' };

/** Blocks, handlers, and how far a failure reaches. */
export const FAILURES: PlaybookCases = {
  'blocks: rescue and always, nested': {
    playbook: `- hosts: a
  tasks:
    - name: outer
      block:
        - name: inner
          block:
            - {name: fails, command: "false"}
            - {name: not reached, debug: {msg: no}}
          rescue:
            - {name: rescue fails, command: sh -c 'exit 3'}
          always:
            - {name: inner always, debug: {msg: "{{ ansible_failed_task.name }}"}}
        - {name: not reached either, debug: {msg: no}}
      rescue:
        - {name: outer rescue, debug: {msg: "{{ ansible_failed_task.name }} {{ ansible_failed_result.rc }}"}}
      always:
        - {name: outer always, debug: {msg: always}}
    - {name: goes on, debug: {msg: on}}
`,
  },
  'blocks: always without rescue, and others go on': {
    playbook: `- hosts: all
  tasks:
    - block:
        - {name: fails on b, fail: {msg: x}, when: inventory_hostname == 'b'}
        - {name: inside, debug: {msg: in}}
      always:
        - {name: always, debug: {msg: always}}
    - {name: after, debug: {msg: after}}
`,
  },
  'blocks: a failing always, and a rescue whose variables stay': {
    playbook: `- hosts: a
  tasks:
    - block:
        - block:
            - {name: one, command: "false", register: kept}
          rescue:
            - {name: two, set_fact: {saw: "{{ kept.rc }}"}}
          always:
            - {name: three, command: "false"}
      rescue:
        - {name: four, debug: {msg: "{{ saw }} {{ ansible_failed_task.name }}"}}
`,
  },
  'blocks: conditions, variables, ignore_errors and register in them': {
    playbook: `- hosts: a,c
  tasks:
    - when: inventory_hostname == 'a'
      vars: {v: block}
      block:
        - {name: one, debug: {msg: "{{ v }}"}}
        - {name: two, debug: {msg: "{{ v }}"}, vars: {v: task}}
      always:
        - {name: always too, debug: {msg: "{{ v }}"}}
    - ignore_errors: true
      block:
        - {name: fails and is ignored, command: "false", register: r}
        - {name: goes on, debug: {msg: "{{ r is failed }} {{ r.rc }}"}}
`,
  },
  'blocks: rescue of an undefined variable, and of a wrong condition': {
    playbook: `- hosts: a
  tasks:
    - block:
        - {name: undefined, debug: {msg: "{{ nowhere }}"}}
      rescue:
        - {name: rescued one, debug: {msg: "{{ ansible_failed_task.name }}"}}
    - block:
        - {name: bad condition, debug: {msg: x}, when: nowhere == 1}
      rescue:
        - {name: rescued two, debug: {msg: "{{ ansible_failed_task.name }}"}}
`,
  },
  'blocks: rescue of an include whose file is missing': {
    differs: 'it is rescued; in Ansible 2.14 the rescue runs, and the host has failed all the same',
    playbook: `- hosts: a
  tasks:
    - block:
        - {name: missing, include_tasks: "{{ 'not' }}-there.yml"}
      rescue:
        - {name: rescued, debug: {msg: x}}
`,
  },
  'blocks: always where the play ends for a host': {
    playbook: `- hosts: all
  tasks:
    - block:
        - meta: end_host
          when: inventory_hostname == 'b'
        - {name: inside, debug: {msg: x}}
      always:
        - {name: always, debug: {msg: always}}
    - block:
        - {name: again, debug: {msg: x}}
        - meta: end_play
      always:
        - {name: always again, debug: {msg: always}}
`,
  },
  'blocks: a rescue that fails, and what runs afterwards': {
    playbook: `- hosts: all
  tasks:
    - block:
        - {name: one, command: "false"}
      rescue:
        - {name: two, fail: {msg: again}, when: inventory_hostname != 'c'}
      always:
        - {name: three, debug: {msg: 3}}
    - {name: four, debug: {msg: 4}}
`,
  },
  'blocks: a failure in the middle of changes': {
    playbook: `- hosts: a
  tasks:
    - block:
        - {name: one, copy: {dest: "{{ out }}/one", content: "1"}}
        - {name: two, copy: {dest: "{{ out }}/none/two", content: "2"}}
        - {name: three, copy: {dest: "{{ out }}/three", content: "3"}}
      rescue:
        - {name: four, copy: {dest: "{{ out }}/four", content: "4"}}
    - {name: five, copy: {dest: "{{ out }}/five", content: "5"}}
`,
  },
  'failures: a loop of which one item fails and is ignored': {
    playbook: `- hosts: a
  tasks:
    - name: loops
      command: test {{ item }} != 2
      loop: [1, 2, 3]
      register: r
      ignore_errors: true
    - name: results
      debug:
        msg: "{{ r.results | map(attribute='rc') | list }} {{ r is failed }} {{ r is changed }} {{ r.msg }}"
`,
  },
  'failures: ignore_errors as a template, and of an undefined variable': {
    playbook: `- hosts: a
  vars: {careless: true}
  tasks:
    - {name: one, command: "false", ignore_errors: "{{ careless }}"}
    - {name: two, debug: {msg: "{{ nowhere }}"}, ignore_errors: true, register: r}
    - {name: three, debug: {msg: "{{ r is failed }}"}}
    - {name: four, command: "false", ignore_errors: "{{ not careless }}"}
    - {name: five, debug: {msg: not reached}}
`,
  },
  'failures: hosts that failed are in no later play': { playbook: failing('order: inventory') },
  'failures: all hosts fail': { playbook: failing('order: inventory', 'true') },
  'failures: any_errors_fatal of a play': { playbook: failing('any_errors_fatal: true') },
  'failures: any_errors_fatal of a task': {
    playbook: `- hosts: all
  tasks:
    - {name: zero, debug: {msg: 0}}
    - {name: one, fail: {msg: x}, when: inventory_hostname == 'b', any_errors_fatal: true}
    - {name: two, debug: {msg: 2}}
`,
  },
  'failures: any_errors_fatal inside of a block with a rescue': {
    playbook: fatal('rescue:\n        - {name: rescue, debug: {msg: rescued}}'),
  },
  'failures: any_errors_fatal and always': {
    differs: 'always runs on all hosts, and then the play ends; in Ansible 2.14 it goes on',
    playbook: fatal('always:\n        - {name: always, debug: {msg: always}}'),
  },
  'failures: any_errors_fatal does not count what is ignored': {
    playbook: `- hosts: all
  any_errors_fatal: true
  tasks:
    - {name: one, fail: {msg: x}, when: inventory_hostname == 'b', ignore_errors: true}
    - {name: two, debug: {msg: 2}}
`,
  },
  'failures: max_fail_percentage that is not reached': {
    inventory: tenHosts,
    playbook: failing('max_fail_percentage: 20', "inventory_hostname in ['h03', 'h07']"),
  },
  'failures: max_fail_percentage that is exceeded': {
    inventory: tenHosts,
    playbook: failing('max_fail_percentage: 19', "inventory_hostname in ['h03', 'h07']"),
  },
  'failures: max_fail_percentage of zero': { playbook: failing('max_fail_percentage: 0') },
  'failures: max_fail_percentage counts in each batch': {
    inventory: tenHosts,
    playbook: failing('max_fail_percentage: 40\n  serial: 4', "inventory_hostname in ['h03', 'h05', 'h06']"),
  },
  'failures: run_once that fails': {
    differs: 'all hosts have failed, and are counted so',
    playbook: `- hosts: all
  tasks:
    - {name: one, command: "false", run_once: true}
    - {name: two, debug: {msg: 2}}
`,
  },
  'failures: run_once that fails and is rescued': {
    playbook: `- hosts: all
  tasks:
    - block:
        - {name: one, command: "false", run_once: true}
        - {name: two, debug: {msg: 2}}
      rescue:
        - {name: three, debug: {msg: 3}}
    - {name: four, debug: {msg: 4}}
`,
  },
  'failures: run_once that fails and is ignored': {
    playbook: `- hosts: all
  tasks:
    - {name: one, command: "false", run_once: true, ignore_errors: true, register: r}
    - {name: two, debug: {msg: "{{ r is failed }}"}}
`,
  },
  'failures: meta clear_host_errors': {
    differs: 'a host that failed stays out of the run',
    playbook: `- hosts: all
  tasks:
    - {name: one, fail: {msg: x}, when: inventory_hostname == 'b'}
    - meta: clear_host_errors
    - {name: two, debug: {msg: 2}}
- hosts: all
  tasks:
    - {name: three, debug: {msg: 3}}
`,
  },
  'failures: meta end_host, end_play, end_batch': {
    inventory: '[web]\na\nb\nc\nd\n',
    playbook: `- hosts: all
  serial: 2
  tasks:
    - meta: end_host
      when: inventory_hostname == 'b'
    - {name: one, debug: {msg: 1}}
    - meta: end_batch
      when: inventory_hostname == 'a'
    - {name: two, debug: {msg: 2}}
- hosts: all
  tasks:
    - {name: three, debug: {msg: 3}}
    - meta: end_play
    - {name: four, debug: {msg: 4}}
- hosts: all
  tasks:
    - {name: five, debug: {msg: 5}}
`,
  },
  'unreachable: the others go on, and it is in no later play': {
    inventory: someAway,
    playbook: `- hosts: all
  tasks:
    - {name: one, command: "true"}
    - {name: two, debug: {msg: "{{ inventory_hostname }}"}}
- hosts: all
  tasks:
    - {name: three, debug: {msg: "{{ ansible_play_hosts }} {{ ansible_play_hosts_all }}"}}
`,
  },
  'unreachable: is not rescued': {
    inventory: someAway,
    playbook: `- hosts: all
  tasks:
    - block:
        - {name: one, command: "true"}
      rescue:
        - {name: two, debug: {msg: rescued}}
      always:
        - {name: three, debug: {msg: always}}
    - {name: four, command: "true"}
`,
  },
  'unreachable: any_errors_fatal': {
    differs: 'who cannot be reached is known before the first task, and ends such a play then',
    inventory: someAway,
    playbook: away('any_errors_fatal: true'),
  },
  'unreachable: max_fail_percentage counts it': {
    inventory: someAway,
    playbook: away('max_fail_percentage: 10'),
  },
  'unreachable: ignore_unreachable of a play': {
    inventory: someAway,
    playbook: `- hosts: all
  ignore_unreachable: true
  tasks:
    - {name: one, command: "true", register: r}
    - {name: two, debug: {msg: "{{ r.unreachable | default(false) }}"}}
    - {name: three, command: "true", delegate_to: localhost}
`,
  },
  'unreachable: ignore_unreachable of a task': {
    inventory: someAway,
    playbook: `- hosts: all
  tasks:
    - {name: one, command: "true", register: r, ignore_unreachable: true}
    - {name: two, debug: {msg: "{{ r is unreachable }}"}}
    - {name: three, command: "true"}
    - {name: four, debug: {msg: 4}}
`,
  },
  'unreachable: tasks that need no connection run': {
    differs: 'a host that cannot be reached leaves the run before the first task',
    inventory: someAway,
    playbook: `- hosts: all
  tasks:
    - {name: one, debug: {msg: "{{ inventory_hostname }}"}}
    - {name: two, command: "true", delegate_to: localhost}
    - {name: three, command: "true"}
    - {name: four, debug: {msg: 4}}
`,
  },
  'handlers: of a host that failed do not run, of others do': {
    playbook: `- hosts: all
  tasks:
    - {name: one, command: "true", notify: told}
    - {name: two, fail: {msg: x}, when: inventory_hostname == 'b'}
    - {name: three, debug: {msg: 3}}
  handlers:
    - {name: told, debug: {msg: "{{ inventory_hostname }}"}}
`,
  },
  'handlers: force_handlers': {
    playbook: notified('force_handlers: true'),
  },
  'handlers: force_handlers when any_errors_fatal ends the play': {
    differs: 'the host that failed runs its handlers, as force_handlers says',
    playbook: notified('force_handlers: true', 'any_errors_fatal: true'),
  },
  'handlers: any_errors_fatal without force_handlers': {
    playbook: notified('any_errors_fatal: true'),
  },
  'handlers: in the order in which they are written, once each': {
    playbook: `- hosts: a
  tasks:
    - {name: one, command: "true", notify: [third, first]}
    - {name: two, command: "true", notify: first}
    - {name: three, command: "true", notify: second, changed_when: false}
  handlers:
    - {name: first, debug: {msg: 1}}
    - {name: second, debug: {msg: 2}}
    - {name: third, debug: {msg: 3}}
`,
  },
  'handlers: flush_handlers, and notified once more behind it': {
    playbook: `- hosts: a
  tasks:
    - {name: one, command: "true", notify: h}
    - meta: flush_handlers
    - {name: two, debug: {msg: between}}
    - {name: three, command: "true", notify: h}
  handlers:
    - {name: h, debug: {msg: h}}
`,
  },
  'handlers: listen, several of a topic, and by name and topic at once': {
    playbook: notifying(
      '[topic, by name]',
      '{name: by name, debug: {msg: n}, listen: topic}',
      '{name: other, debug: {msg: o}, listen: [topic, more]}',
      '{name: deaf, debug: {msg: d}, listen: elsewhere}',
    ),
  },
  'handlers: that notify handlers, later and earlier ones': {
    playbook: notifying(
      'middle',
      '{name: earlier, debug: {msg: e}}',
      '{name: middle, command: "true", notify: [earlier, later]}',
      '{name: later, debug: {msg: l}}',
    ),
  },
  'handlers: with a condition, a loop, a failure that is ignored': {
    playbook: notifying(
      '[never, each, careless]',
      '{name: never, debug: {msg: no}, when: false}',
      '{name: each, debug: {msg: "{{ item }}"}, loop: [1, 2]}',
      '{name: careless, command: "false", ignore_errors: true}',
    ),
  },
  'handlers: one that fails stops the rest of that host': {
    playbook: `- hosts: all
  tasks:
    - {name: one, command: "true", notify: [first, second]}
  handlers:
    - {name: first, fail: {msg: x}, when: inventory_hostname == 'b'}
    - {name: second, debug: {msg: 2}}
- hosts: all
  tasks:
    - {name: next play, debug: {msg: n}}
`,
  },
  'handlers: notified by a loop of which one item changed': {
    playbook: `- hosts: a
  tasks:
    - {name: one, command: "true", loop: [1, 2], changed_when: item == 2, notify: yes_please}
    - {name: two, command: "true", loop: [1, 2], changed_when: false, notify: no_thanks}
  handlers:
    - {name: yes_please, debug: {msg: y}}
    - {name: no_thanks, debug: {msg: n}}
`,
  },
  'handlers: notified inside of a block whose failure is rescued': {
    playbook: `- hosts: a
  tasks:
    - block:
        - {name: one, command: "true", notify: told}
        - {name: two, command: "false", notify: never}
      rescue:
        - {name: three, debug: {msg: r}}
  handlers:
    - {name: told, debug: {msg: t}}
    - {name: never, debug: {msg: n}}
`,
  },
  'handlers: flushed inside of a block, failing there, and rescued': {
    differs: 'rescued is rescued; in Ansible 2.14 the rescue runs, and the host has failed all the same',
    playbook: `- hosts: a
  tasks:
    - block:
        - {name: one, command: "true", notify: breaks}
        - meta: flush_handlers
        - {name: two, debug: {msg: 2}}
      rescue:
        - {name: three, debug: {msg: r}}
    - {name: four, debug: {msg: 4}}
  handlers:
    - {name: breaks, command: "false"}
`,
  },
  'handlers: between pre_tasks, roles, tasks and post_tasks': {
    files: { 'roles/r/tasks/main.yml': '- {name: in role, command: "true", notify: h}\n' },
    playbook: `- hosts: a
  pre_tasks:
    - {name: pre, command: "true", notify: h}
  roles: [r]
  tasks:
    - {name: task, command: "true", notify: h}
  post_tasks:
    - {name: post, command: "true", notify: h}
  handlers:
    - {name: h, debug: {msg: h}}
`,
  },
  'handlers: of the same name in a role and in the play': {
    files: {
      'roles/r/tasks/main.yml':
        '- {name: plain, command: "true", notify: h}\n- {name: qualified, command: "true", notify: "r : h"}\n',
      'roles/r/handlers/main.yml': '- {name: h, debug: {msg: of the role}}\n',
    },
    playbook: `- hosts: a
  roles: [r]
  handlers:
    - {name: h, debug: {msg: of the play}}
`,
  },
  'handlers: two of one name': {
    differs: 'the later one answers, as Ansible documents it',
    playbook: notifying('h', '{name: h, debug: {msg: first}}', '{name: h, debug: {msg: second}}'),
  },
  'handlers: that include a file': {
    files: more,
    playbook: notifying('more', '{name: more, include_tasks: more.yml}'),
  },
  'handlers: imported from a file': {
    files: more,
    playbook: notifying('m2', 'import_tasks: more.yml'),
  },
  'handlers: with variables and templates in notify': {
    playbook: `- hosts: all
  vars: {which: "{{ inventory_hostname }}"}
  tasks:
    - {name: one, command: "true", notify: "restart {{ which }}"}
  handlers:
    - {name: restart a, debug: {msg: a}}
    - {name: restart b, debug: {msg: b}}
    - {name: restart c, debug: {msg: c}}
`,
  },
  'handlers: whose names are templates': {
    playbook: `- hosts: a
  vars: {service: web}
  tasks:
    - {name: one, command: "true", notify: restart web}
  handlers:
    - {name: "restart {{ service }}", debug: {msg: w}}
`,
  },
  'handlers: in each batch, before the next begins': {
    playbook: `- hosts: all
  serial: 1
  tasks:
    - {name: one, shell: "echo t-{{ inventory_hostname }} >>{{ out }}/order", notify: h}
  handlers:
    - {name: h, shell: "echo h-{{ inventory_hostname }} >>{{ out }}/order"}
`,
  },
  'handlers: run_once in one that several hosts were notified of': {
    differs: 'it runs once',
    playbook: `- hosts: all
  tasks:
    - {name: one, command: "true", notify: h, changed_when: inventory_hostname != 'a'}
  handlers:
    - {name: h, shell: "echo once >>{{ out }}/once", run_once: true}
`,
  },
  'serial: a list of numbers and a share': {
    inventory: tenHosts,
    playbook: `- hosts: all
  serial: [1, 3, "50%"]
  tasks:
    - {name: one, debug: {msg: "{{ ansible_play_batch }}"}, run_once: true}
    - {name: two, shell: "echo {{ inventory_hostname }} {{ ansible_play_batch | length }} >>{{ out }}/{{ inventory_hostname }}"}
`,
  },
  'serial: shares that round, and zero': {
    inventory: tenHosts,
    playbook: `- hosts: all
  serial: "25%"
  tasks:
    - {name: one, debug: {msg: "{{ ansible_play_batch }}"}, run_once: true}
- hosts: all
  serial: "1%"
  tasks:
    - {name: two, debug: {msg: "{{ ansible_play_batch }}"}, run_once: true}
- hosts: all
  serial: 0
  tasks:
    - {name: three, debug: {msg: "{{ ansible_play_batch }}"}, run_once: true}
- hosts: all
  serial: "{{ 2 + 2 }}"
  tasks:
    - {name: four, debug: {msg: "{{ ansible_play_batch }}"}, run_once: true}
`,
  },
  'serial: a batch that fails as a whole ends the run': {
    inventory: tenHosts,
    playbook: failing('serial: 2', "inventory_hostname in ['h03', 'h04']"),
  },
  'serial: half of a batch fails': {
    inventory: tenHosts,
    playbook: failing('serial: 4', "inventory_hostname in ['h03', 'h04']"),
  },
  'serial: run_once is once for each batch': {
    playbook: `- hosts: all
  serial: 2
  tasks:
    - {name: one, command: "echo {{ inventory_hostname }}", run_once: true, register: r, changed_when: false}
    - {name: two, debug: {msg: "{{ r.stdout }}"}}
`,
  },
  'strategy: free': {
    playbook: `- hosts: all
  strategy: free
  tasks:
    - {name: one, command: "true", notify: h}
    - {name: two, fail: {msg: x}, when: inventory_hostname == 'b'}
    - {name: three, debug: {msg: 3}}
  handlers:
    - {name: h, debug: {msg: h}}
`,
  },
};
