/**
 * `import()` of what is in no bundle. Code that V8 has from a cache has none of its own (Node.js, "vm": compile cache
 * and dynamic import), so the entry of the daemon hands its one over with the `module` that it gives to the bundle.
 */
declare const module: { readonly importModule?: (url: string) => Promise<unknown> } | undefined;

export const importModule: (url: string) => Promise<unknown> =
  (typeof module === 'object' && module.importModule) || ((url) => import(url));
