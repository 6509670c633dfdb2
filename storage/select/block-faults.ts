/**
 * What one read does about blocks that it cannot read: it leaves them out and says so in a warning, or it fails, as it was
 * told. One for each read.
 */
import { StorageError } from '../lib/errors.ts';

/**
 * A block cannot be read: 'corrupt' if its bytes are damaged, 'not-found' if it is gone, 'unavailable' if where it lies does
 * not answer.
 */
export class BlockError extends StorageError {
  override name = 'BlockError';
  readonly ulid: string;

  constructor(kind: 'corrupt' | 'not-found' | 'unavailable', ulid: string, message: string, options?: ErrorOptions) {
    super(kind, message, options);
    this.ulid = ulid;
  }
}

export interface BlockFaultsOptions {
  /** Whether an answer may be given without the blocks that cannot be read. */
  readonly isPartialAllowed: boolean;
  /** A block turned out to be damaged. */
  readonly onCorrupt: (ulid: string, message: string) => void;
}

export class BlockFaults {
  /** Whether the list of blocks was asked for anew: a block that is gone then is one that cannot be read. */
  isListFresh = false;
  readonly #options: BlockFaultsOptions;
  readonly #leftOut = new Map<string, string>();
  readonly #remarks = new Set<string>();

  constructor(options: BlockFaultsOptions = { isPartialAllowed: false, onCorrupt: () => {} }) {
    this.#options = options;
  }

  isLeftOut(ulid: string): boolean {
    return this.#leftOut.has(ulid);
  }

  /** Leaves the block out of this read from now on; false if the read has to fail, or to look for the block elsewhere first. */
  leaveOut(error: BlockError): boolean {
    if (error.kind === 'corrupt') this.#options.onCorrupt(error.ulid, error.message);
    if (!this.#options.isPartialAllowed || (error.kind === 'not-found' && !this.isListFresh)) return false;
    this.#leftOut.set(error.ulid, error.message);
    return true;
  }

  /** Something that whoever reads the answer should know. */
  remark(text: string): void {
    this.#remarks.add(text);
  }

  /** Sentences for people; a great number of blocks gives one sentence, with the reason of the first. */
  warnings(): string[] {
    const [first] = this.#leftOut;
    if (first === undefined) return [...this.#remarks];
    const [ulid, reason] = first;
    const others = this.#leftOut.size === 1 ? '' : ` and ${this.#leftOut.size - 1} others`;
    return [`partial response: block ${ulid}${others} could not be read: ${reason}`, ...this.#remarks];
  }
}
