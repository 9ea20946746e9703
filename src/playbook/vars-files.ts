import { dirname } from 'node:path';
import { FleetError } from '../core/errors.ts';
import type { Play } from '../engine/play.ts';
import type { Variables } from '../inventory/fleet.ts';
import { allVars, attempt, type Context } from './context.ts';
import { locate } from './files.ts';
import { variablesOfFile } from './include-vars.ts';
import type { Located } from './located.ts';
import { hasTemplate } from './template-text.ts';

type Values = Readonly<Record<string, unknown>>;

/** The `vars_files` of a play: files, or lists of them of which the first that exists counts, later ones over earlier ones. */
export class VarsFiles {
  /** Of the files that are the same for all hosts, as far as none before them is not. */
  readonly fixed: Values;
  /** What else can be told before any host is known: for names of hosts, roles and files. */
  readonly guessed: Values;
  readonly #late: readonly Located[];

  private constructor(
    private readonly context: Context,
    items: readonly Located[],
  ) {
    const first = items.findIndex((item) => (item.items ?? [item]).some(({ value }) => hasTemplate(value)));
    this.#late = first < 0 ? [] : items.slice(first);
    const known = first < 0 ? items : items.slice(0, first);
    const { scope, inherited } = context;
    this.fixed = merged(
      known.map((item) => attempt(context, item.place, () => this.#read(item, scope)) ?? {}),
    );
    const guessing = scope.with(allVars(inherited)).with(this.fixed);
    this.guessed = merged(this.#late.map((item) => quietly(() => this.#read(item, guessing)) ?? {}));
  }

  static of(context: Context, node: Located | undefined): VarsFiles {
    return new VarsFiles(context, node === undefined || node.value === null ? [] : (node.items ?? [node]));
  }

  /** Notes what is missing for a host, as far as its variables in the inventory tell. */
  check(scopes: readonly Variables[]): void {
    for (const item of this.#late) {
      const checked = new Set<string>();
      for (const scope of scopes) {
        const names = quietly(() => this.#names(item, scope));
        const id = JSON.stringify(names);
        if (names === undefined || checked.has(id)) continue;
        checked.add(id);
        attempt(this.context, item.place, () => this.#first(item, names));
      }
    }
  }

  /** What each host adds. Variables of roles, which the play gathers meanwhile, are above it. */
  late(roleVars: Values): Pick<Play, 'varsFiles'> {
    if (this.#late.length === 0) return {};
    return {
      varsFiles: (scope, hasFacts) => {
        let values: Values = {};
        for (const item of this.#late) {
          const inner = scope.with(values);
          const names = hasFacts ? this.#names(item, inner) : quietly(() => this.#names(item, inner));
          if (names !== undefined) values = { ...values, ...this.#first(item, names) };
        }
        return Object.fromEntries(Object.entries(values).filter(([name]) => !Object.hasOwn(roleVars, name)));
      },
    };
  }

  #read(item: Located, scope: Variables): Values {
    return this.#first(item, this.#names(item, scope));
  }

  #names(item: Located, scope: Variables): readonly string[] {
    return (item.items ?? [item]).map(({ value, place }) => String(scope.template(value, place)));
  }

  #first(item: Located, names: readonly string[]): Values {
    const { file, compilation } = this.context;
    const folders = [`${dirname(file)}/vars`, dirname(file)];
    for (const name of names.slice(0, -1)) {
      const path = quietly(() => locate(name, folders, item.place));
      if (path !== undefined) return variablesOfFile(path, compilation.files);
    }
    return variablesOfFile(locate(names.at(-1) ?? '', folders, item.place), compilation.files);
  }
}

function merged(values: readonly Values[]): Values {
  return Object.assign({}, ...values) as Values;
}

function quietly<Value>(act: () => Value): Value | undefined {
  try {
    return act();
  } catch (error) {
    if (error instanceof FleetError) return undefined;
    throw error;
  }
}
