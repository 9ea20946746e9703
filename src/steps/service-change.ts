import { lines, type ShellScript, sh } from '../core/shell.ts';
import type { Action } from '../engine/action.ts';
import { change, type Plan, refuse, unchanged } from '../engine/step.ts';
import type { ServiceState } from '../facts/service.ts';

/** What is asked of a service. */
export interface WantedService {
  readonly name: string;
  readonly state?: 'started' | 'stopped' | 'restarted' | 'reloaded' | undefined;
  readonly enabled?: boolean | undefined;
  readonly masked?: boolean | undefined;
  readonly daemonReload?: boolean | undefined;
  /** Returns before the job is done: a start that waits for ever must not hold the channel. */
  readonly noBlock?: boolean | undefined;
  readonly runlevel?: string | undefined;
}

/** What it takes for a service to be in a state. `restarted` and `reloaded` act whenever they run. */
export function planService(
  seen: { readonly service: ServiceState },
  wanted: WantedService,
): Plan<{ service: ServiceState }> {
  const { service } = seen;
  const { name } = wanted;
  if (service.manager === 'none') {
    return refuse(
      'the host runs neither systemd nor OpenRC',
      'Services can only be managed where an init system runs.',
    );
  }
  const restful =
    (wanted.state === undefined || wanted.state === 'stopped') &&
    wanted.enabled !== true &&
    wanted.masked !== true;
  const reloadsFirst = wanted.daemonReload === true && service.needsDaemonReload;
  if (!service.exists && !reloadsFirst) {
    if (restful) return unchanged(`there is no service ${name}`, resultOf(wanted, service));
    if (wanted.masked !== true) {
      return refuse(
        `there is no service ${name} on the host`,
        'Check its name, or install what brings it first.',
      );
    }
  }
  const isSystemd = service.manager === 'systemd';
  const because: string[] = [];
  const actions: Action[] = [];
  let after: Partial<ServiceState> = {};
  const act = (what: string, script: ShellScript) => actions.push({ kind: 'run', what, script });

  if (reloadsFirst && isSystemd) {
    because.push('its unit file changed since systemd read it');
    act('make systemd read its unit files', sh`systemctl daemon-reload`);
    after = { ...after, needsDaemonReload: false };
  }
  if (isSystemd && wanted.masked !== undefined && wanted.masked !== service.masked) {
    because.push(service.masked ? 'it is masked' : 'it is not masked');
    act(
      `${wanted.masked ? 'mask' : 'unmask'} ${name}`,
      sh`systemctl ${wanted.masked ? 'mask' : 'unmask'} -- ${name}`,
    );
    after = { ...after, masked: wanted.masked, enablement: wanted.masked ? 'masked' : 'disabled' };
  } else if (
    service.masked &&
    wanted.masked !== false &&
    (startsIt(wanted.state) || wanted.enabled === true)
  ) {
    return refuse(`${name} is masked`, 'Unmask it: systemd: name=… masked=false.');
  }
  const enabled = isEnabled(service);
  const canBeEnabled = !['static', 'generated', 'transient', 'alias', 'indirect'].includes(
    service.enablement,
  );
  if (wanted.enabled !== undefined && wanted.enabled !== enabled && (canBeEnabled || !wanted.enabled)) {
    if (canBeEnabled) {
      because.push(enabled ? 'it starts at boot' : 'it does not start at boot');
      act(
        `${wanted.enabled ? 'enable' : 'disable'} ${name}`,
        isSystemd
          ? sh`systemctl ${wanted.enabled ? 'enable' : 'disable'} -- ${name}`
          : sh`rc-update ${wanted.enabled ? ['add', name] : ['del', name]} ${wanted.runlevel ?? 'default'}`,
      );
      after = { ...after, enablement: wanted.enabled ? 'enabled' : 'disabled' };
    }
  }
  const running =
    service.active === 'active' || service.active === 'reloading' || service.active === 'activating';
  let imperative = false;
  if (wanted.state === 'started' && !running) {
    because.push(`it is ${service.active}`);
    act(`start ${name}`, controlScript(service, 'start', wanted));
    if (wanted.noBlock !== true) after = { ...after, active: 'active' };
  } else if (wanted.state === 'stopped' && running) {
    because.push(`it is ${service.active}`);
    act(`stop ${name}`, controlScript(service, 'stop', wanted));
    after = { ...after, active: 'inactive' };
  } else if (wanted.state === 'restarted') {
    because.push(running ? 'a restart is asked for' : `it is ${service.active}`);
    act(`restart ${name}`, controlScript(service, 'restart', wanted));
    imperative = true;
  } else if (wanted.state === 'reloaded') {
    because.push(running ? 'a reload is asked for' : `it is ${service.active}`);
    act(`reload ${name}`, controlScript(service, running ? 'reload' : 'start', wanted));
    imperative = true;
  }
  const [first, ...rest] = actions;
  if (first === undefined) return unchanged(`${name} is ${describe(service)}`, resultOf(wanted, service));
  return change(`${name}: ${because.join(', ')}`, [first, ...rest], {
    ...(imperative ? { imperative: true as const } : { after: { service: { ...service, ...after } } }),
    touches: ['service:*', 'port:*'],
    result: () => resultOf(wanted, { ...service, ...after }),
  });
}

function startsIt(state: WantedService['state']): boolean {
  return state !== undefined && state !== 'stopped';
}

/** Whether it starts at boot. SysV scripts (`generated`) and static units count as they are. */
export function isEnabled(service: ServiceState): boolean {
  return ['enabled', 'enabled-runtime', 'linked', 'alias', 'generated'].includes(service.enablement);
}

function describe(service: ServiceState): string {
  return [service.active, service.enablement].filter((word) => word !== '').join(' and ');
}

function controlScript(
  service: ServiceState,
  verb: 'start' | 'stop' | 'restart' | 'reload',
  wanted: WantedService,
): ShellScript {
  const { name } = wanted;
  if (service.manager === 'openrc') return sh`rc-service ${name} ${verb}`;
  const noBlock = wanted.noBlock === true ? ['--no-block'] : [];
  // The host's own words about why, on stderr, so that the error needs no second look.
  return lines(
    sh`systemctl ${noBlock} ${verb} -- ${name} && exit 0`,
    sh`c=$?`,
    sh`journalctl -q --no-pager -n 20 -o cat -u ${name} >&2 2>/dev/null`,
    sh`exit "$c"`,
  );
}

function resultOf(wanted: WantedService, service: ServiceState): Readonly<Record<string, unknown>> {
  return {
    name: wanted.name,
    state: wanted.state ?? (service.active === 'active' ? 'started' : 'stopped'),
    enabled: isEnabled(service),
    status: {
      ActiveState: service.active,
      SubState: service.sub,
      UnitFileState: service.enablement,
      LoadState: service.masked ? 'masked' : service.exists ? 'loaded' : 'not-found',
      ActiveEnterTimestamp: service.activeSince,
      ExecMainStartTimestamp: service.mainStartedAt,
      FragmentPath: service.unitFiles[0] ?? '',
    },
  };
}
