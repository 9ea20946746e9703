import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { StepNode } from './on-node.ts';

/** Steps with the real tools of a Debian node that runs systemd: a change, then nothing left to change. */

let node: StepNode;

beforeAll(async () => {
  node = await StepNode.start();
});
afterAll(async () => {
  await node?.stop();
});

const on = (script: string) => node.run(script);
const says = (script: string) => node.says(script);
const plan = (name: string, written: unknown) => node.plan(name, written);
const lands = (name: string, written: unknown) => node.lands(name, written);

describe('accounts', () => {
  test('groups', async () => {
    await lands('group', { name: 'k3s', gid: 4200 });
    await lands('group', { name: 'k3s', gid: 4201 });
    await lands('group', { name: 'gone', system: true });
    await lands('group', { name: 'gone', state: 'absent' });
    expect(await says('getent group k3s | cut -d: -f3')).toBe('4201');
  });

  test('users', async () => {
    const hash =
      '$6$salt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/';
    await lands('user', {
      name: 'deploy',
      groups: 'k3s',
      shell: '/bin/bash',
      comment: 'A B',
      password: hash,
    });
    expect(
      await says('id -Gn deploy; getent shadow deploy | cut -d: -f2; test -d /home/deploy && echo home'),
    ).toBe(`deploy k3s\n${hash}\nhome`);
    await lands('user', { name: 'deploy', groups: ['sudo'], append: true });
    expect((await says('id -Gn deploy')).split(' ').sort()).toEqual(['deploy', 'k3s', 'sudo']);
    await lands('user', { name: 'deploy', groups: ['sudo'], shell: '/bin/sh' });
    await lands('user', { name: 'deploy', password_lock: true });
    expect(
      await plan('user', { name: 'deploy', password: hash, update_password: 'on_create' }),
    ).toMatchObject({ verdict: 'unchanged' });
  });

  test('how long an account and its password last, and its own key', async () => {
    const newcomer = { name: 'newcomer', expires: 1_893_456_000, password_expire_max: 90, umask: '0077' };
    await lands('user', { ...newcomer, generate_ssh_key: true, ssh_key_type: 'ed25519' });
    expect(
      await says(
        'getent shadow newcomer | cut -d: -f5,8; stat -c "%a %U" /home/newcomer /home/newcomer/.ssh /home/newcomer/.ssh/id_ed25519',
      ),
    ).toBe('90:21915\n700 newcomer\n700 newcomer\n600 newcomer');
    expect(
      await plan('user', { name: 'newcomer', generate_ssh_key: true, ssh_key_type: 'ed25519' }),
    ).toMatchObject({
      verdict: 'unchanged',
      result: {
        ssh_key_file: '/home/newcomer/.ssh/id_ed25519',
        ssh_public_key: await says('cat /home/newcomer/.ssh/id_ed25519.pub'),
      },
    });
    await lands('user', {
      name: 'newcomer',
      expires: -1,
      password_expire_max: 99_999,
      password_expire_min: 1,
    });
    expect(await says('getent shadow newcomer | cut -d: -f4,5,8')).toBe('1:99999:');
    const locked = {
      name: 'newcomer',
      generate_ssh_key: true,
      ssh_key_file: '.ssh/locked',
      ssh_key_passphrase: "pass 'phrase",
    };
    await lands('user', locked);
    expect((await on(`ssh-keygen -y -P "pass 'phrase" -f /home/newcomer/.ssh/locked`)).code).toBe(0);
    expect((await on("ssh-keygen -y -P '' -f /home/newcomer/.ssh/locked")).code).not.toBe(0);
    expect(await says('ls -d /tmp/tmp.* 2>/dev/null')).toBe('');
    await lands('user', { name: 'newcomer', state: 'absent', remove: true });
  });

  test('authorized keys', async () => {
    const key = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGtqZGZoa2pzZGhma2pzaGRma2pzaGRma2pzaGRmYQ== a@b';
    await lands('authorized_key', { user: 'deploy', key });
    expect(await says('stat -c "%a %U" /home/deploy/.ssh /home/deploy/.ssh/authorized_keys')).toBe(
      '700 deploy\n600 deploy',
    );
    await lands('authorized_key', { user: 'deploy', key: key.replace('a@b', 'c@d'), key_options: 'no-pty' });
    expect(await says('cat /home/deploy/.ssh/authorized_keys')).toBe(`no-pty ${key.replace('a@b', 'c@d')}`);
    await lands('authorized_key', { user: 'deploy', key, state: 'absent' });
    await lands('user', { name: 'deploy', state: 'absent', remove: true });
  });
});

