import type { BusConnection, CacheBus } from '../../core/bus.js';
import type { StorageHost } from '../../core/storage.js';
import {
  decodeMessage,
  encodeMessage,
  type BusMessage,
  type Change,
  type Signal,
} from './bus-message.js';

/** Peers remembered at most; beyond, the longest silent is forgotten, which costs a revalidation when it speaks again. */
const PEERS_MAX = 1_000;
/** Beats on their way; beyond, the oldest counts as lost. */
const UNHEARD_MAX = 64;
/** Beats that may be missing before silence counts as loss. */
const BEATS_MISSED = 2;

/** Beats of silence after which the connection is made anew. */
const RESET_AFTER_BEATS = 8;

interface Peer {
  seq: number;
  heardAt: number;
}

/**
 * This node's place on the bus, and its judgement of whether it has heard everything (P6).
 *
 * Every change carries the sender's running number, every beat the latest number, so a lost message shows at the next
 * beat. A node hears its own beats: while none has come back in time, near values do not serve, whatever the connection
 * says; once one of them is missing, its ear was gone. A node that only stood still misses none, and serves again as soon as
 * a beat comes back. A peer that falls silent without a goodbye may have died between changing the far tier and saying so.
 * After a loss or such a silence `trustedSince` moves to now: what the near tier took in before must be checked against the far tier once, and what is
 * on its way there must not arrive.
 */
export class BusLink {
  readonly #node: string;
  /** Unset only while `open` runs. */
  readonly #connection: BusConnection | undefined;
  readonly #peers = new Map<string, Peer>();
  /** Messages handed to the bus and not confirmed, for `close` to wait for. */
  readonly #sending = new Set<Promise<void>>();
  #seq = 0;
  #isUp = false;
  /** When the latest beat that came back was sent. */
  #heardSelfAt = -Infinity;
  /** When the beats were sent that have not come back, oldest first. */
  #unheard: number[] = [];
  #trustedSince = Infinity;
  #stopBeat: (() => void) | undefined;
  #isClosed = false;
  #gaps = 0;

