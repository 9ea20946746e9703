import { execFileSync, spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type AskedOfMany, raw } from '../../src/core/shell.ts';
import { BatchReader } from '../../src/ssh/batch-reader.ts';
import type { Answer } from '../../src/ssh/connection.ts';
import { batchScript, FrameSplitter, newNonce } from '../../src/ssh/frames.ts';
import { oneLine } from '../../src/ssh/run-script.ts';

const NONCE = '8d1f3ba0c65e2749fe07b1d94c83a65a';

/** Output that tries to look like a frame: the whole nonce cannot be known to it, any part of it can. */
const hostileText = fc
  .array(
    fc.oneof(
      fc.string(),
      fc.constantFrom(
        '\n',
        NONCE.slice(0, 31),
        NONCE.slice(1),
        NONCE.slice(0, 16),
        ' 0 0\n',
        ' start\n',
        '\0',
        'é',
      ),
    ),
  )
  .map((parts) => parts.join(''))
  .filter((text) => !text.includes(NONCE));

function chop(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const chunks: Buffer[] = [];
  let at = 0;
  for (const cut of cuts) {
    if (at >= bytes.length) break;
    chunks.push(bytes.subarray(at, at + cut));
    at += cut;
  }
  if (at < bytes.length) chunks.push(bytes.subarray(at));
  return chunks;
}

const cuts = fc.array(fc.integer({ min: 1, max: 50 }), { maxLength: 200 });

describe('FrameSplitter', () => {
  test('gives back every byte between frames and every frame, however the stream is cut', () => {
    fc.assert(
      fc.property(fc.array(hostileText, { minLength: 1, maxLength: 5 }), cuts, (texts, sizes) => {
        // A text that ends where the nonce begins would shift it; the host's shell prints the frame after whatever came before.
        const stream = Buffer.from(texts.map((text, index) => `${text}${NONCE} ${index} 7\n`).join(''));
        fc.pre(stream.toString('latin1').split(NONCE).length === texts.length + 1);
        const seen: string[] = [];
        let data: Buffer[] = [];
        const splitter = new FrameSplitter(NONCE, {
          data: (bytes) => data.push(Buffer.from(bytes)),
          frame: (words) => {
            seen.push(`${Buffer.concat(data).toString('utf8')}|${words.join(' ')}`);
            data = [];
          },
        });
        for (const chunk of chop(stream, sizes)) splitter.push(chunk);
        const expected = stream
          .toString('utf8')
          .split(NONCE)
          .map((part, index) => (index === 0 ? part : part.slice(part.indexOf('\n') + 1)))
          .slice(0, -1)
          .map((text, index) => `${text}|${index} 7`);
        expect(seen).toEqual(expected);
      }),
    );
  });

  test('does not wait for the end of a line that is too long to be a frame', () => {
    const data: string[] = [];
    const splitter = new FrameSplitter(NONCE, {
      data: (bytes) => data.push(bytes.toString()),
      frame: () => {},
    });
    splitter.push(Buffer.from(`${NONCE}${'x'.repeat(100)}`));
    expect(data.join('')).toBe(`${NONCE}${'x'.repeat(100)}`);
  });
});

