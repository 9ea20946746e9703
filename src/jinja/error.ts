/**
 * `undefined`: a name or key that does not exist was used; `syntax`: not Jinja; `failed`: a filter, lookup or operator
 * refused its input; `limit`: the template asked for more steps, time or text than fleet grants.
 */
export type TemplateErrorKind = 'undefined' | 'syntax' | 'failed' | 'limit';

/** What is wrong with one template. The caller knows whose template it is and turns this into a FleetError. */
export class TemplateError extends Error {
  override readonly name = 'TemplateError';

  constructor(
    readonly kind: TemplateErrorKind,
    message: string,
    /** Where in the template's text, counted in characters from 0. */
    readonly offset?: number,
  ) {
    super(message);
  }
}

/** Gives an error the offset of the expression that raised it, unless something inside knows better. */
export function locate<T>(at: number | undefined, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof TemplateError && error.offset === undefined && at !== undefined) {
      throw new TemplateError(error.kind, error.message, at);
    }
    throw error;
  }
}
