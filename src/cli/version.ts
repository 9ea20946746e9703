import about from '../../package.json' with { type: 'json' };

/** The version of this fleet. */
export const version: string = about.version;
