import type { Sink } from '../../src/ui/renderer.ts';

/** A sink that remembers what was written to it. */
export class Collected implements Sink {
  text = '';

  write(text: string): void {
    this.text += text;
  }
}
