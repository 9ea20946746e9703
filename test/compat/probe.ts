import { startNodesWithPython } from '../../bench/nodes-with-python.ts';
const t=Date.now();
const f = await startNodesWithPython(1);
console.log('up', Date.now()-t, f.inventoryPath);
const n=f.nodes[0]!;
console.log(await f.exec(n,'python3 --version; python3 -c "import apt" ; cat /etc/os-release | head -3; getent hosts deb.debian.org; dpkg -l | wc -l; which ufw crontab visudo sshd rsync gpg; ls /etc/apt/sources.list.d; (time timeout 60 apt-get update) 2>&1 | tail -8; cat /etc/apt/sources.list.d/* /etc/apt/apt.conf.d/*proxy* | head -20; uname -r; cat /proc/filesystems | grep -v nodev;lsmod | head -3; systemctl is-system-running'));
await f.stop();