describe('BatchReader', () => {
  test('puts interleaved, arbitrarily cut streams together into the answers', () => {
    const item = fc.record({
      stdout: hostileText,
      stderr: hostileText,
      code: fc.integer({ min: 0, max: 255 }),
    });
    fc.assert(
      fc.property(
        fc.array(item, { minLength: 1, maxLength: 5 }),
        cuts,
        cuts,
        fc.array(fc.boolean()),
        (items, a, b, order) => {
          const out = Buffer.from(
            `noise${NONCE} start\n${items.map((one, i) => `${one.stdout}${NONCE} ${i} ${one.code}\n`).join('')}`,
          );
          const err = Buffer.from(
            `banner${NONCE} start\n${items.map((one, i) => `${one.stderr}${NONCE} ${i}\n`).join('')}`,
          );
          fc.pre(out.toString('latin1').split(NONCE).length === items.length + 2);
          fc.pre(err.toString('latin1').split(NONCE).length === items.length + 2);
          const answers: (Answer | undefined)[] = [];
          const reader = new BatchReader({
            nonce: NONCE,
            items: items.map(() => ({})),
            limitBytes: 1e6,
            onAnswer: (index, answer) => {
              expect(index).toBe(answers.length);
              answers.push(answer);
            },
            onOverflow: () => expect.unreachable(),
          });
          const outs = chop(out, a);
          const errs = chop(err, b);
          for (const first of order) {
            const chunk = first ? outs.shift() : errs.shift();
            if (chunk !== undefined) first ? reader.stdout(chunk) : reader.stderr(chunk);
          }
          for (const chunk of outs) reader.stdout(chunk);
          for (const chunk of errs) reader.stderr(chunk);
          expect(reader.complete).toBe(true);
          expect(answers).toEqual(items);
        },
      ),
    );
  });

  test('reports an item over the limit once and collects no more', () => {
    const over: number[] = [];
    const reader = new BatchReader({
      nonce: NONCE,
      items: [{}, {}],
      limitBytes: 10,
      onAnswer: () => expect.unreachable(),
      onOverflow: (index) => over.push(index),
    });
    reader.stdout(Buffer.from(`${NONCE} start\n12345678901`));
    reader.stdout(Buffer.from(`more${NONCE} 0 0\n`));
    reader.stderr(Buffer.from(`${NONCE} start\n${NONCE} 0\n`));
    expect(over).toEqual([0]);
  });

  test('hands on whole lines as they arrive, and the last one without its end', () => {
    const lines: string[] = [];
    const reader = new BatchReader({
      nonce: NONCE,
      items: [{ onLine: (line) => lines.push(line) }],
      limitBytes: 100,
      onAnswer: () => {},
      onOverflow: () => {},
    });
    reader.stdout(Buffer.from(`${NONCE} start\none\ntw`));
    expect(lines).toEqual(['one']);
    reader.stdout(Buffer.from([0x6f, 0x0a, 0xc3]));
    reader.stdout(Buffer.concat([Buffer.from([0xa9]), Buffer.from(`${NONCE} 0 0\n`)]));
    expect(lines).toEqual(['one', 'two', 'é']);
  });
});

const SHELLS = [['dash'], ['bash', '--posix'], ['busybox', 'ash'], ['busybox', 'hush']].filter(
  ([tool, applet]) => {
    if (applet === 'hush') return false;
    try {
      execFileSync('sh', ['-c', `command -v ${tool}`], { stdio: 'pipe' });
      return true;
    } catch {
      return false;
    }
  },
);

interface Scripted {
  readonly script: string;
  readonly mustSucceed?: boolean;
  readonly ofMany?: AskedOfMany;
}

function runBatch(shell: readonly string[], scripts: readonly Scripted[]) {
  const nonce = newNonce();
  const answers: (Answer | undefined)[] = [];
  const reader = new BatchReader({
    nonce,
    items: scripts.map(() => ({})),
    limitBytes: 1e8,
    onAnswer: (_index, answer) => answers.push(answer),
    onOverflow: () => expect.unreachable(),
  });
  const input = batchScript(
    nonce,
    scripts.map((one) => ({
      script: raw(one.script),
      ...(one.mustSucceed === true ? { mustSucceed: true } : {}),
      ...(one.ofMany === undefined ? {} : { ofMany: one.ofMany }),
    })),
  );
  const [file, ...args] = shell as [string, ...string[]];
  // What stands behind the batch is the shell's to read; an item that gets at it has the wrong stdin.
  const behind = '# not for you\n'.repeat(20_000);
  const done = spawnSync(file, args, { input: `${input}${behind}`, maxBuffer: 1e9 });
  reader.stdout(done.stdout);
  reader.stderr(done.stderr);
  return { answers, complete: reader.complete };
}

