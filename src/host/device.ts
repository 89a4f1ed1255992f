/**
 * The device of one link (the Device of plugins/device/device.ts): looked for in the provider, planted in the
 * consumer or opened for it, and taken back with the link.
 *
 * What is found is held by a descriptor of its node while it is checked, planted or opened, so it is always one
 * device that all of this is about. A planted node follows the provider's: it goes when that goes, and is made
 * anew where that became another one. A provider that only ended leaves it: nothing about the device changed. One that
 * the consumer lost is planted again.
 */
import { posix } from 'node:path';
import type { Broker } from '../broker/client.js';
import type { FoundNode, Granted } from '../broker/device-operations.js';
import type { Node } from '../broker/devices.js';
import type { Link } from '../graph/link.js';
import { closeAll } from '../kernel/descriptors.js';
import type { LinkError } from '../kernel/errors.js';
import type { Logger } from '../kernel/log.js';
import { pollUntil } from '../kernel/poll.js';
import { type Attempt, failed, ok, type Result } from '../kernel/result.js';
import { SerialQueue } from '../kernel/serial-queue.js';
import type {
  Card,
  Device,
  DeviceOptions,
  OpenedDevice,
  OpenOptions,
} from '../plugins/device/device.js';
import type { Attachment, Seen } from '../plugins/plugin.js';
import type { Container } from './containers.js';
import { deviceError, deviceMissing, lostError, notRunning, plantError } from './errno.js';
import { type PlantWatch, Replanting, removePlant } from './plants.js';
import { withoutBug } from './plugin-call.js';
import { findEventDevices, hasDevice } from './sysfs.js';

/** Between two attempts to find a device that a client waits for. */
const AGAIN_MS = 50;

export interface LinkDeviceParts {
  readonly broker: Broker;
  readonly consumer: Container;
  readonly plantWatch: PlantWatch;
  readonly log: Logger;
  /** How long a client waits for the device, in milliseconds. */
  readonly patienceMs: number;
  /** There is reason to look now. */
  readonly lookSoon: () => void;
  /** Where the device is looked for now; null: its provider is not running. */
  readonly provider: () => Container | null;
  /** A node is to be planted. `looked`: it was looked for, for the first time, and what an earlier daemon planted kept. */
  readonly onPlanting: (looked: Promise<void>) => void;
}

type Found = FoundNode & { readonly path: string };

export class LinkDevice implements Device {
  onGone: (() => void) | null = null;
  readonly #parts: LinkDeviceParts;
  readonly #link: Link;
  readonly #options: DeviceOptions;
  readonly #granted = new Set<OpenedDevice>();
  #node: Node | null = null;
  #planting = false;
  /** Of the broker; null: nothing is planted. */
  #plant: number | null = null;
  /** The consumer sees no longer what is planted. */
  #isLost = false;
  #unwatch = () => {};
  readonly #replanting = new Replanting(performance.now());
  /** Not to be planted before, by performance.now(). */
  #plantAt = 0;
  /** Why it could not be planted again. */
  #obstacle: LinkError | null = null;
  /** What is about to be planted. */
  #underWay: Promise<unknown> = Promise.resolve();
  #ended = false;
  readonly #looks = new SerialQueue();
  readonly #firstLook: Promise<void>;
  #looked!: () => void;

