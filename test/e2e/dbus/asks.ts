/** What a client may ask of a bus and of who else is on it, each with its outcome in a word. */
import dbus from 'dbus-next';
import { ADMIN, VAULT } from './example-policy.js';
import { askBus, call, nameOf } from './support.js';

export const BUS = 'org.freedesktop.DBus';
const { Message, MessageType } = dbus;

/** A client and who else is on the bus. What is heard is told behind one round trip of everybody. */
export class World {
  readonly heard: dbus.Message[] = [];
  readonly client: dbus.MessageBus;
  readonly services: Readonly<Record<string, dbus.MessageBus>>;
  readonly #arrived = new Map<string, dbus.Message[]>();

  constructor(client: dbus.MessageBus, services: Readonly<Record<string, dbus.MessageBus>>) {
    this.client = client;
    this.services = services;
    client.on('message', (message: dbus.Message) => this.heard.push(message));
    for (const [name, service] of Object.entries(services)) {
      const arrived: dbus.Message[] = [];
      this.#arrived.set(name, arrived);
      service.on('message', (message: dbus.Message) => arrived.push(message));
    }
  }

  service(name: string): dbus.MessageBus {
    return this.services[name] as dbus.MessageBus;
  }

  unique(name: string): string {
    return nameOf(this.service(name));
  }

  get self(): string {
    return nameOf(this.client);
  }

  /** "heard" or "nothing": whether the service got a message with that member, or answer, from the client. */
  async sends(message: dbus.Message, name: string): Promise<string> {
    const arrived = this.#arrived.get(name) ?? [];
    const before = arrived.length;
    this.client.send(message);
    await this.#settle(name);
    const isIt = (one: dbus.Message) =>
      message.type === MessageType.SIGNAL
        ? one.member === message.member
        : one.replySerial === message.replySerial && one.sender === this.self;
    return arrived.slice(before).some(isIt) ? 'heard' : 'nothing';
  }

  /** The same in the other direction. */
  async hears(name: string, message: dbus.Message): Promise<string> {
    const before = this.heard.length;
    this.service(name).send(message);
    await askBus(this.service(name), 'GetId');
    await askBus(this.client, 'GetId');
    return this.heard.slice(before).some(({ member }) => member === message.member)
      ? 'heard'
      : 'nothing';
  }

  async #settle(name: string): Promise<void> {
    await askBus(this.client, 'GetId');
    await askBus(this.service(name), 'GetId');
  }
}

export type Ask = (world: World) => Promise<unknown>;

/** "ok" for an answer, "true" and "false", or the last words of an error's name. */
export function inAWord(answer: unknown): string {
  if (typeof answer === 'boolean') return String(answer);
  if (answer instanceof Error) return answer.message;
  const error = /^org\.freedesktop\.DBus\.Error\.(.*)$/.exec(String(answer))?.[1];
  if (error !== undefined) return error;
  return answer === 'heard' || answer === 'nothing' ? answer : 'ok';
}

export const ask =
  (member: string, ...args: string[]): Ask =>
  ({ client }) =>
    askBus(client, member, ...args);
export const askUnique =
  (member: string, name: string): Ask =>
  (world) =>
    askBus(world.client, member, world.unique(name));
export const lists =
  (member: string, name: (world: World) => string): Ask =>
  async (world) =>
    ((await askBus(world.client, member)) as string[]).includes(name(world));
export const ofBus =
  (member: string, fields: Parameters<typeof call>[3] = {}): Ask =>
  ({ client }) =>
    call(client, BUS, member, { path: '/org/freedesktop/DBus', ...fields });
export const calls =
  (name: string, member = 'Get', fields: Parameters<typeof call>[3] = {}): Ask =>
  ({ client }) =>
    call(client, name, member, fields);
export const callsUnique =
  (name: string, member = 'Get', fields: Parameters<typeof call>[3] = {}): Ask =>
  (world) =>
    call(world.client, world.unique(name), member, { interface: name, ...fields });
export const requests =
  (name: string): Ask =>
  ({ client }) =>
    call(client, BUS, 'RequestName', { signature: 'su', body: [name, 0] });
export const starts =
  (name: string): Ask =>
  ({ client }) =>
    call(client, BUS, 'StartServiceByName', { signature: 'su', body: [name, 0] });

let count = 0;
/** A signal with a member of its own. */
export const signal = (
  from: string,
  destination?: string,
  member = `Signal${++count}`,
  path = '/',
) =>
  new Message({
    ...{ type: MessageType.SIGNAL, path, interface: from, member },
    ...(destination === undefined ? {} : { destination }),
  });
export const listens = (world: World, rule = "type='signal'") =>
  askBus(world.client, 'AddMatch', rule);
export const hears =
  (name: string, member?: string): Ask =>
  async (world) => {
    await listens(world);
    return world.hears(name, signal(name, undefined, member));
  };
export const broadcasts =
  (name: string): Ask =>
  async (world) => {
    await askBus(world.service(name), 'AddMatch', `sender='${world.self}'`);
    return world.sends(signal('org.example.Client'), name);
  };
export const signals =
  (name: string): Ask =>
  (world) =>
    world.sends(signal('org.example.Client', world.unique(name)), name);
export const reply = (destination: string, replySerial: number) =>
  new Message({
    ...{ type: MessageType.METHOD_RETURN, destination },
    replySerial: replySerial as unknown as string, // its types are wrong about that
  });
/** Somebody calls the client, which answers so often. */
export const answers =
  (name: string, times: number): Ask =>
  async (world) => {
    const asked = new Promise<dbus.Message>((resolve) => {
      world.client.addMethodHandler((message: dbus.Message) => {
        if (message.member !== 'AskClient') return false;
        resolve(message);
        return true;
      });
    });
    world.service(name).send(
      new Message({
        ...{ destination: world.self, path: '/', interface: 'a.b', member: 'AskClient' },
        serial: 4000 + ++count,
      }),
    );
    const { serial } = await asked;
    let last = 'nothing';
    for (let n = 0; n < times; n++) {
      last = await world.sends(reply(world.unique(name), Number(serial)), name);
    }
    return last;
  };
/** Somebody called the client, and it has something to tell it alone. */
export const signalsCaller =
  (name: string): Ask =>
  async (world) => {
    await answers(name, 1)(world);
    return signals(name)(world);
  };
export const hearsOwner =
  (name: string): Ask =>
  async (world) => {
    await listens(world, `type='signal',member='NameOwnerChanged'`);
    const before = world.heard.length;
    await call(world.service(VAULT), BUS, 'RequestName', { signature: 'su', body: [name, 0] });
    await askBus(world.service(VAULT), 'ReleaseName', name);
    await askBus(world.client, 'GetId');
    const isIt = ({ member, body }: dbus.Message) =>
      member === 'NameOwnerChanged' && body[0] === name;
    return world.heard.slice(before).some(isIt) ? 'heard' : 'nothing';
  };

export const INTROSPECT = { interface: 'org.freedesktop.DBus.Introspectable' };
export const at = (path: string, of = ADMIN) => ({ path, interface: of });
