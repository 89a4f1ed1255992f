/**
 * The operations of pvx-broker on devices, a part of its client (client.ts). A node is an O_PATH descriptor; one
 * that is given to an operation is taken, and closed, whatever comes of it.
 */
import type { ErrnoResult } from '../kernel/result.js';
import type { Card } from '../plugins/device/device.js';
import { type Answer, lostIn, withDescriptor, withoutDescriptor } from './answer.js';
import {
  DEVICE_KINDS,
  type DeviceKind,
  decodeCard,
  decodeNode,
  type Node,
  OPEN_MASTER,
  OPEN_READ_ONLY,
} from './devices.js';
import type { Op, Request } from './protocol.js';

export interface FoundNode {
  /** Owned by the caller. */
  readonly fd: number;
  readonly node: Node;
}

export interface Granted {
  /** Owned by the caller. */
  readonly fd: number;
  /** The argument for `revoke`; 0: the device can't be taken back. */
  readonly grant: number;
}

type Ask = (op: Op, request: Request, fds: readonly number[]) => Promise<Answer>;

export class DeviceOperations {
  readonly #ask: Ask;

  constructor(ask: Ask) {
    this.#ask = ask;
  }

  /** The node of a device of this kind in a container or, for HOST, on the host. */
  async find(container: number, kind: DeviceKind, path: string): Promise<ErrnoResult<FoundNode>> {
    const request = { container, type: DEVICE_KINDS[kind], path };
    return withDescriptor(await this.#ask('FIND_NODE', request, []), (fd, { data }) => ({
      fd,
      node: decodeNode(data),
    }));
  }

  /**
   * Takes the node. uid and gid are those inside the container. Resolves with the number of the plant. If a node of the
   * same device was there already, it has such a number too, but removing the plant leaves that node in place. A node that
   * an earlier daemon planted there stays in place, and keeps its number.
   */
  async plant(
    container: number,
    kind: DeviceKind,
    path: string,
    uid: number,
    gid: number,
    node: number,
  ): Promise<ErrnoResult<number>> {
    const request = { container, type: DEVICE_KINDS[kind], path, uid, gid };
    return withoutDescriptor(await this.#ask('PLANT_NODE', request, [node]), ({ value }) => value);
  }

  /** Takes the node. */
  async open(
    kind: DeviceKind,
    { readOnly = false, master = false }: { readOnly?: boolean; master?: boolean },
    node: number,
  ): Promise<ErrnoResult<Granted>> {
    const arg = (readOnly ? OPEN_READ_ONLY : 0) | (master ? OPEN_MASTER : 0);
    return this.#granted(await this.#ask('OPEN_NODE', { type: DEVICE_KINDS[kind], arg }, [node]));
  }

  /** Ends a grant of `open` or `lease`, whichever process has its descriptor by now. */
  async revoke(grant: number): Promise<ErrnoResult<void>> {
    return withoutDescriptor(await this.#ask('REVOKE', { arg: grant }, []), () => undefined);
  }

  /** Takes the node. */
  async readCard(node: number): Promise<ErrnoResult<Card>> {
    return withoutDescriptor(await this.#ask('READ_CARD', {}, [node]), ({ data }) =>
      decodeCard(data),
    );
  }

  /** Takes the node. `objects`: ids of connectors, CRTCs and planes. */
  async lease(objects: readonly number[], node: number): Promise<ErrnoResult<Granted>> {
    return this.#granted(await this.#ask('LEASE_CARD', { words: objects }, [node]));
  }

  /** A grant whose descriptor did not fit into our table is revoked. */
  #granted(answer: Answer): ErrnoResult<Granted> {
    const lost = lostIn(answer);
    if (lost) void this.revoke(lost); // 0 can't be taken back
    return withDescriptor(answer, (fd, { value }) => ({ fd, grant: value }));
  }
}
