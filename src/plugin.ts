/**
 * What `pv-xconnect/plugin` is to those who write plugins (docs/plugins.md): the contract, as types, and the error that
 * `attach` rejects with. All but the error and `countClose` is gone when it is compiled.
 */
export type { HttpOptions, InputMatch, Link, PolicyRules } from './graph/link.js';
export { type ErrorCode, type LinkError, XConnectError } from './kernel/errors.js';
export type { SocketAddress } from './kernel/ip-address.js';
export type { Logger } from './kernel/log.js';
export type { Result } from './kernel/result.js';
export type { ConnectionAbout } from './mesh/attacher.js';
export type { Device, DeviceNode, DeviceOptions, OpenedDevice } from './plugins/device/device.js';
export type { OnDemand } from './plugins/on-demand.js';
export type {
  Attachment,
  Channel,
  Connection,
  ConnectionHandler,
  Described,
  End,
  ForwardOptions,
  Identity,
  JoinOptions,
  LinkHost,
  OptionsOfEntries,
  Plugin,
  ProviderListener,
  Seen,
  SocketType,
  Tally,
} from './plugins/plugin.js';
export { countClose } from './plugins/plugin.js';
export type { SocketStream } from './relay/byte-stream.js';
export type { TransferOptions, TransferResult } from './relay/transfer.js';
