/** Certificate authorities as a company has them, for clusters that are to begin with them or be given them. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { authorityNames } from '../../src/k3s/authorities.ts';
import { provideProgram } from '../fleet/machine.ts';

const extensions = `[req]
distinguished_name = name
[name]
[authority]
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid:always
basicConstraints = critical, CA:true
keyUsage = critical, digitalSignature, keyEncipherment, keyCertSign
`;

/**
 * The five authorities of a cluster in `folder`, below the root `root.pem` of `office`, which is made where there is none;
 * each file with the root behind it. The root's key stays in `office`.
 */
export async function makeAuthorities(folder: string, office: string): Promise<void> {
  await provideProgram('openssl', 'openssl', 'Node makes keys, but no certificates');
  mkdirSync(path.join(folder, 'etcd'), { recursive: true });
  mkdirSync(office, { recursive: true });
  const config = path.join(office, 'extensions');
  writeFileSync(config, extensions);
  const openssl = (...args: readonly string[]): void => {
    execFileSync('openssl', args, { stdio: 'pipe' });
  };
  const key = (to: string): void =>
    openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', to);
  const root = path.join(office, 'root.pem');
  const rootKey = path.join(office, 'root.key');
  if (!existsSync(root)) {
    key(rootKey);
    const subject = ['-subj', `/CN=root of ${path.basename(office)}`, '-config', config];
    openssl(
      'req',
      '-x509',
      '-new',
      '-days',
      '3650',
      '-key',
      rootKey,
      ...subject,
      '-extensions',
      'authority',
      '-out',
      root,
    );
  }
  for (const [index, name] of authorityNames.entries()) {
    const at = path.join(folder, name);
    key(`${at}.key`);
    openssl(
      'req',
      '-new',
      '-subj',
      `/CN=${name.replace('/', '-')}`,
      '-key',
      `${at}.key`,
      '-config',
      config,
      '-out',
      `${at}.csr`,
    );
    const serial = ['-set_serial', String(Date.now() * 10 + index)];
    const signing = [
      '-CA',
      root,
      '-CAkey',
      rootKey,
      '-extfile',
      config,
      '-extensions',
      'authority',
      ...serial,
    ];
    openssl('x509', '-req', '-days', '3000', '-in', `${at}.csr`, ...signing, '-out', `${at}.crt`);
    writeFileSync(`${at}.crt`, readFileSync(`${at}.crt`, 'utf8') + readFileSync(root, 'utf8'));
  }
}