describe('services', () => {
  const content = '[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n';

  test('a unit, started and enabled', async () => {
    await lands('unit', { name: 'nap.service', content, state: 'started', enabled: true });
    expect(await says('systemctl is-active nap; systemctl is-enabled nap')).toBe('active\nenabled');
  });

  test('service: stop, disable, start, enable', async () => {
    await lands('service', { name: 'nap', state: 'stopped', enabled: false });
    await lands('service', { name: 'nap', state: 'started', enabled: true });
    await lands('systemd', { name: 'nap', masked: false, state: 'stopped' });
  });

  test('a changed unit file is read again, and nothing restarted', async () => {
    await lands('service', { name: 'nap', state: 'started' });
    const since = await says('systemctl show -p ActiveEnterTimestampMonotonic nap');
    await lands('copy', { dest: '/etc/systemd/system/nap.service', content: `${content}# changed\n` });
    await lands('systemd', { name: 'nap', state: 'started', daemon_reload: true });
    expect(
      await says(
        'systemctl show -p ActiveEnterTimestampMonotonic nap; systemctl show -p NeedDaemonReload nap',
      ),
    ).toBe(`${since}\nNeedDaemonReload=no`);
  });

  test('restarts act each time, and a failed start says why', async () => {
    const restart = await plan('service', { name: 'nap', state: 'restarted' });
    expect(restart).toMatchObject({ verdict: 'change', imperative: true });
    await lands('unit', {
      name: 'bad.service',
      content: '[Service]\nType=oneshot\nExecStart=/bin/sh -c "echo the reason; exit 3"\n',
    });
    const start = await plan('service', { name: 'bad', state: 'started' });
    const action = start.verdict === 'change' ? start.actions[0] : undefined;
    const answer = action?.kind === 'run' ? await on(action.script.text) : undefined;
    expect(answer?.code).not.toBe(0);
    expect(answer?.stderr).toContain('bad.service');
  });

  test('a missing service', async () => {
    expect(await plan('service', { name: 'nobody', state: 'started' })).toMatchObject({ verdict: 'refuse' });
    expect(await plan('service', { name: 'nobody', state: 'stopped', enabled: false })).toMatchObject({
      verdict: 'unchanged',
    });
  });

  test('a unit that goes', async () => {
    await lands('unit', { name: 'nap.service', state: 'absent' });
    expect(await says('systemctl is-active nap')).toBe('inactive');
  });
});

