const REST_MS_MIN = 250;
const REST_MS_MAX = 10_000;

interface Rest {
  readonly endsAtMs: number;
  readonly lengthMs: number;
}

/** Topics that could not be appended to and rest, each failure twice as long as the one before it. */
export class TopicRests {
  private readonly rests = new Map<string, Rest>();

  constructor(private readonly nowMs: () => number = () => performance.now()) {}

  /** Lets a topic rest after a failure; answers how long. */
  begin(topic: string): number {
    const lengthMs = Math.min((this.rests.get(topic)?.lengthMs ?? REST_MS_MIN / 2) * 2, REST_MS_MAX);
    this.rests.set(topic, { endsAtMs: this.nowMs() + lengthMs, lengthMs });
    return lengthMs;
  }

  /** Forgets the failures of a topic. */
  end(topic: string): void {
    this.rests.delete(topic);
  }

  /** The topics that rest now. */
  topics(): string[] {
    const nowMs = this.nowMs();
    return [...this.rests].filter(([, rest]) => rest.endsAtMs > nowMs).map(([topic]) => topic);
  }

  /** When the next rest ends, from now; `undefined` when nothing rests. */
  nextEndMs(): number | undefined {
    const nowMs = this.nowMs();
    const ends = [...this.rests.values()].map((rest) => rest.endsAtMs - nowMs).filter((endMs) => endMs > 0);
    return ends.length === 0 ? undefined : Math.ceil(Math.min(...ends));
  }
}
