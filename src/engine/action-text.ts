import type { Action } from './action.ts';

/** One action as a plan shows it: `write /etc/hosts (0644 root:root)`. Holds no content and no secret. */
export function describeAction(action: Action): string {
  switch (action.kind) {
    case 'run':
      return action.host === undefined ? action.what : `${action.what} (on ${action.host})`;
    case 'write':
      return `write ${action.path} (${action.mode} ${action.owner}:${action.group})`;
    case 'remove':
      return `remove ${action.path}${action.recursive === true ? ' and all below it' : ''}`;
    case 'upload':
      return `send ${action.path}`;
    case 'wait':
      return `wait up to ${Math.round(action.deadlineMs / 1000)} s for ${action.what}`;
    case 'reboot':
      return 'reboot';
    case 'save':
      return `write ${action.path} on the control node`;
    case 'collect':
      return `fetch ${action.source} to ${action.path} on the control node`;
    case 'pause':
      return `pause ${action.durationMs / 1000} s`;
  }
}
