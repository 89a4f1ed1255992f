/** The settings that this runtime works with, under the names that Pantavisor has for them. Pure. */

/** As `GET /config` (`alias`, `value`) and `GET /config2` (the others) answer it. */
export interface ConfigEntry {
  readonly alias: string;
  readonly key: string;
  readonly value: string;
  /** Where it comes from. */
  readonly modified: 'default' | 'command line';
}

export interface ConfiguredValue {
  readonly value: string;
  readonly isDefault: boolean;
}

/** By their aliases, the settings that are shown: `system.init.mode` is `PV_SYSTEM_INIT_MODE`. */
export function configEntries(
  values: Readonly<Record<string, ConfiguredValue>>,
): readonly ConfigEntry[] {
  return Object.entries(values).map(([alias, { value, isDefault }]) => ({
    alias,
    key: `PV_${alias.replaceAll('.', '_').toUpperCase()}`,
    value,
    modified: isDefault ? 'default' : 'command line',
  }));
}