  constructor(parts: LinkDeviceParts, link: Link, options: DeviceOptions) {
    this.#parts = parts;
    this.#link = link;
    this.#options = options;
    this.#firstLook = new Promise((resolve) => {
      this.#looked = resolve;
    });
  }

  plant(): Attachment {
    this.#planting = true;
    this.#parts.onPlanting(this.#firstLook);
    this.#parts.lookSoon();
    return { detach: () => this.unplant() };
  }

  /** Is it there, and planted if it is to be? What is not so yet is brought about. Never rejects. */
  look(): Promise<Seen> {
    return this.#looks.run(async () => {
      const planting = this.#planting; // a look from before has planted nothing
      const seen = await this.#look();
      if (planting) this.#looked();
      return seen;
    });
  }

  async #look(): Promise<Seen> {
    const looked = await this.#find();
    if (!looked.ok) {
      if (isAbout(looked.error)) await this.#lose();
      return looked;
    }
    const found = looked.value;
    if (this.#node && !isSameDevice(this.#node, found.node)) await this.#lose();
    else if (this.#node && !isSameNode(this.#node, found.node)) await this.#uproot();
    this.#node = found.node;
    if (this.#planting && !this.#ended && this.#isLost) await this.#uproot();
    if (this.#planting && !this.#ended && this.#plant === null) return this.#plantNode(found);
    closeAll([found.fd]);
    return { error: null };
  }

  async find(): Promise<Result<Node>> {
    const found = await this.#wait();
    if (!found.ok) return found;
    closeAll([found.value.fd]);
    return ok(found.value.node);
  }

  async open({ readOnly = false, master = false }: OpenOptions): Promise<Result<OpenedDevice>> {
    const found = await this.#wait();
    if (!found.ok) return found;
    const { fd, path } = found.value;
    const { kind } = this.#options;
    const opened = await this.#parts.broker.devices.open(kind, { readOnly, master }, fd);
    if (opened.ok) return this.#grant(opened.value);
    return failed(deviceError(this.#link, path, opened.errno));
  }

  async lease(choose: (card: Card) => Result<readonly number[]>): Promise<Result<OpenedDevice>> {
    const { devices } = this.#parts.broker;
    const found = await this.#wait();
    if (!found.ok) return found;
    const { fd, node, path } = found.value;
    const card = await devices.readCard(fd);
    if (!card.ok) return failed(deviceError(this.#link, path, card.errno));
    const objects = choose(card.value);
    if (!objects.ok) return objects;
    const again = await this.#find();
    if (!again.ok) return again;
    if (!isSameDevice(again.value.node, node)) {
      closeAll([again.value.fd]);
      return failed(deviceError(this.#link, path, 'ENODEV'));
    }
    const leased = await devices.lease(objects.value, again.value.fd);
    if (leased.ok) return this.#grant(leased.value);
    return failed(deviceError(this.#link, path, leased.errno));
  }

  /** Takes the node out of the consumer for good, whatever a look at the provider waits for. Never rejects. */
  async unplant(): Promise<void> {
    this.#ended = true;
    await this.#underWay;
    await this.#uproot();
  }

  /** Takes back all that a client was given. Never rejects. */
  async end(): Promise<void> {
    this.#ended = true;
    await Promise.all([...this.#granted].map((opened) => opened.revoke()));
  }

  /** The node by its descriptor, the caller's; or why there is none. */
  async #find(): Promise<Attempt<Found>> {
    const container = this.#parts.provider();
    if (!container) return { ...failed(notRunning(this.#link)), waits: true };
    const place = await this.#place();
    if (!place.ok) return place;
    const { path, isIt } = place.value;
    const { kind, check = () => null } = this.#options;
    const { log, broker } = this.#parts;
    const found = await broker.devices.find(container.handle, kind, path);
    if (!found.ok) return deviceMissing(this.#link, path, found.errno);
    const { fd, node } = found.value;
    const complaint = () => (isIt(node) ? check(path, node) : notIt(this.#link, path));
    const error = await withoutBug<LinkError | null>(log, complaint, (bug) => bug);
    const isThere = error ? false : await hasDevice(node);
    if (isThere) return ok({ fd, node, path });
    closeAll([fd]);
    if (error) return { ...failed(error), waits: false };
    return deviceMissing(this.#link, path, 'ENXIO', true);
  }

  /** Where the node is in the provider, and which numbers it must have. */
  async #place(): Promise<Attempt<{ path: string; isIt: (node: Node) => boolean }>> {
    const { socket, match, provider } = this.#link;
    if (!match) return ok({ path: socket, isIt: () => true });
    const devices = await findEventDevices(match);
    const [device] = devices;
    const wanted = JSON.stringify(match);
    if (!device) {
      const message = `No input device is there that matches ${wanted} of ${provider}.`;
      return { ...failed({ code: 'device-missing', message }), waits: true };
    }
    if (devices.length > 1) {
      const names = devices.map(({ name }) => name).join(', ');
      const message = `${names} match ${wanted} of ${provider}, one device was expected.`;
      return { ...failed({ code: 'device-ambiguous', message }), waits: false };
    }
    const path = posix.join(posix.dirname(socket), device.name);
    return ok({ path, isIt: (node) => isSameDevice(node, device) });
  }

  /** As `find`, for as long as a client waits. */
  #wait(): Promise<Attempt<Found>> {
    return pollUntil(
      (found) => found.ok || !found.waits || this.#ended,
      () => this.#find(),
      { everyMs: AGAIN_MS, deadline: performance.now() + this.#parts.patienceMs },
    );
  }

  async #plantNode({ fd, node }: Found): Promise<Seen> {
    const { broker, consumer, plantWatch } = this.#parts;
    const { handle } = consumer;
    const { kind } = this.#options;
    const { target } = this.#link;
    if (performance.now() < this.#plantAt) {
      closeAll([fd]);
      return { error: this.#obstacle ?? lostError(this.#link) };
    }
    const planting = broker.devices.plant(handle, kind, target, node.uid, node.gid, fd);
    this.#underWay = planting;
    const planted = await planting;
    if (!planted.ok) {
      this.#obstacle = plantError(this.#link, planted.errno);
      if (this.#plantAt > 0) this.#plantLater();
      return { error: this.#obstacle };
    }
    this.#plant = planted.value;
    this.#obstacle = null;
    this.#replanting.planted(performance.now());
    this.#unwatch = plantWatch.plant(consumer, planted.value, () => this.#lost());
    return { error: null };
  }

  #lost(): void {
    this.#isLost = true;
    this.#plantLater();
    this.#parts.lookSoon();
  }

  #plantLater(): void {
    const now = performance.now();
    this.#plantAt = now + this.#replanting.wait(now);
  }

  async #uproot(): Promise<void> {
    const plant = this.#plant;
    this.#plant = null;
    this.#isLost = false;
    this.#unwatch();
    if (plant === null) return;
    await removePlant(this.#parts.broker, plant, this.#link.target, this.#parts.log);
  }

  async #lose(): Promise<void> {
    const was = this.#node;
    this.#node = null;
    await this.#uproot();
    // Once it was said: what a plugin says of its health then is not about the device that is gone.
    if (was) setImmediate(() => void withoutBug(this.#parts.log, () => this.onGone?.()));
  }

  #grant({ fd, grant }: Granted): Result<OpenedDevice> {
    let revoked: Promise<void> | null = null;
    const opened: OpenedDevice = {
      fd,
      revoke: () => {
        revoked ??= this.#revoke(grant).finally(() => this.#granted.delete(opened));
        return revoked;
      },
    };
    this.#granted.add(opened);
    if (!this.#ended) return ok(opened);
    closeAll([fd]);
    void opened.revoke();
    const message = `The link of ${this.#link.consumer} has ended.`;
    return failed({ code: 'container-gone', message });
  }

  async #revoke(grant: number): Promise<void> {
    if (grant === 0) return;
    const revoked = await this.#parts.broker.devices.revoke(grant);
    if (revoked.ok) return;
    const { errno } = revoked;
    this.#parts.log.warn({ errno }, `${this.#link.socket} could not be taken back from a client`);
  }
}

/** Does it say something of the device, and not only of how it can be reached now? */
function isAbout({ code }: LinkError): boolean {
  return code.startsWith('device-');
}

type Numbers = Pick<Node, 'major' | 'minor'>;

function isSameDevice(a: Numbers, b: Numbers): boolean {
  return a.major === b.major && a.minor === b.minor;
}

function isSameNode(a: Node, b: Node): boolean {
  return isSameDevice(a, b) && a.mode === b.mode && a.uid === b.uid && a.gid === b.gid;
}

function notIt({ provider }: Link, path: string): LinkError {
  const message = `${path} in ${provider} is not the device of that name on the host.`;
  return { code: 'device-wrong', message };
}
