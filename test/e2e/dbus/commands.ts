/** Programs of several stacks that call a method without arguments on the consumer's bus, and print what it answered. */
import { TARGET } from './support.js';

export const ADDRESS = `unix:path=${TARGET}`;

/** Asks python3-dbus for a proxy object, as its users do: it looks for the owner and introspects it first. */
const PYTHON = `import dbus, sys
bus = dbus.bus.BusConnection('${ADDRESS}')
name, path, member = sys.argv[1:]
print(bus.get_object(name, path).get_dbus_method(member, name)())`;

/** `name`: of the service, and of the interface. */
export type Command = (name: string, path: string, member: string) => readonly string[];

export const COMMANDS = {
  'dbus-send': (name, path, member) => [
    ...['dbus-send', `--bus=${ADDRESS}`, '--print-reply', `--dest=${name}`],
    ...[path, `${name}.${member}`],
  ],
  busctl: (name, path, member) => [
    ...['busctl', `--address=${ADDRESS}`, 'call', name, path, name, member],
  ],
  gdbus: (name, path, member) => [
    ...['gdbus', 'call', '--address', ADDRESS, '--dest', name],
    ...['--object-path', path, '--method', `${name}.${member}`],
  ],
  python3: (name, path, member) => ['/usr/bin/python3', '-c', PYTHON, name, path, member],
} satisfies Readonly<Record<string, Command>>;
