/** Whether the bucket answers, as those see it who ask it beside the queries; an outage is reported once. */
import type { BlockEvent } from './block-event.ts';

export class BucketHealth {
  readonly #onEvent: (event: BlockEvent) => void;
  #isFailing = false;

  constructor(onEvent: (event: BlockEvent) => void) {
    this.#onEvent = onEvent;
  }

  get isFailing(): boolean {
    return this.#isFailing;
  }

  noteFailure(message: string): void {
    if (!this.#isFailing) this.#onEvent({ kind: 'bucket-failing', message });
    this.#isFailing = true;
  }

  noteSuccess(): void {
    if (this.#isFailing) this.#onEvent({ kind: 'bucket-recovered' });
    this.#isFailing = false;
  }
}
