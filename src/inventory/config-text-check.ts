import { isMap } from 'yaml';
import type { FleetError, Place } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';
import { readYaml } from '../jinja/yaml-read.ts';
import { usageError } from './findings.ts';
import type { Host } from './fleet.ts';
import { HostVariables } from './host-variables.ts';

/** Checks that a config text (`server_config_yaml` and its kin) is a YAML dict; says where in the inventory it is not. */
export function checkConfigText(host: Host, name: string, value: unknown): readonly FleetError[] {
  const text = value instanceof Secret ? value.reveal() : value;
  if (typeof text !== 'string' || text.trim() === '') return [];
  const reading = readYaml(text);
  const error = (message: string, offset: number): FleetError => {
    const where =
      placeInside(host, name, text, offset, reading.lines.linePos(offset)) ?? host.vars.where(name);
    return usageError({
      code: 'CONFIG_YAML',
      message: `"${name}" ${message}`,
      fix: 'It is the text of a k3s config file: "name: value" lines, indented alike.',
      host: host.name,
      ...(where === undefined ? {} : { where }),
    });
  };
  if (reading.findings.length > 0) {
    return reading.findings
      .slice(0, 1)
      .map((finding) => error(`is not YAML: ${finding.message}`, finding.offset));
  }
  const { root } = reading;
  if (root !== null && !isMap(root) && !/^\s*(?:null|~)?\s*$/.test(text.replace(/#.*$/gm, ''))) {
    return [error('must hold "name: value" lines', 0)];
  }
  return [];
}

/** The place of an offset inside a block text (`name: |`), when what stands there is what was written. */
function placeInside(
  host: Host,
  name: string,
  text: string,
  _offset: number,
  inner: { line: number; col: number },
): Place | undefined {
  if (!(host.vars instanceof HostVariables) || host.vars.raw(name) !== text) return undefined;
  const written = host.vars.written(name);
  if (written?.source === undefined || written.offset === undefined) return undefined;
  const rest = written.source.text.slice(written.offset);
  const head = /^[^\n]*:\s*\|[-+\d]*\s*(?:#[^\n]*)?\r?\n/.exec(rest);
  if (head === null) return undefined;
  const indent = /^(?:[ \t]*\r?\n)*( *)/.exec(rest.slice(head[0].length))?.[1]?.length ?? 0;
  const start = written.source.place(written.offset);
  return { file: start.file, line: (start.line ?? 0) + inner.line, column: inner.col + indent };
}
