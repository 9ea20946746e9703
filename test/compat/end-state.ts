import type { FakeFleet, FakeNode } from '../fleet/nodes.ts';

/** What harden.yml is about, as one can compare it between two hosts: a line for each thing. */
export type EndState = readonly string[];

const roots =
  '/etc /root /srv /var/lib/app /var/log/app /var/lib/hardened-at-least-once /usr/local /var/spool/cron /home';

/**
 * Everything below the folders that the playbook touches with type, mode, owner and sha256, packages, accounts, services,
 * mounts and kernel parameters. Left out: what differs between any two hosts (keys, ids, names) and what tools note for themselves.
 */
export async function endState(nodes: FakeFleet, node: FakeNode): Promise<EndState> {
  const { stdout, stderr, code } = await nodes.exec(
    node,
    `set -e
find ${roots} -xdev \\( -name '.ansible*' -o -path /etc/ssl -o -path '/root/.cache' \\) -prune -o -printf 'path %p %y %m %u:%g %l\\n'
find ${roots} -xdev -type f -size -1024k ! -path '/var/spool/cron/*' -exec sha256sum {} + | sed 's/^/sum /'
# The head that crontab(1) writes has the time in it.
grep -v '^# ' /var/spool/cron/crontabs/* | sed 's/^/crontab /'
dpkg-query -W -f 'package \${Package} \${Version} \${Status}\\n'
getent passwd | sed 's/^/passwd /'
getent group | sed 's/^/group /'
for unit in ssh cron app-tick.timer apt-daily.timer app-tick.service ufw; do
  printf 'unit %s %s %s\\n' "$unit" "$(systemctl is-active "$unit" || true)" "$(systemctl is-enabled "$unit" 2>/dev/null || true)"
done
findmnt -rn -o TARGET,FSTYPE,OPTIONS /srv/scratch | sed 's/inode64//; s/^/mount /'
grep -v '^#' /etc/shadow | cut -d: -f1,2 | sed 's/^/shadow /'
/usr/sbin/sshd -T | sed 's/^/sshd /'
sysctl -a 2>/dev/null | grep '^net\\.ipv4\\.conf\\.\\(all\\|default\\)\\.' | sed 's/^/sysctl /'`,
  );
  if (code !== 0) throw new Error(`the state of ${node.name} cannot be read: ${stderr}`);
  return stdout
    .split('\n')
    .filter((line) => line !== '' && !differsAnyway.test(line))
    .map((line) => line.replaceAll(node.name, 'NODE').replaceAll(node.name.toUpperCase(), 'NODE'))
    .sort();
}

/** What only one of two hosts has. Ansible's apt needs python3-apt on the host, and installs it: that is left out. */
export function endStateDifferences(
  ours: EndState,
  ansibles: EndState,
): { readonly onlyLeft: EndState; readonly onlyRight: EndState } {
  const itsOwn = /^package (?:python3-apt|python-apt-common|distro-info-data) /;
  return {
    onlyLeft: ours.filter((line) => !ansibles.includes(line)),
    onlyRight: ansibles.filter((line) => !ours.includes(line) && !itsOwn.test(line)),
  };
}

/** Of this host alone, or written by a tool about itself with the time in it. */
const differsAnyway =
  /^(?:path|sum \S+) +(?:\/etc\/(?:ssh\/ssh_host_|mailname$|exim4\/update-exim4\.conf\.conf$|machine-id|hostname|hosts|resolv\.conf|ld\.so\.cache|(?:passwd|group|shadow|gshadow|subuid|subgid)-$|fake-node)|\/root\/\.|\/home\/\w+\/\.(?:ssh$|ansible)|\/var\/spool\/cron\/crontabs$)/;
