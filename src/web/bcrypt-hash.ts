/** bcrypt hashes as text: `$2y$<cost>$<22 characters of salt><31 of digest>`. */

const HASH = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/;
const LEAST_COST = 4;
const GREATEST_COST = 31;

/** The cost of a hash: its work doubles with each step. undefined for what is no bcrypt hash. */
export function bcryptCost(hash: string): number | undefined {
  const cost = Number(HASH.exec(hash)?.[1]);
  return cost >= LEAST_COST && cost <= GREATEST_COST ? cost : undefined;
}

/** A well-formed hash that costs as much as others of `cost`, and whose password nobody knows. */
export function unknownPasswordHash(cost: number): string {
  return `$2y$${String(cost).padStart(2, '0')}$${'O'.repeat(53)}`;
}
