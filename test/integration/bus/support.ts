/** A revision for the hosted bus: one name, its owner, and who may call it. */
import { requires, services } from '../../unit/manifest/scratch.js';

export const FOO = 'org.example.Foo';

/** `allow`: roles that may call the name. `more`: services besides it. */
export function revision(allow: readonly string[], ...more: object[]) {
  return {
    'a/services.json': services({ type: 'dbus', owns: FOO, role: 'owner', allow }, ...more),
    'c/run.json': requires({ name: 'system-bus', role: 'stranger' }),
  };
}
