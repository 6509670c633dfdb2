/** What --receive.limits-config-file says about requests as they come in, before the engine looks into them. */
import { LimitError, limitName } from '../../storage/index.ts';
import { type LimitsConfig, limitsOf, NO_LIMITS_CONFIG } from '../config/limits-config.ts';
import { WriteGate } from './write-gate.ts';

/** The limits as they are now and as they change. */
export interface LimitsSource {
  readonly current: LimitsConfig;
  onChange(listener: (config: LimitsConfig) => void): void;
}

/** Without a file. */
export const NO_LIMITS: LimitsSource = { current: NO_LIMITS_CONFIG, onChange: () => undefined };

export class WriteLimits {
  readonly gate: WriteGate = new WriteGate();
  readonly #source: LimitsSource;

  constructor(source: LimitsSource) {
    this.#source = source;
    this.gate.setLimit(source.current.maxConcurrency);
    source.onChange(({ maxConcurrency }) => this.gate.setLimit(maxConcurrency));
  }

  /** Throws LimitError if a body of so many bytes, packed or not, is more than the tenant may send. */
  checkBytes(tenant: string, bytes: number): void {
    const { requestBytes } = limitsOf(this.#source.current, tenant);
    if (requestBytes === 0 || bytes <= requestBytes) return;
    const message = `a request of ${bytes} bytes, limit ${requestBytes} (${limitName('size_bytes_limit')})`;
    throw new LimitError('limit', message, { reason: 'request-bytes', samples: 0 });
  }
}

/** What a snappy block says that it is unpacked to; whether that is true the engine will see. */
export function declaredBytes(snappy: Uint8Array): number {
  let length = 0;
  for (let i = 0, scale = 1; i < 5; i++, scale *= 128) {
    const byte = snappy[i] ?? 0;
    length += (byte & 127) * scale;
    if (byte < 128) break;
  }
  return length;
}