describe('what Debian has in packages', () => {
  test('cron', async (context) => {
    if (!(await node.installs('cron ufw firewalld nftables'))) context.skip();
    await lands('cron', { name: 'snapshot', job: 'echo "100%" >/dev/null', minute: '0', hour: '3' });
    await lands('cron', { name: 'snapshot', job: 'true', special_time: 'daily' });
    expect(await says('crontab -l')).toBe('#Ansible: snapshot\n@daily true');
    await lands('cron', { name: 'snapshot', state: 'absent' });
    await lands('cron', { name: 'file', job: 'true', cron_file: 'fleet', user: 'root' });
  });

  test('firewalld, running and not', async (context) => {
    if ((await on('command -v firewall-cmd')).code !== 0) context.skip();
    await on('systemctl start firewalld');
    await lands('firewalld', { port: '6443/tcp', permanent: true, immediate: true, state: 'enabled' });
    await lands('firewalld', { source: '10.42.0.0/16', zone: 'trusted', permanent: true, state: 'enabled' });
    await lands('firewalld', {
      rich_rule: 'rule family="ipv4" source address="10.0.0.0/8" accept',
      permanent: true,
      immediate: true,
      state: 'enabled',
    });
    await lands('firewalld', { service: 'ssh', immediate: true, state: 'disabled' });
    await lands('service', { name: 'firewalld', state: 'stopped', enabled: false });
    await lands('firewalld', { port: '8472/udp', permanent: true, state: 'enabled' });
    await lands('firewalld', { port: '6443/tcp', permanent: true, state: 'disabled' });
  });

  test('ufw', async (context) => {
    if ((await on('command -v ufw')).code !== 0) context.skip();
    await lands('ufw', { rule: 'allow', port: 22, proto: 'tcp' });
    await lands('ufw', { rule: 'allow', port: 6443, proto: 'tcp', from: '10.0.0.0/24', comment: 'API' });
    await lands('ufw', { rule: 'allow', src: '10.42.0.0/16' });
    await lands('ufw', { rule: 'allow', port: '80,443', proto: 'tcp' });
    await lands('ufw', { rule: 'allow', interface: 'eth0', direction: 'in', port: 8472, proto: 'udp' });
    await lands('ufw', { rule: 'deny', direction: 'out', port: 25 });
    await lands('ufw', { rule: 'allow', route: true, from_ip: '10.1.0.0/16' });
    await lands('ufw', { rule: 'allow', interface_in: 'eth0', interface_out: 'cni0', route: true });
    await lands('ufw', {
      rule: 'allow',
      interface_in: 'eth0',
      interface_out: 'cni0',
      route: true,
      to_ip: '10.42.0.0/16',
      port: 80,
      proto: 'tcp',
    });
    await lands('ufw', { rule: 'deny', interface_in: 'eth0', from_ip: '192.0.2.0/24', log: true });
    await lands('ufw', { rule: 'limit', port: 2222, protocol: 'tcp', log: true, insert: 1 });
    expect(await says("ufw show added | sed -n '2p'")).toBe('ufw limit log 2222/tcp');
    await lands('ufw', {
      rule: 'deny',
      interface_in: 'eth0',
      from_ip: '192.0.2.0/24',
      log: true,
      delete: true,
    });
    await lands('ufw', { default: 'allow', direction: 'routed' });
    await lands('ufw', { logging: 'medium' });
    await lands('ufw', { rule: 'deny', direction: 'out', port: 25, delete: true });
    await lands('ufw', { rule: 'allow', port: 6443, proto: 'tcp', from: '10.0.0.0/24', delete: true });
    await lands('ufw', { state: 'enabled' });
    await lands('ufw', { state: 'disabled' });
  });

  test('nftables', async (context) => {
    if ((await on('command -v nft')).code !== 0) context.skip();
    const content =
      'flush ruleset\ntable inet fleet {\n  chain input { type filter hook input priority 0; policy accept; }\n}\n';
    await lands('nftables', { content, table: 'inet fleet' });
    await on('nft flush ruleset');
    await lands('nftables', { content, table: 'inet fleet' });
    const bad = await plan('nftables', { content: 'nonsense' });
    await expect(node.perform(bad.verdict === 'change' ? bad.actions : [])).rejects.toThrow();
    expect(await says('head -n 1 /etc/nftables.conf')).toBe('flush ruleset');
  });
});

