/** By which long work says that it is alive. Rejects when the work was taken away: stop then. */
export interface WorkProgress {
  heartbeat(): Promise<void>;
}
