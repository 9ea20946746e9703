import { raw } from '../core/shell.ts';
import type { Fact } from '../engine/fact.ts';

/** Whether the host has the password that it joined with: the cluster refuses the same name without it. */
export const hasNodePassword: Fact<boolean> = {
  key: 'k3s:node-password',
  sh: raw('[ -s /etc/rancher/node/password ] && echo yes; true'),
  parse: ({ stdout }) => stdout.trim() === 'yes',
};