describe('packages', () => {
  beforeAll(async () => {
    const made = await on(`set -e
mkdir -p /repo && cd /repo
make_deb() {
  mkdir -p "b/$1/DEBIAN"
  printf 'Package: %s\\nVersion: %s\\nArchitecture: all\\nMaintainer: t <t@t>\\nDescription: t\\n' "$1" "$2" >"b/$1/DEBIAN/control"
  dpkg-deb -b "b/$1" "$1_$2.deb" >/dev/null
  { cat "b/$1/DEBIAN/control"; printf 'Filename: ./%s_%s.deb\\nSize: %s\\nSHA256: %s\\n\\n' "$1" "$2" "$(stat -c %s "$1_$2.deb")" "$(sha256sum <"$1_$2.deb" | cut -d ' ' -f 1)"; } >>Packages
}
make_deb fleet-one 1.0
make_deb fleet-one 2.0
make_deb fleet-two 1.5-1
rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*
echo 'deb [trusted=yes] file:/repo ./' >/etc/apt/sources.list
rm -rf /var/lib/apt/lists/* /var/lib/apt/periodic/update-success-stamp`);
    expect(made.stderr.replace(/dpkg-deb: warning.*\n/g, '')).toBe('');
  });

  test('lists, versions, upgrades, removal', async () => {
    await lands('package', { name: ['fleet-one=1.0', 'fleet-two'], update_cache: true });
    expect(await plan('apt', { update_cache: true })).toMatchObject({ verdict: 'unchanged' });
    expect(await plan('apt', { name: 'fleet-one=1.*' })).toMatchObject({ verdict: 'unchanged' });
    expect(await plan('apt', { upgrade: 'dist' })).toMatchObject({ verdict: 'change' });
    const upgrade = await lands('apt', { name: 'fleet-one', state: 'latest' });
    expect(upgrade).toMatchObject({ diff: [{ subject: 'package fleet-one', before: '1.0', after: '2.0' }] });
    await lands('apt', { name: 'fleet-one=1.0', allow_downgrade: true });
    await lands('apt', { deb: '/repo/fleet-one_2.0.deb' });
    await on('apt-mark hold fleet-one; touch /var/cache/apt/archives/kept.deb');
    await lands('apt', { name: 'fleet-one=1.0', allow_downgrade: true, allow_change_held_packages: true });
    await on('apt-mark unhold fleet-one');
    await lands('apt', { name: '*', state: 'latest' });
    expect(await says('dpkg-query -s fleet-one | grep ^Version')).toBe('Version: 2.0');
    await lands('apt', { clean: true });
    await lands('apt', { name: 'fleet-one,fleet-two', state: 'absent', purge: true });
  });
});

