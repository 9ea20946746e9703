import type { PlaybookCases } from './playbook-case.ts';

/** What one task may say: loops, conditions, results, users, environment, check mode. */
export const TASKS: PlaybookCases = {
  'loops: label, index_var, loop_var': {
    playbook: `- hosts: a
  tasks:
    - name: labelled
      debug: {msg: "{{ number }} {{ thing.name }} {{ ansible_loop_var }} {{ ansible_index_var }}"}
      loop: [{name: x, secret: s}, {name: y, secret: t}]
      loop_control: {label: "{{ thing.name }}/{{ number }}", index_var: number, loop_var: thing}
    - name: plain
      debug: {msg: "{{ item }} {{ ansible_loop is defined }}"}
      loop: [1, two, true, {three: 3}, [4]]
`,
  },
  'loops: extended': {
    playbook: `- hosts: a
  tasks:
    - name: extended
      debug:
        msg: "{{ item }} {{ ansible_loop.index }} {{ ansible_loop.index0 }} {{ ansible_loop.revindex }} {{ ansible_loop.revindex0 }} {{ ansible_loop.first }} {{ ansible_loop.last }} {{ ansible_loop.length }} {{ ansible_loop.previtem | default('-') }} {{ ansible_loop.nextitem | default('-') }} {{ ansible_loop.allitems }}"
      loop: [x, y, z]
      loop_control: {extended: true}
    - name: without all items
      debug: {msg: "{{ item }} {{ ansible_loop.allitems is defined }} {{ ansible_loop.length }}"}
      loop: [x, y]
      loop_control: {extended: true, extended_allitems: false}
`,
  },
  'loops: what register keeps': {
    playbook: `- hosts: a
  tasks:
    - name: loops
      command: "echo {{ item }}"
      loop: [x, y, z]
      when: item != 'y'
      changed_when: item == 'z'
      register: r
    - name: fields
      debug:
        msg: "{{ r.results | map(attribute='item') | list }} {{ r.results | map(attribute='skipped', default=false) | list }} {{ r.results | map(attribute='changed') | list }} {{ r.results | map(attribute='stdout', default='-') | list }} {{ r.results | map(attribute='ansible_loop_var') | list }} {{ r is changed }} {{ r is skipped }} {{ r is failed }} {{ r.msg }}"
    - name: over the results
      debug: {msg: "{{ item.stdout }} {{ item is changed }}"}
      loop: "{{ r.results }}"
      when: item is not skipped
      loop_control: {label: "{{ item.item }}"}
`,
  },
  'loops: in which the loop variable has another name in the results': {
    playbook: `- hosts: a
  tasks:
    - {name: loops, command: "echo {{ thing }}", loop: [x], loop_control: {loop_var: thing, index_var: at}, register: r}
    - {name: fields, debug: {msg: "{{ r.results[0].thing }} {{ r.results[0].item | default('none') }} {{ r.results[0].ansible_loop_var }} {{ r.results[0].at | default('none') }}"}}
`,
  },
  'loops: skipped as a whole, and what register keeps of that': {
    playbook: `- hosts: a
  tasks:
    - {name: skipped, command: "echo {{ item }}", loop: [x, y], when: false, register: r}
    - {name: fields, debug: {msg: "{{ r is skipped }} {{ r is changed }} {{ r.results | length }} {{ r.results | map(attribute='item') | list }}"}}
    - {name: nothing, command: "echo {{ item }}", loop: [], register: e}
    - {name: fields of nothing, debug: {msg: "{{ e is skipped }} {{ e is changed }} {{ e.results }}"}}
    - {name: undefined but skipped, command: "echo {{ item }}", loop: "{{ nowhere }}", when: false, register: u}
    - {name: fields of that, debug: {msg: "{{ u is skipped }} {{ u.results | default('none') }}"}}
    - {name: over what was skipped, debug: {msg: "{{ item.item }}"}, loop: "{{ r.results }}", loop_control: {label: "{{ item.item }}"}}
    - {name: undefined, command: "echo {{ item }}", loop: "{{ nowhere }}"}
`,
  },
  'loops: a text, a mapping and a number are none': {
    playbook: `- hosts: a
  tasks:
    - {name: text, debug: {msg: x}, loop: "{{ 'abc' }}", ignore_errors: true}
    - {name: mapping, debug: {msg: x}, loop: "{{ {'k': 1} }}", ignore_errors: true}
    - {name: number, debug: {msg: x}, loop: "{{ 5 }}", ignore_errors: true}
    - {name: after, debug: {msg: x}}
`,
  },
  'loops: set_fact gathers, and facts of an item are seen by the next': {
    playbook: `- hosts: a
  tasks:
    - {name: gather, set_fact: {all: "{{ all | default([]) + [item] }}"}, loop: [x, y, z], register: r}
    - {name: tell, debug: {msg: "{{ all }} {{ r.results | length }} {{ r.results[1].ansible_facts.all }}"}}
`,
  },
  'loops: nested by includes with the same and another variable': {
    files: {
      'inner.yml':
        '- {name: inner, debug: {msg: "{{ outer | default(item) }} {{ item }}"}, loop: [x, y]}\n- {name: behind, debug: {msg: "{{ outer | default(item) }}"}}\n',
    },
    playbook: `- hosts: a
  tasks:
    - include_tasks: inner.yml
      loop: [1, 2]
      loop_control: {loop_var: outer}
    - include_tasks: inner.yml
      loop: [3]
`,
  },
  'loops: the with_ forms': {
    files: { 'f/one.txt': '1', 'f/two.md': '2' },
    playbook: `- hosts: a
  vars: {m: {k1: v1, k2: v2}, users: [{n: u1, keys: [k1, k2]}, {n: u2, keys: [k3]}]}
  tasks:
    - {name: items, debug: {msg: "{{ item }}"}, with_items: [1, [2, 3], [[4]]]}
    - {name: list, debug: {msg: "{{ item }}"}, with_list: [1, [2, 3]]}
    - {name: dict, debug: {msg: "{{ item.key }}={{ item.value }}"}, with_dict: "{{ m }}"}
    - {name: sequence, debug: {msg: "{{ item }}"}, with_sequence: start=2 end=8 stride=3 format=n%02d}
    - {name: nested, debug: {msg: "{{ item[0] }}{{ item[1] }}"}, with_nested: [[1, 2], [a, b]]}
    - {name: together, debug: {msg: "{{ item.0 }}{{ item.1 }}"}, with_together: [[1, 2], [a]]}
    - {name: subelements, debug: {msg: "{{ item.0.n }}{{ item.1 }}"}, with_subelements: ["{{ users }}", keys]}
    - {name: indexed, debug: {msg: "{{ item.0 }}{{ item.1 }}"}, with_indexed_items: [x, y]}
    - {name: files, debug: {msg: "{{ item | basename }}"}, with_fileglob: "f/*.txt"}
    - {name: found, debug: {msg: "{{ item | basename }}"}, with_first_found: [f/none.txt, f/two.md]}
    - {name: flattened, debug: {msg: "{{ item }}"}, with_flattened: [1, [2, [3]]]}
`,
  },
  'until: succeeds at the third attempt, and what register keeps': {
    playbook: `- hosts: a
  tasks:
    - name: tries
      shell: echo x >>{{ out }}/tries; wc -l <{{ out }}/tries
      register: r
      until: r.stdout | int >= 3
      retries: 5
      delay: 0
    - {name: tell, debug: {msg: "{{ r.attempts }} {{ r.stdout | trim }} {{ r is changed }} {{ r is failed }}"}}
`,
  },
  'until: never succeeds': {
    playbook: `- hosts: a
  tasks:
    - name: tries
      shell: echo x >>{{ out }}/tries
      register: r
      until: r.stdout == 'never'
      retries: 2
      delay: 0
      ignore_errors: true
    - {name: tell, debug: {msg: "{{ r.attempts }} {{ r is failed }} {{ r.rc }}"}}
    - name: fails
      command: "false"
      register: f
      until: f is success
      retries: 1
      delay: 0
    - {name: not reached, debug: {msg: x}}
`,
  },
  'until: a command that fails at first': {
    playbook: `- hosts: a
  tasks:
    - name: tries
      shell: "echo x >>{{ out }}/tries; test $(wc -l <{{ out }}/tries) -ge 2"
      register: r
      until: r is succeeded
      retries: 3
      delay: 0
    - {name: tell, debug: {msg: "{{ r.attempts }} {{ r.rc }}"}}
`,
  },
  'until: with failed_when and changed_when': {
    playbook: `- hosts: a
  tasks:
    - name: tries
      shell: echo x >>{{ out }}/tries; wc -l <{{ out }}/tries
      register: r
      until: r.stdout | int >= 2
      retries: 3
      delay: 0
      changed_when: r.stdout | int >= 9
      failed_when: r.stdout | int >= 2
      ignore_errors: true
    - {name: tell, debug: {msg: "{{ r.attempts }} {{ r is changed }} {{ r is failed }}"}}
`,
  },
  'until: in a loop, each item by itself': {
    playbook: `- hosts: a
  tasks:
    - name: tries
      shell: echo x >>{{ out }}/{{ item }}; wc -l <{{ out }}/{{ item }}
      register: r
      until: r.stdout | int >= item | int
      retries: 5
      delay: 0
      loop: [1, 3]
    - {name: tell, debug: {msg: "{{ r.results | map(attribute='attempts') | list }}"}}
`,
  },
  'until: retries without until': {
    differs: 'tried again until it succeeds, as in Ansible from 2.16 on',
    playbook: `- hosts: a
  tasks:
    - {name: tries, shell: "echo x >>{{ out }}/tries; false", retries: 2, delay: 0, ignore_errors: true, register: r}
    - {name: tell, debug: {msg: "{{ r.attempts | default('none') }}"}}
`,
  },
  'until: without retries': {
    playbook: `- hosts: a
  tasks:
    - {name: tries, shell: "echo x >>{{ out }}/tries; false", until: false, delay: 0, ignore_errors: true, register: r}
    - {name: tell, debug: {msg: "{{ r.attempts }}"}}
`,
  },
  'changed_when: a truth value, an expression, a list, and the fields of the result': {
    playbook: `- hosts: a
  tasks:
    - {name: never, command: echo x, changed_when: false, register: n}
    - {name: always, debug: {msg: x}, changed_when: true}
    - {name: expression, command: echo yes, register: r, changed_when: "'yes' in r.stdout"}
    - {name: both, command: echo yes, register: b, changed_when: ["'yes' in b.stdout", "b.rc == 1"]}
    - {name: with fields, command: echo yes, register: f, changed_when: f.stdout_lines | length == 1}
    - {name: tell, debug: {msg: "{{ n is changed }} {{ r is changed }} {{ b is changed }} {{ f is changed }}"}}
    - {name: text, command: echo x, changed_when: "no"}
`,
  },
  'failed_when: a truth value, an expression, a list, and what register keeps': {
    playbook: `- hosts: a
  tasks:
    - {name: never, command: "false", failed_when: false, register: n}
    - {name: expression, command: echo bad, register: r, failed_when: "'bad' in r.stdout", ignore_errors: true}
    - {name: not both, command: echo bad, register: b, failed_when: ["'bad' in b.stdout", "b.rc == 1"]}
    - {name: status, command: sh -c 'exit 2', register: s, failed_when: "s.rc not in [0, 2]"}
    - {name: tell, debug: {msg: "{{ n is failed }} {{ n.rc }} {{ n.failed_when_result }} {{ r is failed }} {{ r.failed_when_result }} {{ b is failed }} {{ s is failed }} {{ s is changed }}"}}
    - {name: of a debug, debug: {msg: x}, failed_when: true, ignore_errors: true, register: d}
    - {name: tell that, debug: {msg: "{{ d is failed }} {{ d.msg }}"}}
    - {name: undefined, command: "true", failed_when: nowhere == 1, ignore_errors: true}
    - {name: last, command: "true", failed_when: true}
    - {name: not reached, debug: {msg: x}}
`,
  },
  'failed_when: in a loop': {
    playbook: `- hosts: a
  tasks:
    - {name: loops, command: "echo {{ item }}", loop: [ok, bad], register: r, failed_when: "'bad' in r.stdout", ignore_errors: true}
    - {name: tell, debug: {msg: "{{ r.results | map(attribute='failed') | list }} {{ r is failed }}"}}
`,
  },
  'register: of what was skipped, ignored, unchanged, and of debug, stat and set_fact': {
    playbook: `- hosts: a
  tasks:
    - {name: skipped, command: "true", when: false, register: s}
    - {name: ignored, command: "false", ignore_errors: true, register: i}
    - {name: said, debug: {msg: hello}, register: d}
    - {name: fact, set_fact: {x: 1}, register: f}
    - {name: tell, debug: {msg: "{{ s is skipped }} {{ s.changed }} {{ s.skip_reason }} {{ i.failed }} {{ i.rc }} {{ i.stdout }} {{ d.msg }} {{ d.changed }} {{ d.failed }} {{ f.ansible_facts.x }} {{ f.changed }}"}}
    - {name: made, file: {path: "{{ out }}/dir", state: directory, mode: "0750"}, register: m}
    - {name: again, file: {path: "{{ out }}/dir", state: directory, mode: "0750"}, register: g}
    - {name: tell those, debug: {msg: "{{ m is changed }} {{ m.path | basename }} {{ m.state }} {{ m.mode }} {{ g is changed }} {{ g.state }}"}}
`,
  },
  'register: fields of a command and of a shell': {
    playbook: `- hosts: a
  tasks:
    - {name: runs, shell: "echo one; echo two; echo err >&2; exit 3", register: r, ignore_errors: true}
    - {name: tell, debug: {msg: "{{ r.rc }} {{ r.stdout }} {{ r.stdout_lines }} {{ r.stderr }} {{ r.stderr_lines }} {{ r.cmd }} {{ r.changed }} {{ r.failed }}"}}
    - {name: argv, command: {argv: [echo, a b]}, register: c}
    - {name: tell argv, debug: {msg: "{{ c.cmd }} {{ c.stdout }}"}}
`,
  },
  'register: of a command when it began, and Ansible’s words for a failure': {
    differs: 'no start, end and delta; msg says which command failed and how',
    playbook: `- hosts: a
  tasks:
    - {name: runs, command: "false", register: r, ignore_errors: true}
    - {name: tell, debug: {msg: "{{ r.msg }} {{ r.start is defined }} {{ r.end is defined }} {{ r.delta is defined }}"}}
`,
  },
  'when: lists, truth values, text, undefined names, and numbers': {
    playbook: `- hosts: a
  vars: {yes_text: "yes", zero: 0, one: 1, empty: "", list: [], no_text: "no"}
  tasks:
    - {name: list of two, debug: {msg: x}, when: [one == 1, zero == 0]}
    - {name: one of them not, debug: {msg: x}, when: [one == 1, zero == 1]}
    - {name: one, debug: {msg: x}, when: one}
    - {name: zero, debug: {msg: x}, when: zero}
    - {name: empty, debug: {msg: x}, when: empty}
    - {name: empty list, debug: {msg: x}, when: list}
    - {name: yes_text, debug: {msg: x}, when: yes_text | bool}
    - {name: no_text, debug: {msg: x}, when: no_text | bool}
    - {name: bare yes, debug: {msg: x}, when: yes_text}
    - {name: bare no, debug: {msg: x}, when: no_text}
    - {name: not defined, debug: {msg: x}, when: nowhere is not defined}
    - {name: default, debug: {msg: x}, when: nowhere | default(false)}
    - {name: membership, debug: {msg: x}, when: "'a' in groups['web'] and inventory_hostname in groups.all"}
    - {name: short circuit, debug: {msg: x}, when: false and nowhere == 1}
    - {name: first of a list decides, debug: {msg: x}, when: ["false", nowhere == 1]}
    - {name: undefined, debug: {msg: x}, when: nowhere}
    - {name: not reached, debug: {msg: x}}
`,
  },
  'run_once: its result is known to all, also on another host': {
    playbook: `- hosts: all
  tasks:
    - {name: once, shell: "echo {{ inventory_hostname }}", run_once: true, register: r}
    - {name: tell, debug: {msg: "{{ r.stdout }} {{ r is changed }}"}}
    - {name: elsewhere, shell: "echo {{ inventory_hostname }}", run_once: true, delegate_to: c, register: e}
    - {name: tell that, debug: {msg: "{{ e.stdout }}"}}
    - {name: fact once, set_fact: {f: "{{ inventory_hostname }}"}, run_once: true}
    - {name: tell the fact, debug: {msg: "{{ f }}"}}
`,
  },
  'run_once: with a condition that the first host does not meet': {
    playbook: `- hosts: all
  tasks:
    - {name: once, shell: "echo {{ inventory_hostname }}", run_once: true, register: r, when: inventory_hostname == 'b'}
    - {name: tell, debug: {msg: "{{ r is skipped }}"}}
`,
  },
  'run_once: by the first host, though another one is there before': {
    playbook: `- hosts: all
  tasks:
    - name: a is behind b
      shell: "{{ 'until [ -e ' + out + '/b ]; do sleep 0.05; done' if inventory_hostname == 'a' else 'touch ' + out + '/' + inventory_hostname }}"
    - {name: once, command: "echo {{ inventory_hostname }}", run_once: true, register: r}
    - {name: tell, debug: {msg: "{{ r.stdout }}"}}
`,
  },
  'run_once: by the next host where the first one does not come': {
    files: { 'once.yml': '- {name: once, set_fact: {f: "{{ inventory_hostname }}"}, run_once: true}\n' },
    playbook: `- hosts: all
  tasks:
    - {include_tasks: once.yml, when: inventory_hostname != 'a'}
    - {name: tell, debug: {msg: "{{ hostvars['b'].f }}"}}
`,
  },
  'run_once: in a loop, and of a block': {
    playbook: `- hosts: all
  tasks:
    - {name: once, shell: "echo {{ item }} >>{{ out }}/once", run_once: true, loop: [1, 2], register: r}
    - {name: tell, debug: {msg: "{{ r.results | length }}"}}
    - run_once: true
      block:
        - {name: in block, shell: "echo b >>{{ out }}/once"}
        - {name: also in block, debug: {msg: x}}
`,
  },
  'delegate_to: variables of the host itself, facts for itself or for the other': {
    playbook: `- hosts: a,b
  tasks:
    - {name: on c, command: "echo {{ inventory_hostname }}", delegate_to: c, register: r, changed_when: false}
    - {name: tell, debug: {msg: "{{ r.stdout }}"}}
    - {name: fact for itself, set_fact: {mine: "{{ inventory_hostname }}"}, delegate_to: c}
    - {name: fact for the other, set_fact: {yours: "{{ inventory_hostname }}"}, delegate_to: c, delegate_facts: true, when: inventory_hostname == 'a'}
    - name: tell those
      debug:
        msg: "{{ mine | default('-') }} {{ hostvars['c'].mine | default('-') }} {{ yours | default('-') }} {{ hostvars['c'].yours | default('-') }}"
`,
  },
  'delegate_to: facts that are gathered go to the other': {
    playbook: `- hosts: a
  tasks:
    - {name: gathers, setup: {gather_subset: "!all"}, delegate_to: b, delegate_facts: true}
    - {name: tell, debug: {msg: "{{ ansible_facts.python is defined }} {{ hostvars['b'].ansible_facts.keys() | length > 0 }} {{ ansible_facts.keys() | length > 0 }}"}}
`,
  },
  'delegate_to: the item of a loop, a template, each of a group': {
    inventory: 'a\nb name=bee\nc name=sea\n',
    playbook: `- hosts: a
  vars: {other: b}
  tasks:
    - {name: each, shell: "echo {{ item }} >>{{ out }}/{{ inventory_hostname }}", delegate_to: "{{ item }}", loop: "{{ groups['all'] }}"}
    - {name: template, command: "echo {{ hostvars[other].name }}", delegate_to: "{{ other }}", register: r}
    - {name: tell, debug: {msg: "{{ r.stdout }}"}}
    - {name: local, local_action: command echo x, register: l}
    - {name: tell local, debug: {msg: "{{ l.stdout }}"}}
    - {name: unknown host, command: "true", delegate_to: localhost}
`,
  },
  'environment: of play, block and task, later ones over earlier ones': {
    playbook: `- hosts: a
  environment: {P: play, B: play, T: play}
  vars: {more: {M: more, T: more}}
  tasks:
    - environment: {B: block, T: block}
      block:
        - {name: mapping, shell: "echo $P $B $T", environment: {T: task}, register: r, changed_when: false}
        - {name: tell, debug: {msg: "{{ r.stdout }}"}}
        - {name: template, shell: "echo $P $B $T $M", environment: "{{ more }}", register: r, changed_when: false}
        - {name: tell template, debug: {msg: "{{ r.stdout }}"}}
        - {name: list, shell: "echo $P $B $T $M", environment: [{T: first}, "{{ more }}"], register: r, changed_when: false}
        - {name: tell list, debug: {msg: "{{ r.stdout }}"}}
        - {name: of values, shell: "echo $P $T", environment: {P: "{{ inventory_hostname }} x", T: 5}, register: r, changed_when: false}
        - {name: tell values, debug: {msg: "{{ r.stdout }}"}}
`,
  },
  'no_log: of a task, a loop, a failure': {
    secret: 'hunter2',
    playbook: `- hosts: a
  vars: {password: hunter2}
  tasks:
    - {name: said, debug: {msg: "{{ password }}"}, no_log: true}
    - {name: loops, command: "echo {{ item }}", loop: ["{{ password }}"], no_log: true, register: r}
    - {name: known all the same, assert: {that: "r.results[0].stdout == password"}}
    - {name: fails, command: "sh -c 'echo {{ password }}; exit 1'", no_log: true, ignore_errors: true}
    - {name: templated, debug: {msg: "{{ password }}"}, no_log: "{{ inventory_hostname == 'a' }}"}
`,
  },
  'become: to a user, by play, block and task': {
    playbook: `- hosts: a
  tasks:
    - {name: nobody, command: id -un, become: true, become_user: nobody, register: r, changed_when: false}
    - {name: tell, debug: {msg: "{{ r.stdout }}"}}
    - become: true
      become_user: nobody
      block:
        - {name: in block, command: id -un, register: r, changed_when: false}
        - {name: tell block, debug: {msg: "{{ r.stdout }}"}}
        - {name: not, command: id -un, become: false, register: r, changed_when: false}
        - {name: tell not, debug: {msg: "{{ r.stdout }}"}}
        - {name: root, command: id -un, become_user: root, register: r, changed_when: false}
        - {name: tell root, debug: {msg: "{{ r.stdout }}"}}
    - {name: shell, shell: "id -un >/dev/null; echo $USER; umask", become: true, become_user: nobody, register: r, changed_when: false}
    - {name: tell shell, debug: {msg: "{{ r.stdout_lines[0] }}"}}
- hosts: a
  become: true
  become_user: nobody
  tasks:
    - {name: of the play, command: id -un, register: r, changed_when: false}
    - {name: tell play, debug: {msg: "{{ r.stdout }}"}}
- hosts: a
  vars: {ansible_become: true, ansible_become_user: nobody}
  tasks:
    - {name: by variables, command: id -un, register: r, changed_when: false}
    - {name: tell variables, debug: {msg: "{{ r.stdout }}"}}
`,
  },
  'check mode: nothing is done, but where check_mode is false': {
    check: true,
    playbook: `- hosts: a
  tasks:
    - {name: would, copy: {dest: "{{ out }}/one", content: x}, notify: h}
    - {name: does, copy: {dest: "{{ out }}/two", content: x}, check_mode: false}
    - {name: reads, command: echo x, check_mode: false, changed_when: false, register: s}
    - {name: tell, debug: {msg: "{{ ansible_check_mode }} {{ s.stdout }}"}}
    - {name: only in check mode, debug: {msg: x}, when: ansible_check_mode}
  handlers:
    - {name: h, debug: {msg: h}}
`,
  },
  'check mode: of commands': {
    check: true,
    differs: 'a plan says that they would run',
    playbook: `- hosts: a
  tasks:
    - {name: command, command: "touch {{ out }}/three"}
`,
  },
  'check mode: of one task in a run that is real': {
    playbook: `- hosts: a
  tasks:
    - {name: would, copy: {dest: "{{ out }}/one", content: x}, check_mode: true, register: r}
    - {name: tell, debug: {msg: "{{ r is changed }} {{ ansible_check_mode }}"}}
    - {name: does, copy: {dest: "{{ out }}/one", content: x}}
    - {name: no command, command: "touch {{ out }}/two", check_mode: true, register: c}
    - {name: tell command, debug: {msg: "{{ c is skipped }}"}}
    - check_mode: true
      block:
        - {name: in a block, copy: {dest: "{{ out }}/three", content: x}}
`,
  },
  'assert and fail: what they say': {
    playbook: `- hosts: a
  tasks:
    - {name: holds, assert: {that: ["1 == 1", "'a' in 'abc'"], success_msg: fine}, register: r}
    - {name: tell, debug: {msg: "{{ r.msg }} {{ r.changed }}"}}
    - {name: holds not, assert: {that: "1 == 2", fail_msg: "because {{ inventory_hostname }}"}, ignore_errors: true, register: n}
    - {name: tell not, debug: {msg: "{{ n.msg }} {{ n.assertion }} {{ n.evaluated_to }}"}}
    - {name: plain, assert: {that: ["1 == 1", "2 == 3"]}, ignore_errors: true, register: p}
    - {name: tell plain, debug: {msg: "{{ p.msg }} {{ p.assertion }}"}}
    - {name: fails, fail: {msg: "no {{ inventory_hostname }}"}, ignore_errors: true, register: f}
    - {name: tell fail, debug: {msg: "{{ f.msg }}"}}
    - {name: fails plainly, fail: , ignore_errors: true, register: f}
    - {name: tell that, debug: {msg: "{{ f.msg }}"}}
`,
  },
  'debug: var and msg': {
    playbook: `- hosts: a
  vars: {m: {k: [1, 2]}, t: text}
  tasks:
    - {name: nothing, debug: }
    - {name: mapping, debug: {msg: "{{ m }}"}}
    - {name: list, debug: {msg: ["{{ t }}", 2]}}
    - {name: number, debug: {msg: 5}}
`,
  },
  'throttle and order': {
    playbook: `- hosts: all
  order: reverse_sorted
  tasks:
    - {name: one, shell: "echo {{ inventory_hostname }} >>{{ out }}/order", throttle: 1}
    - {name: two, debug: {msg: "{{ inventory_hostname }} {{ ansible_play_hosts | sort }}"}, run_once: true}
`,
  },
  'arguments: args, action, free form, module_defaults, fully qualified names': {
    playbook: `- hosts: a
  module_defaults:
    copy: {mode: "0600"}
    ansible.builtin.debug: {msg: by default}
  tasks:
    - {name: default, debug: }
    - {name: own, debug: {msg: own}}
    - {name: free form, copy: 'dest={{ out }}/free content="a b"'}
    - {name: mode, stat: {path: "{{ out }}/free"}, register: s}
    - {name: tell mode, debug: {msg: "{{ s.stat.mode }}"}}
    - {name: args, command: "pwd", args: {chdir: "{{ out }}"}, register: p, changed_when: false}
    - {name: tell args, debug: {msg: "{{ p.stdout }}"}}
    - {name: action, action: debug msg=acted}
    - {name: action mapping, action: {module: debug, msg: mapped}}
    - {name: qualified, ansible.builtin.command: "echo x", changed_when: false}
    - {name: legacy, ansible.legacy.command: "echo x", changed_when: false}
`,
  },
};
