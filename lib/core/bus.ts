/**
 * Carries short texts between the processes that share a far tier. Delivery may fail or repeat, and order matters only
 * per sender: whoever uses it numbers its messages and notices gaps.
 */
export interface CacheBus {
  /** Starts listening. Never throws for a bus that is away: it connects when it can, and says so by `onUp`, at any time. */
  open(channel: string, handlers: BusHandlers): BusConnection;
}

/** What a bus tells its user. None of these throws. */
export interface BusHandlers {
  /** Also called with the process's own messages: hearing oneself proves that listening works. */
  onMessage(text: string): void;
  /** Listening works from now on; anything said before may have been missed. */
  onUp(): void;
  /** Listening has stopped. */
  onDown(reason: unknown): void;
}

/** An open bus. */
export interface BusConnection {
  /** Resolves when the text is handed over; rejects when it is not, within a deadline of the bus's own. */
  publish(text: string): Promise<void>;
  /** Listening looks fine but nothing arrives: connect anew. */
  reset?(): void;
  /** Stops listening. Idempotent. */
  close(): Promise<void>;
}
