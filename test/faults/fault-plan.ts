import type { EventLogKind } from '../support/event-logs.js';
import { Seeded } from '../support/seeded.js';
import { FULL_STACK_APPS } from '../support/stack.js';

/** What else is done to a running system beside killing its processes. */
export const SCENARIOS = ['freeze', 'push', 'poison', 'connections', 'clock', 'disk'] as const;

export type Scenario = (typeof SCENARIOS)[number];

/**
 * One disturbance.
 * - `kill`: SIGKILL of a process, which is started again after `forMs`.
 * - `freeze`: SIGSTOP for longer than the session timeout of its groups and, for a sender, the lease of its deliveries.
 * - `push`: the push service answers every request so: `down` resets connections.
 * - `poison`: a record that nobody can read, into every topic.
 * - `connections`: no connection is left at Postgres.
 * - `clock`: the clock of one process is an hour ahead.
 * - `disk`: a server cannot write to its files any more.
 */
export interface Fault {
  readonly kind: 'kill' | Scenario;
  /** Process, service, answer of the push service, or `every topic`. */
  readonly target: string;
  /** Milliseconds after the fault before it. */
  readonly afterMs: number;
  /** How long it lasts; 0 where it has no length. */
  readonly forMs: number;
}

/** What a plan is made from; the same options give the same plan. */
export interface PlanOptions {
  readonly seed: number;
  readonly kills: number;
  readonly log: EventLogKind;
  /** Processes of each app. */
  readonly instances: number;
  readonly scenarios: readonly Scenario[];
}

const PAUSE_MS_MAX = 1_500;
const OUTAGE_MS_MAX = 1_000;
/** Kills for each other disturbance; each of the scenarios comes at least once where the kills allow it. */
const KILLS_PER_SCENARIO = 5;
/** Longer than a group waits for a silent member: 10 s with Kafka, a lease of 6 s in Postgres. */
const FREEZE_MS_MIN: Readonly<Record<EventLogKind, number>> = { kafka: 11_000, postgres: 7_000 };
/** Shortest lease of a push delivery that the configuration allows. */
export const PUSH_LEASE_SECONDS = 30;
const LEASE_FREEZE_MS = (PUSH_LEASE_SECONDS + 3) * 1_000;
const FREEZE_MS_MORE_MAX = 2_000;
const PUSH_ANSWERS = ['down', '429', '503'] as const;
export const SENDER_APP = 'push-delivery';

/** The faults of a seed, in the order in which they happen. */
export function planFaults(options: PlanOptions): readonly Fault[] {
  const random = new Seeded(options.seed);
  const apps = FULL_STACK_APPS.flatMap((app) => Array.from({ length: options.instances }, (_, instance) => `${app}-${instance}`));
  const servers = options.log === 'kafka' ? ['postgres', 'kafka'] : ['postgres'];
  const deck = shuffled(options.scenarios, random);
  const plan: Fault[] = [];
  let others = 0;
  for (let kill = 0; kill < options.kills; kill += 1) {
    const afterMs = random.int(0, PAUSE_MS_MAX);
    const targets = [...apps, ...servers].filter((target) => !isFrozen(target, plan));
    plan.push({ kind: 'kill', target: random.pick(targets), afterMs, forMs: random.int(0, OUTAGE_MS_MAX) });
    const due = Math.max(Math.floor((kill + 1) / KILLS_PER_SCENARIO), Math.floor(((kill + 1) * deck.length) / options.kills));
    for (; deck.length > 0 && others < due; others += 1) {
      const scenario = deck[others % deck.length];
      if (scenario !== undefined)
        plan.push(
          planScenario(scenario, {
            random,
            apps: apps.filter((app) => !isFrozen(app, plan)),
            servers,
            log: options.log,
            turn: Math.floor(others / deck.length),
          }),
        );
    }
  }
  return plan;
}

/** A process that is frozen is left alone until it wakes up: the others have taken over by then, and it must find that out. */
function isFrozen(target: string, plan: readonly Fault[]): boolean {
  let sinceMs = 0;
  for (const fault of plan.toReversed()) {
    if (fault.kind === 'freeze' && fault.target === target) return sinceMs < fault.forMs;
    sinceMs += fault.afterMs;
  }
  return false;
}

interface ScenarioParts {
  readonly random: Seeded;
  readonly apps: readonly string[];
  readonly servers: readonly string[];
  readonly log: EventLogKind;
  /** How often the scenario was planned before. */
  readonly turn: number;
}

function planScenario(kind: Scenario, { random, apps, servers, log, turn }: ScenarioParts): Fault {
  const afterMs = random.int(0, PAUSE_MS_MAX);
  switch (kind) {
    case 'freeze': {
      const target = random.pick(apps);
      const atLeastMs = target.startsWith(SENDER_APP) ? LEASE_FREEZE_MS : FREEZE_MS_MIN[log];
      return { kind, target, afterMs, forMs: atLeastMs + random.int(0, FREEZE_MS_MORE_MAX) };
    }
    case 'push':
      return {
        kind,
        target: PUSH_ANSWERS[(random.int(0, 2) + turn) % PUSH_ANSWERS.length] ?? 'down',
        afterMs,
        forMs: random.int(1_000, 4_000),
      };
    case 'poison':
      return { kind, target: 'every topic', afterMs, forMs: 0 };
    case 'connections':
      return { kind, target: 'postgres', afterMs, forMs: random.int(1_000, 3_000) };
    case 'clock':
      return { kind, target: random.pick(apps), afterMs, forMs: random.int(3_000, 8_000) };
    case 'disk':
      return { kind, target: random.pick(servers), afterMs, forMs: random.int(500, 2_000) };
  }
}

function shuffled<Item>(items: readonly Item[], random: Seeded): Item[] {
  return items
    .map((item) => ({ item, rank: random.next() }))
    .sort((left, right) => left.rank - right.rank)
    .map(({ item }) => item);
}
