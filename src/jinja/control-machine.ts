import { isAbsolute, join, posix } from 'node:path';
import { FilterArguments } from './arguments.ts';
import { TemplateError } from './error.ts';
import type { Evaluator, Filter, Test } from './evaluator.ts';
import { toText } from './value.ts';

/** What stands at a path. */
export interface PathState {
  readonly kind: 'file' | 'folder' | 'other' | 'missing';
  readonly isLink: boolean;
  readonly isMount: boolean;
  /** The same for all names of one file. */
  readonly identity: string | undefined;
}

/**
 * The files of the control machine as templates may ask about them: whoever may use `lookup('file')` may. No content comes
 * this way. Relative paths start at the current folder, as in Ansible.
 */
export interface ControlMachine {
  readonly home: string;
  readonly cwd: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  stateOf(path: string): PathState;
  /** The path without links; the path itself where nothing stands there. */
  realPath(path: string): string;
  /** Sorted paths that match a shell pattern. */
  matching(pattern: string): readonly string[];
}

function machineOf(evaluator: Evaluator): ControlMachine {
  const { control } = evaluator.surroundings;
  if (control === undefined) {
    throw new TemplateError('failed', 'the files of the control machine are out of reach here');
  }
  return control;
}

function absolute(path: string, machine: ControlMachine): string {
  return isAbsolute(path) ? posix.normalize(path) : join(machine.cwd, path);
}

function pathTest(holds: (state: PathState) => boolean): Test {
  return {
    holds: (value, _args, _named, evaluator) => {
      const machine = machineOf(evaluator);
      return holds(machine.stateOf(absolute(toText(value), machine)));
    },
  };
}

function pathFilter(
  apply: (path: string, machine: ControlMachine, args: FilterArguments) => unknown,
): Filter {
  return {
    apply: (value, args, named, evaluator) =>
      apply(toText(value), machineOf(evaluator), new FilterArguments(args, named)),
  };
}

const isFile = pathTest(({ kind }) => kind === 'file');
const isFolder = pathTest(({ kind }) => kind === 'folder');
const exists = pathTest(({ kind }) => kind !== 'missing');
const isLink = pathTest((state) => state.isLink);
const isMount = pathTest((state) => state.isMount);
const isSameFile: Test = {
  holds: (value, args, _named, evaluator) => {
    const machine = machineOf(evaluator);
    const [one, other] = [value, args[0]].map(
      (path) => machine.stateOf(absolute(toText(path), machine)).identity,
    );
    if (one === undefined || other === undefined)
      throw new TemplateError('failed', 'same_file needs two files that exist');
    return one === other;
  },
};

/** Ansible's tests of files; all of the control machine, as there. */
export const PATH_TESTS: readonly (readonly [string, Test])[] = [
  ['file', isFile],
  ['is_file', isFile],
  ['directory', isFolder],
  ['is_dir', isFolder],
  ['exists', exists],
  ['link', isLink],
  ['is_link', isLink],
  ['link_exists', pathTest((state) => state.kind !== 'missing' || state.isLink)],
  ['mount', isMount],
  ['is_mount', isMount],
  ['same_file', isSameFile],
  ['is_same_file', isSameFile],
];

/** Filters that look at the control machine. */
export const PATH_FILTERS: Readonly<Record<string, Filter>> = {
  expanduser: pathFilter((path, { home }) => path.replace(/^~(?=\/|$)/, home)),
  expandvars: pathFilter((path, { environment }) =>
    path.replace(/\$(?:(\w+)|\{([^}]*)\})/g, (whole, bare?: string, braced?: string) => {
      const value = environment[bare ?? braced ?? ''];
      return value ?? whole;
    }),
  ),
  realpath: pathFilter((path, machine) => machine.realPath(absolute(path, machine))),
  fileglob: pathFilter((pattern, machine) => [
    ...machine.matching(absolute(pattern, machine)).filter((path) => machine.stateOf(path).kind === 'file'),
  ]),
};
