import type { CompiledPlay } from '../playbook/compile.ts';
import { listingOf } from '../playbook/listing.ts';
import { safeJson } from '../ui/json.ts';
import { indent, oneLine } from '../ui/wording.ts';
import type { Invocation } from './command.ts';

/** For `--list-hosts`, `--list-steps` and `--list-tags`: prints the list; whether it did. */
export function listInstead(
  { flags, settings, console }: Invocation,
  plays: readonly CompiledPlay[],
): boolean {
  const wants = { hosts: flags.has('listHosts'), steps: flags.has('listSteps'), tags: flags.has('listTags') };
  if (!wants.hosts && !wants.steps && !wants.tags) return false;
  const listing = listingOf(plays);
  if (settings.output === 'json') {
    console.result(safeJson(listing, 2));
    return true;
  }
  const { bold, dim } = console.outPalette;
  const text = listing.map((play) =>
    [
      `${bold(oneLine(play.play))} ${dim(`(${oneLine(play.pattern)})`)}`,
      ...(wants.hosts ? play.hosts.map((host) => indent(oneLine(host), '  ')) : []),
      ...(wants.steps
        ? play.steps.map(({ name, tags }) =>
            indent(
              `${oneLine(name)}${tags.length === 0 ? '' : dim(`  [${tags.map(oneLine).join(', ')}]`)}`,
              '  ',
            ),
          )
        : []),
      ...(wants.tags ? [indent(play.allTags.map(oneLine).join(', ') || 'no tags', '  ')] : []),
    ].join('\n'),
  );
  console.result(text.join('\n\n'));
  return true;
}
