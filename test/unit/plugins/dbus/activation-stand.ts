/** What the tests of activation stand on: one filter, and by hand the bus that it asks and the runtime behind it. */
import { vi } from 'vitest';
import { type ActivationOptions, activation } from '../../../../src/plugins/dbus/activation.js';
import type { BodyValue } from '../../../../src/plugins/dbus/body.js';
import type { MessageFilter, Port } from '../../../../src/plugins/dbus/filter.js';
import { MessageType, readFrame, readHeader } from '../../../../src/plugins/dbus/header.js';
import { Message } from '../../../../src/plugins/dbus/message.js';
import { BUS, writeMessage } from '../../../../src/plugins/dbus/message-writer.js';
import type { ActivationResult } from '../../../../src/plugins/on-demand.js';

export const FOO = 'org.example.Foo';
export const BAR = 'org.example.Bar';
type Fields = Partial<Parameters<typeof writeMessage>[0]>;

export function toMessage(bytes: Buffer, isWhole = true): Message {
  const frame = readFrame(bytes, 0);
  if (typeof frame === 'string') throw new Error(frame);
  const header = readHeader(bytes, 0, frame);
  if (typeof header === 'string') throw new Error(header);
  const end = isWhole ? bytes.length : frame.header;
  return new Message(header, frame, { chunk: bytes, start: 0, end }, []);
}

let serial = 0;

export function call(
  destination: string,
  fields: Fields = {},
  values: BodyValue[] = [],
  isWhole = true,
) {
  const type = MessageType.call;
  const made = { path: '/', member: 'Do', destination, ...fields, type, serial: ++serial };
  return toMessage(writeMessage(made, values), isWhole);
}

/** A filter, the bus that it asks, and the runtime behind it. */
export class Stand {
  names: readonly string[] | undefined = [FOO, BAR];
  readonly asked: string[] = [];
  readonly released: Message[] = [];
  /** By the names of errors, and the numbers of other answers. */
  readonly answered: [Message, string][] = [];
  readonly replied: unknown[] = [];
  readonly activated: string[] = [];
  readonly done: string[] = [];
  readonly filter: MessageFilter;
  /** What the runtime says; the bus's answers wait until `answers`. */
  #activate: ((activation: ActivationResult) => void)[] = [];
  readonly #questions: {
    member: string;
    values: readonly BodyValue[];
    on: (m: Message) => void;
  }[] = [];

  constructor(options: ActivationOptions = {}) {
    const port: Port = {
      uniqueName: ':1.7',
      answerTo: ({ serial: replySerial }) => ({
        serial: 0xffff_0001,
        replySerial,
        destination: ':1.7',
      }),
      ask: (member, values, on) => {
        this.asked.push(`${member} ${values.join()}`);
        this.#questions.push({ member, values, on });
      },
      release: (message) => this.released.push(message),
      answer: (message, answer) => {
        const { header, body } = toMessage(answer);
        if (header.errorName === undefined) this.replied.push(body?.uint32());
        else this.answered.push([message, header.errorName]);
      },
      end: () => undefined,
    };
    const onDemand = {
      names: () => this.names,
      activate: (name: string) => {
        this.activated.push(name);
        return new Promise<ActivationResult>((resolve) => this.#activate.push(resolve));
      },
      done: (name: string) => void this.done.push(name),
    };
    this.filter = activation(onDemand, options)(port);
  }

  /** The bus answers all that it was asked: that of these names it knows an owner. */
  answers(...owned: string[]): void {
    for (const { member, values, on } of this.#questions.splice(0)) {
      const type = MessageType.reply;
      const has = member === 'NameHasOwner' ? [owned.includes(values[0] as string)] : [];
      on(toMessage(writeMessage({ type, serial: 1, replySerial: 1, sender: BUS }, has)));
    }
  }

  /** The first of its open questions is refused by the bus. */
  refuses(): void {
    const fields = { serial: 1, replySerial: 1, sender: BUS, errorName: 'a.b.Full' };
    this.#questions.shift()?.on(toMessage(writeMessage({ ...fields, type: MessageType.error })));
  }

  async runtime(activation: ActivationResult): Promise<void> {
    this.#activate.shift()?.(activation);
    await vi.advanceTimersByTimeAsync(0);
  }

  owner(name: string, owner: string, sender = BUS) {
    const fields = { path: '/', interface: BUS, member: 'NameOwnerChanged', sender };
    const type = MessageType.signal;
    return this.filter.fromBus(
      toMessage(writeMessage({ ...fields, type, serial: 1 }, [name, '', owner])),
    );
  }
}
