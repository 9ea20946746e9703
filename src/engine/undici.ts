/**
 * What downloads need of undici, for whoever loads it when there is something to download. The names stand here because a CommonJS
 * package that is imported late has none of them in what `npm run build` makes.
 * @see https://esbuild.github.io/content-types/#default-interop
 */
export { EnvHttpProxyAgent, fetch } from 'undici';
