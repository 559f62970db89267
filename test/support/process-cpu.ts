import { readdirSync, readFileSync } from 'node:fs';

/** Ticks of the CPU times in /proc; Linux has had 100 a second on every machine for decades. */
const TICKS_PER_SECOND = 100;

/** One process as /proc/<pid>/stat shows it. */
interface ProcessTimes {
  readonly pid: number;
  readonly parentPid: number;
  /** Of the process itself. */
  readonly ownTicks: number;
  /** Of those of its children that ended and were waited for, with theirs. */
  readonly endedChildrenTicks: number;
}

/** CPU seconds, user and system, of named process trees; the difference of two readings is what they used in between. */
export type CpuReading = ReadonlyMap<string, number>;

/**
 * Reads the CPU time of each process with all its descendants, living or ended: a Postgres is its postmaster and every backend that it
 * ever had. Resolution: 10 ms per process.
 * @param roots process ids by name
 * @throws Error where there is no /proc, or when one of the processes has ended
 */
export function readCpuSeconds(roots: ReadonlyMap<string, number>): CpuReading {
  const all = readProcesses();
  const childrenOf = new Map<number, ProcessTimes[]>();
  for (const times of all.values()) childrenOf.set(times.parentPid, [...(childrenOf.get(times.parentPid) ?? []), times]);
  const ticksOf = (times: ProcessTimes): number =>
    times.ownTicks + times.endedChildrenTicks + (childrenOf.get(times.pid) ?? []).reduce((sum, child) => sum + ticksOf(child), 0);
  return new Map(
    [...roots].map(([name, pid]) => {
      const times = all.get(pid);
      if (times === undefined) throw new Error(`The process ${name} (${pid}) has ended, or this system has no /proc.`);
      return [name, ticksOf(times) / TICKS_PER_SECOND];
    }),
  );
}

/** CPU seconds between two readings, by name. */
export function cpuBetween(before: CpuReading, after: CpuReading): Map<string, number> {
  return new Map([...after].map(([name, seconds]) => [name, seconds - (before.get(name) ?? 0)]));
}

/** Sum over all names, or over those that `isCounted` says. */
export function sumCpu(seconds: ReadonlyMap<string, number>, isCounted: (name: string) => boolean = () => true): number {
  return [...seconds].reduce((sum, [name, own]) => sum + (isCounted(name) ? own : 0), 0);
}

function readProcesses(): ReadonlyMap<number, ProcessTimes> {
  const processes = new Map<number, ProcessTimes>();
  for (const name of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    const times = readTimes(Number(name));
    if (times !== undefined) processes.set(times.pid, times);
  }
  return processes;
}

/** `undefined` for a process that ended meanwhile. The name in parentheses may hold anything: the fields are counted behind it. */
function readTimes(pid: number): ProcessTimes | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    const [parentPid, user, system, childrenUser, childrenSystem] = [1, 11, 12, 13, 14].map((index) => Number(fields[index]));
    return {
      pid,
      parentPid: parentPid ?? 0,
      ownTicks: (user ?? 0) + (system ?? 0),
      endedChildrenTicks: (childrenUser ?? 0) + (childrenSystem ?? 0),
    };
  } catch {
    return undefined;
  }
}
