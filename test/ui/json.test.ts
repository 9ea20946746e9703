import { expect, test } from 'vitest';
import { Redactor } from '../../src/core/secret.ts';
import { JsonRenderer } from '../../src/ui/json.ts';
import { Collected } from './collect.ts';
import { recordedRun, stamp } from './recorded-run.ts';

test('JSON output is every event, one a line, unaltered', () => {
  const out = new Collected();
  const renderer = new JsonRenderer(out);
  for (const event of recordedRun) renderer.handle(event);
  expect(
    out.text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line)),
  ).toEqual(recordedRun);
});

test('JSON output cannot steer a terminal, and loses nothing by it', () => {
  const out = new Collected();
  const [event] = stamp([{ kind: 'host-lost', host: 'h', reason: 'a\u001b[31m\u009b31m\u202eb\nc' }]);
  if (event === undefined) throw new Error('no event');
  new JsonRenderer(out).handle(event);
  expect(out.text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
  expect(JSON.parse(out.text)).toEqual(event);
});

test('a masked secret stays masked', () => {
  const redactor = new Redactor();
  redactor.add('hunter2-hunter2');
  const out = new Collected();
  const [event] = stamp([{ kind: 'host-lost', host: 'h', reason: 'token hunter2-hunter2 refused' }]);
  if (event === undefined) throw new Error('no event');
  new JsonRenderer(out).handle(redactor.maskDeep(event));
  expect(out.text).toContain('token [secret] refused');
});
