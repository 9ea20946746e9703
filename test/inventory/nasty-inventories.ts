/** An inventory as somebody may have written it, with what to ask about it. */
export interface NastyInventory {
  readonly files: Readonly<Record<string, string>>;
  /** What `-i` is given; the first file by default. */
  readonly sources?: readonly string[];
  /** What `-e` is given. */
  readonly extra?: readonly string[];
  /** The playbook's folder, where its group_vars and host_vars are. */
  readonly playbook?: string;
  readonly vaultPassword?: string;
  /** Host patterns to resolve, as after `--limit`. */
  readonly patterns?: readonly string[];
  /** Why fleet reads it otherwise, on purpose. */
  readonly differs?: string;
}

/** `ansible-vault encrypt` of "inline secret" with the password "sesame". */
const VAULTED = `$ANSIBLE_VAULT;1.1;AES256
38646130636363646561353730343139656133383232653239396638313637613766383534316130
3734396635656464326162373739383939663134646538360a303933346364353039306433643533
32653764333037656264353235396361393632366539613465353633333938303839336338613762
3366386334393130370a643634396161306531313764623537653964386333643039653336626564
3135`;

/** The same of a file of two variables. */
const VAULTED_FILE = `$ANSIBLE_VAULT;1.1;AES256
37613162353736653232616365333330636130653163313030333061613261343435636636616364
3838646137303630633062323961356332396466353335300a643433313434333239653636643737
63386266663734346533333035373033303437313164633132626466363033353133653635653562
3237383436313938650a383465346463373463613063353037613135383730383734396461316233
30383365643135616539336333393039316462353434656461333632343266363965376662623530
6138623832636663653465326537396335616531343432643666
`;

