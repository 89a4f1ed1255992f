/**
 * Starts the containers of a revision, group after group: a group's turn comes when all before it have reached their
 * goals, or had their time. A group that takes long says for whom it waits.
 */
import { MAX_WAIT_MS } from '../../kernel/deadline.js';
import type { StatusGoal } from '../../manifest/revision.js';
import type { ContainerStatus } from './lifecycle.js';
import { STATUSES } from './lifecycle.js';

/** What is asked of a container here. */
export interface Member {
  readonly name: string;
  readonly goal: StatusGoal;
  readonly status: ContainerStatus;
  readonly hasReachedGoal: boolean;
  /** Whether it is not to be started before it is called, or not at all. */
  readonly isPassive: boolean;
  block(): void;
  begin(): Promise<void>;
  /** Whenever something of it has changed. Returns what ends that. */
  onChange(listener: () => void): () => void;
}

export interface SequencedGroup {
  readonly name: string;
  /** Seconds. */
  readonly timeout: number;
  readonly members: readonly Member[];
}

/** How long a group takes before it is said for whom it waits, in milliseconds. */
const PATIENCE_MS = 3_000;

/**
 * Resolves when the last group's turn is over: with the groups that were not in time, or with null if `ended` came
 * first. Never rejects.
 */
export async function startGroups(
  groups: readonly SequencedGroup[],
  ended: AbortSignal,
  say: (line: string) => void,
): Promise<readonly SequencedGroup[] | null> {
  const late: SequencedGroup[] = [];
  for (const [at, group] of groups.entries()) {
    const waiting = groups.slice(at + 1).flatMap(({ members }) => members);
    const members = active(group);
    for (const member of waiting.filter(({ isPassive }) => !isPassive)) member.block();
    for (const member of members) void member.begin();
    if (!(await reached(group, members, ended, say))) late.push(group);
    if (ended.aborted) return null;
  }
  return late;
}

/** READY where every member has reached its goal, else the lowest status of those that have not. */
export function groupStatus(members: readonly Member[]): ContainerStatus {
  const ranks = open(members).map(({ status }) => STATUSES.indexOf(status));
  return ranks.length === 0 ? 'READY' : (STATUSES[Math.min(...ranks)] as ContainerStatus);
}

/** `web (STARTING, goal READY)` for each member that has not reached its goal. */
export function waitsFor({ members }: SequencedGroup): string {
  return open(members)
    .map(({ name, status, goal }) => `${name} (${status}, goal ${goal})`)
    .join(', ');
}

/** Those that have not reached their goal. */
function open(members: readonly Member[]): Member[] {
  return members.filter(({ hasReachedGoal, isPassive }) => !isPassive && !hasReachedGoal);
}

function active({ members }: SequencedGroup): Member[] {
  return members.filter(({ isPassive }) => !isPassive);
}

/** False: not in time, or `ended` came first. */
function reached(
  group: SequencedGroup,
  members: readonly Member[],
  ended: AbortSignal,
  say: (line: string) => void,
): Promise<boolean> {
  return new Promise((resolve) => {
    const { name, timeout } = group;
    const settle = (inTime: boolean) => {
      for (const stop of ends) stop();
      resolve(inTime);
    };
    const look = () => {
      if (open(members).length === 0) settle(true); // one may have been stopped by its user meanwhile
    };
    const ms = Math.min(timeout * 1000, MAX_WAIT_MS);
    const patience = setTimeout(() => {
      if (ms > PATIENCE_MS)
        say(`The group ${name} waits for ${waitsFor(group)}, for at most ${timeout} s.`);
    }, PATIENCE_MS);
    const deadline = setTimeout(() => {
      say(`The group ${name} was not in time (${timeout} s): ${waitsFor(group)}.`);
      settle(false);
    }, ms);
    const give = () => settle(false);
    ended.addEventListener('abort', give);
    const ends = [
      () => clearTimeout(patience),
      () => clearTimeout(deadline),
      () => ended.removeEventListener('abort', give),
      ...members.map((member) => member.onChange(look)),
    ];
    if (ended.aborted) settle(false);
    else look();
  });
}