describe('the system', () => {
  test('host name, time zone, hosts', async () => {
    await lands('hostname', { name: 'renamed' });
    expect(await says('uname -n; cat /etc/hostname')).toBe('renamed\nrenamed');
    await lands('hosts_entry', {
      address: '10.9.9.9',
      names: 'k3s.example.com,k3s',
      path: '/etc/hosts.test',
    });
    const zone = await plan('timezone', { name: 'Europe/Berlin' });
    expect(['change', 'refuse']).toContain(zone.verdict);
    if (zone.verdict === 'change') await lands('timezone', { name: 'Europe/Berlin' });
  });

  test('kernel parameters', async () => {
    const file = '/etc/sysctl.d/90-fleet.conf';
    const now = await says('cat /proc/sys/net/ipv4/ip_forward');
    const outcome = await plan('sysctl', { name: 'net.ipv4.ip_forward', value: now, sysctl_file: file });
    expect(outcome.verdict).toBe('change');
    await lands('sysctl', { name: 'net.ipv4.ip_forward', value: now, sysctl_file: file });
    await lands('sysctl', { name: 'net.ipv4.ip_forward', state: 'absent', sysctl_file: file });
    expect(await plan('sysctl', { name: 'net.no.such', value: 1 })).toMatchObject({ verdict: 'refuse' });
  });

  test('modules and swap', async () => {
    expect(['unchanged', 'change']).toContain((await plan('kernel_module', 'br_netfilter')).verdict);
    expect(await plan('kernel_module', 'no_such_module')).toMatchObject({ verdict: 'refuse' });
    await on("printf '/swapfile none swap sw 0 0\\n' >>/etc/fstab");
    await lands('swap', { state: 'off' });
    expect(await says('grep -c "^# swap is off (fleet): /swapfile" /etc/fstab')).toBe('1');
  });

  test('mounts', async () => {
    const mount = { path: '/mnt/t', src: 'tmpfs', fstype: 'tmpfs', opts: 'size=1m' };
    const first = await plan('mount', { ...mount, state: 'mounted' });
    expect(first.verdict).toBe('change');
    await lands('mount', { ...mount, state: 'mounted' });
    expect(
      await says(
        'grep -c " /mnt/t tmpfs" /proc/self/mounts; grep -c "^tmpfs /mnt/t tmpfs size=1m 0 0" /etc/fstab',
      ),
    ).toBe('1\n1');
    await lands('mount', { path: '/mnt/t', state: 'absent_from_fstab' });
    expect(await says('grep -c " /mnt/t tmpfs" /proc/self/mounts; grep -c /mnt/t /etc/fstab')).toBe('1\n0');
    await lands('mount', { path: '/mnt/t', state: 'unmounted' });
    await lands('mount', { path: '/mnt/t', state: 'absent' });
  });

  test('facts', async () => {
    const facts = await plan('setup', {});
    expect(facts).toMatchObject({
      verdict: 'unchanged',
      result: {
        ansible_facts: {
          ansible_distribution: 'Debian',
          ansible_os_family: 'Debian',
          ansible_service_mgr: 'systemd',
          ansible_pkg_mgr: 'apt',
        },
      },
    });
    expect(await plan('ping', {})).toMatchObject({ result: { ping: 'pong' } });
    expect(await plan('selinux', {})).toMatchObject({ verdict: 'unchanged' });
    expect(await plan('wait_for', { port: 22 })).toMatchObject({ verdict: 'unchanged' });
    expect(await plan('wait_for', { port: 1 })).toMatchObject({ verdict: 'change' });
  });

  test('files that are touched once', async () => {
    const touched = {
      path: '/opt/touched',
      state: 'touch',
      access_time: 'preserve',
      modification_time: 'preserve',
    };
    await lands('file', touched);
    await on('touch -d 2001-01-01 /opt/touched');
    await lands('file', { ...touched, mode: '0600' });
    expect(await says('stat -c "%a %y" /opt/touched')).toContain('600 2001-01-01');
  });

  test('archives', async () => {
    await on('mkdir -p /tmp/src /opt/here && echo 1 >/tmp/src/one && tar -C /tmp/src -czf /tmp/a.tar.gz one');
    await lands('unarchive', { src: '/tmp/a.tar.gz', dest: '/opt/here', remote_src: true, owner: 'root' });
    expect(await says('cat /opt/here/one')).toBe('1');
    await on('echo 2 >/tmp/src/one && tar -C /tmp/src -czf /tmp/a.tar.gz one');
    await lands('unarchive', { src: '/tmp/a.tar.gz', dest: '/opt/here', remote_src: true });
    expect(await says('cat /opt/here/one')).toBe('2');
    // From a web server of one file, which systemd starts for each request.
    await lands('copy', {
      dest: '/opt/serve',
      mode: '0755',
      content: `#!/bin/sh
while read -r line && [ "$line" != "$(printf '\\r')" ]; do :; done
printf 'HTTP/1.0 200 OK\\r\\nContent-Length: %s\\r\\n\\r\\n' "$(stat -c %s /tmp/a.tar.gz)"
cat /tmp/a.tar.gz
`,
    });
    await on(`printf '[Socket]\\nListenStream=8099\\nAccept=yes\\n' >/etc/systemd/system/serve.socket
printf '[Service]\\nStandardInput=socket\\nExecStart=/opt/serve\\n' >/etc/systemd/system/serve@.service
mkdir /opt/there && systemctl daemon-reload && systemctl start serve.socket`);
    const address = { src: 'http://127.0.0.1:8099/a.tar.gz', dest: '/opt/there', remote_src: true };
    const sum = await says('sha256sum /tmp/a.tar.gz | cut -d " " -f 1');
    await lands('unarchive', { ...address, owner: 'debian', checksum: `sha256:${sum}` });
    expect(
      await says(
        'cat /opt/there/one; stat -c %U /opt/there/one; ls /var/lib/fleet/unarchived | grep -c archive',
      ),
    ).toBe('2\ndebian\n0');
  });
});
