/**
 * A bound on how many tenants senders can bring into being by naming them: each costs memory in the head, a block every
 * window and metrics of its own. Counts the tenants that stored something since the start, whatever is on disk.
 */
export class TenantLimit {
  readonly maxTenants: number;
  readonly #tenants = new Set<string>();

  constructor(maxTenants: number) {
    this.maxTenants = maxTenants;
  }

  /** Whether a write of this tenant may go on. Takes no place: a request that is refused later must not use one up. */
  admits(tenant: string): boolean {
    return this.has(tenant) || this.#tenants.size < this.maxTenants;
  }

  /** Whether the tenant has stored samples since the start. */
  has(tenant: string): boolean {
    return this.#tenants.has(tenant);
  }

  /** The tenant has stored samples. */
  add(tenant: string): void {
    this.#tenants.add(tenant);
  }
}