describe.each(SHELLS.map((shell) => ({ shell, name: shell.join(' ') })))(
  'a batch under $name',
  ({ shell }) => {
    test.each([
      ['a syntax error', 'if then', /.*/],
      ['an unclosed quote', `echo "`, /.*/],
      ['an exit', 'echo out; exit 9; echo never', /^out\n$/],
      ['an exec', 'exec echo replaced', /^replaced\n$/],
      ['closed descriptors', 'exec 0<&- 1>&- 2>&-; :', /^$/],
      ['set -e', 'set -e; false; echo never', /^$/],
      [
        'a changed directory, function and option',
        'cd /; set -u; printf() { :; }; fleet_go=0; fleet_code=5; trap "echo bye" EXIT',
        /^bye\n$/,
      ],
      ['a killed subshell', 'sh -c "kill -9 \\$PPID"; echo maybe', /.*/],
      ['a brace and a parenthesis too many', '} )', /.*/],
      ['a comment at its end', 'echo a # the end', /^a\n$/],
      ['a here-document without a last newline', 'cat <<E\ndoc\nE', /^doc\n$/],
      ['a backslash at its end', 'echo b \\', /^b \\?\n$/],
      ['a script that prints all it knows', 'set; echo; export', /[\s\S]*/],
    ])('%s ends the item and nothing else', (_name, script, stdout) => {
      const { answers, complete } = runBatch(shell, [{ script }, { script: 'echo fine; echo too >&2' }]);
      expect(complete).toBe(true);
      expect(answers[0]?.stdout).toMatch(stdout);
      expect(answers[1]).toEqual({ stdout: 'fine\n', stderr: 'too\n', code: 0 });
    });

    test('answers are exact: no newline added, none lost, both streams, the status', () => {
      const { answers } = runBatch(shell, [
        { script: 'printf a; printf b >&2; exit 3' },
        { script: `printf 'l\\n\\n'` },
        { script: '' },
        { script: `printf '%s' "it's \\$x \\"q\\" \\\\"` },
        { script: 'cat' },
      ]);
      expect(answers).toEqual([
        { stdout: 'a', stderr: 'b', code: 3 },
        { stdout: 'l\n\n', stderr: '', code: 0 },
        { stdout: '', stderr: '', code: 0 },
        { stdout: `it's $x "q" \\`, stderr: '', code: 0 },
        { stdout: '', stderr: '', code: 0 },
      ]);
    });

    test('a failed mustSucceed keeps later ones from running, and only those', () => {
      const { answers } = runBatch(shell, [
        { script: 'true', mustSucceed: true },
        { script: 'false' },
        { script: 'exit 4', mustSucceed: true },
        { script: 'echo never', mustSucceed: true },
        { script: 'echo still' },
      ]);
      expect(answers.map((answer) => answer?.code)).toEqual([0, 1, 4, undefined, 0]);
      expect(answers[4]?.stdout).toBe('still\n');
    });

    test('what is asked of many is prepared once, for all, and answered one by one', () => {
      const about = (name: string): Scripted => ({
        script: 'echo never alone',
        ofMany: {
          about: name,
          before: raw('all="$*"; echo before >&2'),
          each: raw('printf "%s of %s" "$p" "$all"; echo "$p" >&2; [ "$p" != fails ]'),
        },
      });
      const other: Scripted = {
        script: 'echo alone',
        ofMany: { about: 'x', each: raw('echo never shared') },
      };
      const { answers, complete } = runBatch(shell, [
        { script: 'p=0; echo "<$all>"' },
        ...["it's $one", 'fails', '*'].map(about),
        other,
        { script: 'echo "<$p>"' },
      ]);
      expect(complete).toBe(true);
      const all = "it's $one fails *";
      expect(answers).toEqual([
        { stdout: '<>\n', stderr: '', code: 0 },
        { stdout: `it's $one of ${all}`, stderr: "before\nit's $one\n", code: 0 },
        { stdout: `fails of ${all}`, stderr: 'fails\n', code: 1 },
        { stdout: `* of ${all}`, stderr: '*\n', code: 0 },
        { stdout: 'alone\n', stderr: '', code: 0 },
        { stdout: '<>\n', stderr: '', code: 0 },
      ]);
    });

    test('a long item, quotes and all', () => {
      const content = `it's "a" $b \\c\n`.repeat(20_000);
      const { answers } = runBatch(shell, [{ script: `printf '%s' '${content.replaceAll("'", `'\\''`)}'` }]);
      expect(answers[0]?.stdout === content).toBe(true);
    });

    test('printf %b gives back what oneLine made, byte for byte', () => {
      const text = `a\\nb\\\\c\n\t'q' "d" $x \`e\` %s %% \\0101 é\n  lead\\`;
      const [file, ...args] = shell as [string, ...string[]];
      const done = spawnSync(file, [...args, '-c', 'IFS= read -r s && printf %b "$s"; cat'], {
        input: `${oneLine(text)}\nrest`,
      });
      expect(done.stdout.toString()).toBe(`${text}rest`);
    });
  },
);

test('a NUL byte in a script is refused, not cut', () => {
  expect(() => batchScript(NONCE, [{ script: raw('a\0b') }])).toThrow(RangeError);
});
