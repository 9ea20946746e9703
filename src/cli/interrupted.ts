/** Ctrl-C or Ctrl-D at a question: nothing was begun. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
}