  constructor(
    bus: CacheBus,
    channel: string,
    readonly host: StorageHost,
    readonly beatMs: number,
    readonly onChange: (change: Change) => void,
    /** Something may have been missed. */
    readonly onDoubt: () => void,
  ) {
    this.#node = host.randomToken();
    this.#connection = bus.open(channel, {
      onMessage: (text) => this.#hear(text),
      onUp: () => this.#up(),
      onDown: (reason) => this.#down(reason),
    });
    if (this.#isUp) this.#send(this.#seq, 'beat');
    this.#beat();
  }

  /**
   * Whether nothing can have been missed about what was taken in at `storedAt`. Not even what was taken in within the very
   * millisecond of the doubt is trusted: which came first, nobody can tell.
   */
  isTrusted(storedAt: number, now: number): boolean {
    return storedAt > this.#trustedSince && this.#hears(now);
  }

  /** The last moment known at which nothing had been missed about what was taken in at `storedAt`. */
  vouchedUntil(storedAt: number): number {
    return storedAt > this.#trustedSince ? Math.max(storedAt, this.#heardSelfAt) : storedAt;
  }

  /** Tells the others. Does not wait: a message that gets lost is noticed by its missing number. */
  announce(change: Change): void {
    this.#send(++this.#seq, change);
  }

  figures(): Readonly<Record<string, number>> {
    return {
      busPeers: this.#peers.size,
      busGaps: this.#gaps,
      busSent: this.#seq,
      busUp: this.#isUp ? 1 : 0,
    };
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#stopBeat?.();
    this.#send(this.#seq, 'goodbye');
    await Promise.all(this.#sending);
    await this.#connection?.close();
  }

  #hear(text: string): void {
    const message = decodeMessage(text, this.host.scopes);
    if (!message || this.#isClosed) return;
    if (message.node === this.#node) return this.#hearSelf(message.sentAt);
    if (typeof message.what !== 'string') this.onChange(message.what);
    this.#judge(message, this.host.clock.monotonic());
  }

  #hearSelf(sentAt: number | undefined): void {
    if (sentAt === undefined) return;
    const before = this.#unheard.indexOf(sentAt);
    // Messages keep their order: what was sent before this one and has not come will not come any more.
    if (before > 0) this.#distrust();
    this.#unheard.splice(0, before + 1);
    this.#heardSelfAt = Math.max(this.#heardSelfAt, sentAt);
  }

  /** Whether anything of this peer's was missed. */
  #judge({ node, seq, what }: BusMessage, now: number): void {
    const peer = this.#peers.get(node);
    const expected = typeof what === 'string' ? seq : seq - 1;
    // A stranger that has said things before we knew it: whether we were meant to hear them, nobody can tell.
    if (peer ? expected > peer.seq : expected > 0) this.#noteGap();
    this.#peers.delete(node);
    if (what === 'goodbye') return;
    this.#peers.set(node, { seq: Math.max(seq, peer?.seq ?? 0), heardAt: now });
    if (this.#peers.size > PEERS_MAX) this.#peers.delete(this.#peers.keys().next().value!);
  }

  #up(): void {
    this.#isUp = true;
    this.#distrust();
    this.#unheard = [];
    // Hear ourselves as soon as possible rather than at the next beat.
    this.#heardSelfAt = this.host.clock.monotonic();
    this.#send(this.#seq, 'beat');
  }

  #down(reason: unknown): void {
    if (this.#isUp && !this.#isClosed)
      this.host.listener.onFault?.({ during: 'bus', storage: 'tiered', error: reason });
    this.#isUp = false;
  }

  #beat(): void {
    const due = this.host.clock.monotonic() + this.beatMs;
    this.#stopBeat = this.host.clock.after(this.beatMs, () => {
      if (this.#isClosed) return;
      // After standing still ourselves there is a queue of messages to hear before anybody's silence means something.
      if (this.host.clock.monotonic() - due < this.beatMs) {
        this.#noteSilentPeers();
        this.#noteOwnSilence();
      }
      if (this.#isUp) this.#send(this.#seq, 'beat');
      this.#beat();
    });
  }

  #hears(now: number): boolean {
    return this.#isUp && now - this.#heardSelfAt <= this.beatMs * BEATS_MISSED;
  }

  /**
   * Twice as patient as with ourselves: a peer's timers may be late while its messages are fine. While we are deaf, their
   * silence says nothing; it is judged when we hear again.
   */
  #noteSilentPeers(): void {
    const now = this.host.clock.monotonic();
    if (!this.#hears(now)) return;
    const before = now - this.beatMs * BEATS_MISSED * 2;
    for (const [node, { heardAt }] of this.#peers) {
      if (heardAt >= before) continue;
      this.#peers.delete(node);
      this.#noteGap();
    }
  }

  /** Deaf for long although the connection looks fine: a fresh one is the only remedy left. */
  #noteOwnSilence(): void {
    const silentMs = this.host.clock.monotonic() - this.#heardSelfAt;
    if (!this.#isUp || silentMs < this.beatMs * RESET_AFTER_BEATS) return;
    this.#heardSelfAt = this.host.clock.monotonic() - this.beatMs * (BEATS_MISSED + 1);
    this.#connection?.reset?.();
  }

  #noteGap(): void {
    this.#gaps++;
    this.#distrust();
  }

  #distrust(): void {
    this.#trustedSince = this.host.clock.monotonic();
    this.onDoubt();
  }

  #expect(sentAt: number): void {
    this.#unheard.push(sentAt);
    if (this.#unheard.length <= UNHEARD_MAX) return;
    this.#unheard.shift();
    this.#distrust();
  }

  #send(seq: number, what: Change | Signal): void {
    if (!this.#connection) return;
    const message = { node: this.#node, seq, what };
    const sentAt = this.host.clock.monotonic();
    if (what === 'beat') this.#expect(sentAt);
    const text = encodeMessage(what === 'beat' ? { ...message, sentAt } : message);
    const sending = this.#connection.publish(text).catch((error: unknown) => {
      // A beat that fails is no news of its own: hearing ourselves no more will tell.
      if (what === 'beat') this.#unheard = this.#unheard.filter((beat) => beat !== sentAt);
      else this.host.listener.onFault?.({ during: 'announce', storage: 'tiered', error });
    });
    this.#sending.add(sending);
    void sending.finally(() => this.#sending.delete(sending));
  }
}
