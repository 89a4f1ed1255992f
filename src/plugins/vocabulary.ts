/** What manifests may say with the plugins of a command line, for commands that read manifests and attach no link. */
import type { Vocabulary } from '../manifest/entries.js';

/**
 * With these modules, as `--plugin` has them; undefined without any, and then no plugin is loaded. Rejects with an
 * XConnectError.
 */
export async function vocabularyWith(modules: readonly string[]): Promise<Vocabulary | undefined> {
  if (modules.length === 0) return undefined;
  const { Registry } = await import('./registry.js');
  const registry = new Registry([]);
  for (const module of modules) await registry.load(module);
  return registry.vocabulary;
}
