/**
 * Loaded before an app by `--import`: each SIGUSR2 moves the clock of the process an hour ahead, and the next one back again. The app
 * itself knows nothing of it. Timers are not touched: they run by the monotonic clock, as they do when a machine's time is set.
 */
const JUMP_MS = 3_600_000;
const RealDate = Date;
let aheadMs = 0;

process.on('SIGUSR2', () => {
  aheadMs = aheadMs === 0 ? JUMP_MS : 0;
});

const now = (): number => RealDate.now() + aheadMs;

globalThis.Date = new Proxy(RealDate, {
  construct: (target, values, newTarget): Date => Reflect.construct(target, values.length === 0 ? [now()] : values, newTarget) as Date,
  apply: (): string => new RealDate(now()).toString(),
  get: (target, name, receiver): unknown => (name === 'now' ? now : Reflect.get(target, name, receiver)),
});