/** Everything that real inventories do to be misread, each under a name that says what is nasty about it. */
export const NASTY_INVENTORIES: Readonly<Record<string, NastyInventory>> = {
  'numeric groups and hosts, quoted': {
    files: {
      'h.yml': `all:
  children:
    "2024":
      hosts:
        "10":
        "0x1f":
        "1e3":
          "5": five
          6: six
          1.5: float
          yes: bool
          null: nothing
`,
    },
    patterns: ['2024', '10', '1*', '2024:!10'],
  },
  'a group declared null here and filled below, twice': {
    files: {
      'h.yml': `k3s_cluster:
  children:
    server:
    agent:
server:
  hosts: {s1: {a: 1}}
agent: {hosts: {a1: , a2: {b: 2}}}
all:
  children:
    k3s_cluster:
    server:
      vars: {late: true}
`,
    },
    patterns: [
      'k3s_cluster',
      'server:agent',
      'all:!server',
      'agent[0]',
      'agent[-1]',
      'agent[0:0]',
      'agent[1:]',
      'k3s_cluster[0:1]',
    ],
  },
  'children as a list of names': {
    files: { 'h.yml': 'all:\n  children:\n    - web\n    - db\nweb: {hosts: {a: }}\n' },
  },
  'hosts as a list': { files: { 'h.yml': 'web:\n  hosts:\n    - a\n    - b\n' } },
  'hosts as one name': { files: { 'h.yml': 'web:\n  hosts: a\ndb:\n  children: web\n' } },
  'hosts as one name with a colon port': { files: { 'h.yml': 'web:\n  hosts: a:2222\n' } },
  'vars at the top': { files: { 'h.yml': 'vars: {x: 1}\nall: {hosts: {a: }}\n' } },
  'hosts at the top': { files: { 'h.yml': 'hosts:\n  a:\n  b:\n' } },
  'unknown keys of a group': {
    files: { 'h.yml': 'web:\n  hosts: {a: }\n  port: 80\n  gather: {x: 1}\n  var: {y: 1}\n' },
  },
  'the same host with other variables in three places': {
    files: {
      'h.yml': `a: {hosts: {n: {x: a, only_a: 1}}}
b: {hosts: {n: {x: b}}}
c: {hosts: {n: }, vars: {x: c, y: c}}
all: {hosts: {n: {z: all}}, vars: {y: all, w: all}}
`,
    },
    patterns: ['a:&b', 'a,&b', 'all:&a:!c', '!a', '&a'],
  },
  'sibling groups by alphabet, priority and depth': {
    files: {
      'h.yml': `all:
  children:
    zebra: {hosts: {n: }, vars: {x: zebra, y: zebra, z: zebra}}
    alpha: {hosts: {n: }, vars: {x: alpha, y: alpha, z: alpha}}
    high: {hosts: {n: }, vars: {x: high, ansible_group_priority: 10}}
    deep:
      children:
        deeper: {hosts: {n: }, vars: {y: deeper}}
      vars: {y: deep, z: deep}
`,
    },
  },
  'priority as text, and on all': {
    files: {
      'h.yml':
        'all: {vars: {x: all, ansible_group_priority: 99}}\na: {hosts: {n: }, vars: {x: a, ansible_group_priority: "5"}}\nb: {hosts: {n: }, vars: {x: b}}\n',
    },
  },
  'a diamond of groups': {
    files: {
      'h.yml': `top: {children: {left: , right: }, vars: {x: top, t: 1}}
left: {children: {bottom: }, vars: {x: left, l: 1}}
right: {children: {bottom: }, vars: {x: right, r: 1}}
bottom: {hosts: {n: , m: }, vars: {b: 1}}
`,
    },
    patterns: ['top', 'left:&right', 'bottom[1]', 'b*', '*'],
  },
  'ranges of every kind': {
    files: {
      'h.yml': `web:
  hosts:
    www[01:10:3].example.org:
    db-[a:e:2]:
    node[1:3]-[x:z]:
    "[A:C]up":
    n[008:011]:
    10.0.[0:1].[1:2]:
`,
    },
    patterns: ['www*', 'node[1-2]-*', 'db-?', '~n0\\d+', '10.0.0.*', 'web[3:5]', 'web[-2]', 'web[2-4]'],
  },
  'ranges of every kind in INI': {
    files: {
      'h.ini': `www[01:10:3].example.org
db-[a:e:2] x=1
node[1:3]-[x:z] ansible_port=2222
[more]
n[008:011]
10.0.[0:1].[1:2]
`,
    },
  },
  'addresses of both families with ports': {
    files: {
      'h.yml': `web:
  hosts:
    10.0.0.1:2222:
    "[fd00::1]:2200":
    fd00::2:
    "fe80::1%eth0":
    host.example.org:22022:
    "[fd00::3]":
    ::1:
    "2001:db8::[1:3]":
`,
    },
    patterns: ['10.0.0.1', 'fd00::2', '~10\\.', 'host*'],
  },
  'addresses of both families with ports in INI': {
    files: {
      'h.ini': `[web]
10.0.0.1:2222
[fd00::1]:2200 x=1
fd00::2
host.example.org:22022
::1
2001:db8::[1:3]
fd00::5 ansible_port=99
`,
    },
    patterns: ['fd00::2', '::1', 'web'],
  },
  'unicode and strange names': {
    files: {
      'h.yml': `příbor:
  hosts:
    köln-1: {stadt: "Köln ☂"}
    日本: {x: "\\u00e9"}
    a_b.c-d:
    UPPER:
    -dash:
`,
    },
    patterns: ['köln*', 'příbor', '日本', 'UPPER', 'upper'],
  },
  'dashes, dots and spaces in group names': {
    files: {
      'h.yml': `"my group": {hosts: {a: }}
my-group: {hosts: {b: }}
my.group: {hosts: {c: }}
"9lives": {hosts: {d: }}
`,
    },
    patterns: ['my-group', 'my.group', 'my?group', '9lives'],
  },
  'merge keys and anchors': {
    files: {
      'h.yml': `all:
  vars:
    defaults: &defaults {a: 1, b: {c: 2}}
    other: &other {a: 9, z: 26}
  hosts:
    n1:
      <<: *defaults
      a: own
    n2:
      <<: [*defaults, *other]
    n3: *defaults
    n4:
      nested: {<<: *other, q: 1}
`,
    },
  },
  'CRLF and no final newline': {
    files: {
      'h.yml': 'all:\r\n  hosts:\r\n    a:\r\n      text: |\r\n        one\r\n        two\r\n    b: {x: "y"}',
    },
  },
  'CRLF in INI': { files: { 'h.ini': '[web]\r\na x=1\r\nb\r\n\r\n[web:vars]\r\ny = two words \r\nz="q"' } },
  'a byte order mark': { files: { 'h.yml': '\uFEFFall:\n  hosts:\n    a: {x: 1}\n' } },
  'scalars that YAML 1.1 reads its own way': {
    files: {
      'h.yml': `all:
  hosts:
    n:
      yes_: yes
      no_: No
      on_: ON
      off_: off
      y_: y
      n_: N
      tilde: ~
      null_: Null
      empty:
      octal: 0644
      octal2: 0o644
      hex: 0xFF
      binary: 0b101
      under: 1_000
      sexagesimal: 12:30:45
      sexfloat: 1:30.5
      mac: 00:11:22:33:44:55
      version: 1.10
      version3: 1.2.3
      exponent: 1e3
      exponent2: 1.0e+3
      exponent3: 1.e3
      plus: +5
      minus: -0
      dot: .5
      dots: ..5
      date_: "2024-01-01"
      merge: "<<"
      big: 123456789012345678901234567890
      float_big: 1.7976931348623157e308
      cidr: 10.42.0.0/16
      percent: 50%
      at: "@x"
      tick: "\`x\`"
      colon: "a: b"
      hash: a#b
      hash2: a #b
      bang: "!x"
`,
    },
  },
  'block texts': {
    files: {
      'h.yml': `all:
  vars:
    literal: |
      one
        two

      three
    stripped: |-
      one
    kept: |+
      one

    folded: >
      one
      two

      three
        four
    folded_stripped: >-
      a
      b
    indented: |2
        x
    plain: one
      two
      three
    single: 'one
      two'
    double: "one\\
      two\\n  three"
  hosts: {n: }
`,
    },
  },
  'explicit tags': {
    files: {
      'h.yml': `all:
  hosts:
    n:
      text: !!str 5
      int_: !!int "5"
      float_: !!float 5
      bool_: !!bool "yes"
      unsafe: !unsafe "{{ not_a_template }}"
      unsafe_list: !unsafe ["{{ x }}", y]
      bytes: !!binary aGVsbG8=
      set_: !!set {a, b}
      list: !!seq [a]
`,
    },
  },
  'keys that are complex, and duplicate keys': {
    files: { 'h.yml': 'all:\n  hosts:\n    n: {a: 1, b: 2, a: 3}\n    m:\n    n: {c: 4}\n' },
  },
  'quotes and comments in INI': {
    files: {
      'h.ini': `# comment
; comment too
a x="one two" y='three four' z=five#six # seven
b x=one\\ two
c   x=1    y = 2
d "x=quoted whole"
[web:vars]
plain = some text # not a comment?
hash=a#b
quoted="a b"
single='a b'
list=["a", 'b', 3]
dict={"a": 1, 'b': [true, None]}
bool=True
lower=true
yes=yes
number=0644
hex=0x1f
float=1.50
sci=1e3
none=None
null=null
empty=
spaces =   x
equals=a=b=c
template={{ plain }}-{{ number }}
tuple=(1, 2)
long=123456789012345678901234567890
neg=-5
date=2024-01-01
sum=1+1
complex=1+1j
bytes=b'x'
raw=r'x\\y'
escape="a\\nb"
percent=50%
[web]
e
`,
    },
  },
  'INI hosts with spaces around equals': { files: { 'h.ini': 'a x=1 y =2\n' } },
  'INI variables of hosts by type': {
    files: {
      'h.ini': `a i=5 f=1.5 t=True l=true n=None q="5" s='5' o=0644 h=0x1f list="[1, 2]" dict="{'a': 1}" e= j={"a":1} v=v1.30.1+k3s1 neg=-1 us=1_000 sci=1e3 uni=é path=/a/b:c\n`,
    },
  },
  'INI children before and after, nested': {
    files: {
      'h.ini': `[k3s_cluster:children]
server
agent

[server]
s1

[agent]
a[1:2]

[outer:children]
k3s_cluster

[outer:vars]
x=1
[lonely]
`,
    },
    patterns: ['outer', 'k3s_cluster:!server', 'lonely', 'lonely:server'],
  },
  'INI child nobody defines': { files: { 'h.ini': '[a:children]\nb\n' } },
  'INI vars of a group nobody defines': { files: { 'h.ini': 'n\n[b:vars]\nx=1\n' } },
  'INI indented and with blanks in headers': {
    files: { 'h.ini': '  [web]  # c\n   a   x=1\n[db]   \n  b\n' },
  },
  'INI header with spaces inside': { files: { 'h.ini': '[web servers]\na\n' } },
  'INI header with unknown kind': { files: { 'h.ini': '[web:host]\na\n' } },
  'INI hosts section by name': { files: { 'h.ini': '[web:hosts]\na\n[web:vars]\nx=1\n' } },
  'INI all and ungrouped': {
    files: {
      'h.ini': 'lone\n[all]\nx\n[all:vars]\nv=1\n[ungrouped]\nu\n[ungrouped:vars]\nw=2\n[web]\nx\ny\n',
    },
    patterns: ['ungrouped', 'all:!ungrouped', 'all[0]'],
  },
  'INI unclosed quote': { files: { 'h.ini': 'a x="one\n' } },
  'INI without extension': {
    files: {
      hosts:
        '[web]\na ansible_host=10.0.0.1 ansible_user=root\n[web:vars]\nansible_ssh_common_args=\'-o ProxyCommand="ssh -W %h:%p -q bastion" -o StrictHostKeyChecking=no\'\n',
    },
  },
  'YAML without extension': { files: { hosts: 'all:\n  hosts:\n    a: {x: 1}\n' } },
  'YAML with a document start, comments and a directive': {
    files: {
      'h.yml': '%YAML 1.1\n---\n# comment\nall: # c\n  hosts: # c\n    a: # c\n      x: 1 # c\n...\n',
    },
  },
  'JSON as YAML': {
    files: {
      'h.json':
        '{"all": {"hosts": {"a": {"x": [1, 2.0, null, true]}}, "children": {"g": {"hosts": {"b": null}}}}}',
    },
  },
  'connection variables of every sort': {
    files: {
      'h.yml': `all:
  vars:
    ansible_ssh_common_args: -o ProxyJump=bastion -o "UserKnownHostsFile=/dev/null"
    ansible_ssh_private_key_file: ~/.ssh/id_ed25519
    ansible_become: yes
    ansible_python_interpreter: auto_silent
  hosts:
    a: {ansible_host: 10.0.0.1, ansible_port: "2222", ansible_user: root}
    b: {ansible_ssh_host: b.example, ansible_ssh_port: 22, ansible_ssh_user: u}
    localhost: {ansible_connection: local}
`,
    },
    patterns: ['localhost', 'all:!localhost', '127.0.0.1'],
  },
  'group_vars and host_vars as files, folders and more': {
    files: {
      'inv/hosts.yml': 'web: {hosts: {a: , b: }, vars: {from: inventory, inv: 1}}\ndb: {hosts: {b: }}\n',
      'inv/group_vars/all.yml': 'from: all_file\nall_file: 1\n',
      'inv/group_vars/web/main.yml': 'from: web_main\nz: main\n',
      'inv/group_vars/web/aaa.yaml': 'z: aaa\nx: aaa\n',
      'inv/group_vars/web/zzz.json': '{"x": "zzz"}',
      'inv/group_vars/web/ignored.txt': 'x: txt\n',
      'inv/group_vars/web/noext': 'noext: 1\n',
      'inv/group_vars/web/.hidden.yml': 'hidden: 1\n',
      'inv/group_vars/web/backup.yml~': 'backup: 1\n',
      'inv/group_vars/web/sub/inner.yml': 'inner: 1\nx: inner\n',
      'inv/group_vars/db': 'dbfile: 1\n',
      'inv/group_vars/nobody.yml': 'nobody: 1\n',
      'inv/host_vars/a.yaml': 'from: host_file\n',
      'inv/host_vars/b/x.yml': 'from: host_folder\n',
    },
    sources: ['inv/hosts.yml'],
  },
  'the same group_vars with several extensions': {
    files: {
      'hosts.yml': 'web: {hosts: {a: }}\nempty: {hosts: {b: }}\n',
      'group_vars/web.yml': 'x: yml\ny: yml\n',
      'group_vars/web.yaml': 'x: yaml\nw: yaml\n',
      'group_vars/web.json': '{"x": "json"}',
      'group_vars/empty.yml': '---\n',
      'group_vars/all': '# only a comment\n',
    },
    sources: ['hosts.yml'],
  },
  'variables beside inventory and playbook, and -e': {
    files: {
      'inv/hosts.yml': 'web: {hosts: {a: {h: inventory}}, vars: {g: inventory}}\n',
      'inv/group_vars/all.yml': 'o: inv_all\np: inv_all\nq: inv_all\n',
      'inv/group_vars/web.yml': 'g: inv_web\np: inv_web\n',
      'inv/host_vars/a.yml': 'h: inv_host\nhh: inv_host\n',
      'play/group_vars/all.yml': 'o: play_all\np: play_all\n',
      'play/group_vars/web.yml': 'g: play_web\n',
      'play/host_vars/a.yml': 'h: play_host\n',
      'e.yml': 'from_file: {a: [1]}\n',
    },
    sources: ['inv/hosts.yml'],
    playbook: 'play',
    extra: ['x=1 y="two words" z=a=b', '{"j": {"k": true}}', '@e.yml', "{single: 'yaml', n: 5}"],
  },
  'a folder of inventories': {
    files: {
      'inv/01-static.yml': 'web: {hosts: {a: {x: 1}}}\nall: {vars: {order: first}}\n',
      'inv/02-more.ini': '[web]\nb x=2\n[db:children]\nweb\n[all:vars]\norder=second\n',
      'inv/readme.md': '# not an inventory\n',
      'inv/ansible.cfg': '[defaults]\n',
      'inv/old.bak': 'nonsense: [\n',
      'inv/hosts.orig': 'nonsense: [\n',
      'inv/sub/03.yml': 'sub: {hosts: {c: }}\n',
      'inv/group_vars/all.yml': 'gv: 1\n',
      'inv/sub/group_vars/all.yml': 'sub_gv: 1\n',
      'inv/.hidden.yml': 'hidden: {hosts: {h: }}\n',
    },
    sources: ['inv'],
    patterns: ['db', 'sub', 'all'],
  },
  'several sources, the later wins': {
    files: {
      'one/h.yml': 'web: {hosts: {a: {x: one, only: one}}, vars: {g: one}}\n',
      'one/group_vars/web.yml': 'gf: one\n',
      'two/h.ini': '[web]\na x=two\nb\n[web:vars]\ng=two\n',
      'two/group_vars/web.yml': 'gf: two\n',
    },
    sources: ['one/h.yml', 'two/h.ini', 'c,d,'],
    patterns: ['web', 'ungrouped', 'c', 'all'],
  },
  'a host list with ranges and ports': {
    files: {},
    sources: ['web[1:3],10.0.0.1:2222,[fd00::1]:22,x'],
    patterns: ['web1', 'web*'],
    differs: 'ranges are expanded in every form of inventory',
  },
  'a program that answers --list with _meta': {
    files: {
      'inv.sh': `#!/bin/sh
cat <<'JSON'
{"web": {"hosts": ["a", "b"], "vars": {"x": 1}, "children": ["inner"]}, "inner": ["c"], "old": {"hosts": ["d"]},
 "_meta": {"hostvars": {"a": {"y": [1]}, "nobody": {"z": 1}}}}
JSON
`,
    },
    patterns: ['web', 'inner'],
  },
  'a program without _meta': {
    files: {
      'inv.sh': `#!/bin/sh
if [ "$1" = --host ]; then echo "{\\"for\\": \\"$2\\"}"; else echo '{"web": ["a", "b"], "all": {"vars": {"v": 1}}}'; fi
`,
    },
  },
  'group and host of one name': {
    differs: 'the variables of the host do not go to the group',
    files: { 'h.yml': 'web: {hosts: {web: {x: 1}, other: }}\n' },
    patterns: ['web'],
  },
  'a child that is a host': { files: { 'h.ini': 'a\n[g]\nb\n[p:children]\ng\n' } },
  'a priority of one, which is what all groups have': {
    files: {
      'h.yml':
        'aa: {hosts: {h: }, vars: {x: aa, y: aa}}\nbb: {hosts: {h: }, vars: {ansible_group_priority: 1, x: bb}}\ncc: {hosts: {h: }, vars: {ansible_group_priority: 0, x: cc, y: cc}}\n',
    },
  },
  'INI in a file that is called .yml': {
    files: { 'h.yml': '# Proxies\n[proxy]\np1 x=1 # first\np2\n[proxy:vars]\ny=two\n' },
    patterns: ['proxy'],
  },
  'an empty file': { files: { 'h.yml': '' } },
  'only comments': {
    differs: 'a warning, and no second error about INI',
    files: { 'h.yml': '# nothing\n---\n' },
  },
  'an empty INI': { files: { 'h.ini': '# nothing\n' } },
  'a loop of groups': { files: { 'h.yml': 'a: {children: {b: }}\nb: {children: {a: }}\n' } },
  'all below a group': { files: { 'h.yml': 'a: {children: {all: }, hosts: {n: }}\n' } },
  'variables named like magic ones': {
    files: {
      'h.yml':
        'all: {hosts: {a: {inventory_hostname: other, group_names: [x], groups: 1, environment: prod, name: n, hosts: h, port: 80, role_name: r}}}\n',
    },
  },
  'variables with names that are no identifiers': {
    files: { 'h.yml': 'all: {hosts: {a: {my-var: 1, "my var": 2, 5x: 3, "": 4, a.b: 5, "{{ x }}": 6}}}\n' },
  },
  'values that hold templates': {
    files: {
      'h.yml': `all:
  vars: {base: "10.0.0", addr: "{{ base }}.{{ index }}", list: ["{{ base }}"], dict: {"{{ base }}": "{{ base }}"}}
  hosts: {a: {index: 1}}
`,
    },
  },
  'a file whose name says nothing': { files: { 'hosts.inventory': '[web]\na\n' } },
  'a YAML file in .yaml.dist': { files: { 'h.dist': 'web:\n  hosts:\n    a:\n' } },
  'one host, no group': { files: { 'h.ini': 'localhost ansible_connection=local' }, patterns: ['localhost'] },
  'patterns of every sort': {
    files: {
      'h.yml': `server: {hosts: {s1: , s2: , s3: }}
agent: {hosts: {"a[01:12]": }}
eu: {hosts: {s1: , a02: }}
us: {children: {server: }}
web: {hosts: {web.example.org: , www.example.com: , "10.0.0.1": , "10.0.0.2": }}
`,
      retry: 's1\na02\n',
    },
    sources: ['h.yml'],
    patterns: [
      'all',
      '*',
      'server:agent',
      'server,agent',
      'server:&eu',
      'all:&eu:!s1',
      '!server',
      'server:!s2,a01',
      '~s[12]',
      '~(server|agent)',
      '~.*\\.example\\.(org|com)',
      '*.example.*',
      '10.0.0.*',
      '10.*',
      'a0?',
      'a[01]*',
      'a0[1-3]',
      'a0[!1]',
      'agent[0]',
      'agent[-1]',
      'agent[0:2]',
      'agent[2:]',
      'agent[2-4]',
      'agent[1:3]:!a03',
      'agent[99]',
      'server[0],agent[0]',
      's1,s1',
      's1:s1',
      ' s1 , a02 ',
      's1 a02',
      's*:&us',
      '&eu:server',
      'us',
      'us:!server',
      '@retry',
      '@retry:!s1',
      '!@retry',
      'ungrouped',
      'server:!s1:!s2:!s3',
      'S1',
      'web[0:1]',
      'w*[0]',
      'all[0]',
      'all[-1]',
      'all:!~a.*',
      'all:&~s\\d',
      '~^s1$',
      '~s',
      'nope',
      'server:nope',
      'server:!nope',
      'a01:a02:&agent',
    ],
  },
  'vault values': {
    differs: 'what a vault held is never shown',
    files: {
      'h.yml': `all:
  hosts:
    a:
      plain: 1
      secret: !vault |
        ${VAULTED.replaceAll('\n', '\n        ')}
      listed:
        - !vault |
          ${VAULTED.replaceAll('\n', '\n          ')}
`,
      'group_vars/all.yml': VAULTED_FILE,
    },
    sources: ['h.yml'],
    vaultPassword: 'sesame',
  },
  'a loop of variables nobody asks for': {
    files: { 'h.yml': 'all: {hosts: {a: {x: "{{ y }}", y: "{{ x }}"}}}\n' },
  },
  'deep nesting': {
    files: {
      'h.yml': `${Array.from({ length: 12 }, (_, depth) => `${'  '.repeat(depth * 2)}g${depth}:\n${'  '.repeat(depth * 2 + 1)}vars: {d: ${depth}}\n${'  '.repeat(depth * 2 + 1)}children:`).join('\n')}\n${'  '.repeat(24)}last: {hosts: {n: }}\n`,
    },
    patterns: ['g0', 'g11', 'last', 'g?'],
  },
  'as kubespray lays it out: folders of variables, odd spacing, words in quotes': {
    files: {
      'inventory.ini': `# ## Configure 'ip' variable to bind kubernetes services on a
[all]
node1 ansible_host=95.54.0.12  ip=10.3.0.1 etcd_member_name=etcd1
node2   ansible_host=95.54.0.13	ip=10.3.0.2  etcd_member_name=etcd2   # trailing
node[3:6]   ansible_host=95.54.0.13
bastion ansible_host=x.x.x.x ansible_user=some_user

[kube_control_plane]
node1
node2

[etcd:children]
kube_control_plane

[kube_node]
node[3:5:2]
node6 node_labels='{"a":"b","c":"d e"}'

[calico_rr]

[k8s_cluster:children]
kube_control_plane
kube_node
calico_rr

[k8s_cluster:vars]
ansible_ssh_common_args='-o ProxyCommand="ssh -W %h:%p -q some_user@x.x.x.x"'
list=[1, 2, 'three']
empty=
bool_like = True
quoted = "with # hash"
number = 007
float=1.10
path=/a=b=c
`,
      'group_vars/all/all.yml':
        '---\nt: 12:30\noct: 0644\nhexa: 0x1F\nsci: 1e3\nunder: 1_000\nyes_: yes\nnul: ~\ndate: 2024-01-01\n',
      'group_vars/all/x.yml~': 'backup: 1\n',
      'group_vars/all/.hidden.yml': 'hidden: 1\n',
      'group_vars/all/noext': 'noext: 1\n',
      'group_vars/all/readme.txt': 'txt: 1\n',
      'group_vars/k8s_cluster/k8s-cluster.yaml': 'dir: "{{ base }}/x"\nt: yaml\nbase: /etc/kubernetes\n',
      'group_vars/k8s_cluster/z.json': '{"json": [1, {"a": null}], "t": "json"}\n',
      'host_vars/node1/deep.yml': 'deep: 1\n',
      'host_vars/node1/sub/x.yml': 'deeper: 1\n',
    },
    patterns: ['etcd:!node2', 'k8s_cluster:&kube_node', 'node[3:5]', '~node[12]$', 'all[1:2]'],
  },
  'every kind of value of an INI file, in hosts and in vars': {
    files: {
      'hosts.ini': `[web]   # comment behind
w1 a="x y" b='z' c="it's" d=a"b"c e=\\"q\\" f={'k':'v'} g=["a","b"] h=None i=1.0 j=-5 k=0x10 l=1e5 m=true n=True o="True" p='"quoted"' q=!vault s="{{ x | default('y') }}" t=1,2 u=(1,2) v=0o17 w=01
w[1:3:2] z=later
w1 a=again
[web:vars] # c
  indented=yes
key with space=1
x =  spaced  
y="quoted" # comment
z='a' 'b'
aa=#hash
bb=a#b
cc=a #b
dd=[1,2
[db:children]
web
[db]
d1
[all:vars]
top=1
[ungrouped]
u1
`,
    },
  },
  'as techno-tim writes it: comments between groups, a template over several lines': {
    files: {
      'hosts.ini': `[master]
192.168.30.38
192.168.30.39
192.168.30.40

[node]
192.168.30.41
192.168.30.42

# only required if proxmox_lxc_configure: true
# must contain all proxmox instances that have a master or worker node
# [proxmox]
# 192.168.30.43

[k3s_cluster:children]
master
node
`,
      'group_vars/all.yml': `---
system_timezone: "Your/Timezone"
flannel_iface: "eth0"
master_taint: "{{ true if groups['node'] | default([]) | length >= 1 else false }}"
extra_args: >-
  {{ '--flannel-iface=' + flannel_iface if calico_iface is not defined else '' }}
  --node-ip={{ inventory_hostname }}
extra_server_args: >-
  {{ extra_args }}
  {{ '--node-taint x=true:NoSchedule' if master_taint else '' }}
  {% if calico_iface is defined %}
  --flannel-backend=none
  {% endif %}
  --disable servicelb
proxmox_lxc_ct_ids:
  - 200
  - 201
registries_yaml: |
  mirrors:
    docker.io:
      endpoint:
        - "https://registry.domain.com/v2/dockerhub"
`,
    },
  },
  'a byte order mark before the first section': {
    differs: 'Ansible takes the mark for a part of the first line, and the file for broken.',
    files: { 'hosts.ini': '\uFEFF[web]\r\nw1 a=1\r\n' },
  },
};
