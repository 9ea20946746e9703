/** A small playbook that Ansible and fleet both run, on hosts that are all this machine. */
export interface PlaybookCase {
  /** Gathers no facts unless `gathers`. `out` is a folder whose files are compared. */
  readonly playbook: string;
  /** Where it stands among the files, if not as `site.yml`. */
  readonly path?: string;
  /** What else lies in its folder. */
  readonly files?: Readonly<Record<string, string>>;
  /** Hosts and variables in INI form. Default: a and b in `web`, c in `db`. */
  readonly inventory?: string;
  /** As behind `-e`. */
  readonly extra?: readonly string[];
  readonly tags?: readonly string[];
  readonly skipTags?: readonly string[];
  readonly startAt?: string;
  readonly limit?: string;
  readonly check?: true;
  readonly gathers?: true;
  /** Where fleet does otherwise, why: the answers must then differ. Each such reason stands in docs/compatibility.md, too. */
  readonly differs?: string;
  /** What must be in no event and no file of Ansible's or fleet's. */
  readonly secret?: string;
}

export type PlaybookCases = Readonly<Record<string, PlaybookCase>>;

const usualInventory = '[web]\na\nb\n[db]\nc\n';

/** All files of a case, the playbook and inventory among them. */
export function filesOf(one: PlaybookCase): Readonly<Record<string, string>> {
  const playbook =
    one.gathers === true
      ? one.playbook
      : one.playbook.replace(/^- hosts:.*$/gm, (line) => `${line}\n  gather_facts: false`);
  return {
    inventory: `${one.inventory ?? usualInventory}\n[all:vars]\nansible_connection=local\n`,
    'out/.keep': '',
    ...one.files,
    [pathOf(one)]: playbook,
  };
}

/** The playbook's file. */
export function pathOf({ path }: PlaybookCase): string {
  return path ?? 'site.yml';
}
