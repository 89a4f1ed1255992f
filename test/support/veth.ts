/**
 * A cable from the host into a container that has its own network: a veth pair with an address at each end, from
 * 10.213.0.0/16. It goes with the container's network namespace.
 */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { TestContainer } from './container.js';

export interface Cable {
  /** IPv4 of the host's end, and of the container's. */
  readonly host: string;
  readonly container: string;
}

/** `net`: which 10.213.N.0/24 is theirs alone. */
export function plugIn({ pid }: Pick<TestContainer, 'pid'>, net: number): Cable {
  const cable = { host: `10.213.${net}.1`, container: `10.213.${net}.2` };
  const near = `pvxt${net}`;
  const ip = (...args: string[]) => execFileSync('ip', args, { stdio: 'pipe' });
  const inside = (...args: string[]) =>
    execFileSync('nsenter', ['-t', String(pid), '-n', 'ip', ...args], { stdio: 'pipe' });
  // What a killed run left behind, if its container outlived it.
  if (existsSync(`/sys/class/net/${near}`)) ip('link', 'del', near);
  ip('link', 'add', near, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', String(pid));
  ip('addr', 'add', `${cable.host}/24`, 'dev', near);
  ip('link', 'set', near, 'up');
  inside('addr', 'add', `${cable.container}/24`, 'dev', 'eth0');
  inside('link', 'set', 'eth0', 'up');
  return cable;
}

/** How to run a program of the host in the container's network: what stands before its own arguments. */
export function inNetworkOf({ pid }: Pick<TestContainer, 'pid'>): string[] {
  return ['nsenter', '-t', String(pid), '-n'];
}
